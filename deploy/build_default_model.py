"""`make model`: the committed default model, rebuilt from a seed, with its card measured on sessions it has not seen."""

import argparse
import time
from pathlib import Path
from typing import Final

from deploy.training import CALM_SESSION_S, calm_sessions, guarded, simulated_ticks
from feeds.simulator.scenario import load_scenario
from models.card import Evaluation, write_card
from models.fitting import fit_folder, replay
from models.folder import ModelFolder
from models.shipping import shipped_stack

DEFAULT_FOLDER: Final = Path(__file__).parents[1] / "models" / "default"
SESSIONS: Final = 16
UNSEEN_SESSIONS: Final = 3
SCENARIO: Final = "flash_crash"


def main() -> None:
    """Train, evaluate and write the model folder."""
    parser = argparse.ArgumentParser(description="Rebuild the default model from its seed.")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=DEFAULT_FOLDER)
    arguments = parser.parse_args()
    started = time.monotonic()
    build(arguments.out, arguments.seed)
    print(f"{arguments.out}: done in {time.monotonic() - started:.0f} s")


def build(out: Path, seed: int, *, sessions: int = SESSIONS) -> ModelFolder:
    """Write the model of ``seed`` to ``out``."""
    print(f"simulating {sessions} calm sessions of {CALM_SESSION_S:.0f} s and fitting on them")
    calm = calm_sessions(seed, sessions)
    quality = guarded(calm)
    model, report = fit_folder(calm, out, make_stack=lambda: shipped_stack(seed), model_id=f"default-{seed}")
    print("replaying sessions that training has not seen")
    write_card(
        model,
        report,
        source=f"Calm simulated sessions of scenario `calm`, seeds {seed * 1000} to {seed * 1000 + sessions - 1}",
        evaluation=_evaluate(model, seed),
        quality=quality,
    )
    return model


def _evaluate(model: ModelFolder, seed: int) -> Evaluation:
    unseen = [replay(session, model).states for session in calm_sessions(seed + 1, UNSEEN_SESSIONS)]
    episodes = sum(state.tier > state.tier_before for states in unseen for state in states)
    plan = load_scenario(SCENARIO)
    stress_ns = plan.marks["calm_until"]
    states = replay(simulated_ticks(SCENARIO, seed), model).states
    crash_id = next(i.id for i in plan.instruments if i.shapes)
    own = [s for s in states if s.instrument_id == crash_id and s.ref_price]
    reference = [s.ref_price or 0 for s in own if s.tick_ns <= stress_ns][-1]
    timeline = tuple(
        ((s.tick_ns - stress_ns) / 1e9, s.tier, (s.ref_price or 0) / reference - 1)
        for s in own
        if s.tier is not s.tier_before
    )
    hours = UNSEEN_SESSIONS * CALM_SESSION_S * len(plan.instruments) / 3600
    return Evaluation(hours, episodes, SCENARIO, timeline)


if __name__ == "__main__":
    main()
