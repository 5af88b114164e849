"""Kinds of market events, sides and the frame and tick bit flags: one number, one meaning, for ever.

The numbers are part of the frame format (`market.frames` v1) and are mirrored in ``features/native/events.h``;
a test holds the two equal. ``side`` is always the side of the *resting* order or level, also for trades (so the
aggressor of a trade with side ``BID`` sold): mixing the two conventions flips the sign of every flow feature.
"""

from enum import IntEnum, IntFlag


class Kind(IntEnum):
    """What an event does to the book. ``price`` is 1e-9 currency, ``qty`` is lots."""

    ADD = 1  # new resting order `order_id`
    REDUCE = 2  # resting order loses `qty` lots, keeps its place
    DELETE = 3  # resting order leaves
    EXECUTE = 4  # resting, visible order trades `qty` lots at its own price
    EXECUTE_HIDDEN = 5  # trade against hidden liquidity at `price`: no visible order changes
    TRADE = 6  # trade print at `price` without a book effect (feeds by level)
    REPLACE = 7  # order `order_id` takes `price` and `qty`; its place in the queue is lost
    LEVEL_SET = 8  # level (`side`, `price`) now shows `qty` lots in all; 0 removes it
    SNAPSHOT_BEGIN = 9  # the book of the instrument is dropped; what follows rebuilds it
    SNAPSHOT_END = 10  # the book is whole again: stale and gap are over
    HALT = 11  # trading halted
    RESUME = 12  # trading resumed
    CLEAR = 13  # the book is emptied by the venue; an empty book is whole
    DEFINE = 14  # instrument definition: `price` = tick size (1e-9 currency), `qty` = lot size (1e-9 units)


class Side(IntEnum):
    """Side of the resting order or level."""

    BID = 1
    NONE = 0
    ASK = -1


class FrameFlag(IntFlag):
    """Flags of a frame."""

    HEARTBEAT = 1  # no events: the channel is alive and has reached `ts_last_ns`
    SNAPSHOT = 2  # the frame holds (part of) a snapshot
    GAP = 4  # the feed itself knows that it lost messages before this frame


class TickStatus(IntFlag):
    """Status bits of an instrument at a tick."""

    STALE = 1  # book not trustworthy: gap, or no snapshot yet
    GAP = 2  # a sequence gap was seen and no snapshot has mended it yet (implies STALE)
    BID_EMPTY = 4
    ASK_EMPTY = 8
    LOCKED = 16  # best bid equals best ask
    CROSSED = 32  # best bid above best ask
    HALTED = 64
    BOUND_HIT = 128  # a memory bound of the kernel was hit: book incomplete (implies STALE)
