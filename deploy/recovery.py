"""The recovery drill: the same slice undisturbed, with a TaskManager killed, and with the broker restarted.

Each run has a fresh stack, so topics hold one run each. After dropping repeats by key, and checking that repeats are
equal byte for byte, ticks and risk states of the disturbed runs must be those of the undisturbed one.
"""

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

from deploy.local.processes import kill
from deploy.local.stack import Layout, Stack
from deploy.observe import Tail
from feeds.framing import frames_of
from feeds.producer import FrameProducer
from feeds.simulator.session import simulate
from schemas import codec, topics
from schemas.frames import Frame
from schemas.records import RiskState
from schemas.ticks import decode_ticks

Tell = Callable[[str], None]
Disturb = Callable[[Stack], None]

SCENARIO: Final = "flash_crash"
DISTURB_AFTER: Final = 0.5
QUIET_S: Final = 40.0


def verify_recovery(out: Path, *, seed: int, seconds: float, speed: float, tell: Tell) -> dict[str, Any]:
    """Run the drill and return its report; ``equal`` is the verdict."""
    session = simulate(SCENARIO, seed, duration_s=seconds)
    plan = session.scenario
    frames = list(frames_of([session.block], plan.channel_id, start_ns=plan.start_ns, end_ns=plan.end_ns))
    runs: dict[str, Outputs] = {}
    for name, disturb in (
        ("undisturbed", None),
        ("taskmanager_killed", kill_taskmanager),
        ("broker_restarted", restart_broker),
    ):
        tell(f"[tidegate] {name}")
        runs[name] = _run(out / name, frames, speed, disturb=disturb)
    wanted = runs["undisturbed"]
    report: dict[str, Any] = {"frames": len(frames), "ticks": len(wanted.ticks), "states": len(wanted.states)}
    for name, run in runs.items():
        report[name] = {
            "ticks_equal": run.ticks == wanted.ticks,
            "states_equal": run.states == wanted.states,
            "repeats": run.repeats,
            "unequal_repeats": run.unequal_repeats,
        }
    report["equal"] = bool(wanted.ticks) and all(
        report[name]["ticks_equal"] and report[name]["states_equal"] and not report[name]["unequal_repeats"]
        for name in runs
    )
    return report


class Outputs:
    """What a run published, by key, repeats dropped."""

    def __init__(self) -> None:
        self.ticks: dict[tuple[int, int], bytes] = {}
        self.states: dict[tuple[int, int, int], bytes] = {}
        self.repeats = 0
        self.unequal_repeats = 0
        self.last_tick_ns = 0

    def take(self, topic: str, value: bytes) -> None:
        """Keep one message."""
        if topic == topics.RISK_STATES:
            state = cast("RiskState", codec.decode(topic, value))
            self._keep(self.states, (state.epoch, state.instrument_id, state.tick_ns), value)
            return
        ticks = decode_ticks(value)
        for row in range(ticks.row_count):
            key = (int(ticks.tick_ns[row]), int(ticks.instrument_id[row]))
            parts = (ticks.status[row], ticks.ref_price[row], ticks.values[row])
            self._keep(self.ticks, key, b"".join(part.tobytes() for part in parts))
            self.last_tick_ns = max(self.last_tick_ns, key[0])

    def _keep(self, held: dict[Any, bytes], key: Any, value: bytes) -> None:
        if key in held:
            self.repeats += 1
            self.unequal_repeats += held[key] != value
        else:
            held[key] = value


def kill_taskmanager(stack: Stack) -> None:
    """Kill the TaskManagers of both jobs on the way with SIGKILL and start new ones."""
    for job in ("compute_features", "score_risk"):
        name = stack.flink.taskmanager_of(job)
        process = stack.book.find(name)
        assert process is not None
        kill(process)
        stack.flink.start_taskmanager(int(name.rpartition("-")[2]))


def restart_broker(stack: Stack) -> None:
    """Kill the broker with SIGKILL and start it again on the same data and port."""
    process = stack.book.find("broker")
    assert process is not None
    kill(process)
    time.sleep(1.0)
    stack.start_broker()


def _run(folder: Path, frames: list[Frame], speed: float, *, disturb: Disturb | None) -> Outputs:
    shutil.rmtree(folder, ignore_errors=True)
    stack = Stack(folder)
    layout = stack.up(checkpoint_interval_ms=3_000)
    try:
        return _play(stack, layout, (frames, speed), disturb=disturb)
    finally:
        stack.down()


def _play(stack: Stack, layout: Layout, plan: tuple[list[Frame], float], *, disturb: Disturb | None) -> Outputs:
    frames, speed = plan
    outputs = Outputs()
    middle = frames[int(len(frames) * DISTURB_AFTER)].ts_last_ns
    end_ns = frames[-1].ts_last_ns
    due = threading.Event()

    def note(frame: Frame, _due_ns: int) -> None:
        if frame.ts_last_ns >= middle:
            due.set()

    producer = FrameProducer(layout.bootstrap_servers)
    feed = threading.Thread(
        target=producer.replay, args=(frames,), kwargs={"speed": speed, "on_sent": note}, daemon=True
    )
    with Tail(layout.bootstrap_servers, (topics.FEATURES_TICKS, topics.RISK_STATES), from_start=True) as tail:
        feed.start()
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < QUIET_S:
            if disturb is not None and due.is_set():
                disturb(stack)
                disturb = None
            for message in tail.poll(0.1):
                outputs.take(message.place.topic, message.value)
                quiet_since = time.monotonic()
            if outputs.last_tick_ns >= end_ns and not feed.is_alive() and time.monotonic() - quiet_since > 3.0:
                break
    return outputs
