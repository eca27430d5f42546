"""The two levels of a supernet: gradients of alphas whose weights learn beside them (DARTS, section 2.3)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from nas.core.genotype import Genotype
from nas.core.supernet import Alphas, Path, Relaxable, SupernetPlan, perturbed

LossNow = Callable[[], Tensor]
_PERTURBATION = 0.01  # of the weights in equation 8: epsilon is this over the gradient's norm
_PAPERS_RATE, _PAPERS_STEPS = 3e-4, 20_000  # 50 epochs of 25,000 images in batches of 64
_FASTEST = 0.02
_ATTEMPTS = 20  # draws for each further genotype: what is derived repeats itself where the alphas are sharp


class Architecture(Protocol):
    """What a supernet's ``architecture`` can do; see search_spaces.supernet.Architecture."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """The log-weights."""

    def alphas(self) -> Alphas:
        """The log-weights as plain numbers."""

    def draw(self, progress: float, generator: torch.Generator) -> None:
        """Begin a step at a fraction of the training."""

    def settle(self) -> None:
        """Be the strongest from now on, as far as single operations are drawn."""

    def follow(self, path: Path | None) -> None:
        """Be this candidate alone."""


def first_order(loss: Tensor, alphas: Sequence[Tensor]) -> list[Tensor]:
    """The gradient of a loss as if the weights did not depend on the alphas (xi = 0)."""
    return _gradients(loss, alphas)


def second_order(
    training: LossNow, validation: LossNow, weights: Sequence[Tensor], alphas: Sequence[Tensor], rate: float
) -> list[Tensor]:
    """The gradient of the validation loss through one step of the weights, w' = w - xi dL_train/dw.

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
    norm = math.sqrt(sum(float((part * part).sum()) for part in vector))
    epsilon = _PERTURBATION / max(norm, 1e-12)
    place(vector, epsilon)  # w+
    above = _gradients(training(), alphas)
    place(vector, -epsilon)  # w-
    below = _gradients(training(), alphas)
    place(vector, 0.0)
    return [d - rate * (a - b) / (2 * epsilon) for d, a, b in zip(direct, above, below, strict=True)]


def _gradients(loss: Tensor, of: Sequence[Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(loss, list(of), allow_unused=True)  # a drawn architecture uses a part
    return [torch.zeros_like(one) if grad is None else grad for one, grad in zip(of, found, strict=True)]


def make_architect(alphas: Sequence[Tensor], plan: SupernetPlan, steps: int) -> torch.optim.Optimizer:
    """What moves the alphas; `steps` is how often it will."""
    rate = plan.learning_rate or min(_FASTEST, _PAPERS_RATE * max(1.0, _PAPERS_STEPS / steps))
    return torch.optim.Adam(alphas, lr=rate, betas=plan.betas, weight_decay=plan.weight_decay)


def draw_genotypes(space: Relaxable, base: Genotype, alphas: Alphas, plan: SupernetPlan, seed: int) -> list[Genotype]:
    """As many different genotypes as the plan's samples, drawn from the alphas; fewer where there are no more."""
    generator = np.random.default_rng(seed)
    found: dict[Genotype, None] = {}
    for _ in range(_ATTEMPTS * plan.samples):
        if len(found) == plan.samples:
            break
        found.setdefault(space.derive(base, perturbed(alphas, generator), plan.max_skips).genotype)
    return list(found)
