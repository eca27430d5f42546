"""The training of a generator against a discriminator, an epoch at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, Protocol, cast

import torch
from torch import Tensor, nn

from evaluators.adversarial.diff_augment import diff_augmented
from evaluators.adversarial.losses import (
    ADVERSARIAL_LOSSES,
    HARD_TARGETS,
    clip_weights,
    discriminator_loss,
    generator_loss,
    smooth_targets,
)
from evaluators.adversarial.training import CHECK_EVERY, AdversarialTraining
from evaluators.metrics.cost import PeakMemory
from evaluators.networks import BATCH_NORMALISATIONS, global_randomness
from nas.core.errors import Diverged, UserError
from nas.data.dataset import Split, as_float

BATCH = 64


class GanModel(Protocol):
    """What a model must have to be trained as a GAN.

    The generator takes noise (N, latent) to images (N, C, H, W) in [0, 1], the discriminator images to logits (N,);
    conditional ones take a second argument, see `conditions_of`.
    """

    generator: nn.Module
    discriminator: nn.Module
    latent: int
    condition: Literal["none", "label", "vector"]


def as_gan(model: nn.Module) -> GanModel:
    """The model itself, as what it is."""
    return cast(GanModel, model)


def conditions_of(model: GanModel, data: Split) -> Tensor | None:
    """What a conditional model is told of each image: labels (N,) int64 or vectors (N, size) float32; else None.

    Raises:
        UserError: the data has none.
    """
    if model.condition == "none":
        return None
    conditions = data.labels if model.condition == "label" else data.vectors
    if conditions is None:
        raise UserError("condition", model.condition, "none", why=f"the data has no {model.condition} for each image")
    return conditions


def noise_like(
    hyperparameters: Mapping[str, Any], count: int, latent: int, generator: torch.Generator, device: torch.device
) -> Tensor:
    """Noise (count, latent) of mean 0 and standard deviation ``noise_scale``.

    ``normal`` or ``uniform``: on [-sqrt(3), sqrt(3)] before it is scaled, so that both have the same deviation and the
    scale means the same.
    """
    scale = float(hyperparameters["noise_scale"])
    if hyperparameters["noise"] == "normal":
        return torch.randn((count, latent), generator=generator, device=device) * scale
    half = math.sqrt(3) * scale
    return torch.rand((count, latent), generator=generator, device=device) * (2 * half) - half


class GanTraining(AdversarialTraining):
    """Trains a GAN in place, and follows its generator with a moving average.

    Args:
        model: see GanModel; on its device already. Its batch normalisations get the momentum that was decided.
        hyperparameters: the decisions of search_spaces.gan.training.
        epochs: of the whole training; instance noise falls over a share of them.
    """

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
        self._gammas = (chosen["r1"], chosen["r2"] if self._loss.relativistic else 0.0)

    def epoch(self, data: Split, memory: PeakMemory) -> None:
        """``len(data) // 64`` updates of the generator, at least one, each after ``discriminator_steps`` of the other.

        The discriminator sees the data in as many new orders, of which the rest of the last batch is left out. Real
        and generated images are judged in batches of their own, whose statistics are then not mixed (Radford et al.
        2016 and their code), and the generator learns from the images that the discriminator saw last.

        Raises:
            Diverged: a loss is not finite.
        """
        self.model.generator.train()
        self.model.discriminator.train()
        size, rounds = min(BATCH, len(data)), self.hyperparameters["discriminator_steps"]
        steps = max(1, min(len(data), self.epoch_size or len(data)) // BATCH)
        with global_randomness(self._key(0), self._device):
            self._random.manual_seed(self._key(1))
            order = torch.Generator().manual_seed(self._key(2))
            passes = [torch.randperm(len(data), generator=order)[: steps * size] for _ in range(rounds)]
            indices = torch.cat(passes).view(steps, rounds, size).to(self._device)
            for step in range(steps):
                if self.growth is not None:
                    self.growth.to(self.epochs_done + step / steps)
                looked_at = step % CHECK_EVERY == 0 or step == steps - 1
                losses = self._step(data, indices[step], self._instance_noise(step / steps), memory, looked_at)
                if looked_at and not math.isfinite(sum(values := [loss.item() for loss in losses])):
                    found = "discriminator's loss is {}, the generator's {}".format(*values)
                    raise Diverged(f"the {found} in epoch {self.epochs_done + 1}, step {step + 1}")
        self.epochs_done += 1
        if self.growth is not None:
            self.growth.to(self.epochs_done)

    def _step(
        self, data: Split, batches: Tensor, noise: float, memory: PeakMemory, looked_at: bool
    ) -> tuple[Tensor, Tensor]:
        """One update of the generator after one of the discriminator with each batch, indices (rounds, N)."""
        self.before_update()
        conditions = conditions_of(self.model, data)
        for number, batch in enumerate(batches, start=1):
            real = as_float(data.examples[batch])
            told = () if conditions is None else (conditions[batch],)
            with torch.set_grad_enabled(number == len(batches)):  # the last are the generator's as well
                fake = self._generated(len(real), told)
            judged = self._update_discriminator(real, fake, told, noise)
        if looked_at:
            memory.look()
        self._only_judge(True)
        loss = self._generator_loss(real, fake, told, noise)
        self._optimise("generator", loss)
        self._only_judge(False)
        self.average.update()
        return judged.detach(), loss.detach()

    def _update_discriminator(self, real: Tensor, fake: Tensor, told: tuple[Tensor, ...], noise: float) -> Tensor:
        loss = self._discriminator_loss(real, fake, told, noise)
        self._optimise("discriminator", loss)
        if self._loss.clips_weights:
            clip_weights(self._judges, self.hyperparameters["clip"])
        return loss

    def _discriminator_loss(self, real: Tensor, fake: Tensor, told: tuple[Tensor, ...], noise: float) -> Tensor:
        """What the discriminator minimises, its penalties included.

        Args:
            real, fake: images (N, C, H, W), of which those of the same place share a condition.
            told: that condition, or nothing.
            noise: the deviation of the instance noise.
        """
        return discriminator_loss(
            self._loss, lambda images: self._judge(images, told, noise), real, fake, self.hyperparameters,
            self._random, self._targets, self._gammas,
        )  # fmt: skip

    def _generator_loss(self, real: Tensor, fake: Tensor, told: tuple[Tensor, ...], noise: float) -> Tensor:
        """What the generator minimises; the arguments are those of `_discriminator_loss`."""
        return generator_loss(self._loss, lambda images: self._judge(images, told, noise), real, fake)

    def _generated(self, count: int, told: tuple[Tensor, ...]) -> Tensor:
        noise = noise_like(self.hyperparameters, count, self.model.latent, self._random, self._device)
        images: Tensor = self.model.generator(noise, *told)
        return images

    def _judge(self, images: Tensor, told: tuple[Tensor, ...], noise: float) -> Tensor:
        """The logits (N,) of images, augmented and with instance noise of this deviation."""
        seen = diff_augmented(images, self.hyperparameters["diff_augment"], self._random)
        if noise:
            seen = seen + noise * torch.randn(seen.shape, generator=self._random, device=self._device)
        logits: Tensor = self.model.discriminator(seen, *told)
        return logits

    def _instance_noise(self, part: float) -> float:
        """The deviation of the noise after `part` of this epoch: it falls linearly to 0 (Sonderby et al. 2017)."""
        begin = float(self.hyperparameters["instance_noise"])
        if not begin:
            return 0.0
        progress = (self.epochs_done + part) / self.epochs
        return begin * max(0.0, 1 - progress / float(self.hyperparameters["instance_noise_decay"]))
