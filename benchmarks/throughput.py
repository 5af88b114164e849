"""The largest rate of events through the whole path, and through what else one could write in Flink.

Full frames are sent as fast as the broker takes them, on four channels; the clock runs from the first frame until the last
risk state of every instrument. The rivals read the same events one Kafka record each: seven aggregates per instrument and
100 ms, by a SQL window and by a Python operator that is called per record; theirs is the job's own time, without its start.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Final, cast

import confluent_kafka
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.path_load import dense_frames, instruments_of, write_model
from deploy.local.stack import JOBS, Layout, Stack
from deploy.observe import Tail
from feeds.producer import FrameProducer
from schemas import codec, topics
from schemas.frames import Frame
from schemas.records import RiskState
from schemas.ticks import decode_ticks
from schemas.units import FRAME_EVENTS_MAX, NS_PER_MS, TICK_NS

CHANNELS: Final = range(2, 6)
SETTLE_S: Final = 15.0
RIVALS: Final = {
    "sql_tumble": ("benchmarks.rivals.sql_tumble", 1_000),
    "python_per_record": ("benchmarks.rivals.per_record", 200),
}
"""Rival → its module, and how many frames' events it is given."""

RIVAL_TOPIC: Final = "bench.events"
RIVAL_TIMEOUT_S: Final = 240.0


def compare(frames: int) -> dict[str, Any]:
    """Return the rates with one and two TaskManagers per job, and those of the rivals."""
    figures: dict[str, Any] = {"cores": os.cpu_count(), "load_before": round(os.getloadavg()[0], 2)}
    for taskmanagers in (1, 2):
        with fresh_stack(parallelism=taskmanagers) as (stack, layout):
            found = drain(layout, CHANNELS, frames)
            print(f"[tidegate] {taskmanagers} TaskManager(s) per job: {found}")
            figures[f"taskmanagers_{taskmanagers}"] = found
            if taskmanagers == 1:
                stack.flink.start_taskmanager(len(JOBS) + 1)  # the rivals' own
                figures |= {
                    name: rival(stack, layout, module, frames=given) for name, (module, given) in RIVALS.items()
                }
    ours = figures["taskmanagers_1"]["events_per_s"]
    figures |= {f"times_{name}": round(ours / max(figures[name]["events_per_s"], 1), 1) for name in RIVALS}
    return figures | {"load_after": round(os.getloadavg()[0], 2)}


@contextmanager
def fresh_stack(**overrides: float | str) -> Iterator[tuple[Stack, Layout]]:
    """Run a stack whose model knows the instruments of the bench."""
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as folder:
        stack = Stack(Path(folder), tell=lambda line: print(f"[tidegate] {line}"))
        layout = stack.up(**overrides, model_dir=str(write_model(Path(folder) / "model")))
        try:
            yield stack, layout
        finally:
            stack.down()


def drain(layout: Layout, channels: range, count: int) -> dict[str, Any]:
    """Send ``count`` full frames as fast as the broker takes them; count until each instrument's last state is out."""
    per_channel = count // len(channels)
    frames = _interleaved(channels, per_channel)
    last_tick_ns = {frame.channel_id: frame.ts_last_ns // TICK_NS * TICK_NS for frame in frames[-len(channels) :]}
    channel_of = {number: known.channel_id for number, known in instruments_of(channels).items()}
    waiting: set[int | str] = {*channel_of, *last_tick_ns}  # instruments for their state, channels for their last tick
    ticks = 0
    with Tail(layout.bootstrap_servers, (topics.FEATURES_TICKS, topics.RISK_STATES), from_start=False) as tail:
        started = time.monotonic()
        sent = FrameProducer(layout.bootstrap_servers).replay(frames, speed=None)
        sent_s = time.monotonic() - started
        tick_s = state_s = quiet_since = time.monotonic()
        while waiting and time.monotonic() - quiet_since < SETTLE_S:
            for message in tail.poll(0.01):
                quiet_since = time.monotonic()
                if message.place.topic == topics.FEATURES_TICKS:
                    closed, channel = set(decode_ticks(message.value).tick_ns.tolist()), message.key.decode()
                    ticks += len(closed)
                    tick_s = message.received_ns / 1e9
                    if last_tick_ns[channel] in closed:
                        waiting.discard(channel)
                    continue
                state = cast("RiskState", codec.decode(topics.RISK_STATES, message.value))
                # A state is published at least once a second of event time, so the last may be ten ticks old.
                due_ns = last_tick_ns[channel_of[state.instrument_id]] - 9 * TICK_NS
                if state.instrument_id in waiting and state.tick_ns >= due_ns:
                    waiting.discard(state.instrument_id)
                    state_s = message.received_ns / 1e9
    return {
        "frames": sent.frames,
        "events": sent.events,
        "events_per_s": 0 if waiting else round(sent.events / (max(state_s, tick_s) - started)),
        "events_per_s_to_ticks": round(sent.events / (tick_s - started)),
        "events_per_s_sent": round(sent.events / sent_s),
        "ticks": ticks,
    }


def _interleaved(channels: range, per_channel: int) -> list[Frame]:
    streams = [dense_frames(channel, per_channel) for channel in channels]
    return list(chain.from_iterable(zip(*streams, strict=True)))


def rival(stack: Stack, layout: Layout, module: str, *, frames: int) -> dict[str, Any]:
    """Run one rival over the events of ``frames`` frames, a record each, until it ends by itself."""
    topic = f"{RIVAL_TOPIC}.{module.rpartition('.')[2]}"
    events = _send_records(layout, topic, frames)
    client = stack.flink.submit(module, [layout.bootstrap_servers, topic])
    output, _ = client.communicate(timeout=RIVAL_TIMEOUT_S)
    assert client.returncode == 0, output[-2000:]
    deadline = time.monotonic() + RIVAL_TIMEOUT_S
    while (job := stack.flink.jobs().get(topic)) is None or job["state"] != "FINISHED":
        assert time.monotonic() < deadline, f"{module}: {job}"
        assert job is None or job["state"] != "FAILED", stack.flink.get(f"/jobs/{job['jid']}/exceptions")
        time.sleep(0.2)
    vertices = stack.flink.get(f"/jobs/{job['jid']}")["vertices"]
    running_ms = max(v["end-time"] for v in vertices) - max(v["start-time"] for v in vertices)
    found = {
        "events": events,
        "running_s": round(running_ms / 1e3, 2),
        "events_per_s": round(events / (running_ms / 1e3)),
    }
    print(f"[tidegate] {module}: {found}")
    return found


def _send_records(layout: Layout, topic: str, frames: int) -> int:
    """Write the events one record each, as ``ts_ms,instrument_id,price,qty,side``; return their number."""
    producer = confluent_kafka.Producer(
        {"bootstrap.servers": layout.bootstrap_servers, "linger.ms": 20, "queue.buffering.max.messages": 2_000_000}
    )
    _create(layout, topic)
    count = 0
    for frame in dense_frames(CHANNELS[0], frames):
        columns = (frame.columns[name].tolist() for name in ("ts_event_ns", "instrument_id", "price", "qty", "side"))
        for ts_ns, instrument_id, price, qty, side in zip(*columns, strict=True):
            line = f"{ts_ns // NS_PER_MS},{instrument_id},{price},{qty},{side}"
            producer.produce(topic, line, timestamp=ts_ns // NS_PER_MS)
            count += 1
        producer.poll(0)
    assert producer.flush(120) == 0
    assert count == frames * FRAME_EVENTS_MAX
    return count


def _create(layout: Layout, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": layout.bootstrap_servers})
    made = admin.create_topics([NewTopic(topic, 1, 1, config={"retention.ms": "-1"})])
    made[topic].result(30)
