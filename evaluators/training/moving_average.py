"""The exponential moving average of a network, its buffers included."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class MovingAverage:
    """A network whose weights follow those of another: average <- d average + (1 - d) weights.

    The decay d of update t, counted from 1, is min(decay, t / (9 + t)): the first updates forget the random
    weights at the beginning, which a short training would otherwise never (TensorFlow's ExponentialMovingAverage with
    ``num_updates``). Buffers are averaged as well, since the running statistics of batch normalisation belong to the
    weights; those of whole numbers are copied.

    Attributes:
        network: the average, in evaluation mode.
        updates: how many updates there were.
    """

    def __init__(self, source: nn.Module, decay: float) -> None:
        self.source, self.decay, self.updates = source, decay, 0
        self.network = copy.deepcopy(source).requires_grad_(False).eval()
        self._averages, self._weights = list(self.network.parameters()), list(source.parameters())

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the current weights of the other network."""
        self.updates += 1
        averages: list[Tensor] = [*self._averages]
        followed: list[Tensor] = [*self._weights]
        for average, buffer in zip(self.network.buffers(), self.source.buffers(), strict=True):
            if average.is_floating_point():
                averages.append(average)
                followed.append(buffer)
            else:
                average.copy_(buffer)
        decay = min(self.decay, self.updates / (9 + self.updates))
        torch._foreach_lerp_(averages, followed, 1 - decay)  # one kernel for all, as in torch.optim
