"""The limits in force in Flink, from risk states and commands, and what must be kept to have them again.

Invariant: ``relearn`` of what ``learn`` asked to keep gives a table with the same rows: commands again in their order, each
at the market time at which it came (what had ended by then, had ended), then of each instrument the memory before its last
state, and that state. The market's clock is the newest tick of any state; it ends what people granted for a while.
"""

import json
import struct
from collections.abc import Iterable
from typing import Final, cast

from gate._native import LimitTable
from gate.errors import TableFullError
from gate.policy.limit_book import LimitBook
from jobs.machines.evidence import Evidence
from jobs.machines.letters import Message, dead_letter
from schemas import codec, topics
from schemas.codec import Registry
from schemas.errors import MessageError, Place
from schemas.records import RiskCommand, RiskState

INSTRUMENTS: Final = 4_096
"""Instruments that one operator can hold; more meet ``unknown_instrument``, that is, are refused."""
ACCOUNTS: Final = 1_024
_COMMAND: Final = "command:"
_STATE: Final = "state:"
_CLOCK: Final = struct.Struct("<q")
_LENGTH: Final = struct.Struct("<I")

Kept = tuple[str, bytes]
"""Name and value of an entry of broadcast state."""


class RuleBook:
    """A limit book over a private table."""

    def __init__(self, *, ttl_ns: int, source: str, registry: Registry | None = None) -> None:
        self.table = LimitTable.private(INSTRUMENTS, ACCOUNTS)
        self.evidence = Evidence(self.table)
        self._book = LimitBook(self.table, ttl_ns=ttl_ns)
        self._source, self._registry = source, registry
        self._market_ns = 0

    def learn(self, raw: bytes, place: Place) -> tuple[Kept | None, list[Message]]:
        """Take a risk state or a command; return what must be kept (``None``: it changed nothing) and dead letters."""
        try:
            record = codec.decode(place.topic, raw, self._registry)
            if isinstance(record, RiskState):
                return self._learn_state(record, raw), []
            return self._learn_command(cast("RiskCommand", record), raw, place), []
        except MessageError as error:
            refused = error
        except TableFullError as error:
            refused = MessageError("table_full", str(error))
        except ValueError as error:
            refused = MessageError("bad_record", str(error))
        return None, [dead_letter(refused, raw, place, source=self._source, registry=self._registry)]

    def relearn(self, kept: Iterable[Kept]) -> None:
        """Rebuild the book from all that was kept."""
        for name, value in sorted(kept):
            if name.startswith(_COMMAND):
                (market_ns,) = _CLOCK.unpack_from(value)
                self._advance(market_ns)
                self.learn(value[_CLOCK.size :], Place(topics.RISK_COMMANDS))
            else:
                (length,) = _LENGTH.unpack_from(value)
                memory = json.loads(value[_LENGTH.size : _LENGTH.size + length])
                self._book.remember(int(name.removeprefix(_STATE)), memory)
                self.learn(value[_LENGTH.size + length :], Place(topics.RISK_STATES))
        self.evidence.start_anew()

    def _learn_state(self, state: RiskState, raw: bytes) -> Kept | None:
        known = self._book.state_of(state.instrument_id) is not None
        memory = self._book.memory_of(state.instrument_id) if known else [[], [], []]
        if not self._book.apply_state(state):
            return None
        self.evidence.note_row(state.instrument_id)
        self._advance(state.tick_ns)
        plain = json.dumps(memory, separators=(",", ":")).encode()
        return f"{_STATE}{state.instrument_id}", _LENGTH.pack(len(plain)) + plain + raw

    def _learn_command(self, command: RiskCommand, raw: bytes, place: Place) -> Kept | None:
        market_ns = self._market_ns
        if not self._book.apply_command(command).applied:
            return None
        self.evidence.note_policy()
        # Offsets order the commands again after a restore, whatever the order of the state's entries.
        return f"{_COMMAND}{place.partition:05d}:{place.offset:020d}", _CLOCK.pack(market_ns) + raw

    def _advance(self, market_ns: int) -> None:
        if market_ns > self._market_ns:
            self._market_ns = market_ns
            if self._book.expire(market_ns):
                self.evidence.note_policy()
