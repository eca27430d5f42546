"""DARTS (Liu, Simonyan & Yang 2019): a supernet of single networks whose operations are chosen by gradient."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from evaluators.metrics.cost import PeakMemory, count_parameters
from evaluators.metrics.exact import score_exactly
from evaluators.models import initialise_model
from evaluators.pictures import render_rows
from evaluators.supernets.bilevel import (
    Architecture,
    draw_genotypes,
    first_order,
    make_architect,
    move_alphas,
    second_order,
    select_weights,
)  # fmt: skip
from evaluators.training.optimisers import OPTIMISERS, set_learning_rate, unroll_step
from evaluators.training.schedules import SCHEDULES
from evaluators.training.selection import Scores
from evaluators.training.single_network import Loss, augment
from nas.core.errors import Diverged, UserError
from nas.core.space import SearchSpace, Shape
from nas.core.supernet import Relaxable, SupernetPlan, entropy
from nas.core.trial import Measurement, Trial
from nas.data.dataset import Split

_COLLAPSED = 2  # epochs in a row with too many skips; a single one may be chance while alphas are nearly equal


class SupernetTraining:
    """Trains one supernet of single networks, an epoch at a time (Liu et al. 2019, algorithm 1).

    Args:
        plan: completed.
        loss: the task's loss; the weights minimise it on one half of the data, the alphas on the other.
        data: the training part; its halves are drawn by the seed.

    Raises:
        UserError: the data has less than two images.
    """

    def __init__(
        self,
        model: nn.Module,
        plan: SupernetPlan,
        loss: Loss,
        hyperparameters: Mapping[str, Any],
        data: Split,
        seed: int,
    ) -> None:
        if len(data) < 2:
            raise UserError("--train-size", len(data), "2 or more", why="a supernet halves it")
        self.model, self.plan, self.hyperparameters, self._task_loss = model, plan, dict(hyperparameters), loss
        self.architecture = cast(Architecture, model.architecture)
        self._alphas = list(self.architecture.parameters())
        self._weights = select_weights(model, self._alphas)
        self._device = self._weights[0].device
        self._generator = torch.Generator().manual_seed(seed)
        self._noise = torch.Generator(self._device).manual_seed(seed + 1)
        order = torch.randperm(len(data), generator=self._generator).to(data.examples.device)
        self._train, self._validation = data.gather(order[: len(data) // 2]), data.gather(order[len(data) // 2 :])
        self._optimiser = OPTIMISERS[hyperparameters["optimiser"]](
            self._weights, lr=hyperparameters["learning_rate"], weight_decay=hyperparameters["weight_decay"]
        )
        self._size = min(hyperparameters["batch_size"], len(self._train))
        self._epochs, self._warm_up = plan.schedule
        self._architect = make_architect(
            self._alphas, plan, len(self._train) // self._size * (self._epochs - self._warm_up)
        )
        self._schedule = SCHEDULES[hyperparameters["schedule"]]
        self._epochs_done = 0

    def epoch(self, memory: PeakMemory) -> dict[str, float]:
        """Pass over both halves once, and return the mean ``training_loss`` and ``validation_loss`` on them.

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
            halves = zip((self._train, self._validation), orders, strict=True)
            seen, unseen = (half.take(order[here]) for half, order in halves)
            totals += torch.stack(self._step(seen, unseen, progress))
            memory.look()
        training, validation = (totals / steps).tolist()
        self._epochs_done += 1
        settled = all(bool(torch.isfinite(row).all()) for row in self._alphas)
        if not (math.isfinite(training) and math.isfinite(validation) and settled):
            raise Diverged(f"the supernet's losses are {training} and {validation} in epoch {self._epochs_done}")
        self.architecture.settle()
        return {"training_loss": training, "validation_loss": validation}

    def _step(self, seen: Split, unseen: Split, progress: float) -> tuple[Tensor, Tensor]:
        """Update the alphas, then the weights (algorithm 1, lines 1 and 2)."""
        rate = self.hyperparameters["learning_rate"] * self._schedule(progress)
        set_learning_rate(self._optimiser, rate)
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
            move_alphas(self._architect, self._alphas, first_order(loss, self._alphas))
        else:
            with torch.no_grad():
                loss = validation()
            gradients = second_order(training, validation, self._weights, self._alphas, self._unroll)
            move_alphas(self._architect, self._alphas, gradients)
        self.architecture.draw(progress, self._noise)
        self._optimiser.zero_grad(set_to_none=True)
        fitted = training()
        torch.autograd.backward(fitted, inputs=self._weights)
        self._optimiser.step()
        return fitted.detach(), loss.detach()

    def _unroll(self, gradients: Sequence[Tensor | None]) -> list[Tensor]:
        """Give the weights after the next step along these gradients."""
        return unroll_step(self.hyperparameters["optimiser"], self._optimiser, self._weights, gradients)

    def _loss(self, batch: Split, progress: float, seed: int) -> Tensor:
        """Compute the loss of a batch, which is the same function of weights and alphas for the same seed."""
        generator = torch.Generator(self._device).manual_seed(seed)
        batch = augment(batch, self.hyperparameters, generator)
        return self._task_loss(self.model, batch, self.hyperparameters, progress, generator)


def measure_supernet(
    space: SearchSpace,
    shape: Shape,
    trial: Trial,
    plan: SupernetPlan,
    train: Split,
    loss: Loss,
    score: Callable[..., Scores],
    picture: str,
    hyperparameters: Mapping[str, Any],
) -> Iterator[Measurement]:
    """Train a supernet, and give one measurement after every epoch, with a picture and all alphas as ``alphas.json``.

    Metrics: those of `score`, of the mixture or of the strongest operations where single ones are drawn;
    ``training_loss`` and ``validation_loss`` on the halves of the training part; ``skips`` of the derived cell that has
    the most of them, ``entropy`` of an edge (nats, the mean); and what it costs. After two epochs in a row with more
    skips than the plan's ``max_skips``, the training ends.

    Args:
        trial: its genotype is the supernet's base.
        plan: complete.
        train: its halves train the weights and the alphas, on its device.
        loss, score: the task's; see evaluators.task.Task.
        picture: the name of the picture of an epoch.
        hyperparameters: of the base, completed by the task's recipe.

    Raises:
        UserError: the space has no supernets.
        Diverged: a loss or a log-weight is not finite.
    """
    started = time.perf_counter()
    epochs, warm_up = plan.schedule
    base = trial.genotype
    if not isinstance(space, Relaxable):
        raise UserError("--space", space.name, "a space that has supernets")
    device = train.examples.device
    model = initialise_model(lambda: space.relax(base, shape, plan), trial.seed, device)
    memory = PeakMemory(device)
    cost = {"parameters": float(count_parameters(model))}
    training = SupernetTraining(model, plan, loss, hyperparameters, train, trial.seed)
    history = []
    in_a_row = 0
    for epoch in range(1, epochs + 1):
        losses = training.epoch(memory)
        with score_exactly(device):
            scores = score(model, model, training.hyperparameters, trial.seed, memory=memory)
        alphas = training.architecture.alphas()
        history.append({"epoch": epoch, "alphas": alphas})
        found = space.derive(base, alphas, plan.max_skips)
        meant = epoch > warm_up  # before, the alphas are what they were at the beginning
        collapsing = meant and plan.max_skips is not None and found.skips > plan.max_skips
        in_a_row = in_a_row + 1 if collapsing else 0
        last = epoch == epochs or in_a_row == _COLLAPSED
        derived = [found.genotype] if meant else []
        if last:
            derived += draw_genotypes(space, base, alphas, plan, trial.seed)
        rest = {
            "skips": float(found.skips),
            "entropy": entropy(alphas),
            "seconds": time.perf_counter() - started,
            "peak_memory_mb": memory.megabytes,
        }
        files = {"alphas.json": json.dumps(history).encode()}
        if scores.rows:
            files[picture] = render_rows(scores.rows)
        yield Measurement(epoch, {**scores.metrics, **losses, **cost, **rest}, files, tuple(derived))
        if last:
            return
