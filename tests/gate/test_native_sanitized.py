"""The C code under the sanitizers: the check tests under ASan and UBSan, the sequence lock under TSan."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

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
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[2:]]))
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


def test_check_tests_pass_under_address_and_undefined_behaviour_sanitizers(compiler: str, tmp_path: Path) -> None:
    built = tmp_path / "_native.so"
    include = sysconfig.get_paths()["include"]
    sources = [str(path) for path in sorted(NATIVE.glob("*.c"))]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    subprocess.run(
        [compiler, *WARNINGS, *sanitizers, "-shared", "-fPIC", f"-I{include}", *sources, "-o", str(built)], check=True
    )
    tests = ["test_order_check.py", "test_order_twin.py", "test_limit_table.py", "test_limit_book.py"]
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


def test_sequence_lock_has_no_data_race_under_thread_sanitizer(compiler: str, tmp_path: Path) -> None:
    built = tmp_path / "seqlock_race"
    sources = [str(Path(__file__).parent / "native" / "seqlock_race.c"), str(NATIVE / "limit_table.c")]
    subprocess.run(
        [compiler, *WARNINGS, "-fsanitize=thread", f"-I{NATIVE}", *sources, "-o", str(built), "-lpthread"], check=True
    )
    done = subprocess.run([str(built)], capture_output=True, text=True, timeout=60, check=False)
    if "unexpected memory mapping" in done.stderr:  # the kernel's address randomisation is beyond this TSan runtime
        done = subprocess.run(["setarch", "-R", str(built)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout == "torn=0\n"
