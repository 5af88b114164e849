"""What every manifest must keep to, whatever it deploys."""

import re
from typing import Any

import pytest

from jobs.settings import MAX_PARALLELISM
from schemas.topics import TOPICS
from tests.k8s.manifests import K8S, OVERLAYS, Document, Workload, at, name_of, render, workloads

VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "secret"}
PORTS_OF_FLINK = (8081, 9249)
DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
VERSION = re.compile(r":v?[0-9]+\.[0-9]+[0-9a-z.\-]*$")
SECRET_WORDS = re.compile(
    r"(?i)(password|passwd|secret|token|access.?key|private.?key)\s*[\"']?\s*[:=]\s*(?!true|false)[\"']?[^\s\"'{}]{4,}"
)

every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


def images(document: Any) -> list[str]:
    if isinstance(document, list):
        return [image for part in document for image in images(part)]
    if not isinstance(document, dict):
        return []
    here = [document["image"]] if isinstance(document.get("image"), str) else []
    return here + [image for part in document.values() for image in images(part)]


@every_overlay
def test_every_image_has_a_version_and_in_prod_a_digest(overlay: str) -> None:
    found = {image for document in render(overlay) for image in images(document)}
    assert found
    wanted = VERSION if overlay == "dev" else DIGEST
    assert not [image for image in found if not wanted.search(image)]


@every_overlay
def test_every_pod_is_confined(overlay: str) -> None:
    for work in workloads(render(overlay)):
        spec = work.pod["spec"]
        assert at(spec, "securityContext", "runAsNonRoot") is True, work.name
        assert at(spec, "securityContext", "runAsUser") >= 1000, work.name
        assert at(spec, "securityContext", "seccompProfile") == {"type": "RuntimeDefault"}, work.name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), work.name
        assert spec["automountServiceAccountToken"] is False, work.name
        for container in work.containers():
            where = f"{work.name}: {container['name']}"
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, where
            assert context["readOnlyRootFilesystem"] is True, where
            assert context["capabilities"] == {"drop": ["ALL"]}, where
            assert not {"privileged", "runAsUser", "procMount"} & context.keys(), where
        for volume in spec.get("volumes", []):
            (kind,) = volume.keys() - {"name"}
            assert kind in VOLUMES, f"{work.name}: {volume}"
            assert kind != "emptyDir" or "sizeLimit" in volume["emptyDir"], f"{work.name}: {volume}"


@every_overlay
def test_every_container_has_requests_and_limits(overlay: str) -> None:
    for work in workloads(render(overlay)):
        if work.is_flink:
            for part in ("jobManager", "taskManager"):
                assert set(work.flink[part]["resource"]) == {"cpu", "memory"}, work.name
            continue
        for container in work.containers():
            for bound in ("requests", "limits"):
                assert {"cpu", "memory"} <= set(container["resources"][bound]), f"{work.name}: {container['name']}"


@every_overlay
def test_everything_that_serves_is_probed_and_drained_one_at_a_time(overlay: str) -> None:
    documents = render(overlay)
    budgets = [at(d, "spec", "selector", "matchLabels") for d in documents if d["kind"] == "PodDisruptionBudget"]
    for work in workloads(documents):
        if work.document["kind"] == "Job":
            continue
        labels = work.pod["metadata"]["labels"]
        assert [b for b in budgets if b and b.items() <= labels.items()], f"{work.name} has no disruption budget"
        if work.is_flink:
            assert at(work.flink, "jobManager", "podTemplate", "spec", "containers")[0]["livenessProbe"]
            assert at(work.flink, "taskManager", "podTemplate", "spec", "containers")[0]["livenessProbe"]
            continue
        for container in work.pod["spec"]["containers"]:
            assert {"readinessProbe", "livenessProbe"} <= container.keys(), f"{work.name}: {container['name']}"


@every_overlay
def test_network_is_closed_and_each_pod_that_speaks_is_allowed_to(overlay: str) -> None:
    policies = {d["metadata"]["name"]: d["spec"] for d in render(overlay) if d["kind"] == "NetworkPolicy"}
    assert policies["deny-everything"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, policy in policies.items():
        for direction, kind in (("ingress", "Ingress"), ("egress", "Egress")):
            assert direction not in policy or kind in policy["policyTypes"], name
            for rule in policy.get(direction, []):
                assert rule, f"{name} allows everything"
    reaches = policies["kafka"]["podSelector"]["matchLabels"]
    for work in workloads(render(overlay)):
        speaks = any("settings" in str(container) for container in work.containers())
        assert not speaks or reaches.items() <= work.pod["metadata"]["labels"].items(), work.name


@every_overlay
def test_secrets_come_by_reference_only(overlay: str) -> None:
    documents = render(overlay)
    assert not [name_of(d) for d in documents if d["kind"] == "Secret"]
    for document in documents:
        texts = document["data"].values() if document["kind"] == "ConfigMap" else []
        assert not [found for text in texts for found in SECRET_WORDS.findall(text)], name_of(document)
    for work in workloads(documents):
        for container in work.containers():
            for variable in container.get("env", []):
                is_secret = re.search(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY", variable["name"])
                assert not is_secret or "secretKeyRef" in variable["valueFrom"], variable["name"]


def test_no_file_of_the_manifests_holds_a_secret_and_all_are_yaml() -> None:
    files = [path for path in K8S.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".yaml"}
    assert not [path.name for path in files if SECRET_WORDS.search(path.read_text())]


def flink_jobs(overlay: str) -> list[Workload]:
    return [work for work in workloads(render(overlay)) if work.is_flink]


@every_overlay
def test_what_a_savepoint_depends_on_is_fixed(overlay: str) -> None:
    found = flink_jobs(overlay)
    assert len(found) == 3
    for work in found:
        config = work.flink["flinkConfiguration"]
        assert work.flink["flinkVersion"] == "v2_3"
        assert config["pipeline.max-parallelism"] == str(MAX_PARALLELISM)
        assert config["python.execution-mode"] == "thread"
        assert config["taskmanager.numberOfTaskSlots"] == "1"
        assert config["state.backend.type"] == "hashmap"
        assert work.flink["job"]["upgradeMode"] == "savepoint"
        assert work.flink["job"]["allowNonRestoredState"] is False
        assert config["high-availability.type"] == "kubernetes"
        folders = {
            "execution.checkpointing.dir",
            "execution.checkpointing.savepoint-dir",
            "high-availability.storageDir",
        }
        assert folders <= config.keys()
        assert 1 <= work.flink["job"]["parallelism"] <= MAX_PARALLELISM


@every_overlay
def test_a_task_manager_has_heap_left_after_its_other_parts(overlay: str) -> None:
    for work in flink_jobs(overlay):
        config = work.flink["flinkConfiguration"]
        parts = ("managed.size", "network.max", "framework.off-heap.size", "task.off-heap.size", "jvm-overhead.max")
        beside = sum(int(config[f"taskmanager.memory.{part}"].removesuffix("m")) for part in parts)
        total = int(work.flink["taskManager"]["resource"]["memory"].removesuffix("m"))
        assert total - beside - 256 - 128 >= 512, "metaspace and the framework's heap have Flink's defaults"


def test_strimzi_topics_are_those_of_the_schemas() -> None:
    documents = render("prod-strimzi")
    found = {d["metadata"]["name"]: d["spec"] for d in documents if d["kind"] == "KafkaTopic"}
    assert set(found) == {topic.name for topic in TOPICS}
    assert "Job/topics" not in [name_of(d) for d in documents]
    for topic in TOPICS:
        assert found[topic.name]["config"]["retention.ms"] == topic.retention_ms, topic.name


def test_blue_green_replaces_the_deployment_and_has_its_spec() -> None:
    plain = next(w for w in flink_jobs("prod") if w.document["metadata"]["name"] == "score-risk")
    found = [w for w in flink_jobs("prod-blue-green") if w.document["metadata"]["name"] == "score-risk"]
    assert [w.document["kind"] for w in found] == ["FlinkBlueGreenDeployment"]
    assert found[0].flink == plain.flink


def documents_of(overlay: str, kind: str) -> list[Document]:
    return [d for d in render(overlay) if d["kind"] == kind]


@every_overlay
def test_only_job_managers_may_use_the_api_server(overlay: str) -> None:
    assert not documents_of(overlay, "ClusterRole")
    for account in documents_of(overlay, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    for work in workloads(render(overlay)):
        if work.is_flink:
            assert at(work.flink, "jobManager", "podTemplate", "spec", "automountServiceAccountToken") is True
            assert at(work.flink, "taskManager", "podTemplate", "spec", "automountServiceAccountToken") is None
        else:
            assert work.pod["spec"]["serviceAccountName"] == "services", work.name
