"""Autoencoders with several layers of latents. They stand alone: the exporter copies their source."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.autoencoder.modules import VariationalAutoencoder


class FirstValues(nn.Module):
    """Of a code the values of its lowest layer, which alone is decoded."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, codes: Tensor) -> Tensor:
        """Codes (N, values) to (N, count)."""
        return codes[:, : self.count]


class LadderSampler(nn.Module):
    """Normal noise to codes of the prior, from the top layer down.

    `downs` say of each layer but the top, the lowest first, how it is distributed given the one above.
    """

    more_noise = 0

    def __init__(self, downs: nn.Sequential, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.downs = downs
        self.sizes = sizes

    def forward(self, noise: Tensor) -> Tensor:
        """Noise (N, values) to codes (N, values), the lowest layer first."""
        parts = list(torch.split(noise, list(self.sizes), dim=1))
        for layer in range(len(parts) - 2, -1, -1):
            mean, log_variance = self.downs[layer](parts[layer + 1]).chunk(2, dim=1)
            parts[layer] = mean + (0.5 * log_variance.clamp(-10, 10)).exp() * parts[layer]
        return torch.cat(parts, dim=1)


class LadderAutoencoder(VariationalAutoencoder):
    """A variational autoencoder with layers of latents, each of which the one below depends on (Sønderby et al. 2016).

    The encoder gives mean and log-variance of the lowest layer as an example suggests them, `ups` those of each other
    of what suggests the one below, and `downs` those of each but the top given the one above; `sizes` are the layers',
    the lowest first. A code is all layers, in this order.
    """

    ladder = True

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        output: nn.Module,
        ups: nn.Sequential,
        downs: nn.Sequential,
        sizes: tuple[int, ...],
    ) -> None:
        super().__init__(encoder, decoder, output)
        self.ups = ups
        self.downs = downs
        self.sizes = sizes

    def climb(self, images: Tensor) -> list[Tensor]:
        """Images (N, C, H, W) to the means and log-variances of each layer that they suggest, (N, 2 size)."""
        suggested = [self.encoder(images)]
        for up in self.ups:
            suggested.append(up(suggested[-1]))
        return suggested

    def foresee(self, layer: int, above: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (N, size) of a layer given the one above; the top layer's are those of N(0, 1)."""
        mean, log_variance = self.downs[layer](above).chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 10)

    def merge(self, suggested: Tensor, above: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of a layer, of what an example suggests and what the layer above does.

        Each counts by its precision (equations 17 to 19); the top layer's are the example's alone.
        """
        mean, log_variance = suggested.chunk(2, dim=1)
        log_variance = log_variance.clamp(-10, 10)
        if above is None:
            return mean, log_variance
        own, other = (-log_variance).exp(), (-above[1]).exp()
        return (mean * own + above[0] * other) / (own + other), -(own + other).log()

    def encode(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) to their codes (N, values): the means of each layer, given that of the one above."""
        suggested = self.climb(images)
        codes: list[Tensor] = []
        for layer in range(len(suggested) - 1, -1, -1):
            above = self.foresee(layer, codes[0]) if codes else None
            codes.insert(0, self.merge(suggested[layer], above)[0])
        return torch.cat(codes, dim=1)

    def make_sampler(self) -> nn.Module:
        """What turns normal noise (N, values) into codes of the prior."""
        return LadderSampler(self.downs, self.sizes)
