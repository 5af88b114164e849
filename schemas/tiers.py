"""The tiers, lowest first: the one word of the language that risk records and order records share."""

from enum import IntEnum


class Tier(IntEnum):
    """How fragile the market of an instrument is; a higher tier is tighter."""

    NORMAL = 0
    ELEVATED = 1
    HIGH_ALERT = 2
    CRITICAL = 3
