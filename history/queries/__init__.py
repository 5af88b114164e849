"""Named questions: what the REST service, the console, the demo and the checks ask.

``checks`` holds SQL without parameters; the others are functions that take a :class:`Source` and return Arrow tables or frozen
dataclasses. All read the ``*_once`` views or rollups in which a repeat changes nothing, so a row counts once before and after
merges. Invariant: a value from outside is bound as a parameter (``history.statement``), never written into SQL. Rejected: an ORM
(the queries are what must be read and timed).
"""

from history.queries.asking import Page, Source, Span
from history.queries.checks import (
    DEAD_LETTERS_BY_CAUSE,
    DECISIONS_BY_REASON,
    DECISIONS_ONCE,
    ENFORCERS_DISAGREE,
    KEYS,
    TICKS_PER_CHANNEL,
    UNRECORDED_DECISIONS,
    duplicates,
    text,
)
from history.queries.events import (
    QUALITY_NOW,
    alerts,
    commands,
    model_events,
    quality_by_day,
    quality_now,
    quality_results,
)
from history.queries.orders import (
    DecisionFilter,
    decision,
    decisions,
    decisions_by_reason,
    executions,
    order_trail,
    orders_on_timeline,
)
from history.queries.risk import (
    instruments,
    market_timeline,
    risk_timeline,
    state_at,
    states_by_minute,
    tier_changes,
    tier_episodes,
)

__all__ = [
    "DEAD_LETTERS_BY_CAUSE",
    "DECISIONS_BY_REASON",
    "DECISIONS_ONCE",
    "ENFORCERS_DISAGREE",
    "KEYS",
    "QUALITY_NOW",
    "TICKS_PER_CHANNEL",
    "UNRECORDED_DECISIONS",
    "DecisionFilter",
    "Page",
    "Source",
    "Span",
    "alerts",
    "commands",
    "decision",
    "decisions",
    "decisions_by_reason",
    "duplicates",
    "executions",
    "instruments",
    "market_timeline",
    "model_events",
    "order_trail",
    "orders_on_timeline",
    "quality_by_day",
    "quality_now",
    "quality_results",
    "risk_timeline",
    "state_at",
    "states_by_minute",
    "text",
    "tier_changes",
    "tier_episodes",
]
