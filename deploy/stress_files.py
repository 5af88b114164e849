"""The stress suite as a folder: a file for each session's block, and a manifest with labels, parameters and digests.

Invariant: a block's digest covers its numbers and its labels, not the file around them, so equal suites have equal manifests
whatever wrote the files. Rejected: blocks of one large file (a reader of one mechanism would read all of them).
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from deploy.stress_blocks import block_of
from features.spec import FEATURE_NAMES, SPEC_HASH
from feeds.stress.plan import StressSession
from models.evaluation.blocks import Labels, TickBlock

FORMAT: Final = "tidegate.stress.v1"
MANIFEST: Final = "manifest.json"
BLOCKS: Final = "blocks"

_FRAMED: Final = (("tick_ns", "<i8"), ("status", "<u4"), ("ref_price", "<i8"), ("values", "<f8"))


class SuiteError(ValueError):
    """A folder that is no suite, or one that was changed; the message names the file."""


def digest(block: TickBlock) -> str:
    """Return SHA-256 of the block's labels and numbers, little-endian, every null the same."""
    head = json.dumps([FORMAT, SPEC_HASH, block.name, block.instrument_id, _labels(block)]).encode()
    made = hashlib.sha256(head)
    for name, layout in _FRAMED:
        column = getattr(block, name)
        made.update(np.where(np.isnan(column), np.nan, column).astype(layout).tobytes())
    return made.hexdigest()


def write_suite(out: Path, sessions: Iterable[StressSession], *, seed: int, quick: bool) -> Iterator[TickBlock]:
    """Write blocks one by one, yielding each, and at the end the manifest. A folder without a manifest is unfinished."""
    folder = out / BLOCKS
    folder.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST).unlink(missing_ok=True)
    entries = []
    for session in sessions:
        block = block_of(session)
        _write(folder / f"{block.name}.parquet", block)
        entries.append(_entry(session, block))
        yield block
    whole = {
        "format": FORMAT,
        "simulated": True,
        "seed": seed,
        "quick": quick,
        "spec_hash": SPEC_HASH,
        "sessions": entries,
        "sha256": hashlib.sha256("".join(entry["sha256"] for entry in entries).encode()).hexdigest(),
    }
    (out / MANIFEST).write_text(json.dumps(whole, indent=1) + "\n")


def read_suite(folder: Path) -> Iterator[TickBlock]:
    """Yield the blocks of a written suite in the manifest's order.

    Raises:
        SuiteError: No manifest, features of another specification, or a block that differs from its digest.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise SuiteError(f"{folder / MANIFEST}: {error}") from error
    if manifest.get("format") != FORMAT or manifest.get("spec_hash") != SPEC_HASH:
        raise SuiteError(f"{folder / MANIFEST}: of another format or other features: write the suite again")
    for entry in manifest["sessions"]:
        path = folder / BLOCKS / f"{entry['name']}.parquet"
        block = _read(path, entry)
        if digest(block) != entry["sha256"]:
            raise SuiteError(f"{path}: is not what the manifest says")
        yield block


def _labels(block: TickBlock) -> dict[str, Any] | None:
    return None if block.labels is None else asdict(block.labels)


def _entry(session: StressSession, block: TickBlock) -> dict[str, Any]:
    return {
        "name": session.name,
        "labels": _labels(block),
        "instrument_id": session.traits.instrument_id,
        "rows": len(block),
        "seed": session.seed,
        "start_ns": session.start_ns,
        "story": session.story,
        "traits": asdict(session.traits),
        "sha256": digest(block),
    }


def _write(path: Path, block: TickBlock) -> None:
    columns = {name: getattr(block, name) for name, _ in _FRAMED[:-1]}
    columns |= dict(zip(FEATURE_NAMES, block.values.T, strict=True))
    metadata = {"format": FORMAT, "spec_hash": SPEC_HASH, "labels": json.dumps(_labels(block))}
    table = pa.table({name: pa.array(np.ascontiguousarray(column)) for name, column in columns.items()})
    pq.write_table(table.replace_schema_metadata(metadata), path, compression="zstd", use_dictionary=False)


def _read(path: Path, entry: dict[str, Any]) -> TickBlock:
    try:
        table = pq.read_table(path)
        values = np.stack([table.column(name).to_numpy() for name in FEATURE_NAMES], axis=1)
        columns = {name: table.column(name).to_numpy() for name, _ in _FRAMED[:-1]}
        return TickBlock(
            entry["name"], entry["instrument_id"], values=values, labels=Labels(**entry["labels"]), **columns
        )
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise SuiteError(f"{path}: {error}") from error
