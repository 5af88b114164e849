"""The network as a measure: how unlikely a window is to a VAE that has seen calm ones, feature by feature.

Scoring needs ONNX Runtime alone. Training needs torch, which may live in three rooms of ``models`` only, so the trainer is
an argument (``models.train.train_window_vae``). Windows are clipped where the network learns and where it judges: beyond the
clip the largest score and the length know enough, and a network must not be asked about what it never saw.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models.detectors.interface import Arrays
from models.detectors.linear import widened
from models.detectors.views import F32, F64, Ids, ViewedBlock, Views
from models.serving.network import INPUT_CLIP
from models.serving.session import load_session

Train = Callable[[F32, npt.NDArray[np.int64], int], bytes]
"""``(n, WINDOW, features)`` windows, ``(n,)`` instrument numbers from 1, seed → ONNX bytes."""

WINDOWS_MAX: Final = 60_000
"""Windows that training sees, drawn evenly from the past."""

LEFT_OUT: Final = 0.005
"""Part of the past that training does not see: its longest windows, by a rule that knows no later crisis."""


class VaeLikelihood:
    """Negative log-likelihood per feature at the posterior mean, one pass, no chance."""

    name = "vae"

    def __init__(self, train: Train) -> None:
        self._train = train
        self._numbers: dict[int, int] = {}
        self._session: Any = None
        self.onnx = b""

    def fit(self, past: Sequence[ViewedBlock], seed: int) -> None:
        """Train on past windows."""
        self._numbers = {one: n for n, one in enumerate(sorted({b.instrument_id for b in past}), 1)}
        pieces = [piece for block in past for piece in block.pieces()]
        stride = max(1, -(-sum(len(piece) for piece in pieces) // WINDOWS_MAX))
        windows = np.clip(np.concatenate([piece.window[::stride] for piece in pieces]), -INPUT_CLIP, INPUT_CLIP)
        ids = np.concatenate([piece.instrument_id[::stride] for piece in pieces])
        length = (windows**2).sum(axis=(1, 2))
        kept = length <= np.quantile(length, 1.0 - LEFT_OUT)
        self.use(self._train(windows[kept], self._number(ids[kept]), seed))

    def use(self, onnx: bytes) -> None:
        """Use a trained network; it is loaded when it is first asked, which a job that asks elsewhere never does."""
        self.onnx, self._session = onnx, None

    def parts(self, views: Views) -> F64:
        """Return ``(k, viewed features)`` parts.

        Raises:
            ModelError: The network cannot be loaded.
        """
        if self._session is None:
            self._session = load_session(self.onnx, "the window VAE")
        clipped = np.clip(views.window, -INPUT_CLIP, INPUT_CLIP)
        (parts,) = self._session.run(None, {"z": clipped, "instrument": self._number(views.instrument_id)})
        return widened(parts)

    def arrays(self) -> Arrays:
        """Return the numbers of instruments; the network itself is ``onnx``."""
        return {"instruments": np.array(list(self._numbers), dtype=np.int64)}

    def load(self, arrays: Arrays) -> None:
        """Take what :meth:`arrays` returned; the network is for :meth:`use`."""
        self._numbers = {one: number for number, one in enumerate(arrays["instruments"].tolist(), 1)}

    def _number(self, instrument_id: Ids) -> npt.NDArray[np.int64]:
        return np.array([self._numbers.get(one, 0) for one in instrument_id.tolist()], dtype=np.int64)
