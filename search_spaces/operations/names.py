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


OPERATIONS: dict[str, Operation] = {
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


@dataclass(frozen=True)
class DownSampling:
    """How the size of maps is halved.

    Attributes:
        pool: torch's layer that does it; None: a convolution's stride.
    """

    pool: str | None = None


DOWN_SAMPLINGS: dict[str, DownSampling] = {
    "strided_convolution": DownSampling(),
    "average": DownSampling("AvgPool2d"),
    "max": DownSampling("MaxPool2d"),
}


@dataclass(frozen=True)
class UpSampling:
    """How the size of maps is doubled; the names of interpolations are torch's modes."""

    kind: Literal["transposed_convolution", "interpolation", "pixel_shuffle"]


UP_SAMPLINGS: dict[str, UpSampling] = {
    "transposed_convolution": UpSampling("transposed_convolution"),
    "nearest": UpSampling("interpolation"),
    "bilinear": UpSampling("interpolation"),
    "pixel_shuffle": UpSampling("pixel_shuffle"),
}


@dataclass(frozen=True)
class Normalisation:
    """What values are normalised over.

    Attributes:
        across_batch: it mixes the statistics of a batch's images, which a term of single images cannot bear.
        maps_only: it is over positions, so that vectors cannot have it.
    """

    across_batch: bool = False
    maps_only: bool = False


NORMALISATIONS: dict[str, Normalisation] = {
    "none": Normalisation(),
    "batch": Normalisation(across_batch=True),
    "group": Normalisation(),
    "layer": Normalisation(),
    "instance": Normalisation(maps_only=True),
}
VECTOR_NORMALISATIONS = tuple(name for name, it in NORMALISATIONS.items() if not it.maps_only)
"""Those that vectors can have, as maps can."""


@dataclass(frozen=True)
class Activation:
    """Torch's layer, and the arguments of its constructor."""

    layer: str
    arguments: tuple[float, ...] = ()


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation("ReLU"),
    "leaky_relu": Activation("LeakyReLU", (0.2,)),
    "elu": Activation("ELU"),
    "gelu": Activation("GELU"),
    "silu": Activation("SiLU"),
}
