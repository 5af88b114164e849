"""Our gate, called from Python as a trading system written in Python calls it.

Invariant: every limit of the instrument and of the account is set, so every rule is computed; nothing is granted for want of a
number. ``check`` judges; ``submit`` judges and books, and the order is closed again outside the timed span. As with
the others, the order exists before the clock starts, and the time of day is an argument.
"""

import argparse
import itertools
import sys
from collections.abc import Iterator
from typing import Final

from benchmarks.peers.rounds import Engine, serve
from gate import _native
from gate._native import Decision, Gate, LimitTable, scope_hash
from gate.rows import AccountRow, InstrumentRow, Limits

INSTRUMENT: Final = 1
QTY: Final = 100
REF: Final = 50 * 10**9
CENT: Final = 10**7
PRICES: Final = 100
STEP_NS: Final = 10_000
START_NS: Final = 10**18
FAR_NS: Final = 2 * START_NS
MILLION: Final = 10**12
LIMITS: Final = Limits(
    order_qty=500,
    order_value=MILLION,
    long=1_000_000,
    short=1_000_000,
    band_bps=500,
    band_ticks=5_000,
    period_band_bps=1_000,
    quote_offset_bps=0,
    message_weight=1_000,
    margin=1_000,
)


def prepare_check() -> Engine:
    """Return the judgement alone."""
    gate = _gate()
    route = gate.route(
        scope_hash("account:A1"), scope_hash("trader:T1"), scope_hash("desk:D1"), scope_hash("strategy:S1")
    )
    passed = 0

    def settle(_order: object, answer: object) -> None:
        nonlocal passed
        passed += answer == 0

    orders = _orders()
    return Engine(
        name="Tidegate check",
        orders=lambda count: list(itertools.islice(orders, count)),
        check=route.check,
        settle=settle,
        passed=lambda: passed,
    )


def prepare_submit() -> Engine:
    """Return judgement and booking in one call, with the evidence of the decision."""
    gate, account = _gate(), scope_hash("account:A1")
    route = gate.route(account, scope_hash("trader:T1"), scope_hash("desk:D1"), scope_hash("strategy:S1"))
    passed = 0

    def settle(order: tuple[object, ...], answer: object) -> None:
        nonlocal passed
        assert isinstance(answer, Decision)
        assert isinstance(order[1], int)
        passed += answer.reason == 0
        gate.closed(account, order[1])

    orders = _orders()
    return Engine(
        name="Tidegate submit",
        orders=lambda count: list(itertools.islice(orders, count)),
        check=route.submit,
        settle=settle,
        passed=lambda: passed,
    )


def _orders() -> Iterator[tuple[int, ...]]:
    """Yield limit buys at a hundred prices, each with an id and a time of its own, no two equal ones in a row."""
    for number in itertools.count(1):
        price = REF - CENT * (number % PRICES)
        now_ns = START_NS + number * STEP_NS
        kind = _native.ORDER_NEW, _native.ORDER_BUY, _native.ORDER_LIMIT, 0
        yield INSTRUMENT, number, *kind, QTY - number % 2, price, now_ns


def _gate() -> Gate:
    table = LimitTable.private(4_096, 256)
    row = InstrumentRow(
        instrument_id=INSTRUMENT,
        envelope=LIMITS,
        dynamic=LIMITS,
        stale_limits=LIMITS,
        warn_permille=900,
        pend_permille=950,
        ref_price=REF,
        ref_low=REF,
        ref_high=REF,
        ref_until_ns=FAR_NS,
        valid_until_ns=FAR_NS,
        tick_size=CENT,
        lot_nano=10**9,
        qty_min=1,
        qty_step=1,
    )
    account = AccountRow(
        account=scope_hash("account:A1"),
        gross_value=100 * MILLION,
        net_value=100 * MILLION,
        instrument_value=100 * MILLION,
        credit=100 * MILLION,
        day_loss=MILLION,
        drawdown=MILLION,
        period_value=10**6 * MILLION,
        basket_value=MILLION,
        open_orders=1_000,
        messages_per_s=1_000_000,
        message_burst=1_000,
        repeats_max=10,
        period_ns=10**9,
        duplicate_ns=STEP_NS * PRICES // 2,
        class_mask=1,
    )
    assert table.put(row.pack()), "an empty table has room for a row"
    assert table.put_account(account.pack()), "an empty table has room for an account"
    return Gate(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--books", action="store_true")
    books, sys.argv[1:] = parser.parse_known_args()
    raise SystemExit(serve(prepare_submit if books.books else prepare_check))
