"""What people and the scorer say: rows and sets as dictionaries, where the gate has shared memory.

Invariant: nothing here changes by judging. A restriction of one customer and a locate are keyed by the pair itself, so
that the twin needs no hash of it. Memory that stands still cannot be torn: the twin never says ``TORN_READ``.
"""

from dataclasses import dataclass, field

from gate.reference.orders import scope_hash
from gate.rows import AccountRow, InstrumentRow

FIRM = scope_hash("firm")


@dataclass(slots=True)
class Tables:
    """The limit table. ``full`` holds the names of sets that had no room for a member: each is read as the worst."""

    rows: dict[int, InstrumentRow] = field(default_factory=dict)
    accounts: dict[int, AccountRow] = field(default_factory=dict)
    blocked: set[int | tuple[int, int]] = field(default_factory=set)  # scopes, or (account, instrument_id)
    approved: dict[int, int] = field(default_factory=dict)  # order id -> until, ns
    rearmed: dict[int, int] = field(default_factory=dict)  # strategy -> times
    located: dict[tuple[int, int], int] = field(default_factory=dict)  # (account, instrument_id) -> lots
    full: set[str] = field(default_factory=set)
    firm_killed: bool = False
    heartbeat_ns: int = 0
    heartbeat_ttl_ns: int = 0

    def is_blocked(self, member: int | tuple[int, int]) -> bool:
        """Return whether a scope, or an account in an instrument, is blocked."""
        return "blocked" in self.full or member in self.blocked

    def approved_until_ns(self, order_id: int) -> int:
        """Return until when a second person approved the order; 0 = nobody did."""
        return 0 if "approved" in self.full else self.approved.get(order_id, 0)

    def times_rearmed(self, strategy: int) -> int:
        """Return how often a person re-enabled the strategy's throttle."""
        return 0 if "rearmed" in self.full else self.rearmed.get(strategy, 0)

    def located_lots(self, account: int, instrument_id: int) -> int:
        """Return what the account may be short."""
        return 0 if "located" in self.full else self.located.get((account, instrument_id), 0)

    def writer_dead(self, now_ns: int) -> bool:
        """Return whether the writer has been silent for too long."""
        return self.heartbeat_ttl_ns > 0 and (now_ns <= 0 or now_ns - self.heartbeat_ns > self.heartbeat_ttl_ns)
