"""The whole loop on a stack of its own: poison, gaps, silence, subscribers, and an end that leaves nothing.

The tests share the stack and one channel that goes on from test to test, as a venue's does; each starts from a healthy gate.
"""

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import confluent_kafka
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.desk import FOLDER, Desk
from deploy.instruments import load_instruments
from deploy.local.processes import alive
from deploy.local.prometheus import RULES
from deploy.local.stack import JOBS, METRICS, Layout, Stack
from deploy.observe import Tail, record_in
from features.channel import ChannelKernel
from feeds.blocks import Row, block_of
from feeds.framing import frames_of
from feeds.producer import FrameProducer
from feeds.simulator.session import simulate
from gate.facts import Hand
from schemas import topics
from schemas.events import Kind
from schemas.exposition import ProcessMetrics
from schemas.frames import Frame, encode_frame
from schemas.metrics import FLINK_NAMES, PROCESSES, samples
from schemas.records import (
    AlertKind,
    DeadLetter,
    OrderAction,
    OrderDecision,
    OrderRequest,
    OrderSide,
    OrderType,
    RiskAlert,
    RiskState,
    Verdict,
)
from schemas.units import NS_PER_MS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
CHANNEL = "SIM"
MEMBERS = (1, 2, 3, 4)
STALE_QTY = load_instruments()[1].envelope.stale_limits.max_order_qty or 0
TTL_S = 3.0
WARM_UP_S = 15.0
"""A known instrument has no state before its features have seen 100 ticks."""


class Market:
    """One channel's feed, which goes on where it stopped, and what everyone said about it."""

    def __init__(self, layout: Layout) -> None:
        told = ProcessMetrics("feeds").serve("127.0.0.1", layout.ports[f"{METRICS}feeds"])
        session = simulate("calm", 11, duration_s=300)
        plan = session.scenario
        self._frames = list(frames_of([session.block], CHANNEL, start_ns=plan.start_ns, end_ns=plan.end_ns))
        self._next = 0
        self._true_books = ChannelKernel(CHANNEL)
        self._producer = FrameProducer(layout.bootstrap_servers, told=told)
        self._raw = confluent_kafka.Producer({"bootstrap.servers": layout.bootstrap_servers, "log_level": 2})
        wanted = (topics.RISK_STATES, topics.RISK_ALERTS, topics.DEAD_LETTERS, topics.ORDERS_DECISIONS)
        self.tail = Tail(layout.bootstrap_servers, wanted, from_start=True)
        self.states: dict[int, RiskState] = {}
        self.alerts: list[RiskAlert] = []
        self.letters: list[DeadLetter] = []
        self.decisions: list[OrderDecision] = []

    @property
    def now_ns(self) -> int:
        """Event time that the channel has reached."""
        return self._frames[self._next - 1].ts_last_ns

    def play(self, seconds: float, *, speed: float = 1.0) -> None:
        """Go on for ``seconds`` of event time."""
        until, frames = self._frames[self._next].ts_last_ns + int(seconds * 1e9), []
        while self._frames[self._next].ts_last_ns < until:
            frames.append(self._take())
        self._producer.replay(frames, speed=speed)
        self.hear()

    def lose_a_frame(self) -> None:
        """Never send the next frame that has events."""
        while True:
            lost = self._take()
            if lost.event_count:
                return

    def rebuild(self) -> None:
        """Insert a snapshot of every book, by level, as the next frame; later frames are numbered after it."""
        at_ns = self.now_ns
        rows: list[Row] = []
        for number in MEMBERS:
            bids, asks = self._true_books.levels(number, 100)
            rows.append((at_ns, number, Kind.SNAPSHOT_BEGIN, 0, 0, 0, 0))
            rows += [(at_ns, number, Kind.LEVEL_SET, 1, 0, price, qty) for price, qty in bids]
            rows += [(at_ns, number, Kind.LEVEL_SET, -1, 0, price, qty) for price, qty in asks]
            rows.append((at_ns, number, Kind.SNAPSHOT_END, 0, 0, 0, 0))
        snapshot = next(iter(frames_of([block_of(rows)], CHANNEL, start_ns=at_ns, end_ns=at_ns)))
        seq = self._frames[self._next].seq_first
        later = [_renumbered(frame, frame.seq_first + len(rows)) for frame in self._frames[self._next :]]
        self._frames[self._next :] = [_renumbered(snapshot, seq), *later]

    def _take(self) -> Frame:
        frame = self._frames[self._next]
        self._next += 1
        self._true_books.apply(frame)
        return frame

    def send(self, topic: str, raw: bytes, key: str = CHANNEL) -> None:
        """Send bytes as they are, stamped with the channel's time."""
        self._raw.produce(topic, raw, key=key, timestamp=self.now_ns // NS_PER_MS)
        assert self._raw.flush(10) == 0

    def next_frame(self) -> bytes:
        """Return the next frame's bytes, without sending it."""
        return encode_frame(self._frames[self._next])

    def hear(self, wait_s: float = 0.1) -> None:
        """Take in what was said."""
        for message in self.tail.poll(wait_s):
            record = record_in(message.place.topic, message.value)  # the poison is heard too
            if isinstance(record, RiskState):
                self.states[record.instrument_id] = record
            elif isinstance(record, RiskAlert):
                self.alerts.append(record)
            elif isinstance(record, DeadLetter):
                self.letters.append(record)
            elif isinstance(record, OrderDecision):
                self.decisions.append(record)

    def wait_for(self, what: str, ready: Callable[[], bool], timeout_s: float = 30.0) -> None:
        """Listen until something is so."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            assert time.monotonic() < deadline, f"{what}: not within {timeout_s:.0f} s"
            self.hear()


def _renumbered(frame: Frame, seq: int) -> Frame:
    """Return the frame with events numbered from ``seq``."""
    columns = {**frame.columns, "seq": np.arange(seq, seq + frame.event_count, dtype=np.int64)}
    return replace(frame, seq_first=seq, seq_last=seq + frame.event_count - 1, columns=columns)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    running = Stack(tmp_path_factory.mktemp("stack"))
    running.up(ttl_ms=int(TTL_S * 1000))
    yield running
    running.down()


@pytest.fixture(scope="module")
def market(stack: Stack) -> Market:
    made = Market(stack.layout)
    made.play(WARM_UP_S, speed=10.0)
    return made


@pytest.fixture(scope="module")
def desk(stack: Stack) -> Iterator[Desk]:
    port = stack.metrics_ports()["desk"]
    place = Path(stack.layout.table_path)
    with Desk(stack.layout.bootstrap_servers, place, stack.state / FOLDER, metrics_port=port) as process:
        yield process


@pytest.fixture(autouse=True)
def _healthy(market: Market, desk: Desk) -> None:
    """Start each test with fresh limits for every instrument."""
    market.play(3.0)
    market.wait_for("fresh limits", lambda: all(fresh(desk, number) for number in MEMBERS))


def fresh(desk: Desk, instrument_id: int) -> bool:
    row = desk.row(instrument_id)
    return row is not None and not row.stale and row.valid_until_ns > time.monotonic_ns()


def order(name: str, ts_ns: int, *, qty: int = 10, instrument_id: int = 1) -> OrderRequest:
    return OrderRequest(
        order_id=name,
        account_id="DESK-1",
        instrument_id=instrument_id,
        ts_event_ns=ts_ns,
        action=OrderAction.NEW,
        side=OrderSide.BUY,
        order_type=OrderType.MARKET,
        qty=qty,
        price=None,
    )


def verdicts(market: Market, name: str) -> dict[str, OrderDecision]:
    market.wait_for(f"both verdicts on {name}", lambda: sum(d.order_id == name for d in market.decisions) >= 2)
    return {d.enforcer: d for d in market.decisions if d.order_id == name}


def letter_at(market: Market, topic: str, cause: str) -> DeadLetter:
    def found() -> list[DeadLetter]:
        return [letter for letter in market.letters if (letter.topic, letter.cause) == (topic, cause)]

    market.wait_for(f"dead letter {cause} of {topic}", lambda: bool(found()))
    return found()[-1]


def test_poison_ends_in_dead_letters_with_its_place_and_nothing_stops(stack: Stack, market: Market, desk: Desk) -> None:
    noise, cut = b"\x00\xffnot a frame" * 9, market.next_frame()[:-40]
    market.send(topics.MARKET_FRAMES, noise)
    letter = letter_at(market, topics.MARKET_FRAMES, "bad_arrow")
    assert letter.raw == noise
    assert (letter.partition, letter.offset) >= (0, 0)
    market.letters.clear()
    market.send(topics.MARKET_FRAMES, cut)
    assert letter_at(market, topics.MARKET_FRAMES, "bad_arrow").raw == cut
    strange = b"\xc3\x01" + b"\x07" * 8 + b"body"
    for topic in (topics.RISK_COMMANDS, topics.RISK_STATES, topics.ORDERS_REQUESTS):
        market.send(topic, strange, key="1")
        assert letter_at(market, topic, "unknown_schema").raw == strange
    market.play(2.0)
    for job in JOBS:
        assert stack.flink.running(job), job
    desk.send(order("after-poison", market.now_ns))
    assert {d.verdict for d in verdicts(market, "after-poison").values()} == {Verdict.ACCEPT}


def test_order_for_an_unknown_instrument_is_refused_by_both(market: Market, desk: Desk) -> None:
    desk.send(order("stranger", market.now_ns, instrument_id=999_999))
    found = verdicts(market, "stranger")
    assert {d.verdict for d in found.values()} == {Verdict.REJECT}
    assert len({d.reason for d in found.values()}) == 1


def test_lost_session_new_day_and_position_set_by_hand_hold_for_both(market: Market, desk: Desk) -> None:
    def sent(name: str, qty: int = 10) -> dict[str, OrderDecision]:
        desk.send(replace(order(name, market.now_ns, qty=qty), session_id="FIX-1"))
        return verdicts(market, name)

    assert {d.reason for d in sent("before-loss").values()} == {"ok"}
    desk.gate.session("FIX-1", is_up=False)
    assert {d.reason for d in sent("while-lost").values()} == {"session_down"}
    desk.gate.session("FIX-1", is_up=True)
    desk.gate.reconcile("DESK-1", 1, 3, is_done=True, hand=Hand("ann", "bo", "the books of record"))
    desk.gate.new_day()
    assert {(d.reason, d.position_before) for d in sent("after", qty=7).values()} == {("ok", 3)}
    assert not [one for one in market.letters if one.topic == topics.ORDERS_FACTS or one.cause == "out_of_order"]


def test_gap_makes_the_channel_stale_until_each_instrument_is_whole_again(market: Market, desk: Desk) -> None:
    market.letters.clear()
    market.lose_a_frame()
    market.play(2.0)
    assert "expected seq" in letter_at(market, topics.MARKET_FRAMES, "sequence_gap").detail
    market.wait_for("stale states", lambda: all(market.states[number].stale for number in MEMBERS))
    assert AlertKind.FEED_STALE in {alert.kind for alert in market.alerts}
    desk.send(order("in-the-gap", market.now_ns, qty=STALE_QTY + 1))
    for decision in verdicts(market, "in-the-gap").values():
        assert (decision.verdict, decision.reason) == (Verdict.REJECT, "max_order_size")
        assert decision.stale
        assert decision.limit == STALE_QTY
    market.rebuild()
    market.play(3.0)
    market.wait_for("whole books", lambda: not any(market.states[number].stale for number in MEMBERS))


def test_silence_expires_every_row_within_its_ttl_and_the_feed_brings_them_back(market: Market, desk: Desk) -> None:
    market.alerts.clear()
    silent_since_ns = time.monotonic_ns()
    rows = [desk.row(number) for number in MEMBERS]
    assert all(row is not None and row.valid_until_ns <= silent_since_ns + TTL_S * 1e9 for row in rows)
    market.wait_for("expired rows", lambda: not any(fresh(desk, number) for number in MEMBERS), TTL_S + 5)
    assert time.monotonic_ns() - silent_since_ns < (TTL_S + 1.0) * 1e9
    late_ns = market.now_ns + int((TTL_S + 1) * 1e9)
    desk.send(order("in-silence", late_ns, qty=STALE_QTY + 1))
    for decision in verdicts(market, "in-silence").values():
        assert (decision.reason, decision.stale) == ("max_order_size", True)
        assert decision.limit == STALE_QTY

    def expired() -> list[int]:
        return sorted(a.instrument_id for a in market.alerts if a.kind is AlertKind.STATE_EXPIRED)

    market.wait_for("alerts", lambda: len(expired()) >= len(MEMBERS))
    market.hear(1.0)
    assert expired() == list(MEMBERS), "one alert per instrument"
    market.play(3.0)
    market.wait_for("fresh limits", lambda: all(fresh(desk, number) for number in MEMBERS))
    back = {a.instrument_id for a in market.alerts if a.kind is AlertKind.STATE_RECOVERED}
    assert back == set(MEMBERS)
    desk.send(order("after-silence", market.now_ns, qty=STALE_QTY + 1))
    for decision in verdicts(market, "after-silence").values():
        assert (decision.verdict, decision.stale) == (Verdict.ACCEPT, False)


def test_every_process_exports_its_part_of_the_table_and_the_loops_figures(
    stack: Stack, market: Market, desk: Desk
) -> None:
    desk.send(order("counted", market.now_ns))
    market.wait_for("verdicts", lambda: sum(d.order_id == "counted" for d in market.decisions) >= 2)
    market.play(2.0)
    urllib.request.urlopen(f"http://127.0.0.1:{stack.layout.ports['api']}/v1/health", timeout=60).read()
    seen = Scrape(stack.metrics_ports())
    for process, part in PROCESSES.items():
        missing = {name for metric in part for name in samples(metric)} - seen.names
        assert not missing, f"{process}: {missing}"
    assert named_by_flink() <= seen.names
    assert seen.total("tidegate_gate_rows") >= len(MEMBERS), "fresh or expired: a slow machine scrapes for seconds"
    assert seen.total("tidegate_gate_instruments") == seen.total("tidegate_jobs_instruments") == len(MEMBERS)
    assert seen.total("tidegate_feeds_frames_total") >= seen.total("tidegate_jobs_frames_total", channel=CHANNEL) > 100
    assert seen.total("tidegate_jobs_ticks_total", channel=CHANNEL) > 100
    assert seen.total("tidegate_jobs_network_ticks_total", outcome="answers") > 100
    assert seen.total("tidegate_jobs_model_ticks_total") > 100
    assert seen.total("tidegate_jobs_score_seconds_bucket", le="+Inf") > 0
    assert seen.total("tidegate_jobs_decisions_total") > 0
    assert seen.total("tidegate_jobs_replayed_ticks_total") > 100, "the session is of another day: its ages say nothing"
    assert seen.total("tidegate_gate_orders_total") > 0
    assert seen.total("tidegate_gate_decisions_total") > 0
    assert 0.0 < seen.total("tidegate_gate_table_age_seconds") < 60.0
    assert seen.total("tidegate_gate_caught_up") == seen.total("tidegate_api_feed_connected") == 1
    assert seen.total("tidegate_history_rows_total", table="ticks") > 100
    assert seen.total("tidegate_history_owner_answers") == 1
    assert seen.total("tidegate_api_messages_total", topic=topics.RISK_STATES) > 0
    assert seen.total("tidegate_api_request_seconds_count", route="/v1/health", status="200") > 0


class Scrape:
    """What Prometheus would hold after one round, names of Flink's metrics given back."""

    def __init__(self, ports: dict[str, int]) -> None:
        self._samples: list[tuple[str, dict[str, str], float]] = []
        self.names: set[str] = set()
        for port in ports.values():
            text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60).read().decode()
            for family in text_string_to_metric_families(text):
                if family.type == "histogram":  # one with labels has no series before its first value
                    self.names |= {f"{family.name}_{part}" for part in ("bucket", "sum", "count")}
                elif not family.samples:
                    self.names.add(family.name + ("_total" if family.type == "counter" else ""))
                for found in family.samples:
                    ours = re.fullmatch(FLINK_NAMES, found.name)
                    name = ours[1] if ours else found.name
                    self.names.add(name)
                    self._samples.append((name, found.labels, found.value))

    def total(self, name: str, **labels: str) -> float:
        """Return the sum over the series of this name that have these labels."""
        return sum(v for n, has, v in self._samples if n == name and labels.items() <= has.items())


def named_by_flink() -> set[str]:
    """Return the series of Flink's own that the alert rules name."""
    return set(re.findall(r"\bflink_[a-zA-Z_]+", RULES.read_text()))


def test_commands_show_the_running_stack(stack: Stack, market: Market) -> None:
    status = json.loads(tidegate("status", "--json", state=stack.state).stdout)
    assert set(status["jobs"].values()) == {"RUNNING"}
    assert all(part["alive"] for part in status["parts"].values())
    watched = tidegate("watch", "--seconds", "3", state=stack.state).stdout
    assert "NORMAL" in watched
    counted = tidegate("query", "SELECT count() AS n FROM ticks_once WHERE channel_id = 'SIM'", state=stack.state)
    assert int(re.findall(r"\d+", counted.stdout)[-1]) > 100
    assert market.states


@pytest.mark.marketdata
@pytest.mark.parametrize(
    ("form", "recording"), [("lobster", "lobster/AAPL_head"), ("binance", "binance/usdm_ethusdt_20240718.gz")]
)
def test_recorded_session_is_replayed_without_loss_and_only_once(
    stack: Stack, marketdata: Path, form: str, recording: str
) -> None:
    replay = ("replay", form, str(marketdata / recording), "--speed", "max", "--seconds", "60")
    report = json.loads(tidegate(*replay, state=stack.state).stdout.splitlines()[-1])
    assert (report["ticks"], report["lost"], report["history"]) == (600, 0, {"rows": 600, "ticks": 600})
    assert "time does not go back" in tidegate(*replay, state=stack.state, status=1).stderr
    assert "time does not go back" in tidegate("simulate", "calm", state=stack.state, status=1).stderr


def test_query_that_is_wrong_and_second_up_end_in_one_plain_line(stack: Stack) -> None:
    wrong = tidegate("query", "SELECT nothing FROM nowhere", state=stack.state, status=1)
    assert "Traceback" not in wrong.stderr
    again = tidegate("up", state=stack.state, status=1)
    assert "up already" in again.stderr


def test_down_ends_exactly_what_up_started_also_after_a_crash(stack: Stack) -> None:
    parts = stack.book.all()
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"], start_new_session=True)
    try:
        for name in ("broker", stack.flink.taskmanager_of("score_risk"), "gate"):
            subprocess.run(["kill", "-9", str(next(p.pid for p in parts if p.name == name))], check=True)
        assert tidegate("status", state=stack.state, status=1).stdout.count("DOWN") == 3
        tidegate("down", state=stack.state)
        assert not any(alive(part) for part in parts)
        assert not Path(stack.layout.table_path).exists()
        assert stranger.poll() is None
        assert "nothing was running" in tidegate("down", state=stack.state).stdout
    finally:
        stranger.kill()
        stranger.wait()


def tidegate(*arguments: str, state: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.cli", *arguments, "--state", str(state)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done
