"""The scenario's promises: each is a name, whether it held, and the figures behind the answer. Pure."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from deploy.demo.story import LimitSeen, Story
from schemas.records import AlertKind, OrderDecision, Tier, Verdict

ENFORCERS = ("gate", "enforce_orders")
FIRST_TIGHTENING_MOVE = -0.005
"""The first tightening must come before the price has moved this far."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """One promise and its outcome."""

    name: str
    held: bool
    detail: str


def judge(story: Story, history: dict[str, int]) -> list[Expectation]:
    """Return every promise with its outcome; ``history`` holds ``decisions`` and ``decision_rows`` as counted there."""
    checks: list[tuple[str, Callable[[], tuple[bool, str]]]] = [
        ("tightened before the price moved -0.5 %", lambda: _tightened_early(story)),
        ("limits went down in steps to a halt", lambda: _limits_stepped_down(story)),
        ("the 200-lot order was refused for its size", lambda: _key_order_refused(story)),
        ("Critical held until the release", lambda: _critical_latched(story)),
        ("nothing was refused in the calm part", lambda: _calm_part_untouched(story)),
        ("both enforcers gave every order the same verdict", lambda: _enforcers_agree(story)),
        ("both enforcers judged by the same positions", lambda: _positions_agree(story)),
        ("the desk was alerted", lambda: _alerted(story)),
        ("history holds every decision once", lambda: _history_once(story, history)),
        ("no message was refused", lambda: (story.dead_letters == 0, f"{story.dead_letters} dead letters")),
    ]
    return [Expectation(name, *check()) for name, check in checks]


def _tightened_early(story: Story) -> tuple[bool, str]:
    for state in story.states:
        if state.instrument_id == story.crash_instrument_id and state.tier > Tier.NORMAL:
            move = story.move_at(state.tick_ns)
            return move > FIRST_TIGHTENING_MOVE, f"first tightening at {move:+.2%}"
    return False, "never tightened"


def _limits_stepped_down(story: Story) -> tuple[bool, str]:
    steps = [0 if seen.halted else seen.max_order_qty for seen in _crash_limits(story)]
    down = steps[: steps.index(0) + 1] if 0 in steps else steps
    held = len(down) >= 4 and down[-1] == 0 and all(a > b for a, b in itertools.pairwise(down))
    return held, " → ".join("halted" if step == 0 else str(step) for step in steps)


def _key_order_refused(story: Story) -> tuple[bool, str]:
    found = [story.decisions.get((story.key_order_id, enforcer)) for enforcer in ENFORCERS]
    held = all(d is not None and d.verdict is Verdict.REJECT and d.reason == "max_order_size" for d in found)
    words = [f"{d.enforcer}: {d.reason}, limit {d.limit}, order {d.observed}" if d else "no decision" for d in found]
    return held, "; ".join(words)


def _critical_latched(story: Story) -> tuple[bool, str]:
    own = [s for s in story.states if s.instrument_id == story.crash_instrument_id]
    entered = next((s for s in own if s.tier is Tier.CRITICAL), None)
    if entered is None:
        return False, "never Critical"
    left = next((s for s in own if s.tick_ns > entered.tick_ns and s.tier < Tier.CRITICAL), None)
    if left is None:
        return False, "never left Critical, although released"
    held = entered.tick_ns < story.release_ns <= left.tick_ns
    return held, f"held {(left.tick_ns - entered.tick_ns) / 1e9:.1f} s, left {_after(left.tick_ns, story.release_ns)}"


def _calm_part_untouched(story: Story) -> tuple[bool, str]:
    calm = {order.order_id for order in story.orders if order.ts_event_ns < story.crash_start_ns}
    refused = sorted(
        f"{d.order_id}/{d.enforcer}: {d.reason}"
        for d in story.decisions.values()
        if d.order_id in calm and d.verdict is Verdict.REJECT
    )
    return bool(calm) and not refused, f"{len(calm)} orders, refused: {', '.join(refused) or 'none'}"


def _enforcers_agree(story: Story) -> tuple[bool, str]:
    differ = []
    for order in story.orders:
        pair = [story.decisions.get((order.order_id, enforcer)) for enforcer in ENFORCERS]
        answers = {(d.verdict, d.reason) if d else None for d in pair}
        if None in answers or len(answers) > 1:
            differ.append(f"{order.order_id}: " + " / ".join(d.reason if d else "no decision" for d in pair))
    return not differ, f"{len(story.orders)} orders" + (f", differ: {'; '.join(differ)}" if differ else "")


def _positions_agree(story: Story) -> tuple[bool, str]:
    """Compare what each account held and had working before each of its orders."""
    differ, judged = [], 0
    for order in story.orders:
        before = [_before(story.decisions.get((order.order_id, enforcer))) for enforcer in ENFORCERS]
        judged += bool(before[0] and before[0][0])
        if before[0] is None or before[0] != before[1]:
            differ.append(f"{order.order_id}: {before[0]} / {before[1]}")
    return judged > 0 and not differ, f"{judged} orders met a position" + (f", differ: {differ[0]}" if differ else "")


def _before(decision: OrderDecision | None) -> tuple[int | None, int | None, int | None] | None:
    """Return position and working lots before the order; ``None`` when nobody answered it."""
    if decision is None:
        return None
    return decision.position_before, decision.working_buy_before, decision.working_sell_before


def _alerted(story: Story) -> tuple[bool, str]:
    raised = [
        alert
        for alert in story.alerts
        if alert.instrument_id == story.crash_instrument_id and alert.kind is AlertKind.TIER_CHANGED
    ]
    return bool(raised), f"{len(raised)} tier alerts"


def _history_once(story: Story, history: dict[str, int]) -> tuple[bool, str]:
    wanted = len(story.orders) * len(ENFORCERS)
    rows, distinct = history["decision_rows"], history["decisions"]
    return rows == distinct == wanted, f"{rows} rows, {distinct} distinct, {wanted} made"


def _crash_limits(story: Story) -> list[LimitSeen]:
    return [seen for seen in story.limits if seen.instrument_id == story.crash_instrument_id]


def _after(tick_ns: int, release_ns: int) -> str:
    return f"{(tick_ns - release_ns) / 1e9:.1f} s after the release"
