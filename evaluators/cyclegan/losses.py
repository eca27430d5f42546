"""What a translator between two domains minimises (Zhu et al. 2017, sections 3 and 5.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from evaluators.adversarial.losses import generator_loss

_RANGE = 2.0
"""The paper's pixels lie in [-1, 1], ours in [0, 1]: there distances are twice as large, which its weights are for."""


def fooling_loss(kind: str, logits: Tensor) -> Tensor:
    """The adversarial loss of a translator, given the logits (N, patches) of its images.

    Least squares are those of section 4: the mean of (D(G(x)) - 1)^2, where Mao et al. have half of it. What half a
    loss is would not matter to Adam, but beside the cycle's loss it does.
    """
    loss = generator_loss(kind, logits)
    return 2 * loss if kind == "least_squares" else loss


def distance(found: Tensor, wanted: Tensor) -> Tensor:
    """The mean absolute difference of images (N, C, H, W) in [0, 1], as if they were in [-1, 1].

    Of images translated there and back and those they come from it is the cycle consistency loss (equation 2); of
    images that are of the target domain already and their translations the identity loss (section 5.2).
    """
    return _RANGE * torch.mean(torch.abs(found - wanted))
