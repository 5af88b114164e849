"""The table in shared memory: opening, taking over, room, heartbeat, and reads that are never torn."""

import struct
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from gate import _native
from gate._native import (
    ACCOUNT_SLOT_BYTES,
    HEADER_BYTES,
    SLOT_BYTES,
    LimitTable,
    LimitTableError,
    pair_hash,
    scope_hash,
)
from gate.rows import AccountRow, InstrumentRow, Limits

ROOT: Final = Path(__file__).parents[2]
DESK: Final = scope_hash("account:DESK-1")
PLACES: Final = {
    "version": 8,
    "header_size": 12,
    "row_size": 16,
    "row_count_max": 20,
    "slot_count": 24,
    "account_count_max": 28,
    "account_slot_count": 32,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "limits"


def put(table: LimitTable, instrument_id: int = 1, **fields: int) -> bool:
    return table.put(InstrumentRow(instrument_id, **fields).pack())  # type: ignore[arg-type]


def read(table: LimitTable, instrument_id: int = 1) -> InstrumentRow | None:
    raw = table.read(instrument_id)
    return None if raw is None else InstrumentRow.unpack(raw)


def patch(path: Path, offset: int, raw: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(raw)


def test_rows_are_five_and_two_cache_lines() -> None:
    assert (SLOT_BYTES, ACCOUNT_SLOT_BYTES, HEADER_BYTES % 64) == (320, 128, 0)


def test_reader_sees_what_the_writer_writes(path: Path) -> None:
    with LimitTable.create(path, 8, 4) as writer, LimitTable.attach(path) as reader:
        assert read(reader) is None
        assert reader.read_account(DESK) is None
        assert put(writer, tick_size=3)
        assert read(reader) == InstrumentRow(1, tick_size=3)
        account = AccountRow(DESK, gross_value=5, class_mask=1)
        assert writer.put_account(account.pack())
        assert reader.read_account(DESK) == account.pack()
        assert reader.accounts() == [DESK]
        writer.heartbeat(77, 5)
        writer.heartbeat_ttl_ns = 9
        writer.kill_firm(True)
        assert (reader.writer_heartbeat_ns, reader.epoch, reader.heartbeat_ttl_ns, reader.firm_killed) == (
            77,
            5,
            9,
            True,
        )
        assert (reader.row_count, reader.capacity, reader.account_count, reader.account_capacity) == (1, 8, 1, 4)
        assert reader.writer_pid > 0


def test_missing_table_is_refused_with_its_path(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="limits"):
        LimitTable.attach(path)


@pytest.mark.parametrize(
    ("offset", "raw", "message"),
    [
        (0, b"NOTATIDE", "wrong magic"),
        (PLACES["version"], struct.pack("<I", 9), "wrong version: was 9, wanted 3"),
        (PLACES["row_size"], struct.pack("<I", 128), "wrong row size: was 128, wanted 320"),
        (PLACES["header_size"], struct.pack("<I", 64), "wrong row size"),
        (PLACES["row_count_max"], struct.pack("<I", 0), "wrong size"),
        (PLACES["slot_count"], struct.pack("<I", 2**31), "wrong size"),
        (PLACES["account_count_max"], struct.pack("<I", 2**20 + 1), "wrong size"),
        (PLACES["account_slot_count"], struct.pack("<I", 2), "wrong size"),
    ],
    ids=["magic", "version", "row", "header", "no-rows", "more-slots-than-bytes", "accounts", "account-slots"],
)
def test_attach_refuses_another_format_and_says_which(path: Path, offset: int, raw: bytes, message: str) -> None:
    LimitTable.create(path, 8, 8).close()
    patch(path, offset, raw)
    with pytest.raises(LimitTableError, match=message):
        LimitTable.attach(path)


@pytest.mark.parametrize("length", [0, 7, 200, 5000, HEADER_BYTES, HEADER_BYTES + 400])
def test_attach_refuses_a_file_cut_short(path: Path, length: int) -> None:
    LimitTable.create(path, 64).close()
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(LimitTableError, match="wrong size"):
        LimitTable.attach(path)


def test_create_leaves_a_file_alone_that_is_no_table(path: Path) -> None:
    for content in (b"precious" * 1000, b"precious" * 30_000):
        path.write_bytes(content)
        with pytest.raises(LimitTableError, match="wrong magic"):
            LimitTable.create(path, 8)
        assert path.read_bytes() == content


def test_table_of_the_first_version_is_replaced_though_it_is_shorter_than_a_header(path: Path) -> None:
    path.write_bytes(b"TIDEGATE" + struct.pack("<6I", 1, 0, 128, 8, 16, 4096) + bytes(9000))
    with pytest.raises(LimitTableError, match="wrong version: was 1, wanted 3"):
        LimitTable.attach(path)
    with LimitTable.create(path, 8) as heir:
        assert heir.row_count == 0


@pytest.mark.parametrize(
    ("instruments", "accounts"), [(0, 1), (2**24 + 1, 1), (1, 0), (1, 2**20 + 1), (-1, 1), (2**32 + 1, 1)]
)
def test_impossible_capacity_is_refused(path: Path, instruments: int, accounts: int) -> None:
    with pytest.raises(LimitTableError, match="capacity must be"):
        LimitTable.create(path, instruments, accounts)
    with pytest.raises(LimitTableError, match="capacity must be"):
        LimitTable.private(instruments, accounts=accounts)
    assert not path.exists()


def test_second_writer_is_refused_until_the_first_is_gone(path: Path) -> None:
    with LimitTable.create(path, 8), pytest.raises(LimitTableError, match="another writer"):
        LimitTable.create(path, 8)
    LimitTable.create(path, 8).close()


def test_next_writer_takes_the_table_over_under_attached_readers(path: Path) -> None:
    writer = LimitTable.create(path, 8)
    put(writer, epoch=1)
    writer.put_account(AccountRow(DESK, credit=4).pack())
    writer.set_put(_native.SET_BLOCKED, DESK, 1)
    writer.heartbeat_ttl_ns = 12
    with LimitTable.attach(path) as reader:
        writer.close()
        with LimitTable.create(path, 8) as heir:
            assert read(heir) == InstrumentRow(1, epoch=1)
            assert heir.read_account(DESK) == AccountRow(DESK, credit=4).pack()
            assert heir.set_members(_native.SET_BLOCKED) == {DESK: 1}
            assert heir.heartbeat_ttl_ns == 12
            heir.kill_firm(True)
            assert reader.firm_killed


@pytest.mark.parametrize(("instruments", "accounts"), [(16, 4), (8, 5)])
def test_table_of_another_capacity_is_replaced_and_old_readers_keep_their_memory(
    path: Path, instruments: int, accounts: int
) -> None:
    with LimitTable.create(path, 8, 4) as writer:
        put(writer)
    with LimitTable.attach(path) as reader, LimitTable.create(path, instruments, accounts) as heir:
        assert (heir.capacity, heir.account_capacity, heir.row_count) == (instruments, accounts, 0)
        assert read(reader) == InstrumentRow(1)


def test_reader_cannot_write(path: Path) -> None:
    with LimitTable.create(path, 8), LimitTable.attach(path) as reader:
        for write in (
            lambda: put(reader),
            lambda: reader.put_account(AccountRow(1).pack()),
            lambda: reader.kill_firm(True),
            lambda: reader.set_put(0, 1, 1),
            lambda: reader.set_drop(0, 1),
            lambda: reader.set_fit(0),
            lambda: reader.heartbeat(1, 1),
            lambda: setattr(reader, "heartbeat_ttl_ns", 1),
        ):
            with pytest.raises(LimitTableError, match="attached for reading"):
                write()


def test_closed_table_answers_with_an_error_and_not_with_a_row(path: Path) -> None:
    table = LimitTable.create(path, 8)
    table.close()
    table.close()
    for use in (
        lambda: table.read(1),
        lambda: table.read_account(1),
        lambda: put(table),
        lambda: table.set_find(0, 1),
        lambda: table.set_members(0),
        lambda: table.set_overflowed(0),
        lambda: table.writer_dead(1),
        lambda: table.epoch,
    ):
        with pytest.raises(ValueError, match="closed"):
            use()


def test_full_table_refuses_a_new_row_and_still_serves_the_others() -> None:
    table = LimitTable.private(3, accounts=2)
    assert [put(table, n) for n in (1, 2, 3, 4)] == [True, True, True, False]
    assert put(table, 2, epoch=9)
    assert sorted(table.instrument_ids()) == [1, 2, 3]
    assert read(table, 2) == InstrumentRow(2, epoch=9)
    assert table.read(4) is None
    assert [table.put_account(AccountRow(n).pack()) for n in (7, 8, 9)] == [True, True, False]
    assert table.put_account(AccountRow(8, credit=1).pack())
    assert sorted(table.accounts()) == [7, 8]
    assert table.read_account(9) is None


def test_every_row_is_found_among_many_and_no_other() -> None:
    table = LimitTable.private(3000, 3000)
    ids = [*range(1, 1001), *(1000 * n for n in range(2, 1002)), *(2**32 - 1 - n for n in range(1000))]
    for instrument_id in ids:
        assert put(table, instrument_id, tick_ns=instrument_id)
        assert table.put_account(AccountRow(instrument_id << 32, credit=instrument_id).pack())
    assert sorted(set(ids)) == sorted(table.instrument_ids())
    for instrument_id in ids:
        assert read(table, instrument_id) == InstrumentRow(instrument_id, tick_ns=instrument_id)
        account = AccountRow(instrument_id << 32, credit=instrument_id)
        assert table.read_account(account.account) == account.pack()
    assert all(table.read(instrument_id) is None for instrument_id in (1001, 1999, 2_000_001, 0, -1, 2**32))
    assert all(table.read_account(account) is None for account in (0, 1, 2**64 - 1))


@pytest.mark.parametrize(
    ("at", "byte", "message"),
    [(0, 0, "instrument_id"), (4, 4, "tier"), (5, 64, "class_id"), (6, 2, "switch"), (10, 255, "switch")],
)
def test_bytes_that_are_no_row_are_refused(at: int, byte: int, message: str) -> None:
    table = LimitTable.private(1)
    raw = bytearray(InstrumentRow(1).pack())
    raw[at] = byte
    with pytest.raises(ValueError, match=message):
        table.put(bytes(raw))
    for wrong in (b"", bytes(raw)[:-1], bytes(raw) + b"\0"):
        with pytest.raises(ValueError, match="a row has 384 bytes"):
            table.put(wrong)
    with pytest.raises(ValueError, match="a row has 128 bytes"):
        table.put_account(b"")
    with pytest.raises(ValueError, match="account must not be 0"):
        table.put_account(bytes(128))
    assert (table.row_count, table.account_count) == (0, 0)


@pytest.mark.parametrize(
    ("ttl_ns", "heartbeat_ns", "now_ns", "dead"),
    [
        (0, 0, 2**62, False),
        (0, 0, 0, False),
        (10, 100, 110, False),
        (10, 100, 111, True),
        (10, 100, 50, False),
        (10, 0, 11, True),
        (10, 100, 0, True),
        (10, 100, -5, True),
        (10, -(2**63), 1, True),
        (2**63 - 1, -1, 2**63 - 1, True),
    ],
)
def test_silent_writer_is_dead_after_its_ttl(ttl_ns: int, heartbeat_ns: int, now_ns: int, *, dead: bool) -> None:
    table = LimitTable.private(1)
    table.heartbeat(heartbeat_ns, 1)
    table.heartbeat_ttl_ns = ttl_ns
    assert table.writer_dead(now_ns) is dead


def test_negative_ttl_is_refused() -> None:
    table = LimitTable.private(1)
    with pytest.raises(ValueError, match="at least 0"):
        table.heartbeat_ttl_ns = -1


def test_scope_hash_is_fnv_1a() -> None:
    assert [scope_hash(text) for text in ("", "a", "foobar")] == [
        0xCBF29CE484222325,
        0xAF63DC4C8601EC8C,
        0x85944171F73967E8,
    ]


def test_pair_hash_tells_account_and_instrument_apart() -> None:
    pairs = {pair_hash(account, instrument) for account in range(100) for instrument in range(100)}
    assert len(pairs) == 10_000
    assert 0 not in pairs
    assert pair_hash(0, 0) == 1


def test_every_reason_has_a_word_and_a_rule_of_its_own() -> None:
    known = ("ok", "invalid_order", "killed", "unknown_instrument", "torn_read", "limit_unset", "halted",
             "max_order_size", "no_reference_price", "price_band")  # fmt: skip
    assert _native.REASONS[:10] == known
    assert len(_native.REASONS) == len(_native.RULES) == len(set(_native.REASONS)) == len(set(_native.RULES)) == 44
    assert all(len(rule.split("-")) == 3 and rule.startswith("TG-") and rule.isupper() for rule in _native.RULES)


def test_reason_numbers_are_those_of_the_header() -> None:
    header = (ROOT / "gate/native/order/order.h").read_text()
    for number, word in enumerate(_native.REASONS):
        assert f"REASON_{word.upper()} = {number}," in header


def test_writer_that_died_inside_a_write_leaves_a_refusal_and_the_next_write_mends_it(path: Path) -> None:
    with LimitTable.create(path, 1, 1) as writer:
        put(writer)
        writer.put_account(AccountRow(DESK).pack())
    content = path.read_bytes()
    row = content.index(struct.pack("<II", 2, 1), HEADER_BYTES)  # sequence 2, instrument 1
    account = content.index(struct.pack("<QQ", 2, DESK), HEADER_BYTES)
    patch(path, row, struct.pack("<I", 3))
    patch(path, account, struct.pack("<Q", 3))
    with LimitTable.attach(path) as reader, LimitTable.create(path, 1, 1) as heir:
        with pytest.raises(LimitTableError, match="torn read of instrument 1"):
            reader.read(1)
        with pytest.raises(LimitTableError, match=f"torn read of account {DESK}"):
            reader.read_account(DESK)
        put(heir, epoch=2)
        heir.put_account(AccountRow(DESK, credit=1).pack())
        assert read(reader) == InstrumentRow(1, epoch=2)
        assert reader.read_account(DESK) == AccountRow(DESK, credit=1).pack()


WRITER = """
import sys
from gate._native import LimitTable
from gate.rows import InstrumentRow, Limits
with LimitTable.create(sys.argv[1], 4) as table:
    print("ready", flush=True)
    n = 0
    while True:
        n += 1
        limits = Limits(*(n % 9999 for _ in range(10)))
        table.put(InstrumentRow(1, limits, limits, limits, ref_price=n, ref_low=n, ref_high=n, ref_until_ns=n,
            valid_until_ns=n, tick_size=n, lot_nano=n, qty_min=n, qty_step=n, epoch=n, tick_ns=n, written_ns=n,
            score=float(n), model_id=f"{n:024d}").pack())
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
            while len(seen) < 1_000:
                assert writer.poll() is None, "the writer is at work"
                seen.update(_one_write(reader) for _ in range(1_000))
        finally:
            writer.kill()


def _one_write(reader: LimitTable) -> int:
    """Read until the row holds one whole write, and return its number."""
    while True:
        try:
            row = read(reader)
        except LimitTableError:  # said to be torn: that is an answer, and the gate refuses on it
            continue
        if row is None:
            continue
        n = row.tick_ns
        limits = Limits(*(n % 9999 for _ in range(10)))
        assert (row.envelope, row.dynamic, row.stale_limits) == (limits, limits, limits)
        assert (row.ref_price, row.ref_low, row.ref_high, row.ref_until_ns, row.valid_until_ns) == (n,) * 5
        assert (row.tick_size, row.lot_nano, row.qty_min, row.qty_step, row.epoch, row.written_ns) == (n,) * 6
        assert (row.score, row.model_id) == (float(n), f"{n:024d}")
        return n
