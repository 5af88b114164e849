"""The network in this process.

No deadline: a late answer of it is still the right one, and throwing it away would make a replay depend on the machine's load.
"""

import numpy as np

from features.spec import SCORED
from models.detectors.views import F32, WINDOW, Ids
from models.model_files import ModelError
from models.serving.interface import CPU, ServingCounts
from models.serving.network import INSTRUMENT_INPUT, OUTPUT, WINDOWS_INPUT, NetworkInputs, WindowNetwork
from models.serving.session import load_session


class LocalWindowScorer:
    """ONNX Runtime on one thread; make it on the thread that uses it (``jobs.operators.python_thread``).

    Raises:
        ModelError: The network cannot be loaded, not on this provider, or reads other windows.
    """

    def __init__(self, network: WindowNetwork, provider: str = CPU) -> None:
        self._inputs = NetworkInputs(network.instruments)
        self._session = load_session(network.onnx, f"the network of {network.model_id}", provider)
        self._counts = ServingCounts()
        self._trouble = ""
        shapes = {one.name: one.shape for one in self._session.get_inputs()}
        if shapes.get(WINDOWS_INPUT, [])[1:] != [WINDOW, len(SCORED)] or INSTRUMENT_INPUT not in shapes:
            raise ModelError(
                f"the network of {network.model_id} reads {shapes}, not windows of {WINDOW} x {len(SCORED)}"
            )
        self._try_every_instrument(network)

    @property
    def counts(self) -> ServingCounts:
        """Return what became of the ticks so far."""
        return self._counts

    @property
    def trouble(self) -> str:
        """Return why there was no answer last; empty while all is well."""
        return self._trouble

    def score(self, windows: F32, instrument_id: Ids) -> F32 | None:
        """Return ``(k, features)`` parts; ``None`` where the network fails or says what is no number."""
        z, numbers = self._inputs.make(windows, instrument_id)
        try:
            (parts,) = self._session.run([OUTPUT], {WINDOWS_INPUT: z, INSTRUMENT_INPUT: numbers})
        except Exception as error:  # noqa: BLE001 - onnxruntime has no public base class, and the tick must be scored
            self._no_answer(f"{type(error).__name__}: {error}")
            return None
        if not np.isfinite(parts).all():
            self._no_answer("the network's answer holds what is no number")
            return None
        self._counts.answers += 1
        self._trouble = ""
        return np.asarray(parts, dtype=np.float32)

    def close(self) -> None:
        """Nothing is held but memory."""

    def _try_every_instrument(self, network: WindowNetwork) -> None:
        """Score an empty window for each instrument: one with no embedding would cost every tick that it is in."""
        known = np.array([0, *network.instruments], dtype=np.uint32)
        if self.score(np.zeros((len(known), WINDOW, len(SCORED)), dtype=np.float32), known) is None:
            raise ModelError(f"the network of {network.model_id} fails: {self._trouble}")
        self._counts.answers = 0

    def _no_answer(self, trouble: str) -> None:
        self._counts.errors += 1
        self._trouble = trouble
