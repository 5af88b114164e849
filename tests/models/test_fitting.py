"""From calm sessions to a folder, end to end on little data: reproducible, within its budgets, louder in the strange."""

from pathlib import Path

import numpy as np
import pytest

from models.budgets import Budgets
from models.card import write_card
from models.detectors.linear import LargestScore, Mahalanobis
from models.detectors.stack import Stack
from models.fitting import fit_folder, replay
from models.folder import ModelFolder, read_folder
from models.model_files import CARD_FILE, MODEL_FILE, WEIGHTS_FILE
from schemas.records import Tier
from tests.models.conftest import calm_session

pytestmark = pytest.mark.slow

SESSIONS = 6
TICKS = 2_500


def fit(out: Path) -> ModelFolder:
    sessions = [calm_session(seed, TICKS, 4) for seed in range(SESSIONS)]
    model, report = fit_folder(
        sessions, out, make_stack=lambda: Stack([LargestScore(), Mahalanobis()], 7), model_id="synthetic"
    )
    write_card(model, report, source="synthetic sessions", evaluation=None)
    assert report.learned_rows == 3 * 4 * TICKS
    assert report.parameters == 0
    return model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    return fit(tmp_path_factory.mktemp("fit") / "one")


def test_same_sessions_give_the_same_folder(model: ModelFolder, tmp_path: Path) -> None:
    again = fit(tmp_path / "one")
    for name in (MODEL_FILE, WEIGHTS_FILE, CARD_FILE):
        assert (again.path / name).read_bytes() == (model.path / name).read_bytes()


def test_calm_stays_calm_and_a_crisis_of_everything_does_not(model: ModelFolder) -> None:
    read = read_folder(model.path)
    session = calm_session(99, 700, 4)
    for ticks in session[600:]:
        ticks.values[ticks.instrument_id == 2] *= 30.0
    said = replay(session, read)
    before = [state.tier for state in said.states if state.tick_ns < session[600].tick_ns[0]]
    assert set(before) == {Tier.NORMAL}
    after = {(state.instrument_id, state.score > 5) for state in said.states[-4:]}
    assert (2, True) in after
    assert len(said.pulses) == 700


def test_levels_rise_with_the_tier_and_the_budgets_are_kept_with_them(model: ModelFolder) -> None:
    assert model.budgets == Budgets()
    assert list(model.levels.enter) == sorted(model.levels.enter)
    assert np.isfinite(model.levels.enter).all()


def test_one_session_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least two sessions"):
        fit_folder([calm_session(1, 10)], tmp_path, make_stack=lambda: Stack([LargestScore()], 7), model_id="m")
