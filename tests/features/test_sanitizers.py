"""The pure C kernel under ASan and UBSan: random, malformed and extreme frames, restores, damaged snapshots."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "features" / "native"
FLAGS = ["-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fno-omit-frame-pointer", "-ffp-contract=off"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
FRAMES = 400


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc")
    if compiler is None:
        if os.environ.get("CI") == "true":
            pytest.fail("gcc is missing")
        pytest.skip("gcc is missing: the C kernel was NOT run under the sanitizers")
    built = tmp_path_factory.mktemp("fuzz") / "kernel_fuzz"
    sources = [path for path in sorted(NATIVE.glob("*.c")) if "Python.h" not in path.read_text()]
    driver = Path(__file__).parent / "native" / "kernel_fuzz.c"
    subprocess.run(  # -iquote: the kernel's features.h must not hide glibc's
        [
            compiler,
            *FLAGS,
            *SANITIZERS,
            "-iquote",
            str(NATIVE),
            str(driver),
            *map(str, sources),
            "-o",
            str(built),
            "-lm",
        ],
        check=True,
    )
    return built


def test_core_is_free_of_python() -> None:
    assert [path.name for path in sorted(NATIVE.glob("*.[ch]")) if "Python.h" in path.read_text()] == ["module.c"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_malformed_frames_and_damaged_snapshots_leave_the_sanitizers_silent(fuzz: Path, seed: int) -> None:
    command = [str(fuzz), str(seed), str(FRAMES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout == f"rows=1 refused={FRAMES // 25 * 12}\n"
