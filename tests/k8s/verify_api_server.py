"""Every overlay applied to a real API server, and every pod put before its pod-security admission. ``make k8s-apiserver``.

Server-side apply with strict field validation judges each document as a cluster would: schema, defaults, admission. Each
workload's pod is then created as a dry run in a namespace that enforces ``restricted``. No controller runs, so nothing is
started. CRDs: Flink's from the operator's release; those that no package registry holds are made of ``third_party``.
"""

import json
import secrets
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from deploy.local.ports import free_ports
from tests.k8s.manifests import CRDS, OVERLAYS, ROOT, Document, name_of, operations, render, workloads
from tests.k8s.test_schemas import OPERATOR
from tests.k8s.third_party import SCHEMAS

SERVER = ROOT / "build" / "tools" / "apiserver"
START_S = 300.0
CORE = {
    "Namespace": ("api/v1", "namespaces"),
    "ConfigMap": ("api/v1", "configmaps"),
    "Service": ("api/v1", "services"),
    "ServiceAccount": ("api/v1", "serviceaccounts"),
    "PersistentVolumeClaim": ("api/v1", "persistentvolumeclaims"),
    "Pod": ("api/v1", "pods"),
}


IMMUTABLE = ("StatefulSet", "Job")


class RefusedError(Exception):
    """The server's answer to what it does not take."""


class ApiServer:
    """A client of one server."""

    def __init__(self, port: int, token: str) -> None:
        self._url = f"https://127.0.0.1:{port}/"
        self._token = token
        self.warnings: list[str] = []
        # The server made its certificate a second ago, on this machine, for this run.
        self._context = ssl._create_unverified_context()

    def ask(self, path: str, *, method: str = "GET", body: Any = None, kind: str = "application/json") -> Any:
        request = urllib.request.Request(self._url + path, method=method)
        request.add_header("Authorization", f"Bearer {self._token}")
        request.add_header("Content-Type", kind)
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, data, timeout=30, context=self._context) as answer:
                self.warnings += answer.headers.get_all("Warning") or []
                text = answer.read()
        except urllib.error.HTTPError as error:
            said = error.read().decode()
            raise RefusedError(json.loads(said)["message"] if said.startswith("{") else said) from error
        return json.loads(text) if text.startswith(b"{") else text.decode()

    def is_ready(self) -> bool:
        try:
            return bool(self.ask("readyz") == "ok")
        except (OSError, RefusedError, ValueError):
            return False

    def apply(self, document: Document) -> None:
        """Apply a document on the server's side, as ``kubectl apply --server-side --validate=strict``."""
        name = document["metadata"]["name"]
        self.ask(
            f"{self.path_of(document)}/{name}?fieldManager=tidegate&fieldValidation=Strict",
            method="PATCH",
            body=document,
            kind="application/apply-patch+yaml",
        )

    def create(self, document: Document) -> None:
        """Create a document as a dry run."""
        path = f"{self.path_of(document)}?dryRun=All&fieldValidation=Strict"
        self.ask(path, method="POST", body=document)

    def remove(self, document: Document) -> None:
        """Delete a document; what it owns would go by a controller."""
        path = f"{self.path_of(document)}/{document['metadata']['name']}?propagationPolicy=Background"
        self.ask(path, method="DELETE")

    def path_of(self, document: Document) -> str:
        kind, version = document["kind"], document["apiVersion"]
        root, plural = CORE.get(
            kind,
            (f"apis/{version}", f"{kind.lower()}s".replace("policys", "policies").replace("ingresss", "ingresses")),
        )
        namespace = document["metadata"].get("namespace")
        return f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"


@contextmanager
def running_server(folder: Path) -> Iterator[ApiServer]:
    """Run etcd and an API server in a folder."""
    store, peer, port = free_ports(3)
    token = secrets.token_hex()
    (folder / "tokens.csv").write_text(f'{token},admin,1,"system:masters"\n')
    subprocess.run(["openssl", "genrsa", "-out", folder / "key.pem", "2048"], check=True, capture_output=True)
    store_url, peer_url = f"http://127.0.0.1:{store}", f"http://127.0.0.1:{peer}"
    etcd: list[str | Path] = [SERVER, "etcd", "--data-dir", folder / "etcd", "--unsafe-no-fsync"]
    etcd += ["--listen-client-urls", store_url, "--advertise-client-urls", store_url]
    etcd += ["--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url]
    etcd += ["--initial-cluster", f"default={peer_url}"]
    server: list[str | Path] = [
        SERVER,
        "--etcd-servers",
        store_url,
        "--cert-dir",
        folder / "certs",
        "--bind-address",
        "127.0.0.1",
    ]
    server += ["--secure-port", str(port), "--token-auth-file", folder / "tokens.csv", "--authorization-mode", "RBAC"]
    server += [
        "--service-account-issuer",
        "https://kubernetes.default.svc",
        "--service-cluster-ip-range",
        "10.0.0.0/24",
    ]
    server += [
        "--service-account-key-file",
        folder / "key.pem",
        "--service-account-signing-key-file",
        folder / "key.pem",
    ]
    with (folder / "server.log").open("wb") as log:
        started = [subprocess.Popen(command, stdout=log, stderr=log) for command in (etcd, server)]
        try:
            client = ApiServer(port, token)
            deadline = time.monotonic() + START_S
            while not client.is_ready():
                assert time.monotonic() < deadline, (folder / "server.log").read_text()[-3000:]
                assert all(process.poll() is None for process in started), (folder / "server.log").read_text()[-3000:]
                time.sleep(0.5)
            yield client
        finally:
            for process in reversed(started):
                process.terminate()
            for process in started:
                process.wait(60)


def crds() -> Iterator[Document]:
    """Return the CRDs of every kind that is not Kubernetes's own."""
    with zipfile.ZipFile(CRDS / f"flink-kubernetes-operator-api-{OPERATOR}.jar") as archive:
        for name in archive.namelist():
            if name.endswith("-v1.yml"):
                yield accepted(yaml.load(archive.read(name), yaml.CSafeLoader))
    for key, schema in SCHEMAS.items():
        group, version, kind = key.split("/")
        names = {"kind": kind, "plural": f"{kind.lower()}s", "singular": kind.lower()}
        structural = {"type": "object", "properties": {"spec": structural_of(schema["properties"]["spec"])}}
        yield {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{names['plural']}.{group}"},
            "spec": {
                "group": group,
                "names": names,
                "scope": "Namespaced",
                "versions": [
                    {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": structural}}
                ],
            },
        }


def accepted(crd: Document) -> Document:
    """Return a CRD without a scale subresource that no server takes (the blue/green one lacks ``statusReplicasPath``)."""
    for version in crd["spec"]["versions"]:
        if "statusReplicasPath" not in version.get("subresources", {}).get("scale", {"statusReplicasPath": ""}):
            del version["subresources"]["scale"]
    return crd


def structural_of(schema: Any) -> Any:
    """Return a schema as a CRD writes it: objects are closed there without saying so, types are single, and forms are one union."""
    if isinstance(schema, list):
        return [structural_of(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "oneOf" in schema:
        forms = [structural_of(form)["properties"] for form in schema["oneOf"]]
        return {"type": "object", "properties": {name: part for form in forms for name, part in form.items()}}
    if isinstance(schema.get("type"), list):
        return {"x-kubernetes-int-or-string": True}
    closed = "properties" in schema
    found = {k: structural_of(v) for k, v in schema.items() if not (closed and k == "additionalProperties")}
    if "enum" in found:
        found["type"] = "string"
    return found


def pods_of(documents: list[Document]) -> Iterator[Document]:
    """Return each workload's pod as a document of its own; Flink's parts laid over each other as the operator does."""
    for work in workloads(documents):
        spec = json.loads(json.dumps(work.pod["spec"]))
        claims = work.document["spec"].get("volumeClaimTemplates", [])
        volumes = spec.setdefault("volumes", [])
        volumes += [
            {"name": c["metadata"]["name"], "persistentVolumeClaim": {"claimName": c["metadata"]["name"]}}
            for c in claims
        ]
        if work.is_flink:
            spec["serviceAccountName"] = work.flink["serviceAccount"]
            spec["containers"][0]["image"] = work.flink["image"]
        metadata = {"name": work.name.lower().replace("/", "-"), "namespace": "tidegate"}
        yield {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**metadata, "labels": work.pod["metadata"]["labels"]},
            "spec": spec,
        }


def apply_overlay(client: ApiServer, overlay: str) -> tuple[int, list[str]]:
    """Apply an overlay and dry-run its pods; return how many were taken, and what was refused.

    Overlays are other deployments of one namespace: what cannot become another's is taken away at the end.
    """
    refused = []
    taken = 0
    documents = render(overlay)
    steps = [(client.apply, document) for document in documents]
    steps += [(client.create, pod) for pod in [*pods_of(documents), *operations()]]
    for step, document in steps:
        try:
            step(document)
            taken += 1
        except RefusedError as error:
            refused.append(f"{overlay}: {name_of(document)}: {error}")
    for document in documents:
        if document["kind"] in IMMUTABLE:
            client.remove(document)
    return taken, refused


def main() -> int:
    """Apply everything; return the exit status."""
    if not SERVER.exists():
        sys.stderr.write("build/tools/apiserver is missing: run `make k8s-apiserver`\n")
        return 1
    folder = Path(tempfile.mkdtemp(prefix="tidegate-apiserver-"))
    faults: list[str] = []
    try:
        with running_server(folder) as client:
            for document in [*crds(), *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kafka"}},)]:
                client.apply(document)
            wait_for_crds(client)
            for overlay in OVERLAYS:
                taken, refused = apply_overlay(client, overlay)
                print(f"[tidegate] {overlay}: {taken} taken, {len(refused)} refused")
                faults += refused
            faults += canaries(client)
            for warning in sorted(set(client.warnings)):
                print(f"[tidegate] the server warns: {warning}")
    finally:
        shutil.rmtree(folder)
    print("\n".join(faults))
    print(f"{len(OVERLAYS) - bool(faults)} passed, {len(faults)} failed")
    return 1 if faults else 0


def wait_for_crds(client: ApiServer) -> None:
    """Return when the server serves every kind of :func:`crds`."""
    deadline = time.monotonic() + START_S
    for document in crds():
        group, version = document["spec"]["group"], document["spec"]["versions"][0]["name"]
        while not serves(client, f"apis/{group}/{version}", document["spec"]["names"]["kind"]):
            assert time.monotonic() < deadline, document["metadata"]["name"]
            time.sleep(0.2)


def serves(client: ApiServer, path: str, kind: str) -> bool:
    try:
        return kind in [resource["kind"] for resource in client.ask(path)["resources"]]
    except RefusedError:
        return False


def canaries(client: ApiServer) -> list[str]:
    """Return what the server should have refused and did not."""
    documents = render("prod")
    job = next(d for d in documents if d["kind"] == "FlinkDeployment")
    job["spec"]["taskManagers"] = {}
    pod = next(pods_of(render("prod")))
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    faults = []
    for what, step, document in (
        ("an unknown field", client.apply, job),
        ("a pod with privileges", client.create, pod),
    ):
        try:
            step(document)
            faults.append(f"canary: {what} was taken")
        except RefusedError:
            continue
    return faults


if __name__ == "__main__":
    raise SystemExit(main())
