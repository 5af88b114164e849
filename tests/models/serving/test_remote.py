"""The remote back end against a server that misbehaves: the deadline holds, no wrong answer is taken, and it comes back."""

import gc
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.serving.interface import ServingCounts, ServingSettings
from models.serving.network import WindowNetwork
from models.serving.opening import open_scorer
from models.serving.remote import RemoteWindowScorer
from tests.models.serving import servers
from tests.models.serving.conftest import COUNT, by_hand, some_windows
from tests.models.serving.servers import Server

pytestmark = pytest.mark.slow  # real sockets and real deadlines

DEADLINE_MS = 40.0  # twice the production one: this is about the mechanism, on a machine that runs other tests too
SPARE_S = 0.06  # how late the system may wake a thread up
COMES_BACK_S = 5.0


@pytest.fixture
def server(network: WindowNetwork) -> Iterator[Server]:
    served = Server(network)
    with served.running():
        yield served


@pytest.fixture
def scorer(server: Server, network: WindowNetwork) -> Iterator[RemoteWindowScorer]:
    opened = RemoteWindowScorer(network, server.url, DEADLINE_MS)
    try:
        assert opened.wait(COMES_BACK_S), opened.trouble
        yield opened
    finally:
        opened.close()


def test_answers_are_the_servers_on_one_kept_connection(server: Server, scorer: RemoteWindowScorer) -> None:
    for rows in (1, 7, 500, 1):
        windows, ids = some_windows(rows)
        parts = scorer.score(windows, ids)
        assert parts is not None, scorer.trouble
        assert parts == pytest.approx(by_hand(windows, ids), rel=1e-5)
    assert scorer.counts == ServingCounts(answers=4)
    assert server.asked == 4


def test_no_rows_are_answered_without_the_server(server: Server, scorer: RemoteWindowScorer) -> None:
    windows, ids = some_windows(0)
    parts = scorer.score(windows, ids)
    assert parts is not None
    assert parts.shape == (0, COUNT)
    assert server.asked == 0


@pytest.mark.parametrize("mood", [servers.SLOW, servers.DRIPPING, servers.SILENT])
def test_tick_that_the_server_is_late_for_ends_by_the_deadline(
    server: Server, scorer: RemoteWindowScorer, mood: str
) -> None:
    server.mood = mood
    gc.collect()
    start = time.monotonic()
    assert scorer.score(*some_windows(20)) is None
    spent = time.monotonic() - start
    assert DEADLINE_MS / 1000 <= spent <= DEADLINE_MS / 1000 + SPARE_S
    assert scorer.counts == ServingCounts(deadlines_missed=1)


@pytest.mark.parametrize(
    "mood", [servers.REFUSING, servers.GARBLED, servers.OTHER_ID, servers.HANGING_UP, servers.LONG]
)
def test_what_is_no_answer_to_this_tick_is_counted_and_dropped(
    server: Server, scorer: RemoteWindowScorer, mood: str
) -> None:
    server.mood = mood
    assert scorer.score(*some_windows(3)) is None
    assert scorer.counts == ServingCounts(errors=1)
    server.mood = servers.FINE
    assert scorer.wait(COMES_BACK_S), scorer.trouble
    assert scorer.score(*some_windows(3)) is not None


def test_late_answer_is_never_taken_for_the_next_tick(server: Server, scorer: RemoteWindowScorer) -> None:
    server.mood = servers.SLOW
    assert scorer.score(*some_windows(4, seed=1)) is None
    server.mood = servers.FINE
    assert scorer.wait(COMES_BACK_S), scorer.trouble
    time.sleep(2 * servers.SLOW_S)  # the late answer has been sent by now
    windows, ids = some_windows(4, seed=2)
    parts = scorer.score(windows, ids)
    assert parts == pytest.approx(by_hand(windows, ids), rel=1e-5)


def test_server_that_says_goodbye_gives_its_answer_and_is_connected_anew(
    server: Server, scorer: RemoteWindowScorer
) -> None:
    server.mood = servers.GOODBYE
    assert scorer.score(*some_windows(3)) is not None
    assert scorer.wait(COMES_BACK_S), scorer.trouble
    assert scorer.score(*some_windows(3)) is not None
    assert scorer.counts == ServingCounts(answers=2)


def test_ticks_do_not_wait_while_the_server_is_away_and_are_answered_again_when_it_is_back(
    network: WindowNetwork,
) -> None:
    served = Server(network)
    with served.running():
        port = served.port
    scorer = RemoteWindowScorer(network, f"http://127.0.0.1:{port}", DEADLINE_MS)
    try:
        start = time.monotonic()
        for _ in range(100):
            assert scorer.score(*some_windows(50)) is None
        assert time.monotonic() - start < 1.0
        assert scorer.counts == ServingCounts(absent=100)
        assert "refused" in scorer.trouble
        back = Server(network)
        with back.running(port):
            assert scorer.wait(COMES_BACK_S), scorer.trouble
            assert scorer.score(*some_windows(50)) is not None
    finally:
        scorer.close()


def test_server_that_answers_probes_too_late_is_not_asked(server: Server, network: WindowNetwork) -> None:
    server.mood, server.probed_in_mood = servers.SLOW, True
    scorer = RemoteWindowScorer(network, server.url, DEADLINE_MS)
    try:
        assert not scorer.wait(0.5)
        assert scorer.score(*some_windows(3)) is None
        assert server.asked == 0
        assert scorer.trouble.startswith("TimeoutError")
    finally:
        scorer.close()


def test_server_with_another_network_is_not_asked_whatever_its_model_is_called(
    server: Server, network: WindowNetwork
) -> None:
    newer = WindowNetwork(network.model_id, network.onnx + b"\n", network.instruments)
    scorer = RemoteWindowScorer(newer, server.url, DEADLINE_MS)
    try:
        assert not scorer.wait(0.3)
        assert scorer.score(*some_windows(3)) is None
        assert "404" in scorer.trouble
        assert server.asked == 0
    finally:
        scorer.close()


def test_opening_waits_for_a_healthy_server_and_not_at_all_where_ticks_wait_already(
    server: Server, network: WindowNetwork
) -> None:
    settings = ServingSettings(back_end="remote", url=server.url, deadline_ms=DEADLINE_MS)
    patient = open_scorer(settings, network)
    away = open_scorer(ServingSettings(back_end="remote", url="http://127.0.0.1:9"), network, wait_s=0.0)
    try:
        assert patient.score(*some_windows(3)) is not None
        assert away.score(*some_windows(3)) is None
        assert away.counts == ServingCounts(absent=1)
    finally:
        patient.close()
        away.close()


def test_closing_ends_the_thread_and_later_ticks_have_no_answer(server: Server, scorer: RemoteWindowScorer) -> None:
    scorer.close()
    assert not [one for one in threading.enumerate() if one.name == "score-probe" and one.is_alive()]
    assert scorer.score(*some_windows(3)) is None
    assert scorer.counts == ServingCounts(absent=1)


def certificate(folder: Path) -> tuple[Path, Path]:
    """Return the key and the certificate of 127.0.0.1, signed by itself."""
    openssl = shutil.which("openssl")
    assert openssl, "openssl is missing"
    key, signed = folder / "key.pem", folder / "certificate.pem"
    said = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    said += [
        "-subj",
        "/CN=127.0.0.1",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(key),
        "-out",
        str(signed),
    ]
    subprocess.run(said, check=True, capture_output=True)
    return key, signed


def test_https_is_answered_by_a_server_that_is_trusted_and_no_other_is_asked(
    network: WindowNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, signed = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(signed, key)
    served = Server(network, context)
    with served.running():
        stranger = RemoteWindowScorer(network, served.url, DEADLINE_MS)
        try:
            assert not stranger.wait(0.3)
            assert "certificate verify failed" in stranger.trouble
        finally:
            stranger.close()
        monkeypatch.setenv("SSL_CERT_FILE", str(signed))
        scorer = RemoteWindowScorer(network, served.url, DEADLINE_MS)
        try:
            assert scorer.wait(COMES_BACK_S), scorer.trouble
            windows, ids = some_windows(100)
            assert scorer.score(windows, ids) == pytest.approx(by_hand(windows, ids), rel=1e-5)
        finally:
            scorer.close()


def test_windows_of_another_shape_are_a_mistake_of_the_caller(scorer: RemoteWindowScorer) -> None:
    with pytest.raises(ValueError, match="windows"):
        scorer.score(np.zeros((2, 3, COUNT), dtype=np.float32), np.zeros(2, dtype=np.uint32))
