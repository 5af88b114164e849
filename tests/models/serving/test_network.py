"""What the network reads, the name that it is served under, and the model folder it comes from."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.spec import SCORED
from models.detectors.views import WINDOW
from models.model_files import ModelError
from models.serving.network import NetworkInputs, WindowNetwork, read_network

IDS = st.integers(0, 2**32 - 1)


def write(folder: Path, **changes: object) -> None:
    plain = {"model_id": "m", "network": {"instruments": [7, 3]}} | changes
    (folder / "model.json").write_text(json.dumps(plain))
    (folder / "model.onnx").write_bytes(b"bytes")


@given(known=st.lists(IDS, unique=True, max_size=20), asked=st.lists(IDS, max_size=20), some=st.data())
def test_numbers_are_places_in_the_list_from_1_and_0_for_everyone_else(
    known: list[int], asked: list[int], some: st.DataObject
) -> None:
    if known:
        asked = asked + some.draw(st.lists(st.sampled_from(known), max_size=20))
    windows = np.zeros((len(asked), WINDOW, len(SCORED)), dtype=np.float32)
    _, numbers = NetworkInputs(tuple(known)).make(windows, np.array(asked, dtype=np.uint32))
    assert numbers.tolist() == [known.index(one) + 1 if one in known else 0 for one in asked]


def test_windows_are_cut_at_8_and_stay_float32() -> None:
    windows = np.linspace(-20, 20, WINDOW * len(SCORED), dtype=np.float32).reshape(1, WINDOW, -1)
    cut, _ = NetworkInputs(()).make(windows, np.array([1], dtype=np.uint32))
    assert cut.dtype == np.float32
    assert (cut == np.clip(windows, -8, 8)).all()


@pytest.mark.parametrize("shape", [(2, WINDOW, len(SCORED)), (1, WINDOW - 1, len(SCORED)), (1, WINDOW, 3)])
def test_windows_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="windows"):
        NetworkInputs(()).make(np.zeros(shape, dtype=np.float32), np.array([1], dtype=np.uint32))


def test_served_name_changes_with_the_bytes_and_keeps_to_letters_that_a_path_takes() -> None:
    one, other = (WindowNetwork("a b/7.1", onnx, ()).served_name for onnx in (b"one", b"other"))
    assert one != other
    assert one.startswith("a-b-7-1-")
    assert one == WindowNetwork("a b/7.1", b"one", (1, 2)).served_name


def test_folder_gives_its_network(tmp_path: Path) -> None:
    write(tmp_path)
    assert read_network(tmp_path) == WindowNetwork("m", b"bytes", (7, 3))


def test_folder_of_a_model_without_network_gives_none(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text('{"model_id": "m"}')
    assert read_network(tmp_path) is None


@pytest.mark.parametrize("wrong", [{}, {"instruments": 7}, {"instruments": [1, 1]}, {"instruments": ["a"]}, 3])
def test_folder_with_a_damaged_network_entry_is_refused_by_its_name(tmp_path: Path, wrong: object) -> None:
    write(tmp_path, network=wrong)
    with pytest.raises(ModelError, match=tmp_path.name):
        read_network(tmp_path)


def test_folder_that_promises_a_network_and_has_none_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(ModelError, match=r"model\.onnx"):
        read_network(tmp_path)
