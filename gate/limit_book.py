"""The limit book: which row every instrument has, from risk states and commands. Pure; times are arguments.

Invariants: per instrument the largest ``(epoch, tick_ns)`` wins and a smaller epoch than any seen is fenced off;
a command is applied once; the table always holds what follows from all that was applied, so a book can be moved to
another table. The sidecar (monotonic clock) and ``enforce_orders`` (event time) run this same code. Rejected: judging
tiers again here (a gate with an opinion of its own could disagree with the state that it reports).
"""

import dataclasses
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from gate import _native
from gate._native import LimitTable, account_hash
from gate.limits import DynamicLimits, dynamic_limits, envelope_fault
from schemas.records import (
    CommandKind,
    Envelope,
    LimitSet,
    OrderAction,
    OrderDecision,
    OrderRequest,
    OrderSide,
    OrderType,
    RiskCommand,
    RiskState,
    Tier,
    Verdict,
)

INSTRUMENT_ID_MAX: Final = 2**32 - 1
TIME_NS_MAX: Final = 2**62
"""Largest ``tick_ns`` and epoch: the year 2116, with room below 2^63 to add a ttl."""

NEVER_FRESH_NS: Final = 0
"""``valid_until_ns`` of a state that is remembered but must not look fresh."""

_ACTIONS: Final = {
    OrderAction.NEW: _native.ORDER_NEW,
    OrderAction.REPLACE: _native.ORDER_REPLACE,
    OrderAction.CANCEL: _native.ORDER_CANCEL,
}
_SIDES: Final = {OrderSide.BUY: _native.ORDER_BUY, OrderSide.SELL: _native.ORDER_SELL}
_TYPES: Final = {OrderType.LIMIT: _native.ORDER_LIMIT, OrderType.MARKET: _native.ORDER_MARKET}
_UNKNOWN: Final = -1
_TIERS: Final = tuple(Tier)
_UNSET_LIMITS: Final = LimitSet(max_order_qty=None, price_band_bps=None)
_UNSET_DYNAMIC: Final = DynamicLimits(max_order_qty=None, price_band_bps=None, halt=False)


class TableFullError(RuntimeError):
    """The limit table has no room for another instrument; its orders meet ``unknown_instrument``.

    Attributes:
        instrument_id: The instrument without a row.
        capacity: Instruments that the table holds.
    """

    def __init__(self, instrument_id: int, capacity: int) -> None:
        super().__init__(f"no room for instrument {instrument_id}: the limit table holds {capacity}")
        self.instrument_id = instrument_id
        self.capacity = capacity


class StateOutcome(IntEnum):
    """What became of a risk state; refused is falsy."""

    REFUSED = 0  # fenced, or not newer than what is held
    APPLIED = 1
    RECOVERED = 2  # applied, and the first fresh one after a silence that `expired` reported


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """What became of a command.

    Attributes:
        applied: It is in force.
        cause: ``applied``, ``ignored`` (not the gate's business), ``duplicate``, ``expired``, ``bad_scope``,
            ``no_envelope``, ``bad_envelope``, ``no_maker``, ``same_person`` or ``table_full``.
        detail: One sentence for a person.
    """

    applied: bool
    cause: str
    detail: str


class CommandRefusedError(ValueError):
    """A command that must not be applied; ``cause`` is that of its outcome."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(detail)
        self.cause = cause


@dataclass(slots=True)
class _Instrument:
    envelope: Envelope | None = None
    state: RiskState | None = None
    killed: bool = False
    valid_until_ns: int = NEVER_FRESH_NS
    written_ns: int = 0
    silence_told: bool = False


class LimitBook:
    """Applies states and commands to a table and checks orders against it.

    Args:
        table: A table open for writing.
        ttl_ns: How long a state stays valid in event time, where ``apply_state`` is given no ``valid_until_ns``.
        fence_epoch: States of a smaller epoch are refused; rises with the epochs seen.
    """

    def __init__(self, table: LimitTable, *, ttl_ns: int, fence_epoch: int = 0) -> None:
        self.table = table
        self.ttl_ns = ttl_ns
        self.fence_epoch = fence_epoch
        self._instruments: dict[int, _Instrument] = {}
        self._killed_accounts: set[str] = set()
        self._firm_killed = False
        self._command_ids: set[str] = set()
        self._counts = {"states_applied": 0, "states_fenced": 0, "states_older": 0}

    def apply_state(self, state: RiskState, *, valid_until_ns: int | None = None, written_ns: int = 0) -> StateOutcome:
        """Write the row that follows from ``state``.

        Args:
            state: Any order of arrival; what is not newer than the state held is refused.
            valid_until_ns: The row is expired from this time on, on the clock that ``check`` is given; ``None`` =
                ``state.tick_ns + ttl_ns`` (event time); ``NEVER_FRESH_NS`` = remember it, but stale.
            written_ns: Kept in the row, for latency measurement.

        Raises:
            TableFullError: A new instrument has no room.
            ValueError: ``instrument_id`` is not 1 to 2^32-1, or a number does not fit the row. Nothing has changed.
        """
        if max(abs(state.tick_ns), abs(state.epoch)) > TIME_NS_MAX:
            raise ValueError(f"tick_ns {state.tick_ns} or epoch {state.epoch} is out of reach")
        if state.epoch < self.fence_epoch:
            self._counts["states_fenced"] += 1
            return StateOutcome.REFUSED
        entry = self._copy_of(state.instrument_id)
        held = entry.state
        if held is not None and (state.epoch, state.tick_ns) <= (held.epoch, held.tick_ns):
            self._counts["states_older"] += 1
            return StateOutcome.REFUSED
        entry.state = state
        entry.valid_until_ns = state.tick_ns + self.ttl_ns if valid_until_ns is None else valid_until_ns
        entry.written_ns = written_ns
        self._write(state.instrument_id, entry)
        self.fence_epoch = state.epoch
        self._counts["states_applied"] += 1
        if entry.silence_told and entry.valid_until_ns != NEVER_FRESH_NS:
            entry.silence_told = False
            return StateOutcome.RECOVERED
        return StateOutcome.APPLIED

    def apply_command(self, command: RiskCommand, *, now_ns: int | None = None) -> CommandOutcome:
        """Apply a command once.

        ``expires_ns`` bounds late delivery and is judged here, against ``now_ns`` (``None`` = the command's own
        ``ts_ns``); it is no timer: a kill ends by REARM alone and an envelope by the next one. ``RELEASE`` is the
        tier machine's business.
        """
        if command.command_id in self._command_ids:
            return CommandOutcome(applied=False, cause="duplicate", detail="was applied before")
        if command.kind is CommandKind.RELEASE:
            return CommandOutcome(applied=False, cause="ignored", detail="releases are for the tier machine")
        arrived_ns = command.ts_ns if now_ns is None else now_ns
        try:
            _require_in_time(command, arrived_ns)
            if command.kind is not CommandKind.KILL:  # a kill needs no second person: it only tightens
                _require_people(command)
            detail = self._apply(command)
        except CommandRefusedError as error:
            return CommandOutcome(applied=False, cause=error.cause, detail=str(error))
        except TableFullError as error:
            return CommandOutcome(applied=False, cause="table_full", detail=str(error))
        self._command_ids.add(command.command_id)
        return CommandOutcome(applied=True, cause="applied", detail=detail)

    def check(self, order: OrderRequest, now_ns: int, enforcer: str) -> OrderDecision:
        """Return the decision on ``order`` at ``now_ns``, judged in C; ``enforcer`` is copied into it."""
        account = account_hash(order.account_id)
        action = _ACTIONS.get(order.action, _UNKNOWN)
        side, order_type = _SIDES.get(order.side, _UNKNOWN), _TYPES.get(order.order_type, _UNKNOWN)
        price = 0 if order.price is None else order.price
        try:
            found = self.table.decide(order.instrument_id, account, action, side, order_type, order.qty, price, now_ns)
        except OverflowError:  # a number that no venue could take: invalid, unless it is a cancel
            found = self.table.decide(0, account, action, side, order_type, 0, 0, now_ns)
        return OrderDecision(
            order_id=order.order_id,
            account_id=order.account_id,
            instrument_id=order.instrument_id,
            ts_event_ns=order.ts_event_ns,
            enforcer=enforcer,
            verdict=Verdict.REJECT if found.reason else Verdict.ACCEPT,
            reason=_native.REASONS[found.reason],
            limit=found.limit,
            observed=found.observed,
            tier=_TIERS[found.tier],
            stale=found.stale,
            epoch=found.epoch,
            tick_ns=found.tick_ns,
            model_id=found.model_id,
            score=found.score,
        )

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

    def counters(self) -> dict[str, int]:
        """Return how many states were applied, fenced and older, commands applied, and instruments held."""
        return {**self._counts, "commands_applied": len(self._command_ids), "instruments": len(self._instruments)}

    def move_to(self, table: LimitTable) -> None:
        """Write everything into ``table`` and go on with it.

        Kill switches are set before rows and ended after them, and rows of a past life that this book does not know
        become unset, so at no moment does the table pass an order that neither the old nor the new content passes.

        Raises:
            TableFullError: ``table`` is too small.
        """
        self.table = table
        if self._firm_killed:
            table.kill_firm(True)
        self._list_accounts()
        for instrument_id, entry in self._instruments.items():
            self._write(instrument_id, entry)
        for instrument_id in set(table.instrument_ids()) - self._instruments.keys():
            table.put(instrument_id)
        for unknown in set(table.killed_accounts()) - {account_hash(account) for account in self._killed_accounts}:
            table.rearm_account(unknown)
        self._list_accounts()
        table.kill_firm(self._firm_killed)

    def _apply(self, command: RiskCommand) -> str:
        where, _, name = command.scope.partition(":")
        if where == "instrument":
            return self._apply_to_instrument(command, _instrument_id(name))
        if command.kind is CommandKind.SET_ENVELOPE:
            raise CommandRefusedError("bad_scope", f"an envelope is of one instrument, scope was {command.scope!r}")
        kill = command.kind is CommandKind.KILL
        if command.scope == "firm":
            self._firm_killed = kill
            self.table.kill_firm(kill)
            return "every account is blocked" if kill else "the firm is re-armed"
        if where != "account" or not name:
            raise CommandRefusedError("bad_scope", f"scope was {command.scope!r}")
        if kill:
            self._killed_accounts.add(name)
        else:
            self._killed_accounts.discard(name)
            self.table.rearm_account(account_hash(name))
        if not self._list_accounts():
            return f"more than {_native.ACCOUNTS_MAX} accounts are blocked, so every account is"
        return f"account {name} is {'blocked' if kill else 're-armed'}"

    def _apply_to_instrument(self, command: RiskCommand, instrument_id: int) -> str:
        entry = self._copy_of(instrument_id)
        if command.kind is CommandKind.SET_ENVELOPE:
            if command.envelope is None:
                raise CommandRefusedError("no_envelope", "the command brings no envelope")
            if fault := envelope_fault(command.envelope):
                raise CommandRefusedError("bad_envelope", fault)
            entry.envelope = command.envelope
            detail = f"envelope of instrument {instrument_id} is set"
        else:
            entry.killed = command.kind is CommandKind.KILL
            detail = f"instrument {instrument_id} is {'blocked' if entry.killed else 're-armed'}"
        self._write(instrument_id, entry)
        return detail

    def _list_accounts(self) -> bool:
        """List every killed account in the table; return whether they fit (if not, the table blocks every account)."""
        listed = [self.table.kill_account(account_hash(account)) for account in self._killed_accounts]
        if all(listed):
            self.table.accounts_fit()
        return all(listed)

    def _copy_of(self, instrument_id: int) -> _Instrument:
        """Return what is held about an instrument, to be changed and kept by `_write`, which may refuse it."""
        held = self._instruments.get(instrument_id)
        return _Instrument() if held is None else dataclasses.replace(held)

    def _write(self, instrument_id: int, entry: _Instrument) -> None:
        envelope, state = entry.envelope, entry.state
        limits = envelope.limits if envelope else _UNSET_LIMITS
        stale_limits = envelope.stale_limits if envelope else _UNSET_LIMITS
        dynamic = dynamic_limits(envelope, state.tier) if envelope and state else _UNSET_DYNAMIC
        written = self.table.put(
            instrument_id,
            envelope_qty=limits.max_order_qty,
            dynamic_qty=dynamic.max_order_qty,
            stale_qty=stale_limits.max_order_qty,
            envelope_band_bps=limits.price_band_bps,
            dynamic_band_bps=dynamic.price_band_bps,
            stale_band_bps=stale_limits.price_band_bps,
            halted=dynamic.halt,
            killed=entry.killed,
            stale=state.stale if state else False,
            tier=state.tier if state else Tier.NORMAL,
            ref_price=(state.ref_price or 0) if state else 0,
            valid_until_ns=entry.valid_until_ns,
            epoch=state.epoch if state else 0,
            tick_ns=state.tick_ns if state else 0,
            model_id=_ascii(state.model_id) if state else "",
            score=state.score if state else 0.0,
            written_ns=entry.written_ns,
        )
        if not written:
            raise TableFullError(instrument_id, self.table.capacity)
        self._instruments[instrument_id] = entry


def _require_in_time(command: RiskCommand, arrived_ns: int) -> None:
    if command.expires_ns is not None and arrived_ns > command.expires_ns:
        raise CommandRefusedError("expired", f"arrived at {arrived_ns}, expired at {command.expires_ns}")


def _require_people(command: RiskCommand) -> None:
    if not command.maker:
        raise CommandRefusedError("no_maker", f"{command.kind} needs a maker")
    if command.checker is not None and command.checker == command.maker:
        raise CommandRefusedError("same_person", f"maker and checker are both {command.maker}")


def _instrument_id(name: str) -> int:
    if not (name.isascii() and name.isdigit() and 1 <= int(name) <= INSTRUMENT_ID_MAX):
        raise CommandRefusedError("bad_scope", f"instrument id was {name!r}, must be 1 to {INSTRUMENT_ID_MAX}")
    return int(name)


def _ascii(model_id: str) -> str:
    return model_id.encode("ascii", "replace")[: _native.MODEL_ID_BYTES_MAX].decode("ascii")
