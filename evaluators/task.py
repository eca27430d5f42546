"""A task: what is special about training, scoring and delivering one kind of model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from evaluators.metrics.cost import PeakMemory, count_multiply_adds, count_parameters
from evaluators.pruning.pruning import LATENCY_BATCH, Calls
from evaluators.supernets.darts import measure_supernet
from evaluators.training.epochs import Training
from evaluators.training.selection import KeepLast, KeepLowest, Scored, Scores, Selection
from evaluators.training.single_network import RECIPE, SingleNetworkTraining
from nas.core.evaluator import BOUND_SAMPLES, Assumption, Capabilities, Deliverable, Evaluator, Examination, Precision
from nas.core.genotype import Genotype
from nas.core.metric import COST, LATENCY, LENGTH, Metric
from nas.core.space import SearchSpace
from nas.core.supernet import Path, SupernetPlan
from nas.core.trial import Measurement, Trial
from nas.data.dataset import Split, as_float, batches

CALIBRATION = 16  # batches that the statistics of a supernet's candidate are of
AVERAGING = 0.995
"""The decay of a finalist's averaged weights: of a constant rate's it makes what a falling rate gives, at any time."""


class Task(Capabilities):
    """Subclass it and give `name`, `quality`, `loss` and `measure`: what else there is has a default.

    Seeds, epochs, checkpoints, early stopping, weight inheritance, growth, pruning and supernets are the matter of
    evaluators.training_evaluator.TrainingEvaluator, for every task alike.

    The defaults are those of one network that is trained by one loss (evaluators.training.single_network), whose
    last epoch counts, and that takes a batch of the data's examples.

    Args:
        space: of the models.
        data: see nas.data.dataset.Dataset.
        device: what is computed on.

    Attributes:
        name: part of each checkpoint.
        quality: the metrics that `measure` or `score` gives, by name; the first is the default objective.
        outputs: the names of what a model gives: of its tensor, or of each of the tuple that it gives.
        recipe: the hyperparameters of a training that the space does not decide.
        picture: the name of the picture that is drawn after every epoch, if there is something to show.
        program: what an export's ``model.py`` is written from; see nas.export.
        unsettled, examines: see nas.core.evaluator.Evaluator.
        scores_parts: whether `scored_examples` has a say.
        finds_overfitting: whether `score` takes the part ``seen``.
        pruned_rate: what learning rates are multiplied by where a pruned version is trained on.
        epoch_size: how many examples an epoch shows at most, drawn anew for each; None for all of them.
        scored_examples: how many of the validation part, its first, are scored after an epoch; None for all of them.
        precision: of trainings; supernets whose operations are chosen by gradient are in float32, as their log-weights
            follow small differences.
        supernet_epochs: of a supernet whose plan leaves them open.
    """

    data_kinds: ClassVar[tuple[str, ...]] = ("image", "vector", "sequence")
    name: ClassVar[str]
    quality: ClassVar[Mapping[str, Metric]]
    outputs: ClassVar[tuple[str, ...]] = ("outputs",)
    recipe: ClassVar[Mapping[str, Any]] = RECIPE
    picture: ClassVar[str] = "picture.png"
    program: ClassVar[str] = "model"
    unsettled: ClassVar[float] = 0.0
    examines: ClassVar[bool] = False
    finds_overfitting: ClassVar[bool] = True
    pruned_rate: ClassVar[float] = 1.0
    scores_parts: ClassVar[bool] = True
    supernet_epochs: int = 20
    epoch_size: int | None = None
    scored_examples: int | None = None
    precision: Precision = "fp32"
    sizes_epochs: ClassVar[bool] = True
    takes_precision: ClassVar[bool] = True
    grows: ClassVar[bool] = True
    times_candidates: ClassVar[bool] = True
    on_demand: ClassVar[frozenset[str]] = frozenset(LATENCY)

    def __init__(self, space: SearchSpace, data: Any, device: str = "cpu") -> None:
        self.space, self.data, self.device = space, data, torch.device(device)
        self._parts: dict[str, Any] = {}  # of the data, on the device

    @classmethod
    def make_evaluator(
        cls,
        space: SearchSpace,
        data: Any,
        *,
        epochs: int,
        device: str = "cpu",
        grow: bool = False,
        epoch_size: int | None = None,
        scored_examples: int | None = None,
        candidate_seconds: float | None = None,
        precision: Precision = "fp32",
        measured: tuple[str, ...] = (),
        **options: Any,
    ) -> Evaluator:
        """What trains and scores the space's candidates; `options` are the task's own."""
        from evaluators.training_evaluator import TrainingEvaluator  # which knows tasks

        if own := tuple(name for name in measured if name not in LATENCY):
            options["measured"] = own
        task = cls(space, data, device, **options)
        task.epoch_size, task.scored_examples, task.precision = epoch_size, scored_examples, precision
        timed = len(own) < len(measured)
        return TrainingEvaluator(task, epochs=epochs, grow=grow, candidate_seconds=candidate_seconds, timed=timed)

    # -- what is measured

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The metrics on this data: those of quality, and what a training costs and how long it was."""
        return {**self.quality, **COST, **LATENCY, **LENGTH}

    def assumptions(self, objective: str) -> list[Assumption]:
        """What an objective needs to make sense."""
        return []

    def protocol(self, part: Literal["validation", "test"]) -> Mapping[str, str | int | float]:
        """What the scores depend on besides the candidate; see nas.core.evaluator.Evaluator.protocol."""
        return {}

    def measure(self, outputs: Any, split: Split) -> Mapping[str, float]:
        """The metrics of quality of what the model gives for a part's examples.

        Args:
            outputs: what the model returns, for all examples: a tensor (N, ...), or a tuple of them.
            split: the examples and what the data tell of them, on the device.
        """
        raise NotImplementedError

    def score(
        self,
        model: nn.Module,
        evaluated: nn.Module,
        hyperparameters: Mapping[str, Any],
        seed: int,
        *,
        part: Scored = "validation",
        memory: PeakMemory | None = None,
    ) -> Scores:
        """Score a model, which is in evaluation mode afterwards: by default as `measure` says.

        Args:
            model: the whole model.
            evaluated: the part of it that is scored, or what stands in for that part: its moving average, or one
                candidate of a supernet.
            seed: of everything random.
        """
        split = self._part(part)
        for module in (model, evaluated):
            module.eval()
        found = []
        with torch.no_grad():
            for rows in batches(split.examples):
                found.append(evaluated(as_float(split.examples[rows])))
                if memory is not None:
                    memory.look()
        outputs = torch.cat(found) if isinstance(found[0], Tensor) else tuple(map(torch.cat, zip(*found, strict=True)))
        return Scores(self.measure(outputs, split))

    # -- the model

    def prepare(self) -> None:
        """Make what is made once for all trials, so that no candidate is charged for it."""

    def evaluated_part(self, model: nn.Module) -> nn.Module:
        """The part of a model that is scored; by default all of it."""
        return model

    def example_inputs(self, model: nn.Module, count: int) -> tuple[Tensor, ...]:
        """Arguments of a call of the evaluated part, for `count` examples or fewer, on the CPU."""
        return (as_float(self.data.validation.examples[:count].cpu()),)

    def run(self, model: nn.Module) -> None:
        """Pass a small batch through all parts of a model on the device."""
        self.evaluated_part(model)(*(values.to(self.device) for values in self.example_inputs(model, 2)))

    def count_parameters(self, model: nn.Module) -> int:
        """Count the parameters of what is delivered of a model: by default of the evaluated part."""
        return count_parameters(self.evaluated_part(model))

    def cost(self, model: nn.Module) -> dict[str, float]:
        """``parameters``, and ``multiply_adds`` of the evaluated part for one example."""
        inputs = (values.to(self.device) for values in self.example_inputs(model, 1))
        multiply_adds = count_multiply_adds(self.evaluated_part(model), *inputs)
        return {"parameters": float(self.count_parameters(model)), "multiply_adds": float(multiply_adds)}

    def prunable_parts(self, model: nn.Module) -> Calls:
        """What of a model on the CPU channels are removed from, each by itself: its inputs and outputs stay."""
        return {"": self.example_inputs(model, LATENCY_BATCH)}

    # -- the training

    @property
    def train_data(self) -> Any:
        """The training part, on the device."""
        return self._part("train")

    def _part(self, name: Literal["train", "seen", "validation", "test"]) -> Any:
        if name == "seen":
            return self.train_data.take(slice(len(self._part("validation"))))
        if name not in self._parts:
            part = self.data.normal_test if name == "test" else getattr(self.data, name)
            if name == "validation" and self.scored_examples is not None:
                part = part.take(slice(self.scored_examples))
            self._parts[name] = part.to(self.device)
        return self._parts[name]

    def hyperparameters(self, genotype: Genotype) -> Mapping[str, Any]:
        """Those that the space has decided, and those of the recipe that it leaves open."""
        return {**self.recipe, **self.space.hyperparameters(genotype)}

    def changed_for_finals(self, hyperparameters: Mapping[str, Any]) -> dict[str, str | int | float]:
        """The hyperparameters that a finalist has in place of its own, as it is not known how long it will be trained.

        By default a constant rate and averaged weights where there is a schedule. Where anything is changed, the rate
        of the winner's last part falls to nothing, from the progress ``settles_from``.
        """
        return {"schedule": "constant", "averaging": AVERAGING} if "schedule" in hyperparameters else {}

    def batch_size(self, hyperparameters: Mapping[str, Any]) -> int:
        """How many examples an update sees."""
        return int(hyperparameters["batch_size"])

    def count_examples(self) -> int:
        """How many examples there are to train on."""
        return len(self.data.train)

    def count_scored(self) -> int:
        """How many examples of the validation part are scored, if `scored_examples` has a say; else 0."""
        return len(self._part("validation")) if self.scores_parts else 0

    @property
    def shown_examples(self) -> int:
        """How many examples an epoch of a candidate shows, unless it is given a time."""
        return min(self.count_examples(), self.epoch_size or self.count_examples())

    def updates_an_epoch(self, hyperparameters: Mapping[str, Any]) -> int:
        """How many updates an epoch of a candidate has."""
        count = self.shown_examples
        return count // min(self.batch_size(hyperparameters), count)

    def loss(
        self,
        model: nn.Module,
        batch: Split,
        hyperparameters: Mapping[str, Any],
        progress: float,
        generator: torch.Generator,
    ) -> Tensor:
        """What a training minimises, a scalar; see evaluators.training.single_network.Loss."""
        raise NotImplementedError

    def begin_training(self, model: nn.Module, hyperparameters: Mapping[str, Any], epochs: int, seed: int) -> Training:
        """The training of a new model, of which nothing has been trained."""
        return SingleNetworkTraining(model, self.loss, hyperparameters, epochs, seed)

    def train_epoch(self, training: Any, memory: PeakMemory) -> None:
        """Train the next epoch of what `begin_training` gave.

        Raises:
            Diverged: a loss is not finite.
        """
        training.epoch(self.train_data, memory)

    def identity(self) -> Mapping[str, str | int | float]:
        """What a checkpoint depends on besides the genotype, the seed, the epochs and the data."""
        return {"device": self.device.type}  # generators of devices differ

    def selection(self, epochs: int, *, to_the_end: bool, frames: int | None, keeps: str | None = None) -> Selection:
        """What says which epoch counts: the last one; of a finalist, which is trained for long, the best.

        Args:
            epochs: of the whole training.
            to_the_end: the training ends after its last epoch and never before.
            frames: how many epochs a film will have, if there is one; None where the training may end earlier.
            keeps: the metric by which the best epoch is kept, if that is one of quality, else the task's first; None
                where the last is.
        """
        if keeps is None:
            return KeepLast(self.picture)
        return KeepLowest(self.picture, self.find_quality(keeps))

    def find_quality(self, name: str) -> Metric:
        """Find the metric of quality that a finalist is kept by: that of this name, else the task's first."""
        return self.quality.get(name) or next(iter(self.quality.values()))

    # -- supernets

    def path_within(self, path: Path) -> Path:
        """What of a path the evaluated part holds."""
        return path

    def calibration_batches(self, model: nn.Module, hyperparameters: Mapping[str, Any]) -> Iterable[tuple[Tensor, ...]]:
        """Arguments of the calls of the evaluated part that recalibrate a candidate's batch normalisation."""
        parts = torch.split(self.train_data.examples, self.batch_size(hyperparameters))[:CALIBRATION]
        return [(as_float(examples),) for examples in parts]

    def train_supernet(self, trial: Trial, plan: SupernetPlan) -> Iterator[Measurement]:
        """Train the supernet around the trial's genotype and choose its operations by gradient.

        Raises:
            UserError: the space has no supernets.
            CandidateFailure: the supernet diverged.
        """
        plan = plan.completed(self.supernet_epochs, "softmax")
        return measure_supernet(
            self.space, self.data.shape, trial, plan, self.train_data, self.loss, self.score, self.picture,
            self.hyperparameters(trial.genotype),
        )  # fmt: skip

    # -- delivery

    def examine(
        self,
        genotype: Genotype,
        model: nn.Module,
        seed: int,
        *,
        bound_samples: int = BOUND_SAMPLES,
        quick: bool = False,
        until: float | None = None,
    ) -> Examination:
        """Judge a trained model on the device by what it is used for; see nas.core.evaluator.Evaluator.examine."""
        raise NotImplementedError

    def baselines(self, genotype: Genotype) -> Mapping[str, Mapping[str, float]]:
        """What is simpler than the model, by name, with its metrics on the test part; by default nothing is known."""
        return {}

    def deliverables(self, genotype: Genotype, model: nn.Module) -> Mapping[str, Deliverable]:
        """What is handed over of a trained model: by default all of it, shown on examples of the test part."""
        inputs = {"examples": self.data.test.examples[:16]}
        return {self.name: Deliverable(model, inputs, self.outputs, self.program)}
