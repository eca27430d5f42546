"""Supernets whose paths are the candidates: trained a path at a time, and scored path by path.

Guo et al. 2020 (SPOS) draw paths uniformly and search once the weights are trained; Pham et al. 2018 (ENAS) train the
weights on what the strategy proposes, in turns with it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import cast

import torch
from safetensors.torch import load
from torch import Tensor, nn

from evaluators.models import initialise_model
from evaluators.supernets.bilevel import Architecture
from evaluators.supernets.recalibration import recalibrate
from nas.core.errors import UserError
from nas.core.genotype import Genotype
from nas.core.job import ScoreWithSupernet
from nas.core.space import SearchSpace, Shape, generator_for, sample
from nas.core.supernet import Path, SharesWeights, SupernetPlan
from nas.core.trial import Start, Trial

_PURPOSE = 4  # the purpose of the random numbers that draw paths


def require_weight_sharing(space: SearchSpace) -> SharesWeights:
    """Give a space whose genotypes are paths of supernets.

    Raises:
        UserError: the space has no supernets.
    """
    if not isinstance(space, SharesWeights):
        raise UserError("--space", space.name, "a space that has supernets, whose paths are its genotypes")
    return space


def build_supernet(
    space: SharesWeights, base: Genotype, shape: Shape, seed: int, device: torch.device, start: Start | None
) -> nn.Module:
    """Build the supernet around a base, with new weights or those that an earlier trial has left."""
    plan = SupernetPlan(
        epochs=1, relaxation="gumbel", paths=()
    )  # the relaxation does not matter, as paths are followed
    model = initialise_model(lambda: space.relax(base, shape, plan), seed, device)
    if start is not None:
        model.load_state_dict(load(start.tensors))
    return model


class PathSampler:
    """Draws the path that each step of a supernet's training follows.

    Args:
        plan: with ``paths``, the texts of the genotypes to draw from; without any, all of the space are drawn from.
    """

    def __init__(self, space: SharesWeights, base: Genotype, plan: SupernetPlan, seed: int) -> None:
        self._space, self._within, self._seed = space, space.paths(base), seed
        self._given = [space.path(Genotype(text)) for text in plan.paths or ()]
        self._drawn = 0

    def draw(self) -> Path:
        """Draw the path of the next step, uniformly."""
        generator = generator_for(self._seed, self._drawn, _PURPOSE)
        self._drawn += 1
        if self._given:
            return self._given[int(generator.integers(len(self._given)))]
        return self._space.path(sample(self._within, generator))


def follow_path(model: nn.Module, path: Path) -> None:
    """Let a supernet compute what this candidate computes."""
    cast(Architecture, model.architecture).follow(path)


def extract_candidate(network: nn.Module, path: Path, batches: Iterable[tuple[Tensor, ...]]) -> nn.Module:
    """Extract one candidate, with a supernet's weights and ready to be scored; the supernet does not change.

    Args:
        network: the supernet, or a part of one, with its ``architecture``.
        path: the operations of the candidate; see nas.core.supernet.SharesWeights.
        batches: arguments of the forward passes that recalibrate its batch normalisation.
    """
    candidate = copy.deepcopy(network)
    follow_path(candidate, path)
    recalibrate(candidate, batches)
    return candidate


def require_start(trial: Trial) -> Start:
    """Give the supernet whose weights a trial shares.

    Raises:
        UserError: the trial was not given it.
    """
    assert isinstance(trial.job, ScoreWithSupernet)
    if trial.start is None:
        why = f"trial {trial.number} shares the weights of trial {trial.job.supernet}"
        raise UserError("weights", None, "what that trial has left", why=why)
    return trial.start
