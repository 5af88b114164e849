"""The sets beside the limit table: members that come and go, no room, and a writer that died inside a change."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gate import _native
from gate._native import HEADER_BYTES, SET_APPROVED, SET_BLOCKED, SET_CAPACITY, SET_LOCATED, SET_REARMED, LimitTable

KINDS: Final = (SET_BLOCKED, SET_APPROVED, SET_REARMED, SET_LOCATED)
SLOTS: Final = 2 * SET_CAPACITY
SET_BYTES: Final = 64 + 16 * SLOTS
INVERSE: Final = 0xF1DE83E19937733D
"""Of the multiplier in limit_set.c, so that hashes can be made from the slots where their search begins."""


def colliding(home: int, tag: int) -> int:
    """Return a hash whose search begins at slot ``home``; equal homes with other tags are other hashes."""
    return (home % SLOTS << 53 | tag) * INVERSE % 2**64


def place(kind: int) -> int:
    return HEADER_BYTES - len(KINDS) * SET_BYTES + kind * SET_BYTES


@pytest.mark.parametrize("kind", KINDS)
def test_member_is_found_with_its_number_until_it_is_dropped(kind: int) -> None:
    table = LimitTable.private(1)
    assert table.set_find(kind, 77) is None
    assert table.set_put(kind, 77, -5)
    assert table.set_find(kind, 77) == -5
    assert table.set_put(kind, 77, 6)
    assert table.set_members(kind) == {77: 6}
    assert [table.set_find(other, 77) for other in KINDS if other != kind] == [None] * 3
    table.set_drop(kind, 78)
    table.set_drop(kind, 0)
    assert table.set_find(kind, 77) == 6
    table.set_drop(kind, 77)
    assert table.set_find(kind, 77) is None
    assert table.set_members(kind) == {}


def test_hash_with_the_filter_bit_of_a_member_is_still_none() -> None:
    table = LimitTable.private(1)
    table.set_put(SET_BLOCKED, 5, 0)
    assert table.set_find(SET_BLOCKED, 5 + 64) is None
    assert table.set_find(SET_BLOCKED, 0) is None


@pytest.mark.parametrize("number", [-(2**63), 2**63 - 1])
def test_hashes_and_numbers_keep_all_their_bits(number: int) -> None:
    table = LimitTable.private(1)
    table.set_put(SET_LOCATED, 2**64 - 1, number)
    assert table.set_members(SET_LOCATED) == {2**64 - 1: number}


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(-3, 3), st.integers(1, 4), st.integers(-(2**63), 2**63 - 1)), max_size=120
    )
)
@settings(max_examples=150)
def test_set_is_a_dictionary_whatever_comes_and_goes_in_colliding_slots(
    steps: list[tuple[bool, int, int, int]],
) -> None:
    known: dict[int, int] = {}
    with LimitTable.private(1) as table:
        for is_put, home, tag, number in steps:
            hash_ = colliding(home, tag)
            if is_put:
                assert table.set_put(SET_APPROVED, hash_, number)
                known[hash_] = number
            else:
                table.set_drop(SET_APPROVED, hash_)
                known.pop(hash_, None)
            assert table.set_find(SET_APPROVED, hash_) == known.get(hash_)
        assert table.set_members(SET_APPROVED) == known
        everything = [colliding(home, tag) for home in range(-3, 4) for tag in range(1, 5)]
        assert [table.set_find(SET_APPROVED, hash_) for hash_ in everything] == [known.get(one) for one in everything]


def test_set_whose_members_come_and_go_all_day_never_fills() -> None:
    with LimitTable.private(1) as table:
        for n in range(1, 20_001):
            assert table.set_put(SET_APPROVED, _native.scope_hash(f"order:{n}"), n)
            if n > 50:
                table.set_drop(SET_APPROVED, _native.scope_hash(f"order:{n - 50}"))
        assert sorted(table.set_members(SET_APPROVED).values()) == list(range(19_951, 20_001))


@pytest.mark.parametrize(
    ("kind", "worst"), [(SET_BLOCKED, 0), (SET_APPROVED, None), (SET_REARMED, None), (SET_LOCATED, None)]
)
def test_member_that_does_not_fit_makes_the_worst_true_until_all_are_listed(kind: int, worst: int | None) -> None:
    table = LimitTable.private(1)
    assert all(table.set_put(kind, n, n) for n in range(1, SET_CAPACITY + 1))
    assert not table.set_overflowed(kind)
    assert [table.set_find(kind, n) for n in (1, SET_CAPACITY, SET_CAPACITY + 1)] == [1, SET_CAPACITY, None]
    assert not table.set_put(kind, SET_CAPACITY + 1, 1)
    assert table.set_overflowed(kind)
    assert [table.set_find(kind, n) for n in (1, SET_CAPACITY + 1, 10**9)] == [worst] * 3
    assert table.set_put(kind, 7, 70), "a member that is there can still change"
    table.set_drop(kind, 1)
    assert table.set_find(kind, 1) == worst
    assert table.set_put(kind, SET_CAPACITY + 1, 5)
    table.set_fit(kind)
    assert [table.set_find(kind, n) for n in (1, 7, SET_CAPACITY + 1)] == [None, 70, 5]
    assert len(table.set_members(kind)) == SET_CAPACITY
    assert not any(table.set_overflowed(other) for other in KINDS)


@pytest.mark.parametrize("kind", [-1, 4, 2**40])
def test_set_that_does_not_exist_is_refused(kind: int) -> None:
    table = LimitTable.private(1)
    uses: tuple[Callable[[], object], ...] = (
        lambda: table.set_put(kind, 1, 1),
        lambda: table.set_drop(kind, 1),
        lambda: table.set_find(kind, 1),
        lambda: table.set_members(kind),
        lambda: table.set_overflowed(kind),
        lambda: table.set_fit(kind),
    )
    for use in uses:
        with pytest.raises(ValueError, match="a set is 0 to 3"):
            use()


def test_no_hash_and_numbers_beyond_64_bits_are_refused() -> None:
    table = LimitTable.private(1)
    with pytest.raises(ValueError, match="hash 0"):
        table.set_put(SET_BLOCKED, 0, 1)
    for hash_, number in ((2**64, 1), (-1, 1), (1, 2**63)):
        with pytest.raises(OverflowError):
            table.set_put(SET_BLOCKED, hash_, number)
    assert table.set_members(SET_BLOCKED) == {}


def write_word(path: Path, offset: int, raw: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(raw)


def test_writer_that_died_inside_a_change_leaves_the_worst_and_the_next_writer_mends_it(tmp_path: Path) -> None:
    path = tmp_path / "limits"
    first, second, third = (colliding(9, tag) for tag in (1, 2, 3))
    with LimitTable.create(path, 1) as writer:
        for kind in KINDS:
            for number, hash_ in enumerate((first, second, third), 1):
                writer.set_put(kind, hash_, number)
    for kind in KINDS:
        # Dead while `first` was being dropped: `second` was drawn forward and its old slot is not cleared yet.
        write_word(path, place(kind) + 8, struct.pack("<I", 7))
        write_word(path, place(kind) + 64 + 8 * 9, struct.pack("<Q", second))
        write_word(path, place(kind) + 64 + 8 * (SLOTS + 9), struct.pack("<q", 2))
    with LimitTable.attach(path) as reader:
        assert reader.set_find(SET_BLOCKED, first) == 0, "blocked, because the set does not stand still"
        assert [reader.set_find(kind, third) for kind in KINDS[1:]] == [None] * 3
        with pytest.raises(_native.LimitTableError, match="torn read of set"):
            reader.set_members(SET_BLOCKED)
        with LimitTable.create(path, 1):
            for kind in KINDS:
                assert reader.set_members(kind) == {second: 2, third: 3}
                assert [reader.set_find(kind, one) for one in (first, second, third)] == [None, 2, 3]


def test_sets_of_a_table_outlive_its_writer(tmp_path: Path) -> None:
    path = tmp_path / "limits"
    with LimitTable.create(path, 1) as writer:
        writer.set_put(SET_REARMED, 3, 4)
    with LimitTable.attach(path) as reader:
        assert reader.set_find(SET_REARMED, 3) == 4
