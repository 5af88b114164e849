"""The table of rooms: who may import whom, and which library lives where."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MAY_IMPORT = {
    "schemas": set[str](),
    "feeds": {"schemas"},
    "features": {"schemas"},
    "models": {"schemas", "features"},
    "jobs": {"schemas", "features", "models", "gate", "quality"},
    "gate": {"schemas"},
    "history": {"schemas"},
    "quality": {"schemas", "features", "history"},
    "api": {"schemas", "history"},
    "deploy": {"schemas", "feeds", "features", "models", "jobs", "gate", "history", "quality", "api"},
    "benchmarks": {"schemas", "feeds", "features", "models", "jobs", "gate", "history", "quality", "api", "deploy"},
}
ROOMS = set(MAY_IMPORT)

# A library listed here may be imported in these rooms alone.
LIBRARY_ROOMS = {
    "pyflink": {"jobs", "benchmarks"},  # the benchmarks run rivals of the jobs
    "nautilus_trader": {"benchmarks"},  # other engines, in an environment of their own
    "vnpy": {"benchmarks"},
    "vnpy_riskmanager": {"benchmarks"},
    "sklearn": {"features"},
    "matplotlib": {"features", "models", "deploy"},
    "torch": {"models", "benchmarks"},  # one benchmark compares CPU and GPU
    "onnx": {"models"},
    "onnxruntime": {"models"},
    "triton_python_backend_utils": {"models"},  # inside Triton alone
    "clickhouse_connect": {"history"},
    "chdb": {"history"},
    "fastavro": {"schemas"},
    "great_expectations": {"quality"},
    "confluent_kafka": {"schemas", "feeds", "gate", "history", "quality", "api", "deploy", "benchmarks"},
    "databento_dbn": {"feeds", "deploy"},
    "kafka": {"deploy"},
    "click": {"deploy"},
    "fastapi": {"api"},
    "uvicorn": {"api"},
    "playwright": {"deploy"},
    "prometheus_client": {"schemas"},
}
TRAINING_ONLY = {"models.net", "models.train", "models.export"}
PURE_LIBRARIES = {"features": {"numpy"}}


def modules(room: str) -> list[Path]:
    return sorted(path for path in (ROOT / room).rglob("*.py") if "__pycache__" not in path.parts)


def imports(path: Path) -> tuple[tuple[int, str], ...]:
    return _imports_in(path.read_text())


@functools.cache
def _imports_in(source: str) -> tuple[tuple[int, str], ...]:
    """Each file is asked by a dozen tests, and read anew by each: parsed once."""
    return tuple(_walk(ast.parse(source)))


def _walk(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            yield node.lineno, node.module or ""
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_room_imports_only_what_the_table_allows(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in modules(room)
        for line, name in imports(path)
        if (top := name.partition(".")[0]) in ROOMS and top != room and top not in MAY_IMPORT[room]
    ]
    assert not wrong, wrong


@pytest.mark.parametrize("library", sorted(LIBRARY_ROOMS))
def test_library_stays_in_its_rooms(library: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for room in ROOMS - LIBRARY_ROOMS[library]
        for path in modules(room)
        for line, name in imports(path)
        if name.partition(".")[0] == library
    ]
    assert not wrong, wrong


def test_jobs_take_row_checks_from_quality_and_nothing_that_asks_or_loads_the_library() -> None:
    light = {"quality.definitions", "quality.rows", "quality.stream", "quality.ticks"}
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in modules("jobs")
        for line, name in imports(path)
        if name.partition(".")[0] == "quality" and ".".join(name.split(".")[:2]) not in light
    ]
    assert not wrong, wrong


def test_jobs_and_inference_never_import_training() -> None:
    scoring = [path for path in modules("models/detectors") if path.name != "suite.py"]  # the suite is what trains
    scoring += [*modules("models/serving"), *(ROOT / f"models/{name}.py" for name in ("inference", "risk", "tiers"))]
    serving = [*modules("jobs"), *scoring]
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in serving
        for line, name in imports(path)
        if name in TRAINING_ONLY or name.startswith("torch")
    ]
    assert not wrong, wrong


@pytest.mark.parametrize("room", sorted(PURE_LIBRARIES))
def test_pure_room_uses_no_clock_no_io_and_no_other_library(room: str) -> None:
    banned = {"time", "logging", "socket", "threading", "os", "random", "requests"}
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in modules(room)
        for line, name in imports(path)
        if name.partition(".")[0] in banned
    ]
    assert not wrong, wrong


def test_canary_a_planted_wrong_import_is_seen(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text("from jobs import settings\nimport torch.nn\n")
    assert [name for _, name in imports(planted)] == ["jobs", "jobs.settings", "torch.nn"]
