"""The training of a generator against a discriminator, an epoch at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, Protocol, cast

import torch
from torch import Tensor, nn

from evaluators.adversarial import (
    clip_weights,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    r1_penalty,
    smoothed_targets,
)
from evaluators.averaging import MovingAverage
from evaluators.checkpoints import State, copied, moments_of, restore_moments, under
from evaluators.diff_augment import diff_augmented
from evaluators.images import Split, as_float
from evaluators.metrics.cost import PeakMemory
from evaluators.networks import global_randomness
from nas.core.errors import Diverged, UserError
from nas.core.space import generator_for

BATCH = 64
_CHECK_EVERY = 32  # steps between two looks at the losses: each waits for the device
_NORMALISATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


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


class GanTraining:
    """Trains a GAN in place, and follows its generator with a moving average.

    Everything random in an epoch is keyed by the seed and the epoch's number. So tensors and that number are all
    there is to continue from, and what was restored trains on to the same numbers (bit for bit on a CPU).

    Args:
        model: see GanModel; on its device already. Its batch normalisations get the momentum that was decided.
        hyperparameters: the decisions of search_spaces.gan.training.
        epochs: of the whole training; instance noise falls over a share of them.
    """

    def __init__(self, model: nn.Module, hyperparameters: Mapping[str, Any], epochs: int, seed: int) -> None:
        self.model, self.hyperparameters, self.epochs, self.seed = as_gan(model), dict(hyperparameters), epochs, seed
        self.epochs_done = 0
        self._device = next(model.parameters()).device
        chosen = self.hyperparameters
        for module in model.modules():
            if isinstance(module, _NORMALISATIONS):
                module.momentum = chosen["batch_norm_momentum"]
        self.average = MovingAverage(self.model.generator, chosen["ema"])
        self._optimisers = {
            name: torch.optim.Adam(
                self._weights(network),
                lr=chosen[f"{name}_learning_rate"],
                betas=(chosen["beta1"], chosen["beta2"]),
                fused=True,  # one kernel a step, on CPU and CUDA alike
            )
            for name, network in self._networks.items()
        }
        self._targets = smoothed_targets(chosen.get("label_smoothing", "none"), chosen.get("smoothing", 0.0))
        self._random = torch.Generator(self._device)
        self._judges = [weight for weight in self._weights(self.model.discriminator) if weight.requires_grad]

    @property
    def _networks(self) -> dict[str, nn.Module]:
        return {"generator": self.model.generator, "discriminator": self.model.discriminator}

    def _weights(self, network: nn.Module) -> list[nn.Parameter]:
        """What of a network is trained."""
        return list(network.parameters())

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
        steps = max(1, len(data) // BATCH)
        with global_randomness(self._key(0), self._device):
            self._random.manual_seed(self._key(1))
            order = torch.Generator().manual_seed(self._key(2))
            passes = [torch.randperm(len(data), generator=order)[: steps * size] for _ in range(rounds)]
            indices = torch.cat(passes).view(steps, rounds, size).to(self._device)
            for step in range(steps):
                looked_at = step % _CHECK_EVERY == 0 or step == steps - 1
                losses = self._step(data, indices[step], self._instance_noise(step / steps), memory, looked_at)
                if looked_at and not math.isfinite(sum(values := [loss.item() for loss in losses])):
                    found = "discriminator's loss is {}, the generator's {}".format(*values)
                    raise Diverged(f"the {found} in epoch {self.epochs_done + 1}, step {step + 1}")
        self.epochs_done += 1

    def _step(
        self, data: Split, batches: Tensor, noise: float, memory: PeakMemory, looked_at: bool
    ) -> tuple[Tensor, Tensor]:
        """One update of the generator after one of the discriminator with each batch, indices (rounds, N)."""
        conditions = conditions_of(self.model, data)
        for number, batch in enumerate(batches, start=1):
            real = as_float(data.images[batch])
            told = () if conditions is None else (conditions[batch],)
            with torch.set_grad_enabled(number == len(batches)):  # the last are the generator's as well
                fake = self._generated(len(real), told)
            judged = self._update_discriminator(real, fake, told, noise)
        if looked_at:
            memory.look()
        self._only_judge(True)
        logits = self._judge(fake, told, noise)
        loss = generator_loss(self.hyperparameters["loss"], logits)
        self._optimise("generator", loss)
        self._only_judge(False)
        self.average.update()
        return judged.detach(), loss.detach()

    def _update_discriminator(self, real: Tensor, fake: Tensor, told: tuple[Tensor, ...], noise: float) -> Tensor:
        loss = self._discriminator_loss(real, fake, told, noise)
        self._optimise("discriminator", loss)
        if "clip" in self.hyperparameters:
            clip_weights(self._judges, self.hyperparameters["clip"])
        return loss

    def _discriminator_loss(self, real: Tensor, fake: Tensor, told: tuple[Tensor, ...], noise: float) -> Tensor:
        """With its penalties."""
        chosen = self.hyperparameters
        real.requires_grad_(bool(chosen["r1"]))
        real_logits = self._judge(real, told, noise)
        loss = discriminator_loss(chosen["loss"], real_logits, self._judge(fake.detach(), told, noise), self._targets)
        if chosen["r1"]:
            loss = loss + r1_penalty(real_logits, real, chosen["r1"])
        if "gradient_penalty" in chosen:
            loss = loss + gradient_penalty(
                lambda images: self._judge(images, told, noise), real, fake, chosen["gradient_penalty"], self._random
            )
        return loss

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

    def _optimise(self, name: str, loss: Tensor) -> None:
        self._optimisers[name].zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self._optimisers[name].step()

    def _only_judge(self, frozen: bool) -> None:
        """Whether the discriminator has gradients of its own: the generator's step needs none of them."""
        for parameter in self._judges:
            parameter.requires_grad_(not frozen)

    def _key(self, purpose: int) -> int:
        return int(generator_for(self.seed, self.epochs_done, purpose).integers(2**63))

    # -- continuing

    def state(self) -> State:
        """Everything to continue from: tensors by name, each with memory of its own, and what fits into JSON."""
        tensors: dict[str, Tensor] = {}
        for name, network in self._networks.items():
            tensors |= {f"{name}.{key}": value for key, value in network.state_dict().items()}
            moments = moments_of(self._optimisers[name])
            tensors |= {f"{name}_optimiser.{key}": value for key, value in moments.items()}
        tensors |= {f"average.{key}": value for key, value in self.average.network.state_dict().items()}
        numbers = {"epochs_done": self.epochs_done, "average_updates": self.average.updates, "seed": self.seed}
        return copied(tensors), numbers | {"hyperparameters": self.hyperparameters}

    def restore(self, state: State) -> None:
        """Go on from what `state` gave; the number of epochs in all may be another.

        Raises:
            ValueError: the state is of another seed or other hyperparameters.
        """
        tensors, numbers = state
        for name, own in (("seed", self.seed), ("hyperparameters", self.hyperparameters)):
            if numbers[name] != own:
                raise ValueError(f"the {name} of the state are {numbers[name]}, not {own}")
        for name, network in (*self._networks.items(), ("average", self.average.network)):
            network.load_state_dict(under(tensors, name))
        for name, optimiser in self._optimisers.items():
            restore_moments(optimiser, under(tensors, f"{name}_optimiser"))
        self.epochs_done, self.average.updates = numbers["epochs_done"], numbers["average_updates"]
