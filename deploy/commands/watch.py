"""`tidegate watch`."""

import time
from pathlib import Path

import click
from kafka import KafkaConsumer

from deploy.commands.shared_options import plain_errors, state_option
from deploy.instruments import load_instruments
from deploy.local.stack import Stack
from deploy.observe import record_in
from schemas import topics
from schemas.records import RiskAlert, RiskState


@click.command()
@click.option("--seconds", type=float, default=None, help="Stop after so long; for ever if absent.")
@state_option
@plain_errors
def command(seconds: float | None, state: Path) -> None:
    """Print every change of tier and every alert as it happens."""
    layout = Stack(state).require_up()
    names = {instrument.id: instrument.symbol for instrument in load_instruments().values()}
    consumer = KafkaConsumer(
        topics.RISK_STATES,
        topics.RISK_ALERTS,
        bootstrap_servers=layout.bootstrap_servers,
        auto_offset_reset="earliest",
        consumer_timeout_ms=200,
    )
    tiers: dict[int, str] = {}
    deadline = None if seconds is None else time.monotonic() + seconds
    try:
        while deadline is None or time.monotonic() < deadline:
            for message in consumer:
                record = record_in(message.topic, message.value)
                if isinstance(record, RiskState) and tiers.get(record.instrument_id) != record.tier.name:
                    tiers[record.instrument_id] = record.tier.name
                    name = names.get(record.instrument_id, str(record.instrument_id))
                    causes = ", ".join(cause.words for cause in record.causes)
                    click.echo(
                        f"{_clock(record.tick_ns)}  {name:<6} {record.tier.name:<11} S {record.score:5.2f}  {causes}"
                    )
                elif isinstance(record, RiskAlert):
                    name = names.get(record.instrument_id, str(record.instrument_id))
                    click.echo(f"{_clock(record.ts_ns)}  {name:<6} alert: {record.message}")
                if deadline is not None and time.monotonic() > deadline:
                    break
    except KeyboardInterrupt:
        click.echo("")
    finally:
        consumer.close()


def _clock(ts_ns: int) -> str:
    seconds, rest = divmod(ts_ns, 1_000_000_000)
    return time.strftime("%H:%M:%S", time.gmtime(seconds)) + f".{rest // 1_000_000:03d}"
