"""`drill rollback`: an upgrade that fails goes back to its savepoint and to the version before.

The new version comes without the model that is in force: its folder passes the check before the start, and the state that it is
given names another one. It starts, and fails at the first tick. So a running job proves nothing; the drill asks Flink what failed,
ends the job, and starts the old version from the savepoint that the upgrade began with, under an epoch above both.
"""

import shutil
from typing import Final

from deploy.drills.outputs import compare
from deploy.drills.report import Report, Tell
from deploy.drills.world import World
from deploy.local.flink import repository
from deploy.local.savepoints import cancel

JOB: Final = "score_risk"
NAME: Final = "another"
BEFORE: Final = 0.5
MEANWHILE: Final = 0.7


def drill_rollback(world: World, tell: Tell) -> Report:
    """Run the drill."""
    report = Report("rollback", tell)
    model = world.stack.state / "models" / NAME
    shutil.copytree(repository() / "models" / "default", model, dirs_exist_ok=True)
    with report.step("undisturbed run of the session"):
        wanted = world.undisturbed()
    with world.run() as run:
        with report.step("old version submitted"):
            jobs = run.deploy()
        run.play(BEFORE)
        with report.step(f"{BEFORE:.0%} of the session played"):
            run.wait_told()
        since = run.now()
        with report.step(f"{JOB} stopped with a savepoint"):
            savepoint = run.stop({JOB: jobs[JOB]})
        run.play(MEANWHILE)
        with report.step("bad version submitted from the savepoint, while the feed goes on"):
            bad = run.deploy(savepoint, wait=False, model_dir=str(model))[JOB]
        with report.step("its failure seen"):
            run.wait("the failure", lambda: bool(world.failure(bad)))
        report.facts["failure"] = failure = world.failure(bad)
        report.check("the failure names what is missing", holds="ModelError" in failure)
        with report.step("bad version ended"):
            cancel(world.flink, bad)
        with report.step("old version submitted from the savepoint, epoch raised again"):
            run.deploy(savepoint)
        run.wait_new(since)
        report.recovery_s[f"{JOB} stopped"] = run.silence_s(since)
        with report.step("the rest of the session"):
            run.finish()
        report.compared = compare(run.outputs, wanted)
        report.check("no dead letters", holds=run.outputs.letters == 0)
    return report
