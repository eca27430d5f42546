"""Gradients of a supernet's alphas, whose weights are trained beside them (Liu et al. 2019, DARTS, section 2.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from nas.core.genotype import Genotype
from nas.core.supernet import Alphas, Path, Relaxable, SupernetPlan, perturbed

Loss = Callable[[], Tensor]
"""Computes a loss with the weights and alphas that there are now."""
Step = Callable[[Sequence[Tensor | None]], list[Tensor]]
"""Gives the weights after a step of their optimiser along these gradients, and how they depend on them."""
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
    training: Loss, validation: Loss, weights: Sequence[Tensor], alphas: Sequence[Tensor], step: Step
) -> list[Tensor]:
    """Compute the gradient of the validation loss through one step of the weights, w' = w + step(dL_train(w, a)/dw).

    Equation 7, with the step that the weights' optimiser really makes in place of -xi dL_train/dw. What of
    dL_val(w', a)/dw' reaches the gradients through the step is multiplied by d2L_train(w, a)/(da dw) by
    differentiating twice, which is exact where equation 8 is a finite difference. The losses must be the same function
    whenever they are called (the same noise); the weights are as before afterwards.

    Args:
        step: gives the weights after a step along gradients of theirs, of which it is a function; a weight without a
            gradient stays where it is.
    """
    before = [weight.detach().clone() for weight in weights]
    found = torch.autograd.grad(training(), list(weights), allow_unused=True)
    gradients = [None if gradient is None else gradient.requires_grad_() for gradient in found]
    moved = step(gradients)
    _place(weights, moved)
    both = _gradients(validation(), [*alphas, *weights])
    _place(weights, before)
    direct, vector = both[: len(alphas)], both[len(alphas) :]
    used = [(w, m, g, v) for w, m, g, v in zip(weights, moved, gradients, vector, strict=True) if g is not None]
    learning, after, along, outputs = map(list, zip(*used, strict=True))
    # Adam's root has no derivative where an entry never had a gradient; such a gradient stays nothing for all alphas
    through = [part.nan_to_num(0.0, 0.0, 0.0) for part in torch.autograd.grad(after, along, outputs)]
    slopes = torch.autograd.grad(training(), learning, create_graph=True)
    products = [(slope * part).sum() for slope, part in zip(slopes, through, strict=True)]
    indirect = _gradients(torch.stack(products).sum(), alphas)
    return [d + i for d, i in zip(direct, indirect, strict=True)]


@torch.no_grad()
def _place(weights: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for weight, value in zip(weights, values, strict=True):
        weight.copy_(value)


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
