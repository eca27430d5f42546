"""From names to modules: the operations of search_spaces.operations.names, and the layers around them.

Convolutions are followed by normalisation and activation. All modules are plain trees of torch.nn's layers and of
search_spaces.operations.modules, so that the exporter can print them.
"""

from __future__ import annotations

import functools
import math
from typing import assert_never

from torch import nn

from nas.core.space import Shape
from search_spaces.operations.modules import Crop
from search_spaces.operations.names import ACTIVATIONS, DOWN_SAMPLINGS, OPERATIONS, UP_SAMPLINGS

Size = tuple[int, int]
"""Height and width of a map."""


def build_activation(name: str) -> nn.Module:
    """A new activation layer; `name` is a key of ACTIVATIONS."""
    kind, *arguments = ACTIVATIONS[name]
    layer: nn.Module = getattr(nn, kind)(*arguments)
    return layer


def _count_groups(channels: int) -> int:
    """The largest number of groups up to 8 that divides the channels (Wu & He 2018 find 8 to 32 alike)."""
    return next(groups for groups in range(min(8, channels), 0, -1) if channels % groups == 0)


def build_normalisation(name: str, channels: int, *, spatial: bool = True, affine: bool = True) -> list[nn.Module]:
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
            return [nn.GroupNorm(_count_groups(channels), channels, affine=affine)]
        case "layer":
            return [nn.GroupNorm(1, channels, affine=affine)]
        case "instance" if spatial:
            return [nn.InstanceNorm2d(channels, affine=affine)]
    raise KeyError(name)


def build_convolution(
    inputs: int,
    outputs: int,
    kernel: int,
    norm: str,
    act: str,
    *,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    affine: bool = True,
) -> nn.Sequential:
    """Convolution, normalisation, activation; with stride 1 the size is kept, with 2 halved and rounded up."""
    padding, bias = dilation * (kernel // 2), norm == "none"
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias)
    return nn.Sequential(convolution, *build_normalisation(norm, outputs, affine=affine), build_activation(act))


def build_operation(name: str, channels: int, norm: str, act: str, *, affine: bool = True) -> nn.Module:
    """A new operation; `name` is a key of OPERATIONS. It takes maps (N, channels, H, W) to the same shape.

    `affine` is whether a normalisation in it ends in a learned scale and shift.
    """
    operation = OPERATIONS[name]
    kernel, dilation = operation.kernel, operation.dilation
    convolve = functools.partial(build_convolution, channels, channels, norm=norm, act=act, affine=affine)
    match operation.kind:
        case "skip":
            return nn.Identity()
        case "convolution":
            return convolve(kernel, dilation=dilation)
        case "depthwise":  # each channel alone; one of the primitives of Liu et al. 2018 (hierarchical representations)
            return convolve(kernel, dilation=dilation, groups=channels)
        case "separable":  # depthwise and then pointwise, normalised and activated once (Chollet 2017)
            padding = dilation * (kernel // 2)
            depthwise = nn.Conv2d(channels, channels, kernel, 1, padding, dilation, groups=channels, bias=False)
            return nn.Sequential(depthwise, *convolve(1))
        case "average_pooling":
            return nn.AvgPool2d(kernel, 1, padding=kernel // 2, count_include_pad=False)
        case "max_pooling":
            return nn.MaxPool2d(kernel, 1, padding=kernel // 2)
        case _:
            assert_never(operation.kind)


def compute_sizes(shape: Shape, stages: int) -> list[Size]:
    """Height and width before and after each stage: halved, rounded up, while both sides are at least 4."""
    row = [(shape[1], shape[2])]
    for _ in range(stages):
        height, width = row[-1]
        halve = min(height, width) >= 4
        row.append((math.ceil(height / 2), math.ceil(width / 2)) if halve else (height, width))
    return row


def compute_widths(width: int, growth: float, stages: int) -> list[int]:
    """Channels of every stage, the one next to the image first, in multiples of 8 so that groups divide them."""
    return [max(8, 8 * round(width * growth**stage / 8)) for stage in range(stages)]


def build_pool(name: str) -> nn.Module:
    """The layer that halves the size, rounded up, by pooling; `name` is a key of DOWN_SAMPLINGS that pools."""
    kind = DOWN_SAMPLINGS[name]
    if kind is None:
        raise KeyError(name)
    layer: nn.Module = getattr(nn, kind)(2, ceil_mode=True)
    return layer


def build_down_sampling(
    name: str, inputs: int, outputs: int, norm: str, act: str, *, halve: bool = True
) -> nn.Sequential:
    """Change the number of channels and, if `halve`, halve the size, rounded up; `name` is a key of DOWN_SAMPLINGS."""
    if not halve or DOWN_SAMPLINGS[name] is None:
        return build_convolution(inputs, outputs, 3, norm, act, stride=2 if halve else 1)
    return nn.Sequential(build_pool(name), *build_convolution(inputs, outputs, 3, norm, act))


def build_up_sampling(
    name: str, inputs: int, outputs: int, before: Size, after: Size, *, bias: bool
) -> list[nn.Module]:
    """From maps of one size to maps of about twice that, or of the same, with another number of channels.

    They are neither normalised nor activated; `name` is a key of UP_SAMPLINGS.
    """
    if before == after:
        return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)]
    match UP_SAMPLINGS[name]:
        case "transposed_convolution":
            # a kernel that the stride divides overlaps evenly: no checkerboard (Odena et al. 2016)
            layers: list[nn.Module] = [nn.ConvTranspose2d(inputs, outputs, 4, 2, padding=1, bias=bias)]
        case "interpolation":
            layers = [nn.Upsample(scale_factor=2, mode=name), nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)]
        case "pixel_shuffle":
            layers = [nn.Conv2d(inputs, 4 * outputs, 3, padding=1, bias=bias), nn.PixelShuffle(2)]
        case _ as kind:
            assert_never(kind)
    return layers + build_crop(before, after)


def build_crop(before: Size, after: Size) -> list[nn.Module]:
    """What takes off the surplus where doubling has gone too far: no or one layer."""
    return [] if after == (2 * before[0], 2 * before[1]) else [Crop(*after)]
