"""Current state: instruments, one instrument, its limits. Answered from memory; nothing here waits for history or disk."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from api.answers import plain
from api.limits import Step
from api.live.rows import COLUMNS
from api.live.view import SHOWN, Held, InForce, LiveView
from api.problems import ProblemError, responses
from api.services import Services, Viewer, services_of
from api.shapes import InstrumentLimits, InstrumentsOut, LimitsPage, RiskNow
from schemas import codec
from schemas.records import LimitSet, RiskState, Tier

router = APIRouter(prefix="/v1")
InstrumentId = Annotated[int, Path(ge=1, le=2**32 - 1)]


@router.get("/instruments", responses={200: {"model": InstrumentsOut}, **responses()}, tags=["state"])
async def instruments(request: Request, _viewer: Viewer) -> Response:
    """List every instrument that anything is known of, with its tier."""
    services = services_of(request)
    now_ns = time.monotonic_ns()
    rows = [_listed(services, instrument_id, now_ns) for instrument_id in _known(services)]
    return plain(request, {"instruments": rows, "columns": COLUMNS, "market_ns": services.view.market_ns()})


@router.get("/risk/{instrument_id}", responses={200: {"model": RiskNow}, **responses(404)}, tags=["state"])
async def risk(request: Request, instrument_id: InstrumentId, _viewer: Viewer) -> Response:
    """Return tier, score, causes, limits in force and expiry of one instrument."""
    services = services_of(request)
    view, now_ns = services.view, time.monotonic_ns()
    require_known(services, instrument_id)
    held, tick = view.held(instrument_id), view.tick(instrument_id)
    valid_for_ms = view.valid_for_ms(held, now_ns) if held else 0
    shown = tick and {
        "tick_ns": tick.tick_ns,
        "channel_id": tick.channel_id,
        "status": tick.status,
        "ref_price": tick.ref_price,
        **dict(zip(SHOWN, tick.values, strict=True)),
    }
    answer = {
        "instrument_id": instrument_id,
        "symbol": services.symbol(instrument_id),
        "state": state_of(held.state) if held else None,
        "causes": codec.to_plain(held.state.causes) if held else [],
        "limits": in_force_of(view.in_force(instrument_id, now_ns)),
        "valid_for_ms": valid_for_ms,
        "fresh": _is_fresh(held, valid_for_ms),
        "tick": shown,
    }
    return plain(request, answer)


@router.get("/limits", responses={200: {"model": LimitsPage}, **responses()}, tags=["state"])
async def limits(
    request: Request,
    *,
    _viewer: Viewer,
    after: Annotated[int, Query(ge=0, le=2**32 - 1, description="Instruments with a larger id.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 500,
) -> Response:
    """List envelope, stale column, tier steps and what is in force, by instrument id."""
    services = services_of(request)
    size = min(limit, services.settings.page_max)
    wanted = [instrument_id for instrument_id in _known(services) if instrument_id > after]
    page = wanted[:size]
    blocks = [codec.to_plain(command) for command in services.view.blocks()]
    answer = {
        "instruments": [_limits_of(services, instrument_id) for instrument_id in page],
        "blocks": blocks,
        "next": page[-1] if len(wanted) > size else None,
    }
    return plain(request, answer)


@router.get("/limits/{instrument_id}", responses={200: {"model": InstrumentLimits}, **responses(404)}, tags=["state"])
async def limits_of_one(request: Request, instrument_id: InstrumentId, _viewer: Viewer) -> Response:
    """Return envelope, stale column, tier steps and what is in force of one instrument."""
    services = services_of(request)
    require_known(services, instrument_id)
    return plain(request, _limits_of(services, instrument_id))


@router.get("/systemic", responses=responses(), tags=["state"])
async def systemic(request: Request, _viewer: Viewer) -> Response:
    """Return how widely the market is strained: per channel the instruments by tier, and the mean score capped at 6."""
    services = services_of(request)
    return plain(
        request, {"channels": systemic_of(services.view, time.monotonic_ns()), "market_ns": services.view.market_ns()}
    )


def systemic_of(view: LiveView, now_ns: int) -> list[dict[str, Any]]:
    """Return the strain of each channel; expired states count as silent and in nothing else."""
    found: dict[str, dict[str, Any]] = {}
    for instrument_id in view.instruments():
        held = view.held(instrument_id)
        if held is None:
            continue
        nothing = {"tiers": dict.fromkeys((tier.name for tier in Tier), 0), "silent": 0, "scores": [], "systemic": []}
        channel = found.setdefault(held.state.channel_id, nothing)
        if view.valid_for_ms(held, now_ns) == 0:
            channel["silent"] += 1
            continue
        channel["systemic"].append((held.state.systemic_tier, held.state.systemic_score))
        channel["tiers"][held.state.tier.name] += 1
        channel["scores"].append(min(6.0, max(0.0, held.state.score)) if held.state.score == held.state.score else 0.0)
    return [
        {
            "channel_id": name,
            "tiers": channel["tiers"],
            "silent": channel["silent"],
            "systemic_tier": max(channel["systemic"])[0].name if channel["systemic"] else None,
            "systemic_score": max((score for _, score in channel["systemic"]), default=None),
            "mean_score": round(sum(channel["scores"]) / len(channel["scores"]), 4) if channel["scores"] else None,
        }
        for name, channel in sorted(found.items())
    ]


def require_known(services: Services, instrument_id: int) -> None:
    """Raise 404 for an instrument that nobody has heard of."""
    view = services.view
    if not (view.held(instrument_id) or view.tick(instrument_id) or instrument_id in services.names):
        if instrument_id in view.instruments():
            return
        raise ProblemError(404, f"instrument {instrument_id} is not known")


def state_of(state: RiskState) -> dict[str, Any]:
    """Return a state without its causes and instrument."""
    plain_state: dict[str, Any] = codec.to_plain(state)
    return {name: value for name, value in plain_state.items() if name not in {"causes", "instrument_id"}}


def in_force_of(force: InForce) -> dict[str, Any]:
    """Return the limits in force in plain form."""
    return {"limits": set_of(force.step.limits), "halted": force.step.halt, "because": force.because}


def set_of(limits: LimitSet) -> dict[str, int | None]:
    """Return limits in plain form."""
    found: dict[str, int | None] = codec.to_plain(limits)
    return found


def _step_of(step: Step) -> dict[str, Any]:
    return {"tier": step.tier.name, "halt": step.halt, "limits": set_of(step.limits)}


def _limits_of(services: Services, instrument_id: int) -> dict[str, Any]:
    view = services.view
    grant = view.grant(instrument_id)
    return {
        "instrument_id": instrument_id,
        "symbol": services.symbol(instrument_id),
        "administrators": list(grant.administrators),
        "until_ns": grant.until_ns,
        "envelope": set_of(grant.limits),
        "stale": set_of(grant.stale_limits),
        "steps": [_step_of(grant.step(tier)) for tier in Tier],
        "in_force": in_force_of(view.in_force(instrument_id, time.monotonic_ns())),
    }


def _known(services: Services) -> list[int]:
    return sorted({*services.view.instruments(), *services.names})


def _listed(services: Services, instrument_id: int, now_ns: int) -> dict[str, Any]:
    view = services.view
    held, tick = view.held(instrument_id), view.tick(instrument_id)
    name = services.names.get(instrument_id)
    valid_for_ms = view.valid_for_ms(held, now_ns) if held else 0
    channel_id = tick.channel_id if tick else held.state.channel_id if held else name.channel_id if name else ""
    return {
        "instrument_id": instrument_id,
        "symbol": services.symbol(instrument_id),
        "channel_id": channel_id,
        "tier": held.state.tier.name if held else None,
        "score": held.state.score if held else None,
        "fresh": _is_fresh(held, valid_for_ms),
        "halted": view.in_force(instrument_id, now_ns).step.halt,
    }


def _is_fresh(held: Held | None, valid_for_ms: int) -> bool:
    return held is not None and valid_for_ms > 0 and not held.state.stale
