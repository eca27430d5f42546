"""Layers that both halves of a pair are made of, and how they are initialised."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from search_spaces.cells.encodings import ENCODINGS
from search_spaces.cells.modules import Crop
from search_spaces.gan.discriminator_modules import SpectralNorm
from search_spaces.gan.modules import ConditionalScale
from search_spaces.operations.layers import normalisation

Size = tuple[int, int]
"""Height and width of a map."""


@dataclass(frozen=True)
class Filling:
    """What is put into the frame of a pair.

    Attributes:
        cell: of a cell's name (``generator_cell``), channels, normalisation and activation, the cell.
        layers: of a site and of what its values stand for, the layers there.
    """

    cell: Callable[[str, int, str, str], nn.Module]
    layers: Callable[[str, Callable[[str], list[nn.Module]]], list[nn.Module]]


def decided(content: Mapping[str, Any]) -> Filling:
    """What was decided."""
    return Filling(functools.partial(ENCODINGS["edge"].build, content), lambda site, make: make(content[site]))


def widths(width: int, growth: float, stages: int) -> list[int]:
    """Channels of every stage, the one next to the image first, in multiples of 8 so that groups divide them."""
    return [max(8, 8 * round(width * growth**stage / 8)) for stage in range(stages)]


def normalised(name: str, channels: int, style: int | None, *, spatial: bool = True) -> list[nn.Module]:
    """Normalisation; where there is a style of this width, scale and shift come from it instead of being learned."""
    layers = normalisation(name, channels, spatial=spatial, affine=style is None)
    return layers if style is None else [*layers, ConditionalScale(channels, style)]


def doubled(name: str, channels: int, before: Size, after: Size) -> list[nn.Module]:
    """From maps of one size to maps of twice that, less what rounding added; nothing if the sizes are the same."""
    if before == after:
        return []
    match name:
        case "transposed_convolution":
            layers: list[nn.Module] = [nn.ConvTranspose2d(channels, channels, 2, 2)]
        case "nearest" | "bilinear":
            layers = [nn.Upsample(scale_factor=2, mode=name)]
        case "pixel_shuffle":
            layers = [nn.Conv2d(channels, 4 * channels, 1), nn.PixelShuffle(2)]
        case _:
            raise KeyError(name)
    return layers + cropped(before, after)


def cropped(before: Size, after: Size) -> list[nn.Module]:
    """What takes off the surplus where doubling has gone too far."""
    return [] if after == (2 * before[0], 2 * before[1]) else [Crop(*after)]


def initialise(module: nn.Module, name: str) -> None:
    """Set weights anew, in place: ``dcgan``, ``orthogonal``, ``xavier``, or as torch has made them, ``default``.

    ``dcgan`` is Radford et al. 2016, section 4: all weights N(0, 0.02), and as in their code scales of normalisations
    N(1, 0.02). Layers with a start of their own, a mapping network's or a condition's, keep it.
    """
    if name == "default":
        return
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            match name:
                case "dcgan":
                    nn.init.normal_(layer.weight, 0.0, 0.02)
                case "orthogonal":
                    nn.init.orthogonal_(layer.weight)
                case "xavier":
                    nn.init.xavier_uniform_(layer.weight)
                case _:
                    raise KeyError(name)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif name == "dcgan" and isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm)) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, 0.02)


def spectrally_normalised(module: nn.Module) -> nn.Module:
    """The module with spectral normalisation around each convolution, linear layer and embedding, as SN-GAN has it."""
    if isinstance(module, (nn.Conv2d, nn.Linear, nn.Embedding)):
        return SpectralNorm(module)
    for name, child in module.named_children():
        setattr(module, name, spectrally_normalised(child))
    return module


def set_momentum(module: nn.Module, momentum: float) -> None:
    """Give every batch normalisation this momentum, the weight of the newest batch (torch's sense)."""
    for layer in module.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            layer.momentum = momentum
