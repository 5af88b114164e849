"""Reading by comparison says what reading in full says."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from history import tick_rows
from history.tick_rows import FEATURES, TickReader, ticks_table
from schemas.errors import MessageError
from schemas.ticks import Ticks, decode_ticks, encode_ticks

T0_NS = 1_768_487_428_000_000_000


def message(rows: int, *, seed: int = 0, channel: str = "SIM", epoch: int = 1) -> bytes:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, len(FEATURES)))
    values[rng.random(values.shape) < 0.1] = np.nan
    return encode_ticks(
        Ticks(
            channel_id=channel,
            epoch=epoch,
            spec_hash="0123456789abcdef",
            feature_names=FEATURES,
            tick_ns=T0_NS + rng.integers(0, 10**9, rows),
            instrument_id=rng.integers(0, 1 << 32, rows, dtype=np.uint32),
            status=rng.integers(0, 1 << 32, rows, dtype=np.uint32),
            ref_price=rng.integers(-(1 << 62), 1 << 62, rows),
            values=values,
        )
    )


def again(raw: bytes, *, nullable: bool = False, options: pa.ipc.IpcWriteOptions | None = None) -> bytes:
    """Return the message as another encoder would write it."""
    batch = pa.ipc.open_stream(raw).read_next_batch()
    schema = pa.schema([pa.field(f.name, f.type, nullable) for f in batch.schema], metadata=batch.schema.metadata)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
    return bytes(sink.getvalue())


def rows_of(raw: bytes) -> list[tuple[object, ...]]:
    ticks = decode_ticks(raw)
    fixed = zip(
        ticks.tick_ns.tolist(),
        ticks.instrument_id.tolist(),
        ticks.status.tolist(),
        ticks.ref_price.tolist(),
        strict=True,
    )
    return [
        (ticks.channel_id, ticks.epoch, *first, *(float(value).hex() for value in values))
        for first, values in zip(fixed, ticks.values, strict=True)
    ]


def rows_in(table: pa.Table) -> list[tuple[object, ...]]:
    columns = [
        table["channel_id"].to_pylist(),
        table["epoch"].to_pylist(),
        table["tick_ns"].cast(pa.int64()).to_pylist(),
    ]
    columns += [table[name].to_pylist() for name in ("instrument_id", "status", "ref_price")]
    columns += [[value.hex() for value in table[name].to_pylist()] for name in FEATURES]
    return list(zip(*columns, strict=True))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 4),
            st.integers(0, 9),
            st.sampled_from(["A", "B"]),
            st.sampled_from([1, 2]),
            st.integers(0, 2),
        ),
        max_size=12,
    )
)
def test_any_mixture_of_messages_gives_the_rows_of_each(plan: list[tuple[int, int, str, int, int]]) -> None:
    raws = [message(rows, seed=seed, channel=channel, epoch=epoch) for rows, seed, channel, epoch, _ in plan]
    reader = TickReader()
    parts = [reader.read(written(raw, form)) for raw, (*_, form) in zip(raws, plan, strict=True)]
    assert [part.row_count for part in parts] == [rows for rows, *_ in plan]
    wanted = sorted(row for raw in raws for row in rows_of(raw))
    assert sorted(rows_in(ticks_table(parts))) == wanted


def written(raw: bytes, form: int) -> bytes:
    return (raw, again(raw, nullable=True), again(raw, options=COMPRESSED))[form]


COMPRESSED = pa.ipc.IpcWriteOptions(compression="zstd")


def test_next_message_of_a_channel_is_read_by_its_head() -> None:
    reader = TickReader()
    first, second = reader.read(message(3, seed=1)), reader.read(message(3, seed=2))
    assert second.head is first.head
    assert reader.read(message(3, seed=2, epoch=2)).head is not first.head


def test_more_heads_than_are_kept_are_read_in_full_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tick_rows, "HEADS_MAX", 2)
    reader = TickReader()
    parts = [reader.read(message(1, seed=number, channel=f"C{number % 3}")) for number in range(9)]
    assert ticks_table(parts)["channel_id"].to_pylist().count("C2") == 3


def test_known_head_does_not_let_a_message_cut_short_pass() -> None:
    reader = TickReader()
    raw = message(3)
    reader.read(raw)
    for cut in range(0, len(raw) - 8, 7):
        with pytest.raises(MessageError):
            reader.read(raw[:cut])


def test_nulls_under_fields_marked_without_them_are_refused() -> None:
    batch = pa.ipc.open_stream(message(2)).read_next_batch()
    columns = [*batch.columns[:-1], pa.array([None, 1.0])]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=batch.schema))
    with pytest.raises(MessageError, match="nulls"):
        TickReader().read(bytes(sink.getvalue()))
