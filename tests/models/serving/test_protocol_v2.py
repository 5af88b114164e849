"""Requests and answers of the Open Inference Protocol: bytes as specified, and no answer taken that is not to this question."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.spec import SCORED
from models.detectors.views import WINDOW
from models.serving.interface import ServingError
from models.serving.protocol_v2 import Request, check_metadata, path_of, read_answer, write_request
from tests.models.serving.conftest import some_windows

COUNT = len(SCORED)


def request(rows: int = 3) -> Request:
    windows, _ = some_windows(rows)
    return write_request("net", "41", (windows, np.arange(rows, dtype=np.int64)))


def head(rows: int, **changes: object) -> dict[str, object]:
    output = {
        "name": "contributions",
        "datatype": "FP32",
        "shape": [rows, COUNT],
        "parameters": {"binary_data_size": rows * COUNT * 4},
    }
    whole: dict[str, object] = {"model_name": "net", "model_version": "1", "id": "41"}
    of_output = {name: changes.pop(name) for name in list(changes) if name in output}
    return whole | {"outputs": [output | of_output]} | changes


def answer(said: dict[str, object], values: bytes) -> tuple[str, bytes]:
    raw = json.dumps(said).encode()
    return str(len(raw)), raw + values


def values(rows: int = 3) -> bytes:
    return np.arange(rows * COUNT, dtype="<f4").tobytes()


def test_request_is_a_json_head_and_then_the_tensors_little_endian() -> None:
    windows, _ = some_windows(2)
    made = write_request("net", "41", (windows, np.array([5, 0], dtype=np.int64)))
    said = json.loads(made.body[: made.head_length])
    assert said["id"] == "41"
    assert [(one["name"], one["datatype"], one["shape"]) for one in said["inputs"]] == [
        ("z", "FP32", [2, WINDOW, COUNT]),
        ("instrument", "INT64", [2, 1]),
    ]
    assert said["outputs"] == [{"name": "contributions", "parameters": {"binary_data": True}}]
    sizes = [one["parameters"]["binary_data_size"] for one in said["inputs"]]
    tensors = made.body[made.head_length :]
    assert sizes == [2 * WINDOW * COUNT * 4, 16]
    assert len(tensors) == sum(sizes)
    assert (np.frombuffer(tensors[: sizes[0]], "<f4").reshape(windows.shape) == windows).all()
    assert np.frombuffer(tensors[sizes[0] :], "<i8").tolist() == [5, 0]


def test_paths_are_those_of_the_protocol() -> None:
    assert path_of("net") == "/v2/models/net"
    assert path_of("net", "infer") == "/v2/models/net/infer"


@given(rows=st.integers(1, 40))
def test_answer_to_the_question_is_read(rows: int) -> None:
    length, body = answer(head(rows), values(rows))
    parts = read_answer(request(rows), length, body)
    assert parts.shape == (rows, COUNT)
    assert parts.ravel().tolist() == list(range(rows * COUNT))


@pytest.mark.parametrize(
    "changed",
    [
        {"id": "40"},
        {"model_name": "other"},
        {"name": "other"},
        {"datatype": "FP64"},
        {"shape": [4, COUNT]},
        {"shape": [3, COUNT, 1]},
        {"parameters": {"binary_data_size": 4}},
    ],
)
def test_answer_to_another_question_is_refused(changed: dict[str, object]) -> None:
    length, body = answer(head(3, **changed), values())
    with pytest.raises(ServingError):
        read_answer(request(), length, body)


@pytest.mark.parametrize(
    ("length", "body"),
    [
        (None, b""),
        ("x", b"{}"),
        ("2", b"{}"),
        ("4", b"null"),
        ("2", b"[]"),
        ("3", b"{}"),
        ("-1", b"{}"),
        ("14", b'{"outputs":[]}'),
        ("15", b'{"outputs":[1]}'),
        ("60000", b"[" * 60_000),
    ],
)
def test_what_is_no_answer_is_refused(length: str | None, body: bytes) -> None:
    with pytest.raises(ServingError):
        read_answer(request(), length, body)


def test_answer_cut_short_or_with_something_behind_it_is_refused() -> None:
    for raw in (values()[:-4], values() + b"more"):
        length, body = answer(head(3), raw)
        with pytest.raises(ServingError, match="bytes"):
            read_answer(request(), length, body)


@pytest.mark.parametrize("strange", [np.nan, np.inf])
def test_answer_that_holds_what_is_no_number_is_refused(strange: float) -> None:
    raw = np.frombuffer(values(), "<f4").copy()
    raw[7] = strange
    length, body = answer(head(3), raw.tobytes())
    with pytest.raises(ServingError, match="no number"):
        read_answer(request(), length, body)


@given(length=st.one_of(st.none(), st.text(max_size=4), st.integers(-5, 300).map(str)), body=st.binary(max_size=300))
def test_whatever_comes_only_serving_errors_are_raised(length: str | None, body: bytes) -> None:
    with pytest.raises(ServingError):
        read_answer(request(), length, body)
    with pytest.raises(ServingError):
        check_metadata("net", body)


@given(some=st.data())
def test_answer_with_bytes_changed_is_refused_or_has_the_shape_that_was_asked(some: st.DataObject) -> None:
    length, body = answer(head(3), values())
    damaged = bytearray(body)
    for at in some.draw(st.lists(st.integers(0, int(length) + 7), min_size=1, max_size=4)):
        damaged[at] = some.draw(st.integers(0, 255))
    try:
        parts = read_answer(request(), length, bytes(damaged))
    except ServingError:
        return
    assert parts.shape == (3, COUNT)
    assert np.isfinite(parts).all()


def described(**changes: object) -> bytes:
    plain = {
        "name": "net",
        "versions": ["1"],
        "platform": "onnxruntime_onnx",
        "inputs": [
            {"name": "z", "datatype": "FP32", "shape": [-1, WINDOW, COUNT]},
            {"name": "instrument", "datatype": "INT64", "shape": [-1, 1]},
        ],
        "outputs": [{"name": "contributions", "datatype": "FP32", "shape": [-1, COUNT]}],
    }
    return json.dumps(plain | changes).encode()


def test_server_with_this_very_network_is_accepted() -> None:
    check_metadata("net", described())


@pytest.mark.parametrize("changes", [{"name": "other"}, {"inputs": []}, {"outputs": [{"name": "x"}]}, {"inputs": 3}])
def test_server_with_another_network_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ServingError):
        check_metadata("net", described(**changes))
