"""Twice the sustainable rate for a while: late and exact, stale by the ttl, and back. A minute and more: run by `make drills`."""

import pytest

from deploy.drills.overload import EXTENT, drill_overload
from deploy.drills.world import World

pytestmark = [pytest.mark.integration, pytest.mark.drill, pytest.mark.timeout(900)]


def test_overload_makes_ticks_late_and_limits_stale_and_changes_no_bit(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    told: list[str] = []
    with World(tmp_path_factory.mktemp("overload"), EXTENT) as world:
        report = drill_overload(world, told.append)
    assert report.passed, "\n".join([*told, *report.lines()])
    assert report.compared["states"].count > 100
    assert report.recovery_s["burst over"] > 0
