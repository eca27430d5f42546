"""Bilevel training of supernets of pairs: generator and discriminator train weights and alphas on different images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from evaluators.gan.training import GanModel, GanTraining, sample_noise, select_conditions
from evaluators.metrics.cost import PeakMemory
from evaluators.models import seed_global_generators
from evaluators.supernets.bilevel import Architecture, first_order, make_architect, move_alphas, select_weights
from evaluators.training.epochs import draw_indices
from nas.core.errors import Diverged, UserError
from nas.core.supernet import SupernetPlan
from nas.data.dataset import Split, as_float

LOSSES = (
    "discriminator_training_loss",
    "generator_training_loss",
    "discriminator_validation_loss",
    "generator_validation_loss",
)
"""The losses of each update. The alphas follow the validation losses, which are NaN while the weights warm up."""


class Half(Protocol):
    """A generator or a discriminator of a supernet."""

    architecture: Architecture


class PairSupernetTraining(GanTraining):
    """Trains one supernet of pairs, an epoch at a time (Gao et al. 2020, AdversarialNAS, algorithm 1).

    In every step the discriminator updates its alphas and then its weights, ``discriminator_steps`` times, and then
    the generator updates its alphas and then its weights, each by its own loss. Weights are trained on one half of the
    training part and alphas on the other. Each of these updates has new noise and, if the relaxation draws operations,
    a new draw.

    Args:
        model: a GanModel whose halves and itself have an ``architecture``; all other parameters are weights.
        plan: completed.
        images: how many the training part has.
        begun: how many epochs of the plan there were before this training.

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
        self.epochs_done, self.updates_an_epoch = begun, max(1, images // self.hyperparameters["batch_size"])
        steps = self.updates_an_epoch * (epochs - self._warm_up)
        rounds = {"generator": 1, "discriminator": int(self.hyperparameters["discriminator_steps"])}
        self._architects = {
            name: make_architect(alphas, plan, steps * rounds[name]) for name, alphas in self._alphas.items()
        }

    def _weights(self, network: nn.Module) -> list[nn.Parameter]:
        return select_weights(network, [alpha for rows in self._alphas.values() for alpha in rows])

    def epoch(self, data: Split, memory: PeakMemory) -> None:
        """``len(data) // batch_size`` updates of the generator, at least one: as many as a candidate's epoch has.

        Raises:
            Diverged: a loss or a log-weight is not finite.
        """
        self.model.generator.train()
        self.model.discriminator.train()
        rows = []
        with seed_global_generators(self._key(0), self._device):
            self._random.manual_seed(self._key(1))
            order = torch.Generator().manual_seed(self._key(2))
            seen, unseen = (self._batches(half, order) for half in _split_indices(len(data), self.seed))
            for step in range(self.updates_an_epoch):
                progress = (self.epochs_done + step / self.updates_an_epoch) / self.epochs
                self._set_rates(progress)
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
        """Draw indices of images of a half, in as many new orders as are needed: (updates, discriminator steps, N)."""
        chosen = self.hyperparameters
        rounds, size = int(chosen["discriminator_steps"]), min(int(chosen["batch_size"]), len(half))
        wanted = self.updates_an_epoch * rounds * size
        drawn = half[draw_indices(len(half), wanted, order)]
        return drawn.view(self.updates_an_epoch, rounds, size).to(self._device)

    def _round(self, data: Split, seen: Tensor, unseen: Tensor, progress: float, noise: float) -> list[Tensor]:
        """Update the discriminator and then the generator, and return their LOSSES."""
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
        """Give real images, as many generated ones from a new draw of the architecture, and their condition.

        Generated images have gradients only if the generator `learns` from them.
        """
        real, told = as_float(data.examples[batch]), select_conditions(self.model, data, batch)
        self.architecture.draw(progress, self._random)
        with torch.set_grad_enabled(learns):
            return real, self._generate(len(real), told), told

    def _optimise(self, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
        """Move the weights alone, although the alphas of both halves have a part in the loss.

        A draw may hold nothing on every way through the discriminator; then the generator has nothing to learn.
        """
        if loss.requires_grad:
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss, inputs=optimiser.param_groups[0]["params"])
            optimiser.step()

    def _move(self, name: str, loss: Tensor) -> None:
        """Move the alphas of one half, if the loss depends on them."""
        if loss.requires_grad:
            alphas = self._alphas[name]
            move_alphas(self._architects[name], alphas, first_order(loss, alphas))


def _split_indices(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw the indices of the images that train the weights, and of those that train the alphas."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    return order[: count // 2], order[count // 2 :]


def sample_generator_inputs(
    model: GanModel, hyperparameters: Mapping[str, Any], data: Split, seed: int, count: int
) -> list[tuple[Tensor, ...]]:
    """Draw arguments of a generator for `count` batches, with conditions of images of the data."""
    device = data.examples.device
    random = torch.Generator(device).manual_seed(seed)
    batches: list[tuple[Tensor, ...]] = []
    size = int(hyperparameters["batch_size"])
    for _ in range(count):
        noise = sample_noise(hyperparameters, size, model.latent, random, device)
        drawn = torch.randint(len(data), (size,), generator=random, device=device)
        batches.append((noise, *select_conditions(model, data, drawn)))
    return batches
