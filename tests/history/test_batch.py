"""Batches: when they are due, which offsets they cover, and where bad messages go."""

from pathlib import Path

import pytest

from history.batch import Arrival, Batch, Bounds
from schemas import topics
from schemas.errors import Place

GOLDEN = Path(__file__).parents[1] / "golden" / "schemas"
STATE = (GOLDEN / "risk.states.v1.high_alert.bin").read_bytes()
DECISION = (GOLDEN / "orders.decisions.v1.too_large.bin").read_bytes()
BOUNDS = Bounds(rows=3, bytes=10_000, age_ns=200)


def arrival(value: bytes, *, offset: int = 0, topic: str = topics.RISK_STATES, partition: int = 0) -> Arrival:
    return Arrival(Place(topic, partition, offset), value, 1)


@pytest.fixture
def batch() -> Batch:
    return Batch(BOUNDS)


def test_empty_batch_is_never_due(batch: Batch) -> None:
    assert not batch.is_due(10**18)
    assert batch.tables() == []


def test_batch_is_due_by_age_of_its_first_message(batch: Batch) -> None:
    batch.add(arrival(STATE), 1_000)
    batch.add(arrival(STATE, offset=1), 1_190)
    assert not batch.is_due(1_199)
    assert batch.is_due(1_200)


def test_batch_is_due_by_rows(batch: Batch) -> None:
    for offset in range(3):
        assert not batch.is_due(0)
        batch.add(arrival(STATE, offset=offset), 0)
    assert batch.is_due(0)


def test_batch_is_due_by_bytes_even_when_all_are_bad(batch: Batch) -> None:
    batch.add(arrival(b"x" * 10_000), 0)
    assert batch.is_due(0)
    assert batch.rows == 0


def test_offsets_cover_good_and_bad_messages_of_every_partition(batch: Batch) -> None:
    batch.add(arrival(STATE, offset=7), 0)
    batch.add(arrival(b"poison", offset=8), 0)
    batch.add(arrival(DECISION, offset=3, topic=topics.ORDERS_DECISIONS, partition=2), 0)
    assert batch.offsets == {(topics.RISK_STATES, 0): 9, (topics.ORDERS_DECISIONS, 2): 4}
    assert {name: table.num_rows for name, table in batch.tables()} == {"risk_states": 1, "decisions": 1}


def test_bad_message_becomes_a_dead_letter_with_its_place_and_bytes(batch: Batch) -> None:
    batch.add(arrival(b"poison", offset=8, partition=1), 0)
    (letter,) = batch.letters
    assert (letter.cause, letter.source) == ("unknown_schema", "history.writer")
    assert (letter.topic, letter.partition, letter.offset, letter.raw) == (topics.RISK_STATES, 1, 8, b"poison")


def test_bad_dead_letter_is_counted_and_makes_no_letter(batch: Batch) -> None:
    batch.add(arrival(b"poison", offset=8, topic=topics.DEAD_LETTERS), 0)
    assert batch.letters == []
    assert batch.unusable_letters == 1
    assert batch.offsets == {(topics.DEAD_LETTERS, 0): 9}
