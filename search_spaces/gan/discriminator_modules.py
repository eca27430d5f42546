"""What discriminators are made of. The modules stand alone: the exporter copies their source."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Discriminator(nn.Module):
    """Images to one logit each: features, and a head that may be told the condition."""

    def __init__(self, features: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.head = head

    def forward(self, images: Tensor, condition: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) in [0, 1] and, if it is conditional, conditions (N,) or (N, size), to logits (N,)."""
        features = self.features(2 * images - 1)
        logits: Tensor = self.head(features) if condition is None else self.head(features, condition)
        return logits.flatten()


class Projection(nn.Module):
    """A linear layer, and the inner product of features and embedded condition (Miyato & Koyama 2018, equation 4).

    The product is taken `scale` times, which for an embedding of variance 1 is that of a linear layer's weights.
    """

    def __init__(self, linear: nn.Module, embedding: nn.Module, scale: float = 1.0) -> None:
        super().__init__()
        self.linear = linear
        self.embedding = embedding
        self.scale = scale

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Features (N, width) and conditions to logits (N, 1)."""
        product = (self.embedding(condition) * features).sum(1, keepdim=True)
        logits: Tensor = self.linear(features) + self.scale * product
        return logits


class Maxout(nn.Module):
    """The largest of every `pieces` numbers, which a linear layer has made (Goodfellow et al. 2013)."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        """(N, units * pieces) to (N, units)."""
        return x.view(x.shape[0], -1, self.pieces).amax(2)


class SumPool(nn.Module):
    """The sum over all positions."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C)."""
        return x.sum((2, 3))


class MinibatchDiscrimination(nn.Module):
    """Beside the features, how near those of the other images of the batch are (Salimans et al. 2016, section 3.2)."""

    def __init__(self, inputs: int, kernels: int, dimensions: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.kernels = kernels
        self.dimensions = dimensions
        self.weight = nn.Parameter(torch.randn(inputs, kernels * dimensions) / inputs**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs) to (N, inputs + kernels)."""
        rows = (x @ self.weight).view(-1, self.kernels, self.dimensions)
        near = torch.exp(-(rows[:, None] - rows[None]).abs().sum(3))
        return torch.cat([x, near.sum(1)], dim=1)


class MinibatchStandardDeviation(nn.Module):
    """One more channel: the standard deviation within a group of images, averaged over all else.

    Karras et al. 2018, section 3. In a batch that the group's size does not divide, the first images come again to
    fill the groups.
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, C + 1, H, W), or vectors (N, C) to (N, C + 1)."""
        # tensors and not numbers, so that an exported program takes any batch
        place = torch.ones(x.shape[0], dtype=torch.long, device=x.device).cumsum(0) - 1
        images = place[-1] + 1
        groups = (images + self.group - 1) // self.group
        members = (place % groups)[:, None] + groups * torch.arange(self.group, device=x.device)
        variance = x.flatten(1)[members % images].var(1, correction=0)
        deviation = (variance + 1e-8).sqrt().mean(1)
        if x.dim() == 2:
            return torch.cat([x, deviation[:, None]], dim=1)
        return torch.cat([x, deviation[:, None, None, None].expand(-1, -1, x.shape[2], x.shape[3])], dim=1)
