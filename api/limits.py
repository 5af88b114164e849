"""What the commands and the tier make of an instrument's limits, for people to see. Pure.

The gate's own row decides orders; this says what follows from the same messages, and a test holds it equal to the gate's book.
Of several administrators the tightest of every field counts; what nobody said is unset (``None``), which blocks; when a grant
ends, what was in force before it caps what is said. Rejected: importing the gate's policy (the API would have to ship its C
extension), asking the sidecar (it answers nobody, so that nobody can delay it).
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Final

from schemas.records import CommandKind, Envelope, LimitSet, RiskCommand, Tier, TierRule

UNLIMITED: Final = 2**63 - 1
NAMES: Final = tuple(field.name for field in fields(LimitSet))
NONE_SET: Final = LimitSet(**dict.fromkeys(NAMES))
_LARGER_IS_TIGHTER: Final = {"quote_offset_bps"}
_PERMILLE_OF: Final = {
    "max_order_qty": "qty_permille",
    "max_order_value": "value_permille",
    "max_long": "position_permille",
    "max_short": "position_permille",
    "price_band_bps": "band_permille",
    "price_band_ticks": "band_permille",
    "period_band_bps": "band_permille",
}


@dataclass(frozen=True, slots=True)
class Step:
    """Limits in one tier.

    Attributes:
        tier: Tier.
        halt: New orders that do not reduce a position are blocked.
        limits: Absolute limits; ``None`` = unset, which blocks.
    """

    tier: Tier
    halt: bool
    limits: LimitSet


@dataclass(frozen=True, slots=True)
class Grant:
    """What people set for one instrument, combined.

    Attributes:
        limits: The hard envelope.
        stale_limits: The column in force when the market state is unknown or expired.
        tiers: The tier table as given; empty = nobody gave one, and every tier halts.
        until_ns: When the first of the grants ends; ``None`` = never.
        administrators: Who set something; the firm's own desk is empty.
    """

    limits: LimitSet
    stale_limits: LimitSet
    tiers: tuple[TierRule, ...]
    until_ns: int | None
    administrators: tuple[str, ...]

    def step(self, tier: Tier) -> Step:
        """Return the limits in ``tier``: the tightest rule of all tiers up to it, and never looser than the envelope."""
        known = [rule for rule in _full(self.tiers) if rule.tier <= tier]
        permille = {word: min(getattr(rule, word) for rule in known) for word in _PERMILLE_OF.values()}
        offset_bps = max(rule.quote_offset_bps for rule in known)
        return Step(tier, halt=any(rule.halt for rule in known), limits=_scaled(self.limits, permille, offset_bps))


NO_GRANT: Final = Grant(NONE_SET, NONE_SET, (), None, ())


class Grants:
    """Who granted what, instrument by instrument, and who blocked what; commands are given in the topic's order."""

    def __init__(self) -> None:
        self._envelopes: dict[str, list[RiskCommand]] = {}
        self._kills: dict[str, dict[str, RiskCommand]] = {}
        self._restrictions: dict[str, dict[str, RiskCommand]] = {}

    def take(self, command: RiskCommand) -> None:
        """Take a command that was published."""
        if command.kind is CommandKind.SET_ENVELOPE and command.envelope is not None:
            self._envelopes.setdefault(command.scope, []).append(command)
        elif command.kind is CommandKind.KILL:
            self._kills.setdefault(command.scope, {})[command.administrator] = command
        elif command.kind is CommandKind.REARM and command.checker:
            self._kills.get(command.scope, {}).pop(command.administrator, None)
        elif command.kind is CommandKind.RESTRICT and command.instrument_id is None:
            self._restrictions.setdefault(command.scope, {})[command.administrator] = command
        elif command.kind is CommandKind.UNRESTRICT and command.instrument_id is None and command.checker:
            self._restrictions.get(command.scope, {}).pop(command.administrator, None)

    def of(self, instrument_id: int, at_ns: int) -> Grant:
        """Return what was granted for an instrument, as of ``at_ns`` (the clock of commands)."""
        given = [
            command for command in self._envelopes.get(f"instrument:{instrument_id}", ()) if command.ts_ns <= at_ns
        ]
        said: dict[str, RiskCommand] = {}
        caps: list[Grant] = []
        for command in given:
            if command.expires_ns is not None and at_ns >= command.expires_ns:
                caps.append(_combined(said.values()))
            elif not _caps_stand(command):
                caps = []
            said[command.administrator] = command
        found = _combined(said.values())
        for cap in caps:
            found = Grant(
                capped(found.limits, cap.limits),
                capped(found.stale_limits, cap.stale_limits),
                _tightest_table(found.tiers, cap.tiers) if found.tiers and cap.tiers else (),
                found.until_ns,
                found.administrators,
            )
        return found

    def blocks(self, instrument_id: int) -> list[RiskCommand]:
        """Return the kills and restrictions that block an instrument for everybody."""
        scope = f"instrument:{instrument_id}"
        found = [*self._kills.get("firm", {}).values(), *self._kills.get(scope, {}).values()]
        return [*found, *self._restrictions.get(scope, {}).values()]

    def all_blocks(self) -> list[RiskCommand]:
        """Return every kill and restriction that stands."""
        return [
            command
            for table in (self._kills, self._restrictions)
            for by_administrator in table.values()
            for command in by_administrator.values()
        ]

    def instruments(self) -> list[int]:
        """Return the instruments that somebody set an envelope for."""
        return sorted(int(scope.partition(":")[2]) for scope in self._envelopes if scope.partition(":")[2].isdecimal())


def _caps_stand(command: RiskCommand) -> bool:
    """Return whether an end of before still caps: a new word of two people decides anew."""
    return not command.checker


def _combined(commands: Iterable[RiskCommand]) -> Grant:
    found = NO_GRANT
    for command in commands:
        envelope = command.envelope
        assert envelope is not None, "only envelopes are kept"
        ends = [until for until in (found.until_ns, command.expires_ns) if until is not None]
        found = Grant(
            _joined(found.limits, envelope.limits),
            _joined(found.stale_limits, envelope.stale_limits),
            _joined_tables(found.tiers, envelope),
            min(ends, default=None),
            (*found.administrators, command.administrator),
        )
    return found


def _full(table: tuple[TierRule, ...]) -> tuple[TierRule, ...]:
    """Return one rule per tier, lowest first; a tier without one halts."""
    rules = {rule.tier: rule for rule in table}
    return tuple(rules.get(tier) or _halting(tier) for tier in Tier)


def _halting(tier: Tier) -> TierRule:
    none = dict.fromkeys(("qty_permille", "band_permille", "value_permille", "position_permille", "rate_permille"), 0)
    return TierRule(tier=tier, halt=True, margin_permille=1000, quote_offset_bps=0, **none)


def _joined_tables(table: tuple[TierRule, ...], envelope: Envelope) -> tuple[TierRule, ...]:
    if not table or not envelope.tiers:
        return table or envelope.tiers
    return _tightest_table(table, envelope.tiers)


def _tightest_table(one: tuple[TierRule, ...], other: tuple[TierRule, ...]) -> tuple[TierRule, ...]:
    return tuple(_tighter_rule(*pair) for pair in zip(_full(one), _full(other), strict=True))


def _tighter_rule(one: TierRule, other: TierRule) -> TierRule:
    smaller = {
        word: min(getattr(one, word), getattr(other, word))
        for word in ("qty_permille", "band_permille", "value_permille", "position_permille", "rate_permille")
    }
    return TierRule(
        tier=one.tier,
        halt=one.halt or other.halt,
        margin_permille=max(one.margin_permille, other.margin_permille),
        quote_offset_bps=max(one.quote_offset_bps, other.quote_offset_bps),
        **smaller,
    )


def _joined(one: LimitSet, other: LimitSet) -> LimitSet:
    """Return the tightest of what either says."""
    return LimitSet(**{name: _tighter(name, getattr(one, name), getattr(other, name)) for name in NAMES})


def capped(one: LimitSet, cap: LimitSet) -> LimitSet:
    """Return the tightest of both; what either leaves unset is unset."""
    both = {name: (getattr(one, name), getattr(cap, name)) for name in NAMES}
    return LimitSet(**{name: None if None in pair else _tighter(name, *pair) for name, pair in both.items()})


def _tighter(name: str, one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other) if name in _LARGER_IS_TIGHTER else min(one, other)


def _scaled(limits: LimitSet, permille: dict[str, int], offset_bps: int) -> LimitSet:
    scaled = {name: _part(getattr(limits, name), permille[word]) for name, word in _PERMILLE_OF.items()}
    hard_offset = limits.quote_offset_bps
    return LimitSet(**scaled, quote_offset_bps=None if hard_offset is None else max(hard_offset, offset_bps))


def _part(limit: int | None, permille: int) -> int | None:
    if limit is None or permille >= 1000:
        return limit
    return limit if limit == UNLIMITED and permille > 0 else limit * permille // 1000
