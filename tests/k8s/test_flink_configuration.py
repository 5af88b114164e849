"""Every key of a Flink configuration is one that this version of Flink or of the operator reads."""

import functools
import re
import zipfile
from pathlib import Path

import pytest

from deploy.local import flink
from tests.k8s.manifests import CRDS, OVERLAYS, need, render, workloads
from tests.k8s.test_schemas import OPERATOR

OPERATOR_PREFIX = "kubernetes.operator."
REPORTER = re.compile(r"metrics\.reporter\.prometheus\.(factory\.class|port|filterLabelValueCharacters)")


@functools.cache
def constants(jar: Path, part: str) -> bytes:
    """Return the classes of a jar whose name contains ``part``: option keys stand in them as text."""
    with zipfile.ZipFile(jar) as archive:
        names = [name for name in archive.namelist() if name.endswith(".class") and part in name.rpartition("/")[2]]
        return b"\n".join(archive.read(name) for name in names)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_flink_knows_every_key(overlay: str) -> None:
    package = flink.pyflink_folder()
    jars = [*package.glob("lib/flink-dist-*.jar"), *package.glob("opt/flink-python-*.jar")]
    known = b"".join(constants(jar, "Options") for jar in jars)
    for work in workloads(render(overlay)):
        if work.is_flink:
            keys = [key for key in work.flink["flinkConfiguration"] if not key.startswith(OPERATOR_PREFIX)]
            assert not [key for key in keys if key.encode() not in known and not REPORTER.fullmatch(key)]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_operator_knows_every_key_of_its_own(overlay: str) -> None:
    jar = need(CRDS / f"flink-kubernetes-operator-{OPERATOR}.jar", "the operator's jar is missing (`make jars`)")
    known = constants(jar, "KubernetesOperatorConfigOptions")
    for work in workloads(render(overlay)):
        if work.is_flink:
            keys = [key for key in work.flink["flinkConfiguration"] if key.startswith(OPERATOR_PREFIX)]
            keys += work.document["spec"].get("configuration", {})
            assert keys
            assert not [key for key in keys if key.removeprefix(OPERATOR_PREFIX).encode() not in known]


def test_jvm_has_every_option_of_the_local_cluster() -> None:
    for work in workloads(render("prod")):
        if work.is_flink:
            options = work.flink["flinkConfiguration"]["env.java.opts.all"].split()
            assert set(options) == set(flink._OPENS)


def test_reporter_is_in_the_pinned_flink() -> None:
    package = flink.pyflink_folder()
    (jar,) = package.glob("plugins/metrics-prometheus/*.jar")
    with zipfile.ZipFile(jar) as archive:
        assert "org/apache/flink/metrics/prometheus/PrometheusReporterFactory.class" in archive.namelist()
