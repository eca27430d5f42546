"""A linear-Gaussian model, whose likelihood is known in closed form."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.autoencoder.modules import VariationalAutoencoder

VARIANCE = 0.4


def make_linear() -> VariationalAutoencoder:
    """x = W z + noise of VARIANCE with z in the plane and x of three values; the encoder is a linear one, and wrong."""
    model = VariationalAutoencoder(nn.Linear(3, 4), nn.Linear(2, 3), nn.Identity())
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.4 * torch.randn(parameter.shape, generator=draw))
    return model


def log_density(model: VariationalAutoencoder, x: Tensor) -> Tensor:
    """log p(x) of examples (N, 3), (N,) nats."""
    weights = model.decoder.weight
    covariance = weights @ weights.T + VARIANCE * torch.eye(3)
    return torch.distributions.MultivariateNormal(model.decoder.bias, covariance).log_prob(x)
