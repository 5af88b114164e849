"""Recorded days as blocks, straight through the kernel: the same ticks as in production, without a broker."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from deploy.tape_blocks import TradePrices
from deploy.training import ticks_of
from feeds.formats import open_recording
from feeds.framing import frames_of
from models.evaluation.blocks import TICKS_PER_S, TickBlock, blocks_of_ticks
from models.evaluation.truth import TruthSettings, cost_bps
from schemas.ticks import Ticks
from schemas.units import NS_PER_S

SHORTEST_S = 60
PRICED_SHARE_MIN = 0.5

WHOLE_BOOKS = frozenset({"databento", "itch"})
"""Formats that show every order; the others show some levels, and a clip may find no price in them for that alone."""

CLIP_SHARE_MIN = 0.98
"""With a clip's cost unknown more often than this, half the spread stands for it: a gap ends calm for half a minute."""

TAPES = frozenset({"tape"})
"""Formats without a book: prices come from trades, and cost is not to be known."""

NEW_YORK = ZoneInfo("America/New_York")
REGULAR_HOURS_S = {"consolidated": (9.5 * 3600, 16 * 3600)}
"""Formats whose recordings run from before the market's hours until after them, when nobody quotes in earnest."""


def recorded_blocks(form: str, path: Path, *, seconds: float | None = None) -> list[TickBlock]:
    """Return the blocks of a recording, or of its first ``seconds``.

    Stretches under a minute are left out, and instruments that have no price for most of the time: an instrument without
    quotes is stale from end to end, and nothing in it could be judged.

    Raises:
        FeedError: Malformed input, with its place.
        ValueError: Nothing is left.
    """
    session = open_recording(form, path)
    until_ns = session.end_ns if seconds is None else session.start_ns + int(seconds * NS_PER_S)
    trades = TradePrices()
    events = trades.watched(session.blocks()) if form in TAPES else session.blocks()
    frames = frames_of(events, session.channel_id, start_ns=session.start_ns, end_ns=session.end_ns)
    found = blocks_of_ticks(_until(ticks_of(frames, session.channel_id), until_ns), session.channel_id)
    if form in TAPES:
        found = [trades.priced(block) for block in found]
    if form in REGULAR_HOURS_S:
        found = [part for block in found for part in _regular(block, *REGULAR_HOURS_S[form])]
    long = [block for block in found if len(block) >= SHORTEST_S * TICKS_PER_S]
    kept = [block for block in long if np.mean((block.ref_price > 0) & ~block.stale) >= PRICED_SHARE_MIN]
    if not kept:
        raise ValueError(f"none of {len(found)} stretches is a minute long and priced")
    return kept


def _until(messages: Iterator[Ticks], until_ns: int) -> Iterator[Ticks]:
    for message in messages:
        if int(message.tick_ns[-1]) > until_ns:
            return
        yield message


def settings_for(form: str, blocks: Sequence[TickBlock]) -> TruthSettings:
    """Return what the cost truth can use of a recording: the clip where its book shows it, or else the touch."""
    clip = TruthSettings(whole_book=form in WHOLE_BOOKS)
    known = np.concatenate([~np.isnan(cost_bps(block, clip))[~block.stale] for block in blocks])
    return clip if known.mean() >= CLIP_SHARE_MIN else replace(clip, cost="touch")


def _regular(block: TickBlock, open_s: float, close_s: float) -> list[TickBlock]:
    """Return the parts of a block within the market's hours, one a day."""
    day = datetime.fromtimestamp(int(block.tick_ns[0]) / NS_PER_S, NEW_YORK).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    parts = []
    while day.timestamp() * NS_PER_S <= block.tick_ns[-1]:
        edges = [int((day.timestamp() + seconds) * NS_PER_S) for seconds in (open_s, close_s)]
        first, last = np.searchsorted(block.tick_ns, edges).tolist()
        if last > first:
            parts.append(replace(block.part(first, last), name=f"{block.name}/{day:%Y%m%d}"))
        day += timedelta(days=1)
    return parts
