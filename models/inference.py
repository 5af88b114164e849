"""Scoring a batch of instruments, and the SQL function's body. No torch here: ONNX Runtime on one thread.

Invariant: an answer always comes. When the network fails, the simple stack (largest robust score) answers
instead and says so; its own calibration keeps its probabilities honest.
"""

import importlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from features.spec import SPEC_HASH
from models.folder import ONNX_FILE, ModelError, ModelFolder
from models.scaling import Scaler
from models.wire import SCALED, ScaledTicks, Scores, decode_scaled, encode_scores
from schemas.errors import MessageError
from schemas.ticks import decode_ticks


class Scorer(Protocol):
    """A back end: scaled ticks in, scores out, row by row."""

    def score(self, ticks: ScaledTicks) -> Scores:
        """Return the scores of every row; rows that are not scored get error 0."""


class LocalScorer:
    """The network in this process.

    Raises:
        ModelError: The network cannot be loaded.
    """

    def __init__(self, folder: Path, model_id: str) -> None:
        self._model_id = model_id
        self._session = load_session(folder / ONNX_FILE, str(folder / ONNX_FILE))

    def score(self, ticks: ScaledTicks) -> Scores:
        """Return the network's scores."""
        (contributions,) = self._session.run(None, {"z": ticks.z})
        return _scores(self._model_id, contributions, ticks.scored, degraded=False)


class SimpleScorer:
    """The largest robust score: no model, no failure."""

    def __init__(self, model_id: str) -> None:
        self._model_id = model_id

    def score(self, ticks: ScaledTicks) -> Scores:
        """Return squared robust scores as contributions and the largest as error."""
        squared = ticks.z.astype(np.float64) ** 2
        scores = _scores(self._model_id, squared, ticks.scored, degraded=True)
        error = np.where(ticks.scored, squared.max(axis=1, initial=0.0), 0.0)
        return Scores(self._model_id, degraded=True, error=error, share=scores.share)


class FallbackScorer:
    """A scorer that never fails: an error, or NaN, gives the simple stack's answer, marked as degraded.

    There is no deadline here on purpose: a late answer of the local network is still the right one, and throwing it
    away would make a replay depend on the machine's load. Deadlines belong to back ends behind a network.
    """

    def __init__(self, scorer: Scorer, fallback: Scorer) -> None:
        self._scorer = scorer
        self._fallback = fallback
        self.degraded_count = 0

    def score(self, ticks: ScaledTicks) -> Scores:
        """Return the scorer's answer, or the fallback's."""
        try:
            return _finite(self._scorer.score(ticks))
        except Exception:  # noqa: BLE001 - whatever a back end raises, the tick must be scored
            self.degraded_count += 1
            return self._fallback.score(ticks)


def scaled_of(raw: bytes, model: ModelFolder) -> ScaledTicks:
    """Return the scaled ticks in ``raw``: scaled already, or raw feature ticks, which the model's priors scale.

    Raises:
        MessageError: Neither, or ticks of other features.
    """
    if raw.startswith(SCALED):
        return decode_scaled(raw)
    ticks = decode_ticks(raw)
    if ticks.spec_hash != SPEC_HASH:
        raise MessageError("wrong_features", f"feature spec was {ticks.spec_hash}, wanted {SPEC_HASH}")
    return Scaler(model.priors).step(ticks)


def load_session(source: Path | bytes, name: str) -> Any:
    """Return an ONNX Runtime session of a file or its bytes, on one thread that does not spin.

    Raises:
        ModelError: It cannot be loaded; with ``name``.
    """
    # Imported here, on the thread that will use it: see jobs.operators.python_thread.
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    whole = source if isinstance(source, bytes) else str(source)
    try:
        return runtime.InferenceSession(whole, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no public base class for its errors
        raise ModelError(f"{name}: {error}") from error


def score_bytes(raw: bytes, model: ModelFolder, scorer: Scorer) -> bytes:
    """Return the encoded scores of encoded ticks: the body of the SQL function ``vae_score``.

    Raises:
        MessageError: ``raw`` holds neither scaled ticks nor feature ticks.
    """
    return encode_scores(scorer.score(scaled_of(raw, model)))


def _finite(scores: Scores) -> Scores:
    if not np.isfinite(scores.error).all():
        raise ValueError("the back end's errors are not numbers")
    return scores


def _scores(model_id: str, contributions: Any, scored: Any, *, degraded: bool) -> Scores:
    kept = np.where(scored[:, None], contributions, 0.0).astype(np.float64)
    error = kept.sum(axis=1)
    share = kept / np.where(error > 0, error, 1.0)[:, None]
    return Scores(model_id, degraded=degraded, error=error, share=share.astype(np.float32))
