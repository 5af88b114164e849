"""Open Inference Protocol v2 over HTTP: one request and its answer, tensors as raw bytes behind a JSON head. Pure functions.

Formats: the protocol's "HTTP/REST" part and its binary tensor data extension (little-endian, C order). Invariant: an answer
is read only as what was asked: model, request id, name, type and shape must be those of the request, and numbers numbers.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from features.spec import SCORED
from models.detectors.views import F32, WINDOW
from models.serving.interface import ServingError
from models.serving.network import INSTRUMENT_INPUT, OUTPUT, WINDOWS_INPUT

HEAD_LENGTH: Final = "Inference-Header-Content-Length"
HEAD_LENGTH_MAX: Final = 65_536
"""Longest head of an answer, and longest word of an error, that is read."""

FEATURES: Final = len(SCORED)


@dataclass(frozen=True, slots=True)
class Request:
    """One inference.

    Attributes:
        served_name: Model on the server.
        request_id: Comes back with the answer.
        rows: Windows asked.
        head_length: Bytes of the JSON head in ``body``.
        body: Head and tensors.
    """

    served_name: str
    request_id: str
    rows: int
    head_length: int
    body: bytes


def path_of(served_name: str, verb: str = "") -> str:
    """Return the path of a model's metadata, or of ``ready`` or ``infer``."""
    return f"/v2/models/{served_name}" + (f"/{verb}" if verb else "")


def write_request(served_name: str, request_id: str, inputs: tuple[F32, npt.NDArray[np.int64]]) -> Request:
    """Return the request for clipped windows ``(k, WINDOW, features)`` and instrument numbers ``(k,)``."""
    windows, numbers = inputs
    rows = len(numbers)
    tensors = (windows.astype("<f4", copy=False).tobytes(), numbers.astype("<i8", copy=False).tobytes())
    head = {
        "id": request_id,
        "inputs": [
            _tensor(WINDOWS_INPUT, "FP32", shape=[rows, WINDOW, FEATURES], raw=tensors[0]),
            _tensor(INSTRUMENT_INPUT, "INT64", shape=[rows, 1], raw=tensors[1]),
        ],
        "outputs": [{"name": OUTPUT, "parameters": {"binary_data": True}}],
    }
    raw = json.dumps(head, separators=(",", ":")).encode()
    return Request(served_name, request_id, rows, len(raw), b"".join((raw, *tensors)))


def answer_length_max(request: Request) -> int:
    """Return the most bytes that an answer may have."""
    return HEAD_LENGTH_MAX + request.rows * FEATURES * 4


def read_answer(request: Request, head_length: str | None, body: bytes) -> F32:
    """Return ``(k, features)`` parts.

    Args:
        request: What was asked.
        head_length: Value of the header ``HEAD_LENGTH``.
        body: The answer's body.

    Raises:
        ServingError: It is not the answer to this request.
    """
    try:
        length = int(head_length or "")
        head = json.loads(body[:length])
        (output,) = head["outputs"]
        found = (head["model_name"], head.get("id"), output["name"], output["datatype"], list(output["shape"]))
        size = output["parameters"]["binary_data_size"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ServingError(f"not an answer of the protocol: {type(error).__name__}: {error}") from error
    wanted = (request.served_name, request.request_id, OUTPUT, "FP32", [request.rows, FEATURES])
    if found != wanted:
        raise ServingError(f"the answer to another question: {found}, wanted {wanted}")
    if size != request.rows * FEATURES * 4 or len(body) - length != size:
        raise ServingError(f"an answer of {len(body) - length} bytes, said to be {size}, for {request.rows} windows")
    parts = np.frombuffer(body, "<f4", offset=length).reshape(request.rows, FEATURES)
    if not np.isfinite(parts).all():
        raise ServingError("the answer holds what is no number")
    return np.asarray(parts, dtype=np.float32)


def check_metadata(served_name: str, body: bytes) -> None:
    """Accept a server's description of the model.

    Raises:
        ServingError: Another model, or one that reads or answers other tensors.
    """
    try:
        head = json.loads(body)
        found = (head["name"], *(sorted(_described(one) for one in head[side]) for side in ("inputs", "outputs")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ServingError(f"no description of a model: {type(error).__name__}: {error}") from error
    inputs = [(INSTRUMENT_INPUT, "INT64", (-1, 1)), (WINDOWS_INPUT, "FP32", (-1, WINDOW, FEATURES))]
    wanted = (served_name, inputs, [(OUTPUT, "FP32", (-1, FEATURES))])
    if found != wanted:
        raise ServingError(f"the server has {found}, wanted {wanted}")


def _tensor(name: str, kind: str, *, shape: list[int], raw: bytes) -> dict[str, Any]:
    return {"name": name, "datatype": kind, "shape": shape, "parameters": {"binary_data_size": len(raw)}}


def _described(tensor: dict[str, Any]) -> tuple[str, str, tuple[int, ...]]:
    return tensor["name"], tensor["datatype"], tuple(tensor["shape"])
