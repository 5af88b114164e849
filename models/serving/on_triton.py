"""Runs inside Triton's Python back end, as ``model.py`` beside ``model.onnx``: the network for all requests of a batch at once.

It is written into a model repository (``models.serving.triton``) and runs in the server's environment, so it imports nothing of
ours. Invariant: every request gets an answer, its own rows or an error.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as triton


class TritonPythonModel:
    """What the back end looks for by this name."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the network on the device of this instance."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        provider: Any = "CPUExecutionProvider"
        if args["model_instance_kind"] == "GPU":
            provider = ("CUDAExecutionProvider", {"device_id": int(args["model_instance_device_id"])})
        network = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        self._session = onnxruntime.InferenceSession(str(network), options, providers=[provider])
        wanted = provider if isinstance(provider, str) else provider[0]
        if self._session.get_providers()[0] != wanted:
            raise triton.TritonModelException(f"{wanted} could not be started")

    def execute(self, requests: list[Any]) -> list[Any]:
        """Return a response to each request."""
        inputs = [[triton.get_input_tensor_by_name(one, name).as_numpy() for one in requests] for name in _INPUTS]
        windows, numbers = np.concatenate(inputs[0]), np.concatenate([one.reshape(-1) for one in inputs[1]])
        try:
            (parts,) = self._session.run(["contributions"], dict(zip(_INPUTS, (windows, numbers), strict=True)))
        except Exception as error:  # noqa: BLE001 - onnxruntime has no public base class for its errors
            failed = triton.TritonError(f"{type(error).__name__}: {error}")
            return [triton.InferenceResponse(error=failed) for _ in requests]
        ends = np.cumsum([len(one) for one in inputs[0]])[:-1]
        return [
            triton.InferenceResponse([triton.Tensor("contributions", np.ascontiguousarray(rows))])
            for rows in np.split(parts, ends)
        ]


_INPUTS = ("z", "instrument")
