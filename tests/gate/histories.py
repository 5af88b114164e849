"""Random histories: orders, what the venue says of them, and what people and the scorer do meanwhile.

A history is made without asking a gate: its steps name ids that a gate may or may not know. So the same steps can be given
to any gate, in any number, and a million of them need no memory. Numbers are near the limits, so every reason occurs.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from gate.reference import FIRM, POST_ONLY, REDUCE_ONLY, Action, Order, OrderType, Side
from gate.rows import UNLIMITED, AccountRow, InstrumentRow, Limits
from tests.gate.gates import CENT, MICROS, PRICE, SECOND_NS, Gate, grant

ACCOUNTS = (71, 72, 73)
INSTRUMENTS = (1, 2, 3, 4)
STRATEGIES = (501, 502, 503)
SESSIONS = (601, 602)
DESK, TRADER, VENUE = 701, 702, 703
PARENTS = (801, 802, 803)
BASKET = 901
START_NS = 5_000 * SECOND_NS
RECENT = 16
LATE = 8  # orders that stay for longer than that
APPROVED = 50

ENVELOPE = Limits(
    order_qty=100, order_value=8_900 * MICROS, long=150, short=100, band_bps=40, band_ticks=33, period_band_bps=40,
    quote_offset_bps=5, message_weight=1000, margin=300,
)  # fmt: skip
WIDE = grant(
    account=ACCOUNTS[0], open_orders=40, messages_per_s=100, message_burst=20, repeats_max=2, duplicate_ns=SECOND_NS // 50,
    class_mask=3,
)  # fmt: skip
GRANTS = (
    replace(WIDE, gross_value=11_000 * MICROS, net_value=6_000 * MICROS, instrument_value=5_000 * MICROS),
    replace(WIDE, account=ACCOUNTS[1], messages_per_s=3, message_burst=4, period_value=9_000 * MICROS,
            basket_value=13_000 * MICROS),
    replace(WIDE, account=ACCOUNTS[2], credit=9_000 * MICROS, day_loss=25 * MICROS, drawdown=22 * MICROS, open_orders=5),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """A method of a gate and what it is given."""

    call: str
    arguments: tuple[Any, ...] = ()
    named: dict[str, Any] = field(default_factory=dict)

    def on(self, gate: Gate) -> Any:
        """Do it, and return what the gate says."""
        return getattr(gate, self.call)(*self.arguments, **self.named)


def random_history(seed: int, orders: int, *, stir: float = 0.12) -> Iterator[Step]:
    """Yield the steps that set a gate up, and then so many orders with all that happens between them.

    ``stir`` is how often, per order, people or the scorer change something; with little of it rows stay as they are for long.
    """
    dice = random.Random(seed)
    yield from opening()
    market = _Market(dice)
    for number in range(1, orders + 1):
        market.pass_time()
        sent = market.order(number)
        yield Step("submit", (sent, market.now_ns))
        yield from market.reports()
        if dice.random() < stir:
            yield market.intervention()


def opening() -> Iterator[Step]:
    """Yield the rows and grants that a history begins with."""
    for instrument_id in INSTRUMENTS:
        yield Step("put", (plain_row(instrument_id),))
    for granted in GRANTS:
        yield Step("grant", (granted,))
    yield Step("grant", (AccountRow(FIRM, gross_value=50_000 * MICROS),))
    yield Step("grant", (AccountRow(SESSIONS[0], messages_per_s=9, message_burst=5),))
    for account in ACCOUNTS:
        for parent in PARENTS[:2]:
            yield Step("parent", (account, parent, 400))


def plain_row(instrument_id: int) -> InstrumentRow:
    """The row of an instrument in a calm market; instrument 3 needs a locate, 4 has steps and soft limits."""
    odd = instrument_id == 4
    return InstrumentRow(
        instrument_id, ENVELOPE, replace(ENVELOPE, order_qty=90), replace(ENVELOPE, order_qty=40, band_bps=20),
        class_id=instrument_id % 2, needs_locate=instrument_id == 3, warn_permille=300 if odd else 1000,
        pend_permille=600 if odd else 1000, ref_price=PRICE, ref_low=PRICE - 10 * CENT, ref_high=PRICE + 10 * CENT,
        ref_until_ns=2**62, valid_until_ns=2**62, tick_size=CENT, lot_nano=10**9, qty_min=5 if odd else 1, qty_step=5 if odd else 1,
    )  # fmt: skip


class _Market:
    """What a history remembers: the time, and the ids of its last orders."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.now_ns = START_NS
        self.recent: list[Order] = []
        self.late: list[Order] = []
        self.approved: list[int] = []
        self.rearmed = dict.fromkeys(STRATEGIES, 0)
        self.killed: list[tuple[str, tuple[Any, ...], str]] = []

    def pass_time(self) -> None:
        dice = self.dice
        leap_ns = dice.choice((-40_000_000, 3 * SECOND_NS)) if dice.random() < 0.01 else dice.randrange(60_000_000)
        self.now_ns += leap_ns

    def order(self, order_id: int) -> Order:
        dice = self.dice
        target = dice.choice(self.recent) if self.recent else None
        if target is not None and dice.random() < 0.03:
            sent = replace(target, action=Action.NEW, order_id=target.order_id if dice.random() < 0.3 else order_id)
        elif target is not None and dice.random() < 0.15:
            last = self.recent[-1]
            sent = replace(
                last,
                action=Action.NEW,
                order_id=order_id,
                price=last.price and last.price + dice.choice((-1, 1)) * CENT,
            )
        elif target is not None and dice.random() < 0.2:
            sent = self._replacing(order_id, target)
        else:
            sent = self._new(order_id)
        if dice.random() < 0.02:
            return replace(
                sent, **dice.choice(({"qty": 0}, {"side": 3}, {"instrument_id": 99}, {"account": 99}, {"flags": 4}))
            )
        self.recent.append(sent)
        return sent

    def _new(self, order_id: int) -> Order:
        dice = self.dice
        side = dice.choice((Side.BUY, Side.SELL))
        market = dice.random() < 0.15
        behind = round(dice.gauss(14, 14)) * CENT
        price = PRICE - behind if side == Side.BUY else PRICE + behind
        flags = dice.choice((0, 0, 0, 0, 0, 0, 0, 0, REDUCE_ONLY, 0 if market else POST_ONLY))
        return Order(
            instrument_id=dice.choice(INSTRUMENTS), order_id=order_id, account=dice.choice(ACCOUNTS), side=side,
            qty=dice.choice((1, 5, 5, 10, 10, 10, 15, 20, 20, 35, 60, 90, 101)),
            price=0 if market and dice.random() < 0.7 else price + (dice.random() < 0.01),
            order_type=OrderType.MARKET if market else OrderType.LIMIT, flags=flags,
            action=Action.CANCEL if dice.random() < 0.03 else Action.NEW, strategy=dice.choice((0, *STRATEGIES)),
            session=dice.choice((0, *SESSIONS)), desk=DESK, trader=TRADER, venue=VENUE,
            parent=dice.choice((0, 0, 0, 0, 0, 0, 0, 0, *PARENTS)),
            basket=dice.choice((0, BASKET + order_id // 300)),
        )  # fmt: skip

    def _replacing(self, order_id: int, target: Order) -> Order:
        dice = self.dice
        qty = max(1, target.qty + dice.choice((-10, -5, 0, 0, 5, 10, 20)))
        return replace(
            target, order_id=order_id, target_id=target.order_id, action=Action.REPLACE, qty=qty,
            price=target.price and target.price + dice.choice((-2, -1, 0, 1, 2)) * CENT,
            parent=dice.choice((0, target.parent)),
        )  # fmt: skip

    def reports(self) -> Iterator[Step]:
        """What the venue says of the last orders; most leave when so many others have come."""
        for _ in range(self.dice.choice((0, 1, 1, 2)) if self.recent else 0):
            yield self._report(self.dice.choice(self.recent))
        if len(self.recent) > RECENT:
            oldest = self.recent.pop(0)
            self.late.append(oldest)
            if self.dice.random() < 0.95 or len(self.late) > LATE:
                leaves = self.late.pop(0 if len(self.late) > LATE else -1)
                yield Step("closed", (leaves.account, leaves.order_id))

    def _report(self, sent: Order) -> Step:
        dice = self.dice
        ids = (sent.account, sent.order_id)
        kind = dice.random()
        if kind < 0.4:
            qty = sent.qty if dice.random() < 0.5 else dice.randrange(1, sent.qty + 2)
            price = PRICE + round(dice.gauss(0, 30)) * CENT
            return Step("filled", ids, {"qty": qty, "price": price})
        return Step("replaced" if kind < 0.6 else "closed", ids)

    def intervention(self) -> Step:
        """What people and the scorer do."""
        if self.killed and self.dice.random() < 0.4:
            return self._kill()
        kinds = (self._tier, self._tier, self._tier, self._books, self._session, self._people, self._mark, self._kill)
        return self.dice.choice(kinds)()

    def _tier(self) -> Step:
        dice = self.dice
        plain = plain_row(dice.choice(INSTRUMENTS))
        cut = dice.choice((1, 1, 1, 1, 1, 2, 4))
        dynamic = replace(ENVELOPE, order_qty=90 // cut, long=140 // cut, band_bps=40 // cut, quote_offset_bps=5 * cut,
                          message_weight=1000 * cut, margin=300 * cut)  # fmt: skip
        if dice.random() < 0.05:
            dynamic = replace(dynamic, long=None)
        drift = round(dice.gauss(0, 20)) * CENT
        return Step("put", (replace(
            plain, dynamic=dynamic, halted=dice.random() < 0.05, stale=dice.random() < 0.05, killed=dice.random() < 0.02,
            restricted=dice.random() < 0.02,
            class_id=5 if dice.random() < 0.02 else plain.class_id, ref_price=0 if dice.random() < 0.03 else PRICE + drift,
            ref_low=PRICE + drift - 10 * CENT,
            ref_high=PRICE + drift + 10 * CENT, valid_until_ns=self.now_ns + dice.randrange(1, 30) * SECOND_NS, tier=cut - 1,
        ),))  # fmt: skip

    def _books(self) -> Step:
        dice, account, instrument_id = self.dice, self.dice.choice(ACCOUNTS), self.dice.choice(INSTRUMENTS)
        kind = dice.random()
        if kind < 0.3:
            return Step("reconcile", (account, instrument_id, dice.randrange(-60, 61)), {"done": dice.random() < 0.5})
        if kind < 0.5:
            side, qty = dice.choice((Side.BUY, Side.SELL)), dice.randrange(0, 40)
            done = Order(instrument_id=instrument_id, order_id=1, account=account, side=side, qty=qty, price=PRICE)
            return Step("executed", (done,))
        return Step("parent", (account, dice.choice(PARENTS), dice.randrange(0, 2_000)))

    def _session(self) -> Step:
        return Step("session", (self.dice.choice(SESSIONS),), {"up": self.dice.random() < 0.9})

    def _people(self) -> Step:
        dice = self.dice
        kind = dice.randrange(5)
        if kind == 0:
            if len(self.approved) > APPROVED:
                return Step("withdraw", (self.approved.pop(0),))
            self.approved.append(self.recent[-1].order_id + 1 if self.recent else 1)
            return Step("approve", (self.approved[-1], self.now_ns + SECOND_NS))
        if kind == 1:
            return Step("locate", (dice.choice(ACCOUNTS), 3), {"lots": dice.randrange(0, 80)})
        if kind == 2:
            return Step("grant", (_session_row(dice),))
        strategy = dice.choice(STRATEGIES)
        self.rearmed[strategy] += 1
        return Step("rearm", (strategy, self.rearmed[strategy]))

    def _mark(self) -> Step:
        if self.dice.random() < 0.1:
            return Step("new_day_account", (self.dice.choice(ACCOUNTS),))
        return Step("new_day" if self.dice.random() < 0.1 else "mark")

    def _kill(self) -> Step:
        """Kill something, or release what was killed before: no history must stay so for long."""
        if self.killed:
            call, arguments, name = self.killed.pop()
            return Step(call, arguments, {name: False})
        members = (*ACCOUNTS, *STRATEGIES, *SESSIONS, DESK, TRADER, VENUE, (ACCOUNTS[0], 1))
        member = self.dice.choice(members)
        killed = ("kill_firm", (), "killed") if self.dice.random() < 0.1 else ("block", (member,), "blocked")
        self.killed.append(killed)
        return Step(killed[0], killed[1], {killed[2]: True})


def _session_row(dice: random.Random) -> AccountRow:
    """What people say of a session's messages: mostly a rate, sometimes none, or half of one, which blocks."""
    rate = dice.choice(
        ((4, 3), (9, 5), (30, 12), (0, 40), (UNLIMITED, 0), (None, 5) if dice.random() < 0.2 else (6, 2))
    )
    return AccountRow(dice.choice(SESSIONS), messages_per_s=rate[0], message_burst=rate[1])
