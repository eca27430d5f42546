"""Bilevel training of supernets of pairs: both halves learn their weights and their alphas from each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from evaluators.gan.training import BATCH, GanModel, GanTraining, sample_noise, select_conditions
from evaluators.metrics.cost import PeakMemory
from evaluators.models import seed_global_generators
from evaluators.supernets.bilevel import Architecture, first_order, make_architect
from nas.core.errors import Diverged, UserError
from nas.core.supernet import SupernetPlan
from nas.data.dataset import Split, as_float

LOSSES = (
    "discriminator_training_loss",
    "generator_training_loss",
    "discriminator_validation_loss",
    "generator_validation_loss",
)
"""What an epoch gives of each update. Validation losses, which the alphas follow, are NaN while the weights warm up."""


class Half(Protocol):
    """What a generator or a discriminator of a supernet has."""

    architecture: Architecture


class PairSupernetTraining(GanTraining):
    """The training of one supernet of pairs, an epoch at a time (Gao et al. 2020, algorithm 1).

    In every step the discriminator moves its alphas and then its weights by its own loss, as often as the base says,
    and then the generator moves its alphas and then its weights by its own. Weights see one half of the training
    part, alphas the other; each of these has new noise, and new draws where the relaxation has any.

    Args:
        model: a GanModel whose halves and itself have an ``architecture``; all other parameters are weights.
        plan: completed.
        images: how many the training part has.
        begun: after how many epochs of the plan this training begins.

    Attributes:
        losses: of the last epoch, (updates, 4): LOSSES.

    Raises:
        UserError: there are less than two images, or the plan is of second order.
    """

    losses: Tensor

    def __init__(
        self,
        model: nn.Module,
        plan: SupernetPlan,
        hyperparameters: Mapping[str, Any],
        images: int,
        seed: int,
        begun: int = 0,
    ) -> None:
        if plan.order != 1:
            raise UserError("--set order", plan.order, "1", why="a pair's alphas have a first-order gradient only")
        if images < 2:
            raise UserError("--train-size", images, "2 or more", why="a supernet halves it")
        epochs, self._warm_up = plan.schedule
        self._alphas = {
            name: list(cast(Half, getattr(model, name)).architecture.parameters())
            for name in ("generator", "discriminator")
        }
        super().__init__(model, hyperparameters, epochs, seed)
        self.architecture = cast(Architecture, model.architecture)
        self.epochs_done, self.updates_an_epoch = begun, max(1, images // BATCH)
        steps = self.updates_an_epoch * (epochs - self._warm_up)
        rounds = {"generator": 1, "discriminator": int(self.hyperparameters["discriminator_steps"])}
        self._architects = {
            name: make_architect(alphas, plan, steps * rounds[name]) for name, alphas in self._alphas.items()
        }

    def _weights(self, network: nn.Module) -> list[nn.Parameter]:
        alphas = {id(alpha) for rows in self._alphas.values() for alpha in rows}
        return [parameter for parameter in network.parameters() if id(parameter) not in alphas]

    def epoch(self, data: Split, memory: PeakMemory) -> None:
        """``len(data) // 64`` updates of the generator, at least one: as many as a candidate's epoch has.

        Raises:
            Diverged: a loss or a log-weight is not finite.
        """
        self.model.generator.train()
        self.model.discriminator.train()
        rows = []
        with seed_global_generators(self._key(0), self._device):
            self._random.manual_seed(self._key(1))
            order = torch.Generator().manual_seed(self._key(2))
            seen, unseen = (self._batches(half, order) for half in _halves(len(data), self.seed))
            for step in range(self.updates_an_epoch):
                progress = (self.epochs_done + step / self.updates_an_epoch) / self.epochs
                noise = self._instance_noise(progress)
                rows.append(torch.stack(self._round(data, seen[step], unseen[step], progress, noise)))
                memory.look()
        self.losses = torch.stack(rows)
        self.epochs_done += 1
        expected = self.losses if self.epochs_done > self._warm_up else self.losses[:, :2]
        alphas = [row for rows in self._alphas.values() for row in rows]
        if not all(bool(torch.isfinite(values).all()) for values in (expected, *alphas)):
            means = ", ".join(f"{value:g}" for value in self.losses.mean(0).tolist())
            raise Diverged(f"the supernet's mean losses are {means} in epoch {self.epochs_done}")

    def _batches(self, half: Tensor, order: torch.Generator) -> Tensor:
        """Images of a half in as many new orders as are needed: (updates, discriminator steps, N)."""
        rounds, size = int(self.hyperparameters["discriminator_steps"]), min(BATCH, len(half))
        wanted = self.updates_an_epoch * rounds * size
        passes = [half[torch.randperm(len(half), generator=order)] for _ in range(-(-wanted // len(half)))]
        return torch.cat(passes)[:wanted].view(self.updates_an_epoch, rounds, size).to(self._device)

    def _round(self, data: Split, seen: Tensor, unseen: Tensor, progress: float, noise: float) -> list[Tensor]:
        """One update of the generator after those of the discriminator; see LOSSES for what it gives."""
        moving = self.epochs_done >= self._warm_up
        judged_unseen = fooled_unseen = torch.full((), math.nan, device=self._device)
        for here, there in zip(seen, unseen, strict=True):
            if moving:
                judged_unseen = self._discriminator_loss(*self._pairs(data, there, progress), noise)
                self._move("discriminator", judged_unseen)
            judged = self._update_discriminator(*self._pairs(data, here, progress), noise)
        self._freeze_discriminator(True)
        if moving:
            fooled_unseen = self._generator_loss(*self._pairs(data, unseen[-1], progress, learns=True), noise)
            self._move("generator", fooled_unseen)
        fooled = self._generator_loss(*self._pairs(data, seen[-1], progress, learns=True), noise)
        self._optimise(self.generator_optimiser, fooled)
        self._freeze_discriminator(False)
        self.average.update()
        return [loss.detach() for loss in (judged, fooled, judged_unseen, fooled_unseen)]

    def _pairs(
        self, data: Split, batch: Tensor, progress: float, learns: bool = False
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Real images, as many from a new draw of the architecture, and what both are told.

        `learns` says whether the generator shall learn from its images.
        """
        real, told = as_float(data.examples[batch]), self._told(data, batch)
        self.architecture.draw(progress, self._random)
        with torch.set_grad_enabled(learns):
            return real, self._generate(len(real), told), told

    def _told(self, data: Split, batch: Tensor) -> tuple[Tensor, ...]:
        conditions = select_conditions(self.model, data)
        return () if conditions is None else (conditions[batch],)

    def _optimise(self, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
        """Move the weights alone, although the alphas of both halves have a part in the loss.

        A draw may hold nothing on every way through the discriminator; then the generator has nothing to learn.
        """
        if loss.requires_grad:
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss, inputs=optimiser.param_groups[0]["params"])
            optimiser.step()

    def _move(self, name: str, loss: Tensor) -> None:
        """A half's alphas alone, as far as there is something to learn."""
        if not loss.requires_grad:
            return
        alphas = self._alphas[name]
        for row, gradient in zip(alphas, first_order(loss, alphas), strict=True):
            row.grad = gradient
        self._architects[name].step()


def _halves(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """The images of the weights, and those of the alphas."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    return order[: count // 2], order[count // 2 :]


def sample_generator_inputs(
    model: GanModel, hyperparameters: Mapping[str, Any], data: Split, seed: int, count: int
) -> list[tuple[Tensor, ...]]:
    """Arguments of a generator for so many batches, with what images of the data are; the same for the same seed."""
    device = data.examples.device
    random = torch.Generator(device).manual_seed(seed)
    told = select_conditions(model, data)
    batches: list[tuple[Tensor, ...]] = []
    for _ in range(count):
        noise = sample_noise(hyperparameters, BATCH, model.latent, random, device)
        drawn = torch.randint(len(data), (BATCH,), generator=random, device=device)
        batches.append((noise,) if told is None else (noise, told[drawn]))
    return batches
