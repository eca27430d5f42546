"""From an autoencoder's decisions to its modules."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from nas.core.space import Shape
from search_spaces.autoencoder.assembly import assemble
from search_spaces.autoencoder.families import FAMILIES
from search_spaces.autoencoder.modules import ContinuousBernoulliMean, LogisticMixture
from search_spaces.autoencoder.networks import name_activation
from search_spaces.autoencoder.sequences import build_recurrent
from search_spaces.autoencoder.vectors import FillMissing, build_layers_of_vectors
from search_spaces.cells.encodings import ENCODINGS
from search_spaces.operations.layers import (
    build_activation,
    build_down_sampling,
    build_normalisation,
    build_up_sampling,
    compute_sizes,
    compute_widths,
    find_layer,
)

Content = Mapping[str, Any]
BuildCell = Callable[[str, int, str, str], nn.Module]
"""What builds a cell of its name (``encoder_cell``), channels, normalisation and activation."""


def build(content: Content, shape: Shape, build_cell: BuildCell | None = None, classes: int = 0) -> nn.Module:
    """The model of validated decisions for examples (N, *shape).

    Args:
        build_cell: builds other cells than were decided.
        classes: how many classes of examples there are, for families that know of them.
    """

    def build_decided(name: str, channels: int, norm: str, act: str) -> nn.Module:
        return ENCODINGS[content["cells"]].build(content, name, channels, norm, act, len(shape) - 1)

    def build_halves(code: int, inputs: int) -> tuple[nn.Sequential, nn.Sequential]:
        """The encoder of examples with so many channels or numbers to `code` values, and the decoder."""
        if len(shape) == 1:
            return build_layers_of_vectors(content, shape[0], code, inputs)
        if content["network"] == "convolutional":
            cell = build_cell or build_decided
            encoder, decoder = _build_convolutional(content, shape, code, inputs, outputs, cell)
        elif content["network"] == "recurrent":
            encoder, decoder = build_recurrent(content, shape, code, inputs)
        else:
            encoder, decoder = _build_fully_connected(content, shape, code, inputs, outputs)
        return (nn.Sequential(FillMissing(), *encoder), decoder) if len(shape) == 2 else (encoder, decoder)

    outputs, components = shape[0], content.get("logistic_components", 0)
    if components:
        outputs = components * (1 + 2 * shape[0])
    decided, family = content, FAMILIES[content["family"]]
    classes = classes if family.labels else 0
    values = content["latent"] * content.get("categories", 1)
    content = {**content, "latent": values + classes}  # that of layers is the decoder's number of inputs
    normal = family.variational and "categories" not in content
    halves = build_halves(values * (2 if normal else 1), shape[0] + classes)
    classifier = build_halves(classes, shape[0])[0] if decided["family"] == "semi_supervised" else None
    output: nn.Module = nn.Sigmoid()
    if len(shape) < 3:
        output = nn.Identity()
    elif components:
        output = LogisticMixture(components, shape[0])
    elif content.get("output") == "linear":  # cut to the range of images: outside of it there is nothing to gain
        output = nn.Hardtanh(0.0, 1.0)
    elif content.get("likelihood") == "continuous_bernoulli":
        output = ContinuousBernoulliMean()
    return assemble(decided, shape, *halves, output, classes, classifier)


def _build_fully_connected(
    content: Content, shape: Shape, code: int, inputs: int, outputs: int
) -> tuple[nn.Sequential, nn.Sequential]:
    made, norm, act = (outputs, *shape[1:]), content["normalisation"], name_activation(content)

    def build_layers(inputs: int, width: int, count: int) -> list[nn.Module]:
        row: list[nn.Module] = []
        for _ in range(count):
            row.append(nn.Linear(inputs, width, bias=norm == "none"))
            row += [*build_normalisation(norm, width, dimensions=0), build_activation(act)]
            inputs = width
        return row

    width, count = content["hidden_width"], content["stages"]
    layers = build_layers(math.prod((inputs, *shape[1:])), width, count)
    encoder = nn.Sequential(nn.Flatten(), *layers, nn.Linear(width, code))
    width, count = content.get("decoder_hidden_width", width), content.get("decoder_stages", count)
    decoder = nn.Sequential(
        *build_layers(content["latent"], width, count), nn.Linear(width, math.prod(made)), nn.Unflatten(1, made)
    )
    return encoder, decoder


def _build_convolutional(
    content: Content, shape: Shape, code: int, inputs: int, outputs: int, build_cell: BuildCell
) -> tuple[nn.Sequential, nn.Sequential]:
    norm, act, stages = content["normalisation"], content["activation"], content["stages"]
    spots, dimensions = compute_sizes(shape, stages), len(shape) - 1
    down = functools.partial(build_down_sampling, content["down_sampling"], norm=norm, act=act, dimensions=dimensions)

    widths = compute_widths(content["width"], content["width_growth"], stages)
    cell = "encoder_cell"
    layers: list[nn.Module] = []
    channels = inputs
    for stage, width in enumerate(widths):
        halve = spots[stage] != spots[stage + 1]
        layers.append(down(channels, width, halve=halve))
        layers.append(build_cell(cell, width, norm, act))
        channels = width
    values = channels * math.prod(spots[-1])
    encoder = nn.Sequential(*layers, nn.Flatten(), nn.Linear(values, code))

    if content["decoder"] == "searched":
        widths = compute_widths(content["decoder_width"], content["width_growth"], stages)
        cell = "decoder_cell"
    channels = widths[-1]
    bias = norm == "none"
    linear = nn.Linear(content["latent"], channels * math.prod(spots[-1]), bias=bias)
    decoder: list[nn.Module] = [linear, nn.Unflatten(1, (channels, *spots[-1]))]
    decoder += [*build_normalisation(norm, channels, dimensions=dimensions), build_activation(act)]
    for stage in reversed(range(stages)):
        decoder.append(build_cell(cell, channels, norm, act))
        last = stage == 0
        direct = last and content["head"] == "direct"
        width = outputs if direct else widths[max(stage - 1, 0)]
        before, after = spots[stage + 1], spots[stage]
        decoder += build_up_sampling(content["up_sampling"], channels, width, before, after, bias=bias or direct)
        if not direct:
            decoder += [*build_normalisation(norm, width, dimensions=dimensions), build_activation(act)]
        channels = width
    if content["head"] == "convolution":
        decoder.append(find_layer("Conv", dimensions)(channels, outputs, 3, padding=1))
    return encoder, nn.Sequential(*decoder)
