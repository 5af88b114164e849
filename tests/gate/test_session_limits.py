"""The message rate that people set a session: who may, whose counts, and what is left of it in another table."""

from dataclasses import replace
from typing import Any

import pytest

from gate._native import LimitTable, scope_hash
from gate.policy.administrators import NO_ACCOUNT
from gate.rows import UNLIMITED, AccountRow
from schemas.records import CommandKind
from tests.gate.policies import TICK_NS
from tests.gate.test_limit_book import Desk

ALONE: dict[str, Any] = {"checker": None, "reason": "", "expires_ns": None}


@pytest.fixture
def desk() -> Desk:
    return Desk()


def said_of_session(desk: Desk, per_s: int, burst: int, **changes: Any) -> tuple[str, int | None, int | None]:
    """What becomes of a rate that people set a session, and what is in force then."""
    limits = replace(NO_ACCOUNT, messages_per_s=per_s, message_burst=burst)
    cause = desk.command(CommandKind.SET_ACCOUNT, "session:FIX-1", account=limits, **changes)
    row = desk.account("session:FIX-1")
    return (cause, None, None) if row is None else (cause, row.messages_per_s, row.message_burst)


def test_one_person_sets_or_lowers_the_rate_of_a_session_and_two_raise_it_for_a_while(desk: Desk) -> None:
    assert desk.account("session:FIX-1") is None
    assert said_of_session(desk, 10, 20, **ALONE) == ("applied", 10, 20)
    assert said_of_session(desk, 8, 20, **ALONE) == ("applied", 8, 20)
    assert said_of_session(desk, 9, 20, **ALONE) == ("no_checker", 8, 20)
    assert said_of_session(desk, 9, 20, expires_ns=None) == ("no_expiry", 8, 20)
    assert said_of_session(desk, UNLIMITED, UNLIMITED, expires_ns=TICK_NS + 9, until_ns=41) == (
        "applied",
        UNLIMITED,
        UNLIMITED,
    )
    assert len(desk.book.expire(41)) == 1
    row = desk.account("session:FIX-1")
    assert row is not None
    assert (row.messages_per_s, row.message_burst, row.gross_value, row.class_mask) == (8, 20, None, 0)


def test_tightest_administrator_of_a_session_wins(desk: Desk) -> None:
    assert said_of_session(desk, 10, 20, **ALONE) == ("applied", 10, 20)
    assert said_of_session(desk, 30, 5, administrator="broker", **ALONE) == ("applied", 10, 5)
    assert said_of_session(desk, 50, 50, expires_ns=TICK_NS + 9) == ("applied", 30, 5)


def test_rates_of_sessions_move_to_another_table_and_those_of_a_past_life_block(desk: Desk) -> None:
    assert said_of_session(desk, 10, 20, **ALONE)[0] == "applied"
    table = LimitTable.private(8, 8)
    assert table.put_account(AccountRow(scope_hash("session:OLD"), messages_per_s=5, message_burst=5).pack())
    desk.book.move_to(table)
    assert said_of_session(desk, 10, 20, **ALONE) == ("applied", 10, 20)
    old = desk.account("session:OLD")
    assert old is not None
    assert (old.messages_per_s, old.message_burst) == (None, None)
