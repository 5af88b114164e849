"""The network on a real Triton: same answers, the deadline held for every tick, killed in mid-stream, and back by itself."""

import json
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from deploy.local.triton import SERVING_ENV
from features.spec import SCORED
from models.detectors.views import F32, WINDOW, Ids
from models.export import export_window
from models.net import WindowVae
from models.serving.local import LocalWindowScorer
from models.serving.network import WindowNetwork
from models.serving.remote import RemoteWindowScorer
from models.serving.triton import TritonOptions, configuration
from schemas.units import TICK_NS
from tests.integration.serving import Serving, served

pytestmark = pytest.mark.integration

INSTRUMENTS = tuple(range(1, 401))
ROWS = 500
DEADLINE_MS = 20.0
SPARE_MS = 15.0
"""How late a loaded system may wake a thread whose socket's time is over: of one tick in fifty even later, for Triton starts
and dies on the same two cores."""

TICK_S = 0.05
UNHURRIED_MS = 2_000.0
BACK_S = 10.0


@dataclass
class Tick:
    """What became of one tick of the stream."""

    number: int
    spent_ms: float
    parts: F32 | None


@pytest.fixture(scope="module")
def network() -> WindowNetwork:
    torch.manual_seed(7)
    raw, _ = export_window(WindowVae(WINDOW, len(SCORED), instruments=len(INSTRUMENTS)))
    return WindowNetwork("serving", raw, INSTRUMENTS)


@pytest.fixture(scope="module")
def triton(network: WindowNetwork, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with served(network, tmp_path_factory.mktemp("triton")) as serving:
        yield serving


def windows_of(rows: int, seed: int) -> tuple[F32, Ids]:
    rng = np.random.Generator(np.random.PCG64(seed))
    windows = rng.normal(0, 3, (rows, WINDOW, len(SCORED))).astype(np.float32)
    return windows, rng.integers(1, 1_000, rows).astype(np.uint32)


def stream(scorer: RemoteWindowScorer, count: int, events: Mapping[int, Callable[[], None]]) -> list[Tick]:
    """Ask ``count`` ticks of ``ROWS`` instruments, one each ``TICK_S``; what happens at a tick happens beside it."""
    ticks, threads = [], []
    start = time.monotonic()
    for number in range(count):
        windows, ids = windows_of(ROWS, number)
        if number in events:
            threads.append(threading.Thread(target=events[number]))
            threads[-1].start()
        time.sleep(max(0.0, start + number * TICK_S - time.monotonic()))
        asked = time.monotonic()
        parts = scorer.score(windows, ids)
        ticks.append(Tick(number, (time.monotonic() - asked) * 1000, parts))
    for thread in threads:
        thread.join()
    return ticks


@pytest.mark.parametrize("rows", [1, 8, 64, 500, 4_096])
def test_answers_equal_the_local_networks_within_1e_5(triton: Serving, network: WindowNetwork, rows: int) -> None:
    remote, local = RemoteWindowScorer(network, triton.url, UNHURRIED_MS), LocalWindowScorer(network)
    try:
        assert remote.wait(BACK_S), remote.trouble
        windows, ids = windows_of(rows, rows)
        found, wanted = remote.score(windows, ids), local.score(windows, ids)
        assert found is not None, remote.trouble
        assert wanted is not None
        assert found == pytest.approx(wanted, rel=1e-5, abs=1e-5)
    finally:
        remote.close()


def test_triton_serves_with_the_configuration_that_was_written(triton: Serving, network: WindowNetwork) -> None:
    with urllib.request.urlopen(f"{triton.url}/v2/models/{network.served_name}/config", timeout=5) as answer:
        found = json.load(answer)
    assert found["max_batch_size"] == 8_192
    assert found["dynamic_batching"]["preferred_batch_size"] == [64, 512, 4_096]
    assert found["dynamic_batching"]["max_queue_delay_microseconds"] == 200
    assert [one["batch_size"] for one in found["model_warmup"]] == [1, 64, 512]
    assert found["instance_group"][0]["kind"] == "KIND_CPU"
    assert not found["response_cache"]["enable"]


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
@pytest.mark.parametrize("back_end", ["onnxruntime", "python"])
def test_configuration_is_a_model_config_of_tritons_own_definition(triton: Serving, back_end: str, kind: str) -> None:
    text = configuration("net-1", TritonOptions(back_end=back_end, kind=kind))
    read = (
        "import sys; from google.protobuf import json_format, text_format; from tritonclient.grpc import model_config_pb2;"
        "print(json_format.MessageToJson(text_format.Parse(sys.stdin.read(), model_config_pb2.ModelConfig())))"
    )
    python = str(SERVING_ENV / "bin" / "python")
    said = subprocess.run([python, "-c", read], input=text, capture_output=True, text=True, check=True)
    found = json.loads(said.stdout)
    assert (found["backend"], found["instanceGroup"][0]["kind"]) == (back_end, f"KIND_{kind.upper()}")
    assert [one["batchSize"] for one in found["modelWarmup"]] == [1, 64, 512]


def test_server_without_this_network_is_not_asked(triton: Serving, network: WindowNetwork) -> None:
    newer = WindowNetwork(network.model_id, network.onnx + b"\n", network.instruments)
    remote = RemoteWindowScorer(newer, triton.url, DEADLINE_MS)
    try:
        assert not remote.wait(1.0)
        assert "unknown model" in remote.trouble
        assert remote.score(*windows_of(3, 1)) is None
    finally:
        remote.close()


def test_killed_in_mid_stream_the_deadline_holds_for_every_tick_and_answers_come_back(
    triton: Serving, network: WindowNetwork
) -> None:
    remote, local = RemoteWindowScorer(network, triton.url, DEADLINE_MS), LocalWindowScorer(network)
    killed, restarted, count = 40, 80, 320
    gone: list[float] = []

    def kill_it() -> None:
        triton.kill()
        gone.append(time.monotonic())

    try:
        assert remote.wait(BACK_S), remote.trouble
        ticks = stream(remote, count, {killed: kill_it, restarted: triton.start})
    finally:
        remote.close()
    assert gone
    spent_ms = np.array([tick.spent_ms for tick in ticks])
    assert (spent_ms > DEADLINE_MS + SPARE_MS).mean() <= 0.02, np.sort(spent_ms)[-10:]
    assert spent_ms.max() <= TICK_NS / 1e6, "the next tick would have waited"
    answered = [tick.number for tick in ticks if tick.parts is not None]
    last_before = max(number for number in answered if number < restarted)
    first_after = min(number for number in answered if number >= restarted)
    assert last_before <= killed + 5  # SIGKILL itself takes its time; after it not one
    assert len([n for n in answered if n < killed]) >= killed / 2
    assert len([n for n in answered if n >= first_after]) >= (count - first_after) / 2
    assert count - first_after >= 40, "it came back too late to be seen"
    for number in answered:
        assert ticks[number].parts == pytest.approx(local.score(*windows_of(ROWS, number)), rel=1e-5, abs=1e-5)
    counts = remote.counts
    assert counts.answers == len(answered)
    assert counts.errors + counts.deadlines_missed >= 1
    assert counts.answers + counts.errors + counts.deadlines_missed + counts.absent == count
