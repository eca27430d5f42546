"""The Muon optimiser: momentum whose matrices are made orthogonal before they are applied."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.optim.optimizer import StateDict

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Jordan's: not quite orthogonal after five steps, but fast at small values
_STEPS = 5
_MOMENTUM = 0.95
_LIKE_ADAM = 0.2  # the root mean square of an update, as Adam's usually is
_LARGEST = 256  # of a matrix's smaller side, whose cube a step costs; larger ones are left to Adam


class Muon(torch.optim.Optimizer):
    """Muon for weights that are matrices, Adam with decoupled weight decay for all others.

    Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks", with the scale of Liu et al. 2025
    (arXiv 2502.16982, equation 4): updates of 0.2 in the root of the mean square, as Adam's are, so that both halves
    share a learning rate. A convolution's weight is a matrix of its first dimension by all others. Left to Adam are
    depthwise ones, whose filters have nothing to do with each other, and matrices with both sides above 256, whose
    steps would take longer than all the rest. Linear bottlenecks are where it gains: directions of little variance
    are learned as fast as those of much.

    PyTorch's own works in bfloat16, which is slow on CPUs, takes no convolutions, and came after 2.8.

    Args:
        differentiable: whether weights after a step have gradients with respect to the gradients before it.
    """

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, weight_decay: float = 0.0, differentiable: bool = False
    ) -> None:
        parameters, self._differentiable = list(parameters), differentiable
        matrices = [p for p in parameters if _is_matrix(p)]
        others = [p for p in parameters if not _is_matrix(p)]
        super().__init__([{"params": matrices}], {"lr": lr, "weight_decay": weight_decay})
        self._others = None
        if others:
            self._others = torch.optim.AdamW(
                others, lr=lr, weight_decay=weight_decay, fused=not differentiable, differentiable=differentiable
            )
        if self._others is not None:
            self.param_groups += self._others.param_groups
        self._share()

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Load what `state_dict` gave, for the matrices and for Adam's weights."""
        super().load_state_dict(state_dict)
        self._share()

    def _share(self) -> None:
        """Let Adam use this optimiser's state and groups, so that setting a rate or saving the state covers both."""
        if self._others is not None:
            self._others.state, self._others.param_groups = self.state, self.param_groups[1:]

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Make one step along the gradients."""
        if closure is not None:
            raise ValueError("Muon takes no closure")
        with torch.set_grad_enabled(self._differentiable):
            self._move_matrices()
        if self._others is not None:
            self._others.step()

    def _move_matrices(self) -> None:
        group = self.param_groups[0]
        rate, decay = group["lr"], group["weight_decay"]
        for weight in group["params"]:
            if weight.grad is None:
                continue
            state = self.state[weight]
            if not state:
                state["momentum"] = torch.zeros_like(weight)
            momentum = state["momentum"].mul_(_MOMENTUM).add_(weight.grad)
            ahead = weight.grad.add(momentum, alpha=_MOMENTUM)  # Nesterov's
            update = orthogonalise(ahead.flatten(1))
            if decay:
                weight.mul_(1 - rate * decay)
            weight.add_(update.reshape(weight.shape), alpha=-rate * _LIKE_ADAM * math.sqrt(max(update.shape)))


def _is_matrix(parameter: Tensor) -> bool:
    if parameter.ndim < 2 or parameter.shape[1] == 1:
        return False
    return min(len(parameter), parameter.numel() // len(parameter)) <= _LARGEST


def orthogonalise(matrix: Tensor) -> Tensor:
    """Bring the singular values of a matrix (M, N) near 1 (0.7 to 1.2), but for those that are nearly 0.

    Five Newton-Schulz steps X <- (a + b XX' + c (XX')^2) X. All of them are polynomials of the first XX', so
    the small square matrix is iterated and the large one is multiplied twice only.
    """
    a, b, c = _COEFFICIENTS
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / (wide.norm() + 1e-7)
    gram = wide @ wide.T
    product: Tensor | None = None
    for left in reversed(range(_STEPS)):
        step = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        step.diagonal().add_(a)
        product = step if product is None else step @ product
        if left:
            gram = step @ gram @ step
    assert product is not None
    result: Tensor = product @ wide
    return result if matrix.shape[0] <= matrix.shape[1] else result.T
