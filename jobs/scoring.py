"""``vae_score(BYTES) -> BYTES``: the SQL function, used by `score_risk` and callable from any Flink SQL.

It takes scaled ticks, or the value of a ``features.ticks`` message as it is, and returns scores (``models.wire``).
"""

from pathlib import Path
from typing import Any

from pyflink.table import DataTypes, StreamTableEnvironment
from pyflink.table.udf import FunctionContext, ScalarFunction, udf

from jobs.operators.python_thread import PythonThread
from models.folder import read_folder
from models.inference import FallbackScorer, LocalScorer, SimpleScorer, score_bytes

NAME = "vae_score"


class VaeScore(ScalarFunction):
    """The body of the function; one network per operator instance."""

    def __init__(self, model_dir: Path) -> None:
        self._model_dir = model_dir

    def open(self, function_context: FunctionContext) -> None:
        """Load the model."""
        del function_context
        self._thread = PythonThread(NAME)
        self._model = read_folder(self._model_dir)
        local = self._thread.call(LocalScorer, self._model.path, self._model.model_id)
        self._scorer = FallbackScorer(local, SimpleScorer(self._model.model_id))

    def eval(self, ticks: Any) -> bytes:
        """Return the scores of one message."""
        return self._thread.call(score_bytes, bytes(ticks), self._model, self._scorer)


def register_vae_score(tables: StreamTableEnvironment, model_dir: Path) -> None:
    """Make ``vae_score`` known to SQL."""
    tables.create_temporary_system_function(NAME, udf(VaeScore(model_dir), result_type=DataTypes.BYTES()))
