"""Every published record becomes a row that fits its table; bad messages become causes."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from features.spec import FEATURE_NAMES
from history import rows
from history.migrate import read_migrations
from history.queries import KEYS
from schemas import codec, topics
from schemas.errors import MessageError
from schemas.records import DeadLetter, RiskState, Tier
from schemas.scores import ScoreRows
from schemas.ticks import Ticks, encode_ticks

GOLDEN = Path(__file__).parents[1] / "golden" / "schemas"
T0_NS = 1_768_487_428_000_000_000
AVRO = sorted(
    path
    for path in GOLDEN.glob("*.bin")
    if path.name.split(".v")[0] in rows.TABLE_OF.keys() - {topics.FEATURES_TICKS, topics.RISK_SCORES}
)


def tick_message(
    *, count: int = 2, names: tuple[str, ...] = rows.FEATURES, channel: str = "SIM", epoch: int = 3
) -> bytes:
    values = np.arange(count * len(names), dtype=np.float64).reshape(count, len(names))
    values[0, 0] = np.nan
    return encode_ticks(
        Ticks(
            channel_id=channel,
            epoch=epoch,
            spec_hash="0123456789abcdef",
            feature_names=names,
            tick_ns=np.full(count, T0_NS + 1),
            instrument_id=np.arange(1, count + 1, dtype=np.uint32),
            status=np.zeros(count, np.uint32),
            ref_price=np.full(count, 5),
            values=values,
        )
    )


def columns_of(table: str) -> list[str]:
    """Return the column names in the migrations: of the table as it was made, then those added."""
    return created(table) + [
        name
        for migration in read_migrations()
        for statement in migration.statements
        if statement.startswith(f"ALTER TABLE {table}\n")
        for name in re.findall(r"ADD COLUMN IF NOT EXISTS (\w+) (?!.* MATERIALIZED )", statement)
    ]


def created(table: str) -> list[str]:
    for migration in read_migrations():
        for statement in migration.statements:
            if statement.startswith(f"CREATE TABLE IF NOT EXISTS {table}\n"):
                body = statement.split("\n(\n", 1)[1].split("\n)\n", 1)[0]
                names = re.findall(r"^    `?(\w+)`? (?!.* MATERIALIZED )", body, re.MULTILINE)
                nested = re.findall(r"(\w+) Nested\((.*)\)", body)
                for name, inner in nested:
                    at = names.index(name)
                    names[at : at + 1] = [f"{name}.{part.split()[0]}" for part in inner.split(", ")]
                return names
    raise AssertionError(table)


def test_feature_columns_are_those_of_the_specification() -> None:
    assert rows.FEATURES == FEATURE_NAMES, "write a migration that adds the new feature's column"


def test_ticks_migration_has_the_columns_of_the_arrow_table() -> None:
    made = rows.ticks_table([parsed_ticks()])
    assert sorted(columns_of("ticks")) == sorted(made.schema.names)
    assert columns_of("ticks")[-len(rows.FEATURES) :] == list(rows.FEATURES)


@pytest.mark.parametrize("table", sorted(rows.SCHEMAS))
def test_migration_has_the_columns_of_the_arrow_schema(table: str) -> None:
    assert columns_of(table) == rows.SCHEMAS[table].names


def test_migrations_order_tables_by_the_keys_that_queries_count() -> None:
    text = "\n".join(migration.sql for migration in read_migrations())
    for table, key in KEYS.items():
        made = re.findall(rf"EXISTS {table}\n.*?ORDER BY \(?(.*?)\)?(?:;|\nTTL)", text, re.DOTALL)
        changed = re.findall(rf"ALTER TABLE {table}\n[^;]*MODIFY ORDER BY \((.*?)\);", text)
        copied = re.findall(rf"EXISTS {table}_ordered AS {table}\n[^;]*ORDER BY \((.*?)\);", text)
        assert [*made, *changed, *copied][-1] == key


@pytest.mark.parametrize("path", AVRO, ids=lambda path: path.name)
def test_published_record_becomes_one_row(path: Path) -> None:
    topic = path.name.split(".v")[0]
    table = rows.TABLE_OF[topic]
    row = rows.parse(topic, path.read_bytes(), 1_700_000_000_000)
    assert isinstance(row, dict)
    made = rows.rows_table(table, [row, row])
    assert made.num_rows == 2
    assert made.schema.equals(rows.SCHEMAS[table])


def test_every_table_has_a_published_record() -> None:
    assert {rows.TABLE_OF[path.name.split(".v")[0]] for path in AVRO} == set(rows.SCHEMAS)


def test_state_keeps_causes_as_arrays_and_time_to_the_nanosecond() -> None:
    topic = topics.RISK_STATES
    record = codec.decode(topic, (GOLDEN / "risk.states.v1.high_alert.bin").read_bytes())
    assert isinstance(record, RiskState)
    made = rows.rows_table("risk_states", [rows.to_row(record, 0)])
    assert made["causes.name"].to_pylist() == [[cause.name for cause in record.causes]]
    assert made["causes.share"].to_pylist() == [[cause.share for cause in record.causes]]
    assert made["tick_ns"].cast(pa.int64()).to_pylist() == [record.tick_ns]
    assert made["tier"].to_pylist() == ["HIGH_ALERT"]


def test_tiers_of_the_tables_are_those_of_the_records() -> None:
    listed = ", ".join(f"'{tier.name}' = {int(tier)}" for tier in Tier)
    sql = "\n".join(migration.sql for migration in read_migrations())
    assert sql.count("Enum8(") == sql.count(f"Enum8({listed})") > 0


def test_dead_letter_takes_the_time_of_its_message_and_keeps_bytes() -> None:
    letter = DeadLetter("bad_arrow", "cut", "x", "t", 1, 2, b"\xff\x00")
    row = rows.to_row(letter, 1_700_000_000_123)
    made = rows.rows_table("dead_letters", [row])
    assert made["raw"].to_pylist() == [b"\xff\x00"]
    assert made["observed_ns"].cast(pa.int64()).to_pylist() == [1_700_000_000_123_000_000]


def test_scores_are_joined_with_their_own_model_and_measures() -> None:
    raw = (GOLDEN / "risk.scores.v1.two_rows.bin").read_bytes()
    first = rows.parse(topics.RISK_SCORES, raw, 0)
    assert isinstance(first, ScoreRows)
    assert rows.row_count(first) == 2
    bare = replace(first, model_id="other", shadow=True, measures=(), measure_p=np.empty((2, 0)))
    made = rows.table_of_parts("scores", [first, bare])
    assert made.schema.names == columns_of("scores")
    assert made["model_id"].to_pylist() == ["default", "default", "other", "other"]
    assert made["shadow"].to_pylist() == [False, False, True, True]
    assert made["measures.name"].to_pylist() == [["length", "network"]] * 2 + [[], []]
    assert made["measures.p"].to_pylist()[0] == [0.02, 1e-5]
    assert made["tick_ns"].cast(pa.int64()).to_pylist() == list(first.tick_ns) * 2


def parsed_ticks(**changes: Any) -> rows.TickRows:
    parsed = rows.parse(topics.FEATURES_TICKS, tick_message(**changes), 0)
    assert isinstance(parsed, rows.TickRows)
    return parsed


def test_tick_messages_are_joined_with_their_own_metadata() -> None:
    made = rows.ticks_table([parsed_ticks(), parsed_ticks(count=1, channel="B", epoch=9), parsed_ticks()])
    assert made["channel_id"].to_pylist() == ["SIM", "SIM", "SIM", "SIM", "B"]
    assert made["epoch"].to_pylist() == [3, 3, 3, 3, 9]
    assert made["tick_ns"].cast(pa.int64()).to_pylist() == [T0_NS + 1] * 5
    assert np.isnan(made["spread_bps"].to_pylist()[0])


def test_tick_message_without_rows_adds_none() -> None:
    raw = encode_batch(pa.ipc.open_stream(tick_message()).read_next_batch().slice(0, 0))
    empty = rows.parse(topics.FEATURES_TICKS, raw, 0)
    assert isinstance(empty, rows.TickRows)
    assert rows.ticks_table([empty]).num_rows == 0
    assert rows.ticks_table([empty, parsed_ticks()]).num_rows == 2


def encode_batch(batch: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def test_ticks_of_an_encoder_that_marks_fields_nullable_are_joined_with_ours_unless_they_hold_nulls() -> None:
    ours = pa.ipc.open_stream(tick_message()).read_next_batch()
    loose = pa.schema([pa.field(f.name, f.type) for f in ours.schema], metadata=ours.schema.metadata)
    other = rows.parse(topics.FEATURES_TICKS, encode_batch(pa.RecordBatch.from_arrays(ours.columns, schema=loose)), 0)
    assert isinstance(other, rows.TickRows)
    assert rows.ticks_table([parsed_ticks(), other]).num_rows == 4
    columns = [*ours.columns[:-1], pa.array([None, 1.0])]
    with pytest.raises(MessageError, match="nulls"):
        rows.parse(topics.FEATURES_TICKS, encode_batch(pa.RecordBatch.from_arrays(columns, schema=loose)), 0)


@pytest.mark.parametrize(
    "names", [rows.FEATURES[:-1], (*rows.FEATURES, "new_one"), rows.FEATURES[::-1], ("x", *rows.FEATURES[1:])]
)
def test_ticks_with_other_features_are_refused_with_the_names(names: tuple[str, ...]) -> None:
    with pytest.raises(MessageError) as caught:
        rows.parse(topics.FEATURES_TICKS, tick_message(names=names), 0)
    assert caught.value.cause == "unknown_columns"
    assert "migration" in caught.value.detail


@pytest.mark.parametrize(("epoch", "cause"), [(-1, "bad_record"), (1 << 64, "bad_record")])
def test_ticks_with_an_epoch_that_the_table_cannot_hold_are_refused(epoch: int, cause: str) -> None:
    with pytest.raises(MessageError) as caught:
        rows.parse(topics.FEATURES_TICKS, tick_message(epoch=epoch), 0)
    assert caught.value.cause == cause


@pytest.mark.parametrize("field", ["instrument_id", "epoch"])
def test_record_that_the_table_cannot_hold_is_refused_with_the_field(field: str) -> None:
    plain = codec.to_plain(codec.decode(topics.RISK_STATES, (GOLDEN / "risk.states.v1.high_alert.bin").read_bytes()))
    raw = codec.encode(topics.RISK_STATES, codec.from_plain(topics.RISK_STATES, plain | {field: -1}))
    with pytest.raises(MessageError, match=f"bad_record: {field}"):
        rows.parse(topics.RISK_STATES, raw, 0)


@pytest.mark.parametrize("topic", sorted(rows.TABLE_OF))
@pytest.mark.parametrize("raw", [b"", b"\x00", b"\xc3\x01", b"poison" * 9])
def test_bytes_that_are_no_message_are_refused(topic: str, raw: bytes) -> None:
    with pytest.raises(MessageError):
        rows.parse(topic, raw, 0)
