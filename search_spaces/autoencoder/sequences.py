"""Recurrent encoders and decoders of sequences, which read and write several steps at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.core.space import Shape

Content = Mapping[str, Any]


class RecurrentEncoder(nn.Module):
    """Reads a sequence `frame` steps at a time, and gives the state that it ends with.

    Args:
        layer: recurrent, of frames (N, frames, C * frame).
        padding: zeros behind a sequence, which make its steps a multiple of `frame`.
    """

    def __init__(self, layer: nn.Module, frame: int, padding: int) -> None:
        super().__init__()
        self.layer = layer
        self.frame = frame
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T) to (N, width)."""
        frames = torch.unflatten(F.pad(x, (0, self.padding)), 2, (-1, self.frame))
        states, _ = self.layer(frames.transpose(1, 2).flatten(2))
        last: Tensor = states[:, -1]
        return last


class RecurrentDecoder(nn.Module):
    """Unrolls a code into a sequence: the first states are made of it, and it is the input of every frame.

    The second is how Cho et al. 2014 condition a decoder (section 2.2); no output is fed back, so that all frames are
    computed by one call.

    Args:
        state: from codes (N, latent) to the first states (N, layers * width).
        layer: recurrent, of `layers` layers, of inputs (N, frames, latent).
        output: from states (N, frames, width) to frames (N, frames, C * frame).
    """

    def __init__(
        self, state: nn.Module, layer: nn.Module, output: nn.Module, layers: int, frame: int, steps: int
    ) -> None:
        super().__init__()
        self.state = state
        self.layer = layer
        self.output = output
        self.layers = layers
        self.frame = frame
        self.steps = steps

    def forward(self, code: Tensor) -> Tensor:
        """(N, latent) to (N, C, steps)."""
        first = torch.unflatten(torch.tanh(self.state(code)), 1, (self.layers, -1))
        first = first.transpose(0, 1).contiguous()
        inputs = code[:, None].expand(-1, -(-self.steps // self.frame), -1)
        states, _ = self.layer(inputs, (first, first) if isinstance(self.layer, nn.LSTM) else first)
        frames = torch.unflatten(self.output(states), 2, (-1, self.frame))
        return frames.transpose(1, 2).flatten(2)[:, :, : self.steps]


def build_recurrent(content: Content, shape: Shape, code: int, inputs: int) -> tuple[nn.Sequential, nn.Sequential]:
    """The encoder of sequences (N, inputs, T) without missing values, and the decoder of codes (N, latent)."""
    channels, steps = shape
    frame, latent = content["frame"], content["latent"]
    make = {"gru": nn.GRU, "lstm": nn.LSTM}[content["recurrent_layer"]]
    width, layers = content["state_width"], content["layers"]
    padding = frame * math.ceil(steps / frame) - steps
    layer = make(inputs * frame, width, layers, batch_first=True)
    encoder = nn.Sequential(RecurrentEncoder(layer, frame, padding), nn.Linear(width, code))
    width, layers = content.get("decoder_state_width", width), content.get("decoder_layers", layers)
    layer = make(latent, width, layers, batch_first=True)
    output = nn.Linear(width, channels * frame)
    decoder = RecurrentDecoder(nn.Linear(latent, layers * width), layer, output, layers, frame, steps)
    return encoder, nn.Sequential(decoder)
