"""Structured pruning of a trained candidate: whole channels are removed, and the rest is fine-tuned.

The channels of least magnitude are removed (Li et al. 2017, section 3.1: the L1 norm of a filter's weights). Coupled
ones are scored together, as in DepGraph (Fang et al. 2023, section 3.3). Every group of channels loses the same share.
"""

from __future__ import annotations

import copy
import json
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from safetensors.torch import load
from torch import Tensor, nn

from evaluators.pruning.channels import (
    Channels,
    NothingToPrune,
    Sizes,
    find_channels,
    find_sizes,
    resize_model,
    select_channels,
)
from evaluators.training.checkpoint import read_metadata
from nas.core.errors import CandidateFailure
from nas.core.job import PruneChannels
from nas.core.trial import Trial

Calls = Mapping[str, tuple[Tensor, ...]]
"""The parts of a model that are pruned, by their paths, with an example of the inputs of each."""

LEAST_CHANNELS = 2
"""So many channels of a group are kept at least."""
FINE_TUNING = 0.2
"""The share of a candidate's epochs that its pruned version is trained for."""
ENOUGH_UPDATES = 200
"""The least number of updates of a pruned version: 72 updates after half of a model's channels were removed, its error
was still 3 times what it had been (docs/benchmarks.md)."""
LATENCY_BATCH = 32
"""How many examples latencies are measured with."""
_SIZES = "sizes"


def count_epochs(trial: Trial, epochs: int, updates: int) -> int:
    """Count the epochs that a trial trains for.

    A pruned version trains for a fifth of a candidate's epochs, or for as many as have 200 updates if that is more, but
    never longer than a candidate.

    Args:
        epochs: of a candidate.
        updates: of an epoch.
    """
    if not isinstance(trial.job, PruneChannels):
        return epochs
    return min(epochs, max(round(FINE_TUNING * epochs), math.ceil(ENOUGH_UPDATES / updates)))


def reduce_learning_rates(hyperparameters: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """Multiply all learning rates among hyperparameters by a factor."""
    reduced = {name: factor * value for name, value in hyperparameters.items() if name.endswith("learning_rate")}
    return {**hyperparameters, **reduced}


@dataclass(frozen=True)
class PrunedModel:
    """A pruned model.

    Attributes:
        before: the model that channels were removed from.
        sizes: what differs from the genotype's model.
    """

    model: nn.Module
    before: nn.Module
    sizes: Sizes


def prune_model(build: Callable[[], nn.Module], trial: Trial, calls: Callable[[nn.Module], Calls]) -> PrunedModel:
    """Remove channels from the model that a trial starts from, by the ratio of the trial's job.

    Ratios are relative to the genotype's model, also if the model that the trial starts from was pruned already.

    Args:
        build: builds the genotype's model.
        calls: gives the parts of such a model that are pruned, with their inputs.

    Raises:
        NothingToPrune: no channel can be removed.
        CandidateFailure: the trial's weights were not kept.
    """
    assert isinstance(trial.job, PruneChannels)
    ratio, start = trial.job.ratio, trial.start
    if start is None:
        raise CandidateFailure(f"the weights of trial {trial.proposal.parents[0]} were not kept")
    whole = build()
    wanted = {name: len(own) for name, own in find_channels(whole, calls(whole)).groups.items()}
    model, before = load_pruned_model(whole, start.tensors)
    channels = find_channels(model, calls(model))
    kept = choose_channels(model, channels, {name: count_kept(count, ratio) for name, count in wanted.items()})
    if not kept:
        raise NothingToPrune(f"all groups of channels are as small already as pruning by {ratio:.0%} makes them")
    sizes = {path: {**before.get(path, {}), **own} for path, own in find_sizes(model, channels, kept).items()}
    return PrunedModel(select_channels(model, channels, kept), model, {**before, **sizes})


def count_kept(count: int, ratio: float) -> int:
    """Count the channels that are kept of `count` when this share of them is removed."""
    return min(count, max(LEAST_CHANNELS, math.ceil(count * (1 - ratio) - 1e-9)))


def load_pruned_model(model: nn.Module, tensors: bytes) -> tuple[nn.Module, Sizes]:
    """Load the weights of a trial, which may be pruned, into its genotype's model; return the model and its sizes.

    Raises:
        RuntimeError: the weights are of another model.
    """
    sizes: Sizes = json.loads(read_metadata(tensors).get(_SIZES, "{}"))
    return resize_model(model, sizes, load(tensors)), sizes


def write_sizes(sizes: Sizes) -> dict[str, str]:
    """Write a pruned model's sizes as metadata of its safetensors file, for `load_pruned_model`."""
    return {_SIZES: json.dumps(sizes)}


def score_channels(model: nn.Module, channels: Channels) -> dict[str, np.ndarray]:
    """Score the channels of each group: the mean magnitude of a channel's weights, divided by that of the layer.

    The score is the mean over all layers with weights of the group: those that give its channels, and those that take
    them. Biases and normalisations do not count.
    """
    size = 1 + max(int(own.max()) for own in channels.groups.values())
    totals, layers = np.zeros(size), np.zeros(size)
    tensors = dict(model.named_parameters())
    for (name, dimension), own in channels.axes.items():
        if name not in tensors or tensors[name].dim() < 2:
            continue
        others = [d for d in range(tensors[name].dim()) if d != dimension]
        norms = tensors[name].detach().abs().mean(others).double().cpu().numpy()
        chosen = own >= 0
        sums = np.bincount(own[chosen], weights=norms[chosen], minlength=size)
        count = np.bincount(own[chosen], minlength=size)
        here = count > 0
        mean = (sums[here] / count[here]).mean()
        totals[here] += sums[here] / count[here] / (mean or 1.0)
        layers[here] += 1
    scores = totals / np.maximum(layers, 1)
    return {name: scores[own] for name, own in channels.groups.items()}


def choose_channels(model: nn.Module, channels: Channels, wanted: Mapping[str, int]) -> dict[str, list[int]]:
    """Choose the most important channels of each group that has more than are wanted, by their indices.

    The groups of a group normalisation keep equally many channels; if there are more such groups than channels are
    wanted, whole groups are removed.
    """
    kept = {}
    for name, scores in score_channels(model, channels).items():
        count = wanted.get(name, len(scores))
        if count >= len(scores):
            continue
        if name in channels.blocks:
            chosen = _choose_in_blocks(scores, channels.blocks[name], count)
        else:
            chosen = np.argsort(-scores, kind="stable")[:count]
        if len(chosen) < len(scores):
            kept[name] = sorted(int(index) for index in chosen)
    return kept


def _choose_in_blocks(scores: np.ndarray, blocks: np.ndarray, count: int) -> np.ndarray:
    """Choose about `count` indices, equally many of each block that keeps any."""
    names = np.unique(blocks)
    each = math.ceil(count / len(names))
    best = [np.flatnonzero(blocks == name)[np.argsort(-scores[blocks == name], kind="stable")[:each]] for name in names]
    strongest = sorted(best, key=lambda own: -scores[own].sum())
    return np.concatenate(strongest[: math.ceil(count / each)])


def measure_latencies(before: nn.Module, after: nn.Module, calls: Callable[[nn.Module], Calls]) -> dict[str, float]:
    """Measure ``latency_ms`` and ``unpruned_latency_ms`` of the pruned parts, with the same batch on one CPU.

    Both are medians of 20 runs, made in turns, because latencies of different moments do not compare.
    """
    models = [copy.deepcopy(model).cpu().eval() for model in (before, after)]
    found: list[list[float]] = [[], []]
    with torch.no_grad():
        prepared = [calls(model) for model in models]
        for _ in range(20):
            for model, parts, times in zip(models, prepared, found, strict=True):
                began = time.perf_counter()
                for path, inputs in parts.items():
                    model.get_submodule(path)(*inputs)
                times.append(1000 * (time.perf_counter() - began))
    slow, fast = (statistics.median(times) for times in found)
    return {"latency_ms": fast, "unpruned_latency_ms": slow}
