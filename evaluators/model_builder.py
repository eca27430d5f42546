"""Builds the models that an evaluator's trials train: new ones, ones with inherited weights, and pruned ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from evaluators.inheritance.transfer import Run, inherit_from_trial
from evaluators.models import initialise_model, move_to_device
from evaluators.pruning.channels import find_channels
from evaluators.pruning.pruning import Calls, measure_latencies, prune_model, write_sizes
from nas.core.genotype import Genotype
from nas.core.job import PruneChannels
from nas.core.space import SearchSpace, Shape
from nas.core.trial import Trial

_CPU = torch.device("cpu")  # channels are found and removed here


@dataclass(frozen=True)
class PreparedModel:
    """A model that is ready to be trained.

    Attributes:
        cost: metrics of the model that do not change while it is trained.
        metadata: texts that are saved beside the model's weights.
    """

    model: nn.Module
    cost: Mapping[str, float] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)


class ModelBuilder:
    """Builds the models of trials on a device.

    Args:
        shape: of an example of the data; of an image (C, H, W).
        run: passes a batch through all parts of a model on the device.
        calls: gives the parts of a model on the CPU that are pruned, with an example of the inputs of each.
    """

    def __init__(
        self, space: SearchSpace, shape: Shape, device: torch.device, run: Run, calls: Callable[[nn.Module], Calls]
    ) -> None:
        self._space, self._shape, self._device, self._run, self._calls = space, shape, device, run, calls

    def build(self, genotype: Genotype, seed: int = 0, device: torch.device | None = None) -> nn.Module:
        """Build a genotype's model with new weights, on the builder's device unless another is given."""
        return initialise_model(lambda: self._space.build(genotype, self._shape), seed, device or self._device)

    def prepare(self, trial: Trial) -> PreparedModel:
        """Build the model that a trial trains.

        If the trial's job is to prune channels, the model is a pruned version of the one that the trial starts from:
        its cost is ``latency_ms`` and ``unpruned_latency_ms``, and its metadata is what
        evaluators.pruning.pruning.load_pruned_model reads. Otherwise the model is new and inherits weights if the
        trial has a parent: its cost is the metrics of evaluators.inheritance.transfer.inherit_from_trial.

        Raises:
            CandidateFailure: no channel can be removed, or the weights to start from were not kept.
        """
        if not isinstance(trial.job, PruneChannels):
            model = self.build(trial.genotype, trial.seed)
            inherited = inherit_from_trial(trial.heritage, model, self._space, self._shape, self._run, self._device)
            return PreparedModel(model, inherited)
        smaller = prune_model(lambda: self.build(trial.genotype, trial.seed, _CPU), trial, self._calls)
        cost = measure_latencies(smaller.before, smaller.model, self._calls)
        return PreparedModel(move_to_device(smaller.model, self._device), cost, write_sizes(smaller.sizes))

    def check_prunable(self, genotype: Genotype) -> None:
        """Refuse a genotype if no channels of its models can be removed.

        Raises:
            NothingToPrune: the message says why.
        """
        model = self.build(genotype, device=_CPU)
        find_channels(model, self._calls(model))
