"""What graphs of the published spaces need besides layers. They stand alone: the exporter copies their source."""

from __future__ import annotations

from torch import Tensor, nn


class Part(nn.Module):
    """The numbers of a code from `first` on and before `end`."""

    def __init__(self, first: int, end: int) -> None:
        super().__init__()
        self.first = first
        self.end = end

    def forward(self, code: Tensor) -> Tensor:
        """(N, latent) to (N, end - first)."""
        return code[:, self.first : self.end]


class Nothing(nn.Module):
    """Zeros, whatever comes in: what a graph gives in which no path leads to the output.

    They are still a function of the input, so that what comes before has a gradient, of zero.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.channels = channels
        self.height = height
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) to (N, channels, height, width)."""
        zero = 0 * x.flatten(1).sum(1)
        return zero[:, None, None, None].expand(-1, self.channels, self.height, self.width)
