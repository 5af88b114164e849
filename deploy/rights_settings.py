"""Settings of `tidegate kafka-rights apply`, and the passwords that it sets: one file for each user, named like him."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from schemas.kafka_security import KafkaSecurity
from schemas.settings import SettingsError

PREFIX: Final = "TIDEGATE_RIGHTS"


@dataclass(frozen=True, slots=True)
class RightsSettings(KafkaSecurity):
    """Settings of the command that sets rights.

    Attributes:
        bootstrap_servers: Kafka.
        passwords_dir: Folder with a file for each user whose SCRAM password is to be set, named like the user; empty = none.
    """

    bootstrap_servers: str
    passwords_dir: str = ""


def passwords_in(folder: str) -> dict[str, str]:
    """Return the password of each user that ``folder`` has a file of; what begins with a dot is none.

    Raises:
        SettingsError: A file cannot be read or is empty.
    """
    found: dict[str, str] = {}
    try:
        files = sorted(Path(folder).iterdir()) if folder else []
        for path in files:
            if path.is_file() and not path.name.startswith("."):  # a mounted secret has links that begin with dots
                found[path.name] = path.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"passwords_dir: {error}") from error
    if empty := [user for user, password in found.items() if not password]:
        raise SettingsError(f"passwords_dir: {folder}/{empty[0]} is empty")
    return found
