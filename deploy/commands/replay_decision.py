"""`tidegate replay-decision`."""

import json
from pathlib import Path
from typing import Any

import click

from deploy.commands.shared_options import state_option
from deploy.replay_decision import TTL_NS, NoDecisionError, Rebuilt, plain_of, rebuild
from history.client import QueryError, query
from history.database import StoreError
from schemas.units import NS_PER_MS


@click.command()
@click.argument("decision_id")
@click.option("--ttl-ms", type=int, default=TTL_NS // NS_PER_MS, show_default=True, help="How long a state was fresh.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@state_option
def command(decision_id: str, ttl_ms: int, state: Path, as_json: bool) -> None:  # noqa: FBT001 - click fills it by name
    """Rebuild one decision from history and compare it bit by bit; exit 1 when it cannot be shown to be equal.

    DECISION_ID is the id of a decision, or of an order that was answered once.
    """

    def ask(sql: str) -> list[dict[str, Any]]:
        return query(sql, status_dir=state).dicts()

    try:
        rebuilt = rebuild(decision_id, ask, ttl_ns=ttl_ms * NS_PER_MS)
    except (NoDecisionError, QueryError, StoreError) as error:
        raise click.ClickException(str(error)) from error
    for line in [json.dumps(plain_of(rebuilt))] if as_json else lines_of(rebuilt):
        click.echo(line)
    if not rebuilt.is_equal:
        raise SystemExit(1)


def lines_of(rebuilt: Rebuilt) -> list[str]:
    """Return the answer for a reader."""
    plain, stored = plain_of(rebuilt), rebuilt.stored
    lines = [f"{stored.decision_id or stored.order_id}: {stored.verdict} {stored.reason} by {stored.enforcer}"]
    if stored.limit is not None:
        lines.append(f"  limit {stored.limit}, observed {stored.observed}, rule {stored.rule_id}")
    lines += [f"  INCOMPLETE: {what}" for what in rebuilt.incomplete]
    lines += [f"  DIFFERS: {name}: stored {was}, rebuilt {now}" for name, (was, now) in plain["differs"].items()]
    limits = plain["limits"]
    if limits is not None:
        for column in ("envelope", "dynamic", "stale_limits"):
            lines.append(f"  {column}: " + ", ".join(f"{name} {value}" for name, value in limits[column].items()))
        lines.append(f"  reference price {limits['ref_price']}, tier {limits['tier']}, halted {limits['halted']}")
    lines += [f"  position of {held[0]} in {held[1]}: {held[2]} lots" for held in rebuilt.positions]
    if rebuilt.features:
        lines.append("  features: " + ", ".join(f"{name} {value}" for name, value in rebuilt.features.items()))
    return [*lines, "  rebuilt bit by bit" if rebuilt.is_equal else "  NOT shown to be equal"]
