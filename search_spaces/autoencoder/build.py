"""From an autoencoder's decisions to its modules."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from nas.core.space import Shape
from search_spaces.autoencoder.modules import Autoencoder, VariationalAutoencoder
from search_spaces.cells.encodings import ENCODINGS
from search_spaces.cells.modules import Crop
from search_spaces.operations.layers import activation, convolution, down_sampling, normalisation, sizes, up_sampling

Content = Mapping[str, Any]
MakeCell = Callable[[str, int, str, str], nn.Module]
"""What makes a cell of its name (``encoder_cell``), channels, normalisation and activation."""


def build(content: Content, shape: Shape, make_cell: MakeCell | None = None) -> nn.Module:
    """The model of validated decisions for images (N, *shape); `make_cell` makes other cells than were decided."""

    def decided_cell(name: str, channels: int, norm: str, act: str) -> nn.Module:
        return ENCODINGS[content["cells"]].build(content, name, channels, norm, act)

    variational = content["family"] == "variational"
    code = content["latent"] * (2 if variational else 1)
    if content["network"] == "convolutional":
        encoder, decoder = _convolutional(content, shape, code, make_cell or decided_cell)
    else:
        encoder, decoder = _fully_connected(content, shape, code)
    # a linear output is cut to the range of images: outside of it there is nothing to gain
    linear = content.get("output") == "linear"
    output = nn.Hardtanh(0.0, 1.0) if linear else nn.Sigmoid()
    return (VariationalAutoencoder if variational else Autoencoder)(encoder, decoder, output)


def _fully_connected(content: Content, shape: Shape, code: int) -> tuple[nn.Module, nn.Module]:
    values, norm, act = math.prod(shape), content["normalisation"], content["activation"]

    def layers(inputs: int, width: int, count: int) -> list[nn.Module]:
        row: list[nn.Module] = []
        for _ in range(count):
            row.append(nn.Linear(inputs, width, bias=norm == "none"))
            row += [*normalisation(norm, width, spatial=False), activation(act)]
            inputs = width
        return row

    width, count = content["hidden_width"], content["stages"]
    encoder = nn.Sequential(nn.Flatten(), *layers(values, width, count), nn.Linear(width, code))
    width, count = content.get("decoder_hidden_width", width), content.get("decoder_stages", count)
    decoder = nn.Sequential(*layers(content["latent"], width, count), nn.Linear(width, values), nn.Unflatten(1, shape))
    return encoder, decoder


def _channels(width: int, growth: float, stages: int) -> list[int]:
    """Channels of every stage, in multiples of 8 so that groups divide them."""
    return [max(8, 8 * round(width * growth**stage / 8)) for stage in range(stages)]


def _convolutional(content: Content, shape: Shape, code: int, make_cell: MakeCell) -> tuple[nn.Module, nn.Module]:
    norm, act, stages = content["normalisation"], content["activation"], content["stages"]
    spots = sizes(shape, stages)

    widths = _channels(content["width"], content["width_growth"], stages)
    cell = "encoder_cell"
    layers: list[nn.Module] = []
    channels = shape[0]
    for stage, width in enumerate(widths):
        if spots[stage] != spots[stage + 1]:
            layers.append(down_sampling(content["down_sampling"], channels, width, norm, act))
        else:
            layers.append(convolution(channels, width, 3, norm, act))
        layers.append(make_cell(cell, width, norm, act))
        channels = width
    values = channels * math.prod(spots[-1])
    encoder = nn.Sequential(*layers, nn.Flatten(), nn.Linear(values, code))

    if content["decoder"] == "searched":
        widths = _channels(content["decoder_width"], content["width_growth"], stages)
        cell = "decoder_cell"
    channels = widths[-1]
    bias = norm == "none"
    decoder: list[nn.Module] = [
        nn.Linear(content["latent"], channels * math.prod(spots[-1]), bias=bias),
        nn.Unflatten(1, (channels, *spots[-1])),
        *normalisation(norm, channels),
        activation(act),
    ]
    for stage in reversed(range(stages)):
        decoder.append(make_cell(cell, channels, norm, act))
        last = stage == 0
        direct = last and content["head"] == "direct"
        width = shape[0] if direct else widths[max(stage - 1, 0)]
        if spots[stage] != spots[stage + 1]:
            decoder += up_sampling(content["up_sampling"], channels, width, bias=bias or direct)
            doubled = tuple(2 * side for side in spots[stage + 1])
            if doubled != spots[stage]:
                decoder.append(Crop(*spots[stage]))
        else:
            decoder.append(nn.Conv2d(channels, width, 3, padding=1, bias=bias or direct))
        if not direct:
            decoder += [*normalisation(norm, width), activation(act)]
        channels = width
    if content["head"] == "convolution":
        decoder.append(nn.Conv2d(channels, shape[0], 3, padding=1))
    return encoder, nn.Sequential(*decoder)
