"""Lines → signals, or their parts. Pure.

Headline: ``date;sentiment;source;subject;...`` (text, title and url are not looked at), date ``d-m-yyyy hh:mm``, sentiment a
Python dict with ``polarity`` from -1 to 1. The recording does not state its zone; UTC is assumed.

Own orders, our format, one signal a line in time order, as jsonl with these keys or as csv with this header:
``ts_event_ns`` (UTC), ``instrument_id``, ``kind`` (``ORDER`` or ``EXECUTION``), ``order_id`` (text, carried for people),
``order_qty`` (lots of the whole order), ``fill_qty`` (lots of this execution, 0 for an order).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from feeds.blocks import FeedError
from schemas.signals import SCORE_SCALE, Signal, SignalKind
from schemas.units import NS_PER_S

Place = tuple[Path | str, int]
"""File and line, from 1."""

HEADLINE_HEADER: Final = b"date;sentiment;source;subject;text;title;url"
ORDER_COLUMNS: Final = ("ts_event_ns", "instrument_id", "kind", "order_id", "order_qty", "fill_qty")

_MINUTE_NS: Final = 60 * NS_PER_S
_NUMBER_MAX: Final = 2**62
_INSTRUMENT_MAX: Final = 2**32 - 1
_DATE: Final = re.compile(r"(\d{1,2})-(\d{1,2})-(\d{4}) (\d\d):(\d\d)", re.ASCII)
_SENTIMENT: Final = re.compile(
    r"\{'class': '\w+', 'polarity': (-?)(\d)(?:\.(\d{1,9}))?, 'subjectivity': \d(?:\.\d+)?\}", re.ASCII
)
_KINDS: Final = {"ORDER": SignalKind.ORDER, "EXECUTION": SignalKind.EXECUTION}


@dataclass(frozen=True, slots=True)
class Headline:
    """One scored headline.

    Attributes:
        ts_event_ns: End of the minute that is written, UTC: stamps are cut to the minute, and no tick may know a headline
            before it was there.
        score: Polarity, 1e-9.
        subject: What it is about, the venue's word.
    """

    ts_event_ns: int
    score: int
    subject: str


def parse_headline(line: bytes, place: Place) -> Headline:
    """Return the headline in one line.

    Raises:
        FeedError: Not text, too few fields, no date, or a polarity that is none.
    """
    try:
        fields = line.decode().split(";", 4)
    except UnicodeDecodeError as error:
        raise FeedError(*place, f"not text: {error}") from error
    if len(fields) < 5:
        raise FeedError(*place, f"not a headline: {line[:80]!r}")
    date, sentiment, _, subject, _ = fields
    when, found = _DATE.fullmatch(date), _SENTIMENT.fullmatch(sentiment)
    if when is None or found is None:
        raise FeedError(*place, f"no date d-m-yyyy hh:mm or no sentiment: {line[:80]!r}")
    day, month, year, hour, minute = map(int, when.groups())
    try:
        seconds = int(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp())
    except ValueError as error:
        raise FeedError(*place, f"no date: {error}") from error
    score = int(found[2]) * SCORE_SCALE + int((found[3] or "").ljust(9, "0"))
    if score > SCORE_SCALE:
        raise FeedError(*place, f"polarity beyond 1: {sentiment!r}")
    return Headline(seconds * NS_PER_S + _MINUTE_NS, -score if found[1] else score, subject)


def parse_order_json(line: bytes, place: Place) -> Signal:
    """Return the signal in one jsonl line.

    Raises:
        FeedError: Not an object with exactly the documented keys, or values that make no sense.
    """
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise FeedError(*place, f"not JSON ({error}): {line[:80]!r}") from error
    if not isinstance(raw, dict) or raw.keys() != set(ORDER_COLUMNS):
        raise FeedError(*place, f"not an object with the keys {', '.join(ORDER_COLUMNS)}: {line[:80]!r}")
    return _order_signal(raw, place)


def parse_order_csv(line: bytes, place: Place) -> Signal:
    """Return the signal in one csv line; a field holds no comma and no quotes.

    Raises:
        FeedError: Not six fields, or values that make no sense.
    """
    try:
        fields = line.decode().rstrip("\r\n").split(",")
    except UnicodeDecodeError as error:
        raise FeedError(*place, f"not text: {error}") from error
    if len(fields) != len(ORDER_COLUMNS):
        raise FeedError(*place, f"not {len(ORDER_COLUMNS)} fields: {line[:80]!r}")
    raw: dict[str, Any] = dict(zip(ORDER_COLUMNS, fields, strict=True))
    for name in ("ts_event_ns", "instrument_id", "order_qty", "fill_qty"):
        digits = raw[name]
        if not digits.isascii() or not digits.isdigit() or len(digits) > 19:
            raise FeedError(*place, f"{name} is no number: {line[:80]!r}")
        raw[name] = int(digits)
    return _order_signal(raw, place)


def _order_signal(raw: Mapping[str, Any], place: Place) -> Signal:
    numbers = [raw[name] for name in ("ts_event_ns", "instrument_id", "order_qty", "fill_qty")]
    if any(type(number) is not int or not 0 <= number < _NUMBER_MAX for number in numbers):
        raise FeedError(*place, f"times, ids and lots are whole numbers from 0: {numbers}")
    ts_event_ns, instrument_id, order_qty, fill_qty = numbers
    if instrument_id > _INSTRUMENT_MAX:
        raise FeedError(*place, f"instrument_id has 32 bits, was {instrument_id}")
    kind = _KINDS.get(raw["kind"]) if isinstance(raw["kind"], str) else None
    if kind is None or not isinstance(raw["order_id"], str) or not raw["order_id"]:
        raise FeedError(*place, f"kind is ORDER or EXECUTION and order_id a text: {raw['kind']!r}, {raw['order_id']!r}")
    if not order_qty or (fill_qty != 0 if kind is SignalKind.ORDER else not 1 <= fill_qty <= order_qty):
        raise FeedError(*place, f"{kind.name} of {order_qty} lots cannot fill {fill_qty}")
    return Signal(ts_event_ns, instrument_id, kind, order_qty=order_qty, fill_qty=fill_qty)
