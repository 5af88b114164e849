"""The network's back ends by number of windows: in this process, and on a Triton of this machine where there is one.

Invariant: both are asked the same windows in turns, so what else the machine does meets both. The remote deadline is far off: this
measures how long answers take, not how many are in time; ``late`` counts those that the production deadline would have dropped.
"""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from deploy.local.ports import free_ports
from deploy.local.processes import ProcessBook
from deploy.local.triton import SERVING_ENV, TritonPorts, start_triton
from features.spec import SCORED
from models.detectors.views import WINDOW
from models.serving.interface import WindowScorer
from models.serving.local import LocalWindowScorer
from models.serving.network import WindowNetwork
from models.serving.remote import RemoteWindowScorer
from models.serving.triton import TritonOptions, write_repository

PRODUCTION_MS: Final = 20.0
UNHURRIED_MS: Final = 2_000.0
START_S: Final = 10.0
POOL: Final = 8


@contextlib.contextmanager
def back_ends(network: WindowNetwork) -> Iterator[dict[str, WindowScorer]]:
    """Open ``local``, and ``remote`` where ``make serving-env`` has been run; both are gone after the block."""
    with contextlib.ExitStack() as stack:
        opened: dict[str, WindowScorer] = {"local": LocalWindowScorer(network)}
        if SERVING_ENV.exists():
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            write_repository(folder / "repository", network, TritonOptions(back_end="python", kind="cpu"))
            book, ports = ProcessBook(folder / "book"), TritonPorts(*free_ports(3))
            stack.callback(book.stop_all)
            start_triton(book, folder / "repository", ports)
            remote = RemoteWindowScorer(network, f"http://127.0.0.1:{ports.http}", UNHURRIED_MS)
            stack.callback(remote.close)
            if not remote.wait(START_S):
                raise RuntimeError(f"Triton does not answer: {remote.trouble}")
            opened["remote"] = remote
        yield opened


def timed(opened: dict[str, WindowScorer], rows: int, ticks: int, *, seed: int) -> dict[str, dict[str, float]]:
    """Return percentiles of the time of an answer to ``rows`` windows, for each back end.

    Raises:
        RuntimeError: A back end did not answer.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    pool = rng.normal(0, 2, (POOL, rows, WINDOW, len(SCORED))).astype(np.float32)
    ids = np.arange(1, rows + 1, dtype=np.uint32)
    spent: dict[str, list[float]] = {name: [] for name in opened}
    for tick in range(-POOL, ticks):
        for name, scorer in opened.items():
            start = time.perf_counter_ns()
            parts = scorer.score(pool[tick % POOL], ids)
            took_ms = (time.perf_counter_ns() - start) / 1e6
            if parts is None:
                raise RuntimeError(f"{name}: no answer to {rows} windows; {scorer.counts}")
            if tick >= 0:
                spent[name].append(took_ms)
    return {name: _percentiles(np.array(times)) for name, times in spent.items()}


def _percentiles(times_ms: Any) -> dict[str, float]:
    found = {f"p{share:g}_ms": round(float(np.percentile(times_ms, share)), 3) for share in (50, 90, 99)}
    return found | {"late": int((times_ms > PRODUCTION_MS).sum())}
