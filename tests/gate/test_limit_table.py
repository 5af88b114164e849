"""The table in shared memory: opening, taking over, room, kill switches, and reads that are never torn."""

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from gate import _native
from gate._native import ACCOUNTS_MAX, ROW_BYTES, LimitTable, LimitTableError, account_hash

ROOT = Path(__file__).parents[2]
DESK = account_hash("DESK-1")
SIZES = {
    "version": 8,
    "header_size": 12,
    "row_size": 16,
    "row_count_max": 20,
    "slot_count": 24,
    "account_count_max": 28,
}
KILLED = _native.REASONS.index("killed")
UNKNOWN = _native.REASONS.index("unknown_instrument")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "limits"


def market_order(table: LimitTable, account: int = DESK, instrument_id: int = 1) -> int:
    return table.check(instrument_id, account, _native.ORDER_NEW, _native.ORDER_BUY, _native.ORDER_MARKET, 1, 0, 50)


def open_row(table: LimitTable, instrument_id: int = 1) -> bool:
    return table.put(
        instrument_id,
        envelope_qty=10,
        dynamic_qty=10,
        stale_qty=1,
        envelope_band_bps=10,
        dynamic_band_bps=10,
        stale_band_bps=1,
        valid_until_ns=100,
    )


def patch(path: Path, offset: int, raw: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(raw)


def test_row_is_two_cache_lines() -> None:
    assert ROW_BYTES == 128


def test_reader_sees_what_the_writer_writes(path: Path) -> None:
    with LimitTable.create(path, 8) as writer, LimitTable.attach(path) as reader:
        assert reader.read(1) is None
        assert open_row(writer)
        row = reader.read(1)
        assert row is not None
        assert (row.instrument_id, row.envelope_qty, row.written_ns) == (1, 10, 0)
        assert market_order(reader) == 0
        writer.heartbeat(77, 5)
        assert (reader.writer_heartbeat_ns, reader.epoch, reader.row_count, reader.capacity) == (77, 5, 1, 8)
        assert reader.writer_pid > 0


def test_missing_table_is_refused_with_its_path(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="limits"):
        LimitTable.attach(path)


@pytest.mark.parametrize(
    ("offset", "raw", "message"),
    [
        (0, b"NOTATIDE", "wrong magic"),
        (SIZES["version"], struct.pack("<I", 9), "wrong version: was 9, wanted 1"),
        (SIZES["row_size"], struct.pack("<I", 64), "wrong row size: was 64, wanted 128"),
        (SIZES["account_count_max"], struct.pack("<I", 1), "wrong row size"),
        (SIZES["row_count_max"], struct.pack("<I", 0), "wrong size"),
        (SIZES["slot_count"], struct.pack("<I", 2**31), "wrong size"),
    ],
    ids=["magic", "version", "row-size", "accounts", "no-rows", "more-slots-than-bytes"],
)
def test_attach_refuses_another_format_and_says_which(path: Path, offset: int, raw: bytes, message: str) -> None:
    LimitTable.create(path, 8).close()
    patch(path, offset, raw)
    with pytest.raises(LimitTableError, match=message):
        LimitTable.attach(path)


@pytest.mark.parametrize("length", [0, 7, 200, 5000])
def test_attach_refuses_a_file_cut_short(path: Path, length: int) -> None:
    LimitTable.create(path, 64).close()
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(LimitTableError, match="wrong size"):
        LimitTable.attach(path)


def test_create_leaves_a_file_alone_that_is_no_table(path: Path) -> None:
    path.write_bytes(b"precious" * 1000)
    with pytest.raises(LimitTableError, match="wrong magic"):
        LimitTable.create(path, 8)
    assert path.read_bytes() == b"precious" * 1000


@pytest.mark.parametrize("capacity", [0, 2**24 + 1])
def test_impossible_capacity_is_refused(path: Path, capacity: int) -> None:
    with pytest.raises(LimitTableError, match="capacity must be"):
        LimitTable.create(path, capacity)
    with pytest.raises(LimitTableError, match="capacity must be"):
        LimitTable.private(capacity)


def test_second_writer_is_refused_until_the_first_is_gone(path: Path) -> None:
    with LimitTable.create(path, 8), pytest.raises(LimitTableError, match="another writer"):
        LimitTable.create(path, 8)
    LimitTable.create(path, 8).close()


def test_next_writer_takes_the_table_over_under_attached_readers(path: Path) -> None:
    writer = LimitTable.create(path, 8)
    open_row(writer)
    writer.kill_account(account_hash("other"))
    with LimitTable.attach(path) as reader:
        writer.close()
        with LimitTable.create(path, 8) as heir:
            assert heir.read(1) is not None
            assert heir.killed_accounts() == [account_hash("other")]
            heir.kill_firm(True)
            assert market_order(reader) == KILLED


def test_table_of_another_capacity_is_replaced_and_old_readers_keep_their_memory(path: Path) -> None:
    with LimitTable.create(path, 8) as writer:
        open_row(writer)
    with LimitTable.attach(path) as reader, LimitTable.create(path, 16) as heir:
        assert heir.capacity == 16
        assert heir.row_count == 0
        assert market_order(reader) == 0


def test_reader_cannot_write(path: Path) -> None:
    with LimitTable.create(path, 8), LimitTable.attach(path) as reader:
        for write in (
            lambda: open_row(reader),
            lambda: reader.kill_firm(True),
            lambda: reader.kill_account(1),
            lambda: reader.rearm_account(1),
            reader.accounts_fit,
            lambda: reader.heartbeat(1, 1),
        ):
            with pytest.raises(LimitTableError, match="attached for reading"):
                write()


def test_closed_table_answers_with_an_error_and_not_with_a_decision(path: Path) -> None:
    table = LimitTable.create(path, 8)
    table.close()
    table.close()
    for use in (lambda: market_order(table), lambda: table.read(1), lambda: open_row(table), lambda: table.epoch):
        with pytest.raises(ValueError, match="closed"):
            use()


def test_full_table_refuses_a_new_instrument_and_still_serves_the_others() -> None:
    table = LimitTable.private(3)
    assert [open_row(table, n) for n in (1, 2, 3, 4)] == [True, True, True, False]
    assert open_row(table, 2)
    assert sorted(table.instrument_ids()) == [1, 2, 3]
    assert [market_order(table, instrument_id=n) for n in (1, 2, 3, 4)] == [0, 0, 0, UNKNOWN]


def test_every_row_is_found_among_many_and_no_other() -> None:
    table = LimitTable.private(3000)
    ids = [*range(1, 1001), *(1000 * n for n in range(2, 1002)), *(2**32 - 1 - n for n in range(1000))]
    for instrument_id in ids:
        assert table.put(instrument_id, tick_ns=instrument_id)
    assert sorted(set(ids)) == sorted(table.instrument_ids())
    for instrument_id in ids:
        row = table.read(instrument_id)
        assert row is not None
        assert (row.instrument_id, row.tick_ns) == (instrument_id, instrument_id)
    assert all(table.read(instrument_id) is None for instrument_id in (1001, 1999, 2_000_001))


@pytest.mark.parametrize(
    ("instrument_id", "field", "value"),
    [(0, "tier", 0), (2**32, "tier", 0), (-1, "tier", 0), (1, "tier", 4), (1, "tier", -1), (1, "stale_qty", -1),
     (1, "envelope_band_bps", -5), (1, "model_id", "m" * 25)],
)  # fmt: skip
def test_row_that_makes_no_sense_is_refused(instrument_id: int, field: str, value: object) -> None:
    table = LimitTable.private(1)
    with pytest.raises(ValueError):
        table.put(instrument_id, **{field: value})  # type: ignore[arg-type]
    assert table.row_count == 0


def test_band_above_the_largest_is_stored_tighter_and_never_as_unset() -> None:
    table = LimitTable.private(1)
    table.put(1, envelope_band_bps=2**40)
    row = table.read(1)
    assert row is not None
    assert row.envelope_band_bps == _native.BAND_BPS_MAX


def test_killed_account_is_blocked_and_no_other() -> None:
    table = LimitTable.private(1)
    open_row(table)
    other = account_hash("DESK-2")
    assert table.kill_account(DESK)
    assert table.kill_account(DESK)
    assert (market_order(table), market_order(table, other)) == (KILLED, 0)
    table.rearm_account(DESK)
    assert market_order(table) == 0
    assert table.killed_accounts() == []


def test_kill_that_does_not_fit_blocks_every_account_until_all_are_listed() -> None:
    table = LimitTable.private(1)
    open_row(table)
    others = [account_hash(f"A{n}") for n in range(ACCOUNTS_MAX)]
    assert all(table.kill_account(other) for other in others)
    assert market_order(table) == 0
    assert not table.kill_account(account_hash("one too many"))
    assert table.accounts_overflowed
    assert market_order(table) == KILLED
    table.rearm_account(others[7])
    assert market_order(table) == KILLED
    assert table.kill_account(account_hash("one too many"))
    table.accounts_fit()
    assert (market_order(table), market_order(table, others[7]), market_order(table, others[8])) == (0, 0, KILLED)


def test_writer_that_died_inside_a_write_leaves_a_refusal_and_the_next_write_mends_it(path: Path) -> None:
    with LimitTable.create(path, 1) as writer:
        open_row(writer)
    content = path.read_bytes()
    at = content.index(struct.pack("<II", 2, 1), len(content) - 2 * ROW_BYTES)  # sequence 2, instrument 1
    patch(path, at, struct.pack("<I", 3))
    with LimitTable.attach(path) as reader, LimitTable.create(path, 1) as heir:
        assert _native.REASONS[market_order(reader)] == "torn_read"
        with pytest.raises(LimitTableError, match="torn read of instrument 1"):
            reader.read(1)
        open_row(heir)
        assert market_order(reader) == 0


WRITER = """
import sys
from gate._native import LimitTable
with LimitTable.create(sys.argv[1], 4) as table:
    print("ready", flush=True)
    n = 0
    while True:
        n += 1
        table.put(1, envelope_qty=n, dynamic_qty=n, stale_qty=n, envelope_band_bps=n % 9999, dynamic_band_bps=n % 9999,
                  stale_band_bps=n % 9999, ref_price=n, valid_until_ns=n, epoch=n, tick_ns=n, score=float(n),
                  model_id=f"{n:024d}", written_ns=n)
"""


def test_reader_never_mixes_two_writes_of_another_process(path: Path) -> None:
    LimitTable.create(path, 4).close()
    command = [sys.executable, "-c", WRITER, str(path)]
    with (
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer,
        LimitTable.attach(path) as reader,
    ):
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            seen: set[int] = set()
            while len(seen) < 3_000:
                assert writer.poll() is None, "the writer is at work"
                seen.update(_one_write(reader) for _ in range(10_000))
        finally:
            writer.kill()


def _one_write(reader: LimitTable) -> int:
    """Read until the row holds one whole write, and return its number."""
    while True:
        try:
            row = reader.read(1)
        except LimitTableError:  # said to be torn: that is an answer, and the gate refuses on it
            continue
        if row is None:
            continue
        n = row.tick_ns
        qty = (row.envelope_qty, row.dynamic_qty, row.stale_qty)
        bands = (row.envelope_band_bps, row.dynamic_band_bps, row.stale_band_bps)
        assert qty == (n, n, n)
        assert bands == (n % 9999,) * 3
        assert (row.ref_price, row.valid_until_ns, row.epoch, row.written_ns) == (n, n, n, n)
        assert (row.score, row.model_id) == (float(n), f"{n:024d}")
        return n
