"""`tidegate simulate`."""

import threading
from pathlib import Path

import click

from deploy.channels import refuse_past
from deploy.commands.shared_options import frame_producer, plain_errors, state_option
from deploy.desk import FOLDER, Desk
from deploy.local.stack import Stack
from feeds.framing import frames_of
from feeds.simulator.scenario import ScenarioError
from feeds.simulator.session import simulate
from schemas.exposition import ProcessMetrics


@click.command()
@click.argument("scenario")
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--speed", default="1", show_default=True, help="Times real time, or `max`.")
@state_option
@plain_errors
def command(scenario: str, *, seed: int, speed: str, state: Path) -> None:
    """Send a simulated session, and the firm's own orders, into the running stack."""
    stack = Stack(state)
    stack.require_up()
    try:
        session = simulate(scenario, seed)
    except ScenarioError as error:
        raise click.ClickException(str(error)) from error
    plan = session.scenario
    refuse_past(stack, plan.channel_id, plan.start_ns)
    frames = frames_of([session.block], plan.channel_id, start_ns=plan.start_ns, end_ns=plan.end_ns)
    factor = None if speed == "max" else float(speed)
    with (
        _desk(stack) as desk,
        ProcessMetrics("feeds").serve("127.0.0.1", stack.metrics_ports().get("feeds", 0)) as told,
    ):
        sender = None
        if factor is not None:
            sender = threading.Thread(target=desk.trade, args=(session.orders, plan.start_ns, factor), daemon=True)
            sender.start()
        sent = frame_producer(stack, told).replay(frames, speed=factor)
        if sender is not None:
            sender.join()
    orders = len(session.orders) if factor is not None else 0
    click.echo(f"{sent.events} events in {sent.frames} frames ({sent.heartbeats} heartbeats), {orders} own orders")


def _desk(stack: Stack) -> Desk:
    layout = stack.layout
    port = stack.metrics_ports().get("desk", 0)
    return Desk(layout.bootstrap_servers, Path(layout.table_path), stack.state / FOLDER, metrics_port=port)
