"""What instruments are called: from the deployment's own list, else their ids."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from schemas.settings import SettingsError


@dataclass(frozen=True, slots=True)
class Name:
    """One instrument as the deployment lists it.

    Attributes:
        symbol: For people.
        channel_id: Where its events come from; empty = not told.
    """

    symbol: str
    channel_id: str = ""


def load_names(path: str) -> dict[int, Name]:
    """Return the names by instrument id; an empty path has none.

    Raises:
        SettingsError: The file cannot be read or an entry is incomplete.
    """
    if not path:
        return {}
    try:
        entries = tomllib.loads(Path(path).read_text()).get("instruments", [])
        return {int(entry["id"]): Name(str(entry["symbol"]), str(entry.get("channel", ""))) for entry in entries}
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise SettingsError(f"names_path: {path}: {type(error).__name__}: {error}") from error
