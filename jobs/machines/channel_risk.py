"""The second step of `score_risk`: viewed ticks and the network's answers in, tracked ticks, alerts and scores out; one channel."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from jobs.machines.keeping import SNAPSHOT_MESSAGES, Kept, pack, unpack
from jobs.machines.letters import Message, dead_letter
from jobs.machines.scored import scores_of
from jobs.machines.tracked import TrackedTicks, encode_tracked
from models.alerting import SOURCE
from models.risk import Models, Pulse, RiskTracker, Tracked, TrackerSettings
from models.tiers import TierUse
from models.viewed import decode_viewed
from models.wire import decode_scores
from schemas import codec, topics
from schemas.codec import Registry
from schemas.errors import MessageError, Place
from schemas.people import message_key
from schemas.records import CommandKind, RiskCommand, Tier
from schemas.scores import encode_scores


@dataclass(frozen=True, slots=True)
class Census:
    """A channel at the newest of the ticks just judged, for those who watch.

    Attributes:
        tick_ns: The ticks, each once.
        model: Folder of the model that judged.
        tiers: Instruments in each tier.
        stale: Instruments whose book is not trusted.
        degraded: Instruments judged without the network.
    """

    tick_ns: tuple[int, ...]
    model: str
    tiers: tuple[int, ...]
    stale: int
    degraded: int


@dataclass(frozen=True, slots=True)
class RiskOutcome:
    """Encoded messages, what must be kept, and what there is to watch (``None`` = no tick was new)."""

    tracked: bytes | None = None
    alerts: list[Message] = field(default_factory=list)
    scores: list[Message] = field(default_factory=list)
    kept: Kept = field(default_factory=Kept)
    census: Census | None = None


class RiskScoring:
    """One channel.

    Args:
        models: Name of a folder to the model.
        settings: Of the tracker.
        snapshot: What was kept last.
        entries: What was kept since, in order.
    """

    def __init__(
        self,
        models: Models,
        settings: TrackerSettings,
        *,
        snapshot: bytes | None = None,
        entries: Iterable[bytes] = (),
        registry: Registry | None = None,
    ) -> None:
        self._models, self._registry, self._epoch = models, registry, settings.epoch
        self._known: dict[str, RiskCommand] = {}
        self._since = 0
        if snapshot is None:
            self._tracker = RiskTracker(models, settings)
        else:
            tracker, *commands = unpack(snapshot)
            self._tracker = RiskTracker.from_bytes(tracker, models, settings)
            self._learn(commands)
        for entry in entries:
            viewed, scores, *commands = unpack(entry)
            self._learn(commands)
            self._take(viewed, scores)
            self._since += 1

    def apply(self, viewed: bytes, scores: bytes, releases: Iterable[RiskCommand]) -> RiskOutcome:
        """Take one message of viewed ticks with the network's answer; ``releases`` are all release commands known so far."""
        new = [codec.encode(topics.RISK_COMMANDS, one) for one in releases if message_key(one) not in self._known]
        self._learn(new)
        tracked, names = self._take(viewed, scores)
        self._since += 1
        if self._since >= SNAPSHOT_MESSAGES:
            self._since, kept = 0, Kept(snapshot=self._to_bytes())
        else:
            kept = Kept(entry=pack([viewed, scores, *new]))
        states = [
            (state.tick_ns, (_key(state.instrument_id), codec.encode(topics.RISK_STATES, state, self._registry)))
            for state in tracked.states
        ]
        alerts = [
            (_key(alert.instrument_id), codec.encode(topics.RISK_ALERTS, alert, self._registry))
            for alert in tracked.alerts
        ]
        told = TrackedTicks(*names, tracked.pulses, states)
        rows = scores_of(told, epoch=self._epoch)
        told_scores = [] if rows is None else [(told.channel_id.encode(), encode_scores(rows))]
        return RiskOutcome(encode_tracked(told), alerts, told_scores, kept, _census(tracked.pulses, names[1]))

    def use(self) -> TierUse:
        """Return how the channel's instruments used the tiers so far."""
        return self._tracker.use()

    def _take(self, viewed: bytes, scores: bytes) -> tuple[Tracked, tuple[str, str, str]]:
        ticks = decode_viewed(viewed)
        names = ticks.ticks.channel_id, ticks.model, self._models(ticks.model).model_id
        return self._tracker.step(ticks, decode_scores(scores), list(self._known.values())), names

    def _learn(self, commands: Iterable[bytes]) -> None:
        for raw in commands:
            command = codec.decode(topics.RISK_COMMANDS, raw)
            assert isinstance(command, RiskCommand)
            self._known[message_key(command)] = command

    def _to_bytes(self) -> bytes:
        commands = [codec.encode(topics.RISK_COMMANDS, one) for one in self._known.values()]
        return pack([self._tracker.to_bytes(), *commands])


def read_command(
    raw: bytes, place: Place, registry: Registry | None = None
) -> tuple[RiskCommand | None, list[Message]]:
    """Return the command in ``raw``, or a dead letter."""
    try:
        command = codec.decode(topics.RISK_COMMANDS, raw, registry)
    except MessageError as error:
        return None, [dead_letter(error, raw, place, source=SOURCE, registry=registry)]
    assert isinstance(command, RiskCommand)
    return command, []


def is_release(command: RiskCommand) -> bool:
    """Return whether a command is this step's business."""
    return command.kind is CommandKind.RELEASE


def _census(pulses: list[Pulse], model: str) -> Census | None:
    if not pulses:
        return None
    newest = pulses[-1]
    tiers = tuple(int((newest.tier == tier).sum()) for tier in Tier)
    ticks = tuple(pulse.tick_ns for pulse in pulses)
    return Census(ticks, model, tiers, int(newest.stale.sum()), int(newest.degraded.sum()))


def _key(instrument_id: int) -> bytes:
    return str(instrument_id).encode()
