"""The autoencoders themselves. They stand alone: the exporter copies their source."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Autoencoder(nn.Module):
    """Example to code and back; `output` turns what the decoder gives into an example, of images into [0, 1].

    Attributes:
        variational: its encoder gives distributions of codes.
        samples_prior: codes drawn from the prior are decoded to new examples.
        discrete: its codes are those of a `quantiser`.
        ladder: its codes have several layers.
        classes: how many classes of examples it knows; 0 where it is told of none.
        told: it is told an example's class, which it else has to guess.
    """

    variational = False
    samples_prior = False
    discrete = False
    ladder = False
    classes = 0
    told = False

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

    def make_sampler(self) -> nn.Module | None:
        """What turns normal noise into codes of the prior; None where the prior is N(0, 1)."""
        return None


class VariationalAutoencoder(Autoencoder):
    """An autoencoder whose encoder gives a normal distribution (Kingma & Welling 2014); reconstructs its mean."""

    variational = True
    samples_prior = True

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of the code, (N, latent) each."""
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 10)

    def encode(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) to the means of their codes (N, latent)."""
        return self.posterior(images)[0]


class PriorAutoencoder(Autoencoder):
    """An autoencoder whose codes are trained to be distributed as N(0, 1) (Tolstikhin et al. 2018)."""

    samples_prior = True


class AdversarialAutoencoder(PriorAutoencoder):
    """With the critic that tells codes from the prior (Makhzani et al. 2015): codes (N, latent) to logits (N, 1)."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, output: nn.Module, critic: nn.Module) -> None:
        super().__init__(encoder, decoder, output)
        self.critic = critic

    def without_critic(self) -> PriorAutoencoder:
        """Give the same modules without the critic, which is of use in a training alone."""
        return PriorAutoencoder(self.encoder, self.decoder, self.output)


class FactorAutoencoder(VariationalAutoencoder):
    """With the critic that tells codes from permuted ones (Kim & Mnih 2018): codes (N, latent) to logits (N, 1)."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, output: nn.Module, critic: nn.Module) -> None:
        super().__init__(encoder, decoder, output)
        self.critic = critic

    def without_critic(self) -> VariationalAutoencoder:
        """Give the same modules without the critic, which is of use in a training alone."""
        return VariationalAutoencoder(self.encoder, self.decoder, self.output)


class KeepLargest(nn.Module):
    """Keeps the largest values of a code and sets the others to 0 (Makhzani & Frey 2014, algorithm 1)."""

    def __init__(self, kept: int) -> None:
        super().__init__()
        self.kept = kept

    def forward(self, codes: Tensor) -> Tensor:
        """Codes (N, latent) to codes of `kept` values."""
        least = codes.topk(self.kept, dim=1).values[:, -1:]
        return torch.where(codes >= least, codes, torch.zeros_like(codes))


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
