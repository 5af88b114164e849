"""What a run published, and whether it is what another run published.

Compared are the values of every tick, every risk state and every alert, by key. Only the epoch is set aside: it says which
deployment spoke, and a drill deploys anew. Readers keep the message of the largest epoch, so does this; but a message that was
said under two epochs, or twice under one, must have said the same. The sidecar's own alerts are left out: it tells of silence,
which is what a drill makes.
"""

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, cast

from models.alerting import SOURCE
from schemas import codec, topics
from schemas.records import RiskAlert, RiskState
from schemas.ticks import decode_ticks

TOPICS: Final = (topics.FEATURES_TICKS, topics.RISK_STATES, topics.RISK_ALERTS, topics.DEAD_LETTERS)


@dataclass(slots=True)
class Said:
    """Messages of one kind.

    Attributes:
        values: Key to value, without the epoch.
        epochs: Key to the largest epoch that said it.
        repeats: Messages whose key was there already.
        unequal_repeats: Of those, the ones that said something else.
    """

    values: dict[Any, bytes] = field(default_factory=dict)
    epochs: dict[Any, int] = field(default_factory=dict)
    repeats: int = 0
    unequal_repeats: int = 0

    def take(self, key: Any, value: bytes, epoch: int) -> None:
        """Keep one message."""
        if key in self.values:
            self.repeats += 1
            self.unequal_repeats += self.values[key] != value
        self.values[key] = value
        self.epochs[key] = max(epoch, self.epochs.get(key, 0))


class Outputs:
    """All that was published in a run."""

    def __init__(self) -> None:
        self.ticks, self.states, self.alerts = Said(), Said(), Said()
        self.letters = 0
        self.tick_ns: dict[str, int] = {}
        """Newest tick by channel."""
        self.state_ns = 0
        """Newest tick of any risk state."""

    def take(self, topic: str, value: bytes) -> None:
        """Keep one message of one of ``TOPICS``."""
        if topic == topics.FEATURES_TICKS:
            self._take_ticks(value)
        elif topic == topics.DEAD_LETTERS:
            self.letters += 1
        elif topic == topics.RISK_STATES:
            state = cast("RiskState", codec.decode(topic, value))
            key = state.channel_id, state.instrument_id, state.tick_ns
            self.states.take(key, codec.encode(topic, replace(state, epoch=0)), state.epoch)
            self.state_ns = max(self.state_ns, state.tick_ns)
        else:
            alert = cast("RiskAlert", codec.decode(topic, value))
            if alert.source != SOURCE:
                return
            name = alert.alert_id.removesuffix(f":{alert.epoch}")
            self.alerts.take(name, codec.encode(topic, replace(alert, alert_id=name, epoch=0)), alert.epoch)

    def complete(self, channels: tuple[str, ...], end_ns: int) -> bool:
        """Return whether the last tick of every channel is there, and states up to a heartbeat before it."""
        return all(self.tick_ns.get(one, 0) >= end_ns for one in channels)

    def _take_ticks(self, value: bytes) -> None:
        ticks = decode_ticks(value)
        for row in range(ticks.row_count):
            key = int(ticks.tick_ns[row]), int(ticks.instrument_id[row])
            parts = ticks.status[row], ticks.ref_price[row], ticks.values[row]
            self.ticks.take(key, b"".join(part.tobytes() for part in parts), ticks.epoch)
        if ticks.row_count:
            newest = int(ticks.tick_ns[-1])
            self.tick_ns[ticks.channel_id] = max(newest, self.tick_ns.get(ticks.channel_id, 0))


@dataclass(frozen=True, slots=True)
class Compared:
    """One kind of messages, side by side.

    Attributes:
        count: Messages of the undisturbed run, repeats dropped.
        different: Those that said something else in the disturbed one.
        missing: Those that were not said.
        extra: Those that only the disturbed run said.
        repeats: Of the disturbed run.
        unequal_repeats: Of those, the ones that said something else.
    """

    count: int
    different: int
    missing: int
    extra: int
    repeats: int
    unequal_repeats: int

    @property
    def equal(self) -> bool:
        """Return whether nothing differs, and there was anything to compare."""
        return bool(self.count) and not (self.different or self.missing or self.extra or self.unequal_repeats)

    def plain(self) -> dict[str, int]:
        """Return the fields."""
        return asdict(self)


def compare(found: Outputs, wanted: Outputs) -> dict[str, Compared]:
    """Return ticks, states and alerts of a disturbed run beside those of the undisturbed one."""
    return {name: _compare(getattr(found, name), getattr(wanted, name)) for name in ("ticks", "states", "alerts")}


def _compare(found: Said, wanted: Said) -> Compared:
    both = found.values.keys() & wanted.values.keys()
    return Compared(
        count=len(wanted.values),
        different=sum(found.values[key] != wanted.values[key] for key in both),
        missing=len(wanted.values.keys() - both),
        extra=len(found.values.keys() - both),
        repeats=found.repeats,
        unequal_repeats=found.unequal_repeats,
    )
