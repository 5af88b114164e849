"""Sizes, banned calls and words: the house style that a machine can hold."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("schemas", "feeds", "features", "models", "jobs", "gate", "history", "quality", "api", "deploy", "benchmarks")

LINES_MAX = 500
FUNCTION_LINES_MAX = 70
PARAMETERS_MAX = 5
PARAMETERS_POSITIONAL_MAX = 3

PRINT_ALLOWED = ("deploy/commands/", "deploy/demo/", "deploy/build_default_model.py", "benchmarks/", "verify.py")
CLOCK_FREE = ("schemas/", "features/", "models/tiers.py", "models/scaling.py", "models/risk.py",
              "models/past.py", "models/detectors/", "gate/policy/", "gate/reference/", "gate/causal.py", "gate/desk.py",
              "gate/reconcile.py", "gate/rows.py", "gate/trail/decision_record.py", "gate/trail/outbox.py",
              "feeds/framing.py", "feeds/simulator/", "feeds/stress/", "jobs/machines/", "jobs/operators/",
              "quality/definitions.py", "quality/deriving.py", "quality/rows.py", "quality/ticks.py", "quality/tables.py",
              "quality/verdicts.py", "quality/stream.py", "quality/inspection.py", "quality/batches.py")  # fmt: skip


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def sources() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in ROOMS]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("suffix", [".py", ".c", ".h", ".sql", ".js"])
def test_files_stay_small(suffix: str) -> None:
    large = {
        name(path): count
        for path in tracked()
        if path.suffix == suffix and (count := len(path.read_text().splitlines())) > LINES_MAX
    }
    assert not large


def test_functions_stay_small_and_take_few_parameters() -> None:
    wrong = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            where = f"{name(path)}:{node.lineno} {node.name}"
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            arguments = node.args
            positional = [a for a in (*arguments.posonlyargs, *arguments.args) if a.arg not in {"self", "cls"}]
            total = len(positional) + len(arguments.kwonlyargs)
            if lines > FUNCTION_LINES_MAX:
                wrong.append(f"{where}: {lines} lines")
            # Commands of the CLI take one parameter per option: click fills them by name.
            if not name(path).startswith("deploy/commands/") and (
                total > PARAMETERS_MAX or len(positional) > PARAMETERS_POSITIONAL_MAX
            ):
                wrong.append(f"{where}: {len(positional)} positional, {total} in all")
    assert not wrong, "\n".join(wrong)


def test_every_module_opens_with_a_docstring() -> None:
    assert not [name(path) for path in sources() if not ast.get_docstring(ast.parse(path.read_text()))]


def test_print_stays_in_commands_and_benchmarks() -> None:
    wrong = [
        f"{name(path)}:{node.lineno}"
        for path in sources()
        if not any(part in name(path) for part in PRINT_ALLOWED)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not wrong


def test_pure_code_reads_no_clock() -> None:
    pattern = re.compile(r"\b(time\.(time|monotonic|perf_counter)|datetime\.(now|utcnow)|monotonic_ns|time_ns)\b")
    wrong = [
        f"{name(path)}:{number}"
        for path in sources()
        if name(path).startswith(CLOCK_FREE)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line)
    ]
    assert not wrong


def test_no_bare_except_and_no_swallowed_exception() -> None:
    wrong = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler) and (
                node.type is None or (len(node.body) == 1 and isinstance(node.body[0], ast.Pass))
            ):
                wrong.append(f"{name(path)}:{node.lineno}")
    assert not wrong


def test_no_loose_ends_and_no_machine_paths() -> None:
    words = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b|NotImplemented" + r"Error")
    paths = re.compile(r"(?<![\w.])/(work|root|home|tmp/[a-z0-9])/?")
    hosts = re.compile(r"pypi\.org|pythonhosted|repo1?\.maven|registry\.npmjs|proxy\.golang")
    text = {".py", ".c", ".h", ".md", ".toml", ".yaml", ".yml", ".sql", ".sh", ".xml", ".lock", ".txt", ""}
    wrong = []
    for path in tracked():
        if path.suffix not in text or path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if words.search(line) or paths.search(line) or hosts.search(line):
                wrong.append(f"{name(path)}:{number}: {line.strip()[:80]}")
    assert not wrong, "\n".join(wrong)


def test_no_room_for_everything() -> None:
    banned = {"utils", "common", "core", "helpers", "misc"}
    assert not [name(p) for p in tracked() if banned & {part.removesuffix(".py") for part in p.relative_to(ROOT).parts}]
