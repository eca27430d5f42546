"""What a translator between two domains minimises (Zhu et al. 2017, sections 3 and 5.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from evaluators.adversarial.losses import AdversarialLoss, Discriminator, generator_loss

_RANGE = 2.0
"""The paper's pixels lie in [-1, 1] and ours in [0, 1]. Its weights are for its distances, which are twice ours."""


def fooling_loss(loss: AdversarialLoss, judge: Discriminator, real: Tensor, fake: Tensor) -> Tensor:
    """The adversarial loss of a translator, whose images are `fake`; `real` ones are of the domain that it aims at.

    Least squares are those of section 4: the mean of (D(G(x)) - 1)^2, where Mao et al. have half of it. Alone, Adam
    would take the same steps for half a loss, but here the cycle's loss is added to it.
    """
    value = generator_loss(loss, judge, real, fake)
    return 2 * value if loss.halved else value


def distance(found: Tensor, wanted: Tensor) -> Tensor:
    """The mean absolute difference of images (N, C, H, W) in [0, 1], as if they were in [-1, 1].

    Between images and what becomes of them when they are translated there and back, it is the cycle consistency loss
    (equation 2). Between images of the target domain and their translations into it, it is the identity loss (section
    5.2).
    """
    return _RANGE * torch.mean(torch.abs(found - wanted))
