"""What was: history of an instrument, why it had its tier, alerts, decisions, models, quality. Answered by the history's owner.

Functions here are plain, so each runs on a thread of its own and the current state never waits behind a question.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api.answers import JSON, bulk, bulk_responses, columns_of, plain, wanted
from api.problems import ProblemError, responses
from api.routes.risk import InstrumentId, require_known
from api.services import Services, Viewer, services_of
from api.shapes import AlertsPage, DecisionsPage, HistoryOut, Series, WhyOut
from history import queries
from history import window_queries as ask
from history.client import Result
from schemas.records import AlertKind, Tier, Verdict
from schemas.units import NS_PER_S

router = APIRouter(prefix="/v1")
TIME_NS_MAX: Final = 2**62
SPAN_NS: Final = 900 * NS_PER_S
"""How much of its history an instrument shows unless told."""
ORDERS_MAX: Final = 5_000


class Window(BaseModel):
    """Which part of the history."""

    model_config = ConfigDict(extra="forbid")

    from_ns: int | None = Field(None, ge=0, le=TIME_NS_MAX, description="Default: 15 min before `to_ns`.")
    to_ns: int | None = Field(None, ge=0, le=TIME_NS_MAX, description="Default: the newest tick.")
    points: int = Field(1_000, ge=1, le=20_000, description="Buckets; each shows the worst of what is in it.")
    series: Series = Series.ALL


class Page(BaseModel):
    """Which rows of a list."""

    model_config = ConfigDict(extra="forbid")

    instrument_id: int | None = Field(None, ge=1, le=2**32 - 1)
    from_ns: int | None = Field(None, ge=0, le=TIME_NS_MAX)
    to_ns: int | None = Field(None, ge=0, le=TIME_NS_MAX)
    limit: int = Field(200, ge=1, le=1_000_000, description="Rows; JSON is held to the page size of the service.")
    cursor: str | None = Field(None, max_length=400, description="`next` of the page before.")


class AlertsWanted(Page):
    """Which alerts."""

    kind: AlertKind | None = None


class DecisionsWanted(Page):
    """Which decisions."""

    verdict: Verdict | None = None
    reason: str | None = Field(None, max_length=64)
    account_id: str | None = Field(None, max_length=128)
    order_id: str | None = Field(None, max_length=128)


@router.get(
    "/risk/{instrument_id}/history",
    responses={**bulk_responses(HistoryOut), **responses(404, 406, 503)},
    tags=["history"],
)
def history(
    request: Request, *, instrument_id: InstrumentId, _viewer: Viewer, window: Annotated[Window, Query()]
) -> Response:
    """Return mid, spread, depth, score, tier steps of the limits, and own orders of one instrument, on one time axis."""
    services = services_of(request)
    require_known(services, instrument_id)
    media_type = wanted(request)
    if media_type != JSON and window.series is Series.ALL:
        raise ProblemError(422, "series: one of market, scores, orders has to be chosen for Arrow and CSV")
    (span,) = services.ask(ask.span(instrument_id)).dicts()
    first_ns, last_ns = (int(span["first_ns"]), int(span["last_ns"])) if span["ticks"] else (None, None)
    to_ns = window.to_ns if window.to_ns is not None else last_ns or 0
    from_ns = window.from_ns if window.from_ns is not None else max(0, to_ns - SPAN_NS)
    if from_ns > to_ns:
        raise ProblemError(422, f"from_ns {from_ns} is after to_ns {to_ns}")
    parts = {
        name: _series(services, instrument_id, (name, from_ns, to_ns), points=window.points)
        for name in (Series.MARKET, Series.SCORES, Series.ORDERS)
        if window.series in {Series.ALL, name}
    }
    if media_type != JSON:
        return bulk(parts[window.series], media_type)
    columns = {name.value: columns_of(result) for name, result in parts.items()}
    if "scores" in columns:
        columns["scores"]["max_order_qty"] = _steps(services, instrument_id, columns["scores"])
    answer = {
        "instrument_id": instrument_id,
        "from_ns": from_ns,
        "to_ns": to_ns,
        "first_ns": first_ns,
        "last_ns": last_ns,
    }
    return plain(request, {**answer, **{name: columns.get(name) for name in ("market", "scores", "orders")}})


@router.get("/risk/{instrument_id}/why", responses={200: {"model": WhyOut}, **responses(404, 503)}, tags=["history"])
def why(
    request: Request,
    *,
    instrument_id: InstrumentId,
    _viewer: Viewer,
    at_ns: Annotated[int | None, Query(ge=0, le=TIME_NS_MAX, description="Default: the newest state.")] = None,
) -> Response:
    """Return the causes of a score against the hour before: the normal range of each feature, and what would be left without it."""
    services = services_of(request)
    require_known(services, instrument_id)
    newest_ns = at_ns if at_ns is not None else TIME_NS_MAX
    found = services.ask(ask.state_at(instrument_id, newest_ns)).dicts()
    if not found:
        return plain(request, {"instrument_id": instrument_id, "state": None, "causes": []})
    state = found[0]
    ranges = _ranges(services, instrument_id, int(state["at_ns"]), names=state["names"])
    return plain(request, {"instrument_id": instrument_id, "state": _state(state), "causes": _causes(state, ranges)})


@router.get("/alerts", responses={**bulk_responses(AlertsPage), **responses(406, 503)}, tags=["history"])
def alerts(request: Request, _viewer: Viewer, page: Annotated[AlertsWanted, Query()]) -> Response:
    """List alerts, newest first."""
    conditions = _conditions(page, "risk_alerts_once.ts_ns")
    if page.kind:
        conditions.append(ask.is_word("kind", page.kind.value))
    return _page(
        request,
        page,
        ("alerts", "alert_id"),
        question=lambda after, limit: ask.alerts_page(conditions, after=after, limit=limit),
    )


@router.get("/decisions", responses={**bulk_responses(DecisionsPage), **responses(406, 503)}, tags=["history"])
def decisions(request: Request, _viewer: Viewer, page: Annotated[DecisionsWanted, Query()]) -> Response:
    """List the gate's answers to orders, newest first."""
    conditions = _conditions(page, "ts_event_ns")
    for name in ("verdict", "reason", "account_id", "order_id"):
        if (value := getattr(page, name)) is not None:
            conditions.append(ask.is_word(name, str(value)))
    key = ("decisions", "decision_key")
    return _page(
        request, page, key, question=lambda after, limit: ask.decisions_page(conditions, after=after, limit=limit)
    )


@router.get("/models", responses=responses(503), tags=["history"])
def models(request: Request, _viewer: Viewer) -> Response:
    """List the models that scored, newest first, and which one each instrument is scored by now."""
    services = services_of(request)
    view = services.view
    held = {i: found.state for i in view.instruments() if (found := view.held(i))}
    now: dict[str, dict[str, int]] = {}
    for state in held.values():
        counts = now.setdefault(state.model_id, {"instruments": 0, "degraded": 0})
        counts["instruments"] += 1
        counts["degraded"] += int(state.degraded)
    return plain(request, {"models": services.ask(ask.MODELS).dicts(), "now": now})


@router.get("/quality", responses=responses(503), tags=["history"])
def quality(request: Request, _viewer: Viewer) -> Response:
    """Return what was refused, what is missing, which expectations on stored rows fail since when, and how far each process is."""
    services = services_of(request)
    answer = {
        "dead_letters": services.ask(queries.DEAD_LETTERS_BY_CAUSE).dicts(),
        "unrecorded_decisions": services.ask(queries.UNRECORDED_DECISIONS).dicts(),
        "processes": {name: _status_of(services, name) for name in ("history", "gate", "quality")},
        "feed": services.health()["feed"],
        "expectations": _expectations(services.ask(queries.QUALITY_NOW).dicts()),
    }
    return plain(request, answer)


def _expectations(verdicts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return per table how many expectations were looked at, when, and those that fail now."""
    tables: dict[str, dict[str, Any]] = {}
    for one in verdicts:
        table = tables.setdefault(one["table"], {"table": one["table"], "expectations": 0, "at_ns": 0, "failing": []})
        table["expectations"] += 1
        table["at_ns"] = max(table["at_ns"], int(one["at_ns"]))
        if not one["passed"]:
            names = ("expectation", "column", "severity", "rows", "unexpected", "detail", "failing_since_ns")
            table["failing"].append({name: one[name] for name in names})
    return sorted(tables.values(), key=lambda table: (not table["failing"], table["table"]))


def _series(services: Services, instrument_id: int, which: tuple[Series, int, int], *, points: int) -> Result:
    name, from_ns, to_ns = which
    if name is Series.ORDERS:
        return services.ask(ask.own_orders(instrument_id, from_ns, to_ns, limit=ORDERS_MAX))
    if name is Series.SCORES:
        return services.ask(ask.scores(instrument_id, from_ns, to_ns, points=points))
    tick = services.view.tick(instrument_id)
    channel_id = tick.channel_id if tick else None
    return services.ask(ask.market(instrument_id, from_ns, to_ns, points=points, channel_id=channel_id))


def _steps(services: Services, instrument_id: int, scores: dict[str, list[Any]]) -> list[int | None]:
    """Return the largest order that the tier of each state let through; 0 = halted."""
    known: dict[tuple[int, bool, int], int | None] = {}
    steps = []
    for ts_ns, tier, stale in zip(scores["ts_ns"], scores["tier"], scores["stale"], strict=True):
        grant = services.view.grant(instrument_id, int(ts_ns))
        key = (int(tier), bool(stale), hash(grant))
        if key not in known:
            step = grant.step(Tier(int(tier)))
            qty, stale_qty = step.limits.max_order_qty, grant.stale_limits.max_order_qty
            in_force = qty if not stale else None if None in {qty, stale_qty} else min(qty or 0, stale_qty or 0)
            known[key] = 0 if step.halt else in_force
        steps.append(known[key])
    return steps


def _ranges(services: Services, instrument_id: int, at_ns: int, *, names: Sequence[str]) -> dict[str, Any]:
    question = ask.normal_ranges(instrument_id, at_ns, names)
    return services.ask(question).dicts()[0] if question else {}


def _state(row: dict[str, Any]) -> dict[str, Any]:
    tick_ns, tier = int(row["at_ns"]), Tier(int(row["tier"])).name
    rest = ("epoch", "latched", "stale", "degraded", "score", "score01", "p", "adverse_share", "ref_price", "model_id")
    return {
        "tick_ns": tick_ns,
        "channel_id": "",
        "tier": tier,
        "tier_before": tier,
        **{name: row[name] for name in rest},
    }


def _causes(row: dict[str, Any], ranges: dict[str, Any]) -> list[dict[str, Any]]:
    left = 1.0
    causes = []
    parts = zip(row["names"], row["values"], row["zs"], row["shares"], row["adverse"], strict=True)
    for name, value, z, share, adverse in parts:
        left -= share or 0.0
        low, mid, high = ranges.get(f"{name}_range") or (None, None, None)
        back_to = low if _is_below(value, low) else high if _is_below(high, value) else None
        causes.append(
            {
                "name": name, "value": value, "z": z, "share": share, "adverse": bool(adverse), "unit_low": low, "unit_mid": mid,
                "unit_high": high, "ticks": int(ranges.get(f"{name}_ticks") or 0), "back_to": back_to, "left_share": max(0.0, left),
            }
        )  # fmt: skip
    return causes


def _is_below(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and one < other


def _conditions(page: Page, column: str) -> list[str]:
    found = []
    if page.instrument_id is not None:
        found.append(ask.is_number("instrument_id", page.instrument_id))
    if page.from_ns is not None:
        found.append(ask.not_before(column, page.from_ns))
    if page.to_ns is not None:
        found.append(ask.not_after(column, page.to_ns))
    return found


def _page(request: Request, page: Page, names: tuple[str, str], *, question: Any) -> Response:
    services = services_of(request)
    media_type = wanted(request)
    most = services.settings.page_max if media_type == JSON else services.settings.bulk_rows_max
    size = min(page.limit, most)
    result = services.ask(question(_place_of(page.cursor), size + 1))
    if media_type != JSON:
        return bulk(Result(result.columns, result.types, result.rows[:size]), media_type)
    rows = result.dicts()
    more = len(rows) > size
    name, key = names
    following = f"{rows[size - 1]['at_ns']}~{rows[size - 1][key]}" if more else None
    return plain(request, {name: [{**row, "at_ns": int(row["at_ns"])} for row in rows[:size]], "next": following})


def _place_of(cursor: str | None) -> tuple[int, str] | None:
    if cursor is None:
        return None
    head, found, key = cursor.partition("~")
    if not (found and head.isascii() and head.isdecimal() and len(head) < 20 and int(head) <= TIME_NS_MAX):
        raise ProblemError(422, "cursor: must be the `next` of a page")
    return int(head), key


def _status_of(services: Services, name: str) -> dict[str, Any] | None:
    """Return the status file of a process with its age; ``None`` = there is none."""
    try:
        found = json.loads((Path(services.settings.status_dir) / f"{name}.json").read_text())
    except (OSError, ValueError):
        return None
    kept = ("ended", "wall_ns", "lag_messages", "dead_letters", "rows", "caught_up", "epoch", "instruments", "answers")
    status = {key: found[key] for key in kept if key in found}
    return {**status, "age_ms": (time.time_ns() - int(found.get("wall_ns", 0))) // 1_000_000}
