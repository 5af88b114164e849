"""The doctor: each check, healthy and broken; a check that cannot look is no pass; the command's lines and exit."""

import fcntl
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from deploy.cli import main
from deploy.doctor import machine, running, survey
from deploy.doctor.finding import Finding, Level, looked, ok
from deploy.doctor.settings import DoctorSettings
from deploy.local.flink import _OPENS
from schemas.topics import KEEP_FOR_EVER_MS, TOPICS

CLOCK = machine.Clock(is_synchronised=True, offset_us=40, monotonic_ns=(1, 1, 5))
TABLE = machine.Table(Path("/dev/shm/tidegate.limits"), 2**20, is_kept=True)
HASHES = running.Hashes("f1", "f1", frozenset({"f1"}), "default-7", frozenset({"default-7"}), 3, frozenset({3}))
JVM = ["java", "-Xms512m", "-Xmx512m", *_OPENS]
STANDING = {topic.name: running.StandingTopic(4, {"retention.ms": str(topic.retention_ms)}) for topic in TOPICS}
CHECKPOINTS = {"mode": "at_least_once", "interval": 10_000}
LOCK = "numpy==2.1.3 \\\n    --hash=sha256:00\nconfluent-kafka[schemaregistry]==2.16.0 \\\n    --hash=sha256:11\n"


def changed(topic: int, **configs: str) -> dict[str, running.StandingTopic]:
    name = TOPICS[topic].name
    words = {key.replace("_", "."): value for key, value in configs.items()}
    return {**STANDING, name: running.StandingTopic(4, {**STANDING[name].configs, **words})}


HEALTHY = [
    machine.python_version((3, 11, 7)),
    machine.java_version('openjdk version "17.0.15" 2025-04-15'),
    machine.java_version('openjdk version "21" 2023-09-19'),
    machine.tool("gcc", "gcc (Debian) 12.2.0\nCopyright", mend="x"),
    machine.packages(machine.locked_in(LOCK), {"numpy": "2.1.3", "confluent-kafka": "2.16.0"}.get),
    machine.clock(CLOCK),
    machine.shared_memory(2**30, [TABLE], 2**24),
    machine.disk({"/data": 10 * machine.GIB}, 5 * machine.GIB),
    running.flink_python("/venv/python", "3.11.7 apache-flink 2.3.0"),
    running.jvm_options({"taskmanager-1": JVM}),
    running.latency([], {"taskmanager.numberOfTaskSlots": "1", "python.execution-mode": "thread"}, {"a": CHECKPOINTS}),
    running.latency([], {}, {}),
    running.topics(STANDING, 4),
    running.topics(changed(0, retention_ms=str(KEEP_FOR_EVER_MS)), 1),
    running.agreement(HASHES),
    running.agreement(replace(HASHES, ticks=frozenset(), states=frozenset(), epochs=frozenset())),
]


@pytest.mark.parametrize("finding", HEALTHY, ids=lambda finding: finding.check)
def test_healthy_is_ok_with_nothing_to_mend(finding: Finding) -> None:
    assert (finding.level, finding.mend) == (Level.OK, "")
    assert finding.says


BROKEN: list[tuple[Finding, Level, str]] = [
    (machine.python_version((3, 12, 1)), Level.FAIL, "3.12.1, wanted 3.11"),
    (machine.java_version('java version "1.8.0_292"'), Level.FAIL, "wanted 17"),
    (machine.java_version(None), Level.FAIL, "not found"),
    (machine.tool("maven", None, mend="apt-get install maven"), Level.WARN, "not found"),
    (
        machine.packages(machine.locked_in(LOCK), {"numpy": "2.0.0"}.get),
        Level.FAIL,
        "confluent-kafka is missing, locked 2.16.0",
    ),
    (machine.packages({"numpy": "2.1.3"}, {"numpy": "2.0.0"}.get), Level.FAIL, "numpy is 2.0.0, locked 2.1.3"),
    (machine.clock(replace(CLOCK, monotonic_ns=(5, 4))), Level.FAIL, "went backwards"),
    (machine.clock(replace(CLOCK, is_synchronised=False)), Level.WARN, "nothing steers"),
    (machine.clock(replace(CLOCK, offset_us=-250_000)), Level.WARN, "-250.0 ms off"),
    (machine.shared_memory(2**20, [], 2**24), Level.FAIL, "1 MiB free in /dev/shm, a table takes 16"),
    (
        machine.shared_memory(2**30, [TABLE, replace(TABLE, is_kept=False)], 1),
        Level.WARN,
        "1 tables that no sidecar keeps",
    ),
    (machine.disk({"/a": 2**40, "/b": 2**30}, 5 * machine.GIB), Level.FAIL, "/b has 1.0 GiB left"),
    (running.flink_python("/usr/bin/python", None), Level.FAIL, "does not start or has no apache-flink"),
    (running.flink_python("/usr/bin/python", "3.12.1 apache-flink 2.3.0"), Level.FAIL, "wanted 3.11"),
    (running.jvm_options({}), Level.WARN, "not looked at"),
    (
        running.jvm_options({"jobmanager": ["java", "-Xms1g", "-Xmx1g"]}),
        Level.FAIL,
        "lacks --add-opens=java.base/java.lang",
    ),
    (running.jvm_options({"jobmanager": [*JVM, "-Xmx2g"]}), Level.FAIL, "-Xms512m and -Xmx2g"),
    (running.latency(["buffer_timeout_ms is 100"], {}, {}), Level.FAIL, "buffer_timeout_ms is 100"),
    (running.latency([], {"taskmanager.numberOfTaskSlots": "4"}, {}), Level.FAIL, "4 slots in a TaskManager"),
    (running.latency([], {"python.execution-mode": "process"}, {}), Level.FAIL, "execution-mode is process"),
    (running.latency([], {}, {"j": {**CHECKPOINTS, "mode": "exactly_once"}}), Level.FAIL, "j checkpoints exactly_once"),
    (
        running.latency([], {}, {"j": {**CHECKPOINTS, "interval": 9_223_372_036_854_775_807}}),
        Level.FAIL,
        "a restart would replay",
    ),
    (running.topics({}, 1), Level.FAIL, "market.frames is missing"),
    (
        running.topics(changed(0, retention_ms="3600000"), 1),
        Level.FAIL,
        "market.frames: retention.ms is 3600000, wanted",
    ),
    (
        running.topics(changed(5, retention_ms="3600000"), 1),
        Level.FAIL,
        "risk.commands: retention.ms is 3600000, wanted -1",
    ),
    (running.topics(changed(1, retention_bytes="1"), 1), Level.FAIL, "retention.bytes is 1, wanted -1"),
    (running.topics(changed(2, cleanup_policy="compact"), 1), Level.FAIL, "cleanup.policy is compact"),
    (running.topics(changed(2, message_timestamp_type="LogAppendTime"), 1), Level.FAIL, "is not CreateTime"),
    (running.topics(changed(2, max_message_bytes="1048588"), 1), Level.FAIL, "max.message.bytes is 1048588"),
    (running.topics(STANDING, 8), Level.WARN, "4 partitions of market.frames for 8 subtasks"),
    (running.agreement(replace(HASHES, model="f0")), Level.FAIL, "fitted to features f0, the code has f1"),
    (running.agreement(replace(HASHES, ticks=frozenset({"f0"}))), Level.FAIL, "features.ticks come with features f0"),
    (
        running.agreement(replace(HASHES, epochs=frozenset({4}))),
        Level.FAIL,
        "states come from epoch 4, the settings say 3",
    ),
    (
        running.agreement(replace(HASHES, states=frozenset({"other"}))),
        Level.WARN,
        "come from other, deployed is default-7",
    ),
]


@pytest.mark.parametrize(("finding", "level", "says"), BROKEN, ids=[f"{f.check}: {says}" for f, _, says in BROKEN])
def test_broken_is_told_with_what_mends_it(finding: Finding, level: Level, says: str) -> None:
    assert finding.level is level
    assert says in finding.says
    assert finding.mend


def test_jars_are_judged_by_their_bytes(tmp_path: Path) -> None:
    for name, content in (("broker/a.jar", b"a"), ("flink/b.jar", b"b")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    lock = machine.jar_lock(tmp_path)
    assert machine.jars(tmp_path, lock).level is Level.OK
    (tmp_path / "broker/a.jar").write_bytes(b"other")
    assert "broker/a.jar has other bytes" in machine.jars(tmp_path, lock).says
    (tmp_path / "broker/a.jar").rename(tmp_path / "broker/c.jar")
    said = machine.jars(tmp_path, lock)
    assert said.level is Level.FAIL
    assert "broker/a.jar is missing; broker/c.jar is none of ours" in said.says


def test_check_that_cannot_look_is_a_failure_with_the_reason() -> None:
    def broken() -> Finding:
        raise OSError("connection refused")

    assert looked("topics", broken).level is Level.FAIL
    assert "connection refused" in looked("topics", broken).says


def test_lock_of_a_living_sidecar_is_seen_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "tidegate.limits.lock"
    assert not survey._is_locked(path)
    with path.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert survey._is_locked(path)
    assert not survey._is_locked(path)
    with path.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # looking kept no lock


def test_kernel_tells_of_its_clocks() -> None:
    found = survey._clock()
    assert len(found.monotonic_ns) > 100
    assert list(found.monotonic_ns) == sorted(found.monotonic_ns)


def test_command_prints_a_line_for_each_check_and_fails_where_one_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = [ok("python", "3.11.7"), machine.java_version(None)]
    monkeypatch.setattr("deploy.commands.doctor.survey", lambda _settings, _state: iter(found))
    said = CliRunner().invoke(main, ["doctor", "--state", str(tmp_path)])
    assert said.exit_code == 1
    assert said.output.splitlines()[0].split() == ["ok", "python", "3.11.7"]
    assert "-> apt-get install openjdk-17" in said.output
    as_json: list[dict[str, Any]] = json.loads(
        CliRunner().invoke(main, ["doctor", "--json", "--state", str(tmp_path)]).output
    )
    assert [row["level"] for row in as_json] == ["ok", "fail"]
    found.pop()
    assert CliRunner().invoke(main, ["doctor", "--state", str(tmp_path)]).exit_code == 0


@pytest.mark.slow
def test_doctor_looks_at_this_machine_without_a_stack(tmp_path: Path) -> None:
    settings = DoctorSettings(tables_dir=tmp_path, disk_paths=str(tmp_path), disk_free_gib_min=0)
    found = {each.check: each for each in survey.survey(settings, tmp_path)}
    assert len(found) == 14
    assert not [each for each in found.values() if "could not look" in each.says and each.check != "jars"]
    assert found["model and features"].level is Level.OK
    assert found["topics"].says == "no broker to ask: not looked at"
