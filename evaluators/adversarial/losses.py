"""The losses of generators and discriminators, as functions of logits, and what keeps a discriminator smooth."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Discriminator = Callable[[Tensor], Tensor]
"""Images (N, C, H, W) to logits (N,), unbounded: large for what looks real."""


def discriminator_loss(kind: str, real: Tensor, fake: Tensor, targets: tuple[float, float] = (1.0, 0.0)) -> Tensor:
    """What the discriminator minimises, a scalar.

    Args:
        kind: a key of DISCRIMINATOR_LOSSES.
        real, fake: logits (N,) of images of the data and of the generator.
        targets: the labels of both, see `smoothed_targets`; hinge and Wasserstein losses have none.
    """
    return DISCRIMINATOR_LOSSES[kind](real, fake, targets)


def generator_loss(kind: str, fake: Tensor) -> Tensor:
    """What the generator minimises, a scalar, given the logits (N,) of its images; `kind` as above.

    The generator's own target is never smoothed: smoothing is a matter of the discriminator's labels.
    """
    return GENERATOR_LOSSES[kind](fake)


def smoothed_targets(smoothing: str, amount: float = 0.0) -> tuple[float, float]:
    """The discriminator's labels of real and fake images.

    ``none`` (1, 0); ``one_sided`` (1 - amount, 0), Salimans et al. 2016, section 3.4; ``two_sided`` (1 - amount,
    amount), Szegedy et al. 2016.
    """
    return {"none": (1.0, 0.0), "one_sided": (1 - amount, 0.0), "two_sided": (1 - amount, amount)}[smoothing]


def _cross_entropy(logits: Tensor, target: float) -> Tensor:
    """-t log D - (1 - t) log(1 - D) with D = sigmoid(logit), the mean: softplus(l) - t l."""
    return torch.mean(F.softplus(logits) - target * logits)


def _classified(real: Tensor, fake: Tensor, targets: tuple[float, float]) -> Tensor:
    """Goodfellow et al. 2014, equation 1, for the discriminator."""
    return _cross_entropy(real, targets[0]) + _cross_entropy(fake, targets[1])


def _least_squares(real: Tensor, fake: Tensor, targets: tuple[float, float]) -> Tensor:
    """Mao et al. 2017, equation 9: labels b = 1 and a = 0."""
    return 0.5 * torch.mean((real - targets[0]) ** 2) + 0.5 * torch.mean((fake - targets[1]) ** 2)


def _hinge(real: Tensor, fake: Tensor, targets: tuple[float, float]) -> Tensor:
    """Lim & Ye 2017; Miyato et al. 2018, equation 16: margins of 1 and -1."""
    return torch.mean(F.relu(1 - real)) + torch.mean(F.relu(1 + fake))


def _wasserstein(real: Tensor, fake: Tensor, targets: tuple[float, float]) -> Tensor:
    """Arjovsky et al. 2017, equation 3: minus the estimate of the Wasserstein distance."""
    return torch.mean(fake) - torch.mean(real)


DISCRIMINATOR_LOSSES: dict[str, Callable[[Tensor, Tensor, tuple[float, float]], Tensor]] = {
    "minimax": _classified,
    "non_saturating": _classified,
    "maximum_likelihood": _classified,
    "least_squares": _least_squares,
    "hinge": _hinge,
    "wasserstein_clipping": _wasserstein,
    "wasserstein_gradient_penalty": _wasserstein,
}

GENERATOR_LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "minimax": lambda fake: -torch.mean(F.softplus(fake)),  # log(1 - D): Goodfellow et al. 2014, equation 1
    "non_saturating": lambda fake: torch.mean(F.softplus(-fake)),  # -log D: the same, section 3
    "maximum_likelihood": lambda fake: -torch.mean(torch.exp(fake)),  # -exp(sigmoid^-1(D)): Goodfellow 2014
    "least_squares": lambda fake: 0.5 * torch.mean((fake - 1) ** 2),  # Mao et al. 2017, equation 9: c = 1
    "hinge": lambda fake: -torch.mean(fake),
    "wasserstein_clipping": lambda fake: -torch.mean(fake),
    "wasserstein_gradient_penalty": lambda fake: -torch.mean(fake),
}


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


def r1_penalty(logits: Tensor, images: Tensor, weight: float) -> Tensor:
    """gamma / 2 E[|grad D(x)|^2] on images of the data: R1 of Mescheder et al. 2018, equation 9.

    Args:
        logits: (N,), those of `images`, which require a gradient.
        weight: gamma.
    """
    return weight / 2 * torch.mean(_gradients(logits, images).square().sum(dim=1))


def _gradients(logits: Tensor, images: Tensor) -> Tensor:
    """(N, C * H * W): the gradient of each image's logit, itself differentiable."""
    (gradients,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradients.flatten(1)


@torch.no_grad()
def clip_weights(parameters: Iterable[nn.Parameter], bound: float) -> None:
    """Bring every weight into [-bound, bound]: Arjovsky et al. 2017, algorithm 1, line 7."""
    for parameter in parameters:
        parameter.clamp_(-bound, bound)
