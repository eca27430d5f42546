"""The operations that a cell's edges may hold, and the layers around cells: name -> module.

Every operation keeps the number of channels and the size of its input. Convolutions are followed by
normalisation and activation. All are plain trees of torch.nn layers, so that the exporter can print them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn

from nas.core.space import Shape

NORMALISATIONS = ("none", "batch", "group", "layer")
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


def activation(name: str) -> nn.Module:
    """A new activation layer; `name` is a key of ACTIVATIONS."""
    return ACTIVATIONS[name]()


def _groups(channels: int) -> int:
    """The largest number of groups up to 8 that divides the channels (Wu & He 2018 find 8 to 32 alike)."""
    return next(groups for groups in range(min(8, channels), 0, -1) if channels % groups == 0)


def normalisation(name: str, channels: int, *, spatial: bool = True, affine: bool = True) -> list[nn.Module]:
    """Normalisation over `channels` (maps if `spatial`, else vectors) as a list of no or one layer.

    Layer normalisation of maps is over channels and positions together: group normalisation with one group.
    `affine` is whether it ends in a learned scale and shift. Instance normalisation is for maps alone.
    """
    match name:
        case "none":
            return []
        case "batch":
            return [(nn.BatchNorm2d if spatial else nn.BatchNorm1d)(channels, affine=affine)]
        case "group":
            return [nn.GroupNorm(_groups(channels), channels, affine=affine)]
        case "layer":
            return [nn.GroupNorm(1, channels, affine=affine)]
        case "instance" if spatial:
            return [nn.InstanceNorm2d(channels, affine=affine)]
    raise KeyError(name)


def convolution(
    inputs: int, outputs: int, kernel: int, norm: str, act: str, *, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Convolution, normalisation, activation; with stride 1 the size is kept, with 2 halved and rounded up."""
    return nn.Sequential(
        nn.Conv2d(
            inputs,
            outputs,
            kernel,
            stride,
            padding=dilation * (kernel // 2),
            dilation=dilation,
            bias=norm == "none",
        ),
        *normalisation(norm, outputs),
        activation(act),
    )


def _separable(channels: int, kernel: int, norm: str, act: str) -> nn.Sequential:
    """Depthwise and then pointwise convolution (Chollet 2017), normalised and activated once."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False),
        *convolution(channels, channels, 1, norm, act),
    )


def _depthwise(channels: int, kernel: int, norm: str, act: str) -> nn.Sequential:
    """Each channel convolved alone; one of the primitives of Liu et al. 2018 (hierarchical representations)."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=norm == "none"),
        *normalisation(norm, channels),
        activation(act),
    )


OPERATIONS: dict[str, Callable[[int, str, str], nn.Module]] = {
    "skip": lambda channels, norm, act: nn.Identity(),
    "conv_1x1": lambda channels, norm, act: convolution(channels, channels, 1, norm, act),
    "conv_3x3": lambda channels, norm, act: convolution(channels, channels, 3, norm, act),
    "conv_5x5": lambda channels, norm, act: convolution(channels, channels, 5, norm, act),
    "depthwise_3x3": lambda channels, norm, act: _depthwise(channels, 3, norm, act),
    "separable_3x3": lambda channels, norm, act: _separable(channels, 3, norm, act),
    "separable_5x5": lambda channels, norm, act: _separable(channels, 5, norm, act),
    "dilated_3x3": lambda channels, norm, act: convolution(channels, channels, 3, norm, act, dilation=2),
    "dilated_5x5": lambda channels, norm, act: convolution(channels, channels, 5, norm, act, dilation=2),
    "average_pool_3x3": lambda channels, norm, act: nn.AvgPool2d(3, 1, padding=1, count_include_pad=False),
    "max_pool_3x3": lambda channels, norm, act: nn.MaxPool2d(3, 1, padding=1),
}


def sizes(shape: Shape, stages: int) -> list[tuple[int, int]]:
    """Height and width before and after each stage: halved, rounded up, while both sides are at least 4."""
    row = [(shape[1], shape[2])]
    for _ in range(stages):
        height, width = row[-1]
        halve = min(height, width) >= 4
        row.append((math.ceil(height / 2), math.ceil(width / 2)) if halve else (height, width))
    return row


DOWN: tuple[str, ...] = ("strided_convolution", "average", "max")
UP: tuple[str, ...] = ("transposed_convolution", "nearest", "bilinear", "pixel_shuffle")


def down_sampling(name: str, inputs: int, outputs: int, norm: str, act: str) -> nn.Module:
    """Halve the size, rounded up, and change the number of channels."""
    match name:
        case "strided_convolution":
            return convolution(inputs, outputs, 3, norm, act, stride=2)
        case "average":
            pool: nn.Module = nn.AvgPool2d(2, ceil_mode=True)
        case "max":
            pool = nn.MaxPool2d(2, ceil_mode=True)
        case _:
            raise KeyError(name)
    return nn.Sequential(pool, *convolution(inputs, outputs, 3, norm, act))


def up_sampling(name: str, inputs: int, outputs: int, *, bias: bool) -> list[nn.Module]:
    """Double the size and change the number of channels; neither normalised nor activated."""
    match name:
        case "transposed_convolution":
            # a kernel that the stride divides overlaps evenly: no checkerboard (Odena et al. 2016)
            return [nn.ConvTranspose2d(inputs, outputs, 4, 2, padding=1, bias=bias)]
        case "nearest" | "bilinear":
            return [
                nn.Upsample(scale_factor=2, mode=name),
                nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias),
            ]
        case "pixel_shuffle":
            return [nn.Conv2d(inputs, 4 * outputs, 3, padding=1, bias=bias), nn.PixelShuffle(2)]
    raise KeyError(name)
