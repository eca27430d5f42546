"""Supernets whose paths are the candidates: trained by paths that are drawn; candidates scored with their weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from evaluators.metrics.cost import PeakMemory, Stopwatch
from evaluators.metrics.exact import score_exactly
from evaluators.models import serialise_tensors
from evaluators.pictures import render_rows
from evaluators.supernets.paths import (
    PathSampler,
    build_supernet,
    extract_candidate,
    follow_path,
    require_start,
    require_weight_sharing,
)
from evaluators.training.selection import check_finite
from nas.core.evaluator import WEIGHTS
from nas.core.trial import Measurement, Trial

if TYPE_CHECKING:
    from torch import nn

    from evaluators.model_builder import ModelBuilder
    from evaluators.task import Task
    from nas.core.genotype import Genotype
    from nas.core.supernet import SupernetPlan

_SAME_NOISE = 0  # the seed of what paths are scored with, whichever trial scores them


class PathTraining:
    """Trains supernets of a task's space by their paths, and scores candidates with the weights."""

    def __init__(self, task: Task, builder: ModelBuilder) -> None:
        self._task, self._builder = task, builder

    def train(self, trial: Trial, plan: SupernetPlan) -> Iterator[Measurement]:
        """Train a supernet: one measurement after every epoch, of the base's own path; the last brings all weights.

        Raises:
            UserError: the space's candidates share no weights.
            Diverged: a loss or a metric is not finite.
        """
        task, base = self._task, trial.genotype
        space, plan = require_weight_sharing(task.space), plan.completed(task.supernet_epochs, "gumbel")
        with score_exactly(task.device):
            task.prepare()
        model = build_supernet(space, base, task.data.shape, trial.seed, task.device, trial.start)
        hyperparameters, epochs = task.hyperparameters(base), plan.schedule[0]
        training, memory = task.begin_training(model, hyperparameters, epochs, trial.seed), PeakMemory(task.device)
        training.epoch_size, training.precision = task.shown_examples, task.precision
        paths = PathSampler(space, base, plan, trial.seed)
        training.before_update = lambda: follow_path(model, paths.draw())
        stopwatch = Stopwatch()
        for epoch in range(1, epochs + 1):
            with stopwatch:
                task.train_epoch(training, memory)
                metrics, files = self._measure_path(base, model, training.evaluated, hyperparameters, epoch)
                if epoch == epochs:
                    files[WEIGHTS] = serialise_tensors(training.tensors())
            yield Measurement(epoch, metrics | stopwatch.metrics(memory), files)

    def score(self, trial: Trial) -> Iterator[Measurement]:
        """Score a candidate with the weights that there are: one measurement.

        Raises:
            UserError: the space's candidates share no weights.
            CandidateFailure: the supernet's weights were not kept.
            Diverged: a metric is not finite.
        """
        task, start = self._task, require_start(trial)
        space = require_weight_sharing(task.space)
        with score_exactly(task.device):
            task.prepare()
        model = build_supernet(space, start.genotype, task.data.shape, trial.seed, task.device, start)
        hyperparameters, memory, stopwatch = task.hyperparameters(trial.genotype), PeakMemory(task.device), Stopwatch()
        with stopwatch:
            evaluated = task.evaluated_part(model)
            metrics, files = self._measure_path(trial.genotype, model, evaluated, hyperparameters, 0)
            memory.look()
        yield Measurement(1, metrics | stopwatch.metrics(memory), files)

    def _measure_path(
        self, genotype: Genotype, model: nn.Module, evaluated: nn.Module, hyperparameters: Mapping[str, Any], epoch: int
    ) -> tuple[dict[str, float], dict[str, bytes]]:
        """All metrics of a path but those of time and memory, and its picture; every path has the same noise."""
        task = self._task
        path = task.path_within(require_weight_sharing(task.space).path(genotype))
        candidate = extract_candidate(evaluated, path, task.calibration_batches(model, hyperparameters))
        with score_exactly(task.device):
            found = task.score(model, candidate, hyperparameters, _SAME_NOISE)
        check_finite(found, epoch)
        alone = self._builder.build(genotype)
        files = {task.picture: render_rows(found.rows)} if found.rows else {}
        return {**found.metrics, **task.cost(alone), **self._builder.time_genotype(genotype, alone)}, files
