"""AutoGAN's pair as modules: its generator is of the cells family, its discriminator is fixed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from nas.core.space import Shape
from search_spaces.cells.modules import Cell, Node
from search_spaces.gan.conditioning import Conditioning
from search_spaces.gan.discriminator_modules import Discriminator, SumPool
from search_spaces.gan.generators import build_generator
from search_spaces.gan.layers import initialise, spectrally_normalised
from search_spaces.gan.modules import Gan


def build(content: Mapping[str, Any], shape: Shape, channels: int) -> Gan:
    """The pair for images (N, *shape); `channels` are the discriminator's."""
    generator = build_generator(content, shape, Conditioning("none", None))
    gan = Gan(generator, discriminator(shape, channels), content["latent"])
    initialise(gan, "xavier")
    spectrally_normalised(gan.discriminator)
    return gan


def discriminator(shape: Shape, channels: int) -> Discriminator:
    """Four residual blocks, the first two halving the size, and a linear layer over the sum of all positions."""
    features = nn.Sequential(
        _first_block(shape[0], channels),
        _block(channels, halve=True),
        _block(channels, halve=False),
        _block(channels, halve=False),
        nn.ReLU(),
        SumPool(),
    )
    return Discriminator(features, nn.Linear(channels, 1, bias=False))


def _convolution(inputs: int, outputs: int, kernel: int = 3) -> nn.Module:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


def _halve() -> nn.Module:
    return nn.AvgPool2d(2, ceil_mode=True)


def _sum(residual: list[nn.Module], shortcut: list[nn.Module]) -> nn.Module:
    return Cell([Node((0, 0), [nn.Sequential(*residual), nn.Sequential(*shortcut)])], (1,))


def _first_block(inputs: int, channels: int) -> nn.Module:
    residual = [_convolution(inputs, channels), nn.ReLU(), _convolution(channels, channels), _halve()]
    return _sum(residual, [_halve(), _convolution(inputs, channels, 1)])


def _block(channels: int, *, halve: bool) -> nn.Module:
    residual = [nn.ReLU(), _convolution(channels, channels), nn.ReLU(), _convolution(channels, channels)]
    if not halve:
        return _sum(residual, [])
    return _sum([*residual, _halve()], [_convolution(channels, channels, 1), _halve()])
