"""The training of two translators against a discriminator of each domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from evaluators.adversarial.losses import ADVERSARIAL_LOSSES, Discriminator, discriminator_loss
from evaluators.adversarial.training import AdversarialTraining
from evaluators.cyclegan.image_buffer import ImageBuffer
from evaluators.cyclegan.losses import distance, fooling_loss
from evaluators.metrics.cost import PeakMemory
from evaluators.training.checkpoint import State, copy_to_cpu, select_prefix
from evaluators.training.epochs import draw_indices
from evaluators.training.precision import returning_float
from nas.data.dataset import Split, as_float


class CycleGanModel(Protocol):
    """What a model must have to be trained as a CycleGAN.

    The translators take images (N, C, H, W) in [0, 1] to images of the same shape and range, a domain's discriminator
    takes images to logits (N, patches).
    """

    a_to_b: nn.Module
    b_to_a: nn.Module
    discriminator_a: nn.Module
    discriminator_b: nn.Module


def as_cyclegan(model: nn.Module) -> CycleGanModel:
    """Give the model itself, typed as a CycleGanModel."""
    return cast(CycleGanModel, model)


def join_translators(model: CycleGanModel) -> nn.ModuleDict:
    """Join both translators in one module, whose children are ``a_to_b`` and ``b_to_a``."""
    return nn.ModuleDict({"a_to_b": model.a_to_b, "b_to_a": model.b_to_a})


class CycleGanTraining(AdversarialTraining):
    """Trains a CycleGAN in place; its state holds the images of both buffers as well.

    Args:
        model: a CycleGanModel, on its device.
        hyperparameters: the decisions of search_spaces.cyclegan.space.
        epochs: of the whole training; the learning rates fall over the second half.

    Attributes:
        average: of the module that `join_translators` gives.
    """

    loss_message = "the translators' loss is {}, the discriminators' {}"

    def __init__(self, model: nn.Module, hyperparameters: Mapping[str, Any], epochs: int, seed: int) -> None:
        self.model = as_cyclegan(model)
        judges = nn.ModuleDict({"a": self.model.discriminator_a, "b": self.model.discriminator_b})
        super().__init__(model, join_translators(self.model), judges, hyperparameters, epochs, seed)
        translators: Any = self.average.network
        self.averages = dict(translators.items())
        chosen = self.hyperparameters
        self._loss = ADVERSARIAL_LOSSES[chosen["loss"]]
        self._gammas = (chosen["r1"], chosen["r2"]) if self._loss.relativistic else (0.0, 0.0)
        self.schedule = "late_linear" if chosen["linear_decay"] else "constant"  # section 7.1
        self._buffers: dict[str, ImageBuffer] = {}
        self._places = torch.Generator()

    def epoch(self, data: tuple[Split, Split], memory: PeakMemory) -> None:
        """Make as many steps as there are whole batches in the larger of the two parts.

        Each part is shuffled on its own, because images are unpaired; the smaller one is gone through several times, in
        a new order each time.

        Raises:
            Diverged: a loss is not finite.
        """
        a, b = data
        size = min(self.hyperparameters["batch"], len(a), len(b))
        steps = max(1, self._count_examples(max(len(a), len(b))) // size)
        self._random.manual_seed(self._key(1))
        self._places.manual_seed(self._key(2))
        orders = torch.Generator().manual_seed(self._key(3))
        of_a, of_b = (
            draw_indices(len(part), steps * size, orders).view(steps, size).to(self._device) for part in (a, b)
        )

        def update(step: int, progress: float) -> tuple[Tensor, Tensor]:
            self._set_rates(progress)
            return self._step(as_float(a.examples[of_a[step]]), as_float(b.examples[of_b[step]]))

        self._run_updates(steps, self._key(0), update, memory)

    def _step(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Update both translators and then both discriminators, with images of A and of B."""
        model, chosen = self.model, self.hyperparameters
        a_to_b, b_to_a = returning_float(model.a_to_b), returning_float(model.b_to_a)
        judge_a, judge_b = returning_float(model.discriminator_a), returning_float(model.discriminator_b)
        self._freeze_discriminator(True)
        fake_b, fake_a = a_to_b(a), b_to_a(b)
        loss = fooling_loss(self._loss, judge_b, b, fake_b)
        loss = loss + fooling_loss(self._loss, judge_a, a, fake_a)
        there_and_back = distance(b_to_a(fake_b), a) + distance(a_to_b(fake_a), b)
        loss = loss + chosen["cycle_weight"] * there_and_back
        if chosen["identity_weight"]:
            unchanged = distance(a_to_b(b), b) + distance(b_to_a(a), a)
            loss = loss + chosen["cycle_weight"] * chosen["identity_weight"] * unchanged
        self._optimise(self.generator_optimiser, loss)
        self._freeze_discriminator(False)
        self.average.update()
        judged = self._discriminator_loss(judge_a, a, self._exchange("a", fake_a))
        judged = judged + self._discriminator_loss(judge_b, b, self._exchange("b", fake_b))
        self._optimise(self.discriminator_optimiser, judged)
        return loss.detach(), judged.detach()

    def _discriminator_loss(self, discriminator: Discriminator, real: Tensor, fake: Tensor) -> Tensor:
        # section 7.1 halves the least squares, as evaluators.adversarial.losses does; Adam's steps do not depend on it
        return discriminator_loss(
            self._loss, discriminator, real, fake, self.hyperparameters, self._random, gammas=self._gammas
        )

    def _exchange(self, domain: str, fake: Tensor) -> Tensor:
        """Exchange translated images for as many of this step and of earlier ones; see ImageBuffer."""
        if domain not in self._buffers:
            self._buffers[domain] = self._make_buffer(fake)
        return self._buffers[domain].exchange(fake.detach(), self._places)

    def _make_buffer(self, images: Tensor) -> ImageBuffer:
        channels, height, width = images.shape[1:]
        return ImageBuffer(self.hyperparameters["buffer"], (channels, height, width), self._device)

    # -- continuing

    def state(self) -> State:
        """Give everything to continue from, with the images of the buffers."""
        tensors, numbers = super().state()
        images = {f"buffer.{domain}": buffer.images[: buffer.filled] for domain, buffer in self._buffers.items()}
        return {**tensors, **copy_to_cpu(images)}, numbers

    def restore(self, state: State) -> None:
        """Continue from what `state` gave."""
        super().restore(state)
        for domain, images in select_prefix(state[0], "buffer").items():
            buffer = self._buffers[domain] = self._make_buffer(images)
            buffer.filled = len(images)
            buffer.images[: len(images)] = images
