"""The training of an autoencoder, an epoch at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from evaluators.autoencoder.losses import as_autoencoder, training_loss
from evaluators.metrics.cost import PeakMemory
from evaluators.networks import global_randomness
from evaluators.training.checkpoint import State, copied, moments_of, restore_moments, under
from evaluators.training.growth import Growth
from evaluators.training.recipe import AUGMENTATIONS, OPTIMISERS, SCHEDULES
from nas.core.errors import Diverged
from nas.core.space import generator_for
from nas.data.dataset import Split, as_float

_CHECK_EVERY = 32  # steps between two looks at the loss: each waits for the device


class AutoencoderTraining:
    """Trains an autoencoder in place.

    What is restored trains on to the same numbers, bit for bit on a CPU: batches and noise have generators of their
    own, whose states are kept, and what a model draws from PyTorch's global ones (dropout) follows from the seed and
    the epoch's number.

    Args:
        model: see evaluators.autoencoder.evaluator.AutoencoderEvaluator; on its device already.
        epochs: of the whole training, which learning rates and warm-ups are fractions of.

    Attributes:
        growth: of the model, if it grows.
    """

    def __init__(self, model: nn.Module, hyperparameters: Mapping[str, Any], epochs: int, seed: int) -> None:
        self.model, self.hyperparameters, self.epochs, self.seed = model, dict(hyperparameters), epochs, seed
        self.epochs_done = 0
        self.growth: Growth | None = None
        self._device = next(model.parameters()).device
        self._generators = {
            "order": torch.Generator().manual_seed(seed),
            "noise": torch.Generator(self._device).manual_seed(seed + 1),
        }
        self._optimiser = OPTIMISERS[hyperparameters["optimiser"]](
            model.parameters(),
            lr=hyperparameters["learning_rate"],
            weight_decay=hyperparameters["weight_decay"],
        )
        self._augment = AUGMENTATIONS[hyperparameters.get("augmentation", "none")]
        self._schedule = SCHEDULES[hyperparameters["schedule"]]

    def epoch(self, data: Split, memory: PeakMemory) -> None:
        """One pass over the data in a new order; the last batch is left out where it is not full.

        Raises:
            Diverged: the loss is not finite.
        """
        self.model.train()
        size = min(self.hyperparameters["batch_size"], len(data))
        order = torch.randperm(len(data), generator=self._generators["order"]).to(data.examples.device)
        steps = len(data) // size
        with global_randomness(int(generator_for(self.seed, self.epochs_done).integers(2**63)), self._device):
            for step in range(steps):
                loss = self._step(data.examples[order[step * size : (step + 1) * size]], step / steps, memory)
                looked_at = step % _CHECK_EVERY == 0 or step == steps - 1
                if looked_at and not math.isfinite(value := loss.item()):
                    raise Diverged(f"the loss is {value} in epoch {self.epochs_done + 1}, step {step + 1}")
        self.epochs_done += 1
        if self.growth is not None:
            self.growth.to(self.epochs_done)

    def _step(self, batch: Tensor, part: float, memory: PeakMemory) -> Tensor:
        """One update with a batch of images, after `part` of this epoch; gives the loss."""
        progress, noise = (self.epochs_done + part) / self.epochs, self._generators["noise"]
        for group in self._optimiser.param_groups:
            group["lr"] = self.hyperparameters["learning_rate"] * self._schedule(progress)
        if self.growth is not None:
            self.growth.to(self.epochs_done + part)
        images = self._augment(as_float(batch), noise)
        loss = training_loss(as_autoencoder(self.model), images, self.hyperparameters, progress, noise)
        memory.look()
        self._optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        if self.growth is not None:
            self.growth.hold()
        self._optimiser.step()
        return loss.detach()

    # -- continuing

    def state(self) -> State:
        """Everything to continue from: tensors by name, each with memory of its own, and what fits into JSON."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"optimiser.{name}": value for name, value in moments_of(self._optimiser).items()}
        tensors |= {f"generators.{name}": generator.get_state() for name, generator in self._generators.items()}
        return copied(tensors), {"epochs_done": self.epochs_done}

    def restore(self, state: State) -> None:
        """Go on from what `state` gave, on a device of the same kind; hyperparameters and epochs may be others."""
        tensors, numbers = state
        self.model.load_state_dict(under(tensors, "model"))
        restore_moments(self._optimiser, under(tensors, "optimiser"))
        for name, generator in self._generators.items():
            generator.set_state(tensors[f"generators.{name}"].clone())
        self.epochs_done = numbers["epochs_done"]
