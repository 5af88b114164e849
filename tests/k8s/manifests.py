"""The manifests as a cluster would get them: each overlay rendered by kustomize, once per session."""

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"
CRDS = ROOT / "jars" / "crds"
OVERLAYS = tuple(sorted(path.parent.name for path in (K8S / "overlays").glob("*/kustomization.yaml")))
POD_PATHS = {
    "FlinkDeployment": ("spec", "podTemplate"),
    "FlinkBlueGreenDeployment": ("spec", "template", "spec", "podTemplate"),
    "StatefulSet": ("spec", "template"),
    "Deployment": ("spec", "template"),
    "Job": ("spec", "template"),
    "Pod": (),
}
"""Where a kind holds its pod."""
FLINK_KINDS = ("FlinkDeployment", "FlinkBlueGreenDeployment")

Document = dict[str, Any]


def need(what: Path | None, message: str) -> Path:
    """Return what is there; a missing tool is a loud skip on a desk and a failure where ``CI=true``."""
    if what is not None and what.exists():
        return what
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def kustomize() -> Path:
    built = ROOT / "build" / "tools" / "kustomize"
    found = shutil.which("kustomize")
    path = built if built.exists() else Path(found) if found else None
    return need(path, "kustomize is missing: the manifests were NOT rendered (`make kustomize`, which needs Go)")


@functools.cache
def _render(folder: Path) -> str:
    done = subprocess.run([kustomize(), "build", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, f"kustomize warns: {done.stderr}"
    return done.stdout


def render(overlay: str) -> list[Document]:
    """Return the documents of an overlay; each call gives new ones."""
    return [document for document in yaml.load_all(_render(K8S / "overlays" / overlay), yaml.CSafeLoader) if document]


def operations() -> list[Document]:
    """Return the documents that people apply by hand."""
    return [d for path in sorted((K8S / "operations").glob("*.yaml")) for d in yaml.safe_load_all(path.read_text())]


def at(document: Document, *path: str) -> Any:
    """Return what lies at a path, ``None`` when nothing does."""
    for name in path:
        if not isinstance(document, dict) or name not in document:
            return None
        document = document[name]
    return document


def name_of(document: Document) -> str:
    metadata = document["metadata"]
    return f"{document['kind']}/{metadata.get('name') or metadata.get('generateName')}"


@dataclass(frozen=True)
class Workload:
    """A document that makes pods, and the pod it makes."""

    document: Document
    pod: Document

    @property
    def name(self) -> str:
        return name_of(self.document)

    @property
    def is_flink(self) -> bool:
        return self.document["kind"] in FLINK_KINDS

    @property
    def flink(self) -> Document:
        """The spec of a Flink deployment."""
        spec = self.document["spec"]
        found: Document = spec["template"]["spec"] if self.document["kind"] == "FlinkBlueGreenDeployment" else spec
        return found

    def containers(self) -> Iterator[Document]:
        spec = self.pod["spec"]
        yield from spec.get("initContainers", [])
        yield from spec["containers"]


def workloads(documents: list[Document]) -> list[Workload]:
    return [
        Workload(document, at(document, *POD_PATHS[document["kind"]]))
        for document in documents
        if document["kind"] in POD_PATHS
    ]


def config_map(documents: list[Document], name: str) -> dict[str, str]:
    (found,) = [d for d in documents if d["kind"] == "ConfigMap" and d["metadata"]["name"] == name]
    data: dict[str, str] = found["data"]
    return data
