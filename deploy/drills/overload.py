"""`drill overload`: more than the jobs can do comes in for a while. Ticks are late but exact, and the gate does not wait for them.

First the sustainable rate is measured: channels that the jobs finish per second of market. Then one channel lives in real time
and a burst of others comes beside it, twice that rate. Everything lags; a state older than the ttl is refused by the sidecar, rows
expire, and an order meets the stale column. Behind the burst the jobs catch up and limits are fresh again. What they published is
compared with the same frames through the same machines in one process, where nothing is ever late.
"""

import itertools
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from deploy.desk import FOLDER, Desk
from deploy.drills.outputs import Compared, Outputs, Said, compare
from deploy.drills.report import DrillError, Report, Tell
from deploy.drills.tape import copies_of, moved
from deploy.drills.world import ENGINES, JOBS, Run, World
from deploy.instruments import load_instruments
from deploy.local.flink import repository
from deploy.local.stack import Extent
from deploy.rehearsal.scoring import Scoring
from gate.rows import InstrumentRow
from jobs.machines.channel_features import ChannelFeatures
from schemas import topics
from schemas.errors import Place
from schemas.frames import Frame, encode_frame
from schemas.orders import OrderAction, OrderDecision, OrderRequest, OrderSide, OrderType
from schemas.units import NS_PER_MS, NS_PER_S

TTL_MS: Final = 1_500
HEARTBEAT_MS: Final = 200
FACTOR: Final = 2.0
WARM_S: Final = 14.0
"""Market time of the living channel before the present: its instruments have states by then."""
CALM_S: Final = 2.0
BURST_S: Final = 6.0
AFTER_S: Final = 16.0
LEAD_S: Final = 3
"""Whole seconds between now and the present of the session: the past is fed meanwhile."""
CALIBRATED: Final = 24
"""Channels that the rate is measured with, each for ``CALIBRATED_S`` of market time."""
CALIBRATED_S: Final = 2.0
CHANNELS_MAX: Final = 160
LOOK_S: Final = 0.02
WATCHED: Final = (1, 2, 3, 4)

EXTENT: Final = Extent(
    jobs=(),
    processes=("gate",),
    taskmanagers=len(JOBS),
    partitions=ENGINES.partitions,
    settings={"gate": {"live": True, "ttl_ms": TTL_MS}},
    survives_jobmanager=True,
)


@dataclass(slots=True)
class Watch:
    """What a trading process saw of its limits.

    Attributes:
        looks: Monotonic seconds, and whether every watched row was fresh.
        age_max_ms: Oldest market that a fresh row stood for.
        refused: The answer to an order in the middle of the overload.
    """

    looks: list[tuple[float, bool]] = field(default_factory=list)
    age_max_ms: float = 0.0
    refused: OrderDecision | None = None

    def first(self, since: float, *, fresh: bool) -> float | None:
        """Return the seconds from ``since`` to the first look of this kind."""
        return next((round(at - since, 2) for at, was in self.looks if at >= since and was is fresh), None)


def drill_overload(world: World, tell: Tell) -> Report:
    """Run the drill; ``world`` has a gate that is live."""
    report = Report("overload", tell)
    with world.run() as run:
        with report.step("submitted"):
            run.deploy(state_heartbeat_ms=HEARTBEAT_MS)
        with report.step("sustainable rate measured"):
            rate = _sustainable(run)
        channels = min(CHANNELS_MAX, round(rate * FACTOR))
        report.facts["channels of 4 instruments that are sustained in real time"] = round(rate, 1)
        report.facts["channels in the burst"] = channels
        report.check("the burst is more than the jobs can do", holds=channels > rate)
        with report.step("session and burst made"):
            living, burst = _living(), _burst(channels)
        watch, living, burst = _play(world, run, (living, burst), report=report)
        with report.step("everything published"):
            run.wait("the last ticks", lambda: _complete(run.outputs, [*living, *burst]))
            run.settle()
        report.compared = _compared(run.outputs, living, burst)
        report.check("no dead letters", holds=run.outputs.letters == 0)
    _judge(watch, report)
    return report


def _sustainable(run: Run) -> float:
    """Return how many channels the jobs finish in real time; the first round warms them up."""
    rate = 0.0
    for number in range(2):
        frames = copies_of(CALIBRATED, seconds=CALIBRATED_S, name=f"RATE{number}", start_ns=run.tape.start_ns)
        run.feed(frames, speed=None)
        begun = time.monotonic()
        run.wait("the rate", lambda due=frames: _complete(run.outputs, due))  # type: ignore[misc]
        rate = CALIBRATED * CALIBRATED_S / (time.monotonic() - begun)
    if rate < 1.0:
        raise DrillError(f"{rate:.2f} channels in real time: this machine has no room for the one that must live")
    return rate


def _living() -> list[Frame]:
    """Return the calm channel under the known one's name, to the end of the drill; event time 0 is the present."""
    seconds, start_ns = WARM_S + CALM_S + BURST_S + AFTER_S, -int(WARM_S * NS_PER_S)
    return copies_of(1, seconds=seconds, name="SIM", start_ns=start_ns, first_id=0)


def _burst(channels: int) -> list[Frame]:
    return copies_of(channels, seconds=BURST_S, name="BURST", start_ns=int(CALM_S * NS_PER_S))


def _play(
    world: World, run: Run, frames: tuple[list[Frame], list[Frame]], *, report: Report
) -> tuple[Watch, list[Frame], list[Frame]]:
    """Play the session at its real time; return what the desk saw, and the frames with the times that they had."""
    present_ns = (time.time_ns() // NS_PER_S + LEAD_S) * NS_PER_S  # ticks keep their boundaries
    living, burst = (moved(one, present_ns) for one in frames)
    past = [frame for frame in living if frame.ts_last_ns <= present_ns]
    coming = sorted([*living[len(past) :], *burst], key=lambda frame: frame.ts_last_ns)
    run.feed(past, speed=None)
    run.wait_fed()
    begun = time.monotonic() + (present_ns - time.time_ns()) / NS_PER_S
    watch, stopping = Watch(), threading.Event()
    layout = world.stack.layout
    with Desk(layout.bootstrap_servers, Path(layout.table_path), world.stack.state / FOLDER) as desk:
        looker = threading.Thread(target=_look, args=(desk, watch, stopping), daemon=True)
        run.feed(coming, speed=1.0, start_monotonic_ns=int(begun * NS_PER_S))
        looker.start()
        try:
            with report.step(f"one channel alive, {CALM_S:.0f} s of calm"):
                time.sleep(max(0.0, begun + CALM_S - time.monotonic()))
            with report.step(f"burst of {BURST_S:.0f} s"):
                time.sleep(max(0.0, begun + CALM_S + BURST_S - time.monotonic()))
                watch.refused = desk.send(_order())
            over = time.monotonic()
            with report.step("limits fresh again"):
                run.wait("fresh limits", lambda: watch.first(over, fresh=True) is not None)
            report.recovery_s["burst over"] = watch.first(over, fresh=True) or 0.0
            report.facts["limits stale after so many seconds of burst"] = watch.first(begun + CALM_S, fresh=False)
            run.wait_fed()
        finally:
            stopping.set()
            looker.join()
    report.facts["limits stale for, s"] = _stale_for(watch, begun + CALM_S)
    report.check(
        "limits were fresh before the burst", holds=any(fresh for at, fresh in watch.looks if at < begun + CALM_S)
    )
    return watch, living, burst


def _look(desk: Desk, watch: Watch, stopping: threading.Event) -> None:
    while not stopping.wait(LOOK_S):
        now_ns, wall_ns = time.monotonic_ns(), time.time_ns()
        rows = [desk.row(number) for number in WATCHED]
        fresh = [row for row in rows if row is not None and _is_fresh(row, now_ns)]
        watch.looks.append((now_ns / NS_PER_S, len(fresh) == len(WATCHED)))
        ages = [(wall_ns - row.tick_ns) / NS_PER_MS for row in fresh]
        watch.age_max_ms = max([watch.age_max_ms, *ages])


def _is_fresh(row: InstrumentRow, now_ns: int) -> bool:
    return not row.stale and row.valid_until_ns > now_ns


def _order() -> OrderRequest:
    """Return an order that the stale column refuses and the tier does not."""
    stale_qty = load_instruments()[WATCHED[0]].envelope.stale_limits.max_order_qty or 0
    return OrderRequest(
        order_id="in-the-overload",
        account_id="DESK-1",
        instrument_id=WATCHED[0],
        ts_event_ns=time.time_ns(),
        action=OrderAction.NEW,
        side=OrderSide.BUY,
        order_type=OrderType.MARKET,
        qty=stale_qty + 1,
        price=None,
    )


def _stale_for(watch: Watch, since: float) -> float:
    steps = itertools.pairwise(watch.looks)
    return round(sum(later - at for (at, fresh), (later, _) in steps if not fresh and at >= since), 1)


def _judge(watch: Watch, report: Report) -> None:
    answer = watch.refused
    report.facts["oldest market behind a fresh limit, ms"] = round(watch.age_max_ms)
    report.check("an order in the overload met the stale column", holds=answer is not None and answer.stale)
    # A state is taken until it is one ttl old, and stands for one ttl more; a look may wait for the machine.
    report.check("no fresh limit stood for a market older than two ttl", holds=watch.age_max_ms <= 2 * TTL_MS + 500)


def _complete(outputs: Outputs, frames: list[Frame]) -> bool:
    ends: dict[str, int] = {}
    for frame in frames:
        ends[frame.channel_id] = frame.ts_last_ns
    tick_ns = {channel: end_ns // (100 * NS_PER_MS) * 100 * NS_PER_MS for channel, end_ns in ends.items()}
    return all(outputs.tick_ns.get(channel, 0) >= due for channel, due in tick_ns.items())


def _compared(found: Outputs, living: list[Frame], burst: list[Frame]) -> dict[str, Compared]:
    """Return ticks of all channels and states of the living one beside what one process makes of the same frames."""
    wanted, channels = Outputs(), {frame.channel_id for frame in (*living, *burst)}
    features = {channel: ChannelFeatures(channel, epoch=1) for channel in channels}
    scoring = Scoring(repository() / "models" / "default", epoch=1, heartbeat_ns=HEARTBEAT_MS * NS_PER_MS)
    for frame in (*living, *burst):
        ticks = features[frame.channel_id].apply(encode_frame(frame), Place(topics.MARKET_FRAMES)).ticks
        if ticks is None:
            continue
        wanted.take(topics.FEATURES_TICKS, ticks)
        if frame.channel_id == living[0].channel_id:
            for state in scoring.apply(ticks, []).states:
                wanted.take(topics.RISK_STATES, state)
    numbers = {key[1] for key in wanted.ticks.values}
    seen = _some_of(found.ticks, {key for key in found.ticks.values if key[1] in numbers})
    told = _some_of(found.states, {key for key in found.states.values if key[0] == living[0].channel_id})
    mine = Outputs()
    mine.ticks, mine.states = seen, told
    return {name: one for name, one in compare(mine, wanted).items() if name != "alerts"}


def _some_of(said: Said, keys: set[Any]) -> Said:
    return replace(said, values={key: value for key, value in said.values.items() if key in keys})
