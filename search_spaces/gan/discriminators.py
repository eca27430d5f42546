"""From decisions to discriminators: fully connected, strided or pooling convolutions, and searched cells."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import nn

from nas.core.space import Shape
from search_spaces.gan.conditioning import Conditioning
from search_spaces.gan.discriminator_modules import (
    Discriminator,
    MinibatchDiscrimination,
    MinibatchStandardDeviation,
    SumPool,
)
from search_spaces.gan.layers import Filling
from search_spaces.operations.layers import (
    build_activation,
    build_convolution,
    build_down_sampling,
    build_normalisation,
    compute_sizes,
    compute_widths,
)

Content = Mapping[str, Any]
KERNELS, DIMENSIONS = 32, 8  # of minibatch discrimination


def build_discriminator(content: Content, shape: Shape, conditioning: Conditioning, filling: Filling) -> nn.Module:
    """A discriminator of images (N, *shape), spectral normalisation not yet around its layers."""
    if content["discriminator"] == "fully_connected":
        layers, features = _build_fully_connected(content, shape)
    else:
        layers, features = _build_stages(content, shape, filling)
    if content["minibatch"] == "discrimination":
        layers.append(MinibatchDiscrimination(features, KERNELS, DIMENSIONS))
        features += KERNELS
    return Discriminator(nn.Sequential(*layers), conditioning.build_head(features))


def _name_normalisation(content: Content) -> str:
    return "batch" if content.get("discriminator_batch_norm") else str(content["discriminator_normalisation"])


def _build_dropout(content: Content) -> list[nn.Module]:
    return [nn.Dropout(content["dropout"])] if content["dropout"] > 0 else []


def _build_fully_connected(content: Content, shape: Shape) -> tuple[list[nn.Module], int]:
    norm, act = _name_normalisation(content), content["discriminator_activation"]
    inputs, width = math.prod(shape), content["discriminator_hidden_width"]
    layers: list[nn.Module] = [nn.Flatten()]
    for layer in range(content["discriminator_layers"]):
        here = "none" if layer == 0 else norm
        layers.append(nn.Linear(inputs, width, bias=here == "none"))
        layers += [*build_normalisation(here, width, dimensions=0), build_activation(act), *_build_dropout(content)]
        inputs = width
    if content["minibatch"] == "standard_deviation":
        layers.append(MinibatchStandardDeviation())
        inputs += 1
    return layers, inputs


def _build_stages(content: Content, shape: Shape, filling: Filling) -> tuple[list[nn.Module], int]:
    """Stages that halve the size; the first is not normalised, as in DCGAN (Radford et al. 2016, section 3)."""
    norm, act = _name_normalisation(content), content["discriminator_activation"]
    down, stages = content["down_sampling"], content["discriminator_stages"]
    strided = content["discriminator"] == "convolutional" and down == "strided_convolution"
    layers: list[nn.Module] = []
    channels, size = shape[0], shape[1:]
    widths = compute_widths(content["discriminator_width"], content["discriminator_growth"], stages)
    for stage, width in enumerate(widths):
        here = "none" if stage == 0 else norm
        if min(size) < 4:
            layers.append(build_convolution(channels, width, 3, here, act))
        elif strided:  # DCGAN's own: a kernel of 4, so that the size is halved and rounded down
            layers.append(nn.Conv2d(channels, width, 4, 2, padding=1, bias=here == "none"))
            layers += [*build_normalisation(here, width), build_activation(act)]
            size = size[0] // 2, size[1] // 2
        else:
            layers.append(build_down_sampling(down, channels, width, here, act))
            size = compute_sizes((1, *size), 1)[-1]
        if content["discriminator"] == "cells":
            layers.append(filling.cell("discriminator_cell", width, norm, act))
        layers += _build_dropout(content)
        channels = width
    if content["minibatch"] == "standard_deviation":  # and one more convolution over it, as Karras et al. 2018
        layers += [MinibatchStandardDeviation(), nn.Conv2d(channels + 1, channels, 3, padding=1), build_activation(act)]
    if content["discriminator_head"] == "sum":
        return [*layers, SumPool()], channels
    return [*layers, nn.Flatten()], channels * math.prod(size)
