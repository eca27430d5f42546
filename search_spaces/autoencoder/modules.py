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


class CriticAutoencoder(VariationalAutoencoder):
    """With a critic: of codes (N, latent), which gives logits (N, 1), or an ImageCritic.

    The first tells codes from permuted ones (Kim & Mnih 2018), the other images from decoded ones (Larsen et al. 2016).
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, output: nn.Module, critic: nn.Module) -> None:
        super().__init__(encoder, decoder, output)
        self.critic = critic

    def without_critic(self) -> VariationalAutoencoder:
        """Give the same modules without the critic, which is of use in a training alone."""
        return VariationalAutoencoder(self.encoder, self.decoder, self.output)


class ImageCritic(nn.Module):
    """What tells images from decoded ones: images (N, C, H, W) to features (N, channels, h, w) and logits (N, 1)."""

    def __init__(self, features: nn.Module, judge: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.judge = judge

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features and logits of images."""
        features = self.features(images)
        return features, self.judge(features)


class KeepLargest(nn.Module):
    """Keeps the largest values of a code and sets the others to 0 (Makhzani & Frey 2014, algorithm 1)."""

    def __init__(self, kept: int) -> None:
        super().__init__()
        self.kept = kept

    def forward(self, codes: Tensor) -> Tensor:
        """Codes (N, latent) to codes of `kept` values."""
        least = codes.topk(self.kept, dim=1).values[:, -1:]
        return torch.where(codes >= least, codes, torch.zeros_like(codes))


class LogisticMixture(nn.Module):
    """Mixtures of logistic distributions of values in [0, 1], cut off there; gives their means (Salimans et al. 2017).

    All channels of a pixel are of one component, and else independent: what the paper says of how one channel depends
    on another is left out. What it takes are for each pixel the logits of the components, and for each of these the
    channels' means and log-scales. Those of new models lie evenly in [0, 1].
    """

    def __init__(self, components: int, channels: int) -> None:
        super().__init__()
        self.components = components
        self.channels = channels

    def unpack(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Parameters (N, components * (1 + 2 channels), H, W) to log-weights, (N, components, 1, H, W), and others.

        Means and log-scales, (N, components, channels, H, W) each.
        """
        logits, others = parameters[:, : self.components], parameters[:, self.components :]
        means, log_scales = torch.unflatten(others, 1, (2, self.components, self.channels)).unbind(1)
        first = (torch.arange(self.components, device=parameters.device) + 0.5) / self.components
        means = means + first[:, None, None, None]
        return logits.log_softmax(1)[:, :, None], means, (log_scales - 2).clamp(-8, 4)

    def forward(self, parameters: Tensor) -> Tensor:
        """Parameters to the means of the pixels, (N, channels, H, W).

        Of a logistic distribution whose values are cut to [0, 1] it is the integral of 1 minus its distribution
        function, which the mean of what is rounded to 8 bits differs from by less than half of a step.
        """
        log_weights, means, log_scales = self.unpack(parameters)
        scales = log_scales.exp()
        softplus = nn.functional.softplus
        each = scales * (softplus(means / scales) - softplus((means - 1) / scales))
        return (log_weights.exp() * each).sum(1).clamp(0, 1)

    def draw(self, parameters: Tensor) -> Tensor:
        """Parameters to values that are drawn, (N, channels, H, W), each one of 256 between 0 and 1."""
        log_weights, means, log_scales = self.unpack(parameters)
        weights = log_weights[:, :, 0].exp().movedim(1, -1)
        chosen = torch.unflatten(torch.multinomial(weights.flatten(0, -2), 1), 0, weights.shape[:-1])
        chosen = chosen.movedim(-1, 1)[:, :, None].expand(-1, -1, self.channels, -1, -1)
        share = torch.rand(chosen.shape, device=parameters.device).clamp(1e-6, 1 - 1e-6)
        values = means.gather(1, chosen) + log_scales.gather(1, chosen).exp() * share.logit()
        return (values.squeeze(1).clamp(0, 1) * 255).round() / 255


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
