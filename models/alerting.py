"""Alerts of one row of ticks: each episode is told once, at its start. Pure."""

from dataclasses import dataclass
from typing import Final

from schemas.people import Fault
from schemas.records import AlertKind, RiskAlert, RiskState, Tier

SOURCE: Final = "score_risk"
ADVERSE_PART: Final = 0.5
"""An anomaly is adverse when at least this part of what has a direction points in the dangerous one."""

_STALE: Final = 1
_DEGRADED: Final = 2
_BENIGN: Final = 4


@dataclass(slots=True)
class Alerts:
    """Alerts of one instrument at one tick."""

    instrument_id: int
    tick_ns: int
    epoch: int
    out: list[RiskAlert]
    raised: bool = False

    def tier(self, state: RiskState) -> None:
        """Tell a change of tier."""
        if state.tier is not state.tier_before:
            names = ", ".join(cause.words for cause in state.causes) or "no features"
            self._add(AlertKind.TIER_CHANGED, state.tier, f"{state.tier_before.name} to {state.tier.name}: {names}")

    def episodes(self, state: RiskState, told: int, *, unusual: bool) -> int:
        """Tell the start of a stale, degraded or harmless-but-unusual episode; return the flags now told."""
        benign = unusual and state.adverse_share < ADVERSE_PART
        if not (told or state.stale or state.degraded or benign):
            return 0
        episodes = (
            (_STALE, state.stale, AlertKind.FEED_STALE, "the book cannot be trusted: stale limits until a snapshot"),
            (
                _DEGRADED,
                state.degraded,
                AlertKind.SCORER_DEGRADED,
                "the network did not answer: the simple stack scores alone",
            ),
            (_BENIGN, benign, AlertKind.NON_ADVERSE_ANOMALY, f"unusual (score {state.score:.1f}) but not dangerous"),
        )
        for flag, active, kind, message in episodes:
            if active and not told & flag:
                self._add(kind, state.tier, message)
            # A harmless anomaly ends when the score is calm again, not at its first quieter tick.
            ended = state.score < 1.0 if flag == _BENIGN else not active
            told = told | flag if active else (told & ~flag if ended else told)
        return told

    def command(self, command_id: str, maker: str, outcome: Fault | bool, *, tier: Tier) -> None:  # noqa: FBT001
        """Tell what became of a release: done, nothing to do, or what was wrong with it."""
        kind = AlertKind.COMMAND_APPLIED if outcome is True else AlertKind.COMMAND_REFUSED
        refused = outcome.detail if isinstance(outcome, Fault) else "nothing to release: the tier is not CRITICAL"
        what = "released to HIGH_ALERT" if outcome is True else refused
        self._add(kind, tier, f"{command_id} by {maker}: {what}", cause=f":{command_id}")

    def _add(self, kind: AlertKind, tier: Tier, message: str, *, cause: str = "") -> None:
        alert_id = f"{kind}:{self.instrument_id}:{self.tick_ns}:{self.epoch}{cause}"
        self.out.append(RiskAlert(alert_id, kind, self.instrument_id, self.tick_ns, self.epoch, tier, message, SOURCE))
        self.raised = True
