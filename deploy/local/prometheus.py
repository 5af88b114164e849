"""What a Prometheus beside the local stack needs: where to ask, and which rules to judge by.

Invariant: the file names every port of the stack that it was written for, so ``prometheus --config.file=<state>/prometheus.yml``
sees the whole loop. Rejected: service discovery by files (a stack's ports are chosen once, before anything starts).
"""

import json
from pathlib import Path
from typing import Any, Final

from schemas.metrics import FLINK_NAMES

RULES: Final = Path(__file__).parents[1] / "observability" / "rules.yml"
FILE: Final = "prometheus.yml"
SCRAPE_S: Final = 5


def write_prometheus(state: Path, ports: dict[str, int]) -> Path:
    """Write the configuration for the parts in ``ports`` into ``state`` and return its path."""
    path = state / FILE
    path.write_text(json.dumps(configuration(ports), indent=1) + "\n")  # JSON is YAML
    return path


def configuration(ports: dict[str, int]) -> dict[str, Any]:
    """Return the configuration: one job, a target for each part, named by the label ``process``."""
    targets = [{"targets": [f"127.0.0.1:{port}"], "labels": {"process": name}} for name, port in sorted(ports.items())]
    return {
        "global": {"scrape_interval": f"{SCRAPE_S}s", "evaluation_interval": f"{SCRAPE_S}s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [
            {"job_name": "tidegate", "static_configs": targets, "metric_relabel_configs": [relabelling()]}
        ],
    }


def relabelling() -> dict[str, Any]:
    """Return the rule that gives the jobs' metrics their own names again."""
    return {"source_labels": ["__name__"], "regex": FLINK_NAMES, "target_label": "__name__", "replacement": "$1"}
