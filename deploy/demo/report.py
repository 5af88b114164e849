"""The end of the demonstration: what held, how fast it was, what the static limits would have done, and a JSON file."""

import hashlib
import json
from pathlib import Path
from typing import Any

from deploy.demo.expectations import ENFORCERS, Expectation
from deploy.demo.observer import HOPS
from deploy.demo.story import Story, clock
from deploy.observe import percentiles
from models.tiers import use_of
from schemas.codec import to_plain
from schemas.records import Tier, Verdict


def report_of(
    story: Story, expectations: list[Expectation], history: dict[str, int], *, ticks_digest: str
) -> dict[str, Any]:
    """Return the report as plain values; all but ``latency_ms`` follows from scenario and seed."""
    return {
        "seed": story.seed,
        "ticks_digest": ticks_digest,
        "tiers": [
            {
                "at": clock(s.tick_ns),
                "tick_ns": s.tick_ns,
                "instrument_id": s.instrument_id,
                "from": s.tier_before.name,
                "to": s.tier.name,
                "score": s.score,
                "causes": [c.name for c in s.causes],
            }
            for s in story.states
        ],
        "tier_use": _tier_use(story),
        # Rows of one tick become visible one after another, now this one first and now that one.
        "limits": [to_plain(seen) for seen in sorted(story.limits, key=lambda one: (one.tick_ns, one.instrument_id))],
        "orders": [
            {
                "order_id": order.order_id,
                "at": clock(order.ts_event_ns),
                "qty": order.qty,
                **{enforcer: _answer(story, order.order_id, enforcer) for enforcer in ENFORCERS},
            }
            for order in story.orders
        ],
        "latency_ms": {hop: percentiles(story.latency_ms[hop]) for hop in HOPS},
        "history": history,
        "static_limits_alone": static_alone(story),
        "expectations": [{"name": e.name, "held": e.held, "detail": e.detail} for e in expectations],
        "held": all(e.held for e in expectations),
    }


def digest_of(messages: list[bytes]) -> str:
    """Return SHA-256 over tick messages in order."""
    digest = hashlib.sha256()
    for message in messages:
        digest.update(message)
    return digest.hexdigest()


def static_alone(story: Story) -> dict[str, int]:
    """Return what only the dynamic limits refused: orders and lots that the envelope alone would have let through."""
    refused = {d.order_id for d in story.decisions.values() if d.enforcer == "gate" and d.verdict is Verdict.REJECT}
    passed = [o for o in story.orders if o.order_id in refused and o.qty <= story.static_max_order_qty]
    return {"orders": len(passed), "lots": sum(o.qty for o in passed)}


def lines_of(report: dict[str, Any], path: Path) -> list[str]:
    """Return the closing lines for a reader."""
    static = report["static_limits_alone"]
    lines = [
        "",
        f"The static limits alone would have let {static['orders']} more orders ({static['lots']} lots) into the falling market.",
        "Tiers entered (of these again within 60 s of leaving): "
        + ", ".join(f"{tier} {use['entered']} ({use['flapped']})" for tier, use in report["tier_use"].items()),
        "",
        f"{'latency, ms':<16}{'samples':>9}{'p50':>9}{'p99':>9}{'max':>9}",
    ]
    for hop, figures in report["latency_ms"].items():
        if figures["count"]:
            lines.append(f"{hop:<16}{figures['count']:>9}{figures['p50']:>9}{figures['p99']:>9}{figures['max']:>9}")
    lines += [
        "",
        *(f"{'held' if e['held'] else 'FAILED':<8}{e['name']}: {e['detail']}" for e in report["expectations"]),
    ]
    lines += [
        "",
        f"Report: {path}",
        "Next: tidegate up && tidegate simulate flash_crash, then tidegate watch and tidegate query (see README.md)",
    ]
    return lines


def write(report: dict[str, Any], path: Path) -> None:
    """Write the JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")


def _tier_use(story: Story) -> dict[str, dict[str, int]]:
    use = use_of(story.states)
    return {
        tier.name: {"entered": use.entered[tier], "flapped": use.flapped[tier]} for tier in Tier if tier > Tier.NORMAL
    }


def _answer(story: Story, order_id: str, enforcer: str) -> dict[str, Any] | None:
    found = story.decisions.get((order_id, enforcer))
    if found is None:
        return None
    return {"verdict": found.verdict.value, "reason": found.reason, "limit": found.limit, "observed": found.observed}
