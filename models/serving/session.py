"""An ONNX Runtime session: one thread that does not spin, and the provider that was asked for or none.

Invariant: a session runs on the provider that its setting names. ONNX Runtime itself only warns and takes the CPU instead,
which a deployment that paid for a GPU would learn from its bill.
"""

import importlib
from pathlib import Path
from typing import Any, Final

from models.model_files import ModelError
from models.serving.interface import CPU, CUDA

PROVIDERS: Final = {CPU: "CPUExecutionProvider", CUDA: "CUDAExecutionProvider"}


def load_session(source: Path | bytes, name: str, provider: str = CPU) -> Any:
    """Return a session of a file or its bytes.

    Args:
        source: The network.
        name: What errors call it.
        provider: ``cpu`` or ``cuda``.

    Raises:
        ModelError: It cannot be loaded, or not on this provider.
    """
    # Imported here, on the thread that will use it: see jobs.operators.python_thread.
    runtime = importlib.import_module("onnxruntime")
    wanted = PROVIDERS[provider]
    if wanted not in runtime.get_available_providers():
        raise ModelError(
            f"{name}: this onnxruntime has no {wanted}; install its GPU build or set the provider to {CPU}"
        )
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    whole = source if isinstance(source, bytes) else str(source)
    try:
        session = runtime.InferenceSession(whole, options, providers=[wanted])
    except Exception as error:  # onnxruntime has no public base class for its errors
        raise ModelError(f"{name}: {error}") from error
    if session.get_providers()[0] != wanted:
        raise ModelError(f"{name}: {wanted} could not be started; is there a GPU with its driver?")
    return session
