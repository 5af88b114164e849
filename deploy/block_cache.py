"""Blocks kept in a folder, so that a second evaluation need not read the recording again. Optional; equal with and without.

Invariant: an entry is found again only if everything that its blocks follow from is the same: the arguments, the bytes of the
input, the features and the built kernel. Columns are plain arrays mapped into memory, so a long day costs no copy. Rejected:
times of files as the key (a checkout changes them, and an edit within a second does not).
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final

import numpy as np

import features
from features.spec import SPEC_HASH
from models.evaluation.blocks import Labels, TickBlock

FORMAT: Final = "tidegate.blocks.v1"
INDEX: Final = "index.json"
_COLUMNS: Final = ("tick_ns", "values", "status", "ref_price")


def cached(folder: Path | None, key: str, make: Callable[[], Sequence[TickBlock]]) -> list[TickBlock]:
    """Return the blocks kept under ``key``, or make and keep them; without a folder, make them."""
    if folder is None:
        return list(make())
    place = folder / key
    if not (place / INDEX).exists():
        _write(place, make())
    return _read(place)


def key_of(*arguments: object, files: Iterable[Path] = ()) -> str:
    """Return the key of what is made by the kernel as it is built from ``arguments`` and the bytes of ``files``."""
    built = sorted(Path(features.__file__).parent.glob("*.so"))
    made = hashlib.sha256(repr((FORMAT, SPEC_HASH, arguments)).encode())
    for path in (*built, *sorted(files)):
        made.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return made.hexdigest()[:24]


def _write(place: Path, blocks: Sequence[TickBlock]) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    making = Path(mkdtemp(dir=place.parent))
    entries: list[dict[str, Any]] = []
    for number, block in enumerate(blocks):
        for name in _COLUMNS:
            np.save(making / f"{number}.{name}.npy", getattr(block, name))
        labels = None if block.labels is None else asdict(block.labels)
        entries.append({"name": block.name, "instrument_id": block.instrument_id, "labels": labels})
    (making / INDEX).write_text(json.dumps(entries))
    try:
        making.rename(place)  # whole or not at all, also beside another that makes the same
    except OSError:
        if not (place / INDEX).exists():
            raise
        for file in making.iterdir():
            file.unlink()
        making.rmdir()


def _read(place: Path) -> list[TickBlock]:
    os.utime(place)
    made = []
    for number, entry in enumerate(json.loads((place / INDEX).read_text())):
        columns = {
            name: np.asarray(np.load(place / f"{number}.{name}.npy", mmap_mode="r", allow_pickle=False))
            for name in _COLUMNS
        }
        labels = None if entry["labels"] is None else Labels(**entry["labels"])
        made.append(TickBlock(entry["name"], entry["instrument_id"], labels=labels, **columns))
    return made
