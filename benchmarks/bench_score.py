"""Time to score one tick of a channel, by number of instruments: scaling, views, all measures, calibration, combination.

Invariant: each call gets one closed tick of every instrument, as the job does ten times a second, and all that adapts learns;
decoding, Kafka and Flink are left out. Sessions are synthetic (correlated, autocorrelated); only their size matters to the time.
``simple`` is the stack without the network, ``shipped`` the scaler, network and tracker that run today. ``causes`` is the
counterfactual re-check of one instrument, which runs when a tier rises, not each tick. ``cpu`` is time in which the thread
ran: on a shared machine wall time counts the neighbours too, and the goal is judged by both, printed apart. ``network`` is the
network alone by back end (``benchmarks.score_back_ends``), the remote one where ``make serving-env`` was run. One thread
throughout: run as ``OPENBLAS_NUM_THREADS=1 python -m benchmarks.bench_score`` (helper threads of BLAS gain nothing at these
sizes); the last line is JSON.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.score_back_ends import back_ends, timed
from features.spec import FEATURE_NAMES, SCORED, SPEC_HASH
from models.detectors.explain import causes
from models.detectors.stack import Channel, Stack
from models.detectors.suite import simple_measures
from models.detectors.vae import VaeLikelihood
from models.detectors.views import Viewer
from models.evaluation.blocks import TickBlock
from models.folder import ModelFolder, read_folder
from models.inference import score
from models.risk import RiskTracker, TrackerSettings
from models.scaling import WARMUP_TICKS, Scaler
from models.serving.local import LocalWindowScorer
from models.serving.network import WindowNetwork, read_network
from models.train import WindowTraining, train_window_vae
from models.viewing import ChannelViews
from schemas.ticks import Ticks
from schemas.units import NS_PER_S, TICK_NS

COUNTS: Final = (1, 8, 64, 500, 4_096)
GOAL_INSTRUMENTS: Final = 500
GOAL_MS: Final = 5.0
PAST_TICKS: Final = 2_000
DEFAULT: Final = Path(__file__).parents[1] / "models" / "default"

Step = Callable[[Ticks], object]


def main(argv: list[str] | None = None) -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks.bench_score", description="Time to score one tick of a channel.")
    parser.add_argument("--quick", action="store_true", help="few ticks, to see that it runs")
    parser.add_argument("--ticks", type=int, default=300, help="ticks that are timed at each number of instruments")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args(argv)
    ticks = 20 if arguments.quick else arguments.ticks
    print(
        f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}, load {os.getloadavg()[0]:.2f}"
    )
    past = [session(arguments.seed + n, instrument=n) for n in range(1, 7)]
    stack, simple = _stack(past, arguments.seed, network=True), _stack(past, arguments.seed, network=False)
    shipped = read_folder(DEFAULT)
    rows = []
    for count in COUNTS:
        runs: dict[str, Step] = {"stack": _stepper(stack), "simple": _stepper(simple), "shipped": _shipped(shipped)}
        row: dict[str, Any] = {"instruments": count}
        for name, step in runs.items():
            row[name] = _timed(step, count, ticks if count < max(COUNTS) else max(20, ticks // 5), seed=arguments.seed)
        rows.append(row)
        print(row)
    goal = next(row["stack"] for row in rows if row["instruments"] == GOAL_INSTRUMENTS)
    print(
        f"{GOAL_INSTRUMENTS} instruments: {goal['cpu_p50_ms']} ms of CPU, {goal['p50_ms']} ms of wall; goal {GOAL_MS} ms"
    )
    print(
        json.dumps(
            {
                "instruments": rows,
                "network": _network(stack, ticks, arguments.seed),
                "causes_ms": _causes_ms(stack, arguments.seed),
                "goal_ms": GOAL_MS,
                "goal_met_cpu": goal["cpu_p50_ms"] <= GOAL_MS,
                "goal_met_wall": goal["p50_ms"] <= GOAL_MS,
                "ticks": ticks,
                "load": round(os.getloadavg()[0], 2),
            }
        )
    )
    return 0


def session(seed: int, instrument: int, ticks: int = PAST_TICKS) -> TickBlock:
    """Return a synthetic calm session of one instrument."""
    columns = np.zeros((ticks, len(FEATURE_NAMES)))
    columns[:, : len(SCORED)] = values(seed, ticks, 1)[:, 0]
    tick_ns = np.arange(1, ticks + 1, dtype=np.int64) * TICK_NS
    return TickBlock(
        f"synthetic/{seed}", instrument, tick_ns, columns, np.zeros(ticks, np.uint32), np.full(ticks, 10**11, np.int64)
    )


def values(seed: int, ticks: int, instruments: int) -> npt.NDArray[np.float64]:
    """Return ``(ticks, instruments, scored features)`` raw values, by transform normal, correlated in both directions."""
    rng = np.random.Generator(np.random.PCG64(seed))
    factors = np.empty((ticks, instruments, 5))
    factors[0] = rng.normal(size=(instruments, 5))
    for tick in range(1, ticks):
        factors[tick] = 0.9 * factors[tick - 1] + 0.44 * rng.normal(size=(instruments, 5))
    mixing = np.random.Generator(np.random.PCG64(0)).normal(size=(5, len(SCORED)))
    noise = rng.normal(size=(ticks, instruments, len(SCORED)))
    moved = 3.0 + 0.3 * (0.5 * factors @ mixing + 0.5 * noise)
    for column, feature in enumerate(SCORED):
        if feature.transform == "log1p":
            moved[..., column] = np.expm1(moved[..., column])
        elif feature.transform == "asinh":
            moved[..., column] = np.sinh(moved[..., column])
    return np.asarray(moved)


def _stack(past: list[TickBlock], seed: int, *, network: bool) -> Stack:
    measures = simple_measures()
    if network:  # the time of a forward pass does not depend on how well it was trained
        quick = WindowTraining(steps=60)
        measures.append(VaeLikelihood(lambda w, n, s: train_window_vae(w, n, s, training=quick)))
    stack = Stack(measures, seed)
    stack.fit(past)
    return stack


def _network(stack: Stack, ticks: int, seed: int) -> list[dict[str, Any]]:
    """Return the back ends' times for the network alone, by number of windows."""
    (vae,) = (measure for measure in stack.measures if isinstance(measure, VaeLikelihood))
    rows = []
    with back_ends(WindowNetwork("bench", vae.onnx, ())) as opened:
        if "remote" not in opened:
            print("no remote back end: `make serving-env` was not run")
        for count in COUNTS:
            found = timed(opened, count, ticks if count < max(COUNTS) else max(20, ticks // 5), seed=seed)
            rows.append({"windows": count, **found})
            print(rows[-1])
    return rows


def _stepper(stack: Stack) -> Step:
    scaler, viewer, channel = Scaler(stack.past.priors, stack.past), Viewer(), Channel(stack)
    return lambda ticks: channel.step(viewer.step(scaler.step(ticks), ticks.values))


def _shipped(model: ModelFolder) -> Step:
    views = ChannelViews(model, model.path.name)
    tracker = RiskTracker(lambda _: model, TrackerSettings(epoch=0, heartbeat_ns=NS_PER_S))
    found = read_network(model.path)
    network = None if found is None else LocalWindowScorer(found)

    def step(ticks: Ticks) -> object:
        viewed = views.step(ticks)
        ids, rows = viewed.ticks.instrument_id, viewed.views.opined
        return tracker.step(viewed, score(network, model.model_id, windows=viewed.views.window, ids=ids, rows=rows), [])

    return step


def _timed(step: Step, instruments: int, ticks: int, *, seed: int) -> dict[str, float]:
    """Return percentiles of the time of a tick, after every instrument is warm."""
    pool = values(seed, 64, instruments)
    for n in range(1, WARMUP_TICKS + 20 if instruments < max(COUNTS) else 130):
        step(_tick(pool[n % 64], n))
    spent, ran = [], []
    for n in range(WARMUP_TICKS + 20, WARMUP_TICKS + 20 + ticks):
        tick = _tick(pool[n % 64], n)
        start, running = time.perf_counter_ns(), time.thread_time_ns()
        step(tick)
        ran.append(time.thread_time_ns() - running)
        spent.append(time.perf_counter_ns() - start)
    wall, cpu = np.percentile(np.array(spent) / 1e6, (50, 90, 99)), np.percentile(np.array(ran) / 1e6, (50, 99))
    names = ("p50_ms", "p90_ms", "p99_ms", "cpu_p50_ms", "cpu_p99_ms")
    return {name: round(float(one), 3) for name, one in zip(names, (*wall, *cpu), strict=True)}


def _causes_ms(stack: Stack, seed: int) -> float:
    channel, viewer, scaler = Channel(stack), Viewer(), Scaler(stack.past.priors, stack.past)
    pool = values(seed, 64, 1)
    for n in range(1, WARMUP_TICKS + 20):
        tick = _tick(pool[n % 64], n)
        views = viewer.step(scaler.step(tick), tick.values)
        found = channel.step(views)
    spent = []
    for _ in range(50):
        start = time.perf_counter_ns()
        causes(views, found.share[0], channel.score)
        spent.append(time.perf_counter_ns() - start)
    return round(float(np.median(spent)) / 1e6, 3)


def _tick(row: npt.NDArray[np.float64], number: int) -> Ticks:
    count = len(row)
    whole = np.zeros((count, len(FEATURE_NAMES)))
    whole[:, : row.shape[1]] = row
    return Ticks(
        channel_id="B",
        epoch=0,
        spec_hash=SPEC_HASH,
        feature_names=FEATURE_NAMES,
        tick_ns=np.full(count, number * TICK_NS, dtype=np.int64),
        instrument_id=np.arange(1, count + 1, dtype=np.uint32),
        status=np.zeros(count, dtype=np.uint32),
        ref_price=np.full(count, 10**11, dtype=np.int64),
        values=whole,
    )


if __name__ == "__main__":
    raise SystemExit(main())
