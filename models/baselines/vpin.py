"""VPIN as it is (Easley, Lopez de Prado, O'Hara 2012): shown because it is asked for, not because it was found to foretell."""

from collections.abc import Sequence

from models.evaluation.blocks import TickBlock, Vector


class Vpin:
    """The feature ``vpin``, unscaled: it is a share by construction."""

    name = "VPIN"

    def fit(self, past: Sequence[TickBlock]) -> None:
        """Learn nothing."""

    def score(self, block: TickBlock) -> Vector:
        """Return the feature; NaN until ten volume buckets are full."""
        return block.column("vpin")
