"""The drills, one after the other on the same engines: what is published is the undisturbed run's, tick for tick.

Engines and the undisturbed run are shared; each drill has topics, consumer groups and epochs of its own (``deploy.drills.world``).
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.drills.bluegreen import drill_bluegreen
from deploy.drills.kill import EXTENT, drill_kill
from deploy.drills.report import Report, Tell
from deploy.drills.rescale import drill_rescale
from deploy.drills.rollback import drill_rollback
from deploy.drills.upgrade import drill_upgrade
from deploy.drills.world import World
from deploy.local.processes import alive

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

TICKS = 2 * 4 * 400
"""Two channels of four instruments, 40 s."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("drills"), EXTENT) as running:
        yield running
    assert not any(alive(part) for part in running.stack.book.all()), "nothing is left running"


@pytest.mark.parametrize(
    "drill",
    [drill_upgrade, drill_kill, drill_rollback, drill_bluegreen, drill_rescale],
    ids=lambda drill: drill.__name__.removeprefix("drill_"),
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
