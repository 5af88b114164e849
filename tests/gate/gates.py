"""One interface to both gates, the twin and the native one, and the rows and orders that tests start from.

Rows pass through a limit table for both, so both judge what the table holds: a band above its largest is the largest.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from gate import _native
from gate._native import LimitTable, pair_hash
from gate.reference import Decision, Order, Reason, ReferenceGate, Side, Sizes, Tables, Verdict
from gate.rows import BPS_MAX, LIMIT_NAMES, TICKS_MAX, UNLIMITED, AccountRow, InstrumentRow, Limits

ACCOUNT, OTHER = 71, 72
SECOND_NS = 10**9
SMALL = Sizes(accounts=16, positions=64, orders=1024)
NOW = 1_000 * SECOND_NS
CENT = 10**7
PRICE = 100 * 10**9  # the reference price of a plain row: 100 currency
MICROS = 10**6  # 1e-6 currency in a currency
LOT_MICROS = 100 * MICROS  # value of one lot at PRICE
FOREVER = 2**62

FREE = Limits(
    order_qty=UNLIMITED,
    order_value=UNLIMITED,
    long=UNLIMITED,
    short=UNLIMITED,
    band_bps=BPS_MAX,
    band_ticks=TICKS_MAX,
    period_band_bps=BPS_MAX,
    quote_offset_bps=0,
    message_weight=1000,
    margin=1000,
)
ROW = InstrumentRow(
    1, FREE, FREE, FREE, ref_price=PRICE, ref_low=PRICE, ref_high=PRICE, ref_until_ns=FOREVER, valid_until_ns=FOREVER,
    tick_size=CENT, lot_nano=10**9, qty_min=1, qty_step=1,
)  # fmt: skip
VALUES = (
    "gross_value",
    "net_value",
    "instrument_value",
    "credit",
    "day_loss",
    "drawdown",
    "period_value",
    "basket_value",
)
COUNTS = ("open_orders", "messages_per_s", "message_burst", "repeats_max")
NOT_LIMITED: dict[str, Any] = dict.fromkeys(VALUES + COUNTS, UNLIMITED)
GRANT = AccountRow(ACCOUNT, **(NOT_LIMITED | {"period_ns": SECOND_NS, "duplicate_ns": 0, "class_mask": 1}))


def row(**limits: Any) -> InstrumentRow:
    """A row whose three columns have these limits; fields of the row itself by their names."""
    names = set(LIMIT_NAMES)
    column = replace(FREE, **{name: value for name, value in limits.items() if name in names})
    rest = {name: value for name, value in limits.items() if name not in names}
    return replace(replace(ROW, envelope=column, dynamic=column, stale_limits=column), **rest)


def with_column(row: InstrumentRow, column: str, limits: Limits) -> InstrumentRow:
    """The row with other limits in its column ``envelope``, ``dynamic`` or ``stale_limits``."""
    changed: dict[str, Any] = {column: limits}
    return replace(row, **changed)


def with_limit(limits: Limits, name: str, value: int | None) -> Limits:
    """The column with another value of one limit."""
    changed: dict[str, Any] = {name: value}
    return replace(limits, **changed)


def grant(**limits: Any) -> AccountRow:
    return replace(GRANT, **limits)


def order(order_id: int = 1, **fields: Any) -> Order:
    """A buy of one lot at the reference price."""
    return Order(**({"instrument_id": 1, "account": ACCOUNT, "side": Side.BUY, "qty": 1, "price": PRICE}
                    | {"order_id": order_id} | fields))  # fmt: skip


class Gate(Protocol):
    """What tests ask of a gate, its table included."""

    def put(self, row: InstrumentRow) -> None: ...
    def grant(self, row: AccountRow) -> None: ...
    def block(self, member: int | tuple[int, int], *, blocked: bool = True) -> None: ...
    def approve(self, order_id: int, until_ns: int) -> None: ...
    def withdraw(self, order_id: int) -> None: ...
    def rearm(self, strategy: int, times: int) -> None: ...
    def locate(self, account: int, instrument_id: int, *, lots: int) -> None: ...
    def kill_firm(self, *, killed: bool = True) -> None: ...
    def heartbeat(self, now_ns: int, ttl_ns: int) -> None: ...
    def check(self, order: Order, now_ns: int) -> Decision: ...
    def submit(self, order: Order, now_ns: int) -> Decision: ...
    def filled(self, account: int, order_id: int, *, qty: int, price: int) -> bool: ...
    def closed(self, account: int, order_id: int) -> bool: ...
    def replaced(self, account: int, order_id: int) -> bool: ...
    def executed(self, order: Order) -> bool: ...
    def parent(self, account: int, parent: int, qty: int) -> bool: ...
    def session(self, session: int, *, up: bool) -> bool: ...
    def reconcile(self, account: int, instrument_id: int, position: int, *, done: bool) -> int | None: ...
    def new_day(self) -> None: ...
    def new_day_account(self, account: int) -> None: ...
    def mark(self) -> None: ...
    def positions(self) -> Sequence[tuple[int, ...]]: ...
    def working(self) -> Sequence[tuple[int, ...]]: ...
    def reopen(self) -> None: ...
    def close(self) -> None: ...


class TwinGate(ReferenceGate):
    """The twin, with the writer's side of its tables."""

    def __init__(self, sizes: Sizes | None = None) -> None:
        super().__init__(Tables(), sizes or SMALL)

    def put(self, row: InstrumentRow) -> None:
        self.tables.rows[row.instrument_id] = _as_held(row)

    def grant(self, row: AccountRow) -> None:
        with LimitTable.private(1, 1) as table:
            assert table.put_account(row.pack())
            held = table.read_account(row.account)
        assert held is not None
        self.tables.accounts[row.account] = AccountRow.unpack(held)

    def block(self, member: int | tuple[int, int], *, blocked: bool = True) -> None:
        if blocked:
            self.tables.blocked.add(member)
        else:
            self.tables.blocked.discard(member)

    def approve(self, order_id: int, until_ns: int) -> None:
        self.tables.approved[order_id] = until_ns

    def withdraw(self, order_id: int) -> None:
        self.tables.approved.pop(order_id, None)

    def rearm(self, strategy: int, times: int) -> None:
        self.tables.rearmed[strategy] = times

    def locate(self, account: int, instrument_id: int, *, lots: int) -> None:
        self.tables.located[account, instrument_id] = lots

    def kill_firm(self, *, killed: bool = True) -> None:
        self.tables.firm_killed = killed

    def heartbeat(self, now_ns: int, ttl_ns: int) -> None:
        self.tables.heartbeat_ns, self.tables.heartbeat_ttl_ns = now_ns, ttl_ns

    def reopen(self) -> None:
        """A ledger in a file is what it was."""

    def close(self) -> None:
        """Nothing is held."""


class NativeGate:
    """The native gate with a table of its own."""

    def __init__(self, ledger_path: Path | None = None, sizes: Sizes | None = None) -> None:
        self.table = LimitTable.private(1024, 512)
        self.ledger_path, self.sizes = ledger_path, sizes or SMALL
        self.gate = self._open()
        self.routes: dict[tuple[int, ...], Any] = {}

    def _open(self) -> Any:
        path, sizes = str(self.ledger_path) if self.ledger_path else None, self.sizes
        return _native.Gate(self.table, path, accounts=sizes.accounts, positions=sizes.positions, orders=sizes.orders)

    def put(self, row: InstrumentRow) -> None:
        assert self.table.put(row.pack())

    def grant(self, row: AccountRow) -> None:
        assert self.table.put_account(row.pack())

    def block(self, member: int | tuple[int, int], *, blocked: bool = True) -> None:
        hashed = pair_hash(*member) if isinstance(member, tuple) else member
        if blocked:
            assert self.table.set_put(_native.SET_BLOCKED, hashed, 1)
        else:
            self.table.set_drop(_native.SET_BLOCKED, hashed)

    def approve(self, order_id: int, until_ns: int) -> None:
        assert self.table.set_put(_native.SET_APPROVED, order_id, until_ns)

    def withdraw(self, order_id: int) -> None:
        self.table.set_drop(_native.SET_APPROVED, order_id)

    def rearm(self, strategy: int, times: int) -> None:
        assert self.table.set_put(_native.SET_REARMED, strategy, times)

    def locate(self, account: int, instrument_id: int, *, lots: int) -> None:
        assert self.table.set_put(_native.SET_LOCATED, pair_hash(account, instrument_id), lots)

    def kill_firm(self, *, killed: bool = True) -> None:
        self.table.kill_firm(killed)

    def heartbeat(self, now_ns: int, ttl_ns: int) -> None:
        self.table.heartbeat_ttl_ns = ttl_ns
        self.table.heartbeat(now_ns, 1)

    def check(self, order: Order, now_ns: int) -> Decision:
        route, arguments = self._call(order, now_ns)
        decision = _decision(route.decide(*arguments))
        assert route.check(*arguments) == decision.reason
        return decision

    def submit(self, order: Order, now_ns: int) -> Decision:
        route, arguments = self._call(order, now_ns)
        return _decision(route.submit(*arguments))

    def _call(self, order: Order, now_ns: int) -> tuple[Any, tuple[int, ...]]:
        route = self.routes.get(order.scopes)
        if route is None:
            route = self.routes[order.scopes] = self.gate.route(*order.scopes)
        return route, (
            order.instrument_id, order.order_id, order.action, order.side, order.order_type, order.flags, order.qty,
            order.price, now_ns, order.target_id, order.parent, order.basket,
        )  # fmt: skip

    def filled(self, account: int, order_id: int, *, qty: int, price: int) -> bool:
        return bool(self.gate.filled(account, order_id, qty, price))

    def closed(self, account: int, order_id: int) -> bool:
        return bool(self.gate.closed(account, order_id))

    def replaced(self, account: int, order_id: int) -> bool:
        return bool(self.gate.replaced(account, order_id))

    def executed(self, order: Order) -> bool:
        return bool(self.gate.executed(order.account, order.instrument_id, order.side, order.qty, order.price))

    def parent(self, account: int, parent: int, qty: int) -> bool:
        return bool(self.gate.parent(account, parent, qty))

    def session(self, session: int, *, up: bool) -> bool:
        return bool(self.gate.session(session, up))

    def reconcile(self, account: int, instrument_id: int, position: int, *, done: bool) -> int | None:
        was: int | None = self.gate.reconcile(account, instrument_id, position, done)
        return was

    def new_day(self) -> None:
        self.gate.new_day()

    def new_day_account(self, account: int) -> None:
        self.gate.new_day_account(account)

    def mark(self) -> None:
        self.gate.mark()

    def positions(self) -> list[tuple[int, ...]]:
        return [tuple(position) for position in self.gate.positions()]

    def working(self) -> list[tuple[int, ...]]:
        return [tuple(map(int, entry)) for entry in self.gate.working()]

    def reopen(self) -> None:
        if self.ledger_path is not None:
            self.routes.clear()
            self.gate.close()
            self.gate = self._open()

    def close(self) -> None:
        self.routes.clear()
        self.gate.close()
        self.table.close()


def held(gate: Gate) -> list[tuple[int, ...]]:
    """Positions that are not all zero, in order."""
    return sorted(position for position in gate.positions() if any(position[2:]))


def _decision(found: Any) -> Decision:
    reason = Reason[found.reason.upper()] if isinstance(found.reason, str) else Reason(found.reason)
    return Decision(
        reason, Verdict(found.verdict), bool(found.warned), bool(found.stale), found.limit, found.observed,
        found.worst_price or 0,
    )  # fmt: skip


def _as_held(row: InstrumentRow) -> InstrumentRow:
    with LimitTable.private(1, 1) as table:
        assert table.put(row.pack())
        held = table.read(row.instrument_id)
    assert held is not None
    return InstrumentRow.unpack(held)
