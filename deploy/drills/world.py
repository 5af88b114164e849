"""Where drills take place: one broker, one Flink cluster that survives its JobManager, and runs one after the other on them.

Invariant: a run begins with empty topics, new consumer groups and an epoch above all before it, so runs share engines and
nothing else. Jobs, readers and the clock of the feed are real; only the session is made.
"""

import contextlib
import itertools
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from deploy.drills.outputs import TOPICS, Outputs
from deploy.drills.report import DrillError
from deploy.drills.tape import Tape, drill_tape
from deploy.local.console import PLAIN_FILE
from deploy.local.flink import FlinkCluster
from deploy.local.processes import kill
from deploy.local.savepoints import cancel, stop_with_savepoint
from deploy.local.stack import Extent, Stack
from deploy.observe import Tail
from feeds.producer import FrameProducer
from schemas import topics
from schemas.frames import ChannelFrame, Frame
from schemas.units import TICK_NS

JOBS: Final = ("compute_features", "score_risk")
SETTINGS: Final = {"state_heartbeat_ms": 100, "checkpoint_interval_ms": 3_000, "restart_delay_ms": 200}
"""A state for each tick, so that all of them are compared; restarts at the pace of a drill."""

ENGINES: Final = Extent(jobs=(), processes=(), taskmanagers=len(JOBS), partitions=2, survives_jobmanager=True)
"""What every drill needs."""

SPEED: Final = 4.0
WAIT_S: Final = 240.0
POLL_S: Final = 0.05
FAILURE_CHARACTERS: Final = 1_500

Tell = Callable[[str], None]


class World:
    """Engines for drills; a context that leaves nothing running."""

    def __init__(self, folder: Path, extent: Extent = ENGINES, *, tell: Tell = lambda _line: None) -> None:
        self.stack = Stack(folder, extent=extent, tell=tell)
        self.tape: Tape = drill_tape()
        self._slots = extent.taskmanagers or 0
        self._epoch = 0
        self._undisturbed: Outputs | None = None

    def __enter__(self) -> Self:
        self.stack.down()
        self.stack.up(**SETTINGS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.down()

    @property
    def flink(self) -> FlinkCluster:
        """Return the cluster."""
        return self.stack.flink

    @property
    def epoch(self) -> int:
        """Return the newest epoch."""
        return self._epoch

    def next_epoch(self) -> int:
        """Return an epoch above all before it."""
        self._epoch += 1
        return self._epoch

    @property
    def slot_count(self) -> int:
        """Return how many TaskManagers there are, one slot each."""
        return self._slots

    def slots(self, count: int) -> None:
        """Start or end TaskManagers until there are ``count``, one slot each."""
        for index in range(self._slots + 1, count + 1):
            self.flink.start_taskmanager(index)
        for index in range(count + 1, self._slots + 1):
            self.stack.book.stop(f"taskmanager-{index}")
        self._slots = count
        wait_for(f"{count} TaskManagers", lambda: self._registered() == count)

    def kill(self, name: str) -> None:
        """Kill a process of the stack with SIGKILL.

        Raises:
            DrillError: It was never started.
        """
        process = self.stack.book.find(name)
        if process is None:
            raise DrillError(f"there is no process {name}")
        kill(process)

    def failure(self, job_id: str) -> str:
        """Return what a job failed with last, without the places in the code; empty when it has not."""
        found = self.flink.get(f"/jobs/{job_id}/exceptions")["exceptionHistory"]["entries"]
        words = (
            [line for line in str(found[0]["stacktrace"]).splitlines() if not line.startswith("\tat ")] if found else []
        )
        return "\n".join(words)[:FAILURE_CHARACTERS]

    def busy_subtasks(self, job_id: str, operator: str) -> int:
        """Return how many subtasks of the operator have read anything."""
        vertices = self.flink.get(f"/jobs/{job_id}")["vertices"]
        vertex = next(one["id"] for one in vertices if operator in one["name"] and "Source" not in one["name"])
        subtasks = self.flink.get(f"/jobs/{job_id}/vertices/{vertex}")["subtasks"]
        return sum(one["metrics"]["read-records"] > 0 for one in subtasks)

    def ask_api(self, path: str) -> Any:
        """Return the API's answer to a viewer.

        Raises:
            OSError: It does not answer (yet).
        """
        layout, tokens = self.stack.layout, json.loads((self.stack.state / PLAIN_FILE).read_text())
        headers = {"Authorization": f"Bearer {tokens['viewer']}"}
        request = urllib.request.Request(f"http://127.0.0.1:{layout.ports['api']}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own http address
            return json.load(answer)

    @contextlib.contextmanager
    def run(self) -> Iterator["Run"]:
        """Give a run, and end its jobs, feed and reader behind it."""
        self._clear()
        run = Run(self)
        try:
            yield run
        finally:
            run.end()

    def undisturbed(self) -> Outputs:
        """Return what is published when nothing happens; run once for all drills of this world."""
        if self._undisturbed is None:
            with self.run() as run:
                run.deploy()
                run.finish()
                self._undisturbed = run.outputs
        return self._undisturbed

    def _registered(self) -> int:
        return int(self.flink.get("/overview")["taskmanagers"])

    def _clear(self) -> None:
        """Empty every topic but that of commands."""
        admin = AdminClient({"bootstrap.servers": self.stack.layout.bootstrap_servers, "log_level": 2})
        known = admin.list_topics(timeout=10).topics
        ends = [
            TopicPartition(topic.name, partition, -1)  # -1: up to the end
            for topic in topics.TOPICS
            for partition in known[topic.name].partitions
            if topic.name != topics.RISK_COMMANDS  # envelopes hold for all runs, and a sidecar reads them again
        ]
        for future in admin.delete_records(ends).values():
            future.result(30)


class Run:
    """One session played through jobs, and all that they publish."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.tape = world.tape
        self.outputs = Outputs()
        self._group = f"drill-{time.monotonic_ns()}"
        self._heard: list[tuple[float, int]] = []
        self._stopping = threading.Event()
        self._paused = threading.Event()
        self._failures: list[BaseException] = []
        self._next, self._target_ns = 0, world.tape.start_ns
        self._feed: threading.Thread | None = None
        servers = world.stack.layout.bootstrap_servers
        self._open = contextlib.ExitStack()
        self._tail = self._open.enter_context(Tail(servers, TOPICS, from_start=True))
        self._reader = threading.Thread(target=self._guarded, args=(self._read,), daemon=True)
        self._reader.start()

    def deploy(
        self, savepoints: Mapping[str, str] | None = None, *, wait: bool = True, **changes: Any
    ) -> dict[str, str]:
        """Submit both jobs, or those with a savepoint, under a new epoch; return their ids.

        Args:
            savepoints: Job to savepoint.
            wait: For their tasks to run.
            changes: Of the jobs' settings.
        """
        stack = self._world.stack
        values = {**SETTINGS, "epoch": self._world.next_epoch(), "group_prefix": self._group, **changes}
        path = stack.settings_path(f"jobs-{values['epoch']}")
        plain = [
            one for one in stack.settings_path("jobs").read_text().splitlines() if one.split(" = ")[0] not in values
        ]
        path.write_text("\n".join([*plain, *(f"{key} = {json.dumps(value)}" for key, value in values.items())]) + "\n")
        names = tuple(savepoints or JOBS)
        stack.submit_jobs(names, settings=path, savepoints=savepoints, wait=wait)
        known = stack.flink.jobs()
        return {name: str(known[name]["jid"]) for name in names}

    def stop(self, jobs: Mapping[str, str]) -> dict[str, str]:
        """End jobs with savepoints and return these; the one that reads the other's ticks ends last."""
        folder = self._world.stack.state / "savepoints"
        ordered = [name for name in JOBS if name in jobs]
        return {name: stop_with_savepoint(self._world.flink, jobs[name], folder) for name in ordered}

    def play(self, part: float = 1.0, *, speed: float | None = SPEED) -> None:
        """Feed the session up to ``part`` of it, from where it stands, in a thread of its own; return at once."""
        self.wait_fed()
        until_ns, frames = self.tape.at(part), self.tape.frames
        stop = next((n for n, one in enumerate(frames) if one.ts_last_ns > until_ns), len(frames))
        chosen, self._next = frames[self._next : stop], max(stop, self._next)
        self._target_ns = chosen[-1].ts_last_ns if chosen else self._target_ns
        self.feed(chosen, speed=speed)

    def feed(self, frames: list[Frame], *, speed: float | None, start_monotonic_ns: int | None = None) -> None:
        """Feed any frames as :class:`FrameProducer` does, in a thread of its own; return at once."""
        producer = FrameProducer(self._world.stack.layout.bootstrap_servers)

        def note(_frame: ChannelFrame, _due_ns: int) -> None:
            if self._stopping.is_set():
                raise DrillError("the run ended before its session")

        def replay() -> None:
            producer.replay(frames, speed=speed, start_monotonic_ns=start_monotonic_ns, on_sent=note)

        self._feed = threading.Thread(target=self._guarded, args=(replay,), daemon=True)
        self._feed.start()

    def wait_told(self) -> None:
        """Wait until what was asked of the feed is in Kafka, and the state of its last tick has come."""
        self.wait_fed()
        self.wait("states of all that was fed", lambda: self.outputs.state_ns >= self._target_ns - TICK_NS)

    def wait_fed(self) -> None:
        """Wait until what was asked of the feed is in Kafka."""
        self.wait("the feed", lambda: self._feed is None or not self._feed.is_alive())

    @staticmethod
    def now() -> float:
        """Return the time on the clock of :meth:`wait_new`."""
        return time.monotonic()

    def wait_new(self, since: float) -> None:
        """Wait for states newer than all known at ``since`` (monotonic seconds)."""
        before = max((state_ns for at, state_ns in self._heard if at <= since), default=0)
        self.wait("new states", lambda: self.outputs.state_ns > before)

    def silence_s(self, since: float) -> float:
        """Return the longest time without a state, from ``since`` to the last one that came.

        The first one to come is no measure: what a part said in its last moments still arrives when it is dead.
        """
        times = [since, *(at for at, _ in list(self._heard) if at > since)]
        return round(max((later - at for at, later in itertools.pairwise(times)), default=0.0), 1)

    def finish(self) -> None:
        """Feed what is left, and wait until every tick and state of the session is there."""
        self.play()
        self.wait_told()
        self.wait("the last tick", lambda: self.outputs.complete(self.tape.channels, self.tape.end_ns))
        self.wait("the last state", lambda: self.outputs.state_ns >= self.tape.end_ns)
        self.settle()

    def wait(self, what: str, ready: Callable[[], bool]) -> None:
        """Wait for something.

        Raises:
            DrillError: It does not come, or feed or reader failed.
        """

        def sound() -> bool:
            if self._failures:
                raise DrillError(f"waiting for {what}: {self._failures[0]}") from self._failures[0]
            return ready()

        wait_for(what, sound)

    def end(self) -> None:
        """End jobs, feed and reader."""
        self._stopping.set()
        flink = self._world.flink
        for job in flink.get("/jobs/overview")["jobs"]:
            if job["state"] not in {"FINISHED", "CANCELED", "FAILED"}:
                cancel(flink, job["jid"])
        for thread in (self._feed, self._reader):
            if thread is not None:
                thread.join(WAIT_S)
        self._open.close()

    def settle(self) -> None:
        """Wait until nothing more is said: the last states of all members, and repeats that are on their way."""
        while True:
            before = sum(len(said.values) + said.repeats for said in (self.outputs.ticks, self.outputs.states))
            time.sleep(0.7)
            if before == sum(len(said.values) + said.repeats for said in (self.outputs.ticks, self.outputs.states)):
                return

    def _read(self) -> None:
        while not self._stopping.is_set():
            for message in self._tail.poll(POLL_S):
                self.outputs.take(message.place.topic, message.value)
                if message.place.topic == topics.RISK_STATES:
                    self._heard.append((message.received_ns / 1e9, self.outputs.state_ns))

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            if not self._stopping.is_set():
                self._failures.append(error)


def wait_for(what: str, ready: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
    """Wait for something.

    Raises:
        DrillError: It does not come in time.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(OSError):  # a part that is being started does not answer
            if ready():
                return
        if time.monotonic() > deadline:
            raise DrillError(f"{what}: not within {timeout_s:.0f} s")
        time.sleep(POLL_S)
