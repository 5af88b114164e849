"""Settings of `tidegate plan`: how much room to leave, and what things cost where the reader is."""

from dataclasses import dataclass, field
from typing import Final

from schemas.settings import between, check_bounds

PREFIX: Final = "TIDEGATE_PLAN"


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """Settings of `tidegate plan`.

    Attributes:
        utilisation: Share of a processor that a task may take at the planned rate; the rest is for bursts and catching up.
        instruments_per_channel: Most instruments in one channel; 0 = as many as fit.
        partition_headroom: Partitions for each channel: topics never get more later.
        replication: Copies of each message on the brokers.
        compression: Bytes on a broker's disk for each byte sent; 1 = the topics are not compressed.
        checkpoints_kept: Snapshots of all state that the checkpoints' storage holds.
        currency: What the prices are in.
        vcpu_hour: Price of a processor for an hour; the default counts processor hours.
        memory_gib_hour: Price of a GiB of memory for an hour.
        disk_gib_month: Price of a GiB of disk for a month.
    """

    utilisation: float = field(default=0.5, metadata=between(0.05, 1))
    instruments_per_channel: int = field(default=0, metadata=between(0))
    partition_headroom: int = field(default=2, metadata=between(1, 16))
    replication: int = field(default=3, metadata=between(1))
    compression: float = field(default=1.0, metadata=between(0.01, 1))
    checkpoints_kept: int = field(default=3, metadata=between(1))
    currency: str = "vCPU-hours"
    vcpu_hour: float = field(default=1.0, metadata=between(0))
    memory_gib_hour: float = field(default=0.0, metadata=between(0))
    disk_gib_month: float = field(default=0.0, metadata=between(0))

    def __post_init__(self) -> None:
        """Refuse what is out of bounds."""
        check_bounds(self)
