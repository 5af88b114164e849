"""The session that drills play: two channels, a crash in one of them, the same frames every time.

Invariant: it is shorter than the minute after which the market of all channels is judged together. Two channels that come back
from a disturbance at different times would be judged in another order there; alone, each is exact. One feed per channel, so a
frame's place within its channel never depends on the other.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np

from feeds.blocks import EventBlock
from feeds.framing import frames_of
from feeds.simulator.session import simulate
from schemas.frames import Frame
from schemas.units import NS_PER_S

SCENARIO: Final = "drill"
SEED: Final = 7
CALM_SEED: Final = 11
CALM_CHANNEL: Final = "SIM-B"
"""Its key and the other's fall to different subtasks of two, hashed as text or as a row."""
CALM_IDS_FROM: Final = 100
"""Instruments of the calm channel are those of the first, renumbered: reference data knows them not, and the gate blocks them."""
COPIES_MAX: Final = 256


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """Frames of all channels in order of event time.

    Attributes:
        frames: The frames.
        start_ns: First event time.
        end_ns: Event time that every channel reaches.
        channels: Names of the channels.
    """

    frames: list[Frame]
    start_ns: int
    end_ns: int
    channels: tuple[str, ...]

    def at(self, part: float) -> int:
        """Return the event time at which ``part`` of the session is over."""
        return self.start_ns + int((self.end_ns - self.start_ns) * part)


@cache
def drill_tape(seed: int = SEED) -> Tape:
    """Return the session; equal seeds give equal frames."""
    crash = simulate(SCENARIO, seed)
    plan = crash.scenario
    seconds = (plan.end_ns - plan.start_ns) / NS_PER_S
    calm = simulate("calm", seed + CALM_SEED, duration_s=seconds)
    blocks = {
        plan.channel_id: crash.block,
        CALM_CHANNEL: _renumbered(calm.block, later_ns=plan.start_ns - calm.scenario.start_ns, ids_from=CALM_IDS_FROM),
    }
    frames = [
        frame
        for channel_id, block in blocks.items()
        for frame in frames_of([block], channel_id, start_ns=plan.start_ns, end_ns=plan.end_ns)
    ]
    frames.sort(key=lambda frame: frame.ts_last_ns)  # stable: those of a channel keep their order
    return Tape(frames, plan.start_ns, plan.end_ns, tuple(blocks))


def _renumbered(block: EventBlock, *, later_ns: int, ids_from: int) -> EventBlock:
    """Return a block of the same events at other times, of other instruments."""
    columns = dict(block.columns)
    columns["ts_event_ns"] = np.asarray(columns["ts_event_ns"], np.int64) + later_ns
    columns["instrument_id"] = (np.asarray(columns["instrument_id"], np.int64) + ids_from).astype(np.uint32)
    return EventBlock(columns)


def copies_of(count: int, *, seconds: float, name: str, start_ns: int, first_id: int = 10_000) -> list[Frame]:
    """Return channels ``NAME-0`` ... that all play the calm session from its start, in order of event time.

    Args:
        count: Channels; a single one is called ``name`` itself.
        seconds: Length.
        name: Of the channels.
        start_ns: Event time of the start.
        first_id: Number before the first instrument; 0 = those that reference data knows, else the name's own.
    """
    calm = simulate("calm", SEED + CALM_SEED, duration_s=seconds)
    block, width = calm.block, max(one.id for one in calm.scenario.instruments)
    salt = first_id + (sum(name.encode()) * COPIES_MAX * width if first_id else 0)
    frames: list[Frame] = []
    for number in range(count):
        own = _renumbered(block, later_ns=start_ns - calm.scenario.start_ns, ids_from=salt + number * width)
        channel_id = name if count == 1 else f"{name}-{number}"
        end_ns = start_ns + int(seconds * NS_PER_S)
        frames += frames_of([own], channel_id, start_ns=start_ns, end_ns=end_ns)
    frames.sort(key=lambda frame: frame.ts_last_ns)
    return frames


def moved(frames: list[Frame], by_ns: int) -> list[Frame]:
    """Return frames with all their times later by ``by_ns``; ticks keep their place where that is whole ticks."""
    return [
        replace(
            frame,
            ts_first_ns=frame.ts_first_ns + by_ns,
            ts_last_ns=frame.ts_last_ns + by_ns,
            columns={**frame.columns, "ts_event_ns": np.asarray(frame.columns["ts_event_ns"], np.int64) + by_ns},
        )
        for frame in frames
    ]
