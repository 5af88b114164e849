"""The trained network as ONNX, compared with torch before it is kept."""

import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
import torch

from models.net import TickVae

TOLERANCE: Final = 1e-5
OPSET: Final = 18


def export(net: TickVae, path: Path, *, features: int) -> float:
    """Write ``net`` to ``path`` and return the largest relative difference between ONNX Runtime and torch.

    Raises:
        ValueError: They differ by more than ``TOLERANCE``.
    """
    net.eval()
    rows = torch.export.Dim("rows", min=1)
    sample = torch.zeros(2, features)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            net,
            (sample,),
            dynamo=True,
            input_names=["z"],
            output_names=["contributions"],
            dynamic_shapes=({0: rows},),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    path.write_bytes(_without_origin(program.model_proto))
    probe = np.random.Generator(np.random.PCG64(7)).normal(0, 3, (64, features)).astype(np.float32)
    with torch.no_grad():
        wanted = net(torch.from_numpy(probe)).numpy()
    (found,) = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"z": probe})
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
