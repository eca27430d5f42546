"""Candidates of every evaluator, small enough for any device, and what becomes of them there."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from evaluators.autoencoder.task import AutoencoderTask
from evaluators.cyclegan.task import CycleGanTask
from evaluators.gan.task import GanTask
from evaluators.metrics.cost import PeakMemory
from evaluators.models import initialise_model
from evaluators.task import Task
from examples.image_classifier import Classifiers, ClassifierTask
from nas.core.evaluator import Evaluator
from nas.core.genotype import Genotype
from nas.core.job import Job, Train
from nas.core.space import SearchSpace, sample
from nas.core.trial import Measurement, Proposal, Start, Trial
from nas.data.sources import digits
from nas.data.splitting import split_data
from search_spaces.autoencoder.space import AutoencoderSpace
from search_spaces.cyclegan.space import CycleGanSpace
from search_spaces.gan.space import GanSpace
from tests.conftest import tiny_data
from tests.parts.cyclegan import little_digits

SMALL_AUTOENCODERS = {"network": ("convolutional",), "width": (8,), "decoder_width": (8,), "latent": (4,),
                      "stages": (1,), "batch_size": (16,), "*_cell.nodes": (2,)}  # fmt: skip
SMALL_PAIRS = {"generator_width": (16,), "discriminator_width": (16,), "*_stages": (1,), "*_cell.nodes": (1, 2),
               "latent": (16,)}  # fmt: skip
SMALL_TRANSLATORS = {"*generator.width": (8,), "*discriminator.width": (8,), "*generator.blocks": (1,), "batch": (16,)}


@dataclass(frozen=True)
class Kind:
    """A kind of evaluator, with a space of small candidates and data for them."""

    task: type[Task]
    space: SearchSpace
    data: Any
    genotype: Genotype

    def evaluator(self, device: str, epochs: int = 2, **options: Any) -> Evaluator:
        return self.task.make_evaluator(self.space, self.data, epochs=epochs, device=device, **options)


def draw(space: SearchSpace, seed: int = 0, **pins: Any) -> Genotype:
    within = space.restrict({site: (value,) for site, value in pins.items()}) if pins else space
    return sample(within, np.random.default_rng(seed))


@functools.cache
def kinds() -> dict[str, Kind]:
    """One candidate of every evaluator, and one of every family of autoencoders."""
    autoencoders = AutoencoderSpace().conditioned(None).restrict(SMALL_AUTOENCODERS)
    numbers = split_data("digits", digits.load_digits(), seed=0, train_size=192)
    pairs = GanSpace().conditioned(numbers.condition).restrict(SMALL_PAIRS)
    translators = CycleGanSpace().restrict(SMALL_TRANSLATORS)
    classifiers = Classifiers().conditioned(numbers.condition)
    found = {
        family: Kind(AutoencoderTask, autoencoders, tiny_data(), draw(autoencoders, 1, family=family, optimiser="muon"))
        for family in ("plain", "denoising", "variational")
    }
    for condition in ("none", "projection"):
        one = draw(pairs, 1, condition=condition, loss="hinge")
        found[f"gan, condition {condition}"] = Kind(GanTask, pairs, numbers, one)
    found["cyclegan"] = Kind(CycleGanTask, translators, little_digits(), draw(translators))
    found["own task"] = Kind(ClassifierTask, classifiers, numbers, draw(classifiers))
    return found


def evaluate(
    evaluator: Evaluator, genotype: Genotype, job: Job | None = None, start: Start | None = None, number: int = 0
) -> list[Measurement]:
    """The measurements of a job, all of whose metrics are finite."""
    parents = () if start is None else (start.number,)
    measured = list(evaluator.evaluate(Trial(number, Proposal(genotype, parents, job=job or Train()), 1, start=start)))
    for one in measured:
        assert all(math.isfinite(value) for value in one.metrics.values()), one.metrics
    return measured


def quality(measurement: Measurement) -> dict[str, float]:
    """The metrics but those of time and memory."""
    timings = ("seconds", "peak_memory_mb", "latency_ms", "unpruned_latency_ms")
    return {name: value for name, value in measurement.metrics.items() if name not in timings}


class Waits(TorchDispatchMode):
    """Counts what makes the program wait for a device: numbers that are read, sizes that depend on values, and copies.

    On the CPU nothing is waited for, but the same operations are seen.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device, self.found = device, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name, options = str(function.overloadpacket), kwargs or {}
        first = args[0] if args and isinstance(args[0], torch.Tensor) else None
        if first is not None and first.device.type == self.device.type:
            sizes = name in ("aten._local_scalar_dense", "aten.nonzero", "aten.masked_select", "aten.equal")
            self.found += sizes or (name in ("aten.index", "aten.index_put_") and _has_mask(args[1]))
        if name == "aten._to_copy" and first is not None:
            there = torch.device(options.get("device") or first.device)
            self.found += first.device.type != there.type and not options.get("non_blocking")
        if name == "aten.copy_":
            self.found += args[0].device.type != args[1].device.type and not (len(args) > 2 and args[2])
        return function(*args, **options)


def _has_mask(indices) -> bool:
    return any(index is not None and index.dtype == torch.bool for index in indices)


def count_waits(kind: Kind, device: str, updates: int) -> int:
    """How often an epoch of so many updates, after a first one, waits for the device."""
    task = kind.task(kind.space, kind.data, device)
    hyperparameters = task.hyperparameters(kind.genotype)
    model = initialise_model(lambda: kind.space.build(kind.genotype, kind.data.shape), 0, task.device)
    training = task.begin_training(model, hyperparameters, 4, 0)
    task.epoch_size = training.epoch_size = updates * task.batch_size(hyperparameters)
    assert task.updates_an_epoch(hyperparameters) == updates
    memory = PeakMemory(task.device)
    task.train_epoch(training, memory)
    with Waits(task.device) as waits:
        task.train_epoch(training, memory)
    return waits.found
