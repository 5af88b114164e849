"""The documents say what the tree holds."""

import re
import tomllib
from pathlib import Path

from schemas.topics import TOPICS

ROOT = Path(__file__).parents[2]


def test_readme_tree_names_every_top_level_folder() -> None:
    readme = (ROOT / "README.md").read_text()
    named = set(re.findall(r"^([a-z0-9]+)/ ", readme, re.MULTILINE))
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert rooms | {"tests", "docs"} <= named
    assert not [room for room in rooms - {"benchmarks"} if f"{room}*" not in _packages()]


def _packages() -> list[str]:
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    return list(found)


def test_architecture_names_every_topic() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text()
    assert not [topic.name for topic in TOPICS if topic.name not in page]


def test_every_relative_link_leads_somewhere() -> None:
    broken = []
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert not broken


def test_changelog_has_an_entry_for_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_events_in_c_have_the_numbers_of_the_schema() -> None:
    from schemas.events import Kind, TickStatus

    header = (ROOT / "features/native/events.h").read_text()
    for member in [*Kind, *TickStatus]:
        assert re.search(rf"\b\w*{member.name}\s*=\s*{int(member)}\b", header), member


def test_readme_shows_the_results_that_are_kept() -> None:
    from deploy.results import FOLDER, kept, rewritten
    from deploy.results_table import section

    page = (ROOT / "README.md").read_text()
    found = section(*(kept(ROOT / FOLDER, f"{kind}_*.json") for kind in ("stress", "backtest", "calm")))
    assert rewritten(page, found, path=ROOT / "README.md") == page, "run `make results`"
