"""What all trainings of generators against discriminators share: optimisers, an average, what is random, continuing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from evaluators.training.checkpoint import State, copied, moments_of, restore_moments, under
from evaluators.training.growth import Growth
from evaluators.training.moving_average import MovingAverage
from nas.core.space import generator_for

CHECK_EVERY = 32
"""Steps between two looks at the losses: each waits for the device."""


class AdversarialTraining:
    """One side that generates and one that judges, each with an Adam of its own; the first has a moving average.

    Everything random in an epoch is keyed by the seed and the epoch's number. So tensors and a few numbers are all
    there is to continue from, and what was restored trains on to the same numbers (bit for bit on a CPU).

    Args:
        model: all of it, on its device already.
        generator: all that generates, as one.
        discriminator: all that judges.
        hyperparameters: with the ``learning_rate`` of each (``generator_learning_rate``), betas, ``ema``.
        epochs: of the whole training.

    Attributes:
        average: of the generator.
        evaluated: what is scored: the average.
        averages: of parts of the model, by the part's name.
        epochs_done: so far.
        epoch_size: how many images an epoch shows at most, drawn anew for each; None for all of them.
        before_update: is called before every update of the generator.
        growth: of both sides, if they grow.
    """

    averages: Mapping[str, nn.Module]

    def __init__(
        self,
        model: nn.Module,
        generator: nn.Module,
        discriminator: nn.Module,
        hyperparameters: Mapping[str, Any],
        epochs: int,
        seed: int,
    ) -> None:
        self.hyperparameters, self.epochs, self.seed, self.epochs_done = dict(hyperparameters), epochs, seed, 0
        self.epoch_size: int | None = None
        self.before_update: Callable[[], None] = lambda: None
        self.growth: Growth | None = None
        self._whole = model
        self._networks = {"generator": generator, "discriminator": discriminator}
        self._device = next(generator.parameters()).device
        chosen = self.hyperparameters
        self.average = MovingAverage(generator, chosen["ema"])
        self.evaluated: nn.Module = self.average.network
        self._optimisers = {
            name: torch.optim.Adam(
                self._weights(network),
                lr=chosen[f"{name}_learning_rate"],
                betas=(chosen["beta1"], chosen["beta2"]),
                fused=True,  # one kernel a step, on CPU and CUDA alike
            )
            for name, network in self._networks.items()
        }
        self._judges = [weight for weight in self._weights(discriminator) if weight.requires_grad]
        self._random = torch.Generator(self._device)

    def _weights(self, network: nn.Module) -> list[nn.Parameter]:
        """What of a network is trained."""
        return list(network.parameters())

    def _optimise(self, name: str, loss: Tensor) -> None:
        """One update of a side; none where the path through a supernet leads nowhere, as all edges may be empty."""
        if not loss.requires_grad:
            return
        self._optimisers[name].zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        if self.growth is not None:
            self.growth.hold()
        self._optimisers[name].step()

    def _only_judge(self, frozen: bool) -> None:
        """Whether the discriminator has gradients of its own: the generator's step needs none of them."""
        for parameter in self._judges:
            parameter.requires_grad_(not frozen)

    def _key(self, purpose: int) -> int:
        return int(generator_for(self.seed, self.epochs_done, purpose).integers(2**63))

    @property
    def updates(self) -> int:
        """How many updates the generator has had."""
        return self.average.updates

    def tensors(self) -> dict[str, Tensor]:
        """The model's tensors by name, the averages in place of what they follow."""
        averaged = {
            f"{part}.{name}": tensor
            for part, network in self.averages.items()
            for name, tensor in network.state_dict().items()
        }
        return {**self._whole.state_dict(), **averaged}

    # -- continuing

    def state(self) -> State:
        """Everything to continue from: tensors by name, each with memory of its own, and what fits into JSON."""
        tensors: dict[str, Tensor] = {}
        for name, network in (*self._networks.items(), ("average", self.average.network)):
            tensors |= {f"{name}.{key}": value for key, value in network.state_dict().items()}
        for name, optimiser in self._optimisers.items():
            tensors |= {f"{name}_optimiser.{key}": value for key, value in moments_of(optimiser).items()}
        return copied(tensors), {"epochs_done": self.epochs_done, "average_updates": self.average.updates}

    def restore(self, state: State) -> None:
        """Go on from what `state` gave; seed, hyperparameters and the number of epochs in all may be others."""
        tensors, numbers = state
        for name, network in (*self._networks.items(), ("average", self.average.network)):
            network.load_state_dict(under(tensors, name))
        for name, optimiser in self._optimisers.items():
            restore_moments(optimiser, under(tensors, f"{name}_optimiser"))
        self.epochs_done, self.average.updates = numbers["epochs_done"], numbers["average_updates"]
