"""The Dockerfiles: pinned bases, no root, steps that exist, and the versions that the rest of the tree pins."""

import re
import tomllib
from pathlib import Path

import pytest

from jobs.preflight import FLINK, PYTHON
from tests.k8s.manifests import ROOT, Workload, render, workloads

IMAGES = ROOT / "deploy" / "images"
DOCKERFILES = sorted(IMAGES.glob("*.Dockerfile"))
MADE_BY_US = re.compile(r"(?:^|/)tidegate/([a-z]+)[:@]")

every_dockerfile = pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)


def pins(lock: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9.\-]+==\S+)", (ROOT / "locks" / lock).read_text(), re.MULTILINE))


@every_dockerfile
def test_base_has_a_version_and_a_digest_that_somebody_must_choose(path: Path) -> None:
    text = path.read_text()
    bases = re.findall(r"^FROM (.+?)(?: AS \w+)?$", text, re.MULTILINE)
    assert set(bases) == {"--platform=linux/amd64 docker.io/library/debian:${DEBIAN}@${DEBIAN_DIGEST}"}
    assert re.search(r"^ARG DEBIAN=12\.\d+-slim$", text, re.MULTILINE), "Debian 12 has Python 3.11 and Java 17"
    assert re.search(r"^ARG DEBIAN_DIGEST$", text, re.MULTILINE), "no default: an image without a digest is not built"


@every_dockerfile
def test_image_runs_as_the_user_of_the_manifests_and_every_step_is_a_script(path: Path) -> None:
    text = path.read_text()
    final = text.rpartition("\nFROM ")[2]
    (user,) = re.findall(r"^USER (\d+):\d+$", final, re.MULTILINE)
    assert {w.pod["spec"]["securityContext"]["runAsUser"] for w in workloads(render("dev"))} == {int(user)}
    assert not re.search(r"curl|wget|ADD |latest|pip install|npm ", text)
    for line in re.findall(r"(?:^RUN| &&) (.+?)(?: \\)?$", text, re.MULTILINE):
        for command in re.sub(r" && rm -r /steps$", "", line).split(" && "):
            script = IMAGES / "steps" / Path(command.split()[0]).name
            assert script.stat().st_mode & 0o111, command


@pytest.mark.parametrize("path", sorted(IMAGES.rglob("*.sh")), ids=lambda path: path.name)
def test_scripts_stop_at_the_first_fault(path: Path) -> None:
    assert re.search(r"^set -euo? ?(pipefail)?$", path.read_text(), re.MULTILINE)
    assert path.read_text().startswith("#!/usr/bin/env bash\n")


def test_every_image_of_ours_in_the_manifests_has_a_dockerfile() -> None:
    started = [image for work in workloads(render("dev")) for image in images(work)]
    found = {name for image in started for name in MADE_BY_US.findall(image)}
    assert found == {path.name.removesuffix(".Dockerfile") for path in DOCKERFILES}


def images(work: Workload) -> list[str]:
    return [work.flink["image"]] if work.is_flink else [container["image"] for container in work.containers()]


def test_locks_and_versions_agree() -> None:
    assert pins("services.lock") <= pins("runtime.lock"), "run `make locks`"
    assert f"apache-flink=={FLINK}" in pins("runtime.lock")
    version = ".".join(map(str, PYTHON))
    steps = {path.name: path.read_text() for path in (IMAGES / "steps").glob("*.sh")}
    assert f"python{version} " in steps["system.sh"]
    assert f"PYTHON:-python{version}" in steps["python.sh"]
    uv = re.search(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert uv is not None
    assert f"uv=={uv.group(1)}\n" in steps["python.sh"]
    assert f"uv=={uv.group(1)}\n" in steps["application.sh"]


def test_flink_jars_of_the_image_are_pinned_for_this_flink() -> None:
    pom = (ROOT / "pom.xml").read_text()
    assert f"<artifactId>flink-s3-fs-hadoop</artifactId>\n          <version>{FLINK}</version>" in pom
    for work in workloads(render("prod")):
        if work.is_flink:
            assert f"flink-python-{FLINK}.jar" in work.flink["job"]["jarURI"]


def test_an_image_holds_every_room() -> None:
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"benchmarks"}
    (copied,) = re.findall(r"^for name in (.+); do$", (IMAGES / "steps" / "application.sh").read_text(), re.MULTILINE)
    assert rooms <= set(copied.split())
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {name.removesuffix("*") for name in packages} <= set(copied.split())
