"""The console of a local stack: its settings, and three people to try it with.

Their tokens lie in the clear beside the stack, readable by its owner alone: a stack on one machine has no other safe place, and
nobody else's orders pass through it. A deployment gives people theirs by `tidegate token`.
"""

import json
import os
from pathlib import Path
from typing import Any, Final

from api.identity import Role, issue
from deploy.instruments import FOLDER

PEOPLE: Final = {
    "viewer": [Role.VIEWER],
    "maker": [Role.VIEWER, Role.MAKER],
    "checker": [Role.VIEWER, Role.CHECKER],
}
PLAIN_FILE: Final = "local_tokens.json"
TOKENS_FILE: Final = "tokens.toml"


def api_settings(state: Path, bootstrap_servers: str, port: int) -> dict[str, Any]:
    """Return the settings of the API of the stack in ``state``, whose people are made once."""
    if not (state / PLAIN_FILE).exists():
        plain = {name: issue(state / TOKENS_FILE, f"local-{name}", roles) for name, roles in PEOPLE.items()}
        with os.fdopen(os.open(state / PLAIN_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump(plain, out, indent=1)
    return {
        "bootstrap_servers": bootstrap_servers,
        "port": port,
        "state_dir": str(state),
        "status_dir": str(state),
        "tokens_path": str(state / TOKENS_FILE),
        "names_path": str(FOLDER / "instruments.toml"),
        "clock": "event",  # replays and simulations are dated by the market
    }


def links(state: Path, port: int) -> dict[str, str]:
    """Return the console's address for each of the people of the stack; the token stays in the browser."""
    plain = json.loads((state / PLAIN_FILE).read_text())
    return {name: f"http://127.0.0.1:{port}/#token={token}" for name, token in plain.items()}
