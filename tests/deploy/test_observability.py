"""Alert rules and dashboards name what is exported, say what to do, and (with promtool) fire when they must and not else."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.prometheus import RULES, configuration, write_prometheus
from deploy.observability.dashboards import CLICKHOUSE, PROMETHEUS, file_of, text_of
from deploy.observability.kubernetes import prometheus_rule
from deploy.observability.panels import DASHBOARDS
from schemas.metrics import PROCESSES, samples

ROOT = Path(__file__).parents[2]
PROMTOOL = ROOT / ".tools" / "promtool"
OURS = {name for table in PROCESSES.values() for metric in table for name in samples(metric)}
THEIRS = {
    "up", "process_resident_memory_bytes", "kube_pod_container_status_restarts_total",
    "kube_pod_container_status_last_terminated_reason", "kubelet_volume_stats_available_bytes",
    "kubelet_volume_stats_capacity_bytes", "flink_jobmanager_job_numRestarts", "flink_jobmanager_job_runningTime",
    "flink_jobmanager_job_numberOfFailedCheckpoints", "flink_jobmanager_job_numberOfCompletedCheckpoints",
    "flink_jobmanager_job_lastCheckpointDuration",
    "flink_taskmanager_job_task_backPressuredTimeMsPerSecond", "flink_taskmanager_job_task_busyTimeMsPerSecond",
    "flink_taskmanager_job_task_operator_KafkaSourceReader_KafkaConsumer_records_lag_max",
}  # fmt: skip
"""Of Prometheus, Flink and Kubernetes; those of Flink are scraped from a real stack in tests/integration/test_loop.py."""
SERIES = re.compile(
    r"\b(?:tidegate[a-z]*[_:][a-zA-Z0-9_:]+|flink_[a-zA-Z0-9_]+|process_[a-z_]+|kube[a-z]*_[a-z_]+)\b|\bup\b"
)


def named_in(expression: str) -> set[str]:
    """Return the series that an expression names; what stands in braces and quotes is labels."""
    bare = re.sub(r"\b(?:by|without|on|ignoring)\s*\([^)]*\)", "", re.sub(r"\{[^}]*\}", "", expression))
    return set(SERIES.findall(bare))


def groups() -> list[dict[str, Any]]:
    return list(yaml.safe_load(RULES.read_text())["groups"])


def alerts() -> list[dict[str, Any]]:
    return [rule for group in groups() for rule in group["rules"] if "alert" in rule]


def recorded() -> set[str]:
    return {rule["record"] for group in groups() for rule in group["rules"] if "record" in rule}


def panels() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for dashboard in DASHBOARDS:
        plain = json.loads(file_of(dashboard).read_text())
        yield from ((plain, panel) for panel in plain["panels"])


def test_every_metric_of_a_rule_is_one_that_something_exports() -> None:
    named = {name for group in groups() for rule in group["rules"] for name in named_in(rule["expr"])}
    assert named <= OURS | THEIRS | recorded(), named - OURS - THEIRS - recorded()
    assert {"tidegate_jobs_frames_total", "tidegate:gate_late_states:ratio_rate1h", "up"} <= named


def test_every_metric_of_a_panel_is_one_that_something_exports() -> None:
    asked = [target["expr"] for _, panel in panels() for target in panel["targets"] if "expr" in target]
    named = {name for expression in asked for name in named_in(expression)}
    assert named <= OURS | THEIRS | recorded(), named - OURS - THEIRS - recorded()
    assert len(asked) > 30


def test_canary_a_metric_that_nobody_exports_is_seen() -> None:
    assert named_in('sum by (le) (rate(tidegate_gate_rowz{a="tidegate_x_y"}[5m]))') == {"tidegate_gate_rowz"}


def test_every_alert_says_how_bad_it_is_what_it_means_and_has_a_runbook() -> None:
    runbook = ROOT / "docs" / "operations.md"
    for alert in alerts():
        assert re.fullmatch(r"Tidegate([A-Z][a-z]+)+", alert["alert"])
        assert alert["labels"]["severity"] in {"page", "ticket"}
        assert set(alert["annotations"]) == {"summary", "description"}
        if runbook.exists():
            assert re.search(rf"^#+ {alert['alert']}$", runbook.read_text(), re.MULTILINE), alert["alert"]
    assert len({alert["alert"] for alert in alerts()}) == len(alerts())


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    cases = [
        case
        for test in yaml.safe_load(RULES.with_name("rules_test.yml").read_text())["tests"]
        for case in test["promql_expr_test"]
    ]
    for name in (alert["alert"] for alert in alerts()):
        of_it = [
            case
            for case in cases
            if any(re.fullmatch(p, name) for p in re.findall(r'alertname=~?"([^"]+)"', case["expr"]))
        ]
        assert any(case["exp_samples"] for case in of_it), f"{name} never fires"
        assert any(not case["exp_samples"] for case in of_it), f"{name} is never tried where it must be quiet"


@pytest.mark.parametrize("arguments", [("check", "rules", "rules.yml"), ("test", "rules", "rules_test.yml")])
def test_promtool_finds_nothing_wrong_with_the_rules(arguments: tuple[str, ...]) -> None:
    tool = shutil.which("promtool") or (str(PROMTOOL) if PROMTOOL.exists() else None)
    if tool is None:
        pytest.skip("promtool is missing: the alert rules were NOT tried (`make rules` builds it, some minutes)")
    done = subprocess.run(
        [tool, *arguments], cwd=RULES.parent, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.uid)
def test_files_of_dashboards_are_those_of_the_panels(dashboard: Any) -> None:
    assert file_of(dashboard).read_text() == text_of(dashboard), "run `make dashboards`"


def test_every_panel_says_what_it_shows_in_which_unit_from_a_source_that_people_choose() -> None:
    seen: set[tuple[str, int]] = set()
    for plain, panel in panels():
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"]
        assert re.fullmatch(r"\$\{(prometheus|clickhouse)\}", panel["datasource"]["uid"])
        assert panel["datasource"]["type"] in {PROMETHEUS, CLICKHOUSE}
        assert panel["datasource"]["uid"][2:-1] in {one["name"] for one in plain["templating"]["list"]}
        assert (plain["uid"], panel["id"]) not in seen
        seen.add((plain["uid"], panel["id"]))
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
    assert len({dashboard.uid for dashboard in DASHBOARDS}) == len(DASHBOARDS)


def test_local_prometheus_asks_every_port_and_gives_flinks_names_back(tmp_path: Path) -> None:
    plain = yaml.safe_load(write_prometheus(tmp_path, {"gate": 1_024, "taskmanager-1": 1_025}).read_text())
    (job,) = plain["scrape_configs"]
    assert [target["targets"] for target in job["static_configs"]] == [["127.0.0.1:1024"], ["127.0.0.1:1025"]]
    assert job["metric_relabel_configs"][0]["replacement"] == "$1"
    assert plain == configuration({"gate": 1_024, "taskmanager-1": 1_025})
    assert [Path(path).name for path in plain["rule_files"]] == ["rules.yml"]


def test_resource_for_kubernetes_holds_the_same_rules() -> None:
    resource = yaml.safe_load(prometheus_rule())
    assert resource["spec"]["groups"] == groups()
    merged = ROOT / "k8s" / "components" / "monitoring" / "rules.yaml"
    if merged.exists():
        assert merged.read_text() == prometheus_rule(), "python -m deploy.observability.kubernetes"
