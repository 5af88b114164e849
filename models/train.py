"""Training: calm ticks in, a model folder out. Seeded, on one CPU thread, in well under a minute.

Split by session, in time order: the network learns from the first part, calibration and the card's figures come from
the held-out last part. Scaling is the same causal scaler as in production; its priors come from the learning part alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from features.spec import SCORED
from models.calibrate import fit_tail
from models.export import export, export_window
from models.folder import ONNX_FILE, ModelFolder, write_folder
from models.inference import LocalScorer, SimpleScorer
from models.net import LATENT, WINDOW_LATENT, TickVae, WindowVae
from models.scaling import SCALE_MIN, Prior, Scaler, transform
from models.tiers import TierLevels
from models.wire import ScaledTicks
from schemas.events import TickStatus
from schemas.ticks import Ticks

EPOCHS: Final = 30
BATCH: Final = 512
LEARNING_RATE: Final = 2e-3
BETA: Final = 0.5
HELD_OUT_PART: Final = 0.4
MAD_TO_SD: Final = 1.4826

DEFAULT_LEVELS: Final = TierLevels(enter=(0.0, 3.5, 4.5, 7.2), leave=(0.0, 2.2, 3.0, 5.0))


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What training measured.

    Attributes:
        rows: Calm rows learned from.
        held_out_rows: Calm rows calibrated on.
        parameters: Parameters of the network.
        loss: Last mean training loss.
        onnx_difference: Largest relative difference between ONNX Runtime and torch.
    """

    rows: int
    held_out_rows: int
    parameters: int
    loss: float
    onnx_difference: float


def train_from_ticks(
    sessions: Sequence[Sequence[Ticks]], out: Path, *, seed: int, model_id: str, levels: TierLevels = DEFAULT_LEVELS
) -> tuple[ModelFolder, TrainReport]:
    """Train on calm sessions, each a sequence of tick messages in order, and write the model folder ``out``.

    Raises:
        ValueError: Fewer than two sessions, or too few calm rows to calibrate on.
    """
    if len(sessions) < 2:
        raise ValueError("training needs at least two sessions: one to learn from, one to calibrate on")
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    split = max(1, round(len(sessions) * (1 - HELD_OUT_PART)))
    split = min(split, len(sessions) - 1)
    priors = _priors([ticks for session in sessions[:split] for ticks in session])
    learning = _scaled(sessions[:split], priors)
    held_out = _scaled(sessions[split:], priors)
    net, loss = _fit(_rows(learning), seed)
    out.mkdir(parents=True, exist_ok=True)
    difference = export(net, out / ONNX_FILE, features=len(SCORED))
    tail = fit_tail(_errors(LocalScorer(out, model_id), held_out))
    simple_tail = fit_tail(_errors(SimpleScorer(model_id), held_out))
    model = ModelFolder(model_id, out, priors, tail, simple_tail, levels)
    write_folder(model)
    parameters = sum(parameter.numel() for parameter in net.parameters())
    return model, TrainReport(len(_rows(learning)), len(_rows(held_out)), parameters, loss, difference)


@dataclass(frozen=True, slots=True)
class WindowTraining:
    """How a ``WindowVae`` is trained.

    Attributes:
        steps: Steps of ``BATCH`` windows each, drawn anew with replacement.
        beta: Weight of the divergence.
        unknown_part: Part of the windows whose instrument is hidden, so that number 0 learns to stand for anyone.
    """

    steps: int = 600
    beta: float = 1.0
    unknown_part: float = 0.2


def train_window_vae(
    windows: npt.NDArray[np.float32],
    numbers: npt.NDArray[np.int64],
    seed: int,
    *,
    training: WindowTraining = WindowTraining(),
) -> bytes:
    """Return a ``WindowVae`` as ONNX, trained on windows of calm sessions; the same input and seed give the same bytes.

    Args:
        windows: ``(n, ticks, features)`` robust scores.
        numbers: ``(n,)`` numbers of instruments, from 1.
        seed: Of weights, batches and noise.
        training: How.

    Raises:
        ValueError: ONNX differs from torch.
    """
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    net = WindowVae(windows.shape[1], windows.shape[2], int(numbers.max(initial=0)))
    optimiser = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, training.steps)
    generator = torch.Generator().manual_seed(seed)
    data, who = torch.from_numpy(windows), torch.from_numpy(numbers)
    for _ in range(training.steps):
        drawn = torch.randint(len(data), (BATCH,), generator=generator)
        hidden = torch.rand(BATCH, generator=generator) < training.unknown_part
        noise = torch.randn(BATCH, WINDOW_LATENT, generator=generator)
        loss = net.loss(data[drawn], torch.where(hidden, 0, who[drawn]), noise, beta=training.beta)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return export_window(net)[0]


def _priors(messages: list[Ticks]) -> dict[int, Prior]:
    values = np.concatenate([ticks.values[:, : len(SCORED)] for ticks in messages])
    instruments = np.concatenate([ticks.instrument_id for ticks in messages])
    whole = np.concatenate([ticks.status for ticks in messages]) & TickStatus.STALE == 0
    priors = {}
    for instrument in np.unique(instruments):
        moved = transform(values[(instruments == instrument) & whole])
        location = np.nanmedian(moved, axis=0)
        scale = np.nanmedian(np.abs(moved - location), axis=0) * MAD_TO_SD
        # A feature that hardly moves (a spread of one tick nearly always) has no median deviation: the larger of the two.
        spread = np.nanmean(np.abs(moved - location), axis=0) / 0.8
        scale = np.maximum(np.maximum(scale, spread), SCALE_MIN)
        priors[int(instrument)] = Prior(location, scale)
    return priors


def _scaled(sessions: Sequence[Sequence[Ticks]], priors: dict[int, Prior]) -> list[ScaledTicks]:
    scaled = []
    for session in sessions:
        scaler = Scaler(priors)  # a session starts like a fresh deployment
        scaled += [scaler.step(ticks) for ticks in session]
    return scaled


def _rows(scaled: list[ScaledTicks]) -> npt.NDArray[np.float32]:
    return np.concatenate([ticks.z[ticks.scored] for ticks in scaled])


def _errors(scorer: Any, scaled: list[ScaledTicks]) -> npt.NDArray[np.float64]:
    return np.concatenate([scorer.score(ticks).error[ticks.scored] for ticks in scaled if len(ticks.tick_ns)])


def _fit(rows: npt.NDArray[np.float32], seed: int) -> tuple[TickVae, float]:
    net = TickVae(rows.shape[1])
    optimiser = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    generator = torch.Generator().manual_seed(seed)
    data = torch.from_numpy(np.clip(rows, -6.0, 6.0))
    loss = torch.zeros(())
    for _ in range(EPOCHS):
        order = torch.randperm(len(data), generator=generator)
        for start in range(0, len(data) - BATCH + 1, BATCH):
            batch = data[order[start : start + BATCH]]
            noise = torch.randn(len(batch), LATENT, generator=generator)
            loss = net.loss(batch, noise, BETA)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return net, float(loss.detach())
