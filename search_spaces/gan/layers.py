"""The layers of pairs that are more than those of search_spaces.operations, and what builds its cells."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from torch import nn

from search_spaces.cells.encodings import ENCODINGS
from search_spaces.gan.modules import ConditionalScale
from search_spaces.operations.layers import Size, build_crop, build_normalisation
from search_spaces.operations.names import UP_SAMPLINGS


@dataclass(frozen=True)
class Filling:
    """What builds the cells and the up-samplings of a pair, which a supernet builds otherwise.

    Attributes:
        cell: builds a cell of its name (``generator_cell``), channels, normalisation and activation.
        layers: gives the layers where a site decides, given what builds those of each of its values.
    """

    cell: Callable[[str, int, str, str], nn.Module]
    layers: Callable[[str, Callable[[str], list[nn.Module]]], list[nn.Module]]

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Filling:
        """The cells and up-samplings that a genotype has decided."""
        return cls(functools.partial(ENCODINGS["edge"].build, content), lambda site, build: build(content[site]))


def build_styled_normalisation(name: str, channels: int, style: int | None, *, dimensions: int = 2) -> list[nn.Module]:
    """Normalisation; where there is a style of this width, scale and shift come from it instead of being learned."""
    layers = build_normalisation(name, channels, dimensions=dimensions, affine=style is None)
    return layers if style is None else [*layers, ConditionalScale(channels, style)]


def build_doubling(name: str, channels: int, before: Size, after: Size) -> list[nn.Module]:
    """From maps of one size to maps of twice that, less what rounding added; nothing if the sizes are the same."""
    if before == after:
        return []
    match UP_SAMPLINGS[name]:
        case "transposed_convolution":
            layers: list[nn.Module] = [nn.ConvTranspose2d(channels, channels, 2, 2)]
        case "interpolation":
            layers = [nn.Upsample(scale_factor=2, mode=name)]
        case "pixel_shuffle":
            layers = [nn.Conv2d(channels, 4 * channels, 1), nn.PixelShuffle(2)]
        case _ as kind:
            assert_never(kind)
    return layers + build_crop(before, after)


def set_momentum(module: nn.Module, momentum: float) -> None:
    """Give every batch normalisation this momentum, the weight of the newest batch (torch's sense)."""
    for layer in module.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            layer.momentum = momentum
