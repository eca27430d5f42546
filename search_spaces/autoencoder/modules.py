"""The autoencoders themselves. They stand alone: the exporter copies their source."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Autoencoder(nn.Module):
    """Example to code and back; `output` turns what the decoder gives into an example, of images into [0, 1]."""

    variational = False

    def __init__(self, encoder: nn.Module, decoder: nn.Module, output: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.output = output

    def encode(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) to codes (N, latent)."""
        code: Tensor = self.encoder(images)
        return code

    def decode(self, code: Tensor) -> Tensor:
        """Codes (N, latent) to images (N, C, H, W) in [0, 1]."""
        images: Tensor = self.output(self.decoder(code))
        return images

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1] to their reconstructions."""
        return self.decode(self.encode(images))


class VariationalAutoencoder(Autoencoder):
    """An autoencoder whose encoder gives a normal distribution (Kingma & Welling 2014); reconstructs its mean."""

    variational = True

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of the code, (N, latent) each."""
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 10)

    def encode(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) to the means of their codes (N, latent)."""
        return self.posterior(images)[0]


class ContinuousBernoulliMean(nn.Module):
    """Logits to the means of continuous Bernoulli pixels, which are no sigmoids (Loaiza-Ganem & Cunningham 2019).

    Equation 8 in terms of the logit a: (1 + coth(a / 2)) / 2 - 1 / a; around 0, where both are large, its series.
    """

    def forward(self, logits: Tensor) -> Tensor:
        """Logits of any shape to means in (0, 1)."""
        small = logits.abs() < 0.2
        series = 0.5 + logits / 12 - logits**3 / 720 + logits**5 / 30240
        large = torch.where(small, torch.ones_like(logits), logits)  # what is not taken must have a finite gradient
        return torch.where(small, series, 0.5 + 0.5 / torch.tanh(large / 2) - 1 / large)
