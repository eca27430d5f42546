"""Real images damaged in known ways: what a score says of them is what it can be trusted to notice."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.data.dataset import Split, as_float

REPEATED = 100


def damaged(part: Split, count: int, seed: int = 0) -> dict[str, Tensor]:
    """Sets of `count` images (count, C, H, W) float32 in [0, 1], by what was done to images of the part.

    ``real``: nothing. ``noise .1`` and ``noise .3``: normal noise of this standard deviation, cut to [0, 1].
    ``blurred``: the mean of 3 x 3 pixels. ``uniform noise``: no image at all. ``100 repeated``: few different ones.
    With labels, ``one class missing`` (the last but one of the classes) and ``half of the classes`` (the first).
    Where a class is missing, and the part is too small, images appear twice.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(part), generator=generator)
    shuffled = part.take(order)
    images = as_float(shuffled.examples)
    real = images[:count]

    def noisy(deviation: float) -> Tensor:
        return (real + deviation * torch.randn(real.shape, generator=generator)).clamp(0, 1)

    def enough(chosen: Tensor) -> Tensor:
        return chosen.repeat(-(-count // len(chosen)), 1, 1, 1)[:count]

    sets = {"real": real, "noise .1": noisy(0.1)}
    if shuffled.labels is not None:
        classes = torch.unique(shuffled.labels)
        sets["one class missing"] = enough(images[shuffled.labels != classes[-2]])
    sets["100 repeated"] = enough(images[:REPEATED])
    sets["noise .3"] = noisy(0.3)
    if shuffled.labels is not None:
        sets["half of the classes"] = enough(images[torch.isin(shuffled.labels, classes[: len(classes) // 2])])
    sets["blurred"] = F.avg_pool2d(F.pad(real, (1, 1, 1, 1), mode="replicate"), 3, 1)
    sets["uniform noise"] = torch.rand(real.shape, generator=generator)
    return sets
