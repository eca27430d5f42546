"""Optimisers by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from evaluators.training.muon import Muon


def _adam(kind: Callable[..., torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    def make(parameters: Iterable[Tensor], differentiable: bool = False, **options: Any) -> torch.optim.Optimizer:
        fused = not differentiable  # one kernel a step, on CPU and CUDA alike
        return kind(parameters, fused=fused, differentiable=differentiable, **options)

    return make


OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": _adam(torch.optim.Adam),
    "adamw": _adam(torch.optim.AdamW),
    "nadam": torch.optim.NAdam,
    "rmsprop": torch.optim.RMSprop,
    "muon": Muon,
}


def unroll_step(
    name: str, optimiser: torch.optim.Optimizer, weights: Sequence[nn.Parameter], gradients: Sequence[Tensor | None]
) -> list[Tensor]:
    """Compute the weights after the optimiser's next step along these gradients, and how they depend on them.

    The optimiser and its weights stay as they are.

    Args:
        name: the optimiser's, one of OPTIMISERS.
        weights: all that it moves.
        gradients: one for each weight; None for a weight that would have none, and stays where it is.
    """
    group = optimiser.param_groups[0]
    moved = [weight.detach().clone() for weight in weights]
    twin = OPTIMISERS[name](moved, lr=group["lr"], weight_decay=group["weight_decay"], differentiable=True)
    for weight, copied, gradient in zip(weights, moved, gradients, strict=True):
        copied.grad = gradient
        if weight in optimiser.state:
            twin.state[copied] = {key: value.clone() for key, value in optimiser.state[weight].items()}
    twin.step()
    return moved


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Let all parameters of an optimiser have this learning rate from the next step on."""
    for group in optimiser.param_groups:
        group["lr"] = rate
