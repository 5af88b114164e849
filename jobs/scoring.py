"""``vae_score(BYTES) -> BYTES``: the network, as an SQL function and as a map function, with one body.

It takes viewed ticks, or the value of a ``features.ticks`` message as it is, and returns the network's parts
(``models.wire``). The job uses the SQL function; the map function is for streams that never become tables.
"""

import logging
import time
from typing import Any

from pyflink.datastream import MapFunction, RuntimeContext
from pyflink.table import DataTypes, StreamTableEnvironment
from pyflink.table.udf import FunctionContext, ScalarFunction, udf

from jobs.measuring import FROM_FUNCTIONS
from jobs.operators.python_thread import PythonThread
from jobs.settings import JobSettings
from models.folder import ModelFolder, ModelShelf
from models.inference import OpenNetworks, score_bytes
from models.model_files import ModelError
from models.serving.interface import WindowScorer
from models.serving.network import read_network
from models.serving.opening import FIRST_ANSWER_S, open_scorer
from schemas import metrics

NAME = "vae_score"
LOG = logging.getLogger(__name__)


class _Body:
    """The body of both: networks by model, on a thread of their own."""

    def __init__(self, settings: JobSettings) -> None:
        self._settings = settings
        self._shelf = ModelShelf(settings.model_dir)
        self._networks = OpenNetworks(self._open)
        self._thread = PythonThread(NAME)
        self._thread.call(self._networks.of, self._shelf.first)

    def score(self, raw: bytes) -> bytes:
        """Return the scores of one message."""
        return self._thread.call(score_bytes, raw, self._networks, self._first)

    def answered(self) -> dict[str, int]:
        """Return what became of ticks so far."""
        counts = self._networks.counts()
        return {name: getattr(counts, name) for name in metrics.NETWORK_OUTCOMES}

    def _open(self, name: str) -> tuple[str, WindowScorer | None]:
        try:
            network = read_network(self._shelf.path(name))
        except ModelError:
            LOG.exception("model %s: no network answers, the other measures go on alone", name)
            raise
        if network is None:
            return name, None
        # The first is waited for; one that ticks switch to must not hold them up.
        wait_s = FIRST_ANSWER_S if name == self._shelf.first else 0.0
        return network.model_id, open_scorer(self._settings.serving, network, wait_s=wait_s)

    def _first(self) -> tuple[str, ModelFolder]:
        return self._shelf.first, self._shelf(self._shelf.first)


class VaeScore(ScalarFunction):
    """The SQL function."""

    def __init__(self, settings: JobSettings) -> None:
        self._settings = settings

    def open(self, function_context: FunctionContext) -> None:
        """Open the network of the model that the job starts with."""
        self._body = _Body(self._settings)
        del function_context  # its metric group reports nothing in thread mode: TrackRisk takes what is handed over

    def eval(self, ticks: Any) -> bytes:
        """Return the scores of one message."""
        before, began_s = self._body.answered(), time.perf_counter()
        scores = self._body.score(bytes(ticks))
        FROM_FUNCTIONS.put(metrics.JOBS_SCORE, time.perf_counter() - began_s)
        for outcome, count in self._body.answered().items():
            if count > before[outcome]:
                FROM_FUNCTIONS.put(metrics.JOBS_NETWORK, count - before[outcome], outcome)
        return scores


class VaeScoreMap(MapFunction):
    """The same for a stream of ``bytes``."""

    def __init__(self, settings: JobSettings) -> None:
        self._settings = settings

    def open(self, runtime_context: RuntimeContext) -> None:
        """Open the network of the model that the job starts with."""
        del runtime_context
        self._body = _Body(self._settings)

    def map(self, value: Any) -> bytes:
        """Return the scores of one message."""
        return self._body.score(bytes(value))


def register_vae_score(tables: StreamTableEnvironment, settings: JobSettings) -> None:
    """Make ``vae_score`` known to SQL."""
    tables.create_temporary_system_function(NAME, udf(VaeScore(settings), result_type=DataTypes.BYTES()))
