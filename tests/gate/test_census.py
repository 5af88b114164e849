"""Rows are counted as orders would find them: fresh until their time, stale or expired after, never before a first state."""

from dataclasses import replace

from gate._native import LimitTable
from gate.policy.limit_book import LimitBook
from schemas.records import Tier
from tests.gate import policies


def test_rows_are_counted_by_validity_and_tier() -> None:
    book = LimitBook(LimitTable.private(8, 4), ttl_ns=1_000)
    for number, changes in (
        (1, {"tier": Tier.ELEVATED}),
        (2, {"stale": True}),
        (3, {"degraded": True, "tier": Tier.ELEVATED}),
    ):
        state = replace(policies.STATE, instrument_id=number, **changes)
        book.apply_state(state, valid_until_ns=500 if number == 3 else 2_000)
    now, later = book.census(1_000), book.census(2_000)
    assert (now["fresh"], now["stale"], now["expired"], now["degraded"]) == (1, 1, 1, 1)
    assert now[f"tier_{int(Tier.ELEVATED)}"] == 2
    assert (later["fresh"], later["stale"], later["expired"]) == (0, 0, 3)
