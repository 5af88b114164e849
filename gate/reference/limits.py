"""The limits in force: which of the three columns count, and the tighter of them, limit by limit.

Invariant: the result is never looser than the envelope. A column that is needed and not wholly said gives nothing.
"""

from dataclasses import fields

from gate.rows import InstrumentRow, Limits

LARGER_IS_TIGHTER = {"quote_offset_bps", "message_weight", "margin"}


def is_stale(row: InstrumentRow, now_ns: int, *, writer_dead: bool) -> bool:
    """Return whether the dynamic column cannot be trusted."""
    return row.stale or now_ns <= 0 or now_ns >= row.valid_until_ns or writer_dead


def in_force(row: InstrumentRow, *, stale: bool, is_exit: bool) -> Limits | None:
    """Return the limits in force, or ``None`` where one that is needed is unset.

    An exit is not bound by the dynamic column: what tightens by itself must not trap a position.
    """
    needed = [row.envelope]
    if stale:
        needed.append(row.stale_limits)
    elif not is_exit:
        needed.append(row.dynamic)
    optional = [row.dynamic] if stale and not is_exit else []
    found: dict[str, int] = {}
    for limit in fields(Limits):
        said = [getattr(column, limit.name) for column in needed]
        if None in said:
            return None
        said += [value for column in optional if (value := getattr(column, limit.name)) is not None]
        found[limit.name] = max(said) if limit.name in LARGER_IS_TIGHTER else min(said)
    return Limits(**found)


def terms_are_set(row: InstrumentRow) -> bool:
    """Return whether the instrument's tick, lot and quantity steps are known."""
    return min(row.tick_size, row.lot_nano, row.qty_min, row.qty_step) > 0
