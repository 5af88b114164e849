"""C sources built with the sanitizers into a folder: drivers, and the extension for an interpreter that loads them first."""

import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FLAGS: Final = ("-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fno-omit-frame-pointer", "-ffp-contract=off")
NATIVE_VARIABLE: Final = "TIDEGATE_FUZZ_NATIVE"
"""Path of the ``features._native`` to load in place of the installed one."""


def build_driver(driver: Path, room: str, built: Path) -> None:
    """Build a C program with the sources of a room that do without Python, under ASan, UBSan and LSan."""
    native = ROOT / room / "native"
    sources = [path for path in sorted(native.rglob("*.c")) if not needs_python(path)]
    sources += [path for path in sorted(driver.parent.glob("*.c")) if room == "gate" and path != driver]
    places = [
        flag for folder in sorted({native, *(path.parent for path in sources)}) for flag in ("-iquote", str(folder))
    ]
    sanitizers = ["-fsanitize=address,undefined,leak", "-fno-sanitize-recover=all"]
    _gcc(*sanitizers, *places, str(driver), *map(str, sources), "-o", str(built), "-lm")


def needs_python(source: Path) -> bool:
    """Return whether a C file is glue, or a program of its own: no part of a core."""
    return source.parent.name in {"python", "example"} or "Python.h" in source.read_text()


def build_extension(folder: Path) -> Path:
    """Build ``features._native`` under ASan and UBSan."""
    native = ROOT / "features" / "native"
    built = folder / f"_native{sysconfig.get_config_var('EXT_SUFFIX')}"
    include = ["-iquote", str(native), "-I", sysconfig.get_paths()["include"]]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-shared", "-fPIC"]
    _gcc(*sanitizers, *include, *map(str, sorted(native.rglob("*.c"))), "-o", str(built), "-lm")
    return built


def sanitized_environment(extension: Path, log: Path) -> dict[str, str]:
    """Return the environment of an interpreter that loads the sanitizers first; its own leaks are not looked for."""
    runtimes = " ".join(_runtime(name) for name in ("libasan.so", "libubsan.so"))
    options = f"detect_leaks=0:log_path={log}:quarantine_size_mb=32:exitcode=86"
    return os.environ | {"LD_PRELOAD": runtimes, "ASAN_OPTIONS": options, NATIVE_VARIABLE: str(extension)}


def load_extension() -> None:
    """Put the extension that the environment names in the place of the installed one, which must not be loaded yet."""
    path = os.environ.get(NATIVE_VARIABLE)
    if path is None:
        return
    assert "features" not in sys.modules
    loader = importlib.machinery.ExtensionFileLoader("features._native", path)
    spec = importlib.util.spec_from_file_location("features._native", path, loader=loader)
    assert spec is not None
    sys.modules["features._native"] = module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)


def _gcc(*arguments: str) -> None:
    compiler = shutil.which("gcc")
    if compiler is None:
        raise SystemExit("fuzz: gcc is missing, nothing can be built with the sanitizers")
    subprocess.run([compiler, *FLAGS, *arguments], check=True)


def _runtime(name: str) -> str:
    return subprocess.run(
        ["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True
    ).stdout.strip()
