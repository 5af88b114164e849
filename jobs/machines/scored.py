"""Scores of every tick, as rows of `risk.scores`: what tracking knew of each member, whatever became of its tier."""

from typing import Final

import numpy as np

from jobs.machines.tracked import TrackedTicks
from schemas.scores import ScoreRows

_STRANGE_MAX: Final = 300.0
"""Beyond it a probability is no normal number any more."""


def scores_of(tracked: TrackedTicks, *, epoch: int, shadow: bool = False) -> ScoreRows | None:
    """Return the scores of a message of tracked ticks; None where no tick has a member.

    Args:
        tracked: The message.
        epoch: Deployment epoch of the job.
        shadow: The model decides nothing.
    """
    pulses = [pulse for pulse in tracked.pulses if len(pulse.instrument_id)]
    if not pulses:
        return None
    strange = np.concatenate([pulse.strange for pulse in pulses])
    return ScoreRows(
        channel_id=tracked.channel_id,
        epoch=epoch,
        model_id=tracked.model_id,
        shadow=shadow,
        measures=(),
        tick_ns=np.repeat([pulse.tick_ns for pulse in pulses], [len(pulse.instrument_id) for pulse in pulses]),
        instrument_id=np.concatenate([pulse.instrument_id for pulse in pulses]),
        score=strange,
        p=10.0 ** -np.minimum(strange, _STRANGE_MAX),
        adverse_share=np.concatenate([pulse.adverse_share for pulse in pulses]),
        measure_p=np.empty((len(strange), 0)),
    )
