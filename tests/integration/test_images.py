"""The steps of the images in a clean folder, and a job started there exactly as its manifest says.

No container can be built here, so what a Dockerfile runs are scripts, and this runs them: the environment of the lock, the
project in it, Flink's home made of it. Then a JobManager and a TaskManager start in application mode, which is what the
operator makes, with the manifest's entry class, arguments, variables and Flink configuration.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest

from deploy.local.ports import free_ports
from deploy.local.processes import ProcessBook
from feeds.framing import frames_of
from feeds.producer import FrameProducer
from feeds.simulator.session import simulate
from schemas import topics
from tests.k8s.manifests import ROOT, Workload, config_map, need, render, workloads

pytestmark = pytest.mark.integration

STEPS = ROOT / "deploy" / "images" / "steps"
HOME = "/opt/tidegate"
START_S = 240.0
METRICS_PORTS = 20
FROM_THE_CLUSTER = ("kubernetes.", "high-availability.")


def installer() -> str:
    found = ROOT / ".tools" / "bin" / "uv"
    return str(found) if found.exists() else str(need(Path(shutil.which("uv") or "uv"), "uv is missing (`make setup`)"))


def step(name: str, *arguments: object) -> None:
    python = subprocess.run([ROOT / "deploy/prerequisites.sh", "--python"], capture_output=True, text=True, check=True)
    env = {**os.environ, "UV": installer(), "LINK_MODE": "hardlink", "PYTHON": python.stdout.strip()}
    env.pop("PYTHONPATH", None)
    done = subprocess.run(
        [STEPS / f"{name}.sh", *map(str, arguments)], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``tidegate`` and ``flink``, as the jobs' image has them under /opt."""
    need(next(iter((ROOT / "jars" / "plugins").glob("*.jar")), None), "plugin jars are missing (`make jars`)")
    opt = tmp_path_factory.mktemp("opt")
    step("python", opt / "tidegate", ROOT / "locks" / "runtime.lock")
    step("application", opt / "tidegate", ROOT)
    step("flink", opt / "tidegate", opt / "flink", ROOT / "jars")
    return opt


def run(image: Path, *command: str) -> str:
    """Run a command of the image, away from the source."""
    path = f"{image}/flink/bin:{image}/tidegate/venv/bin:/usr/bin:/bin"
    env = {"PATH": path, "HOME": str(image), "JAVA_HOME": os.environ.get("JAVA_HOME", "")}
    done = subprocess.run(command, env=env, cwd=image, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(900)
def test_jobs_image_holds_flink_the_project_and_the_plugin_of_the_object_store(image: Path) -> None:
    assert "2.3.0" in run(image, "flink", "--version")
    where = run(image, "python", "-c", "import gate._native, features._native, jobs; print(gate._native.__file__)")
    assert where.startswith(str(image))
    assert (image / "tidegate/models/default/model.json").exists()
    assert list((image / "flink/plugins/s3-fs-hadoop").glob("flink-s3-fs-hadoop-2.3.0.jar"))


@pytest.mark.timeout(900)
def test_services_image_starts_everything_that_the_manifests_start_there(tmp_path: Path) -> None:
    step("python", tmp_path / "tidegate", ROOT / "locks" / "services.lock")
    step("application", tmp_path / "tidegate", ROOT)
    for overlay in ("dev", "prod-triton"):
        for work in workloads(render(overlay)):
            for container in [] if work.is_flink else work.containers():
                start(tmp_path, [word.replace(HOME, f"{tmp_path}/tidegate") for word in container["command"]])


def start(image: Path, command: list[str]) -> None:
    """Start a process of the image as far as that can go without a cluster."""
    if command[:2] == ["python", "-m"]:
        assert "usage:" in run(image, *command[:3], "--help")
    elif command[:3] == ["tidegate", "model", "export"]:
        run(image, *[word.replace("/models", str(image / "served")) if word == "/models" else word for word in command])
        assert list((image / "served").rglob("config.pbtxt"))
    elif command[0] == "tidegate":
        words = [word for word in command[:3] if not word.startswith("-")]
        assert "Usage:" in run(image, *words, "--help")
    elif command[0].endswith("/embed"):
        assert os.access(command[0], os.X_OK)


def write_configuration(work: Workload, image: Path, folder: Path, ports: tuple[int, int]) -> None:
    """Write the manifest's Flink configuration, with the paths and the ports (REST, metrics) of this machine."""
    rest_port, metrics_port = ports
    spec = work.flink
    rpc, blob = free_ports(2)
    config = {k: v for k, v in spec["flinkConfiguration"].items() if not k.startswith(FROM_THE_CLUSTER)}
    config = {key: value.replace(HOME, f"{image}/tidegate") for key, value in config.items()}
    config |= {
        "execution.checkpointing.dir": f"file://{folder}/checkpoints",
        "execution.checkpointing.savepoint-dir": f"file://{folder}/savepoints",
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.rpc.port": str(rpc),
        "jobmanager.bind-host": "127.0.0.1",
        "taskmanager.host": "127.0.0.1",
        "taskmanager.bind-host": "127.0.0.1",
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "rest.port": str(rest_port),
        "blob.server.port": str(blob),
        "metrics.reporter.prometheus.port": f"{metrics_port}-{metrics_port + METRICS_PORTS}",
        "parallelism.default": str(spec["job"]["parallelism"]),
        "jobmanager.memory.process.size": spec["jobManager"]["resource"]["memory"],
        "taskmanager.memory.process.size": spec["taskManager"]["resource"]["memory"],
        "io.tmp.dirs": str(folder),
    }
    conf = folder / "conf"
    shutil.copytree(image / "flink" / "conf", conf)
    (conf / "config.yaml").write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in config.items()))


def environment(work: Workload, image: Path, folder: Path) -> dict[str, str]:
    (container,) = work.containers()
    return {
        **{variable["name"]: variable["value"] for variable in container["env"]},
        "PATH": f"{image}/flink/bin:{image}/tidegate/venv/bin:/usr/bin:/bin",
        "JAVA_HOME": os.environ.get("JAVA_HOME", ""),
        "HOME": str(folder),
        "FLINK_CONF_DIR": str(folder / "conf"),
        "FLINK_LOG_DIR": str(folder),
        "FLINK_PID_DIR": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@pytest.fixture
def book(tmp_path: Path) -> Iterator[ProcessBook]:
    found = ProcessBook(tmp_path / "book")
    try:
        yield found
    finally:
        found.stop_all()


def ask(port: int, path: str) -> Any:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return json.load(answer)
    except OSError:
        return None


def metrics(first_port: int) -> str:
    """Return what the reporters of both JVMs tell."""
    found = []
    for port in range(first_port, first_port + METRICS_PORTS + 1):
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer,
        ):
            found.append(answer.read().decode())
    return "\n".join(found)


def metrics_in_rules() -> set[str]:
    (rules,) = [d for d in render("prod") if d["kind"] == "PrometheusRule"]
    expressions = [rule["expr"] for group in rules["spec"]["groups"] for rule in group["rules"]]
    return {name for expression in expressions for name in re.findall(r"\bflink_\w+", expression)}


def wait(what: Callable[[], Any], folder: Path) -> Any:
    deadline = time.monotonic() + START_S
    while not (found := what()):
        if time.monotonic() > deadline:
            logs = [f"{path.name}:\n{path.read_text()[-3000:]}" for path in (folder / "book" / "logs").glob("*.log")]
            pytest.fail("\n".join(logs))
        time.sleep(0.5)
    return found


@pytest.mark.timeout(900)
def test_job_runs_in_application_mode_as_its_manifest_says(
    image: Path, tmp_path: Path, book: ProcessBook, broker: Callable[[int], int]
) -> None:
    documents = render("dev")
    work = next(w for w in workloads(documents) if w.name == "FlinkDeployment/compute-features")
    servers, (rest_port, metrics_port) = f"127.0.0.1:{broker(1)}", free_ports(2)
    write_configuration(work, image, tmp_path, (rest_port, metrics_port))
    (settings_map,) = [v["configMap"]["name"] for v in work.pod["spec"]["volumes"] if v["name"] == "settings"]
    text = config_map(documents, settings_map)["jobs.toml"].replace(HOME, f"{image}/tidegate")
    (tmp_path / "jobs.toml").write_text(text)
    job = work.flink["job"]
    arguments = [argument.replace(HOME, f"{image}/tidegate") for argument in job["args"]]
    arguments = [argument.replace("/etc/tidegate", str(tmp_path)) for argument in arguments]
    env = environment(work, image, tmp_path) | {"TIDEGATE_JOB_BOOTSTRAP_SERVERS": servers}
    entry = str(ROOT / "deploy/images/entrypoint.sh")
    manager = ["standalone-job.sh", "start-foreground", "--job-classname", job["entryClass"]]

    book.start("jobmanager", [entry, *manager, *arguments], env=env, cwd=tmp_path)
    book.start("taskmanager", [entry, "taskmanager.sh", "start-foreground"], env=env, cwd=tmp_path)

    def running() -> bool:
        jobs = (ask(rest_port, "/jobs/overview") or {"jobs": []})["jobs"]
        return bool(jobs) and jobs[0]["tasks"]["running"] == jobs[0]["tasks"]["total"]

    wait(running, tmp_path)
    assert ask(rest_port, "/config")["flink-version"] == "2.3.0", "what the JobManager's probe asks for"
    plan = simulate("flash_crash", 7)
    scenario = plan.scenario
    frames = list(frames_of([plan.block], scenario.channel_id, start_ns=scenario.start_ns, end_ns=scenario.end_ns))
    FrameProducer(servers).replay(iter(frames[:200]), speed=None)
    reader = confluent_kafka.Consumer(
        {"bootstrap.servers": servers, "group.id": "test", "auto.offset.reset": "earliest", "log_level": 2}
    )
    reader.subscribe([topics.FEATURES_TICKS])
    try:
        message = wait(lambda: reader.poll(1.0), tmp_path)
    finally:
        reader.close()
    assert message.error() is None
    assert message.key().decode() == scenario.channel_id
    told = wait(
        lambda: text if "flink_taskmanager_job_task_operator_K" in (text := metrics(metrics_port)) else None, tmp_path
    )
    assert not {name for name in metrics_in_rules() if f"\n{name}{{" not in told}, (
        "an alert on a metric that nobody tells"
    )
