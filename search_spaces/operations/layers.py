"""From names to modules: the operations of search_spaces.operations.names, and the layers around them.

Convolutions are followed by normalisation and activation. All modules are plain trees of torch.nn's layers and of
search_spaces.operations.modules, so that the exporter can print them.

Maps have two `dimensions` (N, C, H, W), sequences one (N, C, T), and vectors (N, C) none. What is named for maps holds
for sequences: a window of 3x3 is one of 3 steps, and bilinear interpolation is linear.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import assert_never

from torch import nn

from nas.core.space import Shape
from search_spaces.operations.modules import Crop, CropSteps, StepShuffle
from search_spaces.operations.names import DOWN_SAMPLINGS, LAYER_ACTIVATIONS, OPERATIONS, UP_SAMPLINGS

Size = tuple[int, ...]
"""Height and width of a map, or the steps of a sequence."""


def find_layer(kind: str, dimensions: int) -> Callable[..., nn.Module]:
    """Torch's layer of a kind for maps or for sequences: ``Conv2d`` or ``Conv1d`` of ``Conv``."""
    layer: Callable[..., nn.Module] = getattr(nn, f"{kind}{dimensions}d")
    return layer


def build_activation(name: str) -> nn.Module:
    """A new activation layer; `name` is a key of LAYER_ACTIVATIONS."""
    kind, *arguments = LAYER_ACTIVATIONS[name]
    layer: nn.Module = getattr(nn, kind)(*arguments)
    return layer


def _count_groups(channels: int) -> int:
    """The largest number of groups up to 8 that divides the channels (Wu & He 2018 find 8 to 32 alike)."""
    return next(groups for groups in range(min(8, channels), 0, -1) if channels % groups == 0)


def build_normalisation(name: str, channels: int, *, dimensions: int = 2, affine: bool = True) -> list[nn.Module]:
    """Normalisation over `channels` as a list of no or one layer.

    Layer normalisation of maps is over channels and positions together: group normalisation with one group.
    `affine` is whether it ends in a learned scale and shift. Instance normalisation is for maps alone.
    """
    match name:
        case "none":
            return []
        case "batch":
            return [find_layer("BatchNorm", dimensions or 1)(channels, affine=affine)]
        case "group":
            return [nn.GroupNorm(_count_groups(channels), channels, affine=affine)]
        case "layer":
            return [nn.GroupNorm(1, channels, affine=affine)]
        case "instance" if dimensions == 2:
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
    dimensions: int = 2,
) -> nn.Sequential:
    """Convolution, normalisation, activation; with stride 1 the size is kept, with 2 halved and rounded up."""
    padding, bias = dilation * (kernel // 2), norm == "none"
    convolution = find_layer("Conv", dimensions)(inputs, outputs, kernel, stride, padding, dilation, groups, bias)
    normalisation = build_normalisation(norm, outputs, dimensions=dimensions, affine=affine)
    return nn.Sequential(convolution, *normalisation, build_activation(act))


def build_operation(
    name: str, channels: int, norm: str, act: str, *, affine: bool = True, dimensions: int = 2
) -> nn.Module:
    """A new operation; `name` is a key of OPERATIONS. It takes maps (N, channels, H, W) to the same shape.

    `affine` is whether a normalisation in it ends in a learned scale and shift.
    """
    operation = OPERATIONS[name]
    kernel, dilation = operation.kernel, operation.dilation
    convolve = functools.partial(
        build_convolution, channels, channels, norm=norm, act=act, affine=affine, dimensions=dimensions
    )
    match operation.kind:
        case "skip":
            return nn.Identity()
        case "convolution":
            return convolve(kernel, dilation=dilation)
        case "depthwise":  # each channel alone; one of the primitives of Liu et al. 2018 (hierarchical representations)
            return convolve(kernel, dilation=dilation, groups=channels)
        case "separable":  # depthwise and then pointwise, normalised and activated once (Chollet 2017)
            padding = dilation * (kernel // 2)
            plain = find_layer("Conv", dimensions)
            depthwise = plain(channels, channels, kernel, 1, padding, dilation, groups=channels, bias=False)
            return nn.Sequential(depthwise, *convolve(1))
        case "average_pooling":
            return find_layer("AvgPool", dimensions)(kernel, 1, padding=kernel // 2, count_include_pad=False)
        case "max_pooling":
            return find_layer("MaxPool", dimensions)(kernel, 1, padding=kernel // 2)
        case _:
            assert_never(operation.kind)


def compute_sizes(shape: Shape, stages: int) -> list[Size]:
    """The size before and after each stage: halved, rounded up, while all sides are at least 4."""
    row: list[Size] = [tuple(shape[1:])]
    for _ in range(stages):
        sides = row[-1]
        row.append(tuple(math.ceil(side / 2) for side in sides) if min(sides) >= 4 else sides)
    return row


def compute_widths(width: int, growth: float, stages: int) -> list[int]:
    """Channels of every stage, the one next to the image first, in multiples of 8 so that groups divide them."""
    return [max(8, 8 * round(width * growth**stage / 8)) for stage in range(stages)]


def build_pool(name: str, dimensions: int = 2) -> nn.Module:
    """The layer that halves the size, rounded up, by pooling; `name` is a key of DOWN_SAMPLINGS that pools."""
    kind = DOWN_SAMPLINGS[name]
    if kind is None:
        raise KeyError(name)
    return find_layer(kind, dimensions)(2, ceil_mode=True)


def build_down_sampling(
    name: str, inputs: int, outputs: int, norm: str, act: str, *, halve: bool = True, dimensions: int = 2
) -> nn.Sequential:
    """Change the number of channels and, if `halve`, halve the size, rounded up; `name` is a key of DOWN_SAMPLINGS."""
    convolve = functools.partial(build_convolution, inputs, outputs, 3, norm, act, dimensions=dimensions)
    if not halve or DOWN_SAMPLINGS[name] is None:
        return convolve(stride=2 if halve else 1)
    return nn.Sequential(build_pool(name, dimensions), *convolve())


def build_up_sampling(
    name: str, inputs: int, outputs: int, before: Size, after: Size, *, bias: bool
) -> list[nn.Module]:
    """From maps of one size to maps of about twice that, or of the same, with another number of channels.

    They are neither normalised nor activated; `name` is a key of UP_SAMPLINGS.
    """
    dimensions = len(before)
    convolution = find_layer("Conv", dimensions)
    if before == after:
        return [convolution(inputs, outputs, 3, padding=1, bias=bias)]
    match UP_SAMPLINGS[name]:
        case "transposed_convolution":
            # a kernel that the stride divides overlaps evenly: no checkerboard (Odena et al. 2016)
            layers = [find_layer("ConvTranspose", dimensions)(inputs, outputs, 4, 2, padding=1, bias=bias)]
        case "interpolation":
            mode = name if dimensions == 2 else name.removeprefix("bi")
            layers = [nn.Upsample(scale_factor=2, mode=mode), convolution(inputs, outputs, 3, padding=1, bias=bias)]
        case "pixel_shuffle":
            shuffle = nn.PixelShuffle(2) if dimensions == 2 else StepShuffle(2)
            layers = [convolution(inputs, 2**dimensions * outputs, 3, padding=1, bias=bias), shuffle]
        case _ as kind:
            assert_never(kind)
    return layers + build_crop(before, after)


def build_crop(before: Size, after: Size) -> list[nn.Module]:
    """What takes off the surplus where doubling has gone too far: no or one layer."""
    if after == tuple(2 * side for side in before):
        return []
    return [Crop(*after) if len(after) == 2 else CropSteps(*after)]
