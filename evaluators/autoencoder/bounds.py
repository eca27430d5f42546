"""Likelihoods of variational autoencoders, and bounds of them, from samples of codes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from evaluators.autoencoder.posteriors import Posterior, infer
from evaluators.autoencoder.vectors import fit_vector_variance, vector_log_likelihood
from evaluators.metrics.likelihood import (
    bernoulli_log_likelihood,
    continuous_bernoulli_log_likelihood,
    discretised_logistic_log_likelihood,
    gaussian_log_likelihood,
    optimal_variance,
)
from nas.data.dataset import batches

CODES = 4
"""How many codes of an image its bounds are of."""
_AT_ONCE = 250  # codes that are decoded in one batch
_OF_ITS_OWN = {"samples_prior": False, "discrete": False, "classes": 0, "told": False}
"""What a model of one's own, which is none of ours, need not say of itself."""
_OF_LOSSES = {"mse": "gaussian", "bce": "bernoulli"}


@dataclass(frozen=True)
class AutoencoderModel:
    """A model as it is trained and scored as an autoencoder, and what its outputs mean for the data.

    Attributes:
        module: a search_spaces.autoencoder.modules.Autoencoder, or a model with its ``variational``, ``encode``,
            ``decoder`` and ``output``; variational ones have what evaluators.autoencoder.posteriors.infer asks for, and
            those that are trained with a ``critic`` have ``without_critic``.
        words: which numbers of a vector belong to one column of words: what the decoder gives of them are logits.
        labels: the classes (N,) of the N examples that it is given, -1 where one is hidden from it; None for all are.
    """

    module: Any
    words: tuple[slice, ...] = ()
    labels: Tensor | None = None

    def select(self, rows: slice) -> Self:
        """The same model with the labels of these examples alone."""
        return self if self.labels is None else replace(self, labels=self.labels[rows])

    def _read(self, name: str) -> Any:
        """What the module says of itself, or what it need not say."""
        return getattr(self.module, name, _OF_ITS_OWN[name])

    @property
    def variational(self) -> bool:
        """Whether its codes have distributions."""
        return bool(self.module.variational)

    @property
    def samples_prior(self) -> bool:
        """Whether codes drawn from N(0, 1) are decoded to new examples."""
        return bool(self._read("samples_prior"))

    def encode(self, examples: Tensor) -> Tensor:
        """Examples (N, ...) to codes (N, latent)."""
        code: Tensor = self.module.encode(examples, *self._tell(examples))
        return code

    def _tell(self, examples: Tensor) -> tuple[Tensor, ...]:
        """The classes of examples, guessed where they are not told; nothing where the model knows of none."""
        if not self._read("classes"):
            return ()
        return (self.labels if self.told and self.labels is not None else self.guess_labels(examples),)

    def tell(self, examples: Tensor) -> Tensor:
        """Examples (N, ...) as the encoder takes them."""
        told: Tensor = self.module.tell(examples, *self._tell(examples)) if self._read("classes") else examples
        return told

    def guess_labels(self, examples: Tensor) -> Tensor:
        """Guess the classes (N,) of examples (N, ...)."""
        labels: Tensor = self.module.guess_labels(examples, self.words)
        return labels

    @property
    def told(self) -> bool:
        """Whether it is told an example's class, if that is known."""
        return bool(self._read("told"))

    @property
    def finds_classes(self) -> bool:
        """Whether it has a classifier."""
        return bool(self._read("classes")) and not self.told

    @property
    def discrete(self) -> bool:
        """Whether its codes are discrete, so that it has ``snap`` and ``split``."""
        return bool(self._read("discrete"))

    @property
    def has_codebook(self) -> bool:
        """Whether its codes consist of vectors of a codebook."""
        return self.discrete and bool(self.module.quantiser.has_codebook)

    def infer(self, examples: Tensor) -> Posterior:
        """Examples (N, ...) to the distributions of their codes."""
        return infer(self.module, examples, *(self._tell(examples) if self.told else ()))

    def make_sampler(self) -> nn.Module | None:
        """Make what turns normal noise into codes of the prior; None where the prior is N(0, 1).

        It takes so many numbers of noise as a code has, and `more_noise`.
        """
        make: Callable[[], nn.Module | None] = getattr(self.module, "make_sampler", lambda: None)
        return None if (sampler := make()) is None else sampler.eval()

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


def as_autoencoder(model: nn.Module, words: tuple[slice, ...] = (), labels: Tensor | None = None) -> AutoencoderModel:
    """Give a model as an autoencoder; see AutoencoderModel."""
    return AutoencoderModel(model, words, labels)


def remove_critic(model: nn.Module) -> nn.Module:
    """Give a model without the critic that it may have been trained with: its other modules, not copies."""
    without: nn.Module = model.without_critic() if isinstance(getattr(model, "critic", None), nn.Module) else model  # type: ignore[operator]
    return without


def name_likelihood(hyperparameters: Mapping[str, Any]) -> str:
    """Name the likelihood that a variational model is trained with: what is decided, else that of the loss."""
    return str(hyperparameters.get("likelihood") or _OF_LOSSES[hyperparameters.get("loss", "mse")])


def count_noise(model: AutoencoderModel, examples: Tensor) -> int:
    """Count the numbers of normal noise that a code of the prior is made of."""
    sampler = model.make_sampler()
    two = slice(2)  # a supernet is normalised by its batch
    size = model.select(two).encode(examples[two]).shape[1]
    return size if sampler is None else size + int(sampler.more_noise)  # type: ignore[arg-type]


@torch.no_grad()
def draw_prior(model: AutoencoderModel, images: Tensor, generator: torch.Generator) -> Tensor:
    """Draw codes from the prior and decode them: as many images as `images`, and like these."""
    noise = torch.randn((len(images), count_noise(model, images)), generator=generator, device=images.device)
    sampler = model.make_sampler()
    codes = noise if sampler is None else sampler(noise)
    return torch.cat([model.output(model.decoder(part)) for part in torch.split(codes, _AT_ONCE)])


def log_likelihood(
    model: AutoencoderModel, raw: Tensor, images: Tensor, likelihood: str, variance: Tensor | float | None = None
) -> Tensor:
    """Compute log p(x|z) of examples (N, ...), given what their codes are decoded to; (N,) nats.

    Of vectors and sequences numbers are normal, words categorical, and what is missing has no say.

    Args:
        raw: what the decoder gives, (N, ...).
        likelihood: ``gaussian``, of one variance for all pixels, ``continuous_bernoulli``, ``bernoulli`` or
            ``discretised_logistic``, of a decoder that gives what a mixture of them is made of.
        variance: of the Gaussian; None for the one that is optimal for these images, which makes the likelihood that
            of a training and not of a model: a score needs a variance that its images have no say in.
    """
    if images.ndim < 4:
        return vector_log_likelihood(raw, images, model.words, variance)
    if likelihood == "bernoulli":
        return bernoulli_log_likelihood(raw, images)
    if likelihood == "continuous_bernoulli":
        return continuous_bernoulli_log_likelihood(raw, images)
    if likelihood == "discretised_logistic":
        log_weights, means, log_scales = model.module.output.unpack(raw)
        return discretised_logistic_log_likelihood(log_weights, means, log_scales, images)
    means = model.decode_unclipped(raw)
    return gaussian_log_likelihood(means, images, optimal_variance(means, images) if variance is None else variance)


def fit_variance(model: AutoencoderModel, raw: Tensor, examples: Tensor) -> Tensor:
    """Find the variance of a Gaussian decoder that is optimal for examples, given what it gives of them, (N, ...)."""
    if examples.ndim < 4:
        return fit_vector_variance(raw, examples, model.words)
    return optimal_variance(model.decode_unclipped(raw), examples)


@torch.no_grad()
def fit_decoder_variance(model: AutoencoderModel, images: Tensor, generator: torch.Generator) -> float:
    """Find the variance of a Gaussian decoder that is optimal for training examples (N, ...) and samples of codes."""
    found = []
    for rows in batches(images):
        code, _ = model.select(rows).infer(images[rows]).draw(generator)
        found.append(model.decoder(code))
    return float(fit_variance(model, torch.cat(found), images))


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
        posterior = model.select(rows).infer(images[rows])
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
