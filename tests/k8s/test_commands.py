"""Every command, setting and variable in the manifests exists in this tree: a typo cannot reach a cluster."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from deploy.local import flink
from jobs.preflight import settings_faults
from schemas.settings import load_settings
from tests.k8s.manifests import OVERLAYS, ROOT, Document, Workload, config_map, render, workloads
from tests.k8s.processes import JOB, PROCESSES, Process, read_module, read_tidegate

SETTINGS_FOLDER = "/etc/tidegate"
HOME = "/opt/tidegate"
EMBED = "/opt/tidegate/bin/embed"
TRITON = "tritonserver"
FOREIGN_VARIABLES = {"OMP_NUM_THREADS", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "HOST"}
FLINK_OPTIONS = ("-pyclientexec", "-pyexec", "-pym")

every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


def commands_of(container: Document) -> list[list[str]]:
    """Return what a container runs, its probes among it."""
    probes = [
        container[name]["exec"]["command"] for name in container if name.endswith("Probe") and "exec" in container[name]
    ]
    assert "args" not in container, "the whole command stands in `command`"
    return [container["command"], *probes]


def job_command(work: Workload) -> list[str]:
    """Return a Flink job's arguments as the command they stand for: Flink's options first, in pairs, then the job's."""
    arguments = list(work.flink["job"]["args"])
    found = {}
    while arguments and arguments[0].startswith("-py"):
        option, value, *arguments = arguments
        found[option] = value
    assert tuple(found) == FLINK_OPTIONS
    assert {found["-pyclientexec"], found["-pyexec"]} == {"/opt/tidegate/venv/bin/python"}
    return ["python", "-m", found["-pym"], *arguments]


def read(command: list[str], monkeypatch: pytest.MonkeyPatch) -> Path | None:
    """Read a command line as its process would; return the settings file that it names."""
    if command[0] == EMBED:  # the C example: TABLE LEDGER
        assert len(command) == 3
        return None
    if command[0] == TRITON:  # the options that the tests of serving start it with
        tried = (ROOT / "deploy" / "local" / "triton.py").read_text()
        assert not [option for option in command[1:] if option.partition("=")[0] not in tried]
        return None
    if command[:2] == ["python", "-m"]:
        found: Any = vars(read_module(command[2], command[3:], monkeypatch))
    else:
        assert command[0] == "tidegate"
        # A folder of the image is a folder of this tree.
        found = read_tidegate([word.replace(HOME, str(ROOT)) for word in command[1:]])
    path: Path | None = found.get("settings")
    return path


def values_of(container: Document) -> dict[str, str]:
    """Return the variables; one that comes from elsewhere has some value."""
    return {variable["name"]: variable.get("value", "given") for variable in container.get("env", [])}


def settings_text(documents: list[Document], work: Workload, container: Document, path: Path) -> str:
    """Return the settings file that a container sees at a path."""
    assert str(path.parent) == SETTINGS_FOLDER
    (mount,) = [m for m in container["volumeMounts"] if m["mountPath"] == SETTINGS_FOLDER]
    assert mount["readOnly"]
    (volume,) = [v for v in work.pod["spec"]["volumes"] if v["name"] == mount["name"]]
    return config_map(documents, volume["configMap"]["name"])[path.name]


def load(process: Process, text: str, container: Document, folder: Path) -> Any:
    values = values_of(container)
    known = {f"{process.prefix}_{field.name}".upper() for field in dataclasses.fields(process.settings)}
    assert not values.keys() - known - FOREIGN_VARIABLES, "a variable that no process reads"
    path = folder / "settings.toml"
    path.write_text(text)
    return load_settings(process.settings, path, prefix=process.prefix, environ=values)


@every_overlay
def test_every_command_and_its_settings_exist(overlay: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = render(overlay)
    for work in workloads(documents):
        for container in work.containers():
            commands = [job_command(work)] if work.is_flink else commands_of(container)
            for command in commands:
                path = read(command, monkeypatch)
                if path is not None:
                    text = settings_text(documents, work, container, path)
                    assert load(PROCESSES[" ".join(command[:3])], text, container, tmp_path)
                elif command is commands[0]:
                    assert not values_of(container), "variables for a process that reads none"


@every_overlay
def test_jobs_would_pass_their_own_check_and_flink_says_the_same_parallelism(overlay: str, tmp_path: Path) -> None:
    documents = render(overlay)
    for work in workloads(documents):
        if not work.is_flink:
            continue
        (container,) = work.containers()
        text = settings_text(documents, work, container, Path(work.flink["job"]["args"][-1]))
        settings = load(JOB, text, container, tmp_path)
        assert settings.parallelism == work.flink["job"]["parallelism"]
        model = ROOT / settings.model_dir.relative_to(HOME)
        assert settings_faults(dataclasses.replace(settings, model_dir=model)) == []


@every_overlay
def test_jar_and_entry_class_are_those_of_the_pinned_flink(overlay: str) -> None:
    package = flink.pyflink_folder()
    for work in workloads(render(overlay)):
        if work.is_flink:
            job = work.flink["job"]
            assert job["jarURI"].startswith("local:///opt/flink/")
            assert (package / job["jarURI"].removeprefix("local:///opt/flink/")).exists()
            assert job["entryClass"] == "org.apache.flink.client.python.PythonDriver"


@every_overlay
def test_mounts_name_volumes_and_settings_paths_are_mounted(overlay: str, tmp_path: Path) -> None:
    documents = render(overlay)
    for work in workloads(documents):
        claims = [claim["metadata"]["name"] for claim in work.document["spec"].get("volumeClaimTemplates", [])]
        volumes = {volume["name"] for volume in work.pod["spec"].get("volumes", [])} | set(claims)
        for container in work.containers():
            mounts = container.get("volumeMounts", [])
            assert {mount["name"] for mount in mounts} <= volumes
            if work.is_flink or " ".join(container["command"][:3]) not in PROCESSES:
                continue
            path = Path(container["command"][-1])
            text = settings_text(documents, work, container, path)
            settings = load(PROCESSES[" ".join(container["command"][:3])], text, container, tmp_path)
            for field in ("table_path", "state_dir", "status_dir", "socket_path", "data_dir"):
                value = getattr(settings, field, None)
                if value is None or (field == "data_dir" and settings.interface != "chdb"):
                    continue
                assert [m for m in mounts if str(value).startswith(m["mountPath"]) and not m.get("readOnly")], field


def test_sidecar_and_trading_process_share_the_table_in_memory() -> None:
    (work,) = [w for w in workloads(render("dev")) if w.name == "Job/trading-example"]
    containers = {c["name"]: c for c in work.containers()}
    shared = [v["name"] for v in work.pod["spec"]["volumes"] if v.get("emptyDir", {}).get("medium") == "Memory"]
    assert "limits" in shared
    for container in containers.values():
        assert {"name": "limits", "mountPath": "/run/tidegate/limits"} in container["volumeMounts"]
    assert containers["gate-sidecar"]["restartPolicy"] == "Always"
    assert containers["gate-sidecar"]["startupProbe"], "trading starts when the table is whole"
    assert containers["trading"]["command"][1].startswith("/run/tidegate/limits/")


@pytest.mark.parametrize("overlay", ["dev", "prod"])
@pytest.mark.parametrize("name", ["api", "quality"])
def test_who_asks_the_history_is_in_its_pod_and_sees_its_socket(name: str, overlay: str, tmp_path: Path) -> None:
    documents = render(overlay)
    (work,) = [w for w in workloads(documents) if w.name == "StatefulSet/history"]
    found = {container["name"]: container for container in work.pod["spec"]["containers"]}

    def loaded(container: Document) -> Any:
        text = settings_text(documents, work, container, Path(container["command"][-1]))
        return load(PROCESSES[" ".join(container["command"][:3])], text, container, tmp_path)

    writer, reader = loaded(found["writer"]), loaded(found[name])
    assert reader.status_dir == writer.status_dir == writer.socket_path.parent
    shared = {"name": "status", "mountPath": str(writer.status_dir)}
    assert all(shared in found[one]["volumeMounts"] for one in ("writer", name))
    if name == "quality":
        assert reader.clock == ("event" if overlay == "dev" else "wall"), "simulated sessions lie in the past"


@every_overlay
def test_ports_that_prometheus_asks_are_served_open_and_different(overlay: str, tmp_path: Path) -> None:
    documents = render(overlay)
    monitors = [d["spec"] for d in documents if d["kind"] == "PodMonitor"]
    policies = [d["spec"] for d in documents if d["kind"] == "NetworkPolicy" and d["metadata"]["name"] == "monitoring"]
    allowed = {port["port"] for policy in policies for rule in policy["ingress"] for port in rule["ports"]}
    for work in workloads(documents):
        served: list[int] = []
        for container in () if work.is_flink else work.containers():
            command = " ".join(container["command"][:3])
            ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
            ours = command in PROCESSES  # the server of models is watched by its component, or not at all
            named = {name: port for name, port in ports.items() if ours and name.startswith("metrics")}
            if named:
                text = settings_text(documents, work, container, Path(container["command"][-1]))
                assert list(named.values()) == [load(PROCESSES[command], text, container, tmp_path).metrics_port]
            served += named.values()
            for monitor in monitors:
                if monitor["selector"]["matchLabels"].items() <= work.pod["metadata"]["labels"].items():
                    assert named.keys() <= {endpoint["port"] for endpoint in monitor["podMetricsEndpoints"]}
        assert len(set(served)) == len(served), work.name
        assert not policies or set(served) <= allowed, work.name


def test_score_risk_asks_the_triton_that_is_deployed(tmp_path: Path) -> None:
    documents = render("prod-triton")
    (work,) = [w for w in workloads(documents) if w.name == "FlinkDeployment/score-risk"]
    (container,) = work.containers()
    serving = load(
        JOB, settings_text(documents, work, container, Path("/etc/tidegate/jobs.toml")), container, tmp_path
    ).serving
    (service,) = [d for d in documents if d["kind"] == "Service" and d["metadata"]["name"] == "triton"]
    assert serving.back_end == "remote"
    assert serving.url == f"http://triton:{service['spec']['ports'][0]['port']}"
    (triton,) = [w for w in workloads(documents) if w.name == "Deployment/triton"]
    (server,) = triton.pod["spec"]["containers"]
    assert server["resources"]["limits"]["nvidia.com/gpu"] == server["resources"]["requests"]["nvidia.com/gpu"] == 1
    assert triton.pod["spec"]["nodeSelector"]


def test_canary_a_wrong_command_a_wrong_option_and_a_wrong_variable_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AssertionError, match="no module"):
        read(["python", "-m", "gate.side_car"], monkeypatch)
    with pytest.raises(pytest.fail.Exception):
        read(["python", "-m", "gate.sidecar", "--setting-file", "x"], monkeypatch)
    with pytest.raises(Exception, match="No such"):
        read(["tidegate", "topics", "destroy"], monkeypatch)
    container = {"env": [{"name": "TIDEGATE_TOPICS_PARTITION", "value": "3"}]}
    with pytest.raises(AssertionError, match="no process reads"):
        load(PROCESSES["tidegate topics apply"], 'bootstrap_servers = "h:1"', container, tmp_path)
