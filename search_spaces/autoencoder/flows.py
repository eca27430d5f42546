"""A prior that is a normalising flow. It stands alone: the exporter copies its source."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.autoencoder.modules import VariationalAutoencoder


class AffineCoupling(nn.Module):
    """Scales and shifts half of the latents by what a network makes of the others (Dinh et al. 2017, equation 9).

    Which half follows from the `step`: the first, the second, every other one, the rest, and so on. A new one changes
    nothing. A single latent has no others: it is scaled and shifted by constants in every second step.
    """

    kept: Tensor

    def __init__(self, latent: int, step: int, width: int) -> None:
        super().__init__()
        self.latent = latent
        self.step = step
        self.width = width
        places = torch.arange(latent)
        first = places % 2 == 0 if step % 4 > 1 else places < latent // 2
        self.register_buffer("kept", (first if step % 2 == 0 else ~first).float(), persistent=False)
        last = nn.Linear(width, 2 * latent)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.network = nn.Sequential(nn.Linear(latent, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), last)

    def decide(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Values (N, latent), of which only those that are kept have a say, to log-scales and shifts of the others."""
        log_scale, shift = self.network(values * self.kept).float().chunk(2, dim=1)
        return torch.tanh(log_scale) * (1 - self.kept), shift * (1 - self.kept)

    def forward(self, values: Tensor) -> Tensor:
        """(N, latent) to the same shape, one step nearer to codes."""
        log_scale, shift = self.decide(values)
        return values * log_scale.exp() + shift

    def invert(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse of `forward`, (N, latent), and the logarithm of its Jacobian's determinant, (N,)."""
        log_scale, shift = self.decide(values)
        return (values - shift) * (-log_scale).exp(), -log_scale.sum(1)


class NormalisingFlow(nn.Module):
    """Normal noise to codes by invertible steps, so that the density of a code is known (RealNVP: Dinh et al. 2017)."""

    more_noise = 0

    def __init__(self, steps: int, latent: int, width: int) -> None:
        super().__init__()
        self.steps = steps
        self.latent = latent
        self.width = width
        self.couplings = nn.Sequential(*(AffineCoupling(latent, step, width) for step in range(steps)))

    def forward(self, noise: Tensor) -> Tensor:
        """Normal noise (N, latent) to codes of the same shape."""
        codes: Tensor = self.couplings(noise)
        return codes

    def invert(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (N, latent) to the noise that they are made of, and the log-determinant of that map, (N,)."""
        values, total = codes, torch.zeros_like(codes[:, 0])
        for coupling in reversed(self.couplings):
            assert isinstance(coupling, AffineCoupling)
            values, determinant = coupling.invert(values)
            total = total + determinant
        return values, total

    def log_density(self, codes: Tensor) -> Tensor:
        """log p(z) of codes (N, latent), (N,): that of their noise, and the log-determinant (equation 2)."""
        noise, determinant = self.invert(codes)
        circle = torch.log(torch.tensor(2 * torch.pi))
        return determinant - 0.5 * (noise.square() + circle).sum(1)


class FlowAutoencoder(VariationalAutoencoder):
    """A variational autoencoder whose prior is a normalising flow (Chen et al. 2017, section 3.2)."""

    prior: NormalisingFlow

    def __init__(self, encoder: nn.Module, decoder: nn.Module, output: nn.Module, prior: NormalisingFlow) -> None:
        super().__init__(encoder, decoder, output)
        self.prior = prior

    def make_sampler(self) -> nn.Module:
        """What turns normal noise (N, latent) into codes of the prior."""
        return self.prior
