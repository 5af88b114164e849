"""A small synthetic session as encoded messages: four instruments, one of which crashes; the firm's orders beside it."""

import math
from collections.abc import Iterator

import numpy as np

from deploy.instruments import reference_commands
from history.rows import FEATURES
from schemas import codec, topics
from schemas.orders import OrderAction, OrderDecision, OrderRequest, OrderSide, OrderType, Verdict
from schemas.records import AlertKind, FeatureCause, RiskAlert, RiskState, Tier
from schemas.ticks import Ticks, encode_ticks

START_NS = 1_768_487_310_000_000_000
"""2026-01-15 14:28:30 UTC."""
SECOND_NS = 1_000_000_000
CRASH_S = 110
STEPS = ((112, Tier.ELEVATED, 3.7), (114, Tier.HIGH_ALERT, 4.7), (120, Tier.CRITICAL, 7.2))
ORDER_S = 118
MIDS = {1: 100.0, 2: 200.0, 3: 50.0, 4: 120.0}


def session(
    *, seconds: int = 180, per_s: int = 2, instruments: int = 4, with_grants: bool = True
) -> Iterator[tuple[str, bytes]]:
    """Yield messages in order of event time."""
    if with_grants:
        for command in reference_commands(ts_ns=0):
            yield topics.RISK_COMMANDS, codec.encode(topics.RISK_COMMANDS, command)
    rng = np.random.default_rng(7)
    tiers = dict.fromkeys(range(1, instruments + 1), Tier.NORMAL)
    for step in range(seconds * per_s):
        at_s = step / per_s
        tick_ns = START_NS + int((at_s + 1 / per_s) * SECOND_NS)
        yield topics.FEATURES_TICKS, encode_ticks(ticks_at(at_s, tick_ns, instruments, rng))
        for instrument_id in range(1, instruments + 1):
            tier, score = _risk(instrument_id, at_s, rng)
            if tier != tiers[instrument_id] or step % per_s == 0:
                state = state_of(instrument_id, tick_ns, tier, before=tiers[instrument_id], score=score)
                yield topics.RISK_STATES, codec.encode(topics.RISK_STATES, state)
                if tier != tiers[instrument_id]:
                    yield topics.RISK_ALERTS, codec.encode(topics.RISK_ALERTS, alert_of(state))
                tiers[instrument_id] = tier
        if step == ORDER_S * per_s:
            yield from order(tick_ns)


def ticks_at(at_s: float, tick_ns: int, instruments: int, rng: np.random.Generator) -> Ticks:
    """Return a row per instrument."""
    ids = np.arange(1, instruments + 1, dtype=np.uint32)
    values = rng.normal(1.0, 0.1, (instruments, len(FEATURES)))
    stress = _stress(at_s)
    base = {"spread_bps": 2.0, "depth_bid_5": 900.0, "depth_ask_5": 880.0, "realised_vol_60s": 3.0, "imbalance_l5": 0.0,
            "cancel_rate": 12.0, "add_rate": 14.0, "trade_rate": 3.0}  # fmt: skip
    for name, level in base.items():
        values[:, FEATURES.index(name)] = level * (1 + rng.normal(0, 0.06, instruments))
    values[0, FEATURES.index("spread_bps")] *= 1 + 9 * stress
    values[0, FEATURES.index("depth_bid_5")] *= 1 - 0.85 * stress
    values[0, FEATURES.index("depth_ask_5")] *= 1 - 0.7 * stress
    values[0, FEATURES.index("cancel_rate")] *= 1 + 6 * stress
    mids = np.array([MIDS.get(int(i), 10.0 + float(i)) for i in ids]) * (1 + rng.normal(0, 4e-5, instruments))
    mids[0] *= 1 - 0.017 * stress
    return Ticks(
        channel_id="SIM",
        epoch=1,
        spec_hash="0" * 16,
        feature_names=FEATURES,
        tick_ns=np.full(instruments, tick_ns, dtype=np.int64),
        instrument_id=ids,
        status=np.zeros(instruments, dtype=np.uint32),
        ref_price=(mids * 1e9).astype(np.int64),
        values=np.ascontiguousarray(values),
    )


def state_of(instrument_id: int, tick_ns: int, tier: Tier, *, before: Tier, score: float) -> RiskState:
    """Return one state with its causes."""
    stress = min(1.0, score / 8)
    return RiskState(
        instrument_id=instrument_id,
        channel_id="SIM",
        tick_ns=tick_ns,
        epoch=1,
        tier=tier,
        tier_before=before,
        latched=tier is Tier.CRITICAL,
        stale=False,
        degraded=False,
        score=score,
        score01=min(1.0, score / 6),
        p=10.0**-score,
        adverse_share=0.5 + 0.5 * stress,
        ref_price=int(MIDS.get(instrument_id, 10.0 + instrument_id) * 1e9),
        model_id="default-7",
        causes=(
            FeatureCause("cancel_rate", 12 * (1 + 6 * stress), 7.3 * stress, 0.41, True),
            FeatureCause("spread_bps", 2 * (1 + 9 * stress), 6.1 * stress, 0.33, True),
            FeatureCause("depth_bid_5", 900 * (1 - 0.85 * stress), -4.2 * stress, 0.14, True),
        ),
    )


def alert_of(state: RiskState) -> RiskAlert:
    """Return the alert of a change of tier."""
    return RiskAlert(
        alert_id=f"TIER_CHANGED:{state.instrument_id}:{state.tick_ns}:1",
        kind=AlertKind.TIER_CHANGED,
        instrument_id=state.instrument_id,
        ts_ns=state.tick_ns,
        epoch=1,
        tier=state.tier,
        message=f"{state.tier_before.name} to {state.tier.name}, S {state.score:.1f}",
        source="score_risk",
    )


def order(ts_ns: int) -> Iterator[tuple[str, bytes]]:
    """Yield the 200-lot order, a small one that passes, and what the enforcers said."""
    for order_id, qty, verdict, reason in (
        ("market-200", 200, Verdict.REJECT, "max_order_size"),
        ("limit-20", 20, Verdict.ACCEPT, "ok"),
    ):
        request = OrderRequest(
            order_id, "desk-1", 1, ts_ns, OrderAction.NEW, OrderSide.SELL, OrderType.MARKET, qty, None
        )
        yield topics.ORDERS_REQUESTS, codec.encode(topics.ORDERS_REQUESTS, request)
        for enforcer, at_ns in (("gate", ts_ns + 10**15), ("enforce_orders", ts_ns)):  # the gate's clock is another
            refused = verdict is Verdict.REJECT
            answer = OrderDecision(
                order_id, "desk-1", 1, at_ns, enforcer, verdict, reason, 50 if refused else None, qty if refused else None,
                Tier.HIGH_ALERT, False, 1, ts_ns, "default-7", 4.7, decision_id=f"{order_id}:{enforcer}", seq=1,
                side=OrderSide.SELL, qty=qty, ref_price=int(99.2e9),
            )  # fmt: skip
            yield topics.ORDERS_DECISIONS, codec.encode(topics.ORDERS_DECISIONS, answer)


def _stress(at_s: float) -> float:
    """Return 0 in calm, 1 in the depth of the crash."""
    return 1 / (1 + math.exp(-(at_s - CRASH_S - 8) / 2.5)) * (1 if at_s < 150 else math.exp(-(at_s - 150) / 15))


def _risk(instrument_id: int, at_s: float, rng: np.random.Generator) -> tuple[Tier, float]:
    tier, score = Tier.NORMAL, float(abs(rng.normal(0.5, 0.3)))
    if instrument_id == 1:
        for from_s, step, level in STEPS:
            if at_s >= from_s:
                tier, score = step, level + float(rng.normal(0, 0.1))
    return tier, score
