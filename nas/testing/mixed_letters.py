"""The supernet of the toys."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class MixedLetters(nn.Module):
    """A row of letters, each a convolution, mixed by alphas."""

    def __init__(self, letters: Mapping[str, tuple[str, ...]], channels: int) -> None:
        super().__init__()
        self.letters = letters
        self.operations = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in row) for row in letters.values()
        )
        self.architecture = nn.ParameterList(nn.Parameter(1e-3 * torch.randn(len(row))) for row in letters.values())

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        for row, letter in zip(self.architecture, self.operations, strict=True):
            outputs = torch.stack([operation(x) for operation in letter.children()])
            x = torch.einsum("o,onchw->nchw", row.softmax(0), outputs)
        return x
