"""Adversarial losses by name, as functions of logits, and the penalties that keep a discriminator smooth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Discriminator = Callable[[Tensor], Tensor]
"""Images (N, C, H, W) to logits (N,) or, one for each patch, (N, patches); unbounded, large for what looks real."""

Targets = tuple[float, float]
"""The labels of real and of generated images that the discriminator learns."""

HARD_TARGETS: Targets = (1.0, 0.0)


def smooth_targets(smoothing: str, amount: float) -> Targets:
    """Give the labels after smoothing.

    ``none`` (1, 0); ``one_sided`` (1 - amount, 0), Salimans et al. 2016, section 3.4; ``two_sided`` (1 - amount,
    amount), Szegedy et al. 2016.
    """
    return {"none": HARD_TARGETS, "one_sided": (1 - amount, 0.0), "two_sided": (1 - amount, amount)}[smoothing]


@dataclass(frozen=True)
class AdversarialLoss:
    """The losses of both networks, each a scalar, and what else a training must know.

    Attributes:
        discriminator: the discriminator's loss, given the logits of real images, those of generated images, and the
            labels of both.
        generator: the generator's loss, given the logits of generated images and, if the loss is relativistic, those of
            the real images that they are paired with, else None. Its target is never smoothed.
        targets: whether the discriminator has a target for each image, so that label smoothing applies.
        wasserstein: whether it estimates a Wasserstein distance, so that its values have no scale of their own.
        clips_weights: whether the discriminator's weights are clipped, to ``clip``.
        gradient_penalty: whether the norm of the discriminator's gradients is drawn to 1, with the weight
            ``gradient_penalty``.
        relativistic: whether real images are judged by comparison with generated ones. The discriminator then has a
            zero-centred gradient penalty on each, with the weights ``r1`` and ``r2``.
        halved: whether it is half of a square, where other formulations have the whole.
    """

    discriminator: Callable[[Tensor, Tensor, Targets], Tensor]
    generator: Callable[[Tensor, Tensor | None], Tensor]
    targets: bool = False
    wasserstein: bool = False
    clips_weights: bool = False
    gradient_penalty: bool = False
    relativistic: bool = False
    halved: bool = False


def _cross_entropy(logits: Tensor, target: float) -> Tensor:
    """-t log D - (1 - t) log(1 - D) with D = sigmoid(logit), the mean: softplus(l) - t l."""
    return torch.mean(F.softplus(logits) - target * logits)


def _classify(real: Tensor, fake: Tensor, targets: Targets) -> Tensor:
    """Goodfellow et al. 2014, equation 1, for the discriminator."""
    return _cross_entropy(real, targets[0]) + _cross_entropy(fake, targets[1])


def _least_squares(real: Tensor, fake: Tensor, targets: Targets) -> Tensor:
    """Mao et al. 2017, equation 9: labels b = 1 and a = 0."""
    return 0.5 * torch.mean((real - targets[0]) ** 2) + 0.5 * torch.mean((fake - targets[1]) ** 2)


def _hinge(real: Tensor, fake: Tensor, targets: Targets) -> Tensor:
    """Lim & Ye 2017; Miyato et al. 2018, equation 16: margins of 1 and -1."""
    return torch.mean(F.relu(1 - real)) + torch.mean(F.relu(1 + fake))


def _wasserstein(real: Tensor, fake: Tensor, targets: Targets) -> Tensor:
    """Arjovsky et al. 2017, equation 3: minus the estimate of the Wasserstein distance."""
    return torch.mean(fake) - torch.mean(real)


def _compare(better: Tensor, worse: Tensor) -> Tensor:
    """-log sigmoid(D(better) - D(worse)) of each pair, the mean: Jolicoeur-Martineau 2018, section 4.1."""
    return torch.mean(F.softplus(worse - better))


def _raise_logits(fake: Tensor, real: Tensor | None) -> Tensor:
    """The generator's side of the hinge and Wasserstein losses: minus the mean of its images' logits."""
    return -torch.mean(fake)


def _outdo_real_images(fake: Tensor, real: Tensor | None) -> Tensor:
    assert real is not None, "a relativistic loss needs the logits of real images"
    return _compare(fake, real)


ADVERSARIAL_LOSSES: dict[str, AdversarialLoss] = {
    # log(1 - D): Goodfellow et al. 2014, equation 1
    "minimax": AdversarialLoss(_classify, lambda fake, real: -torch.mean(F.softplus(fake)), targets=True),
    # -log D: Goodfellow et al. 2014, section 3
    "non_saturating": AdversarialLoss(_classify, lambda fake, real: torch.mean(F.softplus(-fake)), targets=True),
    # -exp(sigmoid^-1(D)): Goodfellow 2014
    "maximum_likelihood": AdversarialLoss(_classify, lambda fake, real: -torch.mean(torch.exp(fake)), targets=True),
    # Mao et al. 2017, equation 9: c = 1
    "least_squares": AdversarialLoss(
        _least_squares, lambda fake, real: 0.5 * torch.mean((fake - 1) ** 2), targets=True, halved=True
    ),
    "hinge": AdversarialLoss(_hinge, _raise_logits),
    "wasserstein_clipping": AdversarialLoss(_wasserstein, _raise_logits, wasserstein=True, clips_weights=True),
    "wasserstein_gradient_penalty": AdversarialLoss(
        _wasserstein, _raise_logits, wasserstein=True, gradient_penalty=True
    ),
    # RpGAN + R1 + R2: Huang et al. 2024, section 2
    "relativistic": AdversarialLoss(
        lambda real, fake, targets: _compare(real, fake), _outdo_real_images, relativistic=True
    ),
}
"""By the names that search_spaces.gan.training has for the same losses."""


def discriminator_loss(
    loss: AdversarialLoss,
    judge: Discriminator,
    real: Tensor,
    fake: Tensor,
    hyperparameters: Mapping[str, Any],
    random: torch.Generator,
    targets: Targets = HARD_TARGETS,
    gammas: tuple[float, float] = (0.0, 0.0),
) -> Tensor:
    """Compute what a discriminator minimises, with its penalties: a scalar that depends on no other network.

    Args:
        real, fake: images (N, C, H, W), as many of each; a relativistic loss compares those of the same place.
        hyperparameters: with ``gradient_penalty`` if the loss has one.
        random: draws the points of the gradient penalty, on the images' device.
        gammas: the weights of R1, on real images, and of R2, on generated ones; a penalty of weight 0 is not computed.
    """
    pair = [images.detach().requires_grad_(gamma > 0) for images, gamma in zip((real, fake), gammas, strict=True)]
    logits = [judge(images) for images in pair]
    value = loss.discriminator(logits[0], logits[1], targets)
    for images, judged, gamma in zip(pair, logits, gammas, strict=True):
        if gamma > 0:
            value = value + zero_centred_penalty(judged, images, gamma)
    if loss.gradient_penalty:
        value = value + gradient_penalty(judge, real, fake, hyperparameters["gradient_penalty"], random)
    return value


def generator_loss(loss: AdversarialLoss, judge: Discriminator, real: Tensor, fake: Tensor) -> Tensor:
    """Compute what a generator minimises, a scalar; real images only matter if the loss is relativistic.

    Args:
        real, fake: images (N, C, H, W), as many of each; a relativistic loss compares those of the same place.
    """
    fake_logits, real_logits = judge(fake), None
    if loss.relativistic:
        with torch.no_grad():  # they do not depend on the generator
            real_logits = judge(real)
    return loss.generator(fake_logits, real_logits)


def gradient_penalty(
    discriminator: Discriminator, real: Tensor, fake: Tensor, weight: float, generator: torch.Generator
) -> Tensor:
    """lambda E[(|grad D(x)| - 1)^2] at points x = e real + (1 - e) fake, e uniform in [0, 1] for each pair.

    Gulrajani et al. 2017, equation 3 and algorithm 1; `weight` is lambda.

    Args:
        real, fake: images (N, C, H, W), as many of each.
        generator: draws e, on the images' device.
    """
    share = torch.rand((len(real), 1, 1, 1), generator=generator, device=real.device)
    between = torch.lerp(fake.detach(), real.detach(), share).requires_grad_(True)
    norms = _gradients(discriminator(between), between).norm(dim=1)
    return weight * torch.mean((norms - 1) ** 2)


def zero_centred_penalty(logits: Tensor, images: Tensor, weight: float) -> Tensor:
    """gamma / 2 E[|grad D(x)|^2]: R1 on real images, R2 on generated ones (Mescheder et al. 2018, equations 9 and 10).

    Args:
        logits: those of `images`, which require a gradient.
        weight: gamma.
    """
    return weight / 2 * torch.mean(_gradients(logits, images).square().sum(dim=1))


def _gradients(logits: Tensor, images: Tensor) -> Tensor:
    """Compute the gradient (N, C * H * W) of each image's logit, or of the mean of its patches' logits.

    It can be differentiated again. It is zero if the logits do not depend on the images, as in a supernet whose drawn
    path is empty.
    """
    of_images = logits if logits.dim() == 1 else logits.mean(1)
    (gradients,) = torch.autograd.grad(of_images.sum(), images, create_graph=True, materialize_grads=True)
    return gradients.flatten(1)


@torch.no_grad()
def clip_weights(parameters: Iterable[nn.Parameter], bound: float) -> None:
    """Bring every weight into [-bound, bound]: Arjovsky et al. 2017, algorithm 1, line 7."""
    for parameter in parameters:
        parameter.clamp_(-bound, bound)
