"""Bounds that every calibration shares: from error to tail probability (``models.detectors.calibration``)."""

from typing import Final

TAIL_PART: Final = 0.02
SHAPE_MIN: Final = 0.0
SHAPE_MAX: Final = 0.15
"""Bounds of the tail's shape: a heavier tail fitted on calm days alone would make every crisis look likely."""

P_MIN: Final = 1e-300

BASELINE_TICKS: Final = 600
"""Ticks of its own that an instrument's past must hold to count as a past."""
