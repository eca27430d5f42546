"""Encoders and decoders of vectors: rows of fully connected layers, plain, residual or gated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.autoencoder.networks import name_activation
from search_spaces.operations.layers import build_activation, build_normalisation

Content = Mapping[str, Any]


class FillMissing(nn.Module):
    """Puts 0 where a value is missing, which is the mean of what was standardised."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) with NaN to the same shape without."""
        return torch.where(torch.isnan(x), torch.zeros_like(x), x)


class ResidualLayer(nn.Module):
    """A layer whose input is added to its output (He et al. 2016)."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """(N, width) to the same shape."""
        added: Tensor = x + self.layer(x)
        return added


class GatedLayer(nn.Module):
    """A layer whose output is multiplied by gates between 0 and 1 (Dauphin et al. 2017, equation 1)."""

    def __init__(self, layer: nn.Module, gate: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs) to (N, width)."""
        passed: Tensor = self.layer(x) * torch.sigmoid(self.gate(x))
        return passed


def build_layers_of_vectors(
    content: Content, values: int, code: int, inputs: int
) -> tuple[nn.Sequential, nn.Sequential]:
    """The encoder of vectors (N, inputs), which may lack values, and the decoder of codes (N, latent) to N values."""
    stages, width = content["stages"], content.get("hidden_width", 0)
    encoder = nn.Sequential(FillMissing(), *_build_row(content, inputs, width, stages, code))
    stages, width = content.get("decoder_stages", stages), content.get("decoder_hidden_width", width)
    return encoder, nn.Sequential(*_build_row(content, content["latent"], width, stages, values))


def _build_row(content: Content, inputs: int, width: int, count: int, outputs: int) -> list[nn.Module]:
    """`count` layers of `width` and a linear one."""
    row: list[nn.Module] = []
    for _ in range(count):
        layer = _build_layer(content, inputs, width)
        match content["network"]:
            case "residual" if inputs == width:
                layer = ResidualLayer(layer)
            case "gated":
                layer = GatedLayer(layer, nn.Linear(inputs, width))
        row.append(layer)
        inputs = width
    return [*row, nn.Linear(inputs, outputs)]


def _build_layer(content: Content, inputs: int, width: int) -> nn.Module:
    norm = content["normalisation"]
    linear = nn.Linear(inputs, width, bias=norm == "none")
    layers = [linear, *build_normalisation(norm, width, dimensions=0), build_activation(name_activation(content))]
    return nn.Sequential(*layers, *([nn.Dropout(content["dropout"])] if content["dropout"] else []))
