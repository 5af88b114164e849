"""Viewed ticks: what every step after scaling needs, as one value and as bytes (``models.wire``).

They carry all that the tier tracker needs later, so that only two byte strings travel through SQL, and they name the model
that both steps after scaling must use: a switch of models travels with the ticks, and needs no agreement.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from features.spec import SCORED
from models.detectors.views import HORIZONS, VIEWED_NAMES, WINDOW, Views
from models.wire import Columns, Head, ScaledTicks, read, write

VIEWED: Final = b"tidegate.viewed.v3"


@dataclass(frozen=True, slots=True, eq=False)
class ViewedTicks:
    """Scaled ticks with what the measures look at, stateless from here on.

    Attributes:
        ticks: The scaled ticks; of ``values`` the columns ``VIEWED_NAMES``.
        model: Name of the folder of the model that scaled them, and that must judge them.
        views: What measures see, row by row.
    """

    ticks: ScaledTicks
    model: str
    views: Views = field(repr=False)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.views)


def encode_viewed(viewed: ViewedTicks) -> bytes:
    """Return viewed ticks as bytes."""
    ticks, views = viewed.ticks, viewed.views
    columns: tuple[npt.NDArray[np.generic], ...] = (
        ticks.tick_ns, ticks.ref_price, ticks.values, ticks.instrument_id, ticks.status,
        views.window, views.slow, views.missed, ticks.scored, views.settled, views.opined,
    )  # fmt: skip
    head = Head(len(viewed), (ticks.channel_id, viewed.model), (WINDOW, HORIZONS))
    return write(VIEWED, head, _columns(head.sizes), columns=columns)


def decode_viewed(raw: bytes) -> ViewedTicks:
    """Return the viewed ticks in ``raw``, as views of it.

    Raises:
        MessageError: ``unknown_schema`` (another format), ``wrong_features``, ``bad_record`` (damaged).
    """
    head, columns = read(raw, VIEWED, _columns)
    tick_ns, ref_price, values, instrument_id, status, window, slow, missed, scored, settled, opined = columns
    channel_id, model = head.names
    ticks = ScaledTicks(channel_id, tick_ns, instrument_id, status, ref_price, values, window[:, -1], scored)
    return ViewedTicks(ticks, model, Views(instrument_id, window, slow, missed, settled, opined))


def _columns(sizes: tuple[int, int]) -> Columns:
    depth, horizons = sizes
    wide, narrow = len(VIEWED_NAMES), len(SCORED)
    return (
        ("<i8", ()), ("<i8", ()), ("<f8", (wide,)), ("<u4", ()), ("<u4", ()), ("<f4", (depth, narrow)),
        ("<f4", (horizons, wide)), ("<f4", ()), ("?", ()), ("?", ()), ("?", ()),
    )  # fmt: skip
