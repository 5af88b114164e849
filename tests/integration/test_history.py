"""The history writer against a real broker and chDB: kills, repeats, bad messages, readers, clean end."""

import json
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import confluent_kafka
import numpy as np
import pytest

from deploy.local.ports import free_ports
from history import client, queries, rows
from history.client import QueryError, QueryTimeoutError, Result, ResultTooLargeError, StoreError
from schemas import codec, topics
from schemas.records import OrderDecision
from schemas.ticks import Ticks, encode_ticks
from schemas.units import TICK_NS

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
JARS = ROOT / "jars" / "broker"
GOLDEN = ROOT / "tests" / "golden" / "schemas"
T0_NS = 1_768_487_428_000_000_000
INSTRUMENTS = 4


class Stack:
    """A broker with the topics, and a writer that can be started, killed and ended."""

    def __init__(self, folder: Path, port: int) -> None:
        self.status_dir = folder / "state"
        self.settings = folder / "history.toml"
        self.settings.write_text(
            f'bootstrap_servers = "127.0.0.1:{port}"\ndata_dir = "{folder / "data"}"\n'
            f'status_dir = "{self.status_dir}"\nsocket_path = "{self.status_dir / "history.sock"}"\n'
            "batch_rows = 400\nbatch_age_ms = 30\n"
        )
        self._producer = confluent_kafka.Producer({"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 2})
        self._writer: subprocess.Popen[bytes] | None = None

    def send(self, topic: str, value: bytes) -> None:
        self._producer.produce(topic, value=value)
        self._producer.flush(10) if len(self._producer) > 1_000 else self._producer.poll(0)

    def start_writer(self, *, flush: bool = True) -> None:
        if flush:
            self._producer.flush(10)
        command = [sys.executable, "-m", "history.writer", "--settings", str(self.settings)]
        with (self.settings.parent / "writer.log").open("ab") as out:
            self._writer = subprocess.Popen(command, cwd=ROOT, stderr=out)
        pid = self._writer.pid
        wait_until(lambda: self.status().get("pid") == pid and bool(self.status()["answers"]))

    def stop_writer(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._writer is not None:
            self._writer.send_signal(number)
            status = self._writer.wait(60)
            self._writer = None
            assert status == (0 if number is signal.SIGTERM else -number)

    def status(self) -> dict[str, object]:
        path = self.status_dir / "history.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def written(self) -> int:
        """Return the bytes of values on disk: how far the writer was."""
        return sum(path.stat().st_size for path in (self.settings.parent / "data").rglob("*.bin") if path.exists())

    def query(self, sql: str) -> Result:
        return client.query(sql, status_dir=self.status_dir)

    def counts(self) -> dict[str, int]:
        return {str(row[0]): int(row[1]) for row in self.query(queries.duplicates()).rows}

    def wait_counts(self, **wanted: int) -> None:
        self._producer.flush(10)
        wait_until(lambda: wanted.items() <= self.counts().items(), timeout_s=90)


@pytest.fixture
def stack(tmp_path: Path, broker: Callable[[int], int]) -> Iterator[Stack]:
    made = Stack(tmp_path, broker(2))
    try:
        yield made
    finally:
        made.stop_writer(signal.SIGKILL)


def test_writer_killed_in_mid_stream_stores_everything_once(stack: Stack) -> None:
    rounds, per_round = 3, 400
    for number in range(rounds):
        stack.start_writer()
        for step in range(number * per_round, (number + 1) * per_round):
            send_step(stack, step)
        stack.stop_writer(signal.SIGKILL)
    total = rounds * per_round
    stack.start_writer()
    stack.wait_counts(ticks=total * INSTRUMENTS, decisions=total)
    assert answers(stack) == [(step, step % 7) for step in range(total)]
    for step in range(total):
        send_step(stack, step)  # the jobs were started anew and say everything again
    send_step(stack, total)
    stack.wait_counts(ticks=(total + 1) * INSTRUMENTS, decisions=total + 1)
    assert all(row[3] == 0 for row in stack.query(queries.duplicates()).rows)
    (row,) = stack.query(queries.DECISIONS_ONCE).rows
    assert row == (total + 1, total + 1, total + 1)
    stack.stop_writer()
    assert stack.status()["ended"] is True
    assert stack.status()["lag_messages"] == 0
    assert direct(stack, "SELECT count() FROM ticks_once") == [[(total + 1) * INSTRUMENTS]]


def test_writer_killed_at_random_moments_loses_nothing_and_doubles_nothing(stack: Stack) -> None:
    chance, total = random.Random(7), 3_000
    killed: list[int] = []
    sender = threading.Thread(target=send_slowly, args=(stack, total))
    sender.start()
    while sender.is_alive() or len(killed) < 6:
        before = stack.written()
        stack.start_writer(flush=False)
        if (
            len(killed) % 2 and sender.is_alive()
        ):  # in an insert, or between insert and commit, however slow the machine is
            wait_until(lambda before=before: stack.written() > before or not sender.is_alive(), timeout_s=60)  # type: ignore[misc]
        time.sleep(chance.uniform(0.0, 1.0))  # else before it joins the group, or at rest
        killed.append(stack.written())
        stack.stop_writer(signal.SIGKILL)
    sender.join()
    stack.start_writer()
    stack.wait_counts(ticks=total * INSTRUMENTS, decisions=total)
    assert all(row[3] == 0 for row in stack.query(queries.duplicates()).rows)
    assert answers(stack) == [(step, step % 7) for step in range(total)]
    assert rolled_up(stack) == [(number, total) for number in range(1, INSTRUMENTS + 1)]
    assert len(set(killed)) > 2, "the kills met the writer at different points"
    assert wait_lag_0(stack)
    assert stack.status()["unusable_letters"] == stack.status()["dead_letters"] == 0
    stack.stop_writer()


def send_slowly(stack: Stack, total: int) -> None:
    for step in range(total):
        send_step(stack, step)
        time.sleep(0.005)


def rolled_up(stack: Stack) -> list[tuple[int, int]]:
    """Return the ticks that the seconds say were stored, per instrument, however often each came."""
    return [
        (int(row[0]), int(row[1]))
        for row in stack.query(
            "SELECT instrument_id, sum(ticks) FROM (SELECT instrument_id, second, groupBitmapMerge(seen) AS ticks FROM ticks_1s "
            "GROUP BY instrument_id, second) GROUP BY instrument_id ORDER BY instrument_id"
        ).rows
    ]


def wait_lag_0(stack: Stack) -> bool:
    wait_until(lambda: stack.status().get("lag_messages") == 0)
    return True


def test_query_past_a_limit_is_told_which_and_the_writer_goes_on(stack: Stack) -> None:
    with stack.settings.open("a") as file:
        file.write("query_timeout_s = 2\nresult_rows_max = 1000\nquery_memory_bytes_max = 50000000\nreaders = 2\n")
    stack.start_writer()
    history = client.History(stack.status_dir)
    assert history.table("SELECT number FROM numbers(1000)").num_rows == 1000
    with pytest.raises(ResultTooLargeError, match="TOO_MANY_ROWS"):
        history.table("SELECT number FROM numbers(1001)")
    with pytest.raises(ResultTooLargeError, match="MEMORY_LIMIT"):
        history.table("SELECT uniqExact(number) FROM numbers(100000000)")
    for _ in range(4):  # every reader's next answer is its own, with nothing of the failed one before it
        assert history.query("SELECT 1").rows == [(1,)]
    began_s = time.monotonic()
    with pytest.raises(QueryTimeoutError, match="TIMEOUT_EXCEEDED"):
        history.table("SELECT sum(sipHash64(number)) FROM numbers(100000000000)")
    assert time.monotonic() - began_s < 10
    slow = threading.Thread(target=lambda: outcome(history, "SELECT sum(sipHash64(number)) FROM numbers(100000000000)"))
    slow.start()
    assert history.query("SELECT 1").rows == [(1,)]
    send_step(stack, 0)
    stack.wait_counts(ticks=INSTRUMENTS, decisions=1)
    slow.join()


def outcome(history: client.History, sql: str) -> str:
    try:
        return str(history.table(sql).num_rows)
    except QueryError as error:
        return type(error).__name__


def test_every_topic_is_kept_and_bad_messages_become_letters_with_their_place(stack: Stack) -> None:
    keys = set()  # newer versions of a schema publish some messages again, under the same keys
    for path in sorted(GOLDEN.glob("*.bin")):
        topic = path.name.split(".v")[0]
        if topic in rows.TABLE_OF and topic not in {topics.FEATURES_TICKS, topics.RISK_SCORES}:
            stack.send(topic, path.read_bytes())
            keys.add(key_of(rows.TABLE_OF[topic], codec.decode(topic, path.read_bytes())))
    sent = Counter(key[0] for key in keys)
    bad = [topic for topic in rows.TABLE_OF for _ in range(2)]  # on dead.letters: counted, or they would come for ever
    for topic in bad:
        stack.send(topic, b"poison")
    stack.send(topics.FEATURES_TICKS, ticks_message(0, names=rows.FEATURES[:-1]))
    stack.start_writer()
    letters = len(bad) - 2 + 1
    sent["dead_letters"] += letters
    stack.wait_counts(**sent)
    found = stack.query("SELECT topic, partition, offset, cause FROM dead_letters_once WHERE source = 'history.writer'")
    assert {row[0] for row in found.rows} == rows.TABLE_OF.keys() - {topics.DEAD_LETTERS}
    assert {row[3] for row in found.rows} == {"unknown_schema", "bad_arrow", "unknown_columns"}
    assert all(row[1] in {0, 1} and row[2] >= 0 for row in found.rows)
    stack.stop_writer()
    assert stack.status()["unusable_letters"] == 2
    assert stack.status()["dead_letters"] == letters


def key_of(table: str, record: codec.Record) -> tuple[str, ...]:
    names = re.findall(r"(\w+)`?(?:, ''\))?(?:, |\)|$)", queries.KEYS[table])
    return table, *(str(getattr(record, name)) for name in names)


def test_readers_are_served_while_rows_come_in_and_cannot_write(stack: Stack) -> None:
    stack.start_writer()
    seen = []
    for step in range(600):
        send_step(stack, step)
        if step % 60 == 59:
            seen.append(stack.counts()["ticks"])
    stack.wait_counts(ticks=600 * INSTRUMENTS)
    assert seen == sorted(seen)
    (row,) = stack.query("SELECT tick_ns, toUnixTimestamp64Nano(tick_ns) FROM ticks_once ORDER BY tick_ns LIMIT 1").rows
    assert row == ("2026-01-15 14:30:28.000000000", T0_NS)
    for sql in ("SELECT * FROM file('/etc/hostname', 'LineAsString')", "SELECT 1 SETTINGS readonly = 0"):
        with pytest.raises(QueryError, match=r"readonly|READONLY"):
            stack.query(sql)
    with pytest.raises(QueryError, match="UNKNOWN_TABLE"):
        stack.query("SELECT * FROM nothing_here")


@pytest.fixture
def without_broker(tmp_path: Path) -> Iterator[Stack]:
    made = Stack(tmp_path, free_ports(1)[0])
    try:
        yield made
    finally:
        made.stop_writer(signal.SIGKILL)


def test_missing_applied_migration_is_refused_with_the_name(without_broker: Stack) -> None:
    note = "INSERT INTO migrations (name, checksum) VALUES ('0099_gone.sql', 'x')"
    made = f"store = Store(settings)\nprint(migrate(store, dry_run=True) == migrate(store))\nstore.command({note!r})"
    assert run_python(without_broker, made) == "True\n"
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run_python(without_broker, "migrate(Store(settings), dry_run=True)")
    assert "0099_gone.sql was applied and its file is missing" in caught.value.stderr


def test_writer_without_a_broker_answers_readers_and_holds_its_folder_alone(without_broker: Stack) -> None:
    without_broker.start_writer()
    assert without_broker.counts() == dict.fromkeys(rows.TABLE_OF.values(), 0)
    (without_broker.status_dir / "history.sock").unlink()
    with pytest.raises(subprocess.CalledProcessError) as caught:
        direct(without_broker, "SELECT 1")
    assert StoreError.__name__ in caught.value.stderr
    assert "held by another process" in caught.value.stderr
    without_broker.stop_writer()
    assert direct(without_broker, "SELECT 1") == [[1]]


def send_step(stack: Stack, step: int) -> None:
    stack.send(topics.FEATURES_TICKS, ticks_message(step))
    stack.send(topics.ORDERS_DECISIONS, codec.encode(topics.ORDERS_DECISIONS, decision(step)))


def ticks_message(step: int, *, names: tuple[str, ...] = rows.FEATURES) -> bytes:
    return encode_ticks(
        Ticks(
            channel_id="SIM",
            epoch=1,
            spec_hash="0123456789abcdef",
            feature_names=names,
            tick_ns=np.full(INSTRUMENTS, T0_NS + step * TICK_NS),
            instrument_id=np.arange(1, INSTRUMENTS + 1, dtype=np.uint32),
            status=np.zeros(INSTRUMENTS, np.uint32),
            ref_price=np.full(INSTRUMENTS, 50_000_000_000),
            values=np.full((INSTRUMENTS, len(names)), float(step)),
        )
    )


def decision(step: int) -> OrderDecision:
    record = codec.decode(topics.ORDERS_DECISIONS, (GOLDEN / "orders.decisions.v1.too_large.bin").read_bytes())
    assert isinstance(record, OrderDecision)
    return replace(record, order_id=f"o-{step}", ts_event_ns=T0_NS + step, observed=step % 7)


def answers(stack: Stack) -> list[tuple[int, int]]:
    found = stack.query("SELECT order_id, observed FROM decisions_once").rows
    return sorted((int(row[0].removeprefix("o-")), row[1]) for row in found)


def direct(stack: Stack, sql: str) -> list[list[object]]:
    """Ask in a process of its own: it opens the folder, and this one starts others later."""
    answered = run_python(stack, f"print(json.dumps(query({sql!r}, status_dir=Path({str(stack.status_dir)!r})).rows))")
    rows_found: list[list[object]] = json.loads(answered)
    return rows_found


def run_python(stack: Stack, code: str) -> str:
    head = (
        "import json\nfrom pathlib import Path\nfrom history.client import query\nfrom history.database import Store\n"
        "from history.migrate import migrate\nfrom history.settings import PREFIX, HistorySettings\n"
        "from schemas.settings import load_settings\n"
        f"settings = load_settings(HistorySettings, Path({str(stack.settings)!r}), prefix=PREFIX)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", head + code], cwd=ROOT, check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout


def wait_until(holds: Callable[[], bool], timeout_s: float = 60) -> None:
    end_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.05)
