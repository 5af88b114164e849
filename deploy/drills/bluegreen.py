"""`drill bluegreen`: a second score_risk beside the first, from its savepoint, under a larger epoch; readers follow it at once.

Both publish for a while. The gate's sidecar and the API hold the state of the larger epoch from the first one they hear, and what
the old job still says is fenced and counted. Where both spoke of a tick, they said the same.
"""

import json
from pathlib import Path
from typing import Any, Final

from deploy.desk import FOLDER, Desk
from deploy.drills.outputs import compare
from deploy.drills.report import Report, Tell
from deploy.drills.world import ENGINES, JOBS, World
from deploy.local.savepoints import cancel, savepoint
from deploy.local.stack import Extent

JOB: Final = "score_risk"
BEFORE: Final = 0.4
BOTH: Final = 0.7
WATCHED: Final = 1
"""An instrument that reference data knows."""

EXTENT: Final = Extent(
    jobs=(),
    processes=("gate", "api"),
    taskmanagers=len(JOBS) + 1,
    partitions=ENGINES.partitions,
    survives_jobmanager=True,
)


def drill_bluegreen(world: World, tell: Tell) -> Report:
    """Run the drill; ``world`` has a gate, an API and a slot to spare."""
    report = Report("bluegreen", tell)
    with report.step("undisturbed run of the session"):
        wanted = world.undisturbed()
    fenced_before = _fenced(world)
    with world.run() as run, _desk(world) as desk:
        with report.step("blue submitted"):
            jobs = run.deploy()
        blue = world.epoch
        run.play(BEFORE)
        with report.step(f"{BEFORE:.0%} of the session played"):
            run.wait_told()
        with report.step("savepoint of blue, which goes on"):
            begun = savepoint(world.flink, jobs[JOB], world.stack.state / "savepoints")
        with report.step("green submitted from it, epoch raised"):
            run.deploy({JOB: begun})
        green = world.epoch
        run.play(BOTH)
        with report.step("both publish"):
            run.wait_told()
            run.wait("green's state in the gate", lambda: _epoch_of(desk) == green)
            run.wait("blue to be fenced", lambda: _fenced(world) > fenced_before)
        with report.step("blue ended"):
            cancel(world.flink, jobs[JOB])
        run.play()
        with report.step("the rest of the session"):
            run.finish()
            run.wait("the gate's last row", lambda: _tick_of(desk) >= run.tape.end_ns)
            run.wait("the API's last state", lambda: int(_asked(world)["tick_ns"]) >= run.tape.end_ns)
        shown = _asked(world)
        report.compared = compare(run.outputs, wanted)
        report.check("both spoke of the same ticks, and said the same", holds=run.outputs.states.repeats > 0)
        report.check("the gate holds green's rows", holds=_epoch_of(desk) == green > blue)
        report.check("the API shows green's state", holds=int(shown["epoch"]) == green)
        report.check("no dead letters", holds=run.outputs.letters == 0)
    report.facts["states of blue that the gate fenced"] = _fenced(world) - fenced_before
    return report


def _desk(world: World) -> Desk:
    layout = world.stack.layout
    return Desk(layout.bootstrap_servers, Path(layout.table_path), world.stack.state / FOLDER)


def _epoch_of(desk: Desk) -> int:
    row = desk.row(WATCHED)
    return 0 if row is None else row.epoch


def _tick_of(desk: Desk) -> int:
    row = desk.row(WATCHED)
    return 0 if row is None else row.tick_ns


def _fenced(world: World) -> int:
    return int(json.loads((world.stack.state / "gate.json").read_text())["states_fenced"])


def _asked(world: World) -> Any:
    return world.ask_api(f"/v1/risk/{WATCHED}")["state"]
