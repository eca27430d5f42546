"""The modules around operations that torch lacks. They stand alone: the exporter copies their source."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Crop(nn.Module):
    """The upper left `height` x `width` of a map, to undo the rounding up of an odd size."""

    channel_arguments = ()

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height = height
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, height, width)."""
        return x[:, :, : self.height, : self.width]


class CropSteps(nn.Module):
    """The first `steps` of a sequence, to undo the rounding up of an odd number."""

    channel_arguments = ()

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T) to (N, C, steps)."""
        return x[:, :, : self.steps]


class StepShuffle(nn.PixelShuffle):
    """Channels become steps: pixel shuffle (Shi et al. 2016) of one dimension."""

    channel_arguments = ()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C * factor, T) to (N, C, T * factor)."""
        parts = torch.unflatten(x, 1, (-1, self.upscale_factor))
        return parts.transpose(2, 3).flatten(2)


class SpectralNorm(nn.Module):
    """A linear, convolutional or embedding layer with its weight, as a matrix, divided by its largest singular value.

    One power iteration for each forward pass in training (Miyato et al. 2018, algorithm 1), and twenty at first.
    """

    def __init__(self, layer: nn.Linear | nn.Conv2d | nn.Embedding) -> None:
        super().__init__()
        self.layer = layer
        matrix = layer.weight.detach().flatten(1)
        self.left: Tensor
        self.right: Tensor
        self.register_buffer("left", F.normalize(torch.randn(matrix.shape[0]), dim=0))
        self.register_buffer("right", F.normalize(torch.randn(matrix.shape[1]), dim=0))
        for _ in range(20):
            self.iterate(matrix)

    def iterate(self, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """The two singular vectors, one step nearer, kept for the next time."""
        with torch.no_grad():
            left = F.normalize(matrix @ self.right, dim=0)
            right = F.normalize(left @ matrix, dim=0)
            self.left.copy_(left)
            self.right.copy_(right)
        return left, right

    def forward(self, x: Tensor) -> Tensor:
        """As the layer."""
        layer = self.layer
        matrix = layer.weight.flatten(1)
        left, right = self.iterate(matrix) if self.training else (self.left, self.right)
        weight = layer.weight / (left @ (matrix @ right))
        if isinstance(layer, nn.Linear):
            return F.linear(x, weight, layer.bias)
        if isinstance(layer, nn.Embedding):
            return F.embedding(x, weight)
        return F.conv2d(x, weight, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups)
