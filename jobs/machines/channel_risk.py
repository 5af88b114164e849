"""One channel of `score_risk`: the two keyed steps around the SQL function, as pure machines over bytes."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from features.spec import SPEC_HASH
from jobs.machines.letters import Message, dead_letter
from models.folder import ModelFolder
from models.risk import RiskTracker, TrackerSettings
from models.scaling import Scaler
from models.wire import decode_scaled, decode_scores, encode_scaled
from schemas import codec, topics
from schemas.codec import Registry
from schemas.errors import MessageError, Place
from schemas.records import RiskCommand
from schemas.ticks import decode_ticks

SOURCE: Final = "score_risk"


@dataclass(frozen=True, slots=True)
class RiskOutcome:
    """Encoded messages for each topic."""

    states: list[Message] = field(default_factory=list)
    alerts: list[Message] = field(default_factory=list)
    letters: list[Message] = field(default_factory=list)


class TickScaling:
    """First step: tick messages in, scaled ticks out."""

    def __init__(self, model: ModelFolder, state: bytes | None) -> None:
        self._scaler = Scaler(model.priors) if state is None else Scaler.from_bytes(state, model.priors)

    def apply(self, raw: bytes, place: Place) -> tuple[bytes | None, list[Message]]:
        """Return encoded scaled ticks (``None`` when every tick was seen before) and dead letters."""
        try:
            ticks = decode_ticks(raw)
            if ticks.spec_hash != SPEC_HASH:
                raise MessageError("wrong_features", f"feature spec was {ticks.spec_hash}, wanted {SPEC_HASH}")
        except MessageError as error:
            return None, [dead_letter(error, raw, place, source=SOURCE)]
        scaled = self._scaler.step(ticks)
        return (encode_scaled(scaled) if len(scaled.tick_ns) else None), []

    def state(self) -> bytes:
        """Return what must be kept."""
        return self._scaler.to_bytes()


class RiskScoring:
    """Second step: scaled ticks and their scores in, states and alerts out."""

    def __init__(
        self, model: ModelFolder, settings: TrackerSettings, state: bytes | None, *, registry: Registry | None = None
    ) -> None:
        self._tracker = (
            RiskTracker(model, settings) if state is None else RiskTracker.from_bytes(state, model, settings)
        )
        self._registry = registry

    def apply(self, scaled: bytes, scores: bytes, releases: Iterable[RiskCommand]) -> RiskOutcome:
        """Take one message of scored ticks; ``releases`` are all release commands known so far."""
        states, alerts = self._tracker.step(decode_scaled(scaled), decode_scores(scores), list(releases))
        return RiskOutcome(
            states=[(_key(s.instrument_id), codec.encode(topics.RISK_STATES, s, self._registry)) for s in states],
            alerts=[(_key(a.instrument_id), codec.encode(topics.RISK_ALERTS, a, self._registry)) for a in alerts],
        )

    def state(self) -> bytes:
        """Return what must be kept."""
        return self._tracker.to_bytes()


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


def _key(instrument_id: int) -> bytes:
    return str(instrument_id).encode()
