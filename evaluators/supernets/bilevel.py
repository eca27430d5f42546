"""Bilevel training of supernets: the weights on one half of the data, the alphas on the other (DARTS, section 2.3)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from evaluators.autoencoder.losses import as_autoencoder, training_loss
from evaluators.metrics.cost import PeakMemory
from evaluators.training.recipe import AUGMENTATIONS, OPTIMISERS, SCHEDULES
from nas.core.errors import Diverged, UserError
from nas.core.genotype import Genotype
from nas.core.supernet import Alphas, Relaxable, SupernetPlan, perturbed
from nas.data.dataset import Split, as_float

Loss = Callable[[], Tensor]
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


def first_order(loss: Tensor, alphas: Sequence[Tensor]) -> list[Tensor]:
    """The gradient of a loss as if the weights did not depend on the alphas (xi = 0)."""
    return _gradients(loss, alphas)


def second_order(
    training: Loss, validation: Loss, weights: Sequence[Tensor], alphas: Sequence[Tensor], rate: float
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


def architect(alphas: Sequence[Tensor], plan: SupernetPlan, steps: int) -> torch.optim.Optimizer:
    """What moves the alphas; `steps` is how often it will."""
    rate = plan.learning_rate or min(_FASTEST, _PAPERS_RATE * max(1.0, _PAPERS_STEPS / steps))
    return torch.optim.Adam(alphas, lr=rate, betas=plan.betas, weight_decay=plan.weight_decay)


class SupernetTraining:
    """The training of one supernet of autoencoders, an epoch at a time (algorithm 1).

    Args:
        data: the training part; its halves are drawn by the seed.

    Raises:
        UserError: the data has less than two images.
    """

    def __init__(
        self, model: nn.Module, plan: SupernetPlan, hyperparameters: Mapping[str, Any], data: Split, seed: int
    ) -> None:
        if len(data) < 2:
            raise UserError("--train-size", len(data), "2 or more", why="a supernet halves it")
        self.model, self.plan, self.hyperparameters = model, plan, dict(hyperparameters)
        self.architecture = cast(Architecture, model.architecture)
        self._alphas = list(self.architecture.parameters())
        theirs = {id(parameter) for parameter in self._alphas}
        self._weights = [parameter for parameter in model.parameters() if id(parameter) not in theirs]
        self._device = self._weights[0].device
        self._generator = torch.Generator().manual_seed(seed)
        self._noise = torch.Generator(self._device).manual_seed(seed + 1)
        order = torch.randperm(len(data), generator=self._generator).to(data.examples.device)
        self._train, self._validation = data.take(order[: len(data) // 2]), data.take(order[len(data) // 2 :])
        self._optimiser = OPTIMISERS[hyperparameters["optimiser"]](
            self._weights, lr=hyperparameters["learning_rate"], weight_decay=hyperparameters["weight_decay"]
        )
        self._size = min(hyperparameters["batch_size"], len(self._train))
        self._epochs, self._warm_up = plan.schedule
        self._architect = architect(self._alphas, plan, len(self._train) // self._size * (self._epochs - self._warm_up))
        self._augment = AUGMENTATIONS[hyperparameters.get("augmentation", "none")]
        self._schedule = SCHEDULES[hyperparameters["schedule"]]
        self._epochs_done = 0

    def epoch(self, memory: PeakMemory) -> dict[str, float]:
        """One pass over both halves; gives the mean ``training_loss`` and ``validation_loss`` on them.

        Raises:
            Diverged: a loss or a log-weight is not finite.
        """
        self.model.train()
        size = self._size
        steps = len(self._train) // size
        orders = [
            torch.randperm(len(half), generator=self._generator).to(self._device)
            for half in (self._train, self._validation)
        ]
        totals = torch.zeros(2, device=self._device)
        for step in range(steps):
            progress = (self._epochs_done + step / steps) / self._epochs
            here = slice(step * size, (step + 1) * size)
            images = [
                as_float(half.examples[order[here]])
                for half, order in zip((self._train, self._validation), orders, strict=True)
            ]
            totals += torch.stack(self._step(images[0], images[1], progress))
            memory.look()
        training, validation = (totals / steps).tolist()
        self._epochs_done += 1
        settled = all(bool(torch.isfinite(row).all()) for row in self._alphas)
        if not (math.isfinite(training) and math.isfinite(validation) and settled):
            raise Diverged(f"the supernet's losses are {training} and {validation} in epoch {self._epochs_done}")
        self.architecture.settle()
        return {"training_loss": training, "validation_loss": validation}

    def _step(self, seen: Tensor, unseen: Tensor, progress: float) -> tuple[Tensor, Tensor]:
        """Update the alphas, then the weights (algorithm 1, lines 1 and 2)."""
        rate = self.hyperparameters["learning_rate"] * self._schedule(progress)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        seeds = torch.randint(2**31, (2,), generator=self._generator).tolist()
        self.architecture.draw(progress, self._noise)

        def training() -> Tensor:
            return self._loss(seen, progress, seeds[0])

        def validation() -> Tensor:
            return self._loss(unseen, progress, seeds[1])

        if self._epochs_done < self._warm_up:
            with torch.no_grad():
                loss = validation()
        elif self.plan.order == 1:
            loss = validation()
            self._move_alphas(first_order(loss, self._alphas))
        else:
            with torch.no_grad():
                loss = validation()
            self._move_alphas(second_order(training, validation, self._weights, self._alphas, rate))
        self.architecture.draw(progress, self._noise)
        self._optimiser.zero_grad(set_to_none=True)
        fitted = training()
        torch.autograd.backward(fitted, inputs=self._weights)
        self._optimiser.step()
        return fitted.detach(), loss.detach()

    def _move_alphas(self, gradients: list[Tensor]) -> None:
        for row, gradient in zip(self._alphas, gradients, strict=True):
            row.grad = gradient
        self._architect.step()

    def _loss(self, images: Tensor, progress: float, seed: int) -> Tensor:
        """The same function of weights and alphas whenever it is called with this seed."""
        generator = torch.Generator(self._device).manual_seed(seed)
        images = self._augment(images, generator)
        return training_loss(as_autoencoder(self.model), images, self.hyperparameters, progress, generator)


def drawn_from(space: Relaxable, base: Genotype, alphas: Alphas, plan: SupernetPlan, seed: int) -> list[Genotype]:
    """As many different genotypes as the plan's samples, drawn from the alphas; fewer where there are no more."""
    generator = np.random.default_rng(seed)
    found: dict[Genotype, None] = {}
    for _ in range(_ATTEMPTS * plan.samples):
        if len(found) == plan.samples:
            break
        found.setdefault(space.derive(base, perturbed(alphas, generator), plan.max_skips).genotype)
    return list(found)
