"""Looking at this machine and at what runs: everything that the checks judge is fetched here.

Invariant: looking changes nothing: no topic is made, no group joined, no offset committed, no lock kept.
"""

import ctypes
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import confluent_kafka
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from deploy.doctor import machine, running
from deploy.doctor.finding import Check, Finding, looked, warn
from deploy.doctor.settings import DoctorSettings
from deploy.local.flink import repository
from deploy.local.processes import ProcessBook, alive
from features.spec import SPEC_HASH
from jobs.preflight import settings_faults
from jobs.settings import JobSettings
from models.folder import read_folder
from schemas import codec, topics
from schemas.kafka_security import librdkafka_options
from schemas.records import RiskState
from schemas.settings import SettingsError, load_settings
from schemas.ticks import decode_ticks

TIMEOUT_S: Final = 10.0
JARS_LOCK: Final = Path("locks") / "jars.sha256"
_TIME_ERROR: Final = 5
_STA_NANO: Final = 0x2000
_WHO: Final = """\
import sys, importlib.metadata
print(".".join(map(str, sys.version_info[:3])), "apache-flink", importlib.metadata.version("apache-flink"))
"""
_NOT_ASKED: Final = "name it in the doctor's settings (docs/settings.md), or start a stack"


def survey(settings: DoctorSettings, state: Path) -> Iterator[Finding]:
    """Yield what every check finds.

    Args:
        settings: Whom to ask.
        state: State folder of a local stack, for the processes on this machine.
    """
    checks: dict[str, Check] = {
        "python": lambda: machine.python_version(tuple(sys.version_info[:3])),
        "java": lambda: machine.java_version(_said("java", "-version")),
        "maven": lambda: machine.tool("maven", _said("mvn", "-version"), mend="apt-get install maven"),
        "gcc": lambda: machine.tool("gcc", _said("gcc", "--version"), mend="apt-get install gcc libc6-dev"),
        "packages": _packages,
        "jars": lambda: machine.jars(repository() / "jars", (repository() / JARS_LOCK).read_text()),
        "flink's python": partial(_flink_python, settings),
        "jvm options": lambda: running.jvm_options(dict(_flink_processes(state))),
        "flink latency": partial(_latency, settings),
        "topics": partial(_topics, settings),
        "clock": lambda: machine.clock(_clock()),
        "shared memory": partial(_shared_memory, settings),
        "disk": partial(_disk, settings),
        "model and features": partial(_agreement, settings),
    }
    for name, check in checks.items():
        yield looked(name, check)


def _said(*command: str) -> str | None:
    """Return what a command says, ``None`` where there is none or it fails."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return (done.stdout or done.stderr).strip() if done.returncode == 0 else None


def _packages() -> Finding:
    def installed(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    return machine.packages(machine.locked_in((repository() / "locks" / "runtime.lock").read_text()), installed)


def _ask(settings: DoctorSettings, path: str) -> Any:
    with urllib.request.urlopen(settings.rest_url + path, timeout=TIMEOUT_S) as answer:  # noqa: S310 - the operator's own address
        return json.load(answer)


def _cluster(settings: DoctorSettings) -> dict[str, str]:
    return {row["key"]: row["value"] for row in _ask(settings, "/jobmanager/config")} if settings.rest_url else {}


def _flink_python(settings: DoctorSettings) -> Finding:
    path = _cluster(settings).get("python.executable", "") or sys.executable
    return running.flink_python(path, _said(path, "-c", _WHO))


def _flink_processes(state: Path) -> Iterator[tuple[str, list[str]]]:
    for process in ProcessBook(state).all():
        if process.name.startswith(("jobmanager", "taskmanager")) and alive(process):
            words = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
            yield process.name, [word.decode(errors="replace") for word in words if word]


def _job_settings(settings: DoctorSettings) -> JobSettings:
    path = Path(settings.job_settings) if settings.job_settings else None
    try:
        return load_settings(JobSettings, path, prefix="TIDEGATE_JOB")
    except SettingsError:
        if path is not None:
            raise
        return JobSettings(bootstrap_servers="", epoch=1, model_dir=repository() / "models" / "default")


def _latency(settings: DoctorSettings) -> Finding:
    jobs = {}
    for job in _ask(settings, "/jobs/overview")["jobs"] if settings.rest_url else ():
        if job["state"] == "RUNNING":
            jobs[job["name"]] = _ask(settings, f"/jobs/{job['jid']}/checkpoints/config")
    return running.latency(settings_faults(_job_settings(settings)), _cluster(settings), jobs)


def _options(settings: DoctorSettings) -> dict[str, Any]:
    return {**librdkafka_options(settings), "bootstrap.servers": settings.bootstrap_servers, "log_level": 0}


def _topics(settings: DoctorSettings) -> Finding:
    if not settings.bootstrap_servers:
        return warn("topics", "no broker to ask: not looked at", _NOT_ASKED)
    admin = AdminClient(_options(settings))
    known = admin.list_topics(timeout=TIMEOUT_S).topics
    ours = [topic.name for topic in topics.TOPICS if topic.name in known]
    asked = [ConfigResource(ResourceType.TOPIC, name) for name in ours]
    answers = (
        {resource.name: told.result(TIMEOUT_S) for resource, told in admin.describe_configs(asked).items()}
        if asked
        else {}
    )
    found = {
        name: running.StandingTopic(
            len(known[name].partitions),
            {key: entry.value for key, entry in answers[name].items() if entry.value is not None},
        )
        for name in ours
    }
    return running.topics(found, _job_settings(settings).parallelism)


class _Timex(ctypes.Structure):
    """The head of ``struct timex`` of Linux on x86-64; the rest is room."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("room", ctypes.c_byte * 256),
    )


def _clock() -> machine.Clock:
    asked = _Timex()
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(asked))
    if state < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    offset_us = asked.offset // 1000 if asked.status & _STA_NANO else asked.offset
    return machine.Clock(state != _TIME_ERROR, offset_us, tuple(time.monotonic_ns() for _ in range(1000)))


def _shared_memory(settings: DoctorSettings) -> Finding:
    tables = [
        machine.Table(path, path.stat().st_size, _is_locked(path.with_name(f"{path.name}.lock")))
        for path in sorted(settings.tables_dir.glob("tidegate*.limits"))
    ]
    return machine.shared_memory(shutil.disk_usage(settings.tables_dir).free, tables, settings.table_mib * 2**20)


def _is_locked(path: Path) -> bool:
    try:
        with path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # given back as the file closes
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _disk(settings: DoctorSettings) -> Finding:
    free = {folder: shutil.disk_usage(folder).free for folder in settings.disk_paths.split(":")}
    return machine.disk(free, settings.disk_free_gib_min * machine.GIB)


def _agreement(settings: DoctorSettings) -> Finding:
    jobs = _job_settings(settings)
    raw_hash = json.loads((jobs.model_dir / "model.json").read_text())["spec_hash"]
    ticks = list(_newest(settings, topics.FEATURES_TICKS)) if settings.bootstrap_servers else []
    told = list(_newest(settings, topics.RISK_STATES)) if settings.bootstrap_servers else []
    states = [state for raw in told if isinstance(state := codec.decode(topics.RISK_STATES, raw), RiskState)]
    model_id = read_folder(jobs.model_dir).model_id if raw_hash == SPEC_HASH else str(jobs.model_dir)
    return running.agreement(
        running.Hashes(
            SPEC_HASH,
            raw_hash,
            frozenset(decode_ticks(raw).spec_hash for raw in ticks),
            model_id,
            frozenset(state.model_id for state in states if state.model_id),
            jobs.epoch if settings.job_settings else 2**31,
            frozenset(state.epoch for state in states),
        )
    )


def _newest(settings: DoctorSettings, topic: str) -> Iterator[bytes]:
    """Yield the newest message of each partition of a topic."""
    consumer = confluent_kafka.Consumer(
        {**_options(settings), "group.id": "tidegate-doctor", "enable.auto.commit": False}
    )
    try:
        known = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
        for number in known.partitions:
            part = confluent_kafka.TopicPartition(topic, number)
            low, high = consumer.get_watermark_offsets(part, timeout=TIMEOUT_S)
            if high > low:
                part.offset = high - 1
                consumer.assign([part])
                message = consumer.poll(TIMEOUT_S)
                if message is not None and message.error() is None:
                    yield message.value()
    finally:
        consumer.close()
