"""The operations, samplings, normalisations and activations by their names: what each of them is, without torch.

Each list stands here alone, and search_spaces.operations.layers builds modules by what is said here. A new operation
of a known kind is one line. No space offers it by that: other choices would give other genotypes for a seed, so every
space names the operations that it offers (see `extend_operations` for one that offers more).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

from nas.core.errors import unknown_name

NONE, SKIP = "none", "skip"
"""The names of no operation at all, as where there is no edge, and of the identity."""


@dataclass(frozen=True)
class Operation:
    """What an edge may hold; it keeps the number of channels and the size of maps.

    Attributes:
        kernel: the side of its window, in steps of `dilation` pixels.
    """

    kind: Literal["skip", "convolution", "depthwise", "separable", "average_pooling", "max_pooling"]
    kernel: int = 1
    dilation: int = 1

    @property
    def pools(self) -> bool:
        """Whether it pools, and so has neither weights nor a normalisation."""
        return self.kind in ("average_pooling", "max_pooling")


OPERATIONS = {
    SKIP: Operation("skip"),
    "conv_1x1": Operation("convolution", 1),
    "conv_3x3": Operation("convolution", 3),
    "conv_5x5": Operation("convolution", 5),
    "depthwise_3x3": Operation("depthwise", 3),
    "separable_3x3": Operation("separable", 3),
    "separable_5x5": Operation("separable", 5),
    "separable_7x7": Operation("separable", 7),
    "dilated_3x3": Operation("convolution", 3, dilation=2),
    "dilated_5x5": Operation("convolution", 5, dilation=2),
    "dilated_7x7": Operation("convolution", 7, dilation=2),
    "average_pool_3x3": Operation("average_pooling", 3),
    "max_pool_3x3": Operation("max_pooling", 3),
}


@functools.cache
def extend_operations(offered: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    """The operations that are `offered` and then `more`, each once.

    Raises:
        UserError: one of `more` is not among OPERATIONS.
    """
    for name in more:
        if name not in OPERATIONS:
            raise unknown_name("more_operations", name, OPERATIONS)
    return tuple(dict.fromkeys((*offered, *more)))


DOWN_SAMPLINGS: dict[str, str | None] = {"strided_convolution": None, "average": "AvgPool", "max": "MaxPool"}
"""What halves the size of maps: the kind of torch's layer that pools; None: a convolution's stride."""
UP_SAMPLINGS: dict[str, Literal["transposed_convolution", "interpolation", "pixel_shuffle"]] = {
    "transposed_convolution": "transposed_convolution",
    "nearest": "interpolation",
    "bilinear": "interpolation",
    "pixel_shuffle": "pixel_shuffle",
}
"""What doubles the size of maps; the names of interpolations are torch's modes."""
ACTIVATIONS: dict[str, tuple[str, *tuple[float, ...]]] = {
    "relu": ("ReLU",),
    "leaky_relu": ("LeakyReLU", 0.2),
    "elu": ("ELU",),
    "gelu": ("GELU",),
    "silu": ("SiLU",),
}
"""Torch's layer, and the arguments of its constructor."""
LAYER_ACTIVATIONS: dict[str, tuple[str, *tuple[float, ...]]] = {**ACTIVATIONS, "tanh": ("Tanh",)}
"""Those of fully connected layers: what saturates was usual there."""
NORMALISATIONS: dict[str, Literal["nothing", "batch", "image", "map"]] = {
    "none": "nothing",
    "batch": "batch",
    "group": "image",
    "layer": "image",
    "instance": "map",
}
"""What the statistics are of: a batch's images, each image alone, or each of an image's maps (so not of vectors)."""
VECTOR_NORMALISATIONS = tuple(name for name, scope in NORMALISATIONS.items() if scope != "map")
SINGLE_IMAGE_NORMALISATIONS = tuple(name for name in VECTOR_NORMALISATIONS if NORMALISATIONS[name] != "batch")
