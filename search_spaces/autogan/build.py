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
from search_spaces.gan.layers import Filling
from search_spaces.gan.modules import Gan
from search_spaces.operations.initialisation import apply_spectral_norm, initialise_weights
from search_spaces.operations.layers import build_pool


def build_pair(content: Mapping[str, Any], shape: Shape, channels: int) -> Gan:
    """The pair for images (N, *shape); `channels` are the discriminator's."""
    generator = build_generator(content, shape, Conditioning("none", None), Filling.of(content))
    gan = Gan(generator, build_discriminator(shape, channels), content["latent"])
    initialise_weights(gan, "xavier")
    apply_spectral_norm(gan.discriminator)
    return gan


def build_discriminator(shape: Shape, channels: int) -> Discriminator:
    """Four residual blocks, the first two halving the size, and a linear layer over the sum of all positions."""
    first = _build_first_block(shape[0], channels)
    blocks = [_build_block(channels, halve=halve) for halve in (True, False, False)]
    features = nn.Sequential(first, *blocks, nn.ReLU(), SumPool())
    return Discriminator(features, nn.Linear(channels, 1, bias=False))


def _build_convolution(inputs: int, outputs: int, kernel: int = 3) -> nn.Module:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


def _add(residual: list[nn.Module], shortcut: list[nn.Module]) -> nn.Module:
    return Cell([Node((0, 0), [nn.Sequential(*residual), nn.Sequential(*shortcut)])], (1,))


def _build_first_block(inputs: int, channels: int) -> nn.Module:
    first, second = _build_convolution(inputs, channels), _build_convolution(channels, channels)
    residual = [first, nn.ReLU(), second, build_pool("average")]
    return _add(residual, [build_pool("average"), _build_convolution(inputs, channels, 1)])


def _build_block(channels: int, *, halve: bool) -> nn.Module:
    residual = [nn.ReLU(), _build_convolution(channels, channels), nn.ReLU(), _build_convolution(channels, channels)]
    if not halve:
        return _add(residual, [])
    return _add([*residual, build_pool("average")], [_build_convolution(channels, channels, 1), build_pool("average")])
