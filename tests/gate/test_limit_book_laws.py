"""Laws of the limit book: order, repetition and moving change nothing, and a move never lets a mix of lives pass."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gate import _native
from gate._native import LimitTable
from gate.policy.limit_book import LimitBook
from gate.rows import AccountRow, InstrumentRow, tighter
from schemas.records import CommandKind, RiskCommand, RiskState, Tier
from tests.gate.policies import ACCOUNT, COMMAND, ENVELOPE, FAR_NS, STATE, alone, envelopes

KINDS = (_native.SET_BLOCKED, _native.SET_APPROVED, _native.SET_REARMED, _native.SET_LOCATED)
ACCOUNTS = ("account:A", "account:B")

states = st.builds(
    replace,
    st.just(STATE),
    instrument_id=st.integers(1, 3),
    tick_ns=st.integers(1, 6),
    epoch=st.integers(1, 3),
    tier=st.sampled_from(Tier),
    stale=st.booleans(),
    ref_price=st.none() | st.integers(1, 9),
)
scopes = st.sampled_from(["firm", *ACCOUNTS, "desk:D", "strategy:S", "order:O", "instrument:1", "instrument:2"])
commands = st.builds(
    replace,
    st.just(COMMAND),
    command_id=st.integers(0, 60).map(str),
    kind=st.sampled_from(CommandKind),
    scope=scopes,
    envelope=st.just(ENVELOPE) | envelopes,
    account=st.sampled_from([ACCOUNT, replace(ACCOUNT, credit=5), replace(ACCOUNT, class_ids=())]),
    instrument_id=st.integers(1, 2),
    qty=st.integers(0, 3),
    checker=st.sampled_from(["checker", None]),
    administrator=st.sampled_from(["", "broker"]),
    expires_ns=st.sampled_from([FAR_NS, FAR_NS + 1, None]),
)
histories = st.lists(states | commands, max_size=20)


def play(history: list[RiskState | RiskCommand], between: Callable[[LimitBook], None] = lambda _: None) -> LimitBook:
    book = LimitBook(LimitTable.private(8, 8), ttl_ns=4)
    for item in history:
        if isinstance(item, RiskState):
            book.apply_state(item)
        else:
            book.apply_command(item)
        between(book)
    return book


def content(table: LimitTable) -> dict[str, Any]:
    """Return everything that a reader can see; a row that says nothing counts as none."""
    rows = {key: table.read(key) for key in table.instrument_ids()}
    accounts = {key: table.read_account(key) for key in table.accounts()}
    return {
        "firm": table.firm_killed,
        "rows": {key: row for key, row in rows.items() if row != InstrumentRow(key).pack()},
        "accounts": {key: row for key, row in accounts.items() if row != AccountRow(key).pack()},
        "sets": [(table.set_members(kind), table.set_overflowed(kind)) for kind in KINDS],
    }


@given(histories)
def test_book_that_moves_after_every_step_writes_the_same_as_one_that_stays(history: list[Any]) -> None:
    moving = play(history, lambda book: book.move_to(LimitTable.private(8, 8)))
    assert content(moving.table) == content(play(history).table)


@given(histories)
def test_history_delivered_twice_writes_the_same_as_once(history: list[Any]) -> None:
    unrefused = [
        item
        for item in history
        if isinstance(item, RiskState) or play(history).apply_command(item).cause == "duplicate"
    ]
    once, twice = play(unrefused), play(unrefused + unrefused)
    assert content(once.table) == content(twice.table)


@given(histories, st.sampled_from(Tier))
def test_dynamic_column_is_never_looser_than_the_envelope_and_one_person_never_loosens(
    history: list[Any], tier: Tier
) -> None:
    book = play(history)
    book.apply_state(replace(STATE, epoch=9, tier=tier))
    before = row_of(book)
    assert tighter(before.envelope, before.dynamic) == before.dynamic
    single = alone(COMMAND, command_id="new", envelope=ENVELOPE)
    book.apply_command(single)
    after = row_of(book)
    assert [
        (was, will)
        for was, will in zip(before.envelope.values()[:7], after.envelope.values()[:7], strict=True)
        if will is not None and (was is None or will > was)
    ] == []


def row_of(book: LimitBook, instrument_id: int = 1) -> InstrumentRow:
    raw = book.table.read(instrument_id)
    assert raw is not None
    return InstrumentRow.unpack(raw)


class PowerCutError(Exception):
    """The writer died."""


@dataclass
class Watched:
    """A table that shows itself after every write, and dies at one of them."""

    table: LimitTable
    look: Callable[[LimitTable], None]
    writes_left: int

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.table, name)
        if name not in {"put", "put_account", "kill_firm", "set_put", "set_drop", "set_fit"}:
            return found

        def write(*arguments: Any) -> Any:
            if self.writes_left == 0:
                raise PowerCutError
            self.writes_left -= 1
            answer = found(*arguments)
            self.look(self.table)
            return answer

        return write


def what_counts(table: LimitTable) -> Iterator[Any]:
    """Yield, per instrument and account, everything that a judgement of a NEW order can depend on."""
    for instrument_id, account in itertools.product(table.instrument_ids(), table.accounts()):
        found = table.read(instrument_id), table.read_account(account), [table.set_members(kind) for kind in KINDS]
        yield instrument_id, account, found


@settings(max_examples=40)
@given(histories, histories, st.integers(0, 60))
def test_at_no_moment_of_a_move_does_the_table_pass_what_neither_life_passes_even_when_the_writer_dies(
    past: list[Any], present: list[Any], cut: int
) -> None:
    old, new = play(past), play(present)
    target = old.table
    before = list(what_counts(target)), target.firm_killed
    expected = content(new.table)

    def look(table: LimitTable) -> None:
        # While the firm is killed nothing passes. Whenever it is not, the table is wholly of one life.
        if not table.firm_killed:
            assert (list(what_counts(table)), False) == before or content(table) == expected

    watched: Any = Watched(target, look, cut)
    try:
        new.move_to(watched)
    except PowerCutError:
        look(target)
        assert cut == 0 or target.firm_killed
    else:
        assert content(target) == expected


def test_move_to_a_table_that_is_too_small_leaves_it_closed() -> None:
    book = play([replace(STATE, instrument_id=number) for number in (1, 2)])
    small = LimitTable.private(1, 1)
    with pytest.raises(RuntimeError, match="no room for instrument 2"):
        book.move_to(small)
    assert small.firm_killed
