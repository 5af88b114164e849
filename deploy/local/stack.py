"""The local stack: what runs, in which order it starts, and how it ends.

Invariant: everything that lives on after `up` is written down in the state folder (ports, pids, settings, epoch), so
any later process can find it, and `down` ends exactly that.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import confluent_kafka

from deploy.instruments import reference_commands
from deploy.local.broker import start_broker
from deploy.local.console import api_settings
from deploy.local.flink import JOBMANAGER, FlinkCluster, FlinkPorts, repository, taskmanager
from deploy.local.ports import answers, free_ports
from deploy.local.processes import ProcessBook, alive
from deploy.local.prometheus import write_prometheus
from deploy.topics import TopicsSettings, apply_topics
from schemas import codec, topics

METRICS: Final = "metrics_"
"""Before the name of a part: the port that Prometheus asks."""
OUR_PROCESSES: Final = ("gate", "history", "api", "quality", "desk", "feeds")
"""What may serve metrics beside the cluster; desk and feeds live in commands that come and go."""
JOBS: Final = ("compute_features", "score_risk", "enforce_orders")
READY_KEY: Final = {"gate": "caught_up", "history": "answers", "api": "answers"}
"""What the status file of a process says once the process does its work."""
_SPOKEN: Final = {"gate": "gate sidecar", "history": "history writer", "api": "console"}
AFTER_THE_LOOP: Final = {"history", "api", "quality"}
"""Processes that give way on a machine they share with the loop: memory may be late, a limit may not."""

PROCESSES: Final = {"gate": "gate.sidecar", "history": "history.writer", "api": "api.server"}
"""Our own processes: name to module."""

START_TIMEOUT_S: Final = 240.0
POLL_S: Final = 0.1

Tell = Callable[[str], None]


class StackError(RuntimeError):
    """The stack is not what the command needs; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a stack lives: written once by `up`, read by everyone.

    Attributes:
        bootstrap_servers: Kafka.
        rest_url: Flink.
        table_path: The limit table.
        socket_path: The history owner.
        history_dir: chDB's folder.
        epoch: Deployment epoch.
        ports: All ports, for the curious.
    """

    bootstrap_servers: str
    rest_url: str
    table_path: str
    socket_path: str
    history_dir: str
    epoch: int
    ports: dict[str, int]


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of a stack comes up; a drill needs less than a desk.

    Attributes:
        jobs: Submitted by `up`.
        processes: Of ``PROCESSES``.
        taskmanagers: ``None`` = as many as the jobs need.
        partitions: Of each topic; ``None`` = the jobs' parallelism.
        settings: Of our own processes, by name, beside the usual ones.
        survives_jobmanager: With a ZooKeeper, so that a JobManager that was killed and started again goes on.
    """

    jobs: tuple[str, ...] = JOBS
    processes: tuple[str, ...] = tuple(PROCESSES)
    taskmanagers: int | None = None
    partitions: int | None = None
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    survives_jobmanager: bool = False


class Stack:
    """The stack in one state folder."""

    def __init__(self, state: Path, *, extent: Extent | None = None, tell: Tell = lambda _line: None) -> None:
        self.state = state.resolve()
        self.extent = extent or Extent()
        self.book = ProcessBook(self.state)
        self._tell = tell
        self._started = time.monotonic()

    @property
    def layout(self) -> Layout:
        """Return where the stack lives.

        Raises:
            StackError: Nothing was started in this folder.
        """
        try:
            return Layout(**json.loads((self.state / "stack.json").read_text()))
        except FileNotFoundError as error:
            raise StackError(f"no stack in {self.state}: run `tidegate up`") from error

    @property
    def flink(self) -> FlinkCluster:
        """Return the cluster."""
        ports = self.layout.ports
        return FlinkCluster(
            self.book,
            self.state / "flink",
            jars=repository() / "jars" / "flink",
            ports=FlinkPorts(
                ports["flink_rpc"],
                ports["flink_rest"],
                ports["flink_blob"],
                ports.get("zookeeper"),
                self.metrics_ports(),
            ),
        )

    def metrics_ports(self) -> dict[str, int]:
        """Return where each part answers ``GET /metrics``, by its name; parts of a stack laid out before had none."""
        marked = {
            name.removeprefix(METRICS): port for name, port in self.layout.ports.items() if name.startswith(METRICS)
        }
        return dict(sorted(marked.items()))

    def up(self, **overrides: str | float | bool) -> Layout:
        """Start everything and return once it works.

        Args:
            overrides: Settings of the jobs, for example ``state_heartbeat_ms=100``; with ``parallelism`` come as many
                TaskManagers for each job, and partitions for each topic.

        Raises:
            StackError: Already up, jars missing, or a part did not come up; what was started is ended again.
        """
        self._refuse_when_unfit()
        self._started = time.monotonic()
        parallelism, extent = int(overrides.get("parallelism", 1)), self.extent
        taskmanagers = extent.taskmanagers or len(extent.jobs) * parallelism
        layout = self._lay_out(taskmanagers)
        try:
            self.start_broker()
            self.flink.start(taskmanagers)
            self._wait("broker", lambda: answers(layout.ports["broker"]))
            apply_topics(
                TopicsSettings(layout.bootstrap_servers, partitions=extent.partitions or parallelism, keep_all=True)
            )
            self._publish_grants(layout)
            self._write_settings(layout, overrides)
            for name in extent.processes:
                self.start_process(name, PROCESSES[name])
            self._wait("Flink cluster", lambda: self.flink.ready(taskmanagers))
            if extent.jobs:
                self.submit_jobs()
            for name in extent.processes:
                self.wait_process(name)
            if extent.processes == tuple(PROCESSES):
                self.start_process("quality", "quality.worker")  # last, and not waited for: it takes seconds to load
        except BaseException:
            self.down()
            raise
        return layout

    def down(self) -> list[str]:
        """End everything that `up` started and return the names of what was still alive."""
        ended = self.book.stop_all()
        table = Path(self.layout.table_path) if (self.state / "stack.json").exists() else None
        for path in (table, table.with_name(table.name + ".lock")) if table else ():
            path.unlink(missing_ok=True)
        return ended

    def status(self) -> dict[str, Any]:
        """Return the parts with pid and whether they live, and the jobs with their state."""
        parts = {p.name: {"pid": p.pid, "alive": alive(p), "log": p.log} for p in self.book.all()}
        try:
            jobs = {name: job["state"] for name, job in self.flink.jobs().items()}
        except OSError:
            jobs = {}
        return {
            "state": str(self.state),
            "layout": asdict(self.layout),
            "parts": parts,
            "jobs": jobs,
            "metrics": self.metrics_ports(),
        }

    def require_up(self) -> Layout:
        """Return the layout of a stack that runs.

        Raises:
            StackError: It does not run.
        """
        layout = self.layout
        if not answers(layout.ports["broker"]):
            raise StackError(f"the stack in {self.state} is not up: run `tidegate up`")
        return layout

    def start_broker(self) -> None:
        """Start the broker (again)."""
        ports = self.layout.ports
        jars = repository() / "jars" / "broker"
        start_broker(
            self.book, self.state / "broker", jars=jars, port=ports["broker"], controller_port=ports["controller"]
        )

    def wait_process(self, name: str) -> None:
        """Wait until one of our own processes does its work.

        Raises:
            StackError: It ended, or is not ready in time.
        """
        self._wait(_SPOKEN[name], lambda: self._caught_up(name))

    def start_process(self, name: str, module: str) -> None:
        """Start one of our own processes (again)."""
        settings = str(self.settings_path(name))
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", module, "--settings", settings]
        if name in AFTER_THE_LOOP:
            command = ["nice", "-n", "10", *command]
        self.book.start(name, command, cwd=repository(), env=env)

    def settings_path(self, name: str) -> Path:
        """Return the settings file of a process."""
        return self.state / "settings" / f"{name}.toml"

    def submit_jobs(
        self,
        jobs: Iterable[str] | None = None,
        *,
        settings: Path | None = None,
        savepoints: Mapping[str, str] | None = None,
        wait: bool = True,
    ) -> None:
        """Submit jobs and wait until every task runs.

        Args:
            jobs: Names; those of the stack's extent when ``None``.
            settings: Settings file; the stack's own when ``None``.
            savepoints: Where a job starts from, by name.
            wait: For tasks to run; without, the jobs are accepted, no more.

        Raises:
            StackError: The client failed; the message ends with its output.
        """
        names, path = tuple(self.extent.jobs if jobs is None else jobs), settings or self.settings_path("jobs")
        arguments = ["--settings", str(path), *(word for name in names for word in ("--only", name))]
        for name, savepoint in (savepoints or {}).items():
            arguments += ["--savepoint", f"{name}={savepoint}"]
        client = self.flink.submit("jobs.all_jobs", arguments)
        try:
            output, _ = client.communicate(timeout=START_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            client.kill()
            output, _ = client.communicate()
        if client.returncode != 0:
            raise StackError(f"the jobs were not accepted:\n{output[-3000:]}")
        for job in names if wait else ():
            self.wait_running(job)

    def wait_running(self, job: str) -> None:
        """Wait until every task of a job runs (again)."""
        self._wait(f"job {job}", lambda: self.flink.running(job))

    def _refuse_when_unfit(self) -> None:
        if any(alive(p) for p in self.book.all()):
            raise StackError(f"the stack in {self.state} is up already: `tidegate down` ends it")
        for folder in ("broker", "flink"):
            if not list((repository() / "jars" / folder).glob("*.jar")):
                raise StackError(f"no jars in jars/{folder}: run `make jars`")

    def _lay_out(self, taskmanagers: int) -> Layout:
        self.state.mkdir(parents=True, exist_ok=True)
        epoch = self.layout.epoch + 1 if (self.state / "stack.json").exists() else 1
        names = ["broker", "controller", "flink_rpc", "flink_rest", "flink_blob", "api"]
        if self.extent.survives_jobmanager:
            names.append("zookeeper")
        watched = [*OUR_PROCESSES, JOBMANAGER, *(taskmanager(number) for number in range(1, taskmanagers + 1))]
        names += [METRICS + name for name in watched]
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        layout = Layout(
            bootstrap_servers=f"127.0.0.1:{ports['broker']}",
            rest_url=f"http://127.0.0.1:{ports['flink_rest']}",
            table_path=f"/dev/shm/tidegate.{os.getuid()}.{ports['broker']}.limits",  # noqa: S108 - shared on purpose
            socket_path=str(self.state / "history.sock"),
            history_dir=str(self.state / "history"),
            epoch=epoch,
            ports=ports,
        )
        (self.state / "stack.json").write_text(json.dumps(asdict(layout), indent=1))
        return layout

    def _write_settings(self, layout: Layout, overrides: dict[str, Any]) -> None:
        kafka = {"bootstrap_servers": layout.bootstrap_servers}
        jobs = {**kafka, "epoch": layout.epoch, "model_dir": str(repository() / "models" / "default"), **overrides}
        gate: dict[str, Any] = {**kafka, "table_path": layout.table_path, "state_dir": str(self.state)}
        if "ttl_ms" in overrides:
            gate["ttl_ms"] = overrides["ttl_ms"]
        history: dict[str, Any] = {
            **kafka,
            "data_dir": layout.history_dir,
            "status_dir": str(self.state),
            "socket_path": layout.socket_path,
        }
        api = api_settings(self.state, layout.bootstrap_servers, layout.ports["api"])
        if "ttl_ms" in overrides:
            api["ttl_ms"] = overrides["ttl_ms"]
        quality: dict[str, Any] = {
            **kafka,
            "status_dir": str(self.state),
            "state_dir": str(self.state),
            "clock": "event",
        }
        for name, values in (("gate", gate), ("history", history), ("api", api), ("quality", quality)):
            values["metrics_port"] = layout.ports[METRICS + name]
        write_prometheus(self.state, self.metrics_ports())
        files = {"jobs": jobs, "gate": gate, "history": history, "api": api, "producer": kafka, "quality": quality}
        for name, values in files.items():
            merged = {**values, **self.extent.settings.get(name, {})}
            path = self.settings_path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in merged.items()))

    def _publish_grants(self, layout: Layout) -> None:
        producer = confluent_kafka.Producer({"bootstrap.servers": layout.bootstrap_servers, "log_level": 2})
        for command in reference_commands(ts_ns=0):
            producer.produce(topics.RISK_COMMANDS, codec.encode(topics.RISK_COMMANDS, command), key=command.scope)
        if producer.flush(30):
            raise StackError("the reference data could not be published")

    def _caught_up(self, name: str) -> bool:
        process = self.book.find(name)
        if process is None or not alive(process):
            log = Path(process.log).read_text()[-2000:] if process else ""
            raise StackError(f"{name} ended at its start:\n{log}")
        try:
            status = json.loads((self.state / f"{name}.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return False
        return bool(status.get(READY_KEY[name])) and status.get("pid") == process.pid

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            if _holds(ready):
                break
            if time.monotonic() > deadline:
                raise StackError(f"{what} did not come up within {START_TIMEOUT_S:.0f} s: see {self.state / 'logs'}")
            time.sleep(POLL_S)
        self._tell(f"{what} up after {time.monotonic() - self._started:.1f} s")


def _holds(ready: Callable[[], bool]) -> bool:
    """Return whether a part is ready; one that does not answer yet is not."""
    try:
        return ready()
    except OSError:
        return False
