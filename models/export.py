"""The trained network as ONNX, compared with torch before it is kept."""

import warnings
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from torch import nn

from models.net import WindowVae

TOLERANCE: Final = 1e-5
OPSET: Final = 18


def export_window(net: WindowVae) -> tuple[bytes, float]:
    """Return ``net`` as ONNX and the largest relative difference between ONNX Runtime and torch.

    Raises:
        ValueError: They differ by more than ``TOLERANCE``.
    """
    ticks, features = net.shape
    raw = _onnx(net, {"z": torch.zeros(2, ticks, features), "instrument": torch.zeros(2, dtype=torch.int64)})
    numbers = np.arange(64, dtype=np.int64) % net.embedding.num_embeddings
    return raw, _difference(net, raw, {"z": _normal((64, ticks, features)), "instrument": numbers})


def _onnx(net: nn.Module, sample: dict[str, torch.Tensor]) -> bytes:
    net.eval()
    rows = torch.export.Dim("rows", min=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            net,
            tuple(sample.values()),
            dynamo=True,
            input_names=list(sample),
            output_names=["contributions"],
            dynamic_shapes=tuple({0: rows} for _ in sample),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    return _without_origin(program.model_proto)


def _normal(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    return np.random.Generator(np.random.PCG64(7)).normal(0, 3, shape).astype(np.float32)


def _difference(net: nn.Module, raw: bytes, probe: dict[str, npt.NDArray[Any]]) -> float:
    with torch.no_grad():
        wanted = net(*(torch.from_numpy(column) for column in probe.values())).numpy()
    (found,) = onnxruntime.InferenceSession(raw, providers=["CPUExecutionProvider"]).run(None, probe)
    difference = float(np.max(np.abs(found - wanted) / (1.0 + np.abs(wanted))))
    if difference > TOLERANCE:
        raise ValueError(f"ONNX differs from torch by {difference:.2e}, allowed {TOLERANCE:.0e}")
    return difference


def _without_origin(proto: Any) -> bytes:
    """Return the model without the exporter's notes, which hold the paths of the machine that trained it."""
    graph = proto.graph
    for part in (proto, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
    return bytes(proto.SerializeToString(deterministic=True))
