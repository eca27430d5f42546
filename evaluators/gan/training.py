"""The training of a generator against a discriminator."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, Protocol, cast

import torch
from torch import Tensor, nn

from evaluators.adversarial.diff_augment import diff_augment
from evaluators.adversarial.losses import (
    ADVERSARIAL_LOSSES,
    HARD_TARGETS,
    clip_weights,
    discriminator_loss,
    generator_loss,
    smooth_targets,
)
from evaluators.adversarial.training import AdversarialTraining
from evaluators.metrics.cost import PeakMemory
from evaluators.models import BATCH_NORMALISATIONS
from evaluators.training.epochs import draw_indices
from nas.core.errors import UserError
from nas.data.dataset import Split, as_float

RECIPE: Mapping[str, Any] = {"batch_size": 64, "optimiser": "adam", "schedule": "constant", "r1": 0.0}
"""How a pair is trained where its space does not say otherwise."""


class GanModel(Protocol):
    """What a model must have to be trained as a GAN.

    The generator takes noise (N, latent) to images (N, C, H, W) in [0, 1], the discriminator images to logits (N,);
    conditional ones take a second argument, see `select_conditions`.
    """

    generator: nn.Module
    discriminator: nn.Module
    latent: int
    condition: Literal["none", "label", "vector"]


def as_gan(model: nn.Module) -> GanModel:
    """Give the model itself, typed as a GanModel."""
    return cast(GanModel, model)


def select_conditions(model: GanModel, data: Split, index: Tensor | slice = slice(None)) -> tuple[Tensor, ...]:
    """Select what a pair takes as its second argument for these examples; nothing if it is unconditional.

    Conditions are labels (N,) int64 or vectors (N, size) float32.

    Raises:
        UserError: the data has no such conditions.
    """
    if model.condition == "none":
        return ()
    conditions = data.labels if model.condition == "label" else data.vectors
    if conditions is None:
        raise UserError("condition", model.condition, "none", why=f"the data has no {model.condition} for each image")
    return (conditions[index],)


def sample_noise(
    hyperparameters: Mapping[str, Any], count: int, latent: int, generator: torch.Generator, device: torch.device
) -> Tensor:
    """Sample noise (count, latent) with mean 0 and standard deviation ``noise_scale``.

    It is ``normal`` or ``uniform`` on [-sqrt(3), sqrt(3)] before it is scaled, so that both have the same deviation.
    """
    scale = float(hyperparameters["noise_scale"])
    if hyperparameters["noise"] == "normal":
        return torch.randn((count, latent), generator=generator, device=device) * scale
    half = math.sqrt(3) * scale
    return torch.rand((count, latent), generator=generator, device=device) * (2 * half) - half


class GanTraining(AdversarialTraining):
    """Trains a GAN in place.

    Args:
        model: a GanModel, on its device. Its batch normalisations get the momentum ``batch_norm_momentum``.
        hyperparameters: the decisions of search_spaces.gan.training, completed by RECIPE.
        epochs: of the whole training; the rates may fall over them, and instance noise over a share of them.
    """

    loss_message = "the discriminator's loss is {}, the generator's {}"

    def __init__(self, model: nn.Module, hyperparameters: Mapping[str, Any], epochs: int, seed: int) -> None:
        self.model = as_gan(model)
        for module in model.modules():
            if isinstance(module, BATCH_NORMALISATIONS):
                module.momentum = hyperparameters["batch_norm_momentum"]
        super().__init__(model, self.model.generator, self.model.discriminator, hyperparameters, epochs, seed)
        self.averages = {"generator": self.average.network}
        chosen = self.hyperparameters
        self._loss, self._targets = ADVERSARIAL_LOSSES[chosen["loss"]], HARD_TARGETS
        if self._loss.targets and chosen["label_smoothing"] != "none":
            self._targets = smooth_targets(chosen["label_smoothing"], chosen["smoothing"])
        self.schedule = chosen["schedule"]
        self._gammas = (chosen["r1"], chosen["r2"] if self._loss.relativistic else 0.0)

    def epoch(self, data: Split, memory: PeakMemory) -> None:
        """Make ``len(data) // batch_size`` updates of the generator, at least one.

        Each comes after ``discriminator_steps`` updates of the discriminator, which sees the data in as many new
        orders. Images that do not fill the last batch are left out. Real and generated images are judged in batches of
        their own, so that batch normalisation does not mix their statistics (Radford et al. 2016 and their code). The
        generator learns from the images that the discriminator saw last.

        Raises:
            Diverged: a loss is not finite.
        """
        wanted, rounds = self.hyperparameters["batch_size"], self.hyperparameters["discriminator_steps"]
        size, steps = min(wanted, len(data)), max(1, self._count_examples(len(data)) // wanted)
        self._random.manual_seed(self._key(1))
        order = torch.Generator().manual_seed(self._key(2))
        passes = [draw_indices(len(data), steps * size, order) for _ in range(rounds)]
        indices = torch.cat(passes).view(steps, rounds, size).to(self._device)
        self._run_updates(steps, self._key(0), lambda step, time: self._step(data, indices[step], time), memory)

    def _step(self, data: Split, batches: Tensor, progress: float) -> tuple[Tensor, Tensor]:
        """Update the discriminator with each batch of indices (rounds, N), and then the generator."""
        self._set_rates(progress)
        noise = self._instance_noise(progress)
        for number, batch in enumerate(batches, start=1):
            real = as_float(data.examples[batch])
            told = select_conditions(self.model, data, batch)
            with torch.set_grad_enabled(number == len(batches)):  # the generator learns from the last images as well
                fake = self._generate(len(real), told)
            judged = self._update_discriminator(real, fake, told, noise)
        self._freeze_discriminator(True)
        loss = self._generator_loss(real, fake, told, noise)
        self._optimise(self.generator_optimiser, loss)
        self._freeze_discriminator(False)
        self.average.update()
        return judged.detach(), loss.detach()

    def _update_discriminator(self, real: Tensor, fake: Tensor, told: tuple[Tensor, ...], noise: float) -> Tensor:
        loss = self._discriminator_loss(real, fake, told, noise)
        self._optimise(self.discriminator_optimiser, loss)
        if self._loss.clips_weights:
            clip_weights(self._judges, self.hyperparameters["clip"])
        return loss

    def _discriminator_loss(self, real: Tensor, fake: Tensor, told: tuple[Tensor, ...], noise: float) -> Tensor:
        """Compute what the discriminator minimises, with its penalties.

        Args:
            real, fake: images (N, C, H, W); those with the same index share a condition.
            told: the condition as a further argument of both networks, or nothing.
            noise: the standard deviation of the instance noise.
        """
        return discriminator_loss(
            self._loss, lambda images: self._judge(images, told, noise), real, fake, self.hyperparameters,
            self._random, self._targets, self._gammas,
        )  # fmt: skip

    def _generator_loss(self, real: Tensor, fake: Tensor, told: tuple[Tensor, ...], noise: float) -> Tensor:
        """Compute what the generator minimises; the arguments are those of `_discriminator_loss`."""
        return generator_loss(self._loss, lambda images: self._judge(images, told, noise), real, fake)

    def _generate(self, count: int, told: tuple[Tensor, ...]) -> Tensor:
        noise = sample_noise(self.hyperparameters, count, self.model.latent, self._random, self._device)
        images: Tensor = self.model.generator(noise, *told)
        return images.float()

    def _judge(self, images: Tensor, told: tuple[Tensor, ...], noise: float) -> Tensor:
        """Compute the logits (N,) of images after augmentation and instance noise."""
        seen = diff_augment(images, self.hyperparameters["diff_augment"], self._random)
        if noise:
            seen = seen + noise * torch.randn(seen.shape, generator=self._random, device=self._device)
        logits: Tensor = self.model.discriminator(seen, *told)
        return logits.float()

    def _instance_noise(self, progress: float) -> float:
        """Compute the deviation of the instance noise, which falls linearly to 0 (Sonderby et al. 2017)."""
        begin = float(self.hyperparameters["instance_noise"])
        return begin and begin * max(0.0, 1 - progress / float(self.hyperparameters["instance_noise_decay"]))
