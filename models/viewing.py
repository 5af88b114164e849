"""Ticks to viewed ticks: scaler and views of one channel, by one model. Pure; the state is theirs."""

from dataclasses import replace
from typing import Final, Self

import numpy as np

from features.spec import FEATURE_NAMES
from models.detectors.views import VIEWED_NAMES, Viewer
from models.folder import ModelFolder
from models.scaling import Scaler
from models.viewed import ViewedTicks
from schemas.ticks import Ticks

_PLACE: Final = {name: place for place, name in enumerate(FEATURE_NAMES)}
_VIEWED: Final = np.array([_PLACE[name] for name in VIEWED_NAMES])


class ChannelViews:
    """The views of one channel.

    Args:
        model: Its priors scale.
        name: Name of its folder.
    """

    def __init__(self, model: ModelFolder, name: str) -> None:
        past = model.stack.past
        self.name = name
        self._scaler, self._viewer = Scaler(past.priors, past), Viewer()

    def step(self, ticks: Ticks) -> ViewedTicks:
        """Return the rows as measures see them, and learn from them; none of them was seen before."""
        scaled = self._scaler.step(ticks)
        views = self._viewer.step(scaled, ticks.values)
        return ViewedTicks(replace(scaled, values=ticks.values[:, _VIEWED]), self.name, views)

    def to_bytes(self) -> tuple[bytes, bytes]:
        """Return the state of the scaler and of the views."""
        return self._scaler.to_bytes(), self._viewer.to_bytes()

    @classmethod
    def from_bytes(cls, raw: tuple[bytes, bytes], model: ModelFolder, name: str) -> Self:
        """Return the value that wrote ``raw``.

        Raises:
            ValueError: Another version, or cut short.
        """
        made = cls(model, name)
        past = model.stack.past
        made._scaler, made._viewer = Scaler.from_bytes(raw[0], past.priors, past), Viewer.from_bytes(raw[1])
        return made


def rows_of(ticks: Ticks, rows: object) -> Ticks:
    """Return some rows of a message."""
    chosen = {
        name: getattr(ticks, name)[rows] for name in ("tick_ns", "instrument_id", "status", "ref_price", "values")
    }
    return replace(ticks, **chosen)
