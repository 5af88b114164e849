"""The Avro records as frozen dataclasses: one class per record, equality compares every field.

The ``.avsc`` files are the contract; these classes mirror them field for field (a test compares the two). Times are
ns since the epoch, UTC; prices 1e-9 currency; sizes lots. ``None`` means "not known", never zero.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Tier(IntEnum):
    """How fragile the market of an instrument is; a higher tier is tighter."""

    NORMAL = 0
    ELEVATED = 1
    HIGH_ALERT = 2
    CRITICAL = 3


class AlertKind(StrEnum):
    """What an alert says."""

    TIER_CHANGED = "TIER_CHANGED"
    NON_ADVERSE_ANOMALY = "NON_ADVERSE_ANOMALY"  # unusual, but not in a dangerous direction: nothing was tightened
    FEED_STALE = "FEED_STALE"  # the book of the instrument cannot be trusted (gap, no snapshot)
    STATE_EXPIRED = "STATE_EXPIRED"  # the gate heard nothing within the ttl: stale column in force
    STATE_RECOVERED = "STATE_RECOVERED"
    SCORER_DEGRADED = "SCORER_DEGRADED"  # the model did not answer: the simple stack scores alone
    COMMAND_APPLIED = "COMMAND_APPLIED"
    COMMAND_REFUSED = "COMMAND_REFUSED"


class CommandKind(StrEnum):
    """What a person orders."""

    SET_ENVELOPE = "SET_ENVELOPE"  # the hard envelope, stale column and tier table of one instrument
    RELEASE = "RELEASE"  # leave a latched Critical
    KILL = "KILL"  # block every new order in the scope
    REARM = "REARM"  # end a kill


class OrderSide(StrEnum):
    """Side of an order."""

    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    """Pricing of an order."""

    LIMIT = "LIMIT"
    MARKET = "MARKET"


class OrderAction(StrEnum):
    """What the request does; ``CANCEL`` always passes the gate."""

    NEW = "NEW"
    REPLACE = "REPLACE"
    CANCEL = "CANCEL"


class Verdict(StrEnum):
    """Outcome of the order check."""

    ACCEPT = "ACCEPT"
    REJECT = "REJECT"


@dataclass(frozen=True, slots=True)
class FeatureCause:
    """One feature's part in a score.

    Attributes:
        name: Feature name of ``features.spec``.
        value: Raw value; NaN when it was null.
        z: Robust standard score.
        share: Share of the anomaly in [0, 1].
        adverse: The deviation is in the dangerous direction.
    """

    name: str
    value: float
    z: float
    share: float
    adverse: bool


@dataclass(frozen=True, slots=True)
class RiskState:
    """Tier of one instrument at one tick; consumers keep the largest ``(epoch, tick_ns)`` per instrument.

    Attributes:
        instrument_id: Instrument.
        channel_id: Channel that its ticks came from.
        tick_ns: Event time of the tick that this state follows from.
        epoch: Deployment epoch of the writer; a smaller one is fenced off.
        tier: Tier in force after this tick.
        tier_before: Tier before this tick.
        latched: Critical that waits for a person.
        stale: The book cannot be trusted; the gate applies its stale column.
        degraded: The model did not answer in time; the simple stack scored.
        score: ``-log10 p``.
        score01: ``score / 6`` clipped to [0, 1].
        p: Calibrated tail probability of the anomaly.
        adverse_share: Share of the anomaly that points in the dangerous direction.
        ref_price: Mid price at the tick, 1e-9 currency; ``None`` when a side was empty.
        model_id: Model folder name.
        causes: Largest contributions, largest first.
    """

    instrument_id: int
    channel_id: str
    tick_ns: int
    epoch: int
    tier: Tier
    tier_before: Tier
    latched: bool
    stale: bool
    degraded: bool
    score: float
    score01: float
    p: float
    adverse_share: float
    ref_price: int | None
    model_id: str
    causes: tuple[FeatureCause, ...]


@dataclass(frozen=True, slots=True)
class RiskAlert:
    """Something a person should see; ``alert_id`` is the idempotency key.

    Attributes:
        alert_id: Unique and reproducible: kind, instrument, time and epoch.
        kind: What happened.
        instrument_id: Instrument.
        ts_ns: Event time (wall time for alerts of the gate's sidecar, which judges silence).
        epoch: Deployment epoch of the writer.
        tier: Tier in force.
        message: One sentence for the desk.
        source: Process that raised it, for example ``score_risk``.
    """

    alert_id: str
    kind: AlertKind
    instrument_id: int
    ts_ns: int
    epoch: int
    tier: Tier
    message: str
    source: str


@dataclass(frozen=True, slots=True)
class LimitSet:
    """Absolute limits; ``None`` = unset, and unset blocks.

    Attributes:
        max_order_qty: Largest order, lots.
        price_band_bps: Largest distance of a limit price from the reference price in the aggressive direction, bp.
    """

    max_order_qty: int | None
    price_band_bps: int | None


@dataclass(frozen=True, slots=True)
class TierRule:
    """What a tier does to the envelope.

    Attributes:
        tier: Tier.
        qty_permille: Multiplier of ``max_order_qty`` in thousandths (500 = half).
        band_permille: Multiplier of ``price_band_bps`` in thousandths.
        halt: Block every new order.
    """

    tier: Tier
    qty_permille: int
    band_permille: int
    halt: bool


@dataclass(frozen=True, slots=True)
class Envelope:
    """The hard envelope of one instrument, set by people; nothing automatic is ever looser.

    Attributes:
        limits: The envelope itself.
        stale_limits: Column in force when the market state is unknown or expired.
        tiers: Tier table; a tier without a rule halts.
    """

    limits: LimitSet
    stale_limits: LimitSet
    tiers: tuple[TierRule, ...]


@dataclass(frozen=True, slots=True)
class RiskCommand:
    """An order of a person to the loop; the Kafka key is ``scope``.

    Attributes:
        command_id: Unique id; a command is applied once.
        kind: What is ordered.
        scope: ``instrument:<id>``, ``account:<id>`` or ``firm``.
        ts_ns: Time of the command (event time in a simulation).
        maker: Identity of the person who asked.
        checker: Identity of the person who approved; ``None`` where none is needed.
        reason: Why.
        expires_ns: The command has no effect on ticks or orders after this time; ``None`` = never expires.
        envelope: For ``SET_ENVELOPE``.
    """

    command_id: str
    kind: CommandKind
    scope: str
    ts_ns: int
    maker: str
    checker: str | None
    reason: str
    expires_ns: int | None
    envelope: Envelope | None


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order on its way to a venue.

    Attributes:
        order_id: Unique id of the request.
        account_id: Account; the Kafka key.
        instrument_id: Instrument.
        ts_event_ns: When the order was made.
        action: New, replace or cancel.
        side: Buy or sell.
        order_type: Limit or market.
        qty: Lots.
        price: Limit price, 1e-9 currency; ``None`` for a market order.
    """

    order_id: str
    account_id: str
    instrument_id: int
    ts_event_ns: int
    action: OrderAction
    side: OrderSide
    order_type: OrderType
    qty: int
    price: int | None


@dataclass(frozen=True, slots=True)
class OrderDecision:
    """The gate's answer to one order; ``(order_id, enforcer)`` is the idempotency key.

    Attributes:
        order_id: The request.
        account_id: Account; the Kafka key.
        instrument_id: Instrument.
        ts_event_ns: Of the request.
        enforcer: ``gate`` (in the trading process) or ``enforce_orders`` (in Flink).
        verdict: Accept or reject.
        reason: Reason code of ``gate`` in words, ``ok`` when accepted.
        limit: Limit that decided, in its own unit (lots, bp); ``None`` when no number did.
        observed: What the order showed against it.
        tier: Tier in force.
        stale: The stale column was in force.
        epoch: Epoch of the risk state in force; 0 = none.
        tick_ns: Tick of the risk state in force; 0 = none.
        model_id: Model of the risk state in force; empty = none.
        score: Score of the risk state in force.
    """

    order_id: str
    account_id: str
    instrument_id: int
    ts_event_ns: int
    enforcer: str
    verdict: Verdict
    reason: str
    limit: int | None
    observed: int | None
    tier: Tier
    stale: bool
    epoch: int
    tick_ns: int
    model_id: str
    score: float


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be used, kept whole.

    Attributes:
        cause: Short machine-readable word.
        detail: What was wrong, for a person.
        source: Process or job that refused it.
        topic: Topic it came from; the Kafka key.
        partition: Partition, -1 when unknown.
        offset: Offset, -1 when unknown.
        raw: The value, byte for byte.
    """

    cause: str
    detail: str
    source: str
    topic: str
    partition: int
    offset: int
    raw: bytes
