"""The losses of autoencoders whose codes are to be distributed as something else, as which of them tell apart."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluators.autoencoder.batch import Batch
from evaluators.autoencoder.losses import draw_bound

_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def wasserstein_loss(batch: Batch) -> Tensor:
    """Compute the mean error of a reconstruction, and what it costs that codes are not distributed as N(0, 1).

    The cost is the ``mmd_weight`` times their maximum mean discrepancy, by the values of an example (WAE-MMD:
    Tolstikhin et al. 2018, algorithm 2).
    """
    codes = batch.model.encode(batch.examples).float()
    error = batch.measure_error(batch.model.decoder(codes))
    discrepancy = maximum_mean_discrepancy(codes, _draw_normal(codes, batch.generator))
    weight: float = batch.hyperparameters["mmd_weight"]
    return error + weight / batch.count_errors() * discrepancy


def maximum_mean_discrepancy(first: Tensor, second: Tensor) -> Tensor:
    """Estimate the squared maximum mean discrepancy of two samples (N, latent) each, without bias; a scalar.

    The kernel is the sum of inverse multiquadratics C / (C + ||x - y||^2) of seven scales, C = 2 latent scale: what
    Tolstikhin et al. (2018) do in their code, where the paper has the scale 1 alone.
    """
    count, latent = first.shape
    others = 1 - torch.eye(count, device=first.device)
    within = max(1, count * (count - 1))
    found = torch.zeros((), device=first.device)
    distances = [_square_distances(a, b) for a, b in ((first, first), (second, second), (first, second))]
    for scale in _SCALES:
        c = 2 * latent * scale
        own, its, both = (c / (c + distance) for distance in distances)
        found = found + ((own + its) * others).sum() / within - 2 * both.mean()
    return found


def _square_distances(first: Tensor, second: Tensor) -> Tensor:
    """Square the distances of N codes from N others: (N, N)."""
    squares = first.square().sum(1)[:, None] + second.square().sum(1) - 2 * first @ second.T
    return squares.clamp(min=0)


def adversarial_loss(batch: Batch) -> Tensor:
    """Compute the mean error of a reconstruction, what codes cost that a critic knows, and the critic's loss.

    The cost is the ``adversarial_weight`` times -log D, by the values of an example; the critic learns to tell codes
    from N(0, 1), and no other module learns from its loss (AAE: Makhzani et al. 2015, section 2).
    """
    codes, critic = batch.model.encode(batch.examples).float(), batch.model.module.critic
    error = batch.measure_error(batch.model.decoder(codes))
    known = F.softplus(-judge_held(critic, codes).float()).mean()
    learned = _critic_loss(critic, _draw_normal(codes, batch.generator), codes)
    weight: float = batch.hyperparameters["adversarial_weight"]
    return error + weight / batch.count_errors() * known + learned


def factor_loss(batch: Batch) -> Tensor:
    """Compute minus the bound, what latents cost that depend on each other, and the loss of the critic that says so.

    The cost, in nats, is the ``total_correlation_weight`` times the total correlation of codes: the divergence of their
    distribution from the product of its margins, log D / (1 - D) of a critic that tells codes from permuted ones
    (FactorVAE: Kim & Mnih 2018, equations 2 and 3 and algorithm 2).
    """
    bound, codes = draw_bound(batch)
    critic = batch.model.module.critic
    learned = _critic_loss(critic, codes, permute_codes(codes, batch.generator))
    weight: float = batch.hyperparameters["total_correlation_weight"]
    known: Tensor = judge_held(critic, codes).float().mean()
    return bound + weight * known + learned


def permute_codes(codes: Tensor, generator: torch.Generator) -> Tensor:
    """Permute each latent of codes (N, latent) over the batch on its own (Kim & Mnih 2018, algorithm 1)."""
    order = torch.rand(codes.shape, generator=generator, device=codes.device).argsort(0)
    return codes.gather(0, order)


def _draw_normal(codes: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(codes.shape, generator=generator, device=codes.device)


def judge_held(critic: nn.Module, values: Tensor) -> Any:
    """Give what a critic makes of codes (N, latent) or images, with gradients of these and not of the critic."""
    weights = {name: weight.detach() for name, weight in critic.named_parameters()}
    return torch.func.functional_call(critic, weights, (values,))


def _critic_loss(critic: nn.Module, real: Tensor, other: Tensor) -> Tensor:
    """Compute the loss of a critic that tells codes from others, (N, latent) each, without gradients of these."""
    return F.softplus(-critic(real.detach()).float()).mean() + F.softplus(critic(other.detach()).float()).mean()
