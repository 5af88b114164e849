"""`drill rescale`: from one TaskManager a job to two and back, by savepoint, within the maximum parallelism that was set once.

Two channels lie in two partitions; with two subtasks each has one of them, and takes its state along.
"""

import time
from typing import Final

from deploy.drills.outputs import compare
from deploy.drills.report import Report, Tell
from deploy.drills.world import JOBS, World

STEPS: Final = ((2, 0.3, 0.45), (1, 0.7, 0.85))
"""Parallelism, the part of the session at which it changes, and the part that is fed meanwhile."""
METRICS_S: Final = 30.0


def drill_rescale(world: World, tell: Tell) -> Report:
    """Run the drill."""
    report = Report("rescale", tell)
    with report.step("undisturbed run of the session"):
        wanted = world.undisturbed()
    slots_before = world.slot_count
    with world.run() as run:
        with report.step("submitted with one TaskManager a job"):
            jobs = run.deploy()
        for parallelism, before, meanwhile in STEPS:
            run.play(before)
            with report.step(f"{before:.0%} of the session played"):
                run.wait_told()
            since = run.now()
            with report.step("both jobs stopped with savepoints"):
                savepoints = run.stop(jobs)
            run.play(meanwhile)
            with report.step(f"{parallelism * len(JOBS)} TaskManagers"):
                world.slots(parallelism * len(JOBS))
            with report.step(f"submitted from the savepoints with parallelism {parallelism}"):
                jobs = run.deploy(savepoints, parallelism=parallelism)
            run.wait_new(since)
            report.recovery_s[f"parallelism {parallelism}"] = run.silence_s(since)
            if parallelism > 1:
                run.wait_told()
                busy = _busy(world, jobs["compute_features"], parallelism)
                report.facts[f"subtasks with a channel at parallelism {parallelism}"] = busy
                report.check("both subtasks have a channel", holds=busy == parallelism)
        with report.step("the rest of the session"):
            run.finish()
        report.compared = compare(run.outputs, wanted)
        report.check("no dead letters", holds=run.outputs.letters == 0)
    world.slots(slots_before)
    return report


def _busy(world: World, job_id: str, wanted: int) -> int:
    """Return how many subtasks have read anything; Flink's REST interface learns of it some seconds later."""
    deadline = time.monotonic() + METRICS_S
    while True:
        found = world.busy_subtasks(job_id, "compute-features")
        if found >= wanted or time.monotonic() > deadline:
            return found
        time.sleep(1.0)
