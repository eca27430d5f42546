"""Builds the models that an evaluator's trials train: new ones, ones with inherited weights, and pruned ones."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from evaluators.inheritance.transfer import Run, inherit_from_trial
from evaluators.metrics import latency
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
        timed: whether the latency of every model is part of its cost.
    """

    def __init__(
        self,
        space: SearchSpace,
        shape: Shape,
        device: torch.device,
        run: Run,
        calls: Callable[[nn.Module], Calls],
        *,
        timed: bool = False,
    ) -> None:
        self._space, self._shape, self._device, self._run, self._calls = space, shape, device, run, calls
        self.timed = timed
        self._reference: tuple[Genotype, float] | None = None
        self._latencies: dict[str, float] = {}

    def build(self, genotype: Genotype, seed: int = 0, device: torch.device | None = None) -> nn.Module:
        """Build a genotype's model with new weights, on the builder's device unless another is given."""
        return initialise_model(lambda: self._space.build(genotype, self._shape), seed, device or self._device)

    def prepare(self, trial: Trial) -> PreparedModel:
        """Build the model that a trial trains.

        If the trial's job is to prune channels, the model is a pruned version of the one that the trial starts from:
        its cost is ``latency_ms`` and ``unpruned_latency_ms``, and its metadata is what
        evaluators.pruning.pruning.load_pruned_model reads. Otherwise the model is new and inherits weights if the
        trial has a parent: its cost is the metrics of evaluators.inheritance.transfer.inherit_from_trial, and its
        ``latency_ms`` where models are timed.

        Raises:
            CandidateFailure: no channel can be removed, or the weights to start from were not kept.
        """
        if not isinstance(trial.job, PruneChannels):
            model = self.build(trial.genotype, trial.seed)
            inherited = inherit_from_trial(trial.heritage, model, self._space, self._shape, self._run, self._device)
            return PreparedModel(model, {**inherited, **self.time_genotype(trial.genotype, model)})
        smaller = prune_model(lambda: self.build(trial.genotype, trial.seed, _CPU), trial, self._calls)
        if self.timed:
            before, after = (self._time(model) for model in (smaller.before, smaller.model))
            cost = {"latency_ms": after, "unpruned_latency_ms": before}
        else:
            cost = measure_latencies(smaller.before, smaller.model, self._calls)
        return PreparedModel(move_to_device(smaller.model, self._device), cost, write_sizes(smaller.sizes))

    def calibrate_latency(self, reference: Genotype, milliseconds: float | None) -> float:
        """Measure latencies in turns with a genotype's model, which takes so long; None to measure that now."""
        if milliseconds is None:
            milliseconds = latency.measure_latency(self._list_calls(self.build(reference)), self._device)
        self._reference, self._latencies = (reference, milliseconds), {}
        return milliseconds

    def time_genotype(self, genotype: Genotype, model: nn.Module) -> dict[str, float]:
        """``latency_ms`` of a genotype's model, where models are timed; see `measure_latency`."""
        return {"latency_ms": self.measure_latency(genotype, model)} if self.timed else {}

    def measure_latency(self, genotype: Genotype, model: nn.Module) -> float:
        """Measure the latency of a genotype's model, in milliseconds, once for each genotype.

        So what a limit has let pass is recorded with the number that the limit was compared with.
        """
        if genotype.text not in self._latencies:
            self._latencies[genotype.text] = self._time(model)
        return self._latencies[genotype.text]

    def _time(self, model: nn.Module) -> float:
        assert self._reference is not None, "calibrate_latency comes first"
        genotype, milliseconds = self._reference
        models = [self._list_calls(one) for one in (model, self.build(genotype))]
        return milliseconds * latency.measure_relative_latency(models[0], models[1], self._device)

    def _list_calls(self, model: nn.Module) -> latency.Calls:
        """What of a copy of a model is timed: the parts that are pruned, which are what is delivered."""
        alone = copy.deepcopy(model).to(_CPU).eval()
        calls = self._calls(alone)
        move_to_device(alone, self._device)
        made = []
        for path, inputs in calls.items():
            first = tuple(values[: latency.EXAMPLES].to(self._device) for values in inputs)
            made.append((alone.get_submodule(path), first))
        return made

    def check_prunable(self, genotype: Genotype) -> None:
        """Refuse a genotype if no channels of its models can be removed.

        Raises:
            NothingToPrune: the message says why.
        """
        model = self.build(genotype, device=_CPU)
        find_channels(model, self._calls(model))
