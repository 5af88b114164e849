"""A real Triton for tests: killed, started again on the same ports, gone afterwards. Missing: a loud skip, or a failure in CI."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.ports import free_ports
from deploy.local.processes import ProcessBook, kill
from deploy.local.triton import SERVING_ENV, TritonPorts, start_triton
from models.serving.network import WindowNetwork
from models.serving.triton import TritonOptions, write_repository


@dataclass
class Serving:
    """A Triton with one network."""

    book: ProcessBook
    repository: Path
    ports: TritonPorts

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports.http}"

    def start(self) -> None:
        start_triton(self.book, self.repository, self.ports)

    def kill(self) -> None:
        started = self.book.find("triton")
        assert started is not None
        kill(started)


@contextlib.contextmanager
def served(network: WindowNetwork, folder: Path) -> Iterator[Serving]:
    """Serve the network from ``folder``."""
    if not SERVING_ENV.exists():
        message = "Triton is missing: the remote back end was NOT run against it (`make serving-env`)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    write_repository(folder / "repository", network, TritonOptions(back_end="python", kind="cpu"))
    serving = Serving(ProcessBook(folder / "book"), folder / "repository", TritonPorts(*free_ports(3)))
    try:
        serving.start()
        yield serving
    finally:
        serving.book.stop_all()
