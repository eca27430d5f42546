"""The training of two translators against a discriminator of each domain, an epoch at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from evaluators.adversarial.losses import ADVERSARIAL_LOSSES, discriminator_loss
from evaluators.adversarial.training import CHECK_EVERY, AdversarialTraining
from evaluators.cyclegan.image_buffer import ImageBuffer
from evaluators.cyclegan.losses import distance, fooling_loss
from evaluators.metrics.cost import PeakMemory
from evaluators.networks import global_randomness
from evaluators.training.checkpoint import State, copied, under
from nas.core.errors import Diverged
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
    """The same model, for a type checker."""
    return cast(CycleGanModel, model)


def translators_of(model: CycleGanModel) -> nn.ModuleDict:
    """Both translators as one module, whose children are ``a_to_b`` and ``b_to_a``."""
    return nn.ModuleDict({"a_to_b": model.a_to_b, "b_to_a": model.b_to_a})


class CycleGanTraining(AdversarialTraining):
    """Trains a CycleGAN in place, and follows its translators with a moving average.

    Its state has the images of both buffers as well.

    Args:
        model: see CycleGanModel; on its device already.
        hyperparameters: the decisions of search_spaces.cyclegan.space.
        epochs: of the whole training; the learning rates fall over the second half.

    Attributes:
        average: of `translators_of` the model.
    """

    def __init__(self, model: nn.Module, hyperparameters: Mapping[str, Any], epochs: int, seed: int) -> None:
        self.model = as_cyclegan(model)
        judges = nn.ModuleDict({"a": self.model.discriminator_a, "b": self.model.discriminator_b})
        super().__init__(model, translators_of(self.model), judges, hyperparameters, epochs, seed)
        translators: Any = self.average.network
        self.averages = dict(translators.items())
        chosen = self.hyperparameters
        self._loss = ADVERSARIAL_LOSSES[chosen["loss"]]
        self._gammas = (chosen["r1"], chosen["r2"]) if self._loss.relativistic else (0.0, 0.0)
        self._buffers: dict[str, ImageBuffer] = {}
        self._places = torch.Generator()

    def epoch(self, data: tuple[Split, Split], memory: PeakMemory) -> None:
        """As many steps as there are whole batches in the larger of the two parts, at least one.

        Each part is shuffled on its own, because images are unpaired; the smaller one is gone through several times, in
        a new order each time.

        Raises:
            Diverged: a loss is not finite.
        """
        a, b = data
        for network in self._networks.values():
            network.train()
        size = min(self.hyperparameters["batch"], len(a), len(b))
        steps = max(1, min(max(len(a), len(b)), self.epoch_size or len(a) + len(b)) // size)
        with global_randomness(self._key(0), self._device):
            self._random.manual_seed(self._key(1))
            self._places.manual_seed(self._key(2))
            orders = torch.Generator().manual_seed(self._key(3))
            indices = [
                _draw_indices(len(part), steps * size, orders).view(steps, size).to(self._device) for part in (a, b)
            ]
            for step in range(steps):
                self._set_rates((self.epochs_done + step / steps) / self.epochs)
                looked_at = step % CHECK_EVERY == 0 or step == steps - 1
                real = tuple(as_float(part.examples[own[step]]) for part, own in zip((a, b), indices, strict=True))
                losses = self._step(real[0], real[1], memory, looked_at)
                if looked_at and not math.isfinite(sum(values := [loss.item() for loss in losses])):
                    found = "translators' loss is {}, the discriminators' {}".format(*values)
                    raise Diverged(f"the {found} in epoch {self.epochs_done + 1}, step {step + 1}")
        self.epochs_done += 1

    def _step(self, a: Tensor, b: Tensor, memory: PeakMemory, looked_at: bool) -> tuple[Tensor, Tensor]:
        """One update of both translators and then one of both discriminators, with images of A and of B."""
        self.before_update()
        model, chosen = self.model, self.hyperparameters
        self._only_judge(True)
        fake_b, fake_a = model.a_to_b(a), model.b_to_a(b)
        loss = fooling_loss(self._loss, model.discriminator_b, b, fake_b)
        loss = loss + fooling_loss(self._loss, model.discriminator_a, a, fake_a)
        there_and_back = distance(model.b_to_a(fake_b), a) + distance(model.a_to_b(fake_a), b)
        loss = loss + chosen["cycle_weight"] * there_and_back
        if chosen["identity_weight"]:
            unchanged = distance(model.a_to_b(b), b) + distance(model.b_to_a(a), a)
            loss = loss + chosen["cycle_weight"] * chosen["identity_weight"] * unchanged
        if looked_at:
            memory.look()
        self._optimise("generator", loss)
        self._only_judge(False)
        self.average.update()
        judged = self._discriminator_loss(model.discriminator_a, a, self._exchange("a", fake_a))
        judged = judged + self._discriminator_loss(model.discriminator_b, b, self._exchange("b", fake_b))
        self._optimise("discriminator", judged)
        return loss.detach(), judged.detach()

    def _discriminator_loss(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        # section 7.1 halves the least squares, as evaluators.adversarial.losses does; Adam's steps do not depend on it
        return discriminator_loss(
            self._loss, discriminator, real, fake, self.hyperparameters, self._random, gammas=self._gammas
        )

    def _exchange(self, domain: str, fake: Tensor) -> Tensor:
        """Hand translated images to the domain's buffer, and get as many of now and of earlier; see ImageBuffer."""
        if domain not in self._buffers:
            self._buffers[domain] = self._make_buffer(fake)
        return self._buffers[domain].exchange(fake.detach(), self._places)

    def _make_buffer(self, images: Tensor) -> ImageBuffer:
        channels, height, width = images.shape[1:]
        return ImageBuffer(self.hyperparameters["buffer"], (channels, height, width), self._device)

    def _set_rates(self, progress: float) -> None:
        """Constant in the first half of the training, then falling linearly to 0 (section 7.1)."""
        factor = min(1.0, 2 * (1 - progress)) if self.hyperparameters["linear_decay"] else 1.0
        for name, optimiser in self._optimisers.items():
            for group in optimiser.param_groups:
                group["lr"] = factor * self.hyperparameters[f"{name}_learning_rate"]

    # -- continuing

    def state(self) -> State:
        """As that of any such training, with the images of the buffers."""
        tensors, numbers = super().state()
        images = {f"buffer.{domain}": buffer.images[: buffer.filled] for domain, buffer in self._buffers.items()}
        return {**tensors, **copied(images)}, numbers

    def restore(self, state: State) -> None:
        """Go on from what `state` gave; see AdversarialTraining.restore."""
        super().restore(state)
        for domain, images in under(state[0], "buffer").items():
            buffer = self._buffers[domain] = self._make_buffer(images)
            buffer.filled = len(images)
            buffer.images[: len(images)] = images


def _draw_indices(count: int, wanted: int, generator: torch.Generator) -> Tensor:
    """Indices (wanted,) of images of a part that has `count`: one random order of the whole part after the other."""
    orders = [torch.randperm(count, generator=generator) for _ in range(-(-wanted // count))]
    return torch.cat(orders)[:wanted]
