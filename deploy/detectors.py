"""Who takes part: the baselines, the detectors that ship with Tidegate, and any other that is named."""

from collections.abc import Sequence
from typing import Final

from models.evaluation.benchmark import Comparison, Result
from models.evaluation.protocol import Detector, load
from models.evaluation.scored import Entry, Lineup

BASELINES: Final = (
    "models.baselines.volatility:VolatilityOnly",
    "models.baselines.spread_depth:SpreadDepth",
    "models.baselines.cusum:DepthCusum",
    "models.baselines.vpin:Vpin",
)
TAPE_BASELINES: Final = (
    "models.baselines.tape:TapeVolatility",
    "models.baselines.tape:TapePace",
    "models.baselines.tape:TapeSide",
    "models.baselines.tape:TapeLargest",
    "models.baselines.vpin:Vpin",
)
"""Where no book was recorded: what trades alone can tell."""
OWN_BASELINES: Final = frozenset({"pca"})
DUELS: Final = (
    ("erosion_stack_vae", "erosion_stack"),
    ("vae", "erosion_stack"),
    ("stack", "simple_stack"),
    ("erosion_stack", "simple_stack"),
)
"""Who must beat whom: a network to be worth its keep, what ships to be worth its choice."""

SHIPPED: Final[str | None] = "erosion_stack"
"""Name of the detector that ``score_risk`` runs; None: the best of the comparison."""


def lineup(others: Sequence[str], *, own: bool = True, tape: bool = False) -> Lineup:
    """Return what makes all who take part; each of ``others``, ``module:Class``, is loaded once to see that it can be.

    Args:
        others: Who joins.
        own: With those that come with Tidegate.
        tape: No book was recorded: the baselines are those of trades.

    Raises:
        DetectorError: One cannot be loaded.
    """
    for place in others:
        load(place)

    def made() -> list[Entry]:
        return [
            *(Entry(load(place), "baseline") for place in (TAPE_BASELINES if tape else BASELINES)),
            *(
                Entry(one, "baseline" if one.name in OWN_BASELINES else "detector")
                for one in (own_detectors() if own else ())
            ),
            *(Entry(load(place)) for place in others),
        ]

    return made


def own_detectors() -> list[Detector]:
    """Return those that come with Tidegate, new; they share one fit.

    Raises:
        ModuleNotFoundError: torch is not installed.
    """
    from models.detectors.suite import detectors  # noqa: PLC0415 - torch is not in the runtime group

    return detectors()


def shipped(comparison: Comparison) -> Result:
    """Return the row of the detector that ships, or else the best that is no canary and does not look ahead."""
    running = [one for one in comparison.results if one.role != "canary" and one.fault is None]
    return next((one for one in running if one.name == SHIPPED), running[0])
