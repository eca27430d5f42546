"""Likelihoods of variational autoencoders, and bounds of them, from samples of codes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from evaluators.autoencoder.posteriors import Posterior, infer
from evaluators.autoencoder.vectors import fit_vector_variance, vector_log_likelihood
from evaluators.metrics.likelihood import (
    bernoulli_log_likelihood,
    continuous_bernoulli_log_likelihood,
    gaussian_log_likelihood,
    optimal_variance,
)
from nas.data.dataset import batches

CODES = 4
"""How many codes of an image its bounds are of."""
_AT_ONCE = 250  # codes that are decoded in one batch
_OF_LOSSES = {"mse": "gaussian", "bce": "bernoulli"}


@dataclass(frozen=True)
class AutoencoderModel:
    """A model as it is trained and scored as an autoencoder, and what its outputs mean for the data.

    Attributes:
        module: has an ``encoder``, a ``decoder``, an ``output``, ``encode`` and ``variational``; variational ones have
            what evaluators.autoencoder.posteriors.infer asks for, others may have ``samples_prior``, and those that are
            trained with a ``critic`` have ``without_critic``. See search_spaces.autoencoder.modules.
        words: which numbers of a vector belong to one column of words: what the decoder gives of them are logits.
    """

    module: Any
    words: tuple[slice, ...] = ()

    @property
    def variational(self) -> bool:
        """Whether its codes have distributions."""
        return bool(self.module.variational)

    @property
    def samples_prior(self) -> bool:
        """Whether codes drawn from N(0, 1) are decoded to new examples."""
        return bool(getattr(self.module, "samples_prior", self.variational))

    def encode(self, examples: Tensor) -> Tensor:
        """Examples (N, ...) to codes (N, latent)."""
        code: Tensor = self.module.encode(examples)
        return code

    @property
    def discrete(self) -> bool:
        """Whether its codes are discrete, so that it has ``snap`` and ``split``."""
        return hasattr(self.module, "quantiser")

    @property
    def has_codebook(self) -> bool:
        """Whether its codes consist of vectors of a codebook."""
        return self.discrete and hasattr(self.module.quantiser, "codebook")

    def infer(self, examples: Tensor) -> Posterior:
        """Examples (N, ...) to the distributions of their codes."""
        return infer(self.module, examples)

    def make_sampler(self) -> nn.Module | None:
        """Make what turns normal noise into codes of the prior; None where the prior is N(0, 1).

        It takes so many numbers of noise as a code has, and `more_noise`.
        """
        return self.module.make_sampler().eval() if hasattr(self.module, "make_sampler") else None

    def decoder(self, codes: Tensor) -> Tensor:
        """Codes (N, latent) to what is not yet examples: logits, or values that may leave their range."""
        raw: Tensor = self.module.decoder(codes)
        return raw

    def output(self, raw: Tensor) -> Tensor:
        """Turn what the decoder gives into examples, of words into their probabilities."""
        examples: Tensor = self.module.output(raw)
        if self.words:
            examples = examples.clone()
            for columns in self.words:
                examples[:, columns] = examples[:, columns].softmax(1)
        return examples

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (N, latent) to examples (N, ...)."""
        return self.output(self.decoder(codes))

    def reconstruct(self, examples: Tensor) -> Tensor:
        """Examples (N, ...) to their reconstructions."""
        return self.decode(self.encode(examples))

    def decode_unclipped(self, raw: Tensor) -> Tensor:
        """Turn the decoder's output into images that may leave [0, 1], as clipped values would have no gradient."""
        return raw if isinstance(self.module.output, nn.Hardtanh) else self.output(raw)


def as_autoencoder(model: nn.Module, words: tuple[slice, ...] = ()) -> AutoencoderModel:
    """Give a model as an autoencoder; see AutoencoderModel."""
    return AutoencoderModel(model, words)


def remove_critic(model: nn.Module) -> nn.Module:
    """Give a model without the critic that it may have been trained with: its other modules, not copies."""
    without: nn.Module = model.without_critic() if isinstance(getattr(model, "critic", None), nn.Module) else model  # type: ignore[operator]
    return without


def name_likelihood(hyperparameters: Mapping[str, Any]) -> str:
    """Name the likelihood that a variational model is trained with: what is decided, else that of the loss."""
    return str(hyperparameters.get("likelihood") or _OF_LOSSES[hyperparameters.get("loss", "mse")])


def count_noise(model: AutoencoderModel, examples: Tensor) -> int:
    """Count the numbers of normal noise that a code of the prior is made of."""
    return model.encode(examples[:1]).shape[1] + getattr(model.make_sampler(), "more_noise", 0)


@torch.no_grad()
def draw_prior(model: AutoencoderModel, images: Tensor, generator: torch.Generator) -> Tensor:
    """Draw codes from the prior and decode them: as many images as `images`, and like these."""
    noise = torch.randn((len(images), count_noise(model, images)), generator=generator, device=images.device)
    sampler = model.make_sampler()
    codes = noise if sampler is None else sampler(noise)
    return torch.cat([model.output(model.decoder(part)) for part in torch.split(codes, _AT_ONCE)])


def log_likelihood(
    model: AutoencoderModel, raw: Tensor, images: Tensor, likelihood: str, variance: float | None = None
) -> Tensor:
    """Compute log p(x|z) of examples (N, ...), given what their codes are decoded to; (N,) nats.

    Of vectors and sequences numbers are normal, words categorical, and what is missing has no say.

    Args:
        raw: what the decoder gives, (N, ...).
        likelihood: ``gaussian``, of one variance for all pixels, ``continuous_bernoulli`` or ``bernoulli``.
        variance: of the Gaussian; None for the one that is optimal for these images, which makes the likelihood that
            of a training and not of a model: a score needs a variance that its images have no say in.
    """
    if images.ndim < 4:
        return vector_log_likelihood(raw, images, model.words, variance)
    if likelihood == "bernoulli":
        return bernoulli_log_likelihood(raw, images)
    if likelihood == "continuous_bernoulli":
        return continuous_bernoulli_log_likelihood(raw, images)
    means = model.decode_unclipped(raw)
    return gaussian_log_likelihood(means, images, optimal_variance(means, images) if variance is None else variance)


@torch.no_grad()
def fit_decoder_variance(model: AutoencoderModel, images: Tensor, generator: torch.Generator) -> float:
    """Find the variance of a Gaussian decoder that is optimal for training examples (N, ...) and samples of codes."""
    means = []
    for rows in batches(images):
        code, _ = model.infer(images[rows]).draw(generator)
        means.append(model.decode_unclipped(model.decoder(code)))
    found = torch.cat(means)
    return float(
        fit_vector_variance(found, images, model.words) if images.ndim < 4 else optimal_variance(found, images)
    )


def measure_bounds(
    model: AutoencoderModel, images: Tensor, likelihood: str, generator: torch.Generator, variance: float | None
) -> dict[str, float]:
    """Measure bounds of log p(x) with `CODES` samples of each image's code: means over images (N, C, H, W), in nats.

    ``elbo``, the evidence lower bound (Kingma & Welling 2014, equation 3), and its two parts, ``log_likelihood`` and
    ``kl``; ``iwae_bound``; see `bound_likelihoods`.
    """
    found = bound_likelihoods(model, images, likelihood, generator, variance, CODES)
    reached, paid, weighted = found.mean(1).tolist()
    return {"elbo": reached - paid, "log_likelihood": reached, "kl": paid, "iwae_bound": weighted}


@torch.no_grad()
def bound_likelihoods(
    model: AutoencoderModel,
    images: Tensor,
    likelihood: str,
    generator: torch.Generator,
    variance: float | None,
    samples: int,
) -> Tensor:
    """Bound log p(x) of each of N images with samples of its code, (3, N) in nats.

    The rows: the expected log-likelihood; the divergence of the posterior from the prior, which the evidence lower
    bound is less, by the samples as well where the prior is learned; and the logarithm of the samples' mean of
    p(x|z) p(z) / q(z|x), which is a bound as well and expected to be no lower, the higher the more samples (Burda et
    al. 2016, equation 8 and theorem 1).

    Args:
        likelihood, variance: see `log_likelihood`.
        samples: one after another, so that memory does not grow with them.
    """
    parts = []
    for rows in batches(images):
        posterior = model.infer(images[rows])
        likelihoods, ratios = [], []
        for _ in range(samples):
            code, ratio = posterior.draw(generator)
            likelihoods.append(log_likelihood(model, model.decoder(code), images[rows], likelihood, variance))
            ratios.append(ratio)
        reached, gained = torch.stack(likelihoods), torch.stack(ratios)
        divergences = posterior.divergence()
        divergence = -gained.mean(0) if divergences is None else divergences.sum(1)
        parts.append(torch.stack((reached.mean(0), divergence, (reached + gained).logsumexp(0) - math.log(samples))))
    return torch.cat(parts, dim=1)
