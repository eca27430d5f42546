"""Distributions of codes, given examples: how they are drawn from, and how far they are from the prior."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluators.metrics.likelihood import kl_to_standard_normal

_LOG_OF_CIRCLE = math.log(2 * math.pi)


class Posterior(Protocol):
    """The distributions q(z|x) of the codes of N examples, beside the prior p(z)."""

    @property
    def mean(self) -> Tensor:
        """The mean of each, (N, values)."""

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw a code of each, (N, values), and compute log p(z) / q(z|x) of these, (N,)."""

    def divergence(self) -> Tensor | None:
        """Compute KL(q(z|x) || p(z)) of each latent, (N, latents); None where there is no closed form.

        Then minus the mean of log p(z) / q(z|x) of codes that are drawn is an estimate without bias.
        """


def draw_code(mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw a code of each image (Kingma & Welling 2014, equation 4), and the noise it is made of; (N, latent) all."""
    noise = torch.randn(mean.shape, generator=generator, device=mean.device)
    return mean + (0.5 * log_variance).exp() * noise, noise


class Prior(Protocol):
    """A distribution p(z) of codes that is learned."""

    def log_density(self, codes: Tensor) -> Tensor:
        """Compute log p(z) of codes (N, latent), (N,)."""


@dataclass(frozen=True)
class Mixture:
    """A mixture of normal distributions as a prior.

    Attributes:
        means, log_variances: (components, 1, latent).
        log_weights: (components,).
    """

    means: Tensor
    log_variances: Tensor
    log_weights: Tensor

    def log_density(self, codes: Tensor) -> Tensor:
        """Compute log p(z) of codes (N, latent), (N,)."""
        squares = (codes - self.means).square() * (-self.log_variances).exp()
        each = -0.5 * (squares + self.log_variances + _LOG_OF_CIRCLE).sum(2)  # (components, N)
        return (self.log_weights[:, None] + each).logsumexp(0)


@dataclass(frozen=True)
class NormalPosterior:
    """Normal distributions.

    Attributes:
        mean, log_variance: (N, latent).
        prior: None for N(0, 1).
    """

    mean: Tensor
    log_variance: Tensor
    prior: Prior | None = None

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw a code of each; see Posterior."""
        code, noise = draw_code(self.mean, self.log_variance, generator)
        return code, self._compare(code, noise)

    def log_ratio(self, code: Tensor) -> Tensor:
        """Compute log p(z) / q(z|x) of codes (N, latent), (N,)."""
        return self._compare(code, (code - self.mean) * (-0.5 * self.log_variance).exp())

    def _compare(self, code: Tensor, noise: Tensor) -> Tensor:
        if self.prior is None:
            return 0.5 * torch.sum(noise.square() + self.log_variance - code.square(), dim=1)
        return self.prior.log_density(code) + 0.5 * (noise.square() + self.log_variance + _LOG_OF_CIRCLE).sum(1)

    def divergence(self) -> Tensor | None:
        """Compute the divergence of each latent from N(0, 1); see Posterior."""
        return kl_to_standard_normal(self.mean, self.log_variance) if self.prior is None else None

    def repeat(self, count: int) -> Self:
        """The same distributions `count` times, (count * N, latent)."""
        return type(self)(self.mean.repeat(count, 1), self.log_variance.repeat(count, 1), self.prior)

    def detach(self) -> Self:
        """The same distributions as constants; a gradient reaches the prior still."""
        return type(self)(self.mean.detach(), self.log_variance.detach(), self.prior)


@dataclass(frozen=True)
class CategoricalPosterior:
    """Distributions of categories, whose prior is uniform.

    Attributes:
        logits: (N, groups, categories).
    """

    logits: Tensor

    @property
    def mean(self) -> Tensor:
        """The probabilities of each one's categories, (N, groups * categories)."""
        return self.logits.softmax(2).flatten(1)

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw a code of each, a 1 among 0s in each group, (N, groups * categories); see Posterior."""
        categories = self.logits.shape[2]
        code = F.one_hot(self._perturb(generator).argmax(2), categories).to(self.logits.dtype)
        chosen = (self.logits.log_softmax(2) * code).sum(2)
        return code.flatten(1), -(chosen + math.log(categories)).sum(1)

    def relax(self, temperature: float, generator: torch.Generator) -> Tensor:
        """Draw codes between categories, (N, groups * categories), through which a gradient flows.

        Jang et al. 2017, equation 2: the nearer to a 1 among 0s, the lower the temperature.
        """
        return (self._perturb(generator) / temperature).softmax(2).flatten(1)

    def divergence(self) -> Tensor:
        """Compute the divergence of each group from the uniform distribution; see Posterior."""
        logarithms = self.logits.log_softmax(2)
        return (logarithms.exp() * logarithms).sum(2) + math.log(self.logits.shape[2])

    def _perturb(self, generator: torch.Generator) -> Tensor:
        """Add Gumbel noise to the logits: the largest is then drawn from their distribution."""
        noise = torch.empty_like(self.logits).exponential_(generator=generator)
        return self.logits - noise.clamp(min=torch.finfo(noise.dtype).tiny).log()


@dataclass(frozen=True)
class ToldPosterior:
    """Normal distributions of codes, given classes, which codes end with.

    Attributes:
        normal: of the codes without their classes.
        told: the classes, a 1 among 0s each (N, classes).
    """

    normal: NormalPosterior
    told: Tensor

    @property
    def mean(self) -> Tensor:
        """The mean of each code without its class, (N, latent)."""
        return self.normal.mean

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw a code of each, (N, latent + classes); see Posterior."""
        code, ratio = self.normal.draw(generator)
        return torch.cat((code, self.told), dim=1), ratio

    def divergence(self) -> Tensor | None:
        """Compute the divergence of each latent; see Posterior."""
        return self.normal.divergence()


@dataclass(frozen=True)
class ClassPosterior:
    """Distributions of classes and, given these, of codes, beside uniform classes and N(0, 1) (Kingma et al. 2014, M2).

    Attributes:
        module: the search_spaces.autoencoder.classes.SemiSupervisedAutoencoder.
        examples: (N, ...).
        log_shares: the logarithms of the classes' probabilities (N, classes).
    """

    module: Any
    examples: Tensor
    log_shares: Tensor

    @property
    def mean(self) -> Tensor:
        """The mean of each code, of its likeliest class, without it, (N, latent)."""
        return self.given(self.log_shares.argmax(1)).mean

    def given(self, labels: Tensor) -> ToldPosterior:
        """The distributions of codes of these classes (N,)."""
        mean, log_variance = (values.float() for values in self.module.posterior(self.examples, labels))
        return ToldPosterior(NormalPosterior(mean, log_variance), self.module.mark(labels))

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw a class and a code of each, (N, latent + classes); see Posterior."""
        labels = torch.multinomial(self.log_shares.exp(), 1, generator=generator)
        code, ratio = self.given(labels[:, 0]).draw(generator)
        chosen = self.log_shares.gather(1, labels)[:, 0]
        return code, ratio - math.log(self.log_shares.shape[1]) - chosen

    def divergence(self) -> None:
        """There is no closed form but for each class by itself; see Posterior."""
        return


@dataclass(frozen=True)
class LadderPosterior:
    """Distributions of codes with several layers, drawn from the top down (Sønderby et al. 2016, equations 17 to 19).

    Attributes:
        module: the search_spaces.autoencoder.ladder.LadderAutoencoder.
        examples: (N, ...).
        suggested: means and log-variances of each layer, the lowest first, that the examples suggest, (N, 2 size).
    """

    module: Any
    examples: Tensor
    suggested: tuple[Tensor, ...]

    @property
    def mean(self) -> Tensor:
        """The mean of each layer given that of the one above, (N, values)."""
        code: Tensor = self.module.encode(self.examples)
        return code

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw a code of each, (N, values); see Posterior."""
        code, ratio, _ = self.descend(generator)
        return code, ratio

    def descend(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Draw a code of each and log p(z) / q(z|x), and compute each latent's divergence given the layers above.

        Returns:
            (N, values), (N,) and (N, values).
        """
        codes: list[Tensor] = []
        divergences: list[Tensor] = []
        total = torch.zeros(len(self.examples), device=self.examples.device)
        for layer in reversed(range(len(self.suggested))):
            above = self.module.foresee(layer, codes[0]) if codes else None
            mean, log_variance = self.module.merge(self.suggested[layer], above)
            prior_mean, prior_log = (torch.zeros_like(mean), torch.zeros_like(mean)) if above is None else above
            code, noise = draw_code(mean, log_variance, generator)
            scaled = (code - prior_mean).square() * (-prior_log).exp()
            total = total + 0.5 * (noise.square() + log_variance - scaled - prior_log).sum(1)
            # in units of the prior's deviation, the divergence is that from N(0, 1)
            moved = (mean - prior_mean) * (-0.5 * prior_log).exp()
            divergences.insert(0, kl_to_standard_normal(moved, log_variance - prior_log))
            codes.insert(0, code)
        return torch.cat(codes, dim=1), total, torch.cat(divergences, dim=1)

    def divergence(self) -> None:
        """There is no closed form but given the layers above; see Posterior."""
        return


def infer(module: Any, examples: Tensor, labels: Tensor | None = None) -> Posterior:
    """Infer the distributions of the codes of examples (N, ...), in float32, by a variational model.

    It has ``logits`` of categories, or ``posterior``, and where the prior is not N(0, 1) ``prior_components`` or a
    ``prior`` that has ``log_density``. See search_spaces.autoencoder.

    Args:
        labels: the classes (N,) of the examples, for models that are told them; None for them to be guessed.
    """
    if getattr(module, "ladder", False):
        return LadderPosterior(module, examples, tuple(values.float() for values in module.climb(examples)))
    if getattr(module, "classes", 0):  # a model of one's own need not know of them
        if not module.told:
            return ClassPosterior(module, examples, module.classifier(examples).float().log_softmax(1))
        labels = module.guess_labels(examples) if labels is None else labels
        mean, log_variance = (values.float() for values in module.posterior(examples, labels))
        return ToldPosterior(NormalPosterior(mean, log_variance), module.mark(labels))
    if hasattr(module, "logits"):
        return CategoricalPosterior(module.logits(examples).float())
    mean, log_variance = (values.float() for values in module.posterior(examples))
    return NormalPosterior(mean, log_variance, _find_prior(module))


def _find_prior(module: Any) -> Prior | None:
    """Find a model's prior as it is in evaluation: batches of pseudo-inputs are none that it is normalised by."""
    if not hasattr(module, "prior_components"):
        prior: Any = getattr(module, "prior", None)
        return prior if hasattr(prior, "log_density") else None
    trained = module.encoder.training
    module.encoder.eval()
    components = module.prior_components()
    module.encoder.train(trained)
    return Mixture(*(values.float() for values in components))
