"""Reference data: which instruments there are, and the envelope that people gave each."""

import tomllib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from schemas.records import CommandKind, Envelope, LimitSet, RiskCommand, Tier, TierRule

FOLDER: Final = Path(__file__).parent / "reference"


class ReferenceDataError(ValueError):
    """Reference data that cannot be used; the message names file and entry."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """One instrument of the deployment."""

    id: int
    symbol: str
    channel_id: str
    envelope: Envelope


def load_instruments(folder: Path = FOLDER) -> dict[int, Instrument]:
    """Return the instruments by id.

    Raises:
        ReferenceDataError: An entry is incomplete, an id stands twice, or a class has no envelope.
    """
    envelopes = {name: _envelope(name, raw) for name, raw in _read(folder / "envelopes.toml").items()}
    made: dict[int, Instrument] = {}
    for raw in _read(folder / "instruments.toml")["instruments"]:
        try:
            instrument = Instrument(raw["id"], raw["symbol"], raw["channel"], envelopes[raw["class"]])
        except KeyError as error:
            raise ReferenceDataError(f"instruments.toml: {raw}: no {error}") from error
        if instrument.id in made:
            raise ReferenceDataError(f"instruments.toml: id {instrument.id} stands twice")
        made[instrument.id] = instrument
    return made


def envelope_commands(instruments: dict[int, Instrument], ts_ns: int) -> list[RiskCommand]:
    """Return the commands that set every envelope; equal reference data gives equal ids, so none is applied twice."""
    return [
        RiskCommand(
            command_id=f"reference:{instrument.id}:{hash_of(instrument.envelope):08x}",
            kind=CommandKind.SET_ENVELOPE,
            scope=f"instrument:{instrument.id}",
            ts_ns=ts_ns,
            maker="reference-data",
            checker=None,
            reason="envelope of deploy/reference",
            expires_ns=None,
            envelope=instrument.envelope,
        )
        for instrument in instruments.values()
    ]


def hash_of(envelope: Envelope) -> int:
    """Return a number that changes with the envelope, the same in every process."""
    return zlib.crc32(repr(envelope).encode())


def _envelope(name: str, raw: dict[str, Any]) -> Envelope:
    try:
        return Envelope(
            limits=LimitSet(raw["max_order_qty"], raw["price_band_bps"]),
            stale_limits=LimitSet(raw["stale_max_order_qty"], raw["stale_price_band_bps"]),
            tiers=tuple(
                TierRule(Tier[rule["tier"]], rule["qty_permille"], rule["band_permille"], rule["halt"])
                for rule in raw["tiers"]
            ),
        )
    except KeyError as error:
        raise ReferenceDataError(f"envelopes.toml: {name}: no {error}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ReferenceDataError(f"{path.name}: {error}") from error
