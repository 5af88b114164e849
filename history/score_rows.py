"""Messages of `risk.scores` as rows of table ``scores``. The rules are those of ``history.rows``."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from schemas.scores import ScoreRows

SCORES: Final = "scores"
_TIME: Final = pa.timestamp("ns", "UTC")

SCORE_SCHEMA: Final = pa.schema(
    {
        "tick_ns": _TIME, "instrument_id": pa.uint32(), "channel_id": pa.string(), "epoch": pa.uint64(),
        "model_id": pa.string(), "shadow": pa.bool_(), "score": pa.float64(), "p": pa.float64(),
        "adverse_share": pa.float64(), "measures.name": pa.list_(pa.string()), "measures.p": pa.list_(pa.float64()),
    }
)  # fmt: skip


def scores_table(parts: Sequence[ScoreRows]) -> Any:
    """Return messages of scores, joined, as the Arrow table to insert; nothing is copied row by row."""
    return pa.concat_tables([_table(part) for part in parts]).combine_chunks()


def _table(part: ScoreRows) -> Any:
    rows, measures = part.measure_p.shape
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * measures)
    names = pa.array(part.measures * rows, pa.string())
    columns = [
        pa.array(part.tick_ns).cast(_TIME),
        pa.array(part.instrument_id),
        pa.array([part.channel_id] * rows, pa.string()),
        pa.array(np.full(rows, part.epoch, np.uint64)),
        pa.array([part.model_id] * rows, pa.string()),
        pa.array([part.shadow] * rows, pa.bool_()),
        pa.array(part.score),
        pa.array(part.p),
        pa.array(part.adverse_share),
        pa.ListArray.from_arrays(offsets, names),
        pa.ListArray.from_arrays(offsets, pa.array(part.measure_p.ravel())),
    ]
    return pa.table(columns, schema=SCORE_SCHEMA)
