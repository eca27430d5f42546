"""What the trainings of all generators against discriminators share: two optimisers and a moving average."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from evaluators.training.checkpoint import State
from evaluators.training.epochs import Training
from evaluators.training.moving_average import MovingAverage
from evaluators.training.optimisers import set_learning_rate
from evaluators.training.schedules import rate_factor


class AdversarialTraining(Training):
    """Trains a generator and a discriminator, each by an optimiser of its own; the generator has a moving average.

    Everything random in an epoch follows from the seed and the epoch's number, so that tensors and a few numbers are
    all there is to continue from.

    Args:
        model: the whole model, on its device.
        generator: all of its networks that generate, as one module.
        discriminator: all of its networks that judge, as one module.
        hyperparameters: with ``optimiser``, ``generator_learning_rate``, ``discriminator_learning_rate``, ``beta2``,
            of Adam ``beta1``, and ``ema``, the decay of the moving average; perhaps ``settles_from``, see
            evaluators.training.schedules.rate_factor.

    Attributes:
        average: of the generator; it is what is scored.
        schedule: of both learning rates.
    """

    schedule = "constant"

    def __init__(
        self,
        model: nn.Module,
        generator: nn.Module,
        discriminator: nn.Module,
        hyperparameters: Mapping[str, Any],
        epochs: int,
        seed: int,
    ) -> None:
        super().__init__(model, hyperparameters, epochs, seed)
        self.average = MovingAverage(generator, self.hyperparameters["ema"])
        self.evaluated = self.average.network
        self.generator_optimiser = self._make_optimiser("generator", generator)
        self.discriminator_optimiser = self._make_optimiser("discriminator", discriminator)
        self.networks = {"generator": generator, "discriminator": discriminator, "average": self.average.network}
        self.optimisers = {
            "generator_optimiser": self.generator_optimiser,
            "discriminator_optimiser": self.discriminator_optimiser,
        }
        self._judges = [weight for weight in self._weights(discriminator) if weight.requires_grad]
        self._random = torch.Generator(self._device)

    def _make_optimiser(self, name: str, network: nn.Module) -> torch.optim.Optimizer:
        chosen, weights = self.hyperparameters, self._weights(network)
        rate, beta2 = chosen[f"{name}_learning_rate"], chosen["beta2"]  # of both the average of squared gradients
        if chosen["optimiser"] == "rmsprop":
            return torch.optim.RMSprop(weights, lr=rate, alpha=beta2)
        # fused: one kernel a step, on CPU and CUDA alike
        return torch.optim.Adam(weights, lr=rate, betas=(chosen["beta1"], beta2), fused=True)

    def _set_rates(self, progress: float) -> None:
        """Set both learning rates as they are at a progress of the whole training."""
        factor = rate_factor(self.schedule, progress, self.hyperparameters.get("settles_from", 1.0))
        set_learning_rate(self.generator_optimiser, factor * self.hyperparameters["generator_learning_rate"])
        set_learning_rate(self.discriminator_optimiser, factor * self.hyperparameters["discriminator_learning_rate"])

    def _weights(self, network: nn.Module) -> list[nn.Parameter]:
        """Give the parameters of a network that its optimiser trains."""
        return list(network.parameters())

    def _optimise(self, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
        # a path through a supernet may lead nowhere, as all its edges may be empty: then there is no gradient
        if loss.requires_grad:
            super()._optimise(optimiser, loss)

    def _freeze_discriminator(self, frozen: bool) -> None:
        """Freeze the discriminator while the generator learns, which needs none of its gradients; or thaw it."""
        for parameter in self._judges:
            parameter.requires_grad_(not frozen)

    @property
    def updates(self) -> int:
        """How many updates the generator has had."""
        return self.average.updates

    def state(self) -> State:
        """Give everything to continue from, with the number of updates of the average."""
        tensors, numbers = super().state()
        return tensors, {**numbers, "average_updates": self.average.updates}

    def restore(self, state: State) -> None:
        """Continue from what `state` gave."""
        super().restore(state)
        self.average.updates = state[1]["average_updates"]
