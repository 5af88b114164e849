"""The whole selection: the walk through time, one choice a fold, and what the folds say together.

Invariant: a fold's choice is made before its test rows are looked at, and every set of features that was scored is counted.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from features.select.clusters import PastRanks, clusters_of, spearman
from features.select.folds import Fold, blocks_of, walk_forward
from features.select.importance import Features, Moments, Ridge
from features.select.report import FeatureReport, FoldReport, Score, SelectionReport, SelectionSettings
from features.select.stability import (
    CANARIES,
    CHANCE_FREQUENCY_MAX,
    FREQUENCY_MIN,
    QUIET_CANARIES,
    Choice,
    Fitted,
    Rows,
    Study,
)
from features.select.targets import TickTable, log_moves

Vector = npt.NDArray[np.float64]

OFF_THE_STRIDE: Final = "between the ticks that are looked at"

CONSTANT: Final = 1e-9
"""A prediction that varies by less, in log bp, says nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """Test rows as a set of features foretold them; ``(rows,)`` each, of one or more folds."""

    said: Vector = field(repr=False)
    came: Vector = field(repr=False)
    block: npt.NDArray[np.int64] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class _Walked:
    """One fold: its runs, what was measured on its past, and the judgement of ``chosen``, ``all`` and ``canary``."""

    fold: Fold
    own: Choice
    runs: list[Choice]
    measured: tuple[Vector, Vector]
    chosen: Features
    judged: dict[str, _Judged]


def select_features(table: TickTable, settings: SelectionSettings) -> SelectionReport:
    """Return what the features say about the target; a pure function of its arguments.

    Raises:
        ValueError: Too little data for the folds, or settings that make no sense.
        ModuleNotFoundError: scipy or scikit-learn is not installed.
    """
    order = np.lexsort((table.instrument_id, table.tick_ns))
    y, left_out = log_moves(table, settings.target, settings.horizon_ns)
    rows = Rows(table.values, y, table.instrument_id, table.tick_ns).take(order)
    on_stride = rows.tick_ns % settings.stride_ns == 0
    left_out[OFF_THE_STRIDE] = int((~np.isnan(rows.y) & ~on_stride).sum())
    usable = ~np.isnan(rows.y) & on_stride
    folds = walk_forward(rows.tick_ns, usable, settings.plan().walk)
    walked = [_walk_one(rows, fold, settings, number=number) for number, fold in enumerate(folds)]
    used = rows.take(np.flatnonzero(usable))
    runs = [run for one in walked for run in one.runs]
    features, canaries = _feature_reports(table.names, used, walked)
    return SelectionReport(
        settings=settings,
        rows=len(used.y),
        left_out=left_out,
        features=features,
        canaries=canaries,
        folds=tuple(_fold_report(one, (*table.names, *CANARIES)) for one in walked),
        score=_score([one.judged["chosen"] for one in walked]),
        score_all=_score([one.judged["all"] for one in walked]),
        score_canary=_score([one.judged["canary"] for one in walked]),
        tried={
            "targets": 1,
            "folds": len(walked),
            "resampled runs": len(runs),
            "sets scored within the past": sum(run.subsets for run in (*runs, *(one.own for one in walked))),
            "sets scored on test rows": sum(len(one.judged) for one in walked),
        },
        canaries_quiet=all(one.frequency <= CHANCE_FREQUENCY_MAX for one in canaries if one.name in QUIET_CANARIES),
    )


def stable(runs: list[Choice], clusters: tuple[int, ...], features: int) -> tuple[Vector, Vector, Features]:
    """Return how often each column stayed, how often its cluster did, and the features that are stable.

    Members of a cluster stand in for each other from run to run, so it is the cluster that must be stable. Columns from
    ``features`` on are canaries: never chosen, and a cluster must stay more often than any of them.
    """
    stayed = np.zeros((len(runs), len(clusters)), dtype=np.bool_)
    for run, choice in enumerate(runs):
        stayed[run, list(choice.kept)] = True
    label = np.array(clusters)
    frequency = stayed.mean(axis=0)
    of_cluster = np.array([stayed[:, label == own].any(axis=1).mean() for own in label])
    worst_canary = float(frequency[features:].max(initial=0.0))
    chosen = [
        max((int(j) for j in np.flatnonzero(label == own) if j < features), key=lambda j: (frequency[j], -j))
        for own in dict.fromkeys(clusters[:features])
        if worst_canary < of_cluster[clusters.index(own)] >= FREQUENCY_MIN
    ]
    return frequency, of_cluster, tuple(sorted(chosen))


def _walk_one(rows: Rows, fold: Fold, settings: SelectionSettings, *, number: int) -> _Walked:
    study = Study(rows.take(fold.train), settings.plan(), number)
    own, information, chance = study.own()
    runs = study.resampled()
    count = rows.values.shape[1]
    chosen = stable(runs, own.clusters, count)[2]
    # The choice is made: from here on the test rows are looked at, and nothing is chosen any more.
    test = rows.take(fold.test)
    test = test.take(np.flatnonzero(np.isin(test.instrument_id, study.rows.instrument_id)))
    if not len(test.y):
        raise ValueError(f"fold {number + 1}: no instrument of its test was there before")
    shuffled = _in_an_order_of_chance(test.y, study.rows.y, np.random.default_rng([settings.seed, number]))
    unused = np.full((len(test.y), len(CANARIES) - 1), np.nan)
    test = Rows(np.column_stack([test.values, unused, shuffled]), test.y, test.instrument_id, test.tick_ns)
    fitted = Fitted.on(study.rows)
    x, y = fitted.columns(study.rows)
    moments = Moments.of(x, y, np.ones(len(y)), overlap=settings.plan().overlap)
    x_test, came = fitted.columns(test)
    block = blocks_of(test.tick_ns, np.zeros(len(came), dtype=np.int64), settings.block_ns)
    sets = {"chosen": chosen, "all": tuple(range(count)), "canary": (count + len(CANARIES) - 1,)}
    judged = {name: _Judged(Ridge.fit(moments, one).predict(x_test), came, block) for name, one in sets.items()}
    return _Walked(fold, own, runs, (information, chance), chosen, judged)


def _in_an_order_of_chance(y: Vector, past: Vector, rng: np.random.Generator) -> Vector:
    """Return the shuffled future as values of the past of the same rank: its level alone would foretell the level."""
    place = np.argsort(np.argsort(rng.permutation(y)))
    values: Vector = np.quantile(past, (place + 0.5) / len(y))
    return values


def _score(parts: list[_Judged]) -> Score:
    said, came = np.concatenate([part.said for part in parts]), np.concatenate([part.came for part in parts])
    better = came**2 - (said - came) ** 2
    starts = np.cumsum([0, *(int(part.block.max()) + 1 for part in parts[:-1])])
    block = np.concatenate([part.block + start for part, start in zip(parts, starts, strict=True)])
    of_block = np.bincount(block, better)
    whole = max(float((came**2).sum()), 1e-300)
    alike = sum(len(part.came) * _rank_correlation(part) for part in parts) / len(came)
    error = float(np.sqrt(len(of_block)) * of_block.std(ddof=1)) if len(of_block) > 1 else whole
    return Score(float(of_block.sum()) / whole, error / whole, alike)


def _rank_correlation(part: _Judged) -> float:
    from scipy.stats import spearmanr  # noqa: PLC0415 - scipy is not in the runtime group

    constant = min(np.ptp(part.said), np.ptp(part.came)) < CONSTANT
    return 0.0 if constant else float(spearmanr(part.said, part.came).statistic)


def _fold_report(walked: _Walked, names: tuple[str, ...]) -> FoldReport:
    frequency = stable(walked.runs, walked.own.clusters, len(names) - len(CANARIES))[0]
    return FoldReport(
        train_rows=len(walked.fold.train),
        test_rows=len(walked.fold.test),
        test_from_ns=walked.fold.test_from_ns,
        kept=tuple(names[j] for j in walked.own.kept),
        chosen=tuple(names[j] for j in walked.chosen),
        frequency={name: float(share) for name, share in zip(names, frequency, strict=True)},
        score=_score([walked.judged["chosen"]]),
        score_all=_score([walked.judged["all"]]),
        score_canary=_score([walked.judged["canary"]]),
    )


def _feature_reports(
    names: tuple[str, ...], used: Rows, walked: list[_Walked]
) -> tuple[tuple[FeatureReport, ...], tuple[FeatureReport, ...]]:
    """Return the features by rank, and the canaries."""
    count = len(names)
    ranks = PastRanks.fit(used.values, used.instrument_id).ranks(used.values, used.instrument_id)
    found = clusters_of(spearman(ranks, np.ones(len(ranks))))
    # A canary is made anew in each fold: over all of them it is a cluster of its own.
    clusters = (*found, *(max(found) + 1 + k for k in range(len(CANARIES))))
    frequency, of_cluster, chosen = stable([run for one in walked for run in one.runs], clusters, count)
    information = np.stack([one.measured[0] for one in walked])
    chance = np.stack([one.measured[1] for one in walked]).mean(axis=0)
    above = information.mean(axis=0) - chance
    order = sorted(range(count), key=lambda j: (j not in chosen, -of_cluster[j], -frequency[j], -above[j], j))
    nulls = np.append(np.isnan(used.values).mean(axis=0), np.zeros(len(CANARIES)))
    all_names = (*names, *CANARIES)
    made = [
        FeatureReport(
            name=all_names[j],
            cluster=clusters[j],
            mi_nats=float(information[:, j].mean()),
            mi_spread_nats=float(information[:, j].std()),
            mi_chance_nats=float(chance[j]),
            frequency=float(frequency[j]),
            cluster_frequency=float(of_cluster[j]),
            rank=rank,
            chosen=j in chosen,
            null_share=float(nulls[j]),
        )
        for rank, j in enumerate([*order, *range(count, len(all_names))], 1)
    ]
    return tuple(made[:count]), tuple(made[count:])
