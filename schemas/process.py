"""What every process of ours does alike: how it is started, how it logs, and the file that says how it is.

Invariant: a reader of a status file sees one whole status, never half of one. Rejected: a base class of processes (they share
no loop: a consumer, a web server and a timer).
"""

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path


def settings_path(argv: Sequence[str] | None, *, prog: str, description: str, prefix: str) -> Path:
    """Read the command line of a process, and log from now on; return the path of its settings file.

    Args:
        argv: Arguments; ``None`` = of this process.
        prog: Module that is run.
        description: What it does, for ``--help``.
        prefix: Of the variables that override its settings.
    """
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("--settings", type=Path, required=True, help=f"TOML file; {prefix}_<KEY> overrides")
    path: Path = parser.parse_args(argv).settings
    start_logging()
    return path


def start_logging() -> None:
    """Log as every process does."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")


def write_status(path: Path, status: Mapping[str, object]) -> None:
    """Replace a status file at once, whatever reads it."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(status, indent=1))
    fresh.replace(path)
