"""A training that runs an epoch at a time: the loop over updates, and the state to continue from."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from evaluators.metrics.cost import PeakMemory
from evaluators.models import seed_global_generators
from evaluators.training.checkpoint import (
    State,
    copy_to_cpu,
    flatten_optimiser_state,
    load_optimiser_state,
    select_prefix,
)
from evaluators.training.growth import Growth
from evaluators.training.precision import full_precision, lower_precision
from nas.core.errors import Diverged
from nas.core.evaluator import Precision
from nas.core.space import generator_for


def draw_indices(count: int, wanted: int, generator: torch.Generator) -> Tensor:
    """Draw `wanted` indices of `count` examples: one random order of all examples after the other."""
    orders = [torch.randperm(count, generator=generator) for _ in range(-(-wanted // count))]
    return torch.cat(orders)[:wanted]


CHECK_EVERY = 32
"""Losses are checked once in so many updates, because each check waits for the device."""


class Training(ABC):
    """Trains a model in place, an epoch at a time. A subclass gives `epoch`, which calls `_run_updates`.

    A restored training gives the same numbers as one that was never interrupted (bit for bit on a CPU). What a model
    draws from PyTorch's global generators (dropout, for example) follows from the seed and the epoch's number.

    Args:
        model: the whole model, on its device.
        epochs: of the whole training; learning rates and warm-ups are given in fractions of it.

    Attributes:
        evaluated: the module that is scored.
        averages: moving averages of parts of the model, by the part's name.
        epochs_done: how many epochs have been trained.
        examples: how many examples have been shown in them.
        before_update: is called before every update.
        epoch_size: how many examples an epoch shows, drawn anew for each; None for all of them once. Where there are
            fewer, they are shown several times.
        precision: of forward and backward passes; weights and optimisers are in float32.
        growth: of the model, if it grows.
        networks, optimisers: what the state holds the tensors of, by the names that these have in it.
    """

    loss_message: ClassVar[str] = "the loss is {}"  # with a place for the value of each loss of an update

    def __init__(self, model: nn.Module, hyperparameters: Mapping[str, Any], epochs: int, seed: int) -> None:
        self._whole = self.evaluated = model
        self.hyperparameters, self.epochs, self.seed = dict(hyperparameters), epochs, seed
        self.epochs_done = self.examples = 0
        self.averages: Mapping[str, nn.Module] = {}
        self.before_update: Callable[[], None] = lambda: None
        self.epoch_size: int | None = None
        self.precision: Precision = "fp32"
        self.growth: Growth | None = None
        self.networks: dict[str, nn.Module] = {}
        self.optimisers: dict[str, torch.optim.Optimizer] = {}
        self._device = next(model.parameters()).device

    @abstractmethod
    def epoch(self, data: Any, memory: PeakMemory) -> None:
        """Train the next epoch.

        Raises:
            Diverged: a loss is not finite.
        """

    @property
    @abstractmethod
    def updates(self) -> int:
        """How many updates there have been."""

    def _run_updates(
        self, steps: int, seed: int, update: Callable[[int, float], Sequence[Tensor]], memory: PeakMemory
    ) -> None:
        """Make the updates of one epoch.

        Args:
            seed: of PyTorch's global generators.
            update: makes one update, given its number in the epoch and the progress of the whole training, 0 to 1;
                returns its losses, which are scalars.
        """
        self._whole.train()
        with seed_global_generators(seed, self._device):
            for step in range(steps):
                self.before_update()
                self._grow(step / steps)
                with lower_precision(self._device, self.precision):
                    losses = update(step, (self.epochs_done + step / steps) / self.epochs)
                memory.look()
                if step % CHECK_EVERY == 0 or step == steps - 1:
                    values = [loss.item() for loss in losses]
                    if not math.isfinite(sum(values)):
                        found = self.loss_message.format(*values)
                        raise Diverged(f"{found} in epoch {self.epochs_done + 1}, step {step + 1}")
        self.epochs_done += 1
        self._grow(0)

    def _count_examples(self, available: int) -> int:
        """How many examples an epoch shows."""
        return self.epoch_size or available

    def _grow(self, part: float) -> None:
        """Let a growing model have the size that it has after `part` of this epoch, 0 to 1."""
        if self.growth is not None:
            self.growth.set_time(self.epochs_done + part)

    def _optimise(self, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
        """Make one step of an optimiser along the gradient of a loss."""
        with full_precision(self._device):
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            if self.growth is not None:
                self.growth.mask_gradients()
            optimiser.step()

    def _key(self, *purpose: int) -> int:
        """Make a seed for one purpose in this epoch."""
        return int(generator_for(self.seed, self.epochs_done, *purpose).integers(2**63))

    def tensors(self) -> dict[str, Tensor]:
        """Give the model's tensors by name, with the averages in place of the parts that they follow."""
        averaged = {
            f"{part}.{name}": tensor
            for part, network in self.averages.items()
            for name, tensor in network.state_dict().items()
        }
        return {**self._whole.state_dict(), **averaged}

    # -- continuing

    def state(self) -> State:
        """Give everything to continue from: copies of tensors by name, and numbers that fit into JSON."""
        tensors: dict[str, Tensor] = {}
        for name, network in self.networks.items():
            tensors |= {f"{name}.{key}": value for key, value in network.state_dict().items()}
        for name, optimiser in self.optimisers.items():
            tensors |= {f"{name}.{key}": value for key, value in flatten_optimiser_state(optimiser).items()}
        return copy_to_cpu(tensors), {"epochs_done": self.epochs_done, "examples": self.examples}

    def restore(self, state: State) -> None:
        """Continue from what `state` gave, on a device of the same kind.

        Seed, hyperparameters and the number of epochs may be others.
        """
        tensors, numbers = state
        for name, network in self.networks.items():
            network.load_state_dict(select_prefix(tensors, name))
        for name, optimiser in self.optimisers.items():
            load_optimiser_state(optimiser, select_prefix(tensors, name))
        self.epochs_done, self.examples = numbers["epochs_done"], numbers.get("examples", 0)
