"""What a model says of channels as a whole: where their calibration starts and which tiers their scores bring."""

from dataclasses import dataclass, field

from models.detectors.calibration import CalibrationStart
from models.tiers import TierLevels


@dataclass(frozen=True, slots=True, eq=False)
class SystemicStart:
    """Of one channel.

    Attributes:
        start: Calibration of a channel's score.
        levels: Tier levels; Critical's are not used.
    """

    start: CalibrationStart = field(repr=False)
    levels: TierLevels
