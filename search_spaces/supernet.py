"""Supernets: every choice holds every option, mixed by weights that are learned.

Liu, Simonyan & Yang 2019 (DARTS) mix by a softmax; Dong & Yang 2019 (GDAS) draw one operation for every step; Gao et
al. 2020 (AdversarialNAS) mix by a softmax with noise. Cells of mixtures are in search_spaces.cells.supernet.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.core.supernet import Path, SupernetPlan
from search_spaces.operations.names import NONE


class Architecture(nn.Module):
    """The log-weights of all relaxed choices, shared by all that have a choice's name; new ones are nearly equal.

    Log-weights go into the softmax as they are. A Gumbel softmax takes them as logits as well: of their
    probabilities it would take the softmax a second time, and draw nearly uniformly.

    Args:
        choices: the options of every choice.
    """

    def __init__(self, choices: Mapping[str, tuple[str, ...]], plan: SupernetPlan) -> None:
        super().__init__()
        if plan.relaxation is None:
            raise ValueError("the plan does not say how to relax")
        self.choices = dict(choices)
        self.log_weights = nn.ParameterList(
            nn.Parameter(1e-3 * torch.randn(len(options))) for options in self.choices.values()
        )
        self._index = {name: index for index, name in enumerate(self.choices)}
        self._relaxation, self._temperatures = plan.relaxation, plan.temperature
        self._temperature = plan.temperature[0]
        self._noise: list[Tensor] | None = None
        self._path: dict[str, tuple[int, ...]] | None = None

    def draw(self, progress: float, generator: torch.Generator) -> None:
        """Begin a step at a fraction of the training in [0, 1]: Gumbel softmaxes draw new noise."""
        if self._relaxation == "softmax":
            return
        hot, cold = self._temperatures
        linear = self._relaxation == "gumbel"
        self._temperature = hot + (cold - hot) * progress if linear else hot * (cold / hot) ** progress
        self._noise = [
            -torch.empty_like(row, requires_grad=False).exponential_(generator=generator).log()
            for row in self.log_weights
        ]

    def settle(self) -> None:
        """No noise from now on: an architecture that is drawn is its strongest."""
        self._noise = None

    def follow(self, path: Path | None) -> None:
        """Be this candidate alone from now on, each of its operations with weight one; None: be all again.

        Raises:
            ValueError: the path holds what this supernet does not.
        """
        if path is None:
            self._path = None
            return
        unknown = [n for n, held in path.items() if not set(held) <= set(self.choices.get(n, ()))]
        if unknown:
            raise ValueError(f"{unknown[0]} of the path is {path[unknown[0]]}, the supernet has no such choice")
        self._path = {
            name: tuple(options.index(option) for option in path.get(name, ()))
            for name, options in self.choices.items()
        }

    @property
    def follows(self) -> bool:
        """Whether it is one candidate alone."""
        return self._path is not None

    def weights(self, name: str) -> Tensor:
        """The weights of a choice's options, (options,).

        Of a mixture, probabilities; of a draw, one alone, which has the gradient of a soft choice; of a path, how often
        it holds each.
        """
        row = self.log_weights[self._index[name]]
        if self._path is not None:
            counts = [self._path[name].count(option) for option in range(len(row))]
            return torch.tensor(counts, dtype=row.dtype).to(row.device, non_blocking=True)  # waits for nothing
        if self._noise is None:
            drawn = self._relaxation == "gumbel"
            return F.one_hot(row.argmax(), len(row)).to(row) if drawn else F.softmax(row, dim=0)
        # GDAS, equations 3 and 4; AdversarialNAS, section 3
        soft = F.softmax((row + self._noise[self._index[name]]) / self._temperature, dim=0)
        if self._relaxation == "gumbel_softmax":
            return soft
        hard = F.one_hot(soft.argmax(), len(row)).to(soft)
        return hard - soft.detach() + soft

    def held(self, name: str, weights: Tensor) -> tuple[int, ...]:
        """Which options of a choice with these `weights` are to be computed; the others have no part in it."""
        if self._path is not None:
            return tuple(sorted(set(self._path[name])))
        return (int(weights.argmax()),) if self._relaxation == "gumbel" else tuple(range(len(weights)))

    def shares(self, name: str) -> Tensor:
        """The shares of a node's edges; always soft."""
        return F.softmax(self.log_weights[self._index[name]], dim=0)

    def alphas(self) -> dict[str, dict[str, float]]:
        """The log-weights as plain numbers; see nas.core.supernet.Alphas."""
        rows = zip(self.choices.items(), self.log_weights, strict=True)
        return {name: dict(zip(options, row.detach().tolist(), strict=True)) for (name, options), row in rows}


class Mixture(nn.Module):
    """All modules that a choice may stand for, weighted; ``none`` among its options is no module.

    Args:
        name: of the choice.
        modules: of its options but ``none``; what they give is of one shape.
    """

    def __init__(self, name: str, modules: Mapping[str, nn.Module], architecture: Architecture) -> None:
        super().__init__()
        self.name, self.architecture = name, architecture
        self.options = nn.ModuleDict(modules)

    def forward(self, x: Tensor) -> Tensor | None:
        """What the modules give of x; None where nothing is held."""
        weights = self.architecture.weights(self.name)
        names = self.architecture.choices[self.name]
        total: Tensor | None = None
        for index in self.architecture.held(self.name, weights):
            if names[index] != NONE:
                value = weights[index] * self.options[names[index]](x)
                total = value if total is None else total + value
        return total


class PairArchitecture(nn.Module):
    """The architectures of a generator and a discriminator as one (Gao et al. 2020, section 3)."""

    def __init__(self, generator: Architecture, discriminator: Architecture) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator

    def draw(self, progress: float, generator: torch.Generator) -> None:
        """Begin a step of both; see Architecture.draw."""
        self.generator.draw(progress, generator)
        self.discriminator.draw(progress, generator)

    def settle(self) -> None:
        """Draw no noise from now on; see Architecture.settle."""
        self.generator.settle()
        self.discriminator.settle()

    def follow(self, path: Path | None) -> None:
        """Be one pair alone from now on; see Architecture.follow."""
        own = None if path is None else {name: path[name] for name in path if name in self.generator.choices}
        rest = None if path is None else {name: path[name] for name in path if name not in self.generator.choices}
        self.generator.follow(own)
        self.discriminator.follow(rest)

    def alphas(self) -> dict[str, dict[str, float]]:
        """The log-weights of both as plain numbers."""
        return self.generator.alphas() | self.discriminator.alphas()


def attach_architectures(pair: nn.Module, generator: Architecture, discriminator: Architecture) -> nn.Module:
    """Make a pair that holds mixtures a supernet: each half has its ``architecture``, the pair has both as one.

    A copy of one half then has the architecture that it needs with it.
    """
    drop_running_statistics(pair)
    for half, architecture in (("generator", generator), ("discriminator", discriminator)):
        getattr(pair, half).architecture = architecture
    pair.architecture = PairArchitecture(generator, discriminator)
    return pair


def drop_running_statistics(model: nn.Module) -> nn.Module:
    """The model with batch normalisation by the batch alone, also when it is scored.

    Averages over many mixtures, or many drawn architectures, would be those of none of them (as Dong & Yang 2020
    do in NAS-Bench-201's searches); and a forward pass leaves the model as it was, as equation 8 needs.
    """
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.track_running_stats = False
            module.running_mean = module.running_var = module.num_batches_tracked = None
    return model
