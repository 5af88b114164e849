"""The form in which snapshots lie in Flink's state: sealed, so that one says what it is before anybody reads it.

Version 1 was the machine's bytes alone. Version 2 puts a header before them: the machine, the epoch and the feature
specification that they were written under, and a checksum; and what is inside changed for one machine
(``jobs.machines.migrations``). Both are read; which is written is a setting, so that a deployment that may still have to go back
without a savepoint writes what the release before it can read. Invariant: what is opened is
exactly what was closed, by this machine, or the state is refused with words; an epoch never goes back, because every consumer
would fence all that such a job says. *Not taken:* schema evolution by Flink, to which Python's state is bytes.
"""

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from features.spec import SPEC_HASH
from jobs.machines.migrations import tick_scaling_to_1, tick_scaling_to_2

VERSIONS: Final = (1, 2)
NEWEST: Final = VERSIONS[-1]

_MAGIC: Final = b"TGDSTATE"
"""No snapshot of version 1 begins so: a kernel's has a magic of its own, all others begin with a small number."""
_HEADER: Final = struct.Struct("<8sHHQ8sIQ")
"""Magic, version, machine, epoch, feature specification, CRC-32 and length of the bytes behind."""
_SPEC: Final = bytes.fromhex(SPEC_HASH)


class StateError(ValueError):
    """A snapshot in Flink's state cannot be used; the message says why and what to do."""


class Machine(IntEnum):
    """Whose state it is; numbers are never used again."""

    CHANNEL_FEATURES = 1
    TICK_SCALING = 2
    RISK_SCORING = 3
    MARKET_RISK = 4


@dataclass(frozen=True, slots=True)
class Seal:
    """What one machine of one deployment puts on its snapshots.

    Attributes:
        machine: The machine.
        epoch: Of the deployment that writes.
        version: Written; every version is read.
    """

    machine: Machine
    epoch: int
    version: int = NEWEST

    def close(self, snapshot: bytes) -> bytes:
        """Return a machine's bytes as they are kept."""
        if self.version == 1:
            return tick_scaling_to_1(snapshot) if self.machine is Machine.TICK_SCALING else snapshot
        head = (_MAGIC, self.version, self.machine, self.epoch, _SPEC, zlib.crc32(snapshot), len(snapshot))
        return _HEADER.pack(*head) + snapshot

    def open(self, kept: bytes) -> bytes:
        """Return the machine's bytes in what was kept, by any version.

        Raises:
            StateError: Damaged, of another machine, of a version still unknown here, of another feature specification, or
                written under a larger epoch.
            ValueError: Of version 1, and not this machine's.
        """
        if not kept.startswith(_MAGIC):
            return tick_scaling_to_2(kept) if self.machine is Machine.TICK_SCALING else kept
        if len(kept) < _HEADER.size:
            raise StateError(f"state of {self.machine.name} is cut short: {len(kept)} bytes")
        _, version, machine, epoch, spec, checksum, length = _HEADER.unpack_from(kept)
        snapshot = kept[_HEADER.size :]
        if version not in VERSIONS:
            raise StateError(
                f"state of {self.machine.name} has version {version}, this release reads {VERSIONS}: start it from a "
                "savepoint of its own, or go on with the newer release"
            )
        if machine != self.machine:
            raise StateError(
                f"state of machine {machine} where that of {self.machine.name} ({self.machine:d}) was wanted"
            )
        if length != len(snapshot) or checksum != zlib.crc32(snapshot):
            raise StateError(f"state of {self.machine.name} is damaged: {len(snapshot)} bytes, {length} were written")
        if spec != _SPEC:
            raise StateError(
                f"state of {self.machine.name} is of feature specification {spec.hex()}, this release has {SPEC_HASH}: "
                "start without the old state"
            )
        if epoch > self.epoch:
            raise StateError(
                f"state of {self.machine.name} was written under epoch {epoch}, this job has {self.epoch} and would be "
                f"fenced by every consumer: set epoch to {epoch + 1} or more"
            )
        return snapshot
