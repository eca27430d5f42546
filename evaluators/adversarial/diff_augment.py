"""DiffAugment: differentiable augmentation of what a discriminator sees (Zhao et al. 2020).

The same policy goes over real and generated images, in the discriminator's steps and in the generator's, so that the
generator learns the distribution of the images as they are (section 3.2 there). The paper's images are in [-1, 1] and
its border is 0; ours are in [0, 1], so amounts added are halved and the border is the same grey, 0.5.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_GREY = 0.5
_TRANSLATION = 0.125
_CUTOUT = 0.5


def diff_augment(images: Tensor, policy: str, generator: torch.Generator) -> Tensor:
    """Augment images (N, C, H, W) in [0, 1], each by draws of its own; colours may leave [0, 1].

    Args:
        policy: a key of POLICIES.
        generator: on the images' device.
    """
    for operation in POLICIES[policy]:
        images = operation(images, generator)
    return images


def _uniform(images: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand((len(images), 1, 1, 1), generator=generator, device=images.device)


def _brightness(images: Tensor, generator: torch.Generator) -> Tensor:
    """Add u in [-1/4, 1/4] to an image."""
    return images + (_uniform(images, generator) - 0.5) / 2


def _saturation(images: Tensor, generator: torch.Generator) -> Tensor:
    """Scale each pixel's distance from its grey, the mean of its channels, by u in [0, 2]; nothing for grey images."""
    if images.shape[1] == 1:
        return images
    grey = images.mean(dim=1, keepdim=True)
    return torch.lerp(grey, images, 2 * _uniform(images, generator))


def _contrast(images: Tensor, generator: torch.Generator) -> Tensor:
    """Scale the distance from an image's mean by u in [1/2, 3/2]."""
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, _uniform(images, generator) + 0.5)


def _translation(images: Tensor, generator: torch.Generator) -> Tensor:
    """Move an image by up to an eighth of its height and width, and fill the gap with grey."""
    return _GREY + _translate_along(_translate_along(images - _GREY, 2, generator), 3, generator)


def _translate_along(images: Tensor, dimension: int, generator: torch.Generator) -> Tensor:
    count, side = len(images), images.shape[dimension]
    most = int(side * _TRANSLATION + 0.5)
    by = torch.randint(-most, most + 1, (count, 1), generator=generator, device=images.device)
    source = torch.arange(side, device=images.device) + by  # (N, side): where each row or column comes from
    inside = (source >= 0) & (source < side)
    shape = (count, 1, side, 1) if dimension == 2 else (count, 1, 1, side)
    index = source.clamp(0, side - 1).view(shape).expand_as(images)
    return images.gather(dimension, index) * inside.view(shape)


def _cutout(images: Tensor, generator: torch.Generator) -> Tensor:
    """Grey out a square of half the side, whose centre is anywhere in the image."""
    rows, columns = (_draw_hole(images, dimension, generator) for dimension in (2, 3))
    hole = rows[:, None, :, None] & columns[:, None, None, :]
    return torch.where(hole, _GREY, images)


def _draw_hole(images: Tensor, dimension: int, generator: torch.Generator) -> Tensor:
    """Draw which rows or columns of each image are cut: (N, side), boolean."""
    side = images.shape[dimension]
    size = int(side * _CUTOUT + 0.5)
    centre = torch.randint(side + (1 - size % 2), (len(images), 1), generator=generator, device=images.device)
    first = centre - size // 2
    place = torch.arange(side, device=images.device)
    return (place >= first) & (place < first + size)


_COLOUR = (_brightness, _saturation, _contrast)

POLICIES: dict[str, tuple[Callable[[Tensor, torch.Generator], Tensor], ...]] = {
    "none": (),
    "colour": _COLOUR,
    "translation": (_translation,),
    "cutout": (_cutout,),
    "all": (*_COLOUR, _translation, _cutout),
}
