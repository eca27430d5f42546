"""A history of generated images, so that a discriminator does not forget what a generator made earlier."""

from __future__ import annotations

import torch
from torch import Tensor

from nas.core.space import Shape


class ImageBuffer:
    """Keeps images of earlier steps, and hands them out half of the time (Zhu et al. 2017, section 4; 50 images there).

    As in the authors' code: until the buffer is full an image is kept and handed out as it is. From then on it is
    handed out as it is with probability one half, and else takes the place of a kept one, which is handed out in its
    stead. Within a batch these places are drawn without replacement.

    Args:
        size: how many images are kept; with 0 all are handed out as they are.
        shape: of an image.

    Attributes:
        images: (size, *shape), of which the first `filled` are kept.
    """

    def __init__(self, size: int, shape: Shape, device: torch.device) -> None:
        self.size, self.filled = size, 0
        self.images = torch.zeros((size, *shape), device=device)

    def exchange(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Images (N, C, H, W), without gradients, to as many of now and earlier; `generator` is one of the CPU.

        At most `size` images at a time, unless it is 0.
        """
        if self.size == 0:
            return images
        new = min(self.size - self.filled, len(images))
        self.images[self.filled : self.filled + new] = images[:new]
        full = self.filled == self.size
        self.filled += new
        if not full:  # of what came together none is earlier than the others
            return images
        places = torch.randperm(self.size, generator=generator)[: len(images)]
        swapped = torch.rand(len(images), generator=generator) < 0.5
        here, there = swapped.nonzero()[:, 0].to(images.device), places[swapped].to(images.device)
        given = images.clone()
        given[here] = self.images[there]
        self.images[there] = images[here]
        return given
