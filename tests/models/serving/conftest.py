"""A network that is easily computed by hand: mean squares over the window, plus the instrument's number."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from features.spec import SCORED
from models.detectors.views import F32, WINDOW, Ids
from models.serving.network import WindowNetwork

COUNT = len(SCORED)
INSTRUMENTS = (70, 5, 9)


def onnx_bytes(ticks: int = WINDOW, embeddings: int = len(INSTRUMENTS) + 1) -> bytes:
    nodes = [
        helper.make_node("Mul", ["z", "z"], ["squares"]),
        helper.make_node("ReduceMean", ["squares", "axis"], ["means"], keepdims=0),
        helper.make_node("Gather", ["embeddings", "instrument"], ["number"]),
        helper.make_node("Unsqueeze", ["number", "axis"], ["column"]),
        helper.make_node("Add", ["means", "column"], ["contributions"]),
    ]
    graph = helper.make_graph(
        nodes,
        "by-hand",
        [
            helper.make_tensor_value_info("z", TensorProto.FLOAT, ["rows", ticks, COUNT]),
            helper.make_tensor_value_info("instrument", TensorProto.INT64, ["rows"]),
        ],
        [helper.make_tensor_value_info("contributions", TensorProto.FLOAT, ["rows", COUNT])],
        [
            numpy_helper.from_array(np.array([1], dtype=np.int64), "axis"),
            numpy_helper.from_array(np.arange(embeddings, dtype=np.float32), "embeddings"),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def by_hand(windows: F32, instrument_id: Ids) -> F32:
    numbers = [INSTRUMENTS.index(one) + 1 if one in INSTRUMENTS else 0 for one in instrument_id.tolist()]
    means = (np.clip(windows, -8, 8).astype(np.float64) ** 2).mean(axis=1)
    return np.asarray(means + np.array(numbers, dtype=np.float64)[:, None], dtype=np.float32)


def some_windows(rows: int, seed: int = 1) -> tuple[F32, Ids]:
    rng = np.random.Generator(np.random.PCG64(seed))
    windows = rng.normal(0, 4, (rows, WINDOW, COUNT)).astype(np.float32)
    return windows, rng.choice(np.array([*INSTRUMENTS, 1, 2, 4_000_000_000], dtype=np.uint32), rows)


@pytest.fixture(scope="session")
def network() -> WindowNetwork:
    return WindowNetwork("test.7", onnx_bytes(), INSTRUMENTS)
