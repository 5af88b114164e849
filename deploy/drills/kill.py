"""`drill kill`: each part of a deployment dies by SIGKILL in the middle of a session and is started again, as a supervisor would.

What Flink and Kafka publish must be the undisturbed run's, byte by byte. Of what stands behind them each is asked what it
promises: the gate is stale while its sidecar is dead and holds the newest row afterwards, history holds every message once, the
API shows the newest state. A JobManager comes back to its jobs through ZooKeeper; in Kubernetes the same is done by the
operator's own high availability.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from deploy.desk import FOLDER, Desk
from deploy.drills.outputs import compare
from deploy.drills.report import Report, Tell
from deploy.drills.world import ENGINES, JOBS, Run, World, wait_for
from deploy.local.stack import PROCESSES, Extent
from history.client import QueryError, StoreError, query

EXTENT: Final = Extent(
    jobs=(),
    processes=("gate", "history", "api"),
    taskmanagers=len(JOBS),
    partitions=ENGINES.partitions,
    survives_jobmanager=True,
)
BEFORE: Final = 0.4
"""Part of the session before the first kill: states come, so that their coming back can be seen."""
WATCHED: Final = (1, 2, 3, 4)
BROKER_DOWN_S: Final = 1.0


def drill_kill(world: World, tell: Tell) -> Report:
    """Run the drill with all that the world has: engines, and the processes of its extent."""
    report = Report("kill", tell)
    with report.step("undisturbed run of the session"):
        wanted = world.undisturbed()
    kills: dict[str, Callable[[World, Report], None]] = {
        "taskmanagers": _taskmanagers,
        "jobmanager": _jobmanager,
        "broker": _broker,
    }
    kills |= {name: _process(name) for name in world.stack.extent.processes}
    with world.run() as run:
        with report.step("submitted"):
            run.deploy()
        run.play(BEFORE)
        with report.step(f"{BEFORE:.0%} of the session played"):
            run.wait_told()
        for number, (name, bring_down) in enumerate(kills.items(), start=1):
            run.play(BEFORE + number * (1 - BEFORE) / (len(kills) + 1))
            since = run.now()
            with report.step(f"{name} killed and started again"):
                bring_down(world, report)
            with report.step("new states"):
                run.wait_new(since)
                run.wait_told()
            report.recovery_s[f"{name} killed"] = run.silence_s(since)
        with report.step("the rest of the session"):
            run.finish()
        report.compared = compare(run.outputs, wanted)
        report.check("no dead letters", holds=run.outputs.letters == 0)
        if "gate" in kills:
            _check_gate(world, run, report)
        if "history" in kills:
            _check_history(world, run, report)
        if "api" in kills:
            _check_api(world, run, report)
    return report


def _taskmanagers(world: World, report: Report) -> None:
    del report
    names = {world.flink.taskmanager_of(job) for job in JOBS}
    for name in names:
        world.kill(name)
    for name in names:
        world.flink.start_taskmanager(int(name.rpartition("-")[2]))


def _jobmanager(world: World, report: Report) -> None:
    del report
    world.kill("jobmanager")
    world.flink.start_jobmanager()
    for job in JOBS:
        world.stack.wait_running(job)


def _broker(world: World, report: Report) -> None:
    del report
    world.kill("broker")
    time.sleep(BROKER_DOWN_S)
    world.stack.start_broker()


def _process(name: str) -> Callable[[World, Report], None]:
    def bring_down(world: World, report: Report) -> None:
        world.kill(name)
        if name == "gate":
            with _desk(world) as desk:
                wait_for("a stale gate", lambda: all(_is_stale(desk, number) for number in WATCHED))
            report.check("without its sidecar the gate judges by the stale column", holds=True)
        world.stack.start_process(name, PROCESSES[name])
        world.stack.wait_process(name)

    return bring_down


def _is_stale(desk: Desk, instrument_id: int) -> bool:
    row, now_ns = desk.row(instrument_id), time.monotonic_ns()
    table = desk.gate.table
    is_silent = now_ns - table.writer_heartbeat_ns > table.heartbeat_ttl_ns
    return row is None or row.stale or is_silent or row.valid_until_ns <= now_ns


def _check_gate(world: World, run: Run, report: Report) -> None:
    def rows() -> set[tuple[int, int]]:
        found = (desk.row(number) for number in WATCHED)
        return {(row.epoch, row.tick_ns) for row in found if row is not None}

    with _desk(world) as desk:
        wait_for("the gate's newest rows", lambda: rows() == {(world.epoch, run.tape.end_ns)})
        report.check("the gate holds the newest state of every instrument", holds=len(rows()) == 1)


def _check_history(world: World, run: Run, report: Report) -> None:
    counts = {"ticks": len(run.outputs.ticks.values), "risk_states": len(run.outputs.states.values)}
    found: dict[str, int] = {}

    def stored() -> bool:
        for table in counts:
            sql = f"SELECT count() AS n FROM {table}_once WHERE epoch = {world.epoch}"  # noqa: S608 - names and a number of ours
            try:
                found[table] = int(query(sql, status_dir=world.stack.state).rows[0][0])
            except (QueryError, StoreError):
                return False
        return found == counts

    wait_for("history", stored)
    report.facts["messages in history, each once"] = found
    report.check("history holds every tick and state once", holds=found == counts)


def _check_api(world: World, run: Run, report: Report) -> None:
    def shown() -> set[tuple[int, int]]:
        states = [world.ask_api(f"/v1/risk/{number}")["state"] for number in WATCHED]
        return {(int(one["epoch"]), int(one["tick_ns"])) for one in states if one is not None}

    wanted = {(world.epoch, run.tape.end_ns)}
    wait_for("the API's newest states", lambda: shown() == wanted)
    report.check("the API shows the newest state of every instrument", holds=shown() == wanted)


def _desk(world: World) -> Desk:
    layout = world.stack.layout
    return Desk(layout.bootstrap_servers, Path(layout.table_path), world.stack.state / FOLDER)
