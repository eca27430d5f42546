"""A buffer of generated images, so that a discriminator does not forget what a generator made earlier."""

from __future__ import annotations

import torch
from torch import Tensor

from nas.core.space import Shape


class ImageBuffer:
    """Keeps images of earlier steps, and hands them out half of the time (Zhu et al. 2017, section 4; 50 images there).

    As in the authors' code, every image is kept and handed out until the buffer is full. From then on an image is
    handed out itself with probability one half. Otherwise it replaces a kept image, which is handed out in its stead.
    The places of one batch are drawn without replacement.

    Args:
        size: how many images are kept; with 0 the buffer does nothing.
        shape: of an image.

    Attributes:
        images: (size, *shape), of which the first `filled` are kept.
    """

    def __init__(self, size: int, shape: Shape, device: torch.device) -> None:
        self.size, self.filled = size, 0
        self.images = torch.zeros((size, *shape), device=device)

    def exchange(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Keep images (N, C, H, W), without gradients, and give as many of now and of earlier.

        There are at most `size` of them, unless it is 0. The generator of random numbers is on the CPU.
        """
        if self.size == 0:
            return images
        new = min(self.size - self.filled, len(images))
        self.images[self.filled : self.filled + new] = images[:new]
        full = self.filled == self.size
        self.filled += new
        if not full:  # all images of this batch are new
            return images
        places = torch.randperm(self.size, generator=generator)[: len(images)]
        swapped = torch.rand(len(images), generator=generator) < 0.5
        # a copy that is waited for would wait for all that the device has yet to do
        here, there = (
            index.to(images.device, non_blocking=True) for index in (swapped.nonzero()[:, 0], places[swapped])
        )
        given = images.clone()
        given[here] = self.images[there]
        self.images[there] = images[here]
        return given
