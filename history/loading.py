"""Messages into a store without Kafka: rehearsals, backfills, tests. The same batches, rows and inserts as the writer's."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from history.batch import Arrival, Batch, Bounds
from history.database import Store
from schemas.errors import Place


@dataclass(slots=True)
class Loaded:
    """What was stored.

    Attributes:
        rows: Table → rows.
        refused: Messages that no table could take, as cause and topic.
    """

    rows: dict[str, int] = field(default_factory=dict)
    refused: list[tuple[str, str]] = field(default_factory=list)


def load(store: Store, messages: Iterable[tuple[str, bytes]], bounds: Bounds | None = None) -> Loaded:
    """Store messages, each a topic and a value.

    Raises:
        StoreError: The store refused an insert.
    """
    limits = bounds or Bounds(rows=100_000, bytes=64 * 1024 * 1024, age_ns=1 << 62)
    loaded, batch = Loaded(), Batch(limits)
    for offset, (topic, value) in enumerate(messages):
        batch.add(Arrival(Place(topic, 0, offset), value, 0), 0)
        if batch.is_due(0):
            _keep(store, batch, loaded)
            batch = Batch(limits)
    _keep(store, batch, loaded)
    return loaded


def _keep(store: Store, batch: Batch, loaded: Loaded) -> None:
    for table, rows in batch.tables():
        store.insert(table, rows)
        loaded.rows[table] = loaded.rows.get(table, 0) + rows.num_rows
    loaded.refused += [(letter.cause, letter.topic) for letter in batch.letters]
