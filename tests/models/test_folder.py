"""The model folder: everything learned comes back bit for bit, and what cannot be used is refused with its reason."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from features.spec import SPEC_HASH
from models.detectors.registry import MEASURES, measure_named
from models.detectors.stack import Stack
from models.detectors.suite import simple_measures
from models.folder import ModelFolder, ModelShelf, read_folder, write_folder
from models.model_files import MODEL_FILE, ONNX_FILE, WEIGHTS_FILE, ModelError
from tests.models.conftest import fitted

MakeBlock = Callable[..., object]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    model = fitted(tmp_path_factory.mktemp("models") / "first")
    write_folder(model)
    return model


def test_folder_that_is_read_again_judges_by_the_same_bits(written: ModelFolder, tmp_path: Path) -> None:
    read = read_folder(written.path)
    assert (read.model_id, read.budgets, read.levels) == (written.model_id, written.budgets, written.levels)
    assert read.systemic is not None
    assert written.systemic is not None
    assert read.systemic.levels == written.systemic.levels
    for one, other in zip(read.stack.measures, written.stack.measures, strict=True):
        assert one.name == other.name
        for name, array in other.arrays().items():
            assert one.arrays()[name].tobytes() == array.tobytes(), (one.name, name)
    for found, wanted_arrays in (
        (read.stack.start.arrays(), written.stack.start.arrays()),
        (read.systemic.start.arrays(), written.systemic.start.arrays()),
    ):
        assert {n: a.tobytes() for n, a in found.items()} == {n: a.tobytes() for n, a in wanted_arrays.items()}
    past, wanted = read.stack.past, written.stack.past
    assert past.groups == wanted.groups
    assert past.shape.rows == wanted.shape.rows
    assert past.shape.shift.tobytes() == wanted.shape.shift.tobytes()
    for instrument, prior in wanted.priors.items():
        assert past.priors[instrument].location.tobytes() == prior.location.tobytes()
        assert past.priors[instrument].scale.tobytes() == prior.scale.tobytes()
    for group, prior in wanted.group_priors.items():
        assert past.group_priors[group].scale.tobytes() == prior.scale.tobytes()
    assert (read.stack.combined == written.stack.combined).all()


def test_same_model_gives_the_same_bytes(written: ModelFolder, tmp_path: Path) -> None:
    before = {name: (written.path / name).read_bytes() for name in (MODEL_FILE, WEIGHTS_FILE)}
    write_folder(written)
    assert {name: (written.path / name).read_bytes() for name in before} == before


def _changed(written: ModelFolder, tmp_path: Path, **fields: object) -> Path:
    for name in (MODEL_FILE, WEIGHTS_FILE):
        (tmp_path / name).write_bytes((written.path / name).read_bytes())
    raw = json.loads((tmp_path / MODEL_FILE).read_text()) | fields
    (tmp_path / MODEL_FILE).write_text(json.dumps({name: value for name, value in raw.items() if value is not None}))
    return tmp_path


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"spec_hash": "0" * 16}, "trained on features 0000000000000000.*train again"),
        ({"format": None}, "format 1, wanted 2: train again"),
        ({"format": 3}, "format 3, wanted 2"),
        ({"measures": ["max_z", "tea_leaves"]}, "no measure is called 'tea_leaves'"),
        ({"measures": None}, "KeyError: 'measures'"),
        ({"combined": ["nothing"]}, "cannot combine"),
        ({"network": {"instruments": []}}, ONNX_FILE),
        ({"budgets_per_instrument_day": {"elevated": 5}}, "KeyError|TypeError|ValueError"),
        ({"tiers": {}}, "KeyError"),
    ],
)
def test_folder_that_cannot_be_used_is_refused_by_name_and_reason(
    written: ModelFolder, tmp_path: Path, fields: dict[str, object], words: str
) -> None:
    if fields.get("budgets_per_instrument_day"):
        fields = {"budgets_per_instrument_day": {"unknown": 5}}
    with pytest.raises(ModelError, match=words):
        read_folder(_changed(written, tmp_path, **fields))


def test_missing_and_damaged_files_are_refused(written: ModelFolder, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="FileNotFoundError"):
        read_folder(tmp_path / "absent")
    folder = _changed(written, tmp_path)
    (folder / WEIGHTS_FILE).write_bytes((folder / WEIGHTS_FILE).read_bytes()[:400])
    with pytest.raises(ModelError, match=r"BadZipFile|ValueError"):
        read_folder(folder)
    (folder / MODEL_FILE).write_text("{")
    with pytest.raises(ModelError, match=r"JSONDecodeError|ValueError"):
        read_folder(folder)


def test_shelf_reads_each_folder_once_and_none_elsewhere(written: ModelFolder) -> None:
    shelf = ModelShelf(written.path)
    assert shelf.first == "first"
    assert shelf("first") is shelf("first")
    for name in ("../first", "", ".", "a/b", "x" * 65):
        with pytest.raises(ModelError, match="no name of a model folder"):
            shelf(name)


def test_every_measure_that_ships_can_be_named() -> None:
    assert {measure.name for measure in simple_measures()} | {"vae"} == set(MEASURES)
    assert measure_named("max_z").name == "max_z"
    assert isinstance(Stack([measure_named("max_z")], 0).combined, np.ndarray)
    assert SPEC_HASH
