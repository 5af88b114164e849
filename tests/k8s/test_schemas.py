"""Every document is what the API server would take: field by field, unknown ones refused."""

import functools
import json
import zipfile
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.k8s.manifests import CRDS, OVERLAYS, Document, name_of, need, operations, render
from tests.k8s.third_party import SCHEMAS

KUBERNETES = "1.34"
OPERATOR = "1.16.1"
FLINK_GROUP = "flink.apache.org/"


def closed(schema: Any) -> Any:
    """Return a CRD's schema with unknown fields refused, as the API server's strict mode refuses them."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    is_object = isinstance(found.get("properties"), dict) and found.get("type") == "object"
    if is_object and not schema.get("x-kubernetes-preserve-unknown-fields"):
        found.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        found.pop("type", None)
    return found


@functools.cache
def flink_schema(kind: str) -> Any:
    jar = need(
        CRDS / f"flink-kubernetes-operator-api-{OPERATOR}.jar",
        "the operator's CRDs are missing: Flink's resources were NOT checked (`make jars`)",
    )
    with zipfile.ZipFile(jar) as archive:
        crd = yaml.load(archive.read(f"META-INF/fabric8/{kind.lower()}s.flink.apache.org-v1.yml"), yaml.CSafeLoader)
    (version,) = crd["spec"]["versions"]
    assert version["name"] == "v1beta1"
    schema = closed(version["schema"]["openAPIV3Schema"])
    schema["properties"] |= {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
    }
    return schema


def check(document: Document) -> None:
    """Overlays share most of their documents: each is judged once."""
    _check(json.dumps(document, sort_keys=True))


@functools.cache
def _check(text: str) -> None:
    document = json.loads(text)
    if document["apiVersion"].startswith(FLINK_GROUP):
        jsonschema.Draft7Validator(flink_schema(document["kind"])).validate(document)
    elif (key := f"{document['apiVersion']}/{document['kind']}") in SCHEMAS:
        jsonschema.Draft202012Validator(SCHEMAS[key]).validate(document)
    else:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


@pytest.mark.slow
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_document_of_an_overlay_is_valid(overlay: str) -> None:
    documents = render(overlay)
    assert len(documents) > 20
    for document in documents:
        try:
            check(document)
        except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
            pytest.fail(f"{name_of(document)}: {error}")


def test_documents_applied_by_hand_are_valid() -> None:
    found = operations()
    assert {document["kind"] for document in found} >= {"FlinkStateSnapshot"}
    for document in found:
        check(document)


def test_no_two_documents_of_an_overlay_have_one_name() -> None:
    for overlay in OVERLAYS:
        names = [(d["metadata"].get("namespace"), d["apiVersion"], name_of(d)) for d in render(overlay)]
        assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("FlinkDeployment", {"flinkVersion": "v9_9"}),
        ("FlinkDeployment", {"job": {"upgradeMode": "carefully"}}),
        ("FlinkDeployment", {"taskManagers": {}}),
        ("FlinkDeployment", {"podTemplate": {"spec": {"containers": [{"name": "x", "envv": []}]}}}),
        ("StatefulSet", {"replica": 2}),
        ("PodMonitor", {"selectors": {}}),
    ],
)
def test_canary_a_wrong_field_or_value_is_refused(kind: str, change: dict[str, Any]) -> None:
    document = next(d for d in render("prod") if d["kind"] == kind)
    document["spec"] |= change
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        check(document)
