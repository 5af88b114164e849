"""What tracking hands to the systemic step: pulses of a channel's members, and the states that are due, still as they are.

States are encoded once, by who knows all of them; the systemic step opens one only where its channel's floor touches it.
Between operators only, never kept: a struct per pulse, columns as they lie in memory.
"""

import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from jobs.machines.keeping import pack, unpack
from jobs.machines.letters import Message
from models.risk import Pulse

_PULSE: Final = struct.Struct("<qI")
_STATE: Final = struct.Struct("<q")
_COLUMNS: Final = (
    ("instrument_id", np.uint32), ("strange", np.float64), ("adverse_share", np.float64), ("ref_price", np.int64),
    ("tier", np.uint8), ("stale", np.bool_), ("degraded", np.bool_),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TrackedTicks:
    """A message of ticks after tracking.

    Attributes:
        channel_id: Its channel.
        model: Folder of the model that judged.
        model_id: Name of that model.
        pulses: One a tick, in order.
        states: Tick, key and encoded state of each that is due, in order.
    """

    channel_id: str
    model: str
    model_id: str
    pulses: list[Pulse]
    states: list[tuple[int, Message]]


def encode_tracked(tracked: TrackedTicks) -> bytes:
    """Return a message as bytes."""
    names = [name.encode() for name in (tracked.channel_id, tracked.model, tracked.model_id)]
    pulses = [
        _PULSE.pack(pulse.tick_ns, len(pulse.instrument_id))
        + b"".join(np.ascontiguousarray(getattr(pulse, name), dtype=kind).tobytes() for name, kind in _COLUMNS)
        for pulse in tracked.pulses
    ]
    states = [piece for tick_ns, (key, raw) in tracked.states for piece in (_STATE.pack(tick_ns), key, raw)]
    return pack([*names, pack(pulses), pack(states)])


def decode_tracked(raw: bytes) -> TrackedTicks:
    """Return the message in ``raw``."""
    channel_id, model, model_id, pulses, states = unpack(raw)
    pieces = iter(unpack(states))
    told = [(_STATE.unpack(tick)[0], (key, state)) for tick, key, state in zip(pieces, pieces, pieces, strict=True)]
    names = channel_id.decode(), model.decode(), model_id.decode()
    return TrackedTicks(*names, [_pulse(one) for one in unpack(pulses)], told)


def _pulse(raw: bytes) -> Pulse:
    tick_ns, count = _PULSE.unpack_from(raw)
    place = _PULSE.size
    columns: list[Any] = []
    for _, kind in _COLUMNS:
        column = np.frombuffer(raw, kind, count, place)
        place += column.nbytes
        columns.append(column)
    return Pulse(tick_ns, *columns)
