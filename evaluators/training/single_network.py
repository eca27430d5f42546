"""The training of one network by one loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from evaluators.metrics.cost import PeakMemory
from evaluators.training.augmentations import AUGMENTATIONS
from evaluators.training.checkpoint import State, copy_to_cpu
from evaluators.training.epochs import Training, draw_indices
from evaluators.training.moving_average import MovingAverage
from evaluators.training.optimisers import OPTIMISERS, set_learning_rate
from evaluators.training.schedules import rate_factor
from nas.data.dataset import Split, as_float

Loss = Callable[[nn.Module, Split, Mapping[str, Any], float, torch.Generator], Tensor]
"""A function that returns the scalar to be minimised. Its arguments are a model, a batch of the data, the
hyperparameters, the progress of the training from 0 to 1, and a generator of random numbers on the batch's device."""

RECIPE: Mapping[str, Any] = {
    "batch_size": 64,
    "optimiser": "adamw",
    "learning_rate": 1e-3,
    "weight_decay": 0.01,
    "schedule": "cosine",
    "augmentation": "none",
}
"""How a network is trained where nobody says otherwise: the hyperparameters that every such training has."""


def augment(batch: Split, hyperparameters: Mapping[str, Any], generator: torch.Generator) -> Split:
    """Convert a batch's examples to floats and augment them as the hyperparameters say."""
    change = AUGMENTATIONS[hyperparameters.get("augmentation", "none")]
    return replace(batch, examples=change(as_float(batch.examples), generator))


class SingleNetworkTraining(Training):
    """Trains one network in place by one loss.

    Args:
        model: on its device.
        hyperparameters: ``batch_size``, ``optimiser``, ``learning_rate``, ``weight_decay``, ``schedule`` and, if the
            examples are augmented, ``augmentation``; and whatever else the loss asks for.
    """

    updates = 0

    def __init__(
        self, model: nn.Module, loss: Loss, hyperparameters: Mapping[str, Any], epochs: int, seed: int
    ) -> None:
        super().__init__(model, hyperparameters, epochs, seed)
        self.model, self._loss = model, loss
        self._generators = {
            "order": torch.Generator().manual_seed(seed),
            "noise": torch.Generator(self._device).manual_seed(seed + 1),
        }
        self._optimiser = OPTIMISERS[hyperparameters["optimiser"]](
            model.parameters(),
            lr=hyperparameters["learning_rate"],
            weight_decay=hyperparameters["weight_decay"],
        )
        self._schedule = hyperparameters["schedule"]
        self.networks, self.optimisers = {"model": model}, {"optimiser": self._optimiser}
        self._average = None
        if "averaging" in hyperparameters:
            self._average = MovingAverage(model, hyperparameters["averaging"])
            self.evaluated = self.networks["average"] = self._average.network

    def epoch(self, data: Split, memory: PeakMemory) -> None:
        """Show the data in a new order; the last batch is left out if it is not full.

        Raises:
            Diverged: the loss is not finite.
        """
        shown = self._count_examples(len(data))
        size = min(self.hyperparameters["batch_size"], shown, len(data))
        steps = shown // size
        order = draw_indices(len(data), max(shown, len(data)), self._generators["order"]).to(data.examples.device)

        def update(step: int, progress: float) -> tuple[Tensor]:
            return (self._update(data.take(order[step * size : (step + 1) * size]), progress),)

        self._run_updates(steps, self._key(), update, memory)
        self.updates += steps

    def _update(self, batch: Split, progress: float) -> Tensor:
        """Make one update with a batch, and return the loss."""
        factor = rate_factor(self._schedule, progress, self.hyperparameters.get("settles_from", 1.0))
        set_learning_rate(self._optimiser, self.hyperparameters["learning_rate"] * factor)
        noise = self._generators["noise"]
        batch = augment(batch, self.hyperparameters, noise)
        loss = self._loss(self.model, batch, self.hyperparameters, progress, noise)
        self._optimise(self._optimiser, loss)
        if self._average is not None:
            self._average.update()
        return loss.detach()

    def tensors(self) -> dict[str, Tensor]:
        """Give the model's tensors by name, averaged if weights are."""
        return self.evaluated.state_dict()

    def state(self) -> State:
        """Give everything to continue from, with the states of the generators of random numbers."""
        tensors, numbers = super().state()
        states = {f"generators.{name}": generator.get_state() for name, generator in self._generators.items()}
        if self._average is not None:
            numbers = {**numbers, "average_updates": self._average.updates}
        return {**tensors, **copy_to_cpu(states)}, numbers

    def restore(self, state: State) -> None:
        """Continue from what `state` gave."""
        super().restore(state)
        for name, generator in self._generators.items():
            generator.set_state(state[0][f"generators.{name}"].clone())
        if self._average is not None:
            self._average.updates = state[1]["average_updates"]
