"""Rollups filled anew from the views that show every row once: after a change of code, or for a store older than they are.

Invariant: a rollup built anew equals one that was filled by inserts, however often rows came (a test compares them): both run the
one SELECT of the materialised view. A day at a time, so that memory is bounded by a day. Rows that come meanwhile may be taken
twice, which changes nothing. Rejected: a second copy of the SELECTs here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from history.database import Store


@dataclass(frozen=True, slots=True)
class Rollup:
    """One chain of rollups.

    Attributes:
        view: Materialised view that fills the first table.
        source: Table that the view reads; ``<source>_once`` shows its rows once.
        time: Time column of the source.
        tables: The table that is filled, and those that its own inserts fill.
    """

    view: str
    source: str
    time: str
    tables: tuple[str, ...]


ROLLUPS: Final = (
    Rollup("ticks_1s_fill", "ticks", "tick_ns", ("ticks_1s", "ticks_1m")),
    Rollup("states_1m_fill", "risk_states", "tick_ns", ("states_1m",)),
    Rollup("states_last_fill", "risk_states", "tick_ns", ("states_last",)),
    Rollup("tier_changes_fill", "risk_states", "tick_ns", ("tier_changes",)),
)


def rebuild(store: Store, tell: Callable[[str], None] = lambda _line: None) -> None:
    """Empty every rollup and fill it from what is stored.

    Raises:
        StoreError: A statement failed; the rollup is then incomplete, and a second run completes it.
    """
    for rollup in ROLLUPS:
        ((select, columns),) = store.rows(
            "SELECT as_select, (SELECT arrayStringConcat(groupArray('`' || name || '`'), ', ') FROM system.columns "  # noqa: S608 (names of ours)
            f"WHERE database = currentDatabase() AND table = '{rollup.view}') FROM system.tables "
            f"WHERE database = currentDatabase() AND name = '{rollup.view}'"
        )
        days = store.rows(f"SELECT DISTINCT toYYYYMMDD({rollup.time}) AS day FROM {rollup.source} ORDER BY day")  # noqa: S608 (names of ours)
        for table in rollup.tables:
            store.command(f"TRUNCATE TABLE {table}")
        for (day,) in days:
            once = (
                f"(SELECT * FROM {rollup.source}_once WHERE toYYYYMMDD({rollup.time}) = {int(day)}) AS {rollup.source}"  # noqa: S608 (names of ours)
            )
            of_day, found = re.subn(rf"\bFROM (?:\w+\.)?{rollup.source}\b", f"FROM {once}", str(select))
            assert found == 1, f"{rollup.view} reads {rollup.source} once"
            store.command(f"INSERT INTO {rollup.tables[0]} ({columns}) {of_day}")
        tell(f"{' and '.join(rollup.tables)}: {len(days)} days")
