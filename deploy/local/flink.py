"""A real Flink cluster from the pip package: JobManager and TaskManagers as JVMs of their own.

Invariant: the package in site-packages is never changed; the cluster's class path is a folder of links in the state
folder. The JVMs are started without Flink's shell scripts, whose two extra JVMs only compute memory sizes that the
configuration below states outright.
"""

import importlib.util
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.local.processes import FAST_START, ProcessBook, Started
from deploy.local.zookeeper import SESSION_MS_MAX, start_zookeeper

JOBMANAGER = "jobmanager"
JOBMANAGER_HEAP = "384m"
TASK_HEAP_MB = 384
MANAGED_MB = 64
NETWORK_MB = 32

_OPENS = (
    *(
        f"--add-opens=java.base/{package}=ALL-UNNAMED"
        for package in (
            *("java.lang", "java.net", "java.io", "java.nio", "sun.nio.ch", "java.lang.reflect", "java.text"),
            *("java.time", "java.util", "java.util.concurrent", "java.util.concurrent.atomic"),
            "java.util.concurrent.locks",
        )
    ),
    "--add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED",
    "--add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED",
)


class FlinkError(RuntimeError):
    """The cluster or a job did not do what was asked; the message holds the end of the log."""


@dataclass(frozen=True, slots=True)
class FlinkPorts:
    """Ports of the JobManager, and where each process of the cluster is asked for its metrics.

    Attributes:
        rpc: For TaskManagers.
        rest: REST and web page.
        blob: For the jobs' files.
        zookeeper: Of a ZooKeeper, with which the cluster survives its JobManager; ``None`` = without.
        metrics: Name of a process to its port; one that is not named has no metrics.
    """

    rpc: int
    rest: int
    blob: int
    zookeeper: int | None = None
    metrics: Mapping[str, int] = field(default_factory=dict)


class FlinkCluster:
    """One standalone session cluster in ``folder``."""

    def __init__(self, book: ProcessBook, folder: Path, *, jars: Path, ports: FlinkPorts) -> None:
        self._book = book
        self._folder = folder
        self._jars = jars
        self._ports = ports

    @property
    def rest_url(self) -> str:
        """Address of the REST interface and of Flink's own web page."""
        return f"http://127.0.0.1:{self._ports.rest}"

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints."""
        return self._folder / "checkpoints"

    def start(self, taskmanagers: int) -> None:
        """Start the JobManager and ``taskmanagers`` TaskManagers; return at once."""
        self._prepare()
        if self._ports.zookeeper is not None:
            library, folder = self._folder / "lib", self._folder / "zookeeper"
            start_zookeeper(self._book, folder, library=library, port=self._ports.zookeeper)
        self.start_jobmanager()
        for index in range(1, taskmanagers + 1):
            self.start_taskmanager(index)

    def start_jobmanager(self) -> Started:
        """Start the JobManager (again); with ZooKeeper it takes up the jobs of the one before it."""
        java = [
            "java",
            f"-Xms{JOBMANAGER_HEAP}",
            f"-Xmx{JOBMANAGER_HEAP}",
            "-XX:+UseSerialGC",
            FAST_START,
            *self._java_options(JOBMANAGER),
        ]
        main = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
        command = [*java, main, "-c", str(self._conf), *self._reporting(JOBMANAGER), "-x", "cluster"]
        return self._book.start(JOBMANAGER, command, env=self._env())

    def start_taskmanager(self, index: int) -> Started:
        """Start one TaskManager (again)."""
        heap = f"{TASK_HEAP_MB + 128}m"
        name = taskmanager(index)
        java = [
            "java",
            f"-Xms{heap}",
            f"-Xmx{heap}",
            "-XX:+UseSerialGC",
            "-XX:MaxMetaspaceSize=256m",
            FAST_START,
            *self._java_options(name),
        ]
        main = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
        resource = ["-D", f"taskmanager.resource-id={name}-{time.monotonic_ns()}"]
        return self._book.start(
            name, [*java, main, "-c", str(self._conf), *resource, *self._reporting(name)], env=self._env()
        )

    def ready(self, taskmanagers: int) -> bool:
        """Return whether all TaskManagers have registered."""
        try:
            return int(self.get("/overview")["taskmanagers"]) >= taskmanagers
        except OSError:
            return False

    def submit(self, module: str, arguments: list[str]) -> "subprocess.Popen[str]":
        """Start ``flink run`` for the job in ``module`` and return the client process; it ends once the job is accepted."""
        client = [
            "java",
            "-Xmx256m",
            "-XX:+UseSerialGC",
            FAST_START,
            *self._java_options(f"client-{module}"),
        ]
        python = ["-pyclientexec", sys.executable, "-pyexec", sys.executable, "-pym", module]
        return subprocess.Popen(
            [*client, "org.apache.flink.client.cli.CliFrontend", "run", "-d", *python, *arguments],
            env=self._env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def jobs(self) -> dict[str, dict[str, Any]]:
        """Return the newest job of each name: ``id`` and ``state`` among the fields that REST gives."""
        found = sorted(self.get("/jobs/overview")["jobs"], key=lambda job: job["start-time"])
        return {job["name"]: job for job in found}

    def running(self, name: str) -> bool:
        """Return whether every task of the job runs."""
        job = self.jobs().get(name)
        return job is not None and job["state"] == "RUNNING" and job["tasks"]["running"] == job["tasks"]["total"]

    def taskmanager_of(self, name: str) -> str:
        """Return the name of the TaskManager that runs the job, as in the process book."""
        job = self.jobs()[name]
        vertex = self.get(f"/jobs/{job['jid']}")["vertices"][0]["id"]
        worker = self.get(f"/jobs/{job['jid']}/vertices/{vertex}/taskmanagers")["taskmanagers"][0]["taskmanager-id"]
        return str(worker).rpartition("-")[0]

    def get(self, path: str) -> Any:
        """Return the JSON answer of the REST interface.

        Raises:
            OSError: Nobody answers (yet).
        """
        return self.ask("GET", path)

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return the JSON answer of the REST interface to any request; ``None`` where it has no body.

        Raises:
            OSError: Nobody answers (yet), or the request is refused.
        """
        raw = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.rest_url + path, raw, headers, method=method)  # noqa: S310 - our own address
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            text = answer.read()
            return json.loads(text) if text else None

    @property
    def _conf(self) -> Path:
        return self._folder / "conf"

    def _prepare(self) -> None:
        package = pyflink_folder()
        library = self._folder / "lib"
        library.mkdir(parents=True, exist_ok=True)
        for jar in [*package.glob("lib/*.jar"), *package.glob("opt/flink-python-*.jar"), *self._jars.glob("*.jar")]:
            link = library / jar.name
            if not link.exists():
                link.symlink_to(jar.resolve())
        self._conf.mkdir(parents=True, exist_ok=True)
        (self._conf / "config.yaml").write_text("".join(f"{key}: {value}\n" for key, value in self._config().items()))
        (self._conf / "log4j.properties").write_text(_LOG4J)

    def _java_options(self, name: str) -> list[str]:
        return [
            *_OPENS,
            f"-Dlog4j.configurationFile={self._conf / 'log4j.properties'}",
            f"-Dtidegate.process={name}",
            "-cp",
            f"{self._folder / 'lib'}/*",
        ]

    def _reporting(self, name: str) -> list[str]:
        """Return the options that open a process's port for Prometheus: the reporter comes with the package, as a plugin."""
        port = self._ports.metrics.get(name)
        if not port:
            return []
        reporter = "metrics.reporter.prometheus"
        options = {
            "metrics.reporters": "prometheus",
            f"{reporter}.factory.class": "org.apache.flink.metrics.prometheus.PrometheusReporterFactory",
            f"{reporter}.port": port,
            f"{reporter}.filterLabelValueCharacters": "false",  # bounds of buckets have a dot
        }
        return [part for key, value in options.items() for part in ("-D", f"{key}={value}")]

    def _env(self) -> dict[str, str]:
        package = pyflink_folder()
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONPATH": str(repository()),
            "FLINK_HOME": str(package),
            "FLINK_CONF_DIR": str(self._conf),
            "FLINK_LIB_DIR": str(self._folder / "lib"),
            "FLINK_OPT_DIR": str(package / "opt"),
            "FLINK_PLUGINS_DIR": str(package / "plugins"),
            "OMP_NUM_THREADS": "1",
        }

    def _config(self) -> dict[str, str | int | float | Path]:
        ports = self._ports
        return self._high_availability() | {
            "jobmanager.rpc.address": "127.0.0.1",
            "jobmanager.rpc.port": ports.rpc,
            "jobmanager.bind-host": "127.0.0.1",
            "jobmanager.memory.process.size": "1g",
            "rest.address": "127.0.0.1",
            "rest.bind-address": "127.0.0.1",
            "rest.port": ports.rest,
            "blob.server.port": ports.blob,
            "taskmanager.host": "127.0.0.1",
            "taskmanager.bind-host": "127.0.0.1",
            "taskmanager.numberOfTaskSlots": 1,
            "taskmanager.cpu.cores": 1.0,
            # Every part is stated: Flink's scripts would derive them from one total.
            "taskmanager.memory.framework.heap.size": "128m",
            "taskmanager.memory.framework.off-heap.size": "64m",
            "taskmanager.memory.jvm-metaspace.size": "256m",
            "taskmanager.memory.jvm-overhead.min": "192m",
            "taskmanager.memory.jvm-overhead.max": "192m",
            "taskmanager.memory.task.heap.size": f"{TASK_HEAP_MB}m",
            "taskmanager.memory.task.off-heap.size": "64m",
            "taskmanager.memory.managed.size": f"{MANAGED_MB}m",
            "taskmanager.memory.network.min": f"{NETWORK_MB}m",
            "taskmanager.memory.network.max": f"{NETWORK_MB}m",
            # A dead TaskManager must be noticed within seconds, or its job stands still.
            "heartbeat.interval": "1 s",
            "heartbeat.timeout": "6 s",
            "heartbeat.rpc-failure-threshold": 2,
            "slot.request.timeout": "60 s",
            "io.tmp.dirs": self._folder / "tmp",
            "execution.checkpointing.dir": f"file://{self.checkpoints}",
            "python.execution-mode": "thread",
            "python.executable": sys.executable,
            "python.client.executable": sys.executable,
            "classloader.check-leaked-classloader": "false",
        }

    def _high_availability(self) -> dict[str, str | int | float | Path]:
        ports = self._ports
        if ports.zookeeper is None:
            return {}
        return {
            "high-availability.type": "zookeeper",
            "high-availability.zookeeper.quorum": f"127.0.0.1:{ports.zookeeper}",
            "high-availability.storageDir": f"file://{self._folder / 'ha'}",
            "high-availability.jobmanager.port": ports.rpc,
            "zookeeper.sasl.disable": "true",
            "high-availability.zookeeper.client.session-timeout": f"{SESSION_MS_MAX} ms",
            "high-availability.zookeeper.client.connection-timeout": "3 s",
            "high-availability.zookeeper.client.retry-wait": "500 ms",
        }


def taskmanager(index: int) -> str:
    """Return the name of a TaskManager in the process book."""
    return f"taskmanager-{index}"


def pyflink_folder() -> Path:
    """Return the folder of the ``pyflink`` module without importing it (the import alone takes a second).

    Raises:
        FlinkError: apache-flink is not installed, or the unrelated ``pyflink`` distribution is.
    """
    found = importlib.util.find_spec("pyflink")
    folder = Path(next(iter(found.submodule_search_locations or []), "")) if found else Path()
    if not list(folder.glob("lib/flink-dist-*.jar")):
        raise FlinkError("the module pyflink of apache-flink is not installed: run `make setup`")
    return folder


def repository() -> Path:
    """Return the folder that holds the rooms of the project."""
    return Path(__file__).resolve().parents[2]


_LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %-40c{1} - %m%n
logger.kafka.name = org.apache.kafka
logger.kafka.level = WARN
logger.pekko.name = org.apache.pekko
logger.pekko.level = WARN
"""
