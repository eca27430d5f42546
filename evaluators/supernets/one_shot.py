"""One supernet whose paths are the candidates: trained a path at a time, and scored path by path.

Guo et al. 2020 (SPOS) draw paths uniformly and search once the weights are trained; Pham et al. 2018 (ENAS) train the
weights on what the strategy proposes, in turns with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from safetensors.torch import load
from torch import Tensor, nn

from evaluators.autoencoder.training import AutoencoderTraining
from evaluators.gan.bilevel import PathArchitecture
from evaluators.gan.training import GanTraining
from evaluators.metrics.cost import PeakMemory, Spent
from evaluators.networks import initialised
from nas.core.errors import Diverged, UserError
from nas.core.evaluator import WEIGHTS
from nas.core.genotype import Genotype
from nas.core.job import ScoreWithSupernet
from nas.core.space import SearchSpace, Shape, generator_for, sample
from nas.core.supernet import Path, SharesWeights, SupernetPlan
from nas.core.trial import Measurement, Start, Trial
from nas.data.dataset import Split

_PURPOSE = 4  # of the keys of random numbers that of drawing paths


def shares_weights(space: SearchSpace) -> SharesWeights:
    """The space, if its genotypes are paths of supernets.

    Raises:
        UserError: they are not.
    """
    if not isinstance(space, SharesWeights):
        raise UserError("--space", space.name, "a space that has supernets, whose paths are its genotypes")
    return space


def supernet_of(
    space: SharesWeights, base: Genotype, shape: Shape, seed: int, device: torch.device, start: Start | None
) -> nn.Module:
    """The supernet around a base: with new weights, or those that an earlier trial has left."""
    plan = SupernetPlan(epochs=1, relaxation="gumbel", paths=())  # a relaxation has no meaning where paths are followed
    model = initialised(lambda: space.relax(base, shape, plan), seed, device)
    if start is not None:
        model.load_state_dict(load(start.tensors))
    return model


class Paths:
    """What a supernet's weights are trained on: a draw for every step.

    Args:
        plan: with ``paths``: texts of genotypes, or none for any of the space.
    """

    def __init__(self, space: SharesWeights, base: Genotype, plan: SupernetPlan, seed: int) -> None:
        self._space, self._within, self._seed = space, space.paths(base), seed
        self._given = [space.path(Genotype(text)) for text in plan.paths or ()]
        self._drawn = 0

    def draw(self) -> Path:
        """The path of the next step; of the given ones each as often as another."""
        generator = generator_for(self._seed, self._drawn, _PURPOSE)
        self._drawn += 1
        if self._given:
            return self._given[int(generator.integers(len(self._given)))]
        return self._space.path(sample(self._within, generator))


class _Follows(Protocol):
    architecture: PathArchitecture


def _followed(model: nn.Module, path: Path) -> None:
    cast(_Follows, model).architecture.follow(path)


class AutoencoderPaths(AutoencoderTraining):
    """The training of a supernet of autoencoders: as a candidate's, with another path for every step.

    Args:
        trial: whose proposal is the supernet with its plan, completed.
    """

    def __init__(self, model: nn.Module, space: SharesWeights, trial: Trial, plan: SupernetPlan) -> None:
        hyperparameters = cast(SearchSpace, space).hyperparameters(trial.genotype)
        super().__init__(model, hyperparameters, plan.schedule[0], trial.seed)
        self._paths = Paths(space, trial.genotype, plan, trial.seed)

    def _step(self, batch: Tensor, part: float, memory: PeakMemory) -> Tensor:
        _followed(self.model, self._paths.draw())
        return super()._step(batch, part, memory)


class GanPaths(GanTraining):
    """The training of a supernet of pairs: as a candidate's, with another path through both halves for every step.

    Args:
        trial: whose proposal is the supernet with its plan, completed.
    """

    def __init__(self, model: nn.Module, space: SharesWeights, trial: Trial, plan: SupernetPlan) -> None:
        hyperparameters = cast(SearchSpace, space).hyperparameters(trial.genotype)
        super().__init__(model, hyperparameters, plan.schedule[0], trial.seed)
        self._network = model
        self._paths = Paths(space, trial.genotype, plan, trial.seed)

    def _step(
        self, data: Split, batches: Tensor, noise: float, memory: PeakMemory, looked_at: bool
    ) -> tuple[Tensor, Tensor]:
        _followed(self._network, self._paths.draw())
        return super()._step(data, batches, noise, memory, looked_at)

    def _optimise(self, name: str, loss: Tensor) -> None:
        """A path that leads nowhere has nothing to learn: all edges of a cell may be empty."""
        if loss.requires_grad:
            super()._optimise(name, loss)


@dataclass(frozen=True)
class PathScoring:
    """How candidates are judged that have a supernet's weights.

    Attributes:
        candidate: of a genotype, with the weights as they are now, its batch normalisation recalibrated.
        score: of a candidate: its metrics, and pictures by name.
        cost: of a genotype's own network: the metrics that no training changes.
    """

    candidate: Callable[[Genotype], nn.Module]
    score: Callable[[nn.Module], tuple[dict[str, float], dict[str, bytes]]]
    cost: Callable[[Genotype], dict[str, float]]

    def measured(self, genotype: Genotype, epoch: int) -> tuple[dict[str, float], dict[str, bytes]]:
        """All metrics but those of time and memory, and pictures.

        Raises:
            Diverged: a metric is not finite.
        """
        metrics, pictures = self.score(self.candidate(genotype))
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise Diverged(f"{name} is {value} after epoch {epoch}")
        return metrics | self.cost(genotype), pictures


def trained_paths(
    base: Genotype,
    epochs: int,
    train: Callable[[], None],
    scoring: PathScoring,
    weights: Callable[[], bytes],
    memory: PeakMemory,
) -> Iterator[Measurement]:
    """One measurement after every epoch, of the base's own path; the last brings the weights of all.

    Args:
        train: an epoch.
        weights: of the supernet, as safetensors.

    Raises:
        Diverged: the training, or a metric is not finite.
    """
    spent = Spent()
    for epoch in range(1, epochs + 1):
        with spent:
            train()
            metrics, files = scoring.measured(base, epoch)
            if epoch == epochs:
                files[WEIGHTS] = weights()
        yield Measurement(epoch, metrics | spent.metrics(memory), files)


def scored_path(genotype: Genotype, scoring: PathScoring, memory: PeakMemory) -> Iterator[Measurement]:
    """One measurement, of a candidate with the weights that there are.

    Raises:
        Diverged: a metric is not finite.
    """
    spent = Spent()
    with spent:
        metrics, pictures = scoring.measured(genotype, 0)
        memory.look()
    yield Measurement(1, metrics | spent.metrics(memory), pictures)


def start_of_path(trial: Trial) -> Start:
    """The supernet that a trial shares the weights of.

    Raises:
        UserError: the trial has not been given it.
    """
    assert isinstance(trial.job, ScoreWithSupernet)
    if trial.start is None:
        why = f"trial {trial.number} shares the weights of trial {trial.job.supernet}"
        raise UserError("weights", None, "what that trial has left", why=why)
    return trial.start
