"""Every metric: name, kind, labels, buckets, and which process exports it. One table for code, dashboards, alert rules and docs.

Invariant: a process exports exactly what its part of the table says, from its first scrape on, so a rule that names a metric is
never silently about nothing. Names are ``tidegate_<room>_<what>_<unit>`` in base units, counters end in ``_total``. Rejected:
metrics declared where they are counted (a renamed one leaves rules and dashboards that look healthy for ever).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

FLINK_NAMES: Final = "flink_taskmanager_job_task_operator_(?:[a-z]+_)*?(tidegate_jobs_.+)"
"""Names as Flink's reporter gives them: its scope, and the names of our labels, stand before ours. A scrape of Flink's processes
replaces ``__name__`` by the first group (``metric_relabel_configs``), so that rules and dashboards see one kind of names."""
JOBS: Final = "jobs"
"""What Flink exports: histograms are counters by ``le`` without a sum, and Flink's labels stand beside ours."""

AGE_BUCKETS_S: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 30.0)
"""Ages on the path: the goals are 10 ms (median) and 50 ms (p99) at the gate; a row expires after 3 s."""
WORK_BUCKETS_S: Final = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0)
"""Work within one process: fractions of a millisecond to what is plainly wrong."""
LOOK_BUCKETS_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0)
"""One look of data quality at all tables: some seconds of work; one above the interval is made without a pause."""
LIVE_AGE_MAX_S: Final = 3_600.0
"""Event time further than this from this machine's clock is a replay's: its age says nothing and is counted, not observed."""


class Kind(StrEnum):
    """Of a metric, as Prometheus knows them."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: As exported, but for Flink's prefix.
        kind: Counter, gauge or histogram.
        words: What it says, with its unit.
        labels: Names of its labels, in order.
        buckets: Upper bounds of a histogram, without +Inf.
    """

    name: str
    kind: Kind
    words: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


def _counter(name: str, words: str, *labels: str) -> Metric:
    return Metric(name, Kind.COUNTER, words, labels)


def _gauge(name: str, words: str, *labels: str) -> Metric:
    return Metric(name, Kind.GAUGE, words, labels)


def _ages(name: str, words: str, *labels: str) -> Metric:
    return Metric(name, Kind.HISTOGRAM, words, labels, AGE_BUCKETS_S)


def _work(name: str, words: str, *labels: str) -> Metric:
    return Metric(name, Kind.HISTOGRAM, words, labels, WORK_BUCKETS_S)


FEEDS_FRAMES: Final = _counter("tidegate_feeds_frames_total", "Frames sent, heartbeats among them.", "channel")
FEEDS_HEARTBEATS: Final = _counter("tidegate_feeds_heartbeats_total", "Frames without an event.", "channel")
FEEDS_EVENTS: Final = _counter("tidegate_feeds_events_total", "Events and signals sent.", "channel")
FEEDS_BYTES: Final = _counter("tidegate_feeds_bytes_total", "Bytes of frames sent.", "channel")
FEEDS_EVENT_TIME: Final = _gauge(
    "tidegate_feeds_event_time_seconds", "Event time that a channel has reached.", "channel"
)
FEEDS_WAITING: Final = _gauge("tidegate_feeds_waiting_frames", "Frames that the broker does not have yet.")
FEEDS_LATE: Final = _work("tidegate_feeds_late_seconds", "How long after its time a frame left.")

JOBS_FRAMES: Final = _counter("tidegate_jobs_frames_total", "Frames that compute_features took.", "channel")
JOBS_TICKS: Final = _counter("tidegate_jobs_ticks_total", "Ticks closed.", "channel")
JOBS_TICK_ROWS: Final = _counter(
    "tidegate_jobs_tick_rows_total", "Rows of ticks: one per tick and instrument.", "channel"
)
JOBS_TICK_AGE: Final = _ages(
    "tidegate_jobs_tick_age_seconds", "Age of a tick when a step had done its work: features, score, state.", "hop"
)
JOBS_REPLAYED: Final = _counter(
    "tidegate_jobs_replayed_ticks_total", "Ticks whose age says nothing: event time is not now."
)
JOBS_SCORE: Final = _work("tidegate_jobs_score_seconds", "Time that the network's step took for one message of ticks.")
JOBS_NETWORK: Final = _counter(
    "tidegate_jobs_network_ticks_total",
    "Ticks by what became of the network: answers, deadlines_missed, errors, absent.",
    "outcome",
)
NETWORK_OUTCOMES: Final = ("answers", "deadlines_missed", "errors", "absent")
JOBS_MODEL_TICKS: Final = _counter(
    "tidegate_jobs_model_ticks_total", "Ticks judged, by the model that judged.", "model"
)
JOBS_INSTRUMENTS: Final = _gauge("tidegate_jobs_instruments", "Instruments of a channel by tier.", "channel", "tier")
JOBS_DEGRADED: Final = _gauge(
    "tidegate_jobs_degraded_instruments", "Instruments judged without the network.", "channel"
)
JOBS_STALE: Final = _gauge("tidegate_jobs_stale_instruments", "Instruments whose book is not trusted.", "channel")
JOBS_TIERS_ENTERED: Final = _counter(
    "tidegate_jobs_tiers_entered_total", "Changes upwards, by the tier entered.", "tier"
)
JOBS_TIERS_FLAPPED: Final = _counter(
    "tidegate_jobs_tiers_flapped_total", "Tiers entered again soon after they were left.", "tier"
)
JOBS_STATES: Final = _counter("tidegate_jobs_states_total", "Risk states told.")
JOBS_ALERTS: Final = _counter("tidegate_jobs_alerts_total", "Risk alerts told, by the step that told them.", "step")
JOBS_DECISIONS: Final = _counter("tidegate_jobs_decisions_total", "Decisions of enforce_orders.", "verdict", "reason")
JOBS_DEAD_LETTERS: Final = _counter("tidegate_jobs_dead_letters_total", "Messages given up, by step.", "step")

GATE_STATES: Final = _counter(
    "tidegate_gate_states_total", "Risk states by outcome: applied, fenced, older, lagging.", "outcome"
)
GATE_COMMANDS: Final = _counter(
    "tidegate_gate_commands_total", "Commands by outcome: applied, refused, ended.", "outcome"
)
GATE_DEAD_LETTERS: Final = _counter("tidegate_gate_dead_letters_total", "Messages that the sidecar gave up.")
GATE_SILENCES: Final = _counter("tidegate_gate_silences_total", "Instruments fallen silent: their rows expired.")
GATE_RECOVERIES: Final = _counter("tidegate_gate_recoveries_total", "Instruments heard again.")
GATE_ROWS: Final = _gauge("tidegate_gate_rows", "Rows by validity: fresh, stale, expired, never.", "validity")
GATE_INSTRUMENTS: Final = _gauge("tidegate_gate_instruments", "Instruments by the tier of their row.", "tier")
GATE_DEGRADED: Final = _gauge("tidegate_gate_degraded_rows", "Rows whose state was judged without the network.")
GATE_STATE_AGE: Final = _ages("tidegate_gate_state_age_seconds", "Age of a tick when its row was visible to orders.")
GATE_REPLAYED: Final = _counter(
    "tidegate_gate_replayed_states_total", "States whose age says nothing: event time is not now."
)
GATE_COMMAND_AGE: Final = _ages(
    "tidegate_gate_command_age_seconds", "Age of a command when it was in force at the gate."
)
GATE_APPLY: Final = _work("tidegate_gate_apply_seconds", "Time from a state's bytes to its visible row.")
GATE_LAG: Final = _gauge("tidegate_gate_lag_messages", "Messages that the sidecar has not read.", "topic", "partition")
GATE_HEARTBEAT: Final = _gauge(
    "tidegate_gate_heartbeat_age_seconds", "Since the sidecar's last heartbeat, by its own clock."
)
GATE_CAUGHT_UP: Final = _gauge("tidegate_gate_caught_up", "1 = the topics' past is read and the table is in force.")
GATE_EPOCH: Final = _gauge("tidegate_gate_epoch", "Deployment epoch below which states are fenced.")

TRADING_ORDERS: Final = _counter(
    "tidegate_gate_orders_total", "Orders judged in the process: accepted, refused, pended.", "outcome"
)
TRADING_DECISIONS: Final = _counter(
    "tidegate_gate_decisions_total", "Decisions taken from the ring to be shipped.", "verdict", "reason"
)
TRADING_RING_PENDING: Final = _gauge(
    "tidegate_gate_ring_pending_entries", "Decisions in the ring that the broker does not have."
)
TRADING_RING_LOST: Final = _counter(
    "tidegate_gate_ring_lost_total", "Decisions that found no room in the ring.", "reason"
)
TRADING_RING_TORN: Final = _counter("tidegate_gate_ring_torn_total", "Decisions that died half written.")
TRADING_FACTS_WAITING: Final = _gauge(
    "tidegate_gate_facts_waiting", "Facts in the journal that the broker does not have."
)
TRADING_KAFKA_FAILURES: Final = _counter("tidegate_gate_kafka_failures_total", "Times that the shipper began anew.")
TRADING_LETTERS: Final = _counter("tidegate_gate_shipper_dead_letters_total", "Decisions that could not be encoded.")
TRADING_MISMATCHES: Final = _counter(
    "tidegate_gate_position_mismatches_total", "Positions that differed from the drop copy for too long."
)
TRADING_TABLE_AGE: Final = _gauge(
    "tidegate_gate_table_age_seconds", "Since the table's writer was last alive, as orders see it."
)

HISTORY_ROWS: Final = _counter("tidegate_history_rows_total", "Rows stored, repeats among them.", "table")
HISTORY_MESSAGES: Final = _counter("tidegate_history_messages_total", "Messages taken.")
HISTORY_BATCHES: Final = _counter("tidegate_history_batches_total", "Batches stored and committed.")
HISTORY_INSERT: Final = _work("tidegate_history_insert_seconds", "Time to store one batch.")
HISTORY_DEAD_LETTERS: Final = _counter("tidegate_history_dead_letters_total", "Messages that the writer gave up.")
HISTORY_UNUSABLE: Final = _counter(
    "tidegate_history_unusable_letters_total", "Dead letters that cannot be read themselves."
)
HISTORY_LAG: Final = _gauge("tidegate_history_lag_messages", "Messages not stored yet.", "topic", "partition")
HISTORY_TICK_AGE: Final = _ages(
    "tidegate_history_tick_age_seconds", "Age of a batch's newest tick once stored.", "table"
)
HISTORY_REPLAYED: Final = _counter(
    "tidegate_history_replayed_batches_total", "Batches whose age says nothing: event time is not now."
)
HISTORY_ANSWERED: Final = _counter("tidegate_history_questions_total", "Questions answered by the owner.")
HISTORY_OWNER: Final = _gauge("tidegate_history_owner_answers", "1 = readers are answered.")

API_REQUEST: Final = Metric(
    "tidegate_api_request_seconds", Kind.HISTOGRAM, "Time to the head of an answer.", ("route", "method", "status"),
    (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0, 10.0),
)  # fmt: skip
API_STREAMS: Final = _gauge("tidegate_api_streams", "Open streams of events.")
API_MESSAGES: Final = _counter("tidegate_api_messages_total", "Messages in the live view.", "topic")
API_UNREADABLE: Final = _counter("tidegate_api_unreadable_total", "Messages that the live view could not read.")
API_LAG: Final = _gauge("tidegate_api_lag_messages", "Messages that the live view has not read.")
API_CONNECTED: Final = _gauge("tidegate_api_feed_connected", "1 = the topics are read.")
API_LETTERS: Final = _counter(
    "tidegate_api_dead_letters_seen_total", "Dead letters of everyone, by source and cause.", "source", "cause"
)

QUALITY_FAILING: Final = _gauge(
    "tidegate_quality_failing_expectations",
    "Expectations on rows that did not hold where the table was last looked at, by severity: warning, critical.",
    "table",
    "severity",
)
QUALITY_UNASKED: Final = _gauge(
    "tidegate_quality_unasked_tables", "Tables that the history did not answer for at the last look."
)
QUALITY_LOOKS: Final = _counter("tidegate_quality_looks_total", "Looks at all tables whose verdicts the broker has.")
QUALITY_LOOK: Final = Metric(
    "tidegate_quality_look_seconds", Kind.HISTOGRAM, "Time of one look, its verdicts published.", (), LOOK_BUCKETS_S
)
QUALITY_LOOK_AGE: Final = _gauge(
    "tidegate_quality_look_age_seconds", "Since the last look ended; before the first, since the start."
)
QUALITY_ROWS: Final = _counter("tidegate_quality_rows_total", "Rows judged; those of two batches count twice.")
QUALITY_UNSEEN: Final = _counter(
    "tidegate_quality_unseen_rows_total", "Rows between two batches, which nobody looked at."
)
QUALITY_LATE: Final = _counter(
    "tidegate_quality_late_rows_total", "Rows that came after their time had been looked at."
)

PROCESSES: Final[Mapping[str, tuple[Metric, ...]]] = MappingProxyType({
    "feeds": (FEEDS_FRAMES, FEEDS_HEARTBEATS, FEEDS_EVENTS, FEEDS_BYTES, FEEDS_EVENT_TIME, FEEDS_WAITING, FEEDS_LATE),
    JOBS: (
        JOBS_FRAMES, JOBS_TICKS, JOBS_TICK_ROWS, JOBS_TICK_AGE, JOBS_REPLAYED, JOBS_SCORE, JOBS_NETWORK, JOBS_MODEL_TICKS,
        JOBS_INSTRUMENTS, JOBS_DEGRADED, JOBS_STALE, JOBS_TIERS_ENTERED, JOBS_TIERS_FLAPPED, JOBS_STATES, JOBS_ALERTS,
        JOBS_DECISIONS, JOBS_DEAD_LETTERS,
    ),
    "gate": (
        GATE_STATES, GATE_COMMANDS, GATE_DEAD_LETTERS, GATE_SILENCES, GATE_RECOVERIES, GATE_ROWS, GATE_INSTRUMENTS,
        GATE_DEGRADED, GATE_STATE_AGE, GATE_REPLAYED, GATE_COMMAND_AGE, GATE_APPLY, GATE_LAG, GATE_HEARTBEAT, GATE_CAUGHT_UP,
        GATE_EPOCH,
    ),
    "trading": (
        TRADING_ORDERS, TRADING_DECISIONS, TRADING_RING_PENDING, TRADING_RING_LOST, TRADING_RING_TORN,
        TRADING_FACTS_WAITING, TRADING_KAFKA_FAILURES, TRADING_LETTERS, TRADING_MISMATCHES, TRADING_TABLE_AGE,
    ),
    "history": (
        HISTORY_ROWS, HISTORY_MESSAGES, HISTORY_BATCHES, HISTORY_INSERT, HISTORY_DEAD_LETTERS, HISTORY_UNUSABLE,
        HISTORY_LAG, HISTORY_TICK_AGE, HISTORY_REPLAYED, HISTORY_ANSWERED, HISTORY_OWNER,
    ),
    "api": (API_REQUEST, API_STREAMS, API_MESSAGES, API_UNREADABLE, API_LAG, API_CONNECTED, API_LETTERS),
    "quality": (
        QUALITY_FAILING, QUALITY_UNASKED, QUALITY_LOOKS, QUALITY_LOOK, QUALITY_LOOK_AGE, QUALITY_ROWS, QUALITY_UNSEEN,
        QUALITY_LATE,
    ),
})  # fmt: skip
"""Process to what it exports."""


def samples(metric: Metric) -> tuple[str, ...]:
    """Return the names of the series that a metric has in Prometheus."""
    if metric.kind is not Kind.HISTOGRAM:
        return (metric.name,)
    parts = ("bucket", "count") if metric in PROCESSES[JOBS] else ("bucket", "sum", "count")
    return tuple(f"{metric.name}_{part}" for part in parts)


def age_s(tick_ns: int, now_ns: int) -> float | None:
    """Return how old a tick is, seconds; ``None`` where event time is not this machine's time (a replay).

    A tick that seems to come from the next moments, for clocks differ a little, is 0 s old.
    """
    found = (now_ns - tick_ns) / 1e9
    return max(found, 0.0) if abs(found) <= LIVE_AGE_MAX_S else None
