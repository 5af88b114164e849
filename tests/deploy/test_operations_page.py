"""The runbook: every alert has its heading, what it names exists, and its table of rights is the one in force."""

import re
from pathlib import Path

import pytest

from deploy.cli import COMMANDS
from deploy.kafka_rights import PAGE, RIGHTS, RightsError, with_table

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / PAGE).read_text()
RULES = [ROOT / "deploy/observability/rules.yml", ROOT / "k8s/components/monitoring/rules.yaml"]


def headings(text: str) -> set[str]:
    return {line.lstrip("# ").strip() for line in text.splitlines() if line.startswith("#")}


@pytest.mark.parametrize("rules", RULES, ids=lambda path: path.name)
def test_every_alert_has_a_heading(rules: Path) -> None:
    alerts = set(re.findall(r"- alert: (\w+)", rules.read_text()))
    assert alerts
    assert not alerts - headings(TEXT), "write what to do: docs/operations.md"


def test_every_alert_of_the_page_says_what_to_do_and_when_it_is_over() -> None:
    sections = re.split(r"^#+ ", TEXT, flags=re.MULTILINE)
    alerts = [part for part in sections if part.startswith("Tidegate")]
    assert len(alerts) > 20
    for part in alerts:
        assert not [word for word in ("**See**", "**Means**", "**Do**", "**Over**") if word not in part], (
            part.splitlines()[0]
        )


def test_headings_that_links_name_are_there() -> None:
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings(TEXT)}
    assert not set(re.findall(r"\]\(#([a-z0-9-]+)\)", TEXT)) - anchors
    for page in ROOT.glob("docs/*.md"):
        assert not set(re.findall(r"\]\(operations\.md#([a-z0-9-]+)\)", page.read_text())) - anchors, page


def test_commands_that_the_page_names_exist() -> None:
    named = set(re.findall(r"`?tidegate ([a-z][a-z-]+)", TEXT)) - {"get"}
    assert named - {"commands"} <= set(COMMANDS)


def test_metrics_that_the_page_names_are_those_of_the_rules() -> None:
    known = "".join(path.read_text() for path in RULES)
    named = set(re.findall(r"`((?:tidegate|flink)_[a-z][A-Za-z_]+)", TEXT))
    assert not {name for name in named if name not in known}


def test_table_of_rights_is_the_one_in_force() -> None:
    assert with_table(TEXT) == TEXT, "run `tidegate kafka-rights page`"
    assert all(f"| `{rights.user}` |" in TEXT for rights in RIGHTS)
    with pytest.raises(RightsError, match="lacks"):
        with_table("a page without marks")
