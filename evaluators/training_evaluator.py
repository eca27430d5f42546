"""Trains and scores candidates: all that is the same for every task."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, assert_never

from evaluators.metrics.cost import PeakMemory, Stopwatch, estimate_training_memory
from evaluators.metrics.exact import score_exactly
from evaluators.metrics.latency import EXAMPLES, THREADS
from evaluators.model_builder import ModelBuilder
from evaluators.models import serialise_tensors, translate_memory_errors
from evaluators.pruning.pruning import count_epochs, reduce_learning_rates
from evaluators.supernets.path_training import PathTraining
from evaluators.training.checkpoint import Part, find_last_epoch, identify_training, load_states, pack_checkpoint
from evaluators.training.growth import Growth, find_blocks
from evaluators.training.pace import RecordedTimetable, Timetable, find_timing_updates, time_updates
from evaluators.training.selection import check_finite
from nas.core.evaluator import CHECKPOINT, Assumption, Deliverable, Evaluator, Examination, Pace
from nas.core.job import (
    PruneChannels,
    ScoreWithSupernet,
    Train,
    TrainFinalist,
    TrainPortion,
    TrainRung,
    TrainSupernet,
)
from nas.core.metric import OVERFITTING, metrics_by_name
from nas.core.space import Regularisable
from nas.core.threads import use_threads_for
from nas.core.trial import Measurement, Trial

if TYPE_CHECKING:
    from torch import nn

    from evaluators.task import Task
    from evaluators.training.epochs import Training
    from evaluators.training.selection import Scores
    from nas.core.genotype import Genotype
    from nas.core.metric import Metric

SETTLING = 0.4
"""The share of a winner's last part in which its rate falls to nothing."""
_RACED = (TrainFinalist, TrainRung)


class TrainingEvaluator(Evaluator):
    """Trains genotypes for a fixed number of epochs and measures them after each, as a task says.

    The metrics are the task's, ``parameters`` and ``multiply_adds`` (of an example), ``seconds`` (of training and
    scoring so far) and ``peak_memory_mb``. A trial with a start adds those of
    evaluators.inheritance.transfer.inherit_from_trial, a network that grows those of evaluators.training.growth.Growth,
    and a pruned version ``latency_ms`` and ``unpruned_latency_ms`` of a batch; see
    evaluators.pruning.pruning.measure_latencies. Where models are timed, all have ``latency_ms`` of an example, and
    pruned versions both of one; see evaluators.metrics.latency.

    Args:
        epochs: of each candidate.
        grow: networks are smaller at first.
        candidate_seconds: for how long each candidate is trained and scored: its epochs show as many examples as that
            allows, and its learning rate is that of finalists. None where `epochs` and the task say how much it sees.
        timed: whether ``latency_ms`` is measured of every model.
    """

    jobs = frozenset({Train, TrainPortion, TrainSupernet, ScoreWithSupernet, PruneChannels, TrainFinalist, TrainRung})
    inherits_weights = True
    delivers = True
    measures_cost = True

    def __init__(
        self,
        task: Task,
        *,
        epochs: int,
        grow: bool = False,
        candidate_seconds: float | None = None,
        timed: bool = False,
    ) -> None:
        self.task, self.epochs, self.candidate_seconds = task, epochs, candidate_seconds
        self.space, self.data, self.unsettled, self.examines = task.space, task.data, task.unsettled, task.examines
        self._grow = grow
        shape, device = task.data.shape, task.device
        self._builder = ModelBuilder(task.space, shape, device, task.run, task.prunable_parts, timed=timed)
        self._paths = PathTraining(task, self._builder)

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The task's, and ``overfitting``, where that can be measured."""
        return {**self.task.metrics, **(metrics_by_name(OVERFITTING) if self.task.finds_overfitting else {})}

    def _finds_overfitting(self, trial: Trial) -> bool:
        """Whether a trial says how much it overfits: it is a finalist's, and there is something to be done about it."""
        final = isinstance(trial.job, TrainFinalist) and self.task.finds_overfitting
        return final and isinstance(self.space, Regularisable) and bool(self.space.regularise(trial.genotype))

    def assumptions(self, objective: str) -> list[Assumption]:
        """What an objective needs to make sense."""
        return self.task.assumptions(objective)

    def protocol(self, part: Literal["validation", "test"]) -> Mapping[str, str | int | float]:
        """What the scores depend on besides the candidate, the conditions of latencies among it."""
        found = dict(self.task.protocol(part))
        if self._builder.timed:
            device = self.task.device.type
            found |= {"latency device": device, "latency examples": EXAMPLES, "latency threads": THREADS}
        return found

    def evaluate(self, trial: Trial) -> Iterator[Measurement]:
        """Do the trial's job; the last measurement brings the weights as well.

        Raises:
            Diverged: a loss or a metric is not finite.
            Collapsed: a generator makes too few different images.
            OutOfMemory: the allocator gave up.
            CandidateFailure: nothing can be removed, or the weights to start from were not kept.
            UserError: what was asked for cannot be done with any candidate; or the trial was evaluated before, and its
                record does not say how long its epochs were.
        """
        return translate_memory_errors(self._measurements(trial), self.task.device)

    def _measurements(self, trial: Trial) -> Iterator[Measurement]:
        match trial.job:
            case Train() | TrainPortion() | PruneChannels() | TrainFinalist() | TrainRung():
                return self._train(trial)
            case TrainSupernet(plan):
                return self.task.train_supernet(trial, plan) if plan.paths is None else self._paths.train(trial, plan)
            case ScoreWithSupernet():
                return self._paths.score(trial)
            case _:
                assert_never(trial.job)

    def train(self, trial: Trial, checkpoint: bytes | None = None, *, every: int = 1) -> Iterator[Measurement]:
        """As `evaluate`, but to the last epoch, with checkpoints to go on from.

        Raises:
            UserError: the checkpoint is damaged, or of another training or protocol.
            Diverged, Collapsed, OutOfMemory: as in `evaluate`.
        """
        return translate_memory_errors(self._train(trial, checkpoint, every), self.task.device)

    def _train(self, trial: Trial, checkpoint: bytes | None = None, every: int | None = None) -> Iterator[Measurement]:
        task = self.task
        self._prepare()
        job = trial.job
        pruned, final = isinstance(job, PruneChannels), isinstance(job, TrainFinalist)
        seconds = self.candidate_seconds if isinstance(job, Train) else None
        portion = final or isinstance(job, (TrainPortion, TrainRung))
        hyperparameters = task.hyperparameters(trial.genotype)
        epochs = count_epochs(trial, self.epochs, task.updates_an_epoch(hyperparameters))
        if pruned:
            hyperparameters = reduce_learning_rates(hyperparameters, task.pruned_rate)
        own = identify_training(task.name, trial, epochs, self.data, precision=task.precision, **task.identity())
        if isinstance(job, TrainFinalist) or seconds is not None:
            # how long it is going to be trained depends on the others: no part of what its checkpoint is of
            own = {**own, "epochs": 0}
            epochs = job.horizon if isinstance(job, TrainFinalist) else epochs
        hyperparameters = {**hyperparameters, **self.changed_hyperparameters(trial)}
        kept, last = load_states(trial, own, checkpoint), find_last_epoch(trial, epochs)
        stopwatch = Stopwatch()
        with stopwatch:
            prepared = self._builder.prepare(trial)
            memory = PeakMemory(task.device)
            training = task.begin_training(prepared.model, hyperparameters, epochs, trial.seed)
            training.epoch_size, training.precision = task.shown_examples, task.precision
            cost = {**task.cost(prepared.model), **prepared.cost}
            growth = None
            if self._grow and not (pruned or final):  # what it costs is that of the whole
                growth = Growth(prepared.model, find_blocks(prepared.model, task.run), epochs, training.averages)
                training.growth = growth
        work = task.batch_size(hyperparameters) * cost["multiply_adds"]
        timetable: Timetable | RecordedTimetable | None = None
        timing_updates = 0
        if seconds is not None:
            repeat = None if trial.outcome is None else find_timing_updates(trial)
            with stopwatch, use_threads_for(work, self.several_threads_from):
                timetable, timing_updates = self._plan_rungs(training, memory, seconds, repeat)
        elif isinstance(job, TrainFinalist):
            timetable = self._plan_part(training, job)
        # whether a portion ends early is the strategy's to say
        frames = None if every is None else epochs
        keeps = job.objective if isinstance(job, TrainFinalist) else None
        selection = task.selection(epochs, to_the_end=every is not None or portion, frames=frames, keeps=keeps)
        parts: dict[str, Part] = {"training": training, "spent": stopwatch, **selection.parts()}
        for name, state in kept.items():
            parts[name].restore(state)
        begun, before = (stopwatch.seconds, training.epochs_done) if final else (0.0, 0)
        if timetable is not None and trial.outcome is not None:  # it is evaluated again
            timetable = RecordedTimetable(trial, training.examples)
        while not selection.ended and training.epochs_done < last:
            epoch = training.epochs_done + 1
            if timetable is not None:
                training.epoch_size = timetable.fit_epoch(stopwatch.seconds - begun, training.epochs_done - before)
            with stopwatch, use_threads_for(work, self.several_threads_from):
                began = time.perf_counter()
                task.train_epoch(training, memory)
                trained = time.perf_counter() - began
                training.examples += training.epoch_size or 0
                began = time.perf_counter()
                found = self._score(prepared.model, training.evaluated, hyperparameters, trial.seed, memory=memory)
                scored = time.perf_counter() - began
                check_finite(found, epoch)
                growing = growth is not None and growth.stage(epoch) < growth.stages
                selection.add(
                    epoch,
                    found,
                    lambda: serialise_tensors(training.tensors(), prepared.metadata),
                    updates=training.updates,
                    growing=growing,
                )
                over = selection.ended or epoch == last
                artifacts = selection.artifacts(over=over)
            metrics = selection.metrics() | cost | stopwatch.metrics(memory)
            metrics["examples"] = float(training.examples)
            if over and isinstance(job, TrainFinalist) and self._finds_overfitting(trial):
                with stopwatch:
                    metrics |= self._compare_with_seen(prepared.model, training, found, job.objective)
            if timetable is not None:
                timetable.observe(trained / (training.epoch_size or 1), scored)
            if growth is not None:
                metrics |= growth.metrics(epoch)
            if (every is not None and epoch % every == 0) or (
                over and (portion or every is not None or timetable is not None)
            ):
                artifacts[CHECKPOINT] = pack_checkpoint(own, parts)
            yield Measurement(epoch, metrics, artifacts, timing_updates=timing_updates)
            timing_updates = 0
        selection.check(training)

    def _compare_with_seen(
        self, model: nn.Module, training: Training, found: Scores, objective: str
    ) -> dict[str, float]:
        """How much better the objective is on examples that were trained on; see nas.core.metric.OVERFITTING."""
        metric = self.task.find_quality(objective)
        seen = self._score(model, training.evaluated, training.hyperparameters, training.seed, part="seen").metrics
        if not (known := seen.get(metric.name)):
            return {}
        gap = (found.metrics[metric.name] - known) / abs(known)
        return {OVERFITTING.name: -gap if metric.direction == "maximize" else gap}

    def _plan_rungs(
        self, training: Training, memory: PeakMemory, seconds: float, repeat: int | None
    ) -> tuple[Timetable, int]:
        """Time a candidate's first updates, plan its epochs by that, and say how many updates these were."""
        batch = self.task.batch_size(training.hyperparameters)
        trained, made = time_updates(training, lambda: self.task.train_epoch(training, memory), batch, repeat)
        # scoring passes forward alone, which is a third of an update; it is measured after the first epoch
        scored = self.task.count_scored() * trained / 3
        return Timetable(seconds, self.epochs, batch, trained, scored, doubling=True), made

    def _plan_part(self, training: Training, job: TrainFinalist) -> Timetable | None:
        """Plan the epochs of a finalist's part; None where they are as those of a candidate."""
        if job.seconds is None or job.epoch_size is None:
            return None
        batch, trained = self.task.batch_size(training.hyperparameters), job.seconds / job.epochs / job.epoch_size
        return Timetable(job.seconds, job.epochs, batch, trained, 0.0, doubling=False)

    def measure_pace(self, genotype: Genotype, seed: int) -> Pace:
        """Measure how fast a candidate is trained and scored here, by training it very briefly.

        Raises:
            CandidateFailure: it cannot be trained.
        """
        task = self.task
        self._prepare()
        hyperparameters = task.hyperparameters(genotype)
        model = self._builder.build(genotype, seed)
        memory = PeakMemory(task.device)
        training = task.begin_training(model, hyperparameters, self.epochs, seed)
        training.precision, batch = task.precision, task.batch_size(hyperparameters)
        with use_threads_for(batch * task.cost(model)["multiply_adds"], self.several_threads_from):
            trained, _ = time_updates(training, lambda: task.train_epoch(training, memory), batch)
        return Pace(batch, trained, task.count_scored())

    def measure_cost(self, genotype: Genotype, names: frozenset[str]) -> dict[str, float]:
        """Measure what a genotype's model costs before it is trained; see evaluators.metrics.cost.

        Args:
            names: any of ``parameters``, ``multiply_adds``, ``training_memory_mb`` and ``latency_ms``.
        """
        task, found = self.task, {}
        model = self._builder.build(genotype)
        if "parameters" in names:
            found["parameters"] = float(task.count_parameters(model))
        if "multiply_adds" in names:
            found["multiply_adds"] = task.cost(model)["multiply_adds"]
        if "training_memory_mb" in names:
            batch = task.batch_size(task.hyperparameters(genotype))
            found["training_memory_mb"] = estimate_training_memory(model.train(), lambda: task.run(model), 2, batch)
        if "latency_ms" in names:
            found["latency_ms"] = self._builder.measure_latency(genotype, model)
        return found

    def calibrate_latency(self, reference: Genotype, milliseconds: float | None = None) -> float:
        """Measure latencies in turns with a genotype's model; see evaluators.metrics.latency."""
        return self._builder.calibrate_latency(reference, milliseconds)

    def changed_hyperparameters(self, trial: Trial) -> dict[str, str | int | float]:
        """Those of a training whose rate would change as it goes on; see evaluators.task.Task.changed_for_finals.

        Such are the trainings of finalists, of candidates on their way to a rung, and of those that are given a time.
        """
        job = trial.job
        timed, raced = isinstance(job, Train) and self.candidate_seconds is not None, isinstance(job, _RACED)
        changed = self.task.changed_for_finals(self.task.hyperparameters(trial.genotype)) if timed or raced else {}
        if changed and isinstance(job, _RACED) and job.settles:
            changed["settles_from"] = round(1 - SETTLING * job.epochs / job.horizon, 4)
        return changed

    def _prepare(self) -> None:
        with score_exactly(self.task.device):
            self.task.prepare()

    def _score(self, *given: Any, **options: Any) -> Scores:
        """Score a model; see evaluators.task.Task.score."""
        with score_exactly(self.task.device):
            return self.task.score(*given, **options)

    # -- pruning and delivery

    def check_prunable(self, genotype: Genotype) -> None:
        """Refuse a genotype of whose models no channels can be removed.

        Raises:
            CandidateFailure: saying why.
        """
        self._builder.check_prunable(genotype)

    def test(self, genotype: Genotype, model: nn.Module, seed: int) -> dict[str, float]:
        """The metrics of quality on the test part, which no search has seen."""
        task, whole = self.task, model.to(self.task.device).eval()
        hyperparameters = task.hyperparameters(genotype)
        return dict(self._score(whole, task.evaluated_part(whole), hyperparameters, seed, part="test").metrics)

    def baselines(self, genotype: Genotype) -> Mapping[str, Mapping[str, float]]:
        """What is simpler than the model, by name, with its metrics on the test part."""
        return self.task.baselines(genotype)

    def examine(self, genotype: Genotype, model: nn.Module, seed: int, **how: Any) -> Examination:
        """Judge a trained model on the test part by what it is used for; see evaluators.task.Task.examine."""
        with score_exactly(self.task.device):
            return self.task.examine(genotype, model.to(self.task.device).eval(), seed, **how)

    def deliverables(self, genotype: Genotype, model: nn.Module) -> Mapping[str, Deliverable]:
        """What is handed over of a trained model, by name."""
        return self.task.deliverables(genotype, model)
