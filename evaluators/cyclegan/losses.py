"""The losses of translators between two domains (Zhu et al. 2017, sections 3 and 5.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from evaluators.adversarial.losses import AdversarialLoss, Discriminator, generator_loss

_RANGE = 2.0
"""The factor between distances in the paper, whose pixels lie in [-1, 1], and ours, whose pixels lie in [0, 1]."""


def fooling_loss(loss: AdversarialLoss, judge: Discriminator, real: Tensor, fake: Tensor) -> Tensor:
    """Compute the adversarial loss of a translator, given its images and real images of its target domain.

    Least squares are those of section 4: the mean of (D(G(x)) - 1)^2, where Mao et al. have half of it. Alone, Adam
    would take the same steps for half a loss, but here the cycle's loss is added to it.
    """
    value = generator_loss(loss, judge, real, fake)
    return 2 * value if loss.halved else value


def distance(found: Tensor, wanted: Tensor) -> Tensor:
    """Compute the mean absolute difference of images (N, C, H, W) in [0, 1], as if they were in [-1, 1].

    This is the cycle consistency loss (equation 2) of images and their translations there and back, and the identity
    loss (section 5.2) of images of the target domain and their translations into it.
    """
    return _RANGE * torch.mean(torch.abs(found - wanted))
