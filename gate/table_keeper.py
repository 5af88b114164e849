"""What the sidecar does with every message and with silence: the limit book, and what people must hear. Pure.

Invariants: a state read from the topic's past is remembered but never looks fresh; each silence is told once, each
command's outcome and end once; a message that cannot be used leaves as a dead letter with its place and its bytes, and the
next one is taken. Rejected: freshness by event time here (the trading process has no event clock to compare with).
"""

from dataclasses import dataclass
from typing import Final

from gate.errors import TableFullError
from gate.policy.commands import INSTRUMENT, INSTRUMENT_ID_MAX, CommandOutcome
from gate.policy.instrument import NEVER_FRESH_NS
from gate.policy.limit_book import LimitBook, StateOutcome
from schemas import codec, topics
from schemas.errors import MessageError, Place
from schemas.records import AlertKind, DeadLetter, RiskAlert, RiskCommand, RiskState, Tier
from schemas.units import NS_PER_MS

SOURCE: Final = "gate"
FIRM_WIDE: Final = 0
"""``instrument_id`` of an alert that is not about one instrument."""

_FAR_NS: Final = 2**62
_SILENT_CAUSES: Final = {"duplicate", "ignored"}


@dataclass(frozen=True, slots=True)
class Now:
    """The two clocks at one moment: validity is monotonic, alerts carry wall time."""

    monotonic_ns: int
    wall_ns: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message of ``risk.states`` or ``risk.commands``.

    Attributes:
        place: Topic, partition, offset.
        value: The bytes.
        timestamp_ms: Kafka timestamp of the record.
        is_history: It lay in the topic before this process started.
        was_told: A past life of this process has sent what follows from it.
    """

    place: Place
    value: bytes
    timestamp_ms: int
    is_history: bool = False
    was_told: bool = False


class TableKeeper:
    """Feeds a limit book and says what must be published.

    Args:
        book: The book, owned from now on.
        ttl_ns: Validity of a state from its arrival.
        live: Refuse states whose ``tick_ns`` is further than the ttl from the wall clock, and judge the expiry of
            commands by the time that they reached Kafka. In a replay event time is not wall time, so neither holds.
        registry: Schema registry, or ``None`` for single-object encoding.
    """

    def __init__(
        self, book: LimitBook, *, ttl_ns: int, live: bool = False, registry: codec.Registry | None = None
    ) -> None:
        self.book = book
        self.applied_tick_ns: int | None = None
        """Tick of the state that the last :meth:`take` put into the table; ``None`` = it put none."""
        self._ttl_ns = ttl_ns
        self._live = live
        self._registry = registry
        self._silence_counts_from_ns: int | None = None
        self._counts = {
            "states_lagging": 0,
            "commands_refused": 0,
            "commands_ended": 0,
            "dead_letters": 0,
            "expired": 0,
            "recovered": 0,
        }

    def take(self, arrival: Arrival, now: Now) -> list[RiskAlert | DeadLetter]:
        """Apply one message and return what to publish, in order."""
        self.applied_tick_ns = None
        try:
            record = codec.decode(arrival.place.topic, arrival.value, self._registry)
            if isinstance(record, RiskState):
                said = self._take_state(record, arrival, now)
            else:
                assert isinstance(record, RiskCommand), "the gate reads two topics"
                said = self._take_command(record, arrival, now)
        except MessageError as error:
            said = [self._dead_letter(arrival, error.cause, error.detail)]
        except TableFullError as error:
            said = [self._dead_letter(arrival, "table_full", str(error))]
        except ValueError as error:
            said = [self._dead_letter(arrival, "bad_record", str(error))]
        return [] if arrival.was_told else said

    def start_listening(self, now: Now) -> None:
        """Note that the topics' past is read: one ttl from now, an instrument without a fresh state is silent."""
        self._silence_counts_from_ns = now.monotonic_ns + self._ttl_ns

    def scan(self, now: Now) -> list[RiskAlert]:
        """End what is over, and return an alert for each end and for each instrument fallen silent since the last scan."""
        alerts = self._ended(now)
        if self._silence_counts_from_ns is None or now.monotonic_ns < self._silence_counts_from_ns:
            return alerts
        for instrument_id in self.book.expired(now.monotonic_ns):
            state = self.book.state_of(instrument_id)
            assert state is not None, "only instruments with a state expire"
            self._counts["expired"] += 1
            silence = f"nothing heard for {self._ttl_ns // NS_PER_MS} ms"
            alerts.append(_state_alert(AlertKind.STATE_EXPIRED, state, now, words=f"{silence}, stale limits in force"))
        return alerts

    def counters(self) -> dict[str, int]:
        """Return counts since the start, those of the book among them."""
        return {**self.book.counters(), **self._counts}

    def _take_state(self, state: RiskState, arrival: Arrival, now: Now) -> list[RiskAlert | DeadLetter]:
        if self._live and not arrival.is_history and abs(now.wall_ns - state.tick_ns) > self._ttl_ns:
            self._counts["states_lagging"] += 1
            return []
        valid_until_ns = NEVER_FRESH_NS if arrival.is_history else now.monotonic_ns + self._ttl_ns
        outcome = self.book.apply_state(state, valid_until_ns=valid_until_ns, written_ns=now.monotonic_ns)
        self.applied_tick_ns = state.tick_ns if outcome else None
        if outcome is not StateOutcome.RECOVERED:
            return []
        self._counts["recovered"] += 1
        return [_state_alert(AlertKind.STATE_RECOVERED, state, now, words=f"heard again, tier {state.tier.name}")]

    def _take_command(self, command: RiskCommand, arrival: Arrival, now: Now) -> list[RiskAlert | DeadLetter]:
        arrived_ns = arrival.timestamp_ms * NS_PER_MS if self._live else None
        until_ns = None if command.expires_ns is None else self._until_ns(command.expires_ns, command, arrival, now=now)
        outcome = self.book.apply_command(command, now_ns=arrived_ns, until_ns=until_ns)
        if outcome.cause in _SILENT_CAUSES:
            return []
        self._counts["commands_refused"] += not outcome.applied
        # What ended before it was read ends at once, told or not as its command is.
        return [self._command_alert(command, outcome), *self._ended(now)]

    def _until_ns(self, expires_ns: int, command: RiskCommand, arrival: Arrival, *, now: Now) -> int:
        """Return the end of a command on the monotonic clock: what was left of its time when it reached Kafka."""
        sent_ns = arrival.timestamp_ms * NS_PER_MS
        left_ns = expires_ns - (sent_ns if self._live else command.ts_ns)
        passed_ns = max(0, now.wall_ns - sent_ns) if self._live or arrival.is_history else 0
        return min(max(0, now.monotonic_ns + left_ns - passed_ns), _FAR_NS)

    def _ended(self, now: Now) -> list[RiskAlert]:
        ended = self.book.expire(now.monotonic_ns)
        self._counts["commands_ended"] += len(ended)
        words = "what it allowed has ended"
        return [self._alert_of(command, AlertKind.COMMAND_EXPIRED, now.wall_ns, words=words) for command in ended]

    def _command_alert(self, command: RiskCommand, outcome: CommandOutcome) -> RiskAlert:
        kind = AlertKind.COMMAND_APPLIED if outcome.applied else AlertKind.COMMAND_REFUSED
        words = outcome.detail if outcome.applied else f"refused, {outcome.cause}: {outcome.detail}"
        return self._alert_of(command, kind, command.ts_ns, words=words)

    def _alert_of(self, command: RiskCommand, kind: AlertKind, ts_ns: int, *, words: str) -> RiskAlert:
        instrument_id = _instrument_of(command)
        state = self.book.state_of(instrument_id)
        people = " and ".join(name for name in (command.maker, command.checker) if name) or "nobody"
        return RiskAlert(
            alert_id=f"{kind}:{command.command_id}",
            kind=kind,
            instrument_id=instrument_id,
            ts_ns=ts_ns,
            epoch=self.book.fence_epoch,
            tier=state.tier if state else Tier.NORMAL,
            message=f"{command.kind.name} {command.scope} of {people}: {words} ({command.reason})",
            source=SOURCE,
        )

    def _dead_letter(self, arrival: Arrival, cause: str, detail: str) -> DeadLetter:
        self._counts["dead_letters"] += 1
        place = arrival.place
        return DeadLetter(cause, detail, SOURCE, place.topic, place.partition, place.offset, arrival.value)


def topic_and_key(said: RiskAlert | DeadLetter) -> tuple[str, str]:
    """Return where a message goes, and its Kafka key."""
    if isinstance(said, DeadLetter):
        return topics.DEAD_LETTERS, said.topic
    return topics.RISK_ALERTS, str(said.instrument_id)


def _instrument_of(command: RiskCommand) -> int:
    where, _, name = command.scope.partition(":")
    is_number = where == INSTRUMENT and name.isascii() and name.isdigit() and len(name) <= len(str(INSTRUMENT_ID_MAX))
    found = int(name) if is_number else command.instrument_id or FIRM_WIDE
    return found if 0 <= found <= INSTRUMENT_ID_MAX else FIRM_WIDE


def _state_alert(kind: AlertKind, state: RiskState, now: Now, *, words: str) -> RiskAlert:
    return RiskAlert(
        # The tick names the silence: the last one heard before it, or the first one after it.
        alert_id=f"{kind}:{state.instrument_id}:{state.tick_ns}:{state.epoch}",
        kind=kind,
        instrument_id=state.instrument_id,
        ts_ns=now.wall_ns,
        epoch=state.epoch,
        tier=state.tier,
        message=f"instrument {state.instrument_id}: {words}",
        source=SOURCE,
    )
