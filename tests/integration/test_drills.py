"""The drills, one after the other on the same engines: what is published is the undisturbed run's, tick for tick.

Engines and the undisturbed run are shared; each drill has topics, consumer groups and epochs of its own (``deploy.drills.world``).
Those that submit jobs three times are left to `make drills`.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.drills.bluegreen import drill_bluegreen
from deploy.drills.kill import EXTENT, drill_kill
from deploy.drills.report import Report, Tell
from deploy.drills.rescale import drill_rescale
from deploy.drills.rollback import drill_rollback
from deploy.drills.upgrade import drill_upgrade
from deploy.drills.world import JOBS, World
from deploy.local.processes import alive

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

TICKS = 2 * 4 * 400
"""Two channels of four instruments, 40 s."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    extent = replace(EXTENT, taskmanagers=len(JOBS) + 1)  # one to spare, for blue and green
    with World(tmp_path_factory.mktemp("drills"), extent) as running:
        yield running
    assert not any(alive(part) for part in running.stack.book.all()), "nothing is left running"


@pytest.mark.parametrize(
    "drill",
    [
        pytest.param(drill_upgrade, id="upgrade"),
        pytest.param(drill_kill, id="kill"),
        pytest.param(drill_bluegreen, id="bluegreen"),
        pytest.param(drill_rollback, id="rollback", marks=pytest.mark.drill),
        pytest.param(drill_rescale, id="rescale", marks=pytest.mark.drill),
    ],
)
def test_disturbed_run_publishes_what_the_undisturbed_one_did(
    world: World, drill: Callable[[World, Tell], Report], tmp_path: Path
) -> None:
    told: list[str] = []
    report = drill(world, told.append)
    (tmp_path / "report.json").write_text(json.dumps(report.plain()))
    assert report.passed, "\n".join([*told, *report.lines()])
    assert report.compared["ticks"].count == TICKS
    assert report.compared["states"].count > TICKS / 2
    assert report.compared["alerts"].count > 0
    assert report.recovery_s or report.name == "bluegreen"
