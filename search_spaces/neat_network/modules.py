"""An evolved network as a module. It stands alone: the exporter copies its source."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class EvolvedNetwork(nn.Module):
    """A feedforward network of any topology: each node applies a steep sigmoid to what earlier nodes give.

    Args:
        weights: of every node that is not an input, in topological order, those of all earlier nodes: the bias, the
            inputs, and the nodes before it; 0 where there is no connection.
        outputs: how many of the last nodes are outputs.
        steepness: of the sigmoid.
    """

    def __init__(self, weights: list[list[float]], outputs: int, steepness: float) -> None:
        super().__init__()
        self.weights = weights
        self.outputs = outputs
        self.steepness = steepness
        self.rows = nn.ParameterList([torch.tensor(row) for row in weights])

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) with as many values as there are inputs, to (N, outputs) in (0, 1)."""
        values = x.flatten(1)
        values = torch.cat([torch.ones_like(values[:, :1]), values], dim=1)
        for row in self.rows:
            node = torch.sigmoid(self.steepness * (values * row).sum(dim=1, keepdim=True))
            values = torch.cat([values, node], dim=1)
        return values[:, -self.outputs :]
