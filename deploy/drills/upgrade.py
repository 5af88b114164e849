"""`drill upgrade`: a new version of the jobs takes over in the middle of a session, from a savepoint, with a state migration.

The version before writes its state as version 1, as the releases before sealing did; the new one reads that and writes version 2
(``jobs.machines.sealing``). Both jobs stop with a savepoint through Flink's REST interface while the feed goes on, and the new ones
find in Kafka what came meanwhile.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import urlparse

from deploy.drills.outputs import compare
from deploy.drills.report import Report, Tell
from deploy.drills.world import World

BEFORE: Final = 0.5
MEANWHILE: Final = 0.8
SEALED: Final = b"TGDSTATE"


def drill_upgrade(world: World, tell: Tell) -> Report:
    """Run the drill."""
    report = Report("upgrade", tell)
    with report.step("undisturbed run of the session"):
        wanted = world.undisturbed()
    with world.run() as run:
        with report.step("version 1 of the state submitted"):
            jobs = run.deploy(state_version=1)
        run.play(BEFORE)
        with report.step(f"{BEFORE:.0%} of the session played"):
            run.wait_told()
        since = run.now()
        with report.step("both jobs stopped with savepoints"):
            before = run.stop(jobs)
        run.play(MEANWHILE)
        with report.step("new version submitted from the savepoints, epoch raised, while the feed goes on"):
            jobs = run.deploy(before)
        with report.step("state migrated, new states"):
            run.wait_new(since)
        report.recovery_s["jobs stopped"] = run.silence_s(since)
        with report.step("the rest of the session"):
            run.finish()
        with report.step("stopped with savepoints again"):
            after = run.stop(jobs)
        report.compared = compare(run.outputs, wanted)
        report.check("no dead letters", holds=run.outputs.letters == wanted.letters == 0)
    sealed = {name: _sealed(paths.values()) for name, paths in (("before", before), ("after", after))}
    report.facts["sealed snapshots in the savepoints"] = sealed
    report.check(
        "the first savepoint holds version 1, the second version 2", holds=sealed["before"] == 0 < sealed["after"]
    )
    return report


def _sealed(savepoints: Iterable[str]) -> int:
    """Return how many sealed snapshots lie in savepoints."""
    files = (path for one in savepoints for path in Path(urlparse(one).path).rglob("*") if path.is_file())
    return sum(path.read_bytes().count(SEALED) for path in files)
