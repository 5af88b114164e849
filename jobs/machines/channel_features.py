"""One channel of `compute_features`: frames of either format in, encoded ticks out, and what must be kept to do it again.

Invariant: ``restore(last snapshot, frames since)`` gives a machine that answers every later frame with the same bytes as
the one that was lost. A snapshot is due each second of event time once the frames since the last one weigh a quarter of
it, so that writing snapshots never costs more than a few times the traffic itself; between two, the raw frames are the
state. Rejected: a snapshot per frame or per second whatever its size (a large, quiet book would be copied for nothing) and
a wall-clock schedule (replays would differ in what they hold).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from features.channel import ChannelKernel, FrameResult
from features.spec import FEATURE_NAMES, SPEC_HASH
from jobs.machines.letters import Message, dead_letter
from schemas.errors import MessageError, Place
from schemas.frames import decode_frame
from schemas.ticks import Ticks, encode_ticks
from schemas.units import NS_PER_S

SOURCE: Final = "compute_features"
SNAPSHOT_EVERY_NS: Final = NS_PER_S
LOG_PART: Final = 4
"""A snapshot is taken when the log weighs this part of the last one: restoring costs at most a quarter more than loading."""


@dataclass(frozen=True, slots=True)
class FrameOutcome:
    """What one frame led to.

    Attributes:
        ticks: Encoded ticks that it closed, ``None`` when none.
        tick_ns: The ticks that it closed, each once.
        rows: Their rows.
        letters: Dead letters.
        keep: The raw frame changed the kernel and belongs into the log, unless ``snapshot`` replaces the log.
        snapshot: New snapshot; the log starts anew.
    """

    ticks: bytes | None = None
    tick_ns: tuple[int, ...] = ()
    rows: int = 0
    letters: list[Message] = field(default_factory=list)
    keep: bool = False
    snapshot: bytes | None = None


class ChannelFeatures:
    """The machine of one channel."""

    def __init__(self, channel_id: str, *, epoch: int) -> None:
        self._channel_id = channel_id
        self._epoch = epoch
        self._kernel = ChannelKernel(channel_id)
        self._snapshot_due_ns: int | None = None
        self._snapshot_bytes = 0
        self._log_bytes = 0

    @classmethod
    def restore(
        cls, channel_id: str, snapshot: bytes | None, frames: Iterable[bytes], *, epoch: int
    ) -> "ChannelFeatures":
        """Return the machine that was lost: its last snapshot, then the frames since, in order."""
        machine = cls(channel_id, epoch=epoch)
        if snapshot is not None:
            machine._kernel = ChannelKernel.restore(channel_id, snapshot)
            machine._snapshot_due_ns = _next_second(machine._kernel.last_ts_ns)
            machine._snapshot_bytes = len(snapshot)
        for raw in frames:
            machine.apply(raw, Place("state"), replaying=True)
        return machine

    def apply(self, raw: bytes, place: Place, *, replaying: bool = False) -> FrameOutcome:
        """Take one encoded frame; bad ones become dead letters and change nothing."""
        try:
            frame = decode_frame(raw)
            if frame.channel_id != self._channel_id:
                raise MessageError("wrong_key", f"frame of channel {frame.channel_id} under key {self._channel_id}")
            result = self._kernel.apply(frame)
        except MessageError as error:
            return FrameOutcome(letters=[dead_letter(error, raw, place, source=SOURCE)])
        self._log_bytes += len(raw)
        if self._snapshot_due_ns is None:
            self._snapshot_due_ns = _next_second(frame.ts_last_ns)
        letters = [] if result.gap is None else [self._gap_letter(result.gap, raw, place)]
        return FrameOutcome(
            ticks=self._encode(result),
            tick_ns=tuple(dict.fromkeys(result.tick_ns.tolist())),
            rows=len(result.tick_ns),
            letters=letters,
            keep=not result.duplicate,
            snapshot=None if replaying else self._snapshot_if_due(frame.ts_last_ns),
        )

    def counters(self) -> dict[str, int]:
        """Return the kernel's counters."""
        return self._kernel.counters()

    def _encode(self, result: FrameResult) -> bytes | None:
        if not len(result.tick_ns):
            return None
        return encode_ticks(
            Ticks(
                channel_id=self._channel_id,
                epoch=self._epoch,
                spec_hash=SPEC_HASH,
                feature_names=FEATURE_NAMES,
                tick_ns=result.tick_ns,
                instrument_id=result.instrument_id,
                status=result.status,
                ref_price=result.ref_price,
                values=result.values,
            )
        )

    def _gap_letter(self, gap: tuple[int, int], raw: bytes, place: Place) -> Message:
        expected, seen = gap
        error = MessageError("sequence_gap", f"channel {self._channel_id}: expected seq {expected}, saw {seen}")
        return dead_letter(error, raw, place, source=SOURCE)

    def _snapshot_if_due(self, ts_last_ns: int) -> bytes | None:
        assert self._snapshot_due_ns is not None
        if ts_last_ns < self._snapshot_due_ns or self._log_bytes * LOG_PART < self._snapshot_bytes:
            return None
        self._snapshot_due_ns = _next_second(ts_last_ns)
        snapshot = self._kernel.snapshot()
        self._snapshot_bytes, self._log_bytes = len(snapshot), 0
        return snapshot


def _next_second(ts_ns: int) -> int:
    return (ts_ns // SNAPSHOT_EVERY_NS + 1) * SNAPSHOT_EVERY_NS
