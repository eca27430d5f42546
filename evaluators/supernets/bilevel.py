"""Gradients of a supernet's alphas, whose weights are trained beside them (Liu et al. 2019, DARTS, section 2.3)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from nas.core.genotype import Genotype
from nas.core.supernet import Alphas, Path, Relaxable, SupernetPlan, perturbed

Loss = Callable[[], Tensor]
"""Computes a loss with the weights and alphas that there are now."""
_PERTURBATION = 0.01  # of the weights in equation 8: epsilon is this over the gradient's norm
_PAPERS_RATE, _PAPERS_STEPS = 3e-4, 20_000  # 50 epochs of 25,000 images in batches of 64
_FASTEST = 0.02
_ATTEMPTS = 20  # draws for each genotype that is wanted, because sharp alphas give the same one again and again


class Architecture(Protocol):
    """The alphas of a supernet, one row of log-weights an edge; see search_spaces.supernet.Architecture."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Give the log-weights as parameters."""

    def alphas(self) -> Alphas:
        """Give the log-weights as plain numbers."""

    def draw(self, progress: float, generator: torch.Generator) -> None:
        """Draw the operations of a step, at a progress of the training from 0 to 1."""

    def settle(self) -> None:
        """Use the strongest operation of each edge from now on, if the relaxation draws single ones."""

    def follow(self, path: Path | None) -> None:
        """Use only the operations of one candidate."""


def first_order(loss: Tensor, alphas: Sequence[Tensor]) -> list[Tensor]:
    """Compute the gradient of a loss as if the weights did not depend on the alphas (xi = 0)."""
    return _gradients(loss, alphas)


def second_order(
    training: Loss, validation: Loss, weights: Sequence[Tensor], alphas: Sequence[Tensor], rate: float
) -> list[Tensor]:
    """Compute the gradient of the validation loss through one step of the weights, w' = w - xi dL_train/dw.

    Equation 7, dL_val(w', a)/da - xi d2L_train(w, a)/(da dw) dL_val(w', a)/dw', whose product of matrix and
    vector is the central difference of equation 8. The losses must be the same function whenever they are called
    (the same noise); the weights are as before afterwards.

    Args:
        rate: xi, the step's learning rate.
    """
    before = [weight.detach().clone() for weight in weights]

    def place(direction: Sequence[Tensor], size: float) -> None:
        with torch.no_grad():
            for weight, start, towards in zip(weights, before, direction, strict=True):
                weight.copy_(start).add_(towards, alpha=size)

    place(_gradients(training(), weights), -rate)  # w'
    both = _gradients(validation(), [*alphas, *weights])
    direct, vector = both[: len(alphas)], both[len(alphas) :]
    norm = math.sqrt(sum(torch.stack([(part * part).sum() for part in vector]).tolist()))
    epsilon = _PERTURBATION / max(norm, 1e-12)
    place(vector, epsilon)  # w+
    above = _gradients(training(), alphas)
    place(vector, -epsilon)  # w-
    below = _gradients(training(), alphas)
    place(vector, 0.0)
    return [d - rate * (a - b) / (2 * epsilon) for d, a, b in zip(direct, above, below, strict=True)]


def _gradients(loss: Tensor, of: Sequence[Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(loss, list(of), allow_unused=True)  # a drawn architecture uses some of them only
    return [torch.zeros_like(one) if grad is None else grad for one, grad in zip(of, found, strict=True)]


def select_weights(network: nn.Module, alphas: Sequence[Tensor]) -> list[nn.Parameter]:
    """Give the parameters of a network that are not among the alphas."""
    theirs = {id(alpha) for alpha in alphas}
    return [parameter for parameter in network.parameters() if id(parameter) not in theirs]


def make_architect(alphas: Sequence[Tensor], plan: SupernetPlan, steps: int) -> torch.optim.Optimizer:
    """Make the optimiser of the alphas; `steps` is how many steps it will make."""
    rate = plan.learning_rate or min(_FASTEST, _PAPERS_RATE * max(1.0, _PAPERS_STEPS / steps))
    return torch.optim.Adam(alphas, lr=rate, betas=plan.betas, weight_decay=plan.weight_decay)


def move_alphas(architect: torch.optim.Optimizer, alphas: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
    """Make one step of the alphas along their gradients."""
    for row, gradient in zip(alphas, gradients, strict=True):
        row.grad = gradient
    architect.step()


def draw_genotypes(space: Relaxable, base: Genotype, alphas: Alphas, plan: SupernetPlan, seed: int) -> list[Genotype]:
    """Draw as many different genotypes from the alphas as the plan has samples, or fewer if there are no more."""
    generator = np.random.default_rng(seed)
    found: dict[Genotype, None] = {}
    for _ in range(_ATTEMPTS * plan.samples):
        if len(found) == plan.samples:
            break
        found.setdefault(space.derive(base, perturbed(alphas, generator), plan.max_skips).genotype)
    return list(found)
