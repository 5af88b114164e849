"""The model card: what the model is, how it was made and what was measured, in the words of SR 26-2 and SS1/23 inventories."""

from dataclasses import dataclass

from features.spec import SCORED, SPEC_HASH
from models.folder import CARD_FILE, ModelFolder
from models.train import TrainReport
from schemas.records import Tier


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured on sessions that training never saw.

    Attributes:
        calm_instrument_hours: Hours of calm instruments watched.
        calm_episodes: Tier rises among them.
        scenario: Name of the stressed scenario.
        timeline: ``(seconds after the start of the stress, tier, price move)`` of the stressed instrument.
    """

    calm_instrument_hours: float
    calm_episodes: int
    scenario: str
    timeline: tuple[tuple[float, Tier, float], ...]


def write_card(model: ModelFolder, report: TrainReport, *, source: str, evaluation: Evaluation | None) -> None:
    """Write ``card.md`` into the model folder."""
    levels = "\n".join(
        f"| {tier.name} | {model.levels.enter[tier]} | {model.levels.leave[tier]} |"
        for tier in Tier
        if tier is not Tier.NORMAL
    )
    text = f"""# Model card: {model.model_id}

**Purpose.** Scores how unlike a calm market the last 100 ms look, per instrument, to tighten pre-trade limits within an
envelope that people set. It is never allowed to loosen them. Not for predicting prices, and not validated for any venue
other than its training source.

**Kind.** Variational autoencoder over {len(SCORED)} robustly scaled features of one tick (spec `{SPEC_HASH}`),
{report.parameters} parameters, scored deterministically at the posterior mean. Fallback: largest robust score.

**Training data.** {source}. {report.rows:,} calm rows learned from, {report.held_out_rows:,} held out for calibration.

**Calibration.** Standardised log error, empirical below the 98 % quantile, generalised Pareto above (shape
{model.tail.shape:.3f}, scale {model.tail.spread:.3f}). Score S = -log10 p.

| tier | enter at S | leave below S |
|---|---|---|
{levels}

**Checks.** ONNX equals torch within {report.onnx_difference:.1e} (relative; allowed 1e-5). Final training loss {report.loss:.3f}.
{_measured(evaluation)}
**Limits.** Calibrated on simulated or single-day data; probabilities are extrapolated far beyond the sample, so S ranks and
paces rather than counts. Window of one tick; no time-of-day scaling. Retrain for another venue, tick size or session.
"""
    (model.path / CARD_FILE).write_text(text)


def _measured(evaluation: Evaluation | None) -> str:
    if evaluation is None:
        return ""
    steps = "; ".join(f"{tier.name} after {after:.1f} s at {move:+.2%}" for after, tier, move in evaluation.timeline)
    return (
        f"\n**Measured on unseen sessions.** {evaluation.calm_episodes} tier rises in "
        f"{evaluation.calm_instrument_hours:.1f} calm instrument-hours. `{evaluation.scenario}`: {steps or 'no tier change'}.\n"
    )
