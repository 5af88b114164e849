"""The Avro records as frozen dataclasses: one class per record, equality compares every field.

The ``.avsc`` files are the contract; these classes mirror them field for field (a test compares the two). Times are
ns since the epoch, UTC; prices 1e-9 currency; sizes lots. ``None`` means "not known", never zero.
"""

from dataclasses import dataclass
from enum import StrEnum

from schemas.orders import (
    ExecutionKind,
    ExecutionSource,
    FactKind,
    OrderAction,
    OrderDecision,
    OrderExecution,
    OrderFact,
    OrderRequest,
    OrderSide,
    OrderType,
    Verdict,
)
from schemas.tiers import Tier

__all__ = [  # those of the neighbouring files; the classes below need no listing
    "ExecutionKind",
    "ExecutionSource",
    "FactKind",
    "OrderAction",
    "OrderDecision",
    "OrderExecution",
    "OrderFact",
    "OrderRequest",
    "OrderSide",
    "OrderType",
    "Tier",
    "Verdict",
]


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
    COMMAND_EXPIRED = "COMMAND_EXPIRED"  # what it loosened, approved or located has ended
    DECISIONS_LOST = "DECISIONS_LOST"  # the gate answered orders and could not record how; the message counts them
    DECISIONS_DELAYED = "DECISIONS_DELAYED"  # answers wait in the trading process, because the topic takes none
    POSITION_MISMATCH = "POSITION_MISMATCH"  # the ledger and the drop copy say different positions
    SYSTEMIC_RISK = "SYSTEMIC_RISK"  # a channel or the market as a whole changed its tier, and that of all its members
    DATA_QUALITY_FAILED = "DATA_QUALITY_FAILED"  # stored rows break an expectation that held before
    DATA_QUALITY_RECOVERED = "DATA_QUALITY_RECOVERED"


class CommandKind(StrEnum):
    """What a person orders."""

    SET_ENVELOPE = "SET_ENVELOPE"  # the hard envelope, stale column and tier table of one instrument
    RELEASE = "RELEASE"  # leave a latched Critical
    KILL = "KILL"  # block every new order in the scope
    REARM = "REARM"  # end a kill; of a strategy: its throttle of repeated executions works again
    SET_ACCOUNT = "SET_ACCOUNT"  # what an account, or the firm as a whole, may do
    APPROVE_ORDER = "APPROVE_ORDER"  # let an order pass that waits at a soft limit
    LOCATE = "LOCATE"  # lots of one instrument that an account may sell short
    RESTRICT = "RESTRICT"  # no order in an instrument, or of one account in it
    UNRESTRICT = "UNRESTRICT"  # end a restriction
    LOAD_MODEL = "LOAD_MODEL"  # score by another model from a tick on


@dataclass(frozen=True, slots=True)
class FeatureCause:
    """One feature's part in a score.

    Attributes:
        name: Feature name of ``features.spec``.
        value: Raw value; NaN when it was null.
        z: Robust standard score of the newest tick; NaN for a feature that has none, and is judged by its slow averages.
        share: Share of the anomaly in [0, 1].
        adverse: The deviation is in the dangerous direction.
    """

    name: str
    value: float
    z: float
    share: float
    adverse: bool

    @property
    def words(self) -> str:
        """Name, and the robust score where the newest tick says something by itself."""
        return f"{self.name} {self.z:+.1f}" if abs(self.z) >= 1.0 else self.name


@dataclass(frozen=True, slots=True)
class RiskState:
    """Tier of one instrument at one tick; consumers keep the largest ``(epoch, tick_ns)`` per instrument.

    Attributes:
        instrument_id: Instrument.
        channel_id: Channel that its ticks came from.
        tick_ns: Event time of the tick that this state follows from.
        epoch: Deployment epoch of the writer; a smaller one is fenced off.
        tier: Tier in force after this tick, that of the instrument itself or of the whole channel or market, whichever is
            tighter.
        tier_before: Tier before this tick.
        latched: Critical that waits for a person.
        stale: The book cannot be trusted; the gate applies its stale column.
        degraded: The network did not answer in time; the measures that need none scored alone.
        score: ``-log10 p``.
        score01: ``score / 6`` clipped to [0, 1].
        p: Calibrated tail probability of the anomaly.
        adverse_share: Share of the anomaly that points in the dangerous direction.
        ref_price: Mid price at the tick, 1e-9 currency; ``None`` when a side was empty.
        model_id: Model folder name.
        causes: Largest contributions, largest first.
        systemic_tier: Tier that the channel or the market as a whole asks of every member; ``tier`` is never below it.
        systemic_score: ``-log10 p`` of the channel or the market as a whole at this tick, the larger; 0 = no opinion.
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
    systemic_tier: Tier = Tier.NORMAL
    systemic_score: float = 0.0


@dataclass(frozen=True, slots=True)
class RiskAlert:
    """Something a person should see; ``alert_id`` is the idempotency key.

    Attributes:
        alert_id: Unique and reproducible: kind, instrument, time and epoch.
        kind: What happened.
        instrument_id: Instrument; 0 = a whole channel, market, firm or table of history.
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
    """Absolute limits; ``None`` = unset, and unset blocks. 2^63-1 = unlimited, said on purpose.

    Attributes:
        max_order_qty: Largest order, lots.
        max_order_value: Largest value of an order, 1e-6 currency.
        max_long: Largest position and working buys of an account, lots.
        max_short: Largest working sells less position of an account, lots.
        price_band_bps: Largest distance of a limit price from the reference price in the aggressive direction, bp.
        price_band_ticks: The same in ticks of ``tick_size``.
        period_band_bps: Largest distance of a buy above the lowest, of a sell below the highest reference price of the
            last ``period_ms``, bp.
        quote_offset_bps: Least distance of a post-only order behind the reference price, bp; larger is tighter.
    """

    max_order_qty: int | None
    max_order_value: int | None
    max_long: int | None
    max_short: int | None
    price_band_bps: int | None
    price_band_ticks: int | None
    period_band_bps: int | None
    quote_offset_bps: int | None


@dataclass(frozen=True, slots=True)
class TierRule:
    """What a tier does to the envelope.

    Attributes:
        tier: Tier.
        qty_permille: Multiplier of ``max_order_qty`` in thousandths (500 = half).
        band_permille: Multiplier of the price bands (bps, ticks, period) in thousandths.
        halt: Block every new order that does not reduce a position.
        value_permille: Multiplier of ``max_order_value`` in thousandths.
        position_permille: Multiplier of ``max_long`` and ``max_short`` in thousandths.
        rate_permille: Multiplier of the messages that an account may send in this instrument, in thousandths: 500 = each
            message weighs double.
        margin_permille: Multiplier of the envelope's ``margin_permille`` in thousandths; below 1000 has no effect.
        quote_offset_bps: Least distance of a post-only order behind the reference price, bp; the larger of this and the
            envelope's counts.
    """

    tier: Tier
    qty_permille: int
    band_permille: int
    halt: bool
    value_permille: int
    position_permille: int
    rate_permille: int
    margin_permille: int
    quote_offset_bps: int


@dataclass(frozen=True, slots=True)
class Envelope:
    """The hard envelope of one instrument, as one administrator sets it; nothing automatic is ever looser.

    ``None`` = this administrator says nothing; what none of them says is unset, and unset blocks (but no soft limit is none).

    Attributes:
        limits: The envelope itself.
        stale_limits: Column in force when the market state is unknown or expired.
        tiers: Tier table; a tier without a rule halts, and a higher tier is never looser than a lower one. Empty = says
            nothing.
        tick_size: Price step, 1e-9 currency.
        lot_nano: Units in a lot, 1e-9: the value of an order is ``price * qty * lot_nano``.
        qty_min: Smallest order, lots.
        qty_step: Step of order quantities, lots.
        class_id: Class of the instrument, 0 to 63: an account needs the permission for it.
        restricted: On the restricted list: no order passes.
        needs_locate: A short position needs a located quantity.
        warn_permille: An order above so much of its quantity or value limit is marked; 1000 or ``None`` = never.
        pend_permille: An order above so much waits for a second person; 1000 or ``None`` = never.
        ref_ttl_ms: The reference price is too old after so many ms.
        period_ms: Length of the period of ``period_band_bps``, ms; longer is tighter.
        message_weight_permille: Thousandths of a message that an order counts in the message rate.
        margin_permille: Thousandths of its value that a position takes of the account's credit.
    """

    limits: LimitSet
    stale_limits: LimitSet
    tiers: tuple[TierRule, ...]
    tick_size: int | None
    lot_nano: int | None
    qty_min: int | None
    qty_step: int | None
    class_id: int | None
    restricted: bool
    needs_locate: bool
    warn_permille: int | None
    pend_permille: int | None
    ref_ttl_ms: int | None
    period_ms: int | None
    message_weight_permille: int | None
    margin_permille: int | None


@dataclass(frozen=True, slots=True)
class AccountEnvelope:
    """What one administrator grants an account, or the firm as a whole (of which ``gross_value`` alone is judged).

    Of a session it says ``messages_per_s`` and ``message_burst``, both, and nothing else.

    Values in 1e-6 currency. ``None`` = this administrator says nothing; a field that none of them sets blocks the account.
    2^63-1 = unlimited, said on purpose.

    Attributes:
        gross_value: Largest sum over instruments of the larger of long and short side, working orders counted.
        net_value: Largest net value, long less short.
        instrument_value: Largest gross value in one instrument.
        instrument_permille: The same as a share of ``gross_value``, thousandths. Either may be left unset, not both.
        credit: Largest sum of margins.
        day_loss: Largest loss since the start of the day.
        drawdown: Largest fall from the day's best result.
        period_value: Largest value accepted within ``period_ms``.
        basket_value: Largest value accepted under one basket id.
        open_orders: Most orders working at once.
        messages_per_s: Messages a second, in the long run.
        message_burst: Messages at once.
        repeats_max: Equal orders of one strategy within ``period_ms``, before a person must look.
        period_ms: Period of ``period_value`` and ``repeats_max``, 1 to 3,600,000 ms; longer is tighter.
        duplicate_ms: Two equal orders closer than this are one sent twice, ms; 0 = never; longer is tighter.
        class_ids: Classes of instruments that the account may trade, 0 to 63; empty = none.
    """

    gross_value: int | None
    net_value: int | None
    instrument_value: int | None
    instrument_permille: int | None
    credit: int | None
    day_loss: int | None
    drawdown: int | None
    period_value: int | None
    basket_value: int | None
    open_orders: int | None
    messages_per_s: int | None
    message_burst: int | None
    repeats_max: int | None
    period_ms: int | None
    duplicate_ms: int | None
    class_ids: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class RiskCommand:
    """An order of a person to the loop; the Kafka key is ``scope``.

    Attributes:
        command_id: Unique id; a command is applied once.
        kind: What is ordered.
        scope: ``firm``, ``instrument:<id>``, ``account:<id>``, ``desk:<id>``, ``trader:<id>``, ``strategy:<id>``,
            ``venue:<id>``, ``session:<id>`` or ``order:<id>``.
        ts_ns: Time of the command (event time in a simulation).
        maker: Identity of the person who asked.
        checker: Identity of the second person, required for whatever loosens; ``None`` where none is needed.
        reason: Why.
        expires_ns: The command is refused when it arrives after this time; an approval, a located quantity and a
            loosening of limits end then. A tightening and a kill stay. ``None`` = never.
        envelope: For ``SET_ENVELOPE``.
        administrator: Who sets limits beside the firm's own desk (a clearing broker, a venue, a client); empty = the
            firm's own desk. Limits of several are combined field by field, and the tightest wins.
        account: For ``SET_ACCOUNT``.
        instrument_id: For ``LOCATE``, and for ``RESTRICT`` and ``UNRESTRICT`` of one account in one instrument.
        qty: For ``LOCATE``: lots that may be sold short, in all; 0 takes them back.
        model: For ``LOAD_MODEL``: name of the model folder, beside the one that the job was started with.
        model_epoch: For ``LOAD_MODEL``: number of the switch; one that is not above the last switch is refused.
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
    administrator: str = ""
    account: AccountEnvelope | None = None
    instrument_id: int | None = None
    qty: int | None = None
    model: str | None = None
    model_epoch: int | None = None


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
