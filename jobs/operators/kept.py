"""Keyed state of a machine that keeps a snapshot and the messages since (``jobs.machines.keeping``)."""

from pyflink.common import Types
from pyflink.datastream import RuntimeContext
from pyflink.datastream.state import ListStateDescriptor, ValueStateDescriptor

from jobs.machines.keeping import Kept


class KeptState:
    """Of the current key."""

    def __init__(self, runtime_context: RuntimeContext, name: str) -> None:
        bytes_type = Types.PICKLED_BYTE_ARRAY()
        self._snapshot = runtime_context.get_state(ValueStateDescriptor(f"{name}-snapshot", bytes_type))
        self._entries = runtime_context.get_list_state(ListStateDescriptor(f"{name}-entries", bytes_type))

    def read(self) -> tuple[bytes | None, list[bytes]]:
        """Return snapshot and entries."""
        snapshot = self._snapshot.value()
        return (None if snapshot is None else bytes(snapshot)), [bytes(one) for one in self._entries.get() or ()]

    def keep(self, kept: Kept) -> None:
        """Keep what a machine says."""
        if kept.snapshot is not None:
            self._snapshot.update(kept.snapshot)
            self._entries.clear()
        elif kept.entry is not None:
            self._entries.add(kept.entry)
