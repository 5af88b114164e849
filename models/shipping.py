"""The stack that ships, to be fitted by `make model` and `tidegate train`. Training lives here, so no job imports it.

What S combines is what won the comparison (``models.detectors.suite``). The network stands beside it: it answers in SQL and
in the folder's calibration, and S does not depend on it. Measures that S does not combine cost a tick nothing and are left out.
"""

from models.detectors.stack import Stack
from models.detectors.suite import COMBINED, simple_measures
from models.detectors.vae import VaeLikelihood
from models.train import train_window_vae


def shipped_stack(seed: int) -> Stack:
    """Return the stack, to be fitted."""
    combined = [measure for measure in simple_measures() if measure.name in COMBINED]
    return Stack([*combined, VaeLikelihood(train_window_vae)], seed, combined=COMBINED)
