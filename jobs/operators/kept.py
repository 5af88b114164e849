"""Keyed state of a machine that keeps a snapshot, sealed, and the messages since (``jobs.machines.keeping``, ``sealing``)."""

from pyflink.common import Types
from pyflink.datastream import RuntimeContext
from pyflink.datastream.state import ListStateDescriptor, ValueStateDescriptor

from jobs.machines.keeping import Kept
from jobs.machines.sealing import Seal


class KeptState:
    """Of the current key."""

    def __init__(self, runtime_context: RuntimeContext, name: str, seal: Seal) -> None:
        self._seal = seal
        bytes_type = Types.PICKLED_BYTE_ARRAY()
        self._snapshot = runtime_context.get_state(ValueStateDescriptor(f"{name}-snapshot", bytes_type))
        self._entries = runtime_context.get_list_state(ListStateDescriptor(f"{name}-entries", bytes_type))

    def read(self) -> tuple[bytes | None, list[bytes]]:
        """Return snapshot and entries.

        Raises:
            StateError: The snapshot cannot be used.
        """
        kept = self._snapshot.value()
        snapshot = None if kept is None else self._seal.open(bytes(kept))
        return snapshot, [bytes(one) for one in self._entries.get() or ()]

    def keep(self, kept: Kept) -> None:
        """Keep what a machine says."""
        if kept.snapshot is not None:
            self._snapshot.update(self._seal.close(kept.snapshot))
            self._entries.clear()
        elif kept.entry is not None:
            self._entries.add(kept.entry)
