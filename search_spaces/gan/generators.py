"""From decisions to generators: fully connected, convolutional, of cells, and style-based."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

from torch import nn

from nas.core.space import Shape
from search_spaces.gan.conditioning import Conditioning
from search_spaces.gan.layers import Filling, cropped, decided, doubled, normalised, widths
from search_spaces.gan.modules import Generator, Layers, UpCell, UpCells
from search_spaces.gan.style import AdaptiveInstanceNorm, MappingNetwork, Noise, StyleBlock, StyleGenerator
from search_spaces.operations.layers import activation, sizes, up_sampling

Content = Mapping[str, Any]


def build_generator(
    content: Content,
    shape: Shape,
    conditioning: Conditioning,
    filling: Filling | None = None,
) -> nn.Module:
    """A generator of images (N, *shape) in [0, 1] from noise (N, latent); `filling` if it is another than decided."""
    if content["generator"] == "style":
        return _style(content, shape, conditioning)
    code, inputs = conditioning.code(content["latent"])
    style, width = conditioning.style()
    if content["generator"] == "cells":
        return Generator(_cells(content, shape, inputs, width, filling or decided(content)), code, style)
    family = {"fully_connected": _fully_connected, "convolutional": _convolutional}
    layers = family[content["generator"]](content, shape, inputs, width)
    return Generator(layers, code, style)


def _row(layers: list[nn.Module], style: int | None) -> nn.Module:
    return nn.Sequential(*layers) if style is None else Layers(layers)


def _fully_connected(content: Content, shape: Shape, inputs: int, style: int | None) -> nn.Module:
    norm, width = content["generator_normalisation"], content["generator_hidden_width"]
    layers: list[nn.Module] = []
    for _ in range(content["generator_layers"]):
        layers.append(nn.Linear(inputs, width, bias=norm == "none"))
        layers += [*normalised(norm, width, style, spatial=False), activation(content["generator_activation"])]
        inputs = width
    layers += [nn.Linear(inputs, math.prod(shape)), nn.Unflatten(1, shape), nn.Sigmoid()]
    return _row(layers, style)


def _convolutional(content: Content, shape: Shape, inputs: int, style: int | None) -> nn.Module:
    """As DCGAN: the code to a small map, which grows to the image (Radford et al. 2016, figure 1)."""
    norm, act, stages = content["generator_normalisation"], content["generator_activation"], content["generator_stages"]
    spots = sizes(shape, stages)
    channels = widths(content["generator_width"], content["generator_growth"], stages)
    before, bias = channels[-1], norm == "none"
    layers: list[nn.Module] = [
        nn.Linear(inputs, before * math.prod(spots[-1]), bias=bias),
        nn.Unflatten(1, (before, *spots[-1])),
        *normalised(norm, before, style),
        activation(act),
    ]
    for stage in reversed(range(stages)):
        last = stage == 0
        after = shape[0] if last else channels[stage - 1]
        if spots[stage + 1] != spots[stage]:
            layers += up_sampling(content["up_sampling"], before, after, bias=bias or last)
            layers += cropped(spots[stage + 1], spots[stage])
        else:
            layers.append(nn.Conv2d(before, after, 3, padding=1, bias=bias or last))
        if not last:
            layers += [*normalised(norm, after, style), activation(act)]
        before = after
    return _row([*layers, nn.Sigmoid()], style)


def _cells(content: Content, shape: Shape, inputs: int, style: int | None, filling: Filling) -> nn.Module:
    """Cells that each double the size; see search_spaces.gan.space for their decisions."""
    act, stages = content["generator_activation"], content["generator_stages"]
    spots = sizes(shape, stages)[::-1]  # from the smallest map to the image
    channels = widths(content["generator_width"], content["generator_growth"], stages)[::-1]
    start = nn.Sequential(
        nn.Linear(inputs, channels[0] * math.prod(spots[0])), nn.Unflatten(1, (channels[0], *spots[0]))
    )
    channels = [*channels, channels[-1]]  # before and after each cell
    cells: list[nn.Module] = []
    for stage in range(stages):
        cells.append(_up_cell(content, stage, spots, channels, style, filling))
    end: list[nn.Module] = [
        nn.BatchNorm2d(channels[-1]),
        activation(act),
        nn.Conv2d(channels[-1], shape[0], 3, padding=1),
        nn.Sigmoid(),
    ]
    return UpCells(start, cells, nn.Sequential(*end))


def _up_cell(
    content: Content,
    stage: int,
    spots: list[tuple[int, int]],
    channels: list[int],
    style: int | None,
    filling: Filling,
) -> UpCell:
    name = f"generator_stage{stage}"
    norm, up, act = content[f"{name}.normalisation"], f"{name}.up_sampling", content["generator_activation"]
    inputs, outputs = channels[stage], channels[stage + 1]
    size, grown = spots[stage], spots[stage + 1]
    double = filling.layers(up, lambda way: doubled(way, inputs, size, grown))
    if content[f"{name}.block"] == "residual":
        between = [nn.Conv2d(inputs, outputs, 3, padding=1), nn.Conv2d(outputs, outputs, 3, padding=1)]
        if content[f"{name}.order"] == "pre_activation":
            first = [*normalised(norm, inputs, style), activation(act), *double, between[0]]
            second = [*normalised(norm, outputs, style), activation(act), between[1]]
        else:
            first = [*double, between[0], *normalised(norm, outputs, style), activation(act)]
            second = [between[1], *normalised(norm, outputs, style), activation(act)]
    else:
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
        first = [*double, convolution, *normalised(norm, outputs, style), activation(act)]
        second = [filling.cell("generator_cell", outputs, norm, act)]
    shortcut = None
    if content[f"{name}.shortcut"]:
        again = filling.layers(up, lambda way: doubled(way, inputs, size, grown))
        shortcut = nn.Sequential(*again, nn.Conv2d(inputs, outputs, 1))
    sources = tuple(earlier for earlier in range(stage) if content[f"{name}.skip_in{earlier}"])
    skips: list[nn.Module] = [
        nn.Sequential(
            *filling.layers(up, functools.partial(_brought, source, stage, spots, channels)),
            nn.Conv2d(channels[source + 1], outputs, 1),
        )
        for source in sources
    ]
    return UpCell(Layers(first), Layers(second), shortcut, sources, skips)


def _brought(source: int, stage: int, spots: list[tuple[int, int]], channels: list[int], up: str) -> list[nn.Module]:
    """From the feature of an earlier cell to a later one's size (Gong et al. 2019, section 3.1)."""
    width = channels[source + 1]
    before, after = spots[source + 1], spots[stage + 1]
    layers: list[nn.Module] = []
    if up in ("nearest", "bilinear"):
        if before != after:
            layers.append(nn.Upsample(size=after, mode=up))
    else:
        for step in range(source + 1, stage + 1):
            layers += doubled(up, width, spots[step], spots[step + 1])
    return layers


def _style(content: Content, shape: Shape, conditioning: Conditioning) -> nn.Module:
    """A mapping network, and two styled blocks for every size (Karras et al. 2019, figure 1)."""
    code, inputs = conditioning.style_code(content["latent"])
    stages, act, width = content["generator_stages"], content["generator_activation"], content["style_width"]
    spots = sizes(shape, stages)[::-1]
    channels = widths(content["generator_width"], content["generator_growth"], stages)[::-1]

    def block(layers: list[nn.Module], outputs: int, size: tuple[int, int]) -> StyleBlock:
        noise = Noise(outputs, *size) if content["style_noise"] else nn.Identity()
        return StyleBlock(nn.Sequential(*layers), noise, activation(act), AdaptiveInstanceNorm(outputs, width))

    def convolution(inputs: int, outputs: int) -> nn.Module:
        return nn.Conv2d(inputs, outputs, 3, padding=1)

    blocks: list[nn.Module] = [
        block([], channels[0], spots[0]),
        block([convolution(channels[0], channels[0])], channels[0], spots[0]),
    ]
    before = channels[0]
    for stage, after in enumerate([*channels[1:], channels[-1]]):
        size, grown = spots[stage], spots[stage + 1]
        if size != grown:
            up = [*up_sampling(content["up_sampling"], before, after, bias=True), *cropped(size, grown)]
        else:
            up = [convolution(before, after)]
        blocks += [block(up, after, grown), block([convolution(after, after)], after, grown)]
        before = after
    end = nn.Sequential(nn.Conv2d(before, shape[0], 1), nn.Sigmoid())
    mapping = MappingNetwork(inputs, width, content["mapping_depth"])
    return StyleGenerator(mapping, blocks, end, channels[0], *spots[0], mixing=content["style_mixing"], code=code)
