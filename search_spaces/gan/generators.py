"""From decisions to generators: fully connected, convolutional, of cells, and style-based."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

from torch import nn

from nas.core.space import Shape
from search_spaces.gan.conditioning import Conditioning
from search_spaces.gan.layers import Filling, build_doubling, build_styled_normalisation
from search_spaces.gan.modules import Generator, Layers, UpCell, UpCells
from search_spaces.gan.style import AdaptiveInstanceNorm, MappingNetwork, Noise, StyleBlock, StyleGenerator
from search_spaces.operations.layers import Size, build_activation, build_up_sampling, compute_sizes, compute_widths
from search_spaces.operations.names import UP_SAMPLINGS

Content = Mapping[str, Any]


def build_generator(content: Content, shape: Shape, conditioning: Conditioning, filling: Filling) -> nn.Module:
    """A generator of images (N, *shape) in [0, 1] from noise (N, latent)."""
    if content["generator"] == "style":
        return _build_style(content, shape, conditioning)
    code, inputs = conditioning.build_code(content["latent"])
    style, width = conditioning.build_style()
    if content["generator"] == "cells":
        return Generator(_build_cells(content, shape, inputs, width, filling), code, style)
    family = {"fully_connected": _build_fully_connected, "convolutional": _build_convolutional}
    layers = family[content["generator"]](content, shape, inputs, width)
    return Generator(layers, code, style)


def _join_layers(layers: list[nn.Module], style: int | None) -> nn.Module:
    return nn.Sequential(*layers) if style is None else Layers(layers)


def _build_fully_connected(content: Content, shape: Shape, inputs: int, style: int | None) -> nn.Module:
    norm, act, width = (content[f"generator_{name}"] for name in ("normalisation", "activation", "hidden_width"))
    layers: list[nn.Module] = []
    for _ in range(content["generator_layers"]):
        layers.append(nn.Linear(inputs, width, bias=norm == "none"))
        layers += [*build_styled_normalisation(norm, width, style, dimensions=0), build_activation(act)]
        inputs = width
    layers += [nn.Linear(inputs, math.prod(shape)), nn.Unflatten(1, shape), nn.Sigmoid()]
    return _join_layers(layers, style)


def _build_convolutional(content: Content, shape: Shape, inputs: int, style: int | None) -> nn.Module:
    """As DCGAN: the code to a small map, which grows to the image (Radford et al. 2016, figure 1)."""
    norm, act, stages = (content[f"generator_{name}"] for name in ("normalisation", "activation", "stages"))
    spots = compute_sizes(shape, stages)
    channels = compute_widths(content["generator_width"], content["generator_growth"], stages)
    before, bias = channels[-1], norm == "none"
    linear = nn.Linear(inputs, before * math.prod(spots[-1]), bias=bias)
    layers: list[nn.Module] = [linear, nn.Unflatten(1, (before, *spots[-1]))]
    layers += [*build_styled_normalisation(norm, before, style), build_activation(act)]
    for stage in reversed(range(stages)):
        last = stage == 0
        after = shape[0] if last else channels[stage - 1]
        small, large = spots[stage + 1], spots[stage]
        layers += build_up_sampling(content["up_sampling"], before, after, small, large, bias=bias or last)
        if not last:
            layers += [*build_styled_normalisation(norm, after, style), build_activation(act)]
        before = after
    return _join_layers([*layers, nn.Sigmoid()], style)


def _build_cells(content: Content, shape: Shape, inputs: int, style: int | None, filling: Filling) -> nn.Module:
    """Cells that each double the size; see search_spaces.gan.space for their decisions."""
    act, stages = content["generator_activation"], content["generator_stages"]
    spots = compute_sizes(shape, stages)[::-1]  # from the smallest map to the image
    channels = compute_widths(content["generator_width"], content["generator_growth"], stages)[::-1]
    start = nn.Linear(inputs, channels[0] * math.prod(spots[0])), nn.Unflatten(1, (channels[0], *spots[0]))
    channels = [*channels, channels[-1]]  # before and after each cell
    cells: list[nn.Module] = [
        _build_up_cell(content, stage, spots, channels, style, filling) for stage in range(stages)
    ]
    last = nn.Conv2d(channels[-1], shape[0], 3, padding=1)
    end = nn.Sequential(nn.BatchNorm2d(channels[-1]), build_activation(act), last, nn.Sigmoid())
    return UpCells(nn.Sequential(*start), cells, end)


def _build_up_cell(
    content: Content, stage: int, spots: list[Size], channels: list[int], style: int | None, filling: Filling
) -> UpCell:
    name = f"generator_stage{stage}"
    norm, up, act = content[f"{name}.normalisation"], f"{name}.up_sampling", content["generator_activation"]
    inputs, outputs = channels[stage], channels[stage + 1]
    size, grown = spots[stage], spots[stage + 1]

    def build_double() -> list[nn.Module]:
        return filling.layers(up, lambda way: build_doubling(way, inputs, size, grown))

    def build_ending(channels: int) -> list[nn.Module]:
        return [*build_styled_normalisation(norm, channels, style), build_activation(act)]

    double, convolution = build_double(), nn.Conv2d(inputs, outputs, 3, padding=1)
    if content[f"{name}.block"] == "residual":
        again = nn.Conv2d(outputs, outputs, 3, padding=1)
        if content[f"{name}.order"] == "pre_activation":
            first, second = [*build_ending(inputs), *double, convolution], [*build_ending(outputs), again]
        else:
            first, second = [*double, convolution, *build_ending(outputs)], [again, *build_ending(outputs)]
    else:
        first = [*double, convolution, *build_ending(outputs)]
        second = [filling.cell("generator_cell", outputs, norm, act)]
    shortcut = None
    if content[f"{name}.shortcut"]:
        shortcut = nn.Sequential(*build_double(), nn.Conv2d(inputs, outputs, 1))
    sources = tuple(earlier for earlier in range(stage) if content[f"{name}.skip_in{earlier}"])
    skips: list[nn.Module] = []
    for source in sources:
        bring = filling.layers(up, functools.partial(_build_skip, source, stage, spots, channels))
        skips.append(nn.Sequential(*bring, nn.Conv2d(channels[source + 1], outputs, 1)))
    return UpCell(Layers(first), Layers(second), shortcut, sources, skips)


def _build_skip(source: int, stage: int, spots: list[Size], channels: list[int], up: str) -> list[nn.Module]:
    """From the feature of an earlier cell to a later one's size (Gong et al. 2019, section 3.1)."""
    width = channels[source + 1]
    before, after = spots[source + 1], spots[stage + 1]
    if UP_SAMPLINGS[up] == "interpolation":
        return [] if before == after else [nn.Upsample(size=after, mode=up)]
    layers: list[nn.Module] = []
    for step in range(source + 1, stage + 1):
        layers += build_doubling(up, width, spots[step], spots[step + 1])
    return layers


def _build_style(content: Content, shape: Shape, conditioning: Conditioning) -> nn.Module:
    """A mapping network, and two styled blocks for every size (Karras et al. 2019, figure 1)."""
    code, inputs = conditioning.build_style_code(content["latent"])
    stages, act, width = content["generator_stages"], content["generator_activation"], content["style_width"]
    spots = compute_sizes(shape, stages)[::-1]
    channels = compute_widths(content["generator_width"], content["generator_growth"], stages)[::-1]

    def build_block(layers: list[nn.Module], outputs: int, size: Size) -> StyleBlock:
        noise = Noise(outputs, *size) if content["style_noise"] else nn.Identity()
        return StyleBlock(nn.Sequential(*layers), noise, build_activation(act), AdaptiveInstanceNorm(outputs, width))

    blocks: list[nn.Module] = [
        build_block([], channels[0], spots[0]),
        build_block([nn.Conv2d(channels[0], channels[0], 3, padding=1)], channels[0], spots[0]),
    ]
    before = channels[0]
    for stage, after in enumerate([*channels[1:], channels[-1]]):
        size, grown = spots[stage], spots[stage + 1]
        up = build_up_sampling(content["up_sampling"], before, after, size, grown, bias=True)
        blocks += [build_block(up, after, grown), build_block([nn.Conv2d(after, after, 3, padding=1)], after, grown)]
        before = after
    end = nn.Sequential(nn.Conv2d(before, shape[0], 1), nn.Sigmoid())
    mapping = MappingNetwork(inputs, width, content["mapping_depth"])
    height, across = spots[0]
    return StyleGenerator(mapping, blocks, end, channels[0], height, across, mixing=content["style_mixing"], code=code)
