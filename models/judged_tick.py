"""One tick of a channel as the stack judged it: arrays over its rows, and a state of any of them. Pure.

``judged`` counts the rows that have an opinion only; ``place_judged`` leads from a row of the tick to its place there.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from features.spec import FEATURES, SCORED
from models.detectors.combining import SCORE01_FULL
from models.detectors.explain import TOP
from models.detectors.views import VIEWED_NAMES
from models.folder import ModelFolder
from models.judging import LEANING_Z, SLOW_LEAN, Judge, Judged
from models.viewed import ViewedTicks
from models.wire import ScaledTicks, Scores
from schemas.events import TickStatus
from schemas.records import FeatureCause, RiskState, Tier

STANDING_Z: Final = 4.0
"""A tick confirms a crisis when something that stands in the market at that tick is so far out ..."""
ECHOING: Final = frozenset(
    {
        "ofi_10s",
        "trade_to_order",
        "add_rate",
        "cancel_rate",
        "trade_rate",
        "signed_trade_rate",
        "liquidity_decay_s",
        "realised_vol_60s",
    }
)
"""... unlike these features, in which one bad tick goes on for ten seconds and more."""

Rows = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]
_OF_NAME: Final = {feature.name: feature for feature in FEATURES}
_STANDING: Final = np.array([feature.name not in ECHOING for feature in SCORED])


@dataclass(frozen=True, slots=True, eq=False)
class JudgedTick:
    """Rows of one tick, an instrument each.

    Attributes:
        viewed: The message that they are part of.
        rows: ``(k,)`` which rows of it.
        judge: Who judged.
        judged: What was said of the rows with an opinion.
        judged_rows: ``(j,)`` which rows of the message these are.
        place_judged: ``(k,)`` place of each row in ``judged``, -1 = no opinion.
        standing: ``(j,)`` what stands in the market at this tick is far out.
        degraded: The network should have answered and did not.
    """

    viewed: ViewedTicks
    rows: Rows = field(repr=False)
    judge: Judge
    judged: Judged
    judged_rows: Rows = field(repr=False)
    place_judged: Rows = field(repr=False)
    standing: Bools = field(repr=False)
    degraded: bool

    @property
    def tick_ns(self) -> int:
        """The tick."""
        return int(self.viewed.ticks.tick_ns[self.rows[0]])

    @property
    def model(self) -> ModelFolder:
        """The model that judged."""
        return self.judge.model

    @property
    def ids(self) -> npt.NDArray[np.uint32]:
        """``(k,)`` instruments."""
        return self.viewed.ticks.instrument_id[self.rows]

    @property
    def stale(self) -> Bools:
        """``(k,)`` the book cannot be trusted."""
        return np.asarray(self.viewed.ticks.status[self.rows] & TickStatus.STALE != 0)

    def leading(self, judged: Sequence[int], most: int) -> dict[int, list[int]]:
        """Return the features that carry rows of ``judged``, re-checked; of the ``most`` strangest where there are more."""
        chosen = np.array([one for one in judged if one >= 0], dtype=np.intp)
        chosen = chosen[np.argsort(-self.judged.strange[chosen], kind="stable")[:most]]
        if not len(chosen):
            return {}
        found = self.judge.leading(self.viewed, self.judged_rows[chosen], self.judged.share[chosen])
        return dict(zip(chosen.tolist(), found.tolist(), strict=True))

    def state(
        self, place: int, tiers: tuple[Tier, Tier], leading: Mapping[int, Sequence[int]], *, epoch: int
    ) -> RiskState:
        """Return the state of the row at ``place`` of the tick, whose tier was and is ``tiers``."""
        ticks, row, judged = self.viewed.ticks, int(self.rows[place]), int(self.place_judged[place])
        strange = float(self.judged.strange[judged]) if judged >= 0 else 0.0
        return RiskState(
            instrument_id=int(ticks.instrument_id[row]),
            channel_id=ticks.channel_id,
            tick_ns=self.tick_ns,
            epoch=epoch,
            tier=tiers[1],
            tier_before=tiers[0],
            latched=tiers[1] is Tier.CRITICAL,
            stale=judged < 0,
            degraded=self.degraded,
            score=strange,
            score01=min(strange / SCORE01_FULL, 1.0),
            p=10.0**-strange,
            adverse_share=float(self.judged.adverse_share[judged]) if judged >= 0 else 0.0,
            ref_price=int(ticks.ref_price[row]) or None,
            model_id=self.model.model_id,
            causes=self._causes(row, judged, leading) if judged >= 0 else (),
        )

    def _causes(self, row: int, judged: int, leading: Mapping[int, Sequence[int]]) -> tuple[FeatureCause, ...]:
        share = self.judged.share[judged]
        features = leading.get(judged)
        if features is None:
            features = np.argsort(-share, kind="stable")[:TOP].tolist()
        return tuple(_cause(self.viewed, row, feature, share=float(share[feature])) for feature in features)


def judged_tick(viewed: ViewedTicks, scores: Scores, rows: Rows, *, judge: Judge) -> JudgedTick:
    """Judge ``rows``, one tick's, of distinct instruments."""
    ticks = viewed.ticks
    stale = ticks.status[rows] & TickStatus.STALE != 0
    opined = viewed.views.opined[rows] & ~stale
    judged_rows = rows[opined]
    judged = judge.judge(viewed, judged_rows, None if scores.degraded else scores.parts[judged_rows])
    place_judged = np.full(len(rows), -1, dtype=np.intp)
    place_judged[opined] = np.arange(len(judged_rows))
    z = viewed.views.window[judged_rows, -1]
    return JudgedTick(
        viewed=viewed,
        rows=rows,
        judge=judge,
        judged=judged,
        judged_rows=judged_rows,
        place_judged=place_judged,
        standing=(np.abs(z[:, _STANDING]) >= STANDING_Z).any(axis=1),
        degraded=scores.degraded and judge.needs_network,
    )


def distinct_rows(ticks: ScaledTicks, rows: Rows) -> Iterator[Rows]:
    """Yield ``rows`` tick by tick, no instrument twice in one piece: a malformed tick comes row by row."""
    cuts = np.flatnonzero(np.diff(ticks.tick_ns[rows])) + 1
    for first, end in itertools.pairwise((0, *cuts.tolist(), len(rows))):
        piece = rows[first:end]
        if len(np.unique(ticks.instrument_id[piece])) == len(piece):
            if len(piece):
                yield piece
        else:
            yield from (piece[one : one + 1] for one in range(len(piece)))


def _cause(viewed: ViewedTicks, row: int, feature: int, *, share: float) -> FeatureCause:
    """Return the cause; a feature beyond the scored ones has no robust score, and lies where its slow average does."""
    name, views = VIEWED_NAMES[feature], viewed.views
    z = float(views.window[row, -1, feature]) if feature < len(SCORED) else math.nan
    lean = float(views.slow[row, SLOW_LEAN, feature])
    if abs(z) >= LEANING_Z or math.isnan(lean):
        lean = z
    return FeatureCause(
        name=name,
        value=float(viewed.ticks.values[row, feature]),
        z=z,
        share=share,
        adverse=lean * _OF_NAME[name].adverse > 0,
    )
