"""The C code under the sanitizers: the tests of table and gate under ASan and UBSan, their locks under TSan."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.fuzz.native_build import needs_python

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "gate" / "native"
WARNINGS = ["-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fno-omit-frame-pointer"]

# The built module takes the name of the installed one before anything of the gate is imported.
RUN_TESTS = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("gate._native", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
sys.modules["gate._native"] = module
import gate
gate._native = module
import pytest
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-m", "not integration", *sys.argv[2:]]))
"""


@pytest.fixture(scope="module")
def compiler() -> str:
    found = shutil.which("gcc")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("gcc is missing")
        pytest.skip("gcc is missing: the C code was NOT run under the sanitizers")
    return found


def runtime_of(compiler: str, name: str) -> str:
    found = subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    return found.stdout.strip()


def test_tests_of_table_and_gate_pass_under_address_and_undefined_behaviour_sanitizers(
    compiler: str, tmp_path: Path
) -> None:
    built = tmp_path / "_native.so"
    include = sysconfig.get_paths()["include"]
    sources = [str(path) for path in sorted(NATIVE.rglob("*.c")) if path.parent.name != "example"]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    subprocess.run(
        [compiler, *WARNINGS, *sanitizers, "-shared", "-fPIC", f"-I{include}", f"-I{NATIVE}", *sources, "-o",
         str(built)], check=True,
    )  # fmt: skip
    tests = ["test_rows.py", "test_limit_table.py", "test_limit_sets.py", "test_decision_ring.py", "test_shipper.py"]
    tests += [path.name for path in sorted(Path(__file__).parent.glob("test_gate_*.py"))]
    tests += ["test_ledger_snapshot.py"]
    environment = os.environ | {
        "LD_PRELOAD": f"{runtime_of(compiler, 'libasan.so')} {runtime_of(compiler, 'libubsan.so')}",
        "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter keeps memory to its end
    }
    done = subprocess.run(
        [sys.executable, "-c", RUN_TESTS, str(built), *(str(Path(__file__).parent / name) for name in tests)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "passed" in done.stdout


def test_sequence_locks_have_no_data_race_and_no_torn_read_under_thread_sanitizer(
    compiler: str, tmp_path: Path
) -> None:
    assert runs_under_thread_sanitizer(compiler, tmp_path, "seqlock_race") == "fault=0\n"


def test_orders_and_reports_of_many_threads_keep_limits_and_sums_under_thread_sanitizer(
    compiler: str, tmp_path: Path
) -> None:
    assert runs_under_thread_sanitizer(compiler, tmp_path, "gate_threads") == "fault=0\n"


def runs_under_thread_sanitizer(compiler: str, tmp_path: Path, program: str) -> str:
    """Build a program with the core, run it, and return what it says."""
    built = tmp_path / program
    core = [path for path in sorted(NATIVE.rglob("*.c")) if not needs_python(path)]
    sources = [str(Path(__file__).parent / "native" / f"{program}.c"), *map(str, core)]
    subprocess.run(
        [compiler, *WARNINGS, "-fsanitize=thread", f"-I{NATIVE}", *sources, "-o", str(built), "-lpthread"], check=True
    )
    done = subprocess.run([str(built)], capture_output=True, text=True, timeout=120, check=False)
    if "unexpected memory mapping" in done.stderr:  # the kernel's address randomisation is beyond this TSan runtime
        done = subprocess.run(["setarch", "-R", str(built)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return done.stdout
