"""Where a GPU begins to pay: the window network by batch, on the CPU and on CUDA, with and without a captured graph.

Invariant: every time is from windows in the host's memory to parts in the host's memory, as a tick has and needs them. ``cpu``
is torch on one thread, ``onnx`` ONNX Runtime on one thread (what runs in production; left out where it is not installed),
``cuda`` copies, runs and waits launch by launch, ``graph`` replays copies and network as one captured CUDA graph, ``kernels``
is the network of that graph alone, by CUDA events. All must equal ``cpu`` within 1e-5, in float32 (TF32 is off). Weights are
untrained: time does not depend on them. Needs torch and NumPy alone, from the repository's root:
``python -m benchmarks.gpu_score``; JSON last.
"""

import argparse
import copy
import importlib.util
import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from benchmarks.machine import machine
from models.net import WindowVae

BATCHES: Final = (1, 8, 64, 500, 1_024, 2_048, 4_096, 16_384, 65_536)
TICKS: Final = 8
FEATURES: Final = 21
INSTRUMENTS: Final = 512
TOLERANCE: Final = 1e-5
WARM: Final = 20
SHARES: Final = {"p50": 50.0, "p99": 99.0, "p999": 99.9}

Step = Callable[[], Tensor]
"""One tick: from the windows in pinned host memory to the parts in host memory, done when it returns."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Windows and instrument numbers in the host's memory, pinned where there is a GPU."""

    windows: Tensor = field(repr=False)
    numbers: Tensor = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Nets:
    """The same network three times.

    Attributes:
        cpu: torch.
        cuda: torch on the GPU; ``None`` without one.
        onnx: ONNX Runtime's session; ``None`` where it is not installed.
    """

    cpu: WindowVae
    cuda: WindowVae | None
    onnx: Any


def main(argv: list[str] | None = None) -> int:
    """Measure and print; return 0, 1 when answers differ, 2 without CUDA."""
    parser = argparse.ArgumentParser(prog="benchmarks.gpu_score", description="Batch crossover of CPU and GPU.")
    parser.add_argument("--repeats", type=int, default=2_000, help="timed runs of a batch; fewer of the largest")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--cpu-only", action="store_true", help="measure the CPU alone, to see that it runs")
    arguments = parser.parse_args(argv)
    cuda = torch.cuda.is_available() and not arguments.cpu_only
    if not cuda and not arguments.cpu_only:
        built = f"torch {torch.__version__}, built for CUDA {torch.version.cuda}"
        print(f"no CUDA device ({built}): nothing was measured", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(arguments.seed)
    net = WindowVae(TICKS, FEATURES, INSTRUMENTS).eval()
    print(_where(cuda=cuda))
    rows = []
    with torch.no_grad():
        nets = Nets(net, copy.deepcopy(net).cuda() if cuda else None, onnx_session(net))
        for size in BATCHES:
            batch = make_batch(size, arguments.seed, pinned=cuda)
            repeats = max(50, min(arguments.repeats, 20_000_000 // (size * 100)))
            rows.append(measure(nets, batch, repeats=repeats))
            print(json.dumps(rows[-1]))
    figures = {"machine": _where(cuda=cuda), "batches": rows, "crossover": crossover(rows), "tolerance": TOLERANCE}
    worst = max(row["difference"] for row in rows)
    print(f"crossover (p50, graph below the best of the CPU): {figures['crossover']}; largest difference {worst:.1e}")
    print(json.dumps(figures))
    return int(worst > TOLERANCE)


def make_batch(size: int, seed: int, *, pinned: bool) -> Batch:
    """Return random windows as the scaler makes them."""
    rng = np.random.Generator(np.random.PCG64(seed + size))
    windows = torch.from_numpy(rng.normal(0, 2, (size, TICKS, FEATURES)).astype(np.float32).clip(-8, 8))
    numbers = torch.from_numpy(rng.integers(0, INSTRUMENTS + 1, size))
    return Batch(windows.pin_memory(), numbers.pin_memory()) if pinned else Batch(windows, numbers)


def measure(nets: Nets, batch: Batch, *, repeats: int) -> dict[str, Any]:
    """Return a row: percentiles in microseconds of each way, and the largest difference from the CPU's answer."""
    steps: dict[str, Step] = {"cpu": lambda: nets.cpu(batch.windows, batch.numbers)}
    kernels: Callable[[], float] | None = None
    if nets.onnx is not None:
        fed = {"z": batch.windows.numpy(), "instrument": batch.numbers.numpy()}
        steps["onnx"] = lambda: torch.from_numpy(nets.onnx.run(None, fed)[0])
    if nets.cuda is not None:
        steps["cuda"] = cuda_step(nets.cuda, batch)
        steps["graph"], kernels = graph_step(nets.cuda, batch)
    wanted = nets.cpu(batch.windows, batch.numbers).clone()
    row: dict[str, Any] = {"windows": len(batch.numbers), "repeats": repeats, "difference": 0.0}
    for name, step in steps.items():
        difference = float(((step() - wanted).abs() / (1.0 + wanted.abs())).max())
        row["difference"] = max(row["difference"], difference)
        row[name] = timed(step, repeats)
    if kernels is not None:
        row["kernels_p50_us"] = round(float(np.median([kernels() for _ in range(min(repeats, 200))])), 2)
    return row


def cuda_step(net: WindowVae, batch: Batch) -> Step:
    """Return copies and network launched one by one, as eager torch does."""
    found = torch.empty((len(batch.numbers), FEATURES), pin_memory=True)

    def step() -> Tensor:
        windows = batch.windows.to("cuda", non_blocking=True)
        numbers = batch.numbers.to("cuda", non_blocking=True)
        found.copy_(net(windows, numbers), non_blocking=True)
        torch.cuda.synchronize()
        return found

    return step


def graph_step(net: WindowVae, batch: Batch) -> tuple[Step, Callable[[], float]]:
    """Return copies and network as one captured graph, and a run of the network's kernels alone in microseconds."""
    windows, numbers = batch.windows.cuda(), batch.numbers.cuda()
    found = torch.empty((len(batch.numbers), FEATURES), pin_memory=True)
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # capture wants everything allocated and loaded before
        for _ in range(WARM):
            net(windows, numbers)
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    whole, alone = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
    with torch.cuda.graph(whole):
        windows.copy_(batch.windows, non_blocking=True)
        numbers.copy_(batch.numbers, non_blocking=True)
        found.copy_(net(windows, numbers), non_blocking=True)
    with torch.cuda.graph(alone):
        kept = net(windows, numbers)
    before: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    after: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]

    def step() -> Tensor:
        whole.replay()
        torch.cuda.synchronize()
        return found

    def kernels() -> float:
        assert kept.is_cuda  # what the graph writes must outlive it
        before.record()
        alone.replay()
        after.record()
        after.synchronize()
        return 1_000.0 * float(before.elapsed_time(after))

    return step, kernels


def onnx_session(net: WindowVae) -> Any:
    """Return the exported network in ONNX Runtime on one thread, ``None`` where what it takes is not installed."""
    if not all(importlib.util.find_spec(name) for name in ("onnxruntime", "onnxscript")):
        return None
    from models.export import export_window  # noqa: PLC0415 - a machine may have torch alone
    from models.serving.session import load_session  # noqa: PLC0415

    return load_session(export_window(net)[0], "the window VAE")


def timed(step: Step, repeats: int) -> dict[str, float]:
    """Return percentiles in microseconds."""
    for _ in range(WARM):
        step()
    spent = np.empty(repeats)
    for n in range(repeats):
        start = time.perf_counter_ns()
        step()
        spent[n] = time.perf_counter_ns() - start
    return {f"{name}_us": round(float(np.percentile(spent, share)) / 1e3, 2) for name, share in SHARES.items()}


def crossover(rows: list[dict[str, Any]]) -> int | None:
    """Return the smallest batch from which on the graph's median is below every CPU's; ``None`` when it never is."""
    found: int | None = None
    for row in rows:
        if "graph" not in row:
            return None
        cpu = min(row[name]["p50_us"] for name in ("cpu", "onnx") if name in row)
        if row["graph"]["p50_us"] >= cpu:
            found = None
        elif found is None:
            found = row["windows"]
    return found


def _where(*, cuda: bool) -> str:
    gpu = f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}" if cuda else "no GPU used"
    return f"{machine()}; {gpu}; torch {torch.__version__}, Python {platform.python_version()}"


if __name__ == "__main__":
    raise SystemExit(main())
