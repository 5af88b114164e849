"""Grafana's dashboards, written from the panels below by ``make dashboards``; the JSON beside this file is what people import.

Invariants: a panel has a title, a unit and a sentence that says what a bad value means; every metric is one of
``schemas.metrics`` and every statement is one that a test asks of a real history; data sources are variables, so the files hold no
address. Rejected: JSON by hand (a thousand lines in which a wrong metric looks like every other line).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent / "grafana"
PROMETHEUS: Final = "prometheus"
CLICKHOUSE: Final = "grafana-clickhouse-datasource"
SCHEMA_VERSION: Final = 41
"""Of Grafana 11 and later; older ones are migrated by Grafana when they are opened."""
WIDTH: Final = 24
HEIGHT: Final = 8


@dataclass(frozen=True, slots=True)
class Query:
    """One line or table of a panel: PromQL or SQL, and how its series are named (of SQL: by its columns)."""

    text: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        title: Title.
        words: What it shows, and what to make of a bad value.
        unit: Grafana's name of the unit (``s``, ``short``, ``percentunit``, ``ops``, ...).
        queries: What it asks.
        kind: Grafana's name of the panel: ``timeseries``, ``stat`` or ``table``.
        width: Of ``WIDTH``.
    """

    title: str
    words: str
    unit: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    width: int = 8


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard; ``source`` is its kind of data source, ``variables`` are asked for by SQL."""

    uid: str
    title: str
    source: str
    panels: tuple[Panel, ...]
    variables: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ("tidegate",)

    def json(self) -> dict[str, Any]:
        """Return the dashboard as Grafana reads it."""
        name = "prometheus" if self.source == PROMETHEUS else "clickhouse"
        source = {"type": self.source, "uid": f"${{{name}}}"}
        asked = [_variable(variable, sql, source) for variable, sql in self.variables]
        return {
            "uid": self.uid,
            "title": self.title,
            "tags": list(self.tags),
            "schemaVersion": SCHEMA_VERSION,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "5s",
            "time": {"from": "now-30m", "to": "now"},
            "timezone": "utc",
            "templating": {
                "list": [{"name": name, "label": "Data source", "type": "datasource", "query": self.source}, *asked]
            },
            "panels": _laid_out([_panel(panel, source) for panel in self.panels], [p.width for p in self.panels]),
        }


def _variable(name: str, sql: str, source: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "label": name.capitalize(), "type": "query", "datasource": source, "query": sql, "refresh": 2}


def _panel(panel: Panel, source: dict[str, str]) -> dict[str, Any]:
    is_sql = source["type"] == CLICKHOUSE
    targets: list[dict[str, Any]] = []
    for place, query in enumerate(panel.queries):
        target: dict[str, Any] = {"refId": chr(ord("A") + place), "datasource": source}
        if is_sql:
            is_table = panel.kind == "table"
            form = {"format": 1, "queryType": "table"} if is_table else {"format": 0, "queryType": "timeseries"}
            target |= {"editorType": "sql", "rawSql": query.text, **form}
        else:
            target |= {"expr": query.text, "legendFormat": query.legend, "range": True}
        targets.append(target)
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.words,
        "datasource": source,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": None, "custom": {}}, "overrides": []},
        "options": {"tooltip": {"mode": "multi", "sort": "desc"}} if panel.kind == "timeseries" else {},
        "targets": targets,
    }


def _laid_out(panels: list[dict[str, Any]], widths: Sequence[int]) -> list[dict[str, Any]]:
    """Return the panels with ids and places, row by row."""
    left = top = 0
    for number, (panel, width) in enumerate(zip(panels, widths, strict=True), 1):
        if left + width > WIDTH:
            left, top = 0, top + HEIGHT
        panel |= {"id": number, "gridPos": {"x": left, "y": top, "w": width, "h": HEIGHT}}
        left += width
    return panels


def file_of(dashboard: Dashboard) -> Path:
    """Return where a dashboard's JSON lies."""
    return FOLDER / f"{dashboard.uid}.json"


def text_of(dashboard: Dashboard) -> str:
    """Return the text of a dashboard's file."""
    return json.dumps(dashboard.json(), indent=1) + "\n"
