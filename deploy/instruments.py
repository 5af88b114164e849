"""Reference data: which instruments and accounts there are, and what people granted each.

Invariant: it reaches the gate as commands of two people with an end, as any grant does. Rejected: a file that the gate
reads itself (two processes could hold different limits, and nobody could tell who set them).
"""

import tomllib
import zlib
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from gate.policy.limits import session_fault
from schemas.records import AccountEnvelope, CommandKind, Envelope, LimitSet, RiskCommand, Tier, TierRule
from schemas.units import NS_PER_S

FOLDER: Final = Path(__file__).parent / "reference"
MAKER: Final = "reference-data"
CHECKER: Final = "reference-review"


class ReferenceDataError(ValueError):
    """Reference data that cannot be used; the message names file and entry."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """One instrument of the deployment.

    Attributes:
        id: Instrument id.
        symbol: Its name for people.
        channel_id: Where its events come from.
        envelope: Its hard envelope.
        until_ns: End of the grant, UTC.
    """

    id: int
    symbol: str
    channel_id: str
    envelope: Envelope
    until_ns: int


@dataclass(frozen=True, slots=True)
class Account:
    """One account of the deployment, the firm, or a session with a message rate.

    Attributes:
        scope: ``account:<id>``, ``session:<id>`` or ``firm``.
        limits: What it may do.
        until_ns: End of the grant, UTC.
    """

    scope: str
    limits: AccountEnvelope
    until_ns: int


def load_instruments(folder: Path = FOLDER) -> dict[int, Instrument]:
    """Return the instruments by id.

    Raises:
        ReferenceDataError: An entry is incomplete or has a word too many, an id stands twice, or a class has no envelope.
    """
    until_ns, raw_envelopes = _grants(folder / "envelopes.toml")
    envelopes = {name: _envelope(name, raw) for name, raw in raw_envelopes.items()}
    made: dict[int, Instrument] = {}
    for raw in _read(folder / "instruments.toml")["instruments"]:
        try:
            envelope = replace(envelopes[raw["class"]], tick_size=raw["tick_size"])
            instrument = Instrument(raw["id"], raw["symbol"], raw["channel"], envelope, until_ns)
        except KeyError as error:
            raise ReferenceDataError(f"instruments.toml: {raw}: no {error}") from error
        if instrument.id in made:
            raise ReferenceDataError(f"instruments.toml: id {instrument.id} stands twice")
        made[instrument.id] = instrument
    return made


def load_accounts(folder: Path = FOLDER) -> list[Account]:
    """Return the accounts.

    Raises:
        ReferenceDataError: An entry has a word too many, a scope that is none, or a session says more or less than its rate.
    """
    until_ns, raw_accounts = _grants(folder / "accounts.toml")
    names = {field.name for field in fields(AccountEnvelope)}
    made = []
    for scope, raw in raw_accounts.items():
        if scope != "firm" and not scope.startswith(("account:", "session:")):
            raise ReferenceDataError(f"accounts.toml: {scope}: must be account:<id>, session:<id> or firm")
        _require_known(f"accounts.toml: {scope}", raw, names)
        said = {**dict.fromkeys(names), **raw, "class_ids": tuple(raw["class_ids"]) if "class_ids" in raw else None}
        limits = AccountEnvelope(**said)
        if scope.startswith("session:") and (fault := session_fault(limits)):
            raise ReferenceDataError(f"accounts.toml: {scope}: {fault}")
        made.append(Account(scope, limits, until_ns))
    return made


def envelope_commands(instruments: dict[int, Instrument], ts_ns: int) -> list[RiskCommand]:
    """Return the commands that set every envelope; equal reference data gives equal ids, so none is applied twice."""
    return [
        replace(
            _command(f"instrument:{instrument.id}", ts_ns, instrument.until_ns),
            command_id=f"reference:{instrument.id}:{hash_of(instrument.envelope):08x}",
            envelope=instrument.envelope,
        )
        for instrument in instruments.values()
    ]


def account_commands(accounts: list[Account], ts_ns: int) -> list[RiskCommand]:
    """Return the commands that set the limits of every account, with ids as those of `envelope_commands`."""
    return [
        replace(
            _command(account.scope, ts_ns, account.until_ns),
            command_id=f"reference:{account.scope}:{hash_of(account.limits):08x}",
            kind=CommandKind.SET_ACCOUNT,
            account=account.limits,
        )
        for account in accounts
    ]


def reference_commands(ts_ns: int, folder: Path = FOLDER) -> list[RiskCommand]:
    """Return every command of the reference data; raises as the loaders do."""
    return envelope_commands(load_instruments(folder), ts_ns) + account_commands(load_accounts(folder), ts_ns)


def hash_of(grant: Envelope | AccountEnvelope) -> int:
    """Return a number that changes with the grant, the same in every process."""
    return zlib.crc32(repr(grant).encode())


def _command(scope: str, ts_ns: int, until_ns: int) -> RiskCommand:
    return RiskCommand(
        command_id="",
        kind=CommandKind.SET_ENVELOPE,
        scope=scope,
        ts_ns=ts_ns,
        maker=MAKER,
        checker=CHECKER,
        reason="reference data of the deployment",
        expires_ns=until_ns,
        envelope=None,
    )


def _envelope(name: str, raw: dict[str, Any]) -> Envelope:
    where = f"envelopes.toml: {name}"
    nested = {"limits", "stale_limits", "tiers"}
    plain = {field.name for field in fields(Envelope)} - nested - {"tick_size"}
    _require_known(where, raw, plain | nested)
    try:
        return Envelope(
            limits=_limits(f"{where}: limits", raw["limits"]),
            stale_limits=_limits(f"{where}: stale_limits", raw["stale_limits"]),
            tiers=tuple(_rule(f"{where}: tiers", rule) for rule in raw["tiers"]),
            tick_size=None,
            **{field: raw[field] for field in plain},
        )
    except KeyError as error:
        raise ReferenceDataError(f"{where}: no {error}") from error


def _limits(where: str, raw: dict[str, Any]) -> LimitSet:
    names = {field.name for field in fields(LimitSet)}
    _require_known(where, raw, names)
    return LimitSet(**{**dict.fromkeys(names), **raw})


def _rule(where: str, raw: dict[str, Any]) -> TierRule:
    _require_known(where, raw, {field.name for field in fields(TierRule)})
    try:
        return TierRule(**{field.name: raw[field.name] for field in fields(TierRule)} | {"tier": Tier[raw["tier"]]})
    except KeyError as error:
        raise ReferenceDataError(f"{where}: no {error}") from error


def _require_known(where: str, raw: dict[str, Any], known: set[str]) -> None:
    if unknown := sorted(raw.keys() - known):
        raise ReferenceDataError(f"{where}: unknown {', '.join(unknown)}; known: {', '.join(sorted(known))}")


def _grants(path: Path) -> tuple[int, dict[str, Any]]:
    """Return when the grants of a file end, and its entries."""
    entries = _read(path)
    until = entries.pop("valid_until", None)
    if not isinstance(until, datetime) or until.tzinfo is None:
        raise ReferenceDataError(f"{path.name}: valid_until must be a time with a zone, was {until}")
    return int(until.timestamp()) * NS_PER_S, entries


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ReferenceDataError(f"{path.name}: {error}") from error
