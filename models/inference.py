"""The body of the SQL function: viewed ticks in, the network's parts out. Stateless but for open networks.

The message names the model, so scores of an old model drain while a new one's ticks come. Invariant: an answer always comes;
where the network has none, or there is no network, the answer says so, and the measures that need none go on alone.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

import numpy as np

from features.spec import SCORED, SPEC_HASH
from models.detectors.views import F32, WINDOW, Ids
from models.folder import ModelFolder
from models.model_files import ModelError
from models.scaling import Scaler
from models.serving.interface import ServingCounts, WindowScorer
from models.viewed import VIEWED, decode_viewed
from models.wire import Scores, encode_scores
from schemas.errors import MessageError
from schemas.ticks import Ticks, decode_ticks

OPEN_MAX: Final = 2
"""Networks that stay open: the one in force, and the one before it, whose last ticks are on their way."""

Open = Callable[[str], tuple[str, WindowScorer | None]]
"""Name of a model's folder to its id and its network, None where it has none; raises ``ModelError``."""


class Networks(Protocol):
    """What answers for a model."""

    def of(self, name: str) -> tuple[str, WindowScorer | None]:
        """Return a model's id and its network, None where it has none or it cannot be used."""


class OpenNetworks:
    """Networks by the name of their model's folder, opened when first asked for.

    A folder that cannot be used gives no network: the ticks are judged by the other measures, and say so.
    """

    def __init__(self, opened: Open) -> None:
        self._opened = opened
        self._held: OrderedDict[str, tuple[str, WindowScorer | None]] = OrderedDict()

    def of(self, name: str) -> tuple[str, WindowScorer | None]:
        """Return a model's id and its network, None where it has none or it cannot be used."""
        if name not in self._held:
            try:
                self._held[name] = self._opened(name)
            except ModelError:
                self._held[name] = name, None
            while len(self._held) > OPEN_MAX:
                _, (_, old) = self._held.popitem(last=False)
                if old is not None:
                    old.close()
        self._held.move_to_end(name)
        return self._held[name]

    def counts(self) -> ServingCounts:
        """Return what became of ticks, over the networks that are open."""
        total = ServingCounts()
        for _, network in self._held.values():
            if network is not None:
                total.answers += network.counts.answers
                total.deadlines_missed += network.counts.deadlines_missed
                total.errors += network.counts.errors
                total.absent += network.counts.absent
        return total


def score_bytes(raw: bytes, networks: Networks, model: Callable[[], tuple[str, ModelFolder]]) -> bytes:
    """Return the encoded scores of encoded ticks: the body of the SQL function ``vae_score``.

    Args:
        raw: Viewed ticks, or the value of a ``features.ticks`` message, whose rows are taken to have stood for a window.
        networks: Who answers.
        model: Name and folder of the model that plain ticks are scaled with.

    Raises:
        MessageError: ``raw`` holds neither.
    """
    if raw.startswith(VIEWED):
        viewed = decode_viewed(raw)
        model_id, network = networks.of(viewed.model)
        return encode_scores(
            score(
                network, model_id, windows=viewed.views.window, ids=viewed.ticks.instrument_id, rows=viewed.views.opined
            )
        )
    ticks = decode_ticks(raw)
    if ticks.spec_hash != SPEC_HASH:
        raise MessageError("wrong_features", f"feature spec was {ticks.spec_hash}, wanted {SPEC_HASH}")
    name, folder = model()
    model_id, network = networks.of(name)
    windows, scored = _stood(ticks, folder)
    return encode_scores(score(network, model_id, windows=windows, ids=ticks.instrument_id, rows=scored))


def score(
    network: WindowScorer | None, model_id: str, *, windows: F32, ids: Ids, rows: np.typing.NDArray[np.bool_]
) -> Scores:
    """Return the network's parts of windows; of those of ``rows`` alone, the others are 0.

    Args:
        network: Who answers; None = nobody.
        model_id: Model that is asked.
        windows: ``(n, WINDOW, features)`` float32.
        ids: ``(n,)`` instruments.
        rows: ``(n,)`` bool.
    """
    parts = np.zeros((len(ids), len(SCORED)), dtype=np.float32)
    if not rows.any():
        return Scores(model_id, network is None, parts)
    every = bool(rows.all())
    found = None if network is None else network.score(windows if every else windows[rows], ids if every else ids[rows])
    if found is not None:
        parts[rows] = found
    return Scores(model_id, found is None, parts)


def _stood(ticks: Ticks, model: ModelFolder) -> tuple[F32, np.typing.NDArray[np.bool_]]:
    """Return windows of plain ticks by the model's priors, as if each had stood so for a window."""
    past = model.stack.past
    scaled = Scaler(past.priors, past).step(ticks)
    return np.repeat(scaled.z[:, None], WINDOW, axis=1), np.ones(len(scaled.tick_ns), dtype=np.bool_)
