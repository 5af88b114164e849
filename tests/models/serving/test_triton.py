"""The Triton model repository: what is in it, read back by a reader of protobuf's text form, and the command that writes it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from deploy.cli import main
from features.spec import SCORED
from models.detectors.views import WINDOW
from models.serving.interface import ServingError
from models.serving.network import WindowNetwork
from models.serving.triton import TritonOptions, configuration, write_repository

COUNT = len(SCORED)
Message = dict[str, list[Any]]

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[A-Za-z_][A-Za-z0-9_]*|-?\d+|[{}\[\]:,]')


def parse(text: str) -> Message:
    """Return the message in ``text``: every field a list, repeated fields in order."""
    tokens = TOKEN.findall(text)
    assert not TOKEN.sub("", text).strip(), "something that is no token"
    found, rest = _fields(tokens)
    assert not rest
    return found


def _fields(tokens: list[str]) -> tuple[Message, list[str]]:
    found: Message = {}
    while tokens and tokens[0] != "}":
        name, tokens = tokens[0], tokens[1:]
        if tokens[0] == ":":
            tokens = tokens[1:]
        values, tokens = _list(tokens[1:]) if tokens[0] == "[" else _one(tokens)
        found.setdefault(name, []).extend(values)
        if tokens and tokens[0] == ",":
            tokens = tokens[1:]
    return found, tokens


def _list(tokens: list[str]) -> tuple[list[Any], list[str]]:
    values: list[Any] = []
    while tokens[0] != "]":
        one, tokens = _one(tokens)
        values += one
        if tokens[0] == ",":
            tokens = tokens[1:]
    return values, tokens[1:]


def _one(tokens: list[str]) -> tuple[list[Any], list[str]]:
    if tokens[0] == "{":
        message, rest = _fields(tokens[1:])
        assert rest[0] == "}"
        return [message], rest[1:]
    word = tokens[0]
    return [json.loads(word) if word.startswith('"') or word.lstrip("-").isdigit() else word], tokens[1:]


def test_configuration_says_what_the_network_reads_and_how_requests_are_batched() -> None:
    found = parse(configuration("net-1", TritonOptions()))
    assert found["name"] == ["net-1"]
    assert found["backend"] == ["onnxruntime"]
    assert found["platform"] == ["onnxruntime_onnx"]
    assert found["default_model_filename"] == ["model.onnx"]
    assert found["max_batch_size"] == [8192]
    windows = {"name": ["z"], "data_type": ["TYPE_FP32"], "dims": [WINDOW, COUNT]}
    numbers = {"name": ["instrument"], "data_type": ["TYPE_INT64"], "dims": [1], "reshape": [{"shape": []}]}
    assert found["input"] == [windows, numbers]
    assert found["output"] == [{"name": ["contributions"], "data_type": ["TYPE_FP32"], "dims": [COUNT]}]
    assert found["dynamic_batching"] == [
        {"preferred_batch_size": [64, 512, 4096], "max_queue_delay_microseconds": [200]}
    ]
    assert found["instance_group"] == [{"count": [1], "kind": ["KIND_GPU"]}]
    assert found["response_cache"] == [{"enable": ["false"]}]
    assert found["version_policy"] == [{"specific": [{"versions": [1]}]}]
    threads = {one["key"][0]: one["value"][0]["string_value"][0] for one in found["parameters"]}
    assert threads == {"intra_op_thread_count": "1", "inter_op_thread_count": "1"}


def test_batches_that_ticks_bring_are_run_before_the_model_counts_as_ready() -> None:
    warm = parse(configuration("net-1", TritonOptions()))["model_warmup"]
    assert [one["batch_size"] for one in warm] == [[1], [64], [512]]
    for one in warm:
        inputs = {pair["key"][0]: pair["value"][0] for pair in one["inputs"]}
        assert inputs["z"] == {"data_type": ["TYPE_FP32"], "dims": [WINDOW, COUNT], "zero_data": ["true"]}
        assert inputs["instrument"] == {"data_type": ["TYPE_INT64"], "dims": [1], "zero_data": ["true"]}


@pytest.mark.parametrize(("rows_max", "preferred", "warm"), [(600, [64, 512], 3), (64, [64], 2), (5, [5], 1)])
def test_batches_never_exceed_the_largest(rows_max: int, preferred: list[int], warm: int) -> None:
    found = parse(configuration("net-1", TritonOptions(rows_max=rows_max)))
    assert found["max_batch_size"] == [rows_max]
    assert found["dynamic_batching"][0]["preferred_batch_size"] == preferred
    assert len(found["model_warmup"]) == warm


def test_python_back_end_brings_its_program_and_the_same_tensors() -> None:
    python = parse(configuration("net-1", TritonOptions(back_end="python", kind="cpu")))
    assert python["backend"] == ["python"]
    assert python["default_model_filename"] == ["model.py"]
    assert python["instance_group"][0]["kind"] == ["KIND_CPU"]
    native = parse(configuration("net-1", TritonOptions()))
    for part in ("input", "output", "dynamic_batching", "model_warmup"):
        assert python[part] == native[part]


@pytest.mark.parametrize("wrong", [{"back_end": "torch"}, {"kind": "tpu"}, {"version": 0}, {"rows_max": 0}])
def test_options_that_triton_would_not_take_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ServingError):
        TritonOptions(**wrong)


def test_repository_holds_the_network_under_its_served_name_and_version(network: WindowNetwork, tmp_path: Path) -> None:
    folder = write_repository(tmp_path, network, TritonOptions(version=3))
    assert folder == tmp_path / network.served_name
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*")} == {"config.pbtxt", "3", "3/model.onnx"}
    assert (folder / "3" / "model.onnx").read_bytes() == network.onnx
    before = (folder / "config.pbtxt").read_bytes()
    write_repository(tmp_path, network, TritonOptions(version=3))
    assert (folder / "config.pbtxt").read_bytes() == before


def test_newer_network_stands_beside_the_older_one(network: WindowNetwork, tmp_path: Path) -> None:
    newer = WindowNetwork(network.model_id, network.onnx + b"\n", network.instruments)
    for one in (network, newer):
        write_repository(tmp_path, one, TritonOptions())
    assert {path.name for path in tmp_path.iterdir()} == {network.served_name, newer.served_name}


def test_command_exports_a_model_folder(network: WindowNetwork, tmp_path: Path) -> None:
    folder, repository = tmp_path / "model", tmp_path / "repository"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(network.onnx)
    plain = {"model_id": network.model_id, "network": {"instruments": list(network.instruments)}}
    (folder / "model.json").write_text(json.dumps(plain))
    asked = ["model", "export", "--triton", str(repository), "--back-end", "python", "--kind", "cpu", str(folder)]
    result = CliRunner().invoke(main, asked)
    assert result.exit_code == 0, result.output
    said = json.loads(result.output.splitlines()[-1])
    assert said == {"folder": str(repository / network.served_name), "served_name": network.served_name, "version": 1}
    assert {path.name for path in (repository / network.served_name / "1").iterdir()} == {"model.onnx", "model.py"}


@pytest.mark.parametrize(("said", "why"), [('{"model_id": "m"}', "no window network"), ("{", "model.json")])
def test_command_refuses_a_folder_that_it_cannot_serve(tmp_path: Path, said: str, why: str) -> None:
    (tmp_path / "model.json").write_text(said)
    result = CliRunner().invoke(main, ["model", "export", "--triton", str(tmp_path / "out"), str(tmp_path)])
    assert result.exit_code == 1
    assert why in result.output
    assert not (tmp_path / "out").exists()
