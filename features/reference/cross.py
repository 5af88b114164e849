"""Features across the instruments of a channel, once a second; plain Python, small groups only."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SECONDS: Final = 60
GROUP_MAX: Final = 64
STEPS: Final = 20
PAIRS_MIN: Final = 20
MOVED_MIN: Final = 1e-12

Returns = list[float | None]


@dataclass(frozen=True, slots=True)
class Member:
    """An instrument at a whole second: its trades of half-life 60 s, and its last 60 returns of 1 s by slot."""

    trades: float
    returns: Returns


def lead_correlations(members: Mapping[int, Member]) -> dict[int, float | None]:
    """Return instrument → correlation with the lead, 1 for the lead itself."""
    lead = min(members, key=lambda id_: (-members[id_].trades, id_), default=-1)
    return {
        id_: 1.0 if id_ == lead else _correlation(member.returns, members[lead].returns)
        for id_, member in members.items()
    }


def first_factor_share(members: Mapping[int, Member]) -> float | None:
    """Return the first eigenvalue's part of the trace."""
    busiest = sorted(sorted(members, key=lambda id_: (-members[id_].trades, id_))[:GROUP_MAX])
    rows = [row for id_ in busiest if (row := _standard(members[id_].returns)) is not None]
    if len(rows) < 2:
        return None
    vector = [1 / (1 + n) for n in range(len(rows))]
    value = 0.0
    for _ in range(STEPS):
        length = math.sqrt(sum(part * part for part in vector))
        factor = [sum(part / length * row[t] for part, row in zip(vector, rows, strict=True)) for t in range(SECONDS)]
        value = sum(f * f for f in factor)
        vector = [sum(f * x for f, x in zip(factor, row, strict=True)) for row in rows]
        if value <= 0:
            return None
    return value / len(rows)


def _correlation(a: Returns, b: Returns) -> float | None:
    pairs = [(x, y) for x, y in zip(a, b, strict=True) if x is not None and y is not None]
    if len(pairs) < PAIRS_MIN:
        return None
    mean_a, mean_b = (math.fsum(column) / len(pairs) for column in zip(*pairs, strict=True))
    square_a = math.fsum((x - mean_a) ** 2 for x, _ in pairs)
    square_b = math.fsum((y - mean_b) ** 2 for _, y in pairs)
    if square_a <= MOVED_MIN * math.fsum(x * x for x, _ in pairs):
        return None
    if square_b <= MOVED_MIN * math.fsum(y * y for _, y in pairs):
        return None
    both = math.fsum((x - mean_a) * (y - mean_b) for x, y in pairs)
    return max(-1.0, min(1.0, both / math.sqrt(square_a) / math.sqrt(square_b)))


def _standard(returns: Returns) -> list[float] | None:
    known = [x for x in returns if x is not None]
    if len(known) < PAIRS_MIN:
        return None
    mean = math.fsum(known) / len(known)
    square = math.fsum((x - mean) ** 2 for x in known)
    if square <= MOVED_MIN * math.fsum(x * x for x in known):
        return None
    return [0.0 if x is None else (x - mean) / math.sqrt(square) for x in returns]
