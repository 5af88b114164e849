"""The decision ring: what goes in comes out, full rings count, dead processes leave their entries."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate._native import REASONS, RECORD_BYTES, DecisionRing
from gate.trail.decision_record import RECORD, TORN, DecisionEntry, entries_of, is_torn

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "gate" / "native"
U64, I64, BYTE = st.integers(0, 2**64 - 1), st.integers(-(2**63), 2**63 - 1), st.integers(0, 255)


def entry(number: int = 1, **changes: object) -> DecisionEntry:
    return DecisionEntry(now_ns=number, instrument_id=number, order_id=number, account=7)._replace(**changes)  # type: ignore[arg-type]


def push(ring: DecisionRing, made: DecisionEntry, text: bytes = b"") -> bool:
    return ring.push(RECORD.pack(*made), text)


def drained(ring: DecisionRing, most: int = 1 << 20) -> list[DecisionEntry]:
    found = list(entries_of(ring.read(most)))
    ring.release(len(found))
    return found


@pytest.fixture
def ring() -> Iterator[DecisionRing]:
    with DecisionRing.create(None, 8) as made:
        yield made


def test_layout_in_python_is_the_layout_in_c() -> None:
    assert RECORD.size == RECORD_BYTES
    layout = DecisionRing.layout()
    assert [name.removeprefix("order.") for name in layout] == list(DecisionEntry._fields)
    least: dict[str, object] = {"score": 5e-324, "model_id": b"\1", "order_text": b"\1"}  # the lowest bit alone is set
    for name, offset in layout.items():
        field = name.removeprefix("order.")
        raw = RECORD.pack(*DecisionEntry()._replace(**{field: least.get(field, 1)}))  # type: ignore[arg-type]
        assert [place for place, byte in enumerate(raw) if byte] == [offset], field


entries = st.builds(
    DecisionEntry, seq=st.just(0), wall_offset_ns=st.just(0), text_length=st.just(0), order_text=st.just(b""),
    now_ns=I64, instrument_id=I64, order_id=U64, target_id=U64, account=U64, trader=U64, desk=U64,
    strategy=U64, venue=U64, session=U64, parent=U64, basket=U64, qty=I64, price=I64, action=BYTE, side=BYTE, type=BYTE,
    flags=BYTE, limit=I64, observed=I64, worst_price=I64, ref_price=I64, epoch=I64, tick_ns=I64, score=st.floats(allow_nan=False),
    position_before=I64, working_buy_before=I64, working_sell_before=I64, model_id=st.binary(min_size=24, max_size=24),
    reason=st.integers(0, len(REASONS) - 1), verdict=st.integers(0, 2), tier=BYTE, marks=st.integers(0, 15),
)  # fmt: skip


@given(made=entries, text=st.binary(max_size=90), offset=I64)
def test_what_was_pushed_is_read_field_for_field(made: DecisionEntry, text: bytes, offset: int) -> None:
    with DecisionRing.create(None, 2) as ring:
        ring.set_wall_offset(offset)
        assert push(ring, made, text)
        (found,) = drained(ring)
        assert found == made._replace(
            seq=1, wall_offset_ns=offset, text_length=len(text), order_text=text[:64].ljust(64, b"\0")
        )


STEPS = st.one_of(
    st.tuples(st.sampled_from(["push", "read"]), st.integers(1, 9)),
    st.tuples(st.just("release"), st.integers(0, 9)),
    st.just(("rewind", 0)),
)


@given(steps=st.lists(STEPS, max_size=40))
def test_ring_agrees_with_a_list_and_every_number_is_accounted_for(steps: list[tuple[str, int]]) -> None:
    held: list[int] = []
    cursor = number = lost = released = 0
    with DecisionRing.create(None, 8) as ring:
        for step, count in steps:
            if step == "push":
                for _ in range(count):
                    number += 1
                    assert push(ring, entry(number)) is (len(held) < 8)
                    lost += len(held) >= 8
                    held += [number] if len(held) < 8 else []
            elif step == "read":
                assert [found.seq for found in entries_of(ring.read(count))] == held[cursor : cursor + count]
                cursor = min(cursor + count, len(held))
            elif step == "release" and count > cursor:
                with pytest.raises(ValueError, match="were not read"):
                    ring.release(count)
            elif step == "release":
                ring.release(count)
                held, cursor, released = held[count:], cursor - count, released + count
            else:
                ring.rewind()
                cursor = 0
        assert ring.counters() == {
            "numbered": number, "pending": len(held), "released": released, "lost": lost, "torn": 0,
        }  # fmt: skip


def test_full_ring_counts_losses_by_reason_and_leaves_holes_in_the_numbers(ring: DecisionRing) -> None:
    for number in range(8):
        assert push(ring, entry(number))
    assert not push(ring, entry(reason=7))
    assert not push(ring, entry(reason=7))
    assert not push(ring, entry(reason=2))
    assert not push(ring, entry(reason=60_000))
    assert ring.lost_by_reason() == {2: 1, 7: 2, 63: 1}
    assert [found.seq for found in drained(ring)] == list(range(1, 9))
    assert push(ring, entry())
    assert [found.seq for found in drained(ring)] == [13]


@pytest.mark.parametrize("capacity", [0, 1, 3, 1000, (1 << 22) + 1])
def test_capacity_that_is_no_power_of_two_is_refused(capacity: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        DecisionRing.create(None, capacity)


def test_closed_ring_refuses_every_call() -> None:
    ring = DecisionRing.create(None, 2)
    ring.close()
    ring.close()
    for call in (lambda: push(ring, entry()), lambda: ring.read(1), ring.counters, ring.rewind, lambda: ring.identity):
        with pytest.raises(ValueError, match="closed"):
            call()


def test_record_of_another_length_is_refused(ring: DecisionRing) -> None:
    with pytest.raises(ValueError, match=f"{RECORD_BYTES} bytes"):
        ring.push(b"short", b"")


def test_file_keeps_identity_numbers_and_entries_for_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "ring"
    with DecisionRing.create(path, 8, 42) as ring:
        for number in range(1, 11):
            push(ring, entry(number))
        ring.release(len(list(entries_of(ring.read(3)))))
        ring.read(2)  # read and not released: still there
    with DecisionRing.create(path, 8, 43) as ring:
        assert ring.identity == 42
        assert ring.counters() == {"numbered": 10, "pending": 5, "released": 3, "lost": 2, "torn": 0}
        assert [found.instrument_id for found in drained(ring)] == [4, 5, 6, 7, 8]
        push(ring, entry())
        assert drained(ring)[0].seq == 11


def test_second_process_meets_the_lock(tmp_path: Path) -> None:
    with DecisionRing.create(tmp_path / "ring", 8), pytest.raises(ValueError, match="another process"):
        DecisionRing.create(tmp_path / "ring", 8)


@pytest.mark.parametrize("damage", ["capacity", "length", "magic"])
def test_file_that_is_no_such_ring_is_refused_and_left_alone(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "ring"
    DecisionRing.create(path, 8).close()
    raw = bytearray(path.read_bytes())
    if damage == "length":
        raw = raw[:-1]
    elif damage == "magic":
        raw[0] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="no decision ring"):
        DecisionRing.create(path, 16 if damage == "capacity" else 8)
    assert path.read_bytes() == raw


HEAD, TAIL, NUMBERED, TURN = 128, 72, 64, 704  # places in the file: header lines 1 and 2, then the first slot


def patched(path: Path, place: int, value: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[place : place + 8] = value.to_bytes(8, "little")
    path.write_bytes(raw)


def test_entry_that_was_being_written_at_death_is_torn_and_the_others_survive(tmp_path: Path) -> None:
    path = tmp_path / "ring"
    with DecisionRing.create(path, 8) as ring:
        for number in range(1, 4):
            push(ring, entry(number))
    patched(path, TURN + 320, 1)  # the second was claimed and never published
    with DecisionRing.create(path, 8) as ring:
        assert ring.counters()["torn"] == 1
        found = drained(ring)
        assert [(is_torn(one), one.seq) for one in found] == [(False, 1), (True, 0), (False, 3)]
        assert found[1].marks == TORN
    with DecisionRing.create(path, 8) as ring:
        assert ring.counters() == {"numbered": 3, "pending": 0, "released": 3, "lost": 0, "torn": 1}


def test_number_given_and_place_not_yet_claimed_at_death_is_torn(tmp_path: Path) -> None:
    path = tmp_path / "ring"
    with DecisionRing.create(path, 8) as ring:
        push(ring, entry())
    patched(path, NUMBERED, 2)
    with DecisionRing.create(path, 8) as ring:
        assert ring.counters()["torn"] == 1
        assert len(drained(ring)) == 1


def test_entry_released_at_death_and_not_yet_free_is_freed(tmp_path: Path) -> None:
    path = tmp_path / "ring"
    with DecisionRing.create(path, 8) as ring:
        for number in range(1, 3):
            push(ring, entry(number))
    patched(path, HEAD, 1)  # the first was released, its turn not yet given back
    with DecisionRing.create(path, 8) as ring:
        assert [found.seq for found in drained(ring)] == [2]
        assert all(push(ring, entry()) for _ in range(8))


@pytest.mark.parametrize(("place", "value"), [(HEAD, 5), (TAIL, 99), (TURN, 77), (NUMBERED, 0)])
def test_positions_that_contradict_each_other_are_refused(tmp_path: Path, place: int, value: int) -> None:
    path = tmp_path / "ring"
    with DecisionRing.create(path, 8) as ring:
        push(ring, entry())
        push(ring, entry())
    patched(path, place, value)
    with pytest.raises(ValueError, match="damaged"):
        DecisionRing.create(path, 8)


PUSH_FOR_EVER = """
import sys
from gate._native import DecisionRing
from gate.trail.decision_record import RECORD, DecisionEntry
ring = DecisionRing.create(sys.argv[1], 65536)
print("ready", flush=True)
number = 0
while True:
    number += 1
    ring.push(RECORD.pack(*DecisionEntry(now_ns=number, order_id=number)), str(number).encode())
"""


def test_process_killed_while_pushing_leaves_its_entries_whole(tmp_path: Path) -> None:
    path = tmp_path / "ring"
    with subprocess.Popen(
        [sys.executable, "-c", PUSH_FOR_EVER, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        while int.from_bytes(path.read_bytes()[NUMBERED : NUMBERED + 8], "little") < 1_000:
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    with DecisionRing.create(path, 65536) as ring:
        found = [one for one in drained(ring) if not is_torn(one)]
        counters = ring.counters()
    assert len(found) >= 1_000
    assert [one.seq for one in found] == list(range(1, len(found) + 1))
    assert all(one.now_ns == one.order_id == int(one.order_text.rstrip(b"\0")) == one.seq for one in found)
    assert counters["numbered"] == len(found) + counters["lost"] + counters["torn"]


def test_measuring_counts_losses_when_nobody_drains() -> None:
    samples = np.zeros(10, np.uint32)
    with DecisionRing.create(None, 64) as ring:
        assert ring.measure_pushes(samples, 16, True) == 0
        assert ring.measure_pushes(samples, 16, False) == 160 - 64
        assert samples.all()
        with pytest.raises(ValueError, match="batch above 0"):
            ring.measure_pushes(samples, 0, False)


@pytest.mark.integration
@pytest.mark.parametrize("sanitizers", ["thread", "address,undefined"])
@pytest.mark.parametrize("kept", ["private", "file"])
def test_producers_and_consumer_at_once_are_clean_under_sanitizers(tmp_path: Path, sanitizers: str, kept: str) -> None:
    compiler = shutil.which("gcc")
    if compiler is None:
        if os.environ.get("CI") == "true":
            pytest.fail("gcc is missing")
        pytest.skip("gcc is missing: the ring was NOT run under the sanitizers")
    built = tmp_path / "ring_race"
    warnings = ["-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fno-omit-frame-pointer"]
    sources = [str(ROOT / "tests/gate/native/ring_race.c"), str(NATIVE / "ring/decision_ring.c")]
    subprocess.run(
        [compiler, *warnings, f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all", f"-I{NATIVE}", *sources, "-o",
         str(built), "-lpthread"], check=True,
    )  # fmt: skip
    command = [str(built), *([str(tmp_path / "ring")] if kept == "file" else [])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if "unexpected memory mapping" in done.stderr:  # the kernel's address randomisation is beyond this TSan runtime
        done = subprocess.run(["setarch", "-R", *command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout == "broken=0 twice=0 disordered=0 uncounted=0\n"
