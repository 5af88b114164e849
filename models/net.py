"""The VAE: one tick's robust scores through a small bottleneck, with a decoder that says how sure it is of each feature.

The anomaly measure is deterministic: encode, take the posterior mean, decode, and compare. ``contributions`` is the part of
the Gaussian negative log-likelihood that depends on the data, ``(x - mean)^2 / (2 variance)`` per feature, so it is never
negative and its parts can be named.
"""

from typing import Final

import torch
from torch import Tensor, nn

LATENT: Final = 6
HIDDEN: Final = 48
LOG_VAR_MIN: Final = -3.0
LOG_VAR_MAX: Final = 3.0


class TickVae(nn.Module):
    """A variational autoencoder over ``(rows, features)`` float32 robust scores."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(features, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 2 * LATENT))
        self.decoder = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 2 * features))

    def forward(self, z: Tensor) -> Tensor:
        """Return contributions ``(rows, features)`` at the posterior mean."""
        mean, _ = self.encoder(z).chunk(2, dim=1)
        return self.contributions(z, mean)

    def contributions(self, z: Tensor, latent: Tensor) -> Tensor:
        """Return the data-dependent negative log-likelihood per feature."""
        centre, log_var = self._decode(latent)
        parts: Tensor = 0.5 * (z - centre) ** 2 * torch.exp(-log_var)
        return parts

    def loss(self, z: Tensor, noise: Tensor, beta: float) -> Tensor:
        """Return the negative evidence lower bound; ``noise`` is ``(rows, LATENT)`` standard normal."""
        mean, log_var = self.encoder(z).chunk(2, dim=1)
        log_var = log_var.clamp(-8.0, 4.0)
        latent = mean + torch.exp(0.5 * log_var) * noise
        centre, spread = self._decode(latent)
        likelihood = 0.5 * ((z - centre) ** 2 * torch.exp(-spread) + spread).sum(dim=1)
        divergence = 0.5 * (torch.exp(log_var) + mean**2 - 1.0 - log_var).sum(dim=1)
        mean_loss: Tensor = (likelihood + beta * divergence).mean()
        return mean_loss

    def _decode(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        centre, log_var = self.decoder(latent).chunk(2, dim=1)
        return centre, log_var.clamp(LOG_VAR_MIN, LOG_VAR_MAX)
