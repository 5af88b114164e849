"""Every topic: name, key, value format, retention. The only contract between processes.

Invariant: a topic here has a folder of the same name with schemas and examples. Partition counts are per
deployment; the keys keep one channel, instrument or account in order whatever the count.
"""

from dataclasses import dataclass
from typing import Final

MARKET_FRAMES: Final = "market.frames"
FEATURES_TICKS: Final = "features.ticks"
RISK_STATES: Final = "risk.states"
RISK_SCORES: Final = "risk.scores"
RISK_ALERTS: Final = "risk.alerts"
RISK_COMMANDS: Final = "risk.commands"
ORDERS_REQUESTS: Final = "orders.requests"
ORDERS_DECISIONS: Final = "orders.decisions"
ORDERS_EXECUTIONS: Final = "orders.executions"
ORDERS_FACTS: Final = "orders.facts"
MODELS_EVENTS: Final = "models.events"
QUALITY_RESULTS: Final = "quality.results"
DEAD_LETTERS: Final = "dead.letters"

KEEP_FOR_EVER_MS: Final = -1
_DAY_MS: Final = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic.

    Attributes:
        name: Topic name, and folder under ``schemas/``.
        key: What the record key holds, as UTF-8 text.
        value: ``arrow`` or ``avro``.
        retention_ms: Kafka retention; ``KEEP_FOR_EVER_MS`` where the topic is the memory of the system.
    """

    name: str
    key: str
    value: str
    retention_ms: int


TOPICS: Final = (
    Topic(MARKET_FRAMES, "channel_id", "arrow", 7 * _DAY_MS),
    Topic(FEATURES_TICKS, "channel_id", "arrow", 7 * _DAY_MS),
    Topic(RISK_STATES, "instrument_id", "avro", 30 * _DAY_MS),
    Topic(RISK_SCORES, "channel_id", "arrow", 7 * _DAY_MS),
    Topic(RISK_ALERTS, "instrument_id", "avro", 30 * _DAY_MS),
    Topic(RISK_COMMANDS, "scope", "avro", KEEP_FOR_EVER_MS),
    Topic(ORDERS_REQUESTS, "account_id", "avro", 30 * _DAY_MS),
    Topic(ORDERS_DECISIONS, "account_id", "avro", 30 * _DAY_MS),
    Topic(ORDERS_EXECUTIONS, "account_id", "avro", 30 * _DAY_MS),
    Topic(ORDERS_FACTS, "account_id", "avro", 30 * _DAY_MS),
    Topic(MODELS_EVENTS, "model_id", "avro", KEEP_FOR_EVER_MS),
    Topic(QUALITY_RESULTS, "table", "avro", 30 * _DAY_MS),
    Topic(DEAD_LETTERS, "source topic", "avro", KEEP_FOR_EVER_MS),
)
