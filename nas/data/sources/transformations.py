"""Images of another data set, each transformed: domains to translate to that need no download."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nas.core.errors import UserError
from nas.data.pieces import slice_rows
from nas.data.source import Request, Source, UnsplitData

if TYPE_CHECKING:
    from torch import Tensor

    from nas.data.dataset import Split

_BINARY_SEED = 0xB1


@dataclass(frozen=True)
class Transformation:
    """What images of a data set become.

    Attributes:
        about: what happens to them, in words.
        apply: images (N, C, H, W), uint8 or float32 in [0, 1], to as many of the same type.
        moves: whether pixels change their places, and alpha with them, which otherwise stays.
        details: what there is to know besides.
    """

    about: str
    apply: Callable[[Tensor], Tensor]
    moves: bool = False
    details: str = ""


def draw_binary(images: Tensor) -> Tensor:
    """Draw each value as 0 or 1, 1 with the probability that it is itself, once and for all by a fixed seed.

    Salakhutdinov & Murray 2008, section 4.1; what is 0 or 1 already stays.
    """
    import torch

    from nas.data.dataset import as_float, batches

    found, generator = torch.empty_like(images), torch.Generator().manual_seed(_BINARY_SEED)
    for part in batches(images):
        chance = torch.rand(images[part].shape, generator=generator)
        found[part] = (chance < as_float(images[part])).to(images.dtype) * (1 if images.is_floating_point() else 255)
    return found


def find_edges(images: Tensor) -> Tensor:
    """How much the brightness around each pixel changes, by Sobel's two filters: their norm, at most 1."""
    import torch
    import torch.nn.functional as F

    from nas.data.dataset import as_float, batches

    found = torch.empty_like(images)
    across = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]]) / 4
    filters = torch.stack([across, across.T])[:, None]
    for part in batches(images):
        values = as_float(images[part])
        channels = values.flatten(0, 1)[:, None]
        changes = F.conv2d(F.pad(channels, (1, 1, 1, 1), mode="replicate"), filters)
        strength = changes.norm(dim=1).clamp(max=1).view(values.shape)
        found[part] = (strength * 255).round().to(torch.uint8) if images.dtype == torch.uint8 else strength
    return found


TRANSFORMATIONS = {
    "inverted": Transformation(
        "what is dark is bright", lambda images: 1 - images if images.is_floating_point() else 255 - images
    ),
    "rotated": Transformation(
        "turned counter-clockwise by 90 degrees", lambda images: images.rot90(1, (2, 3)).contiguous(), moves=True
    ),
    "edges": Transformation("the edges alone, by Sobel's filter", find_edges),
    "binarised": Transformation(
        "every value drawn as 0 or 1, with itself as the probability of 1",
        draw_binary,
        details="The draw is made once, by a fixed seed, as bounds of binary images are usually of (Salakhutdinov & "
        "Murray 2008): binarised:mnist, with --objective elbo or --preset vae-binarised.",
    ),
}
"""What a data set becomes with one of these words before its name."""


def transform_images(data: UnsplitData, transformation: Transformation) -> UnsplitData:
    """The data with every image transformed."""
    from nas.data.mapped import allocate_like

    def transform(part: Split) -> Split:
        made = allocate_like(part.examples, (len(part), *transformation.apply(part.examples[:1]).shape[1:]))
        for rows in slice_rows(made.shape):
            made[rows] = transformation.apply(part.examples[rows])
            if made.shape[1] == 4 and not transformation.moves:
                made[rows, 3] = part.examples[rows, 3]
        return replace(part, examples=made)

    test = None if data.test is None else transform(data.test)
    return replace(data, pool=transform(data.pool), test=test, notes=(*data.notes, transformation.about))


def _load_transformed(transformation: Transformation, request: Request) -> UnsplitData:
    data = request.load(request.argument)
    if data.pool.kind != "image":
        raise UserError(
            "--dataset", request.name, "a data set of images", why=f"{request.argument} has {data.pool.kind}s"
        )
    return transform_images(data, transformation)


_DOMAIN = (
    "A domain to translate to: --space cyclegan --dataset NAME --dataset-b edges:NAME. Images are sized first. Where "
    "both domains are made of one set, A has every second image and B the others, so that no image is in both."
)
SOURCES = tuple(
    Source(
        word,
        f"another data set, {transformation.about}",
        functools.partial(_load_transformed, transformation),
        argument="NAME",
        details=" ".join([*([transformation.details] if transformation.details else []), _DOMAIN]),
    )
    for word, transformation in TRANSFORMATIONS.items()
)
