"""The demonstration, twice with one seed: it keeps its promises, and what must not depend on the machine is equal."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
EQUAL = ("ticks_digest", "tiers", "limits")


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return [demo(tmp_path_factory.mktemp(f"demo-{number}")) for number in (1, 2)]


def demo(out: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "deploy.cli", "demo", "--seed", "7", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    assert report["held"]
    return report


def test_report_says_what_happened(reports: list[dict[str, Any]]) -> None:
    for report in reports:
        assert {"tiers", "limits", "orders", "latency_ms", "history"} <= set(report)
        assert [step["to"] for step in report["tiers"]] == ["ELEVATED", "HIGH_ALERT", "CRITICAL", "HIGH_ALERT"]
        (key,) = (order for order in report["orders"] if order["order_id"] == "market-200")
        for enforcer in ("gate", "enforce_orders"):
            assert key[enforcer]["reason"] == "max_order_size"
            assert key[enforcer]["limit"] == 50
            assert key[enforcer]["observed"] == 200


def test_two_runs_with_one_seed_are_equal(reports: list[dict[str, Any]]) -> None:
    one, other = reports
    for part in EQUAL:
        assert one[part] == other[part], part
    assert outcomes(one) == outcomes(other)


def outcomes(report: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return each order's verdict and reason, both enforcers."""
    return [
        (
            order["order_id"],
            *(order[enforcer][field] for enforcer in ("gate", "enforce_orders") for field in ("verdict", "reason")),
        )
        for order in report["orders"]
    ]
