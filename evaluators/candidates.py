"""The networks of an evaluator's trials: made from a seed, given what they inherit, or pruned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from evaluators.inheritance.transfer import Run, begin_from
from evaluators.networks import initialised, on_device
from evaluators.pruning.channels import channels_of
from evaluators.pruning.pruning import Calls, latencies, pruned, texts_of
from nas.core.genotype import Genotype
from nas.core.job import PruneChannels
from nas.core.space import SearchSpace, Shape
from nas.core.trial import Trial

_CPU = torch.device("cpu")  # where channels are looked for and removed


@dataclass(frozen=True)
class Made:
    """A model to be trained.

    Attributes:
        cost: metrics of it that stay as they are.
        texts: what is kept beside its weights.
    """

    model: nn.Module
    cost: Mapping[str, float] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


class Candidates:
    """Makes the networks of trials on a device.

    Args:
        shape: of an image, (C, H, W).
        run: passes a batch through all parts of a model on the device.
        calls: what of a model on the CPU is to be pruned.
    """

    def __init__(
        self, space: SearchSpace, shape: Shape, device: torch.device, run: Run, calls: Callable[[nn.Module], Calls]
    ) -> None:
        self._space, self._shape, self._device, self._run, self._calls = space, shape, device, run, calls

    def build(self, genotype: Genotype, seed: int = 0, device: torch.device | None = None) -> nn.Module:
        """A genotype's network with new weights; where the candidates are, unless a device is given."""
        return initialised(lambda: self._space.build(genotype, self._shape), seed, device or self._device)

    def made(self, trial: Trial) -> Made:
        """The network that a trial begins to train: of a version of another trial that is pruned, else new.

        A new one has what it inherits; its metrics are those of evaluators.inheritance.transfer.begin_from. Those of a
        pruned one are ``latency_ms`` and ``unpruned_latency_ms``, and its texts are for
        evaluators.pruning.pruning.restored.

        Raises:
            CandidateFailure: nothing can be removed, or the weights to start from were not kept.
        """
        if not isinstance(trial.job, PruneChannels):
            model = self.build(trial.genotype, trial.seed)
            return Made(model, begin_from(trial.heritage, model, self._space, self._shape, self._run, self._device))
        smaller = pruned(lambda: self.build(trial.genotype, trial.seed, _CPU), trial, self._calls)
        cost = latencies(smaller.before, smaller.model, self._calls)
        return Made(on_device(smaller.model, self._device), cost, texts_of(smaller.sizes))

    def check_prunable(self, genotype: Genotype) -> None:
        """Refuse a genotype of whose networks no channels can be removed.

        Raises:
            NothingToPrune: saying why.
        """
        model = self.build(genotype, device=_CPU)
        channels_of(model, self._calls(model))
