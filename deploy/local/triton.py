"""A real Triton on this machine: the server inside the ``nvidia-pytriton`` wheel, from its own environment (``make serving-env``).

Invariant: it serves a model repository as it is, so what is tested here is the configuration that a deployment gets. *Not
taken:* pytriton's Python binding, which writes a configuration of its own. Every port is chosen by the caller.
"""

import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.local.processes import ProcessBook, Started, alive

SERVING_ENV: Final = Path(__file__).parents[2] / "build" / "serving-venv"
READY_TIMEOUT_S: Final = 60.0
LOG_LINES: Final = 20


class TritonError(RuntimeError):
    """Triton cannot be started; the message says what is missing or shows its last words."""


@dataclass(frozen=True, slots=True)
class TritonPorts:
    """Ports on 127.0.0.1."""

    http: int
    grpc: int
    metrics: int


@dataclass(frozen=True, slots=True)
class TritonCommand:
    """What to run."""

    argv: list[str]
    env: dict[str, str]


def command_of(repository: Path, ports: TritonPorts, environment: Path = SERVING_ENV) -> TritonCommand:
    """Return the command that serves ``repository``.

    Raises:
        TritonError: The environment is not there, or has no server for its Python.
    """
    python = environment / "bin" / "python"
    if not python.exists():
        raise TritonError(f"{environment} is missing: `make serving-env` makes it")
    said = subprocess.run([str(python), "-c", _WHERE], capture_output=True, text=True, check=False)
    if said.returncode:
        raise TritonError(f"{environment} has no Triton: {said.stderr.strip().splitlines()[-1:]}")
    package, version, python_libraries = (Path(line) for line in said.stdout.splitlines())
    server = package / "tritonserver"
    stub = server / "python_backend_stubs" / version / _STUB
    if not stub.exists():
        raise TritonError(f"{environment}: the wheel's Python back end does not know Python {version}")
    placed = server / "backends" / "python" / _STUB
    if not placed.exists():  # where the server looks for it; the wheel keeps one for each Python
        shutil.copy2(stub, fresh := placed.with_name(f"{_STUB}.{os.getpid()}"))
        fresh.replace(placed)
    libraries = f"{package.parent / 'nvidia_pytriton.libs'}:{python_libraries}"
    path = f"{python.parent}:{os.environ.get('PATH', '')}"
    return TritonCommand(
        [
            str(server / "bin" / "tritonserver"),
            f"--model-repository={repository}",
            f"--backend-directory={server / 'backends'}",
            "--http-address=127.0.0.1",
            "--grpc-address=127.0.0.1",
            "--metrics-address=127.0.0.1",
            f"--http-port={ports.http}",
            f"--grpc-port={ports.grpc}",
            f"--metrics-port={ports.metrics}",
            "--disable-auto-complete-config",
            "--exit-on-error=true",
        ],
        {**os.environ, "PATH": path, "LD_LIBRARY_PATH": libraries, "PYTHONPATH": ""},
    )


def start_triton(
    book: ProcessBook, repository: Path, ports: TritonPorts, *, environment: Path = SERVING_ENV
) -> Started:
    """Start Triton, written down as ``triton``, and wait until every model is ready.

    Raises:
        TritonError: It cannot be started, ended, or is not ready in time.
    """
    command = command_of(repository, ports, environment)
    started = book.start("triton", command.argv, env=command.env)
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not _ready(ports.http):
        if not alive(started) or time.monotonic() > deadline:
            book.stop("triton")
            words = Path(started.log).read_text(errors="replace").splitlines()[-LOG_LINES:]
            raise TritonError("Triton is not ready:\n" + "\n".join(words))
        time.sleep(0.05)
    return started


_STUB: Final = "triton_python_backend_stub"
_WHERE: Final = (
    "import importlib.util, pathlib, sys, sysconfig\n"
    "print(pathlib.Path(importlib.util.find_spec('pytriton').origin).parent)\n"
    "print('%d.%d' % sys.version_info[:2])\n"
    "print(sysconfig.get_config_var('LIBDIR'))\n"
)


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
