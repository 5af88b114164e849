"""The forms of answers and bodies, as OpenAPI publishes them.

Times are integers, ns since the epoch, UTC; prices of records 1e-9 currency; sizes lots. ``null`` means "not known" or "unset",
never zero. Answers are built from the same records that the topics carry, so these classes document, and the tests check.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.proposals import Status
from schemas.records import AlertKind, CommandKind

INT64_MAX = 2**63 - 1
TierName = Literal["NORMAL", "ELEVATED", "HIGH_ALERT", "CRITICAL"]
Because = Literal["tier", "stale", "expired", "no_state", "halted", "killed", "restricted", "unset"]
Amount = Annotated[int, Field(strict=True, ge=0, le=INT64_MAX)]
Permille = Annotated[int, Field(strict=True, ge=0, le=INT64_MAX)]


class Limits(BaseModel):
    """Absolute limits; null = unset, which blocks. 9223372036854775807 = unlimited, said on purpose."""

    model_config = ConfigDict(extra="forbid")

    max_order_qty: Amount | None = Field(None, description="Lots.")
    max_order_value: Amount | None = Field(None, description="1e-6 currency.")
    max_long: Amount | None = Field(None, description="Lots.")
    max_short: Amount | None = Field(None, description="Lots.")
    price_band_bps: Amount | None = None
    price_band_ticks: Amount | None = None
    period_band_bps: Amount | None = None
    quote_offset_bps: Amount | None = Field(None, description="Larger is tighter.")


class TierRuleBody(BaseModel):
    """What a tier does to the envelope; multipliers in thousandths."""

    model_config = ConfigDict(extra="forbid")

    tier: TierName
    qty_permille: Permille
    band_permille: Permille
    halt: Annotated[bool, Field(strict=True)]
    value_permille: Permille
    position_permille: Permille
    rate_permille: Permille
    margin_permille: Permille
    quote_offset_bps: Permille


class EnvelopeBody(BaseModel):
    """The hard envelope of one instrument; null = this administrator says nothing."""

    model_config = ConfigDict(extra="forbid")

    limits: Limits
    stale_limits: Limits
    tiers: list[TierRuleBody] = Field(max_length=4)
    tick_size: Amount | None = None
    lot_nano: Amount | None = None
    qty_min: Amount | None = None
    qty_step: Amount | None = None
    class_id: Annotated[int, Field(strict=True, ge=0, le=63)] | None = None
    restricted: Annotated[bool, Field(strict=True)] = False
    needs_locate: Annotated[bool, Field(strict=True)] = False
    warn_permille: Annotated[int, Field(strict=True, ge=0, le=1000)] | None = None
    pend_permille: Annotated[int, Field(strict=True, ge=0, le=1000)] | None = None
    ref_ttl_ms: Amount | None = None
    period_ms: Amount | None = None
    message_weight_permille: Amount | None = None
    margin_permille: Amount | None = None


class AccountBody(BaseModel):
    """What an account, or the firm, may do; null = this administrator says nothing."""

    model_config = ConfigDict(extra="forbid")

    gross_value: Amount | None = None
    net_value: Amount | None = None
    instrument_value: Amount | None = None
    instrument_permille: Annotated[int, Field(strict=True, ge=0, le=1000)] | None = None
    credit: Amount | None = None
    day_loss: Amount | None = None
    drawdown: Amount | None = None
    period_value: Amount | None = None
    basket_value: Amount | None = None
    open_orders: Amount | None = None
    messages_per_s: Amount | None = None
    message_burst: Amount | None = None
    repeats_max: Amount | None = None
    period_ms: Annotated[int, Field(strict=True, ge=1, le=3_600_000)] | None = None
    duplicate_ms: Annotated[int, Field(strict=True, ge=0, le=3_600_000)] | None = None
    class_ids: list[Annotated[int, Field(strict=True, ge=0, le=63)]] | None = Field(None, max_length=64)


class CommandBody(BaseModel):
    """What a maker asks for. Who he is comes from his token, never from here."""

    model_config = ConfigDict(extra="forbid")

    kind: CommandKind = Field(
        description="To halt one instrument: RESTRICT its scope. To block orders of a scope: KILL."
    )
    scope: str = Field(
        pattern=r"^(firm|instrument:[1-9][0-9]{0,9}|(account|desk|trader|strategy|venue|session|order):[!-~]{1,120})$",
        description="`firm`, `instrument:<id>`, `account:<id>`, `desk:<id>`, …",
    )
    reason: str = Field(min_length=3, max_length=500, pattern=r"\S", description="For the record.")
    valid_s: Annotated[int, Field(strict=True, ge=1, le=366 * 86_400)] | None = Field(
        None, description="How long it holds after it was approved, s. This or `expires_ns`; what loosens needs one."
    )
    expires_ns: Annotated[int, Field(strict=True, ge=1, le=INT64_MAX)] | None = Field(None, description="Absolute end.")
    emergency: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="KILL and RESTRICT alone: send it now, one person; the audit log says so."
    )
    envelope: EnvelopeBody | None = None
    account: AccountBody | None = None
    administrator: str = Field("", max_length=64, pattern=r"^[!-~]*$")
    instrument_id: Annotated[int, Field(strict=True, ge=1, le=2**32 - 1)] | None = None
    qty: Amount | None = None
    model: str | None = Field(
        None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="For LOAD_MODEL: its folder's name."
    )
    model_epoch: Annotated[int, Field(strict=True, ge=1, le=INT64_MAX)] | None = Field(
        None, description="For LOAD_MODEL: number of the switch, above that of the last one."
    )


class DecisionBody(BaseModel):
    """What the one who decides says."""

    model_config = ConfigDict(extra="forbid")

    note: str = Field("", max_length=500)


class ProposalOut(BaseModel):
    """A command on its way."""

    proposal_id: str
    status: Status
    kind: CommandKind
    scope: str
    maker: str
    reason: str
    emergency: bool
    valid_s: int | None
    expires_ns: int | None
    proposed_ns: int
    lapses_ns: int
    decided_by: str | None
    decided_ns: int | None
    note: str
    command: dict[str, Any] = Field(description="The record as `risk.commands` carries it.")


class ProposalsOut(BaseModel):
    """Proposals, newest first."""

    commands: list[ProposalOut]


class StateOut(BaseModel):
    """The newest risk state of an instrument."""

    tick_ns: int
    epoch: int
    channel_id: str
    tier: TierName
    tier_before: TierName
    latched: bool
    stale: bool
    degraded: bool
    score: float | None
    score01: float | None
    p: float | None
    adverse_share: float | None
    ref_price: int | None
    model_id: str
    systemic_tier: TierName | None = Field(None, description="What the channel or the market asks of every member.")
    systemic_score: float | None = Field(None, description="-log10 p of the channel or the market; 0 = no opinion.")


class CauseOut(BaseModel):
    """One feature's part in the score."""

    name: str
    value: float | None
    z: float | None
    share: float | None
    adverse: bool


class LimitsOut(BaseModel):
    """The limits in force."""

    limits: Limits
    halted: bool
    because: Because


class RiskNow(BaseModel):
    """An instrument now."""

    instrument_id: int
    symbol: str
    state: StateOut | None = Field(description="null = none was ever seen.")
    causes: list[CauseOut]
    limits: LimitsOut
    valid_for_ms: int = Field(description="How long the state is still valid; 0 = expired: the stale column applies.")
    fresh: bool
    tick: dict[str, float | int | str | None] | None = Field(description="The newest tick.")


class InstrumentOut(BaseModel):
    """One instrument in one row."""

    instrument_id: int
    symbol: str
    channel_id: str
    tier: TierName | None
    score: float | None
    fresh: bool
    halted: bool


class InstrumentsOut(BaseModel):
    """Instruments by id."""

    instruments: list[InstrumentOut]
    columns: list[str] = Field(description="Columns of the rows of the event `states`.")
    market_ns: int


class StepOut(BaseModel):
    """Limits in one tier."""

    tier: TierName
    halt: bool
    limits: Limits


class InstrumentLimits(BaseModel):
    """What people granted for one instrument, tier by tier, and what is in force."""

    instrument_id: int
    symbol: str
    administrators: list[str]
    until_ns: int | None
    envelope: Limits
    stale: Limits
    steps: list[StepOut]
    in_force: LimitsOut


class LimitsPage(BaseModel):
    """Limits by instrument id, and what is blocked by a person."""

    instruments: list[InstrumentLimits]
    blocks: list[dict[str, Any]]
    next: int | None = Field(description="Ask again with `after` = this; null = that was all.")


class AlertOut(BaseModel):
    """Something a person should see."""

    alert_id: str
    kind: AlertKind | str
    instrument_id: int
    at_ns: int
    epoch: int
    tier: TierName
    message: str
    source: str


class AlertsPage(BaseModel):
    """Alerts, newest first."""

    alerts: list[AlertOut]
    next: str | None = Field(description="Ask again with `cursor` = this; null = that was all.")


class DecisionsPage(BaseModel):
    """Decisions, newest first."""

    decisions: list[dict[str, Any]]
    next: str | None


class Series(StrEnum):
    """What of the history of an instrument."""

    ALL = "all"
    MARKET = "market"
    SCORES = "scores"
    ORDERS = "orders"


class HistoryOut(BaseModel):
    """Columns by name, each a list of equal length; what was not asked for is null."""

    instrument_id: int
    from_ns: int
    to_ns: int
    first_ns: int | None
    last_ns: int | None
    market: dict[str, list[Any]] | None
    scores: dict[str, list[Any]] | None
    orders: dict[str, list[Any]] | None


class WhyCause(CauseOut):
    """One feature's part in a score, against its own past hour."""

    unit_low: float | None = Field(description="5 % quantile of the hour before; null = no history.")
    unit_mid: float | None
    unit_high: float | None = Field(description="95 % quantile.")
    ticks: int
    back_to: float | None = Field(
        description="The nearest value within the range: there it would be normal; null = it is."
    )
    left_share: float | None = Field(
        description="Share of the anomaly that would be left, had this and those above been normal."
    )


class WhyOut(BaseModel):
    """Why an instrument has its tier."""

    instrument_id: int
    state: StateOut | None
    causes: list[WhyCause]
