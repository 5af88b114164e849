"""The limit book: which rows every instrument and account has, from risk states and commands. Pure; times are arguments.

Invariants: per instrument the largest ``(epoch, tick_ns)`` wins and a smaller epoch than any seen is fenced off;
a command is applied once; the table always holds what follows from all that was applied, so a book can be moved to
another table. The sidecar (monotonic clock) and ``enforce_orders`` (event time) run this same code. Rejected: judging
tiers again here (a gate with an opinion of its own could disagree with the state that it reports).
"""

import heapq
from collections import Counter
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Final

from gate._native import LimitTable
from gate.errors import TableFullError
from gate.policy.account_book import AccountBook
from gate.policy.commands import (
    INSTRUMENT,
    INSTRUMENT_ID_MAX,
    CommandOutcome,
    CommandRefusedError,
    instrument_id_of,
    require_maker,
    require_two,
    scope_of,
)
from gate.policy.instrument import NEVER_FRESH_NS, Instrument
from gate.policy.limits import envelope_fault
from gate.policy.standing import Standing, named
from gate.rows import UNLIMITED, InstrumentRow
from schemas.records import CommandKind, RiskCommand, RiskState

TIME_NS_MAX: Final = 2**62
"""Largest ``tick_ns`` and epoch: the year 2116, with room below 2^63 to add a ttl."""

_ENDING: Final = {CommandKind.SET_ENVELOPE, CommandKind.SET_ACCOUNT, CommandKind.APPROVE_ORDER, CommandKind.LOCATE}


class StateOutcome(IntEnum):
    """What became of a risk state; refused is falsy."""

    REFUSED = 0  # fenced, or not newer than what is held
    APPLIED = 1
    RECOVERED = 2  # applied, and the first fresh one after a silence that `expired` reported


class LimitBook:
    """Applies states and commands to a table.

    Args:
        table: A table open for writing.
        ttl_ns: How long a state stays valid in event time, where ``apply_state`` is given no ``valid_until_ns``.
        fence_epoch: States of a smaller epoch are refused; rises with the epochs seen.
        loosen_dwell_ns: How long, in event time, a tier must be over before a lower one may loosen a limit: until then the
            tightest tier of that time is in force. 0 = the tier machine's own dwell is trusted.
    """

    def __init__(self, table: LimitTable, *, ttl_ns: int, fence_epoch: int = 0, loosen_dwell_ns: int = 0) -> None:
        self.table = table
        self.ttl_ns = ttl_ns
        self.fence_epoch = fence_epoch
        self.loosen_dwell_ns = loosen_dwell_ns
        self._instruments: dict[int, Instrument] = {}
        self._accounts = AccountBook(table)
        self._standing = Standing(table)
        self._command_ids: set[str] = set()
        self._endings: list[tuple[int, int, RiskCommand]] = []
        self._counts = {"states_applied": 0, "states_fenced": 0, "states_older": 0}
        self._appliers: Mapping[CommandKind, Callable[[RiskCommand, int, int | None], str]] = {
            CommandKind.SET_ENVELOPE: self._set_envelope,
            CommandKind.SET_ACCOUNT: lambda command, at_ns, _: self._accounts.change(command, at_ns),
            CommandKind.KILL: self._block,
            CommandKind.REARM: self._block,
            CommandKind.RESTRICT: self._block,
            CommandKind.UNRESTRICT: self._block,
            CommandKind.APPROVE_ORDER: lambda command, _, until_ns: self._standing.approve(command, until_ns),
            CommandKind.LOCATE: lambda command, _, until_ns: self._standing.locate(command, until_ns),
        }

    def apply_state(self, state: RiskState, *, valid_until_ns: int | None = None, written_ns: int = 0) -> StateOutcome:
        """Write the row that follows from ``state``.

        Args:
            state: Any order of arrival; what is not newer than the state held is refused.
            valid_until_ns: The row is expired from this time on, on the clock of orders; ``None`` = ``state.tick_ns +
                ttl_ns`` (event time); ``NEVER_FRESH_NS`` = remember it, but stale. Its reference price ages from
                ``valid_until_ns - ttl_ns`` on.
            written_ns: Kept in the row, for latency measurement.

        Raises:
            TableFullError: A new instrument has no room.
            ValueError: A number is out of reach. Nothing has changed.
        """
        _require_in_reach(state)
        if state.epoch < self.fence_epoch:
            self._counts["states_fenced"] += 1
            return StateOutcome.REFUSED
        entry = self._entry(state.instrument_id)
        held = entry.state
        if held is not None and (state.epoch, state.tick_ns) <= (held.epoch, held.tick_ns):
            self._counts["states_older"] += 1
            return StateOutcome.REFUSED
        until_ns = state.tick_ns + self.ttl_ns if valid_until_ns is None else valid_until_ns
        from_ns = NEVER_FRESH_NS if until_ns == NEVER_FRESH_NS else until_ns - self.ttl_ns
        entry.take(state, valid_until_ns=until_ns, ref_from_ns=from_ns, dwell_ns=self.loosen_dwell_ns)
        entry.written_ns = written_ns
        self._write(entry)
        self.fence_epoch = state.epoch
        self._counts["states_applied"] += 1
        if entry.silence_told and entry.valid_until_ns != NEVER_FRESH_NS:
            entry.silence_told = False
            return StateOutcome.RECOVERED
        return StateOutcome.APPLIED

    def apply_command(
        self, command: RiskCommand, *, now_ns: int | None = None, until_ns: int | None = None
    ) -> CommandOutcome:
        """Apply a command once. ``RELEASE`` and ``LOAD_MODEL`` are the scorer's business.

        Args:
            command: A command; a refused one may come again.
            now_ns: When it arrived, on its own clock, against which ``expires_ns`` is judged; ``None`` = ``ts_ns``.
            until_ns: ``expires_ns`` on the clock of orders, where :meth:`expire` judges it; ``None`` = the same clock.
        """
        if command.command_id in self._command_ids:
            return CommandOutcome(applied=False, cause="duplicate", detail="was applied before")
        if command.kind not in self._appliers:
            return CommandOutcome(applied=False, cause="ignored", detail="releases and models are for the scorer")
        at_ns = command.ts_ns if now_ns is None else now_ns
        try:
            if command.expires_ns is not None and at_ns > command.expires_ns:
                raise CommandRefusedError("expired", f"arrived at {at_ns}, expired at {command.expires_ns}")
            detail = self._appliers[command.kind](command, at_ns, until_ns)
        except CommandRefusedError as error:
            return CommandOutcome(applied=False, cause=error.cause, detail=str(error))
        except TableFullError as error:
            return CommandOutcome(applied=False, cause="table_full", detail=str(error))
        if command.expires_ns is not None and command.kind in _ENDING:
            ends_ns = command.expires_ns if until_ns is None else until_ns
            heapq.heappush(self._endings, (ends_ns, len(self._command_ids), command))
        self._command_ids.add(command.command_id)
        return CommandOutcome(applied=True, cause="applied", detail=detail)

    def expire(self, now_ns: int) -> list[RiskCommand]:
        """End what people loosened, approved or located until ``now_ns``; return the commands that did."""
        ended = []
        while self._endings and self._endings[0][0] <= now_ns:
            until_ns, _, command = heapq.heappop(self._endings)
            if self._end(command, until_ns):
                ended.append(command)
        return ended

    def expired(self, now_ns: int) -> list[int]:
        """Return the instruments whose last state has expired by ``now_ns``, each once per silence.

        An instrument that never had a state is not among them: nothing fell silent.
        """
        silent = []
        for instrument_id, entry in self._instruments.items():
            if entry.state is not None and not entry.silence_told and now_ns >= entry.valid_until_ns:
                entry.silence_told = True
                silent.append(instrument_id)
        return silent

    def state_of(self, instrument_id: int) -> RiskState | None:
        """Return the state in force (fresh or not); ``None`` before the first one."""
        entry = self._instruments.get(instrument_id)
        return None if entry is None else entry.state

    def census(self, now_ns: int) -> Counter[str]:
        """Return how many rows are ``fresh``, ``stale``, ``expired`` or ``never`` told, of which ``tier_<n>``, and ``degraded``."""
        found: Counter[str] = Counter()
        for entry in self._instruments.values():
            state = entry.state
            if state is None:
                found["never"] += 1
                continue
            found["expired" if now_ns >= entry.valid_until_ns else "stale" if state.stale else "fresh"] += 1
            found[f"tier_{int(state.tier)}"] += 1
            found["degraded"] += state.degraded
        return found

    def memory_of(self, instrument_id: int) -> list[list[tuple[int, int]]]:
        """Return what the last state of an instrument does not tell: recent tiers and reference prices."""
        return self._instruments[instrument_id].memory()

    def remember(self, instrument_id: int, memory: list[list[tuple[int, int]]]) -> None:
        """Take what :meth:`memory_of` returned in a past life, before that life's last state is applied."""
        entry = self._entry(instrument_id)
        entry.remember(memory)
        self._write(entry)

    def counters(self) -> dict[str, int]:
        """Return how many states were applied, fenced and older, commands applied, instruments and accounts held."""
        held = {"instruments": len(self._instruments), "accounts": len(self._accounts)}
        return {**self._counts, "commands_applied": len(self._command_ids), **held}

    def move_to(self, table: LimitTable) -> None:
        """Write everything into ``table`` and go on with it; what it holds of a past life becomes unset.

        The firm is killed meanwhile: a mix of old and new rows could pass an order that neither the old nor the new
        content passes, and a process that dies half way leaves a table that passes none.

        Raises:
            TableFullError: ``table`` is too small.
        """
        table.kill_firm(True)
        self.table = table
        for entry in self._instruments.values():
            self._write(entry)
        for instrument_id in set(table.instrument_ids()) - self._instruments.keys():
            table.put(InstrumentRow(instrument_id).pack())
        self._accounts.move_to(table)
        self._standing.move_to(table)
        table.kill_firm(self._standing.firm_killed)

    def _set_envelope(self, command: RiskCommand, at_ns: int, _until_ns: int | None) -> str:
        instrument_id = instrument_id_of(scope_of(command, INSTRUMENT))
        if command.envelope is None:
            raise CommandRefusedError("no_envelope", "the command brings no envelope")
        if fault := envelope_fault(command.envelope):
            raise CommandRefusedError("bad_envelope", fault)
        entry = self._entry(instrument_id)
        entry.grants = entry.grants.changed(command, command.envelope, at_ns)
        self._write(entry)
        return f"envelope of instrument {instrument_id} is set"

    def _block(self, command: RiskCommand, _at_ns: int, _until_ns: int | None) -> str:
        """Apply KILL, REARM, RESTRICT or UNRESTRICT."""
        is_kill = command.kind in {CommandKind.KILL, CommandKind.REARM}
        if command.scope.partition(":")[0] != INSTRUMENT:
            return self._standing.kill(command) if is_kill else self._standing.restrict_pair(command)
        scope = scope_of(command, INSTRUMENT)
        entry = self._entry(instrument_id_of(scope))
        blocks = self._standing.kills if is_kill else self._standing.restrictions
        left = blocks.by(str(scope)) - {command.administrator}
        if command.kind in {CommandKind.KILL, CommandKind.RESTRICT}:
            require_maker(command)
            left |= {command.administrator}
        else:
            require_two(command, f"{command.kind} of {scope}")
        if is_kill:
            entry.killed = bool(left)
        else:
            entry.restricted = bool(left)
        self._write(entry)
        blocks.set(str(scope), left)
        return f"{scope} is {'blocked by ' + named(left) if left else 'open'}"

    def _end(self, command: RiskCommand, until_ns: int) -> bool:
        if command.kind is CommandKind.SET_ACCOUNT:
            return self._accounts.end(command)
        if command.kind is not CommandKind.SET_ENVELOPE:
            return self._standing.end(command, until_ns)
        entry = self._entry(instrument_id_of(scope_of(command, INSTRUMENT)))
        if not entry.grants.ends_with(command):
            return False
        entry.grants = entry.grants.ended(command)
        self._write(entry)
        return True

    def _entry(self, instrument_id: int) -> Instrument:
        """Return what is held about an instrument; a new one is kept by `_write`, when the table has room."""
        return self._instruments.get(instrument_id) or Instrument(instrument_id)

    def _write(self, entry: Instrument) -> None:
        if not self.table.put(entry.row(self.loosen_dwell_ns).pack()):
            raise TableFullError(f"instrument {entry.instrument_id}", self.table.capacity)
        self._instruments[entry.instrument_id] = entry


def _require_in_reach(state: RiskState) -> None:
    if not 1 <= state.instrument_id <= INSTRUMENT_ID_MAX:
        raise ValueError(f"instrument_id was {state.instrument_id}, must be 1 to {INSTRUMENT_ID_MAX}")
    if max(abs(state.tick_ns), abs(state.epoch)) > TIME_NS_MAX:
        raise ValueError(f"tick_ns {state.tick_ns} or epoch {state.epoch} is out of reach")
    if abs(state.ref_price or 0) > UNLIMITED:
        raise ValueError(f"ref_price {state.ref_price} is out of reach")
