"""The VAE: eight ticks' robust scores through a small bottleneck, with a decoder that says how sure it is of each feature.

The anomaly measure is deterministic: encode, take the posterior mean, decode, and compare; its parts are never negative, so
they can be named. ``WindowVae`` knows which instrument it looks at, and decodes a Student-t, whose bounded pull lets it
learn from a past that is not wholly calm.
"""

from typing import Final

import torch
from torch import Tensor, nn

WINDOW_LATENT: Final = 8
WINDOW_HIDDEN: Final = 64
EMBEDDING: Final = 4
FREEDOM: Final = 5.0
"""Degrees of freedom of the decoder's Student-t."""

LOG_SCALE_MIN: Final = -2.0
LOG_SCALE_MAX: Final = 2.0


class WindowVae(nn.Module):
    """A variational autoencoder over ``(rows, ticks, features)`` float32 robust scores.

    Args:
        ticks: Ticks of a window.
        features: Features of a tick.
        instruments: Instruments that have an embedding of their own; number 0 is everyone else.
    """

    def __init__(self, ticks: int, features: int, instruments: int) -> None:
        super().__init__()
        self.shape = (ticks, features)
        inputs = ticks * features
        self.embedding = nn.Embedding(instruments + 1, EMBEDDING)
        self.encoder = nn.Sequential(
            nn.Linear(inputs + EMBEDDING, WINDOW_HIDDEN), nn.Tanh(), nn.Linear(WINDOW_HIDDEN, 2 * WINDOW_LATENT)
        )
        self.decoder = nn.Sequential(
            nn.Linear(WINDOW_LATENT + EMBEDDING, WINDOW_HIDDEN), nn.Tanh(), nn.Linear(WINDOW_HIDDEN, 2 * inputs)
        )

    def forward(self, z: Tensor, instrument: Tensor) -> Tensor:
        """Return parts ``(rows, features)`` at the posterior mean, means over the window's ticks.

        Args:
            z: ``(rows, ticks, features)`` robust scores.
            instrument: ``(rows,)`` int64 numbers of instruments, 0 = unknown.
        """
        who = self.embedding(instrument)
        mean, _ = self.encoder(torch.cat([z.flatten(1), who], dim=1)).chunk(2, dim=1)
        parts: Tensor = self._likelihood(z, torch.cat([mean, who], dim=1)).mean(dim=1)
        return parts

    def loss(self, z: Tensor, instrument: Tensor, noise: Tensor, *, beta: float) -> Tensor:
        """Return the negative evidence lower bound less its constants; ``noise`` is ``(rows, WINDOW_LATENT)`` normal."""
        who = self.embedding(instrument)
        mean, log_var = self.encoder(torch.cat([z.flatten(1), who], dim=1)).chunk(2, dim=1)
        log_var = log_var.clamp(-8.0, 4.0)
        latent = mean + torch.exp(0.5 * log_var) * noise
        likelihood = self._likelihood(z, torch.cat([latent, who], dim=1)).sum(dim=(1, 2))
        divergence = 0.5 * (torch.exp(log_var) + mean**2 - 1.0 - log_var).sum(dim=1)
        mean_loss: Tensor = (likelihood + beta * divergence).mean()
        return mean_loss

    def _likelihood(self, z: Tensor, latent: Tensor) -> Tensor:
        """Return the negative log-likelihood of each value less its least: never negative, so that parts can be named."""
        centre, log_scale = self.decoder(latent).chunk(2, dim=1)
        log_scale = log_scale.clamp(LOG_SCALE_MIN, LOG_SCALE_MAX).unflatten(1, self.shape)
        away = (z - centre.unflatten(1, self.shape)) * torch.exp(-log_scale)
        parts: Tensor = (log_scale - LOG_SCALE_MIN) + 0.5 * (FREEDOM + 1.0) * torch.log1p(away**2 / FREEDOM)
        return parts
