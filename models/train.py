"""Training of the network: calm windows in, ONNX out. Seeded, on one CPU thread, in well under a minute."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from models.export import export_window
from models.net import WINDOW_LATENT, WindowVae

BATCH: Final = 512
LEARNING_RATE: Final = 2e-3


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
