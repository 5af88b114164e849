"""What a selection looked for and found: plain values that become JSON."""

from dataclasses import asdict, dataclass
from typing import Any

from features.select.folds import Walk
from features.select.stability import CHANCE_FREQUENCY_MAX, Plan
from features.select.targets import Target
from schemas.units import NS_PER_S


@dataclass(frozen=True, slots=True)
class SelectionSettings:
    """What is looked for and how.

    Attributes:
        target: What to foretell.
        horizon_ns: How far ahead; also the purge.
        embargo_ns: Gap beyond the purge.
        stride_ns: Rows are taken this far apart: neighbouring ticks share nearly the whole of features and target.
        folds: Steps of the walk.
        bootstraps: Resampled runs a fold.
        block_ns: Length of resampled blocks.
        mi_rows_max: Most rows for mutual information.
        seed: Of everything drawn.
    """

    target: Target = "absolute_move"
    horizon_ns: int = 10 * NS_PER_S
    embargo_ns: int = 30 * NS_PER_S
    stride_ns: int = NS_PER_S
    folds: int = 5
    bootstraps: int = 20
    block_ns: int = 60 * NS_PER_S
    mi_rows_max: int = 5_000
    seed: int = 7

    def plan(self) -> Plan:
        """Return the part that a fold needs."""
        walk = Walk(self.folds, self.horizon_ns, self.embargo_ns)
        overlap = max(self.horizon_ns / self.stride_ns, 1.0)
        return Plan(walk, self.bootstraps, self.block_ns, self.mi_rows_max, overlap, self.seed)


@dataclass(frozen=True, slots=True)
class Score:
    """How well a set foretold rows that nothing had been learnt from.

    Attributes:
        r2: 1 - squared error / squared error of each instrument's past mean. Chance: 0 or a little below.
        r2_error: Standard error of ``r2`` over blocks.
        rank_correlation: Spearman, prediction and target, mean over folds; 0 where nothing is predicted. Chance: 0.
    """

    r2: float
    r2_error: float
    rank_correlation: float


@dataclass(frozen=True, slots=True)
class FoldReport:
    """One step of the walk.

    Attributes:
        train_rows: Rows learnt from.
        test_rows: Rows judged on.
        test_from_ns: Where the test begins.
        kept: Names that stayed when the rows were as they are.
        chosen: Names that were stable in this fold.
        frequency: Share of resampled runs in which each name stayed, canaries too.
        score: Of the chosen on the test rows.
        score_all: Of all features on the test rows.
        score_canary: Of the shuffled future alone on the test rows, where it is shuffled anew.
    """

    train_rows: int
    test_rows: int
    test_from_ns: int
    kept: tuple[str, ...]
    chosen: tuple[str, ...]
    frequency: dict[str, float]
    score: Score
    score_all: Score
    score_canary: Score


@dataclass(frozen=True, slots=True)
class FeatureReport:
    """One feature, or canary.

    Attributes:
        name: Its name.
        cluster: Cluster over all rows, numbered by first member.
        mi_nats: Mutual information with the target, mean over folds.
        mi_spread_nats: Standard deviation of the same over folds.
        mi_chance_nats: Mean of what a series as slow as this shows by chance.
        frequency: Share of all resampled runs in which it stayed.
        cluster_frequency: Share of them in which it or another of its cluster stayed.
        rank: From 1: chosen first, then by frequency of cluster and of itself, then by information above chance.
        chosen: Its cluster is stable and more so than any canary, and of its cluster it stayed most often.
        null_share: Share of rows without a value.
    """

    name: str
    cluster: int
    mi_nats: float
    mi_spread_nats: float
    mi_chance_nats: float
    frequency: float
    cluster_frequency: float
    rank: int
    chosen: bool
    null_share: float


@dataclass(frozen=True, slots=True)
class SelectionReport:
    """All that was found.

    Attributes:
        settings: What was looked for.
        rows: Rows used; ``left_out`` has the others by cause.
        left_out: Cause → rows.
        features: By rank.
        canaries: As the features, in their own order.
        folds: In time order.
        score: Over the test rows of all folds, each by what was chosen before it.
        score_all: The same with all features.
        score_canary: The same with the shuffled future alone.
        tried: What was tried → how often.
        canaries_quiet: White noise and the shuffled future each stayed in no more than ``CHANCE_FREQUENCY_MAX`` of the runs.
    """

    settings: SelectionSettings
    rows: int
    left_out: dict[str, int]
    features: tuple[FeatureReport, ...]
    canaries: tuple[FeatureReport, ...]
    folds: tuple[FoldReport, ...]
    score: Score
    score_all: Score
    score_canary: Score
    tried: dict[str, int]
    canaries_quiet: bool

    @property
    def chosen(self) -> tuple[str, ...]:
        """Names of the chosen, by rank."""
        return tuple(feature.name for feature in self.features if feature.chosen)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, ready for JSON."""
        return {**asdict(self), "chosen": self.chosen}

    def verdict(self) -> str:
        """Return in one sentence what may be believed."""
        if not self.canaries_quiet:
            return f"nothing may be believed: a column that knows nothing stayed in over {CHANCE_FREQUENCY_MAX:.0%} of the runs"
        if not self.chosen:
            together = f"all together reach out of fold R2 {self.score_all.r2:.3f} ± {self.score_all.r2_error:.3f}"
            return f"nothing stands out: no feature stays when the past is resampled; {together}"
        gain = f"out of fold R2 {self.score.r2:.3f} ± {self.score.r2_error:.3f} with what each fold had chosen before"
        if self.score.r2 <= 2 * self.score.r2_error:
            return f"{len(self.chosen)} stay when the past is resampled, but foretell unseen rows no better than chance: {gain}"
        return f"{len(self.chosen)} stay when the past is resampled, and unseen rows are foretold: {gain}"
