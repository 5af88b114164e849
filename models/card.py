"""The model card: what the model is, how it was made and what was measured, in the words of SR 26-2 and SS1/23 inventories."""

from dataclasses import dataclass

from features.spec import SPEC_HASH
from models.budgets import Budgets
from models.fitting import SYSTEMIC_BUDGETS, FitReport
from models.folder import ModelFolder
from models.model_files import CARD_FILE
from models.tiers import TierLevels
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


def write_card(
    model: ModelFolder, report: FitReport, *, source: str, evaluation: Evaluation | None, quality: str = ""
) -> None:
    """Write ``card.md`` into the model folder.

    Args:
        model: The model.
        report: What fitting saw.
        source: Where its data come from.
        evaluation: What was measured on other sessions.
        quality: What expectations found in the data; empty = they were not asked.
    """
    stack = model.stack
    combined = ", ".join(m.name for m, used in zip(stack.measures, stack.combined.tolist(), strict=True) if used)
    beside = ", ".join(m.name for m, used in zip(stack.measures, stack.combined.tolist(), strict=True) if not used)
    network = ""
    if report.parameters:
        network = (
            f" One is a variational autoencoder of {report.parameters} parameters; where it is away, the others go on."
        )
    text = f"""# Model card: {model.model_id}

**Purpose.** Scores how unlike a calm market the last moments look, per instrument, to tighten pre-trade limits within an
envelope that people set. It is never allowed to loosen them. Not for predicting prices, and not validated for any venue
other than its training source.

**Kind.** A stack of measures of robustly scaled features (spec `{SPEC_HASH}`), each calibrated to a tail probability, combined by
the Cauchy rule: {combined}. Beside them, not combined: {beside or "none"}.{network}

**Training data.** {source}. {report.learned_rows:,} rows learned from; levels counted on {report.level_days:.2f} instrument-days
that were not.{f" {quality}" if quality else ""}

**Calibration.** Errors against each instrument's own past, empirical below the 98 % quantile, generalised Pareto above (SPOT).
Score S = -log10 p. A level is where calm time passes its budget, beyond the data by an exponential tail.

{_table(model.levels, model.budgets, "instrument-day")}

{_systemic(model)}{_measured(evaluation)}
**Limits.** Calibrated on simulated or single-day data; probabilities are extrapolated far beyond the sample, so S ranks and
paces rather than counts. Retrain for another venue, tick size or session.
"""
    (model.path / CARD_FILE).write_text(text)


def _table(levels: TierLevels, budgets: Budgets, day: str, *, highest: Tier = Tier.CRITICAL) -> str:
    allowed = {Tier.ELEVATED: budgets.elevated, Tier.HIGH_ALERT: budgets.high_alert, Tier.CRITICAL: budgets.critical}
    rows = [
        f"| {tier.name} | {budget:g} | {levels.enter[tier]:.2f} | {levels.leave[tier]:.2f} |"
        for tier, budget in allowed.items()
        if tier <= highest
    ]
    return "\n".join([f"| tier | episodes per {day} | enter at S | leave below S |", "|---|---|---|---|", *rows])


def _systemic(model: ModelFolder) -> str:
    if model.systemic is None:
        return "**Channel as a whole.** No opinion: too few instruments or too little calm.\n"
    table = _table(model.systemic.levels, SYSTEMIC_BUDGETS, "channel-day", highest=Tier.HIGH_ALERT)
    return f"**Channel as a whole.** Mean of its members' S, calibrated likewise; it raises all members.\n\n{table}\n"


def _measured(evaluation: Evaluation | None) -> str:
    if evaluation is None:
        return ""
    steps = "; ".join(f"{tier.name} after {after:.1f} s at {move:+.2%}" for after, tier, move in evaluation.timeline)
    return (
        f"\n**Measured on unseen sessions.** {evaluation.calm_episodes} tier rises in "
        f"{evaluation.calm_instrument_hours:.1f} calm instrument-hours. `{evaluation.scenario}`: {steps or 'no tier change'}.\n"
    )
