"""The training of one network by one loss, an epoch at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from evaluators.metrics.cost import PeakMemory
from evaluators.networks import global_randomness
from evaluators.training.augmentations import AUGMENTATIONS
from evaluators.training.checkpoint import State, copied, moments_of, restore_moments, under
from evaluators.training.growth import Growth
from evaluators.training.moving_average import MovingAverage
from evaluators.training.optimisers import OPTIMISERS
from evaluators.training.schedules import SCHEDULES
from nas.core.errors import Diverged
from nas.core.space import generator_for
from nas.data.dataset import Split, as_float

Loss = Callable[[nn.Module, Split, Mapping[str, Any], float, torch.Generator], Tensor]
"""Of a model, a batch of the data, hyperparameters, the fraction of the training that is over, and a generator on the
batch's device for whatever is random: the scalar to be minimised."""

CHECK_EVERY = 32
"""Updates between two looks at a loss: each waits for the device."""


def augment(batch: Split, hyperparameters: Mapping[str, Any], generator: torch.Generator) -> Split:
    """The batch as floats, augmented as the hyperparameters say."""
    change = AUGMENTATIONS[hyperparameters.get("augmentation", "none")]
    return replace(batch, examples=change(as_float(batch.examples), generator))


class SingleNetworkTraining:
    """Trains a network in place.

    What is restored trains on to the same numbers, bit for bit on a CPU: batches and noise have generators of their
    own, whose states are kept, and what a model draws from PyTorch's global ones (dropout) follows from the seed and
    the epoch's number.

    Args:
        model: on its device already.
        hyperparameters: ``batch_size``, ``optimiser``, ``learning_rate``, ``weight_decay``, ``schedule`` and, if
            there is any, ``augmentation``; ``averaging``, the decay of weights that are averaged and then are those
            that are scored; ``settles_from``, the fraction of the training from which the rate falls to nothing;
            whatever else the loss asks for.
        epochs: of the whole training, which learning rates and warm-ups are fractions of.

    Attributes:
        evaluated: what is scored.
        averages: moving averages of parts of the model, by the part's name; here there are none.
        epoch_size: how many examples an epoch shows at most, drawn anew for each; None for all of them.
        before_update: is called before every update.
        growth: of the model, if it grows.
    """

    averages: Mapping[str, nn.Module] = {}

    def __init__(
        self, model: nn.Module, loss: Loss, hyperparameters: Mapping[str, Any], epochs: int, seed: int
    ) -> None:
        self.model, self.hyperparameters, self.epochs, self.seed = model, dict(hyperparameters), epochs, seed
        self.evaluated = model
        self.epochs_done = self.updates = 0
        self.epoch_size: int | None = None
        self.before_update: Callable[[], None] = lambda: None
        self.growth: Growth | None = None
        self._loss = loss
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
        self._schedule = SCHEDULES[hyperparameters["schedule"]]
        self._average = None
        if "averaging" in hyperparameters:
            self._average = MovingAverage(model, hyperparameters["averaging"])
            self.evaluated = self._average.network

    def epoch(self, data: Split, memory: PeakMemory) -> None:
        """One pass over the data in a new order; the last batch is left out where it is not full.

        Raises:
            Diverged: the loss is not finite.
        """
        self.model.train()
        size = min(self.hyperparameters["batch_size"], len(data), self.epoch_size or len(data))
        order = torch.randperm(len(data), generator=self._generators["order"]).to(data.examples.device)
        steps = min(len(data), self.epoch_size or len(data)) // size
        with global_randomness(int(generator_for(self.seed, self.epochs_done).integers(2**63)), self._device):
            for step in range(steps):
                loss = self._update(data.take(order[step * size : (step + 1) * size]), step / steps, memory)
                looked_at = step % CHECK_EVERY == 0 or step == steps - 1
                if looked_at and not math.isfinite(value := loss.item()):
                    raise Diverged(f"the loss is {value} in epoch {self.epochs_done + 1}, step {step + 1}")
        self.epochs_done += 1
        self.updates += steps
        if self.growth is not None:
            self.growth.to(self.epochs_done)

    def _update(self, batch: Split, part: float, memory: PeakMemory) -> Tensor:
        """One update with a batch, after `part` of this epoch; gives the loss."""
        self.before_update()
        progress, noise = (self.epochs_done + part) / self.epochs, self._generators["noise"]
        for group in self._optimiser.param_groups:
            group["lr"] = self.hyperparameters["learning_rate"] * self._rate_factor(progress)
        if self.growth is not None:
            self.growth.to(self.epochs_done + part)
        batch = augment(batch, self.hyperparameters, noise)
        loss = self._loss(self.model, batch, self.hyperparameters, progress, noise)
        memory.look()
        self._optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        if self.growth is not None:
            self.growth.hold()
        self._optimiser.step()
        if self._average is not None:
            self._average.update()
        return loss.detach()

    def _rate_factor(self, progress: float) -> float:
        """What the learning rate is multiplied by: the schedule's factor, and a fall to nothing at the end if asked."""
        begins = self.hyperparameters.get("settles_from", 1.0)
        settling = 1.0 if progress < begins else max(0.0, (1 - progress) / (1 - begins))
        return self._schedule(min(progress, 1.0)) * settling

    def tensors(self) -> dict[str, Tensor]:
        """The model's tensors by name, as they are handed over: averaged, if weights are."""
        return self.evaluated.state_dict()

    def state(self) -> State:
        """Everything to continue from: tensors by name, each with memory of its own, and what fits into JSON."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"optimiser.{name}": value for name, value in moments_of(self._optimiser).items()}
        tensors |= {f"generators.{name}": generator.get_state() for name, generator in self._generators.items()}
        numbers = {"epochs_done": self.epochs_done}
        if self._average is not None:
            tensors |= {f"average.{name}": value for name, value in self._average.network.state_dict().items()}
            numbers["average_updates"] = self._average.updates
        return copied(tensors), numbers

    def restore(self, state: State) -> None:
        """Go on from what `state` gave, on a device of the same kind; hyperparameters and epochs may be others."""
        tensors, numbers = state
        self.model.load_state_dict(under(tensors, "model"))
        restore_moments(self._optimiser, under(tensors, "optimiser"))
        for name, generator in self._generators.items():
            generator.set_state(tensors[f"generators.{name}"].clone())
        if self._average is not None:
            self._average.network.load_state_dict(under(tensors, "average"))
            self._average.updates = numbers["average_updates"]
        self.epochs_done = numbers["epochs_done"]
