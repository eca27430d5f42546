"""Evaluators: how good a candidate is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nas.core.genotype import Genotype
from nas.core.job import Job, Train
from nas.core.metric import Metric
from nas.core.picture_rule import USUAL_PICTURES, PictureRule
from nas.core.space import SearchSpace
from nas.core.threads import SEVERAL_THREADS_FROM
from nas.core.trial import Measurement, Objective, Trial

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Assumption:
    """A restriction of the space that an objective needs to make sense, unless the user decides otherwise."""

    site: str
    values: tuple[str | int | float | bool, ...]
    reason: str


@dataclass(frozen=True)
class Pace:
    """How fast a candidate is trained and scored on a machine.

    Attributes:
        batch: examples of an update.
        trained: seconds of training for an example.
        available: examples of the validation part that scores can be of; 0 where they are of all, or of samples.
    """

    batch: int
    trained: float
    available: int


WEIGHTS = "weights.safetensors"
"""The artifact that a trained model is made from."""
BOUND_SAMPLES = 50
"""Codes of an example that its likelihood is bounded by in an examination, where the user says nothing."""
CHECKPOINT = "checkpoint.safetensors"
"""The artifact that a training is continued from."""
Precision = Literal["fp32", "bf16"]
"""What a training computes with: float32, or bfloat16 where PyTorch's autocast takes it. Scores are in float32."""
DEFAULT_EPOCHS = 4
"""Of a candidate, where neither the user nor the kind of evaluator says otherwise."""


@dataclass(frozen=True)
class Deliverable:
    """A part of a trained model that is handed over to run by itself.

    Attributes:
        module: the part, in evaluation mode.
        inputs: examples of its arguments by their names and in their order, each (N, ...) with one N >= 1; images
            may be uint8, which stands for float32 in [0, 1].
        outputs: the names of what it gives: of its tensor, or of each of the tuple that it gives.
        program: the template of ``model.py``, which says what the file does when it is run.
        settings: what that template asks for.
        pictures: how a program that takes picture files reads them.
    """

    module: nn.Module
    inputs: Mapping[str, Tensor]
    outputs: tuple[str, ...]
    program: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    pictures: PictureRule = USUAL_PICTURES


@dataclass(frozen=True)
class Examination:
    """What was found of a trained model when it was judged by what its kind is used for.

    Attributes:
        metrics: finite numbers by their names, on the test part.
        pictures: PNGs by the names of their files.
        remarks: what is to be known of the numbers, a sentence each: what was left out, or measured on a part.
        uses: the names of the metrics that tell of each use, by its name and in the order to be read.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    uses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Capabilities:
    """What is asked of a kind of evaluator before there is one: class attributes, each with a default.

    Attributes:
        data_kinds: the kinds of data that it can be given; see nas.data.dataset.Dataset.kind.
        standardises: whether vectors and sequences are standardised by their training part before it sees them.
        told: what the data must tell of each example, a label or a vector; None where nothing is needed.
        trains_on_some_labels: whether its models may be trained where only some of the labels may be seen.
        grows: whether it takes ``grow=True`` and then begins with smaller networks.
        sizes_epochs: whether it takes ``epoch_size``, how many examples an epoch shows at most.
        times_candidates: whether it takes ``candidate_seconds``, for how long each candidate is trained, and
            ``scored_examples``, how many of the validation part it is scored on; and has `measure_pace`.
        takes_precision: whether it takes ``precision``, what trainings compute with.
        extracts_features: whether it takes ``features``, the name of the extractor that samples are scored by.
        on_demand: the metrics that it measures only where they are objectives, which it takes as ``measured``.
    """

    data_kinds: ClassVar[tuple[str, ...]] = ("image",)
    standardises: ClassVar[bool] = False
    told: ClassVar[Literal["label", "vector"] | None] = None
    trains_on_some_labels: ClassVar[bool] = False
    grows: ClassVar[bool] = False
    extracts_features: ClassVar[bool] = False
    sizes_epochs: ClassVar[bool] = False
    times_candidates: ClassVar[bool] = False
    takes_precision: ClassVar[bool] = False
    on_demand: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def usual_epochs(cls, data: Any, epoch_size: int | None = None) -> int:
        """How many epochs, of so many examples at most, rank candidates on the data, where the user says nothing."""
        return DEFAULT_EPOCHS

    @classmethod
    def make_evaluator(cls, space: SearchSpace, data: Any, *, epochs: int, device: str, **options: Any) -> Evaluator:
        """A new evaluator of the space's candidates on the data; by default what the class itself makes of these."""
        constructor: Any = cls
        made: Evaluator = constructor(space, data, epochs=epochs, device=device, **options)
        return made


class Evaluator(Capabilities):
    """Scores candidates of one space on one data set. Subclass it and give `metrics` and `evaluate`.

    Attributes:
        jobs: the jobs that it does; `evaluate` is given no other.
        inherits_weights: whether a trial with a start begins from that. Its measurements then bring ``inherited``,
            the share of the model's parameters that the start has given, 0 to 1, and ``inherited_from``, the
            start's number. They are no objectives.
        delivers: whether its last measurement brings the weights, and it can test a model: so the best is exported.
        unsettled: the share of a training's epochs, 0 to 1, in which losses say little of where it ends.
        several_threads_from: see nas.core.threads.use_threads_for; a run goes on with the one that it began with.
        examines: whether it has `examine`.
        measures_cost: whether it has `measure_cost`.
    """

    jobs: frozenset[type[Job]] = frozenset({Train})
    inherits_weights: bool = False
    delivers: bool = False
    unsettled: float = 0.0
    several_threads_from: float = SEVERAL_THREADS_FROM
    examines: bool = False
    measures_cost: bool = False

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """What it measures on its data, by name; the first is the default objective."""
        raise NotImplementedError

    @property
    def objectives(self) -> Mapping[str, Objective]:
        """The metrics that a search may be asked to optimise."""
        made = {name: metric.objective for name, metric in self.metrics.items()}
        return {name: objective for name, objective in made.items() if objective is not None}

    def evaluate(self, trial: Trial) -> Iterator[Measurement]:
        """Do the trial's job, and measure after every epoch; may be closed between two measurements.

        TrainSupernet: every measurement says what is derived so far; the last has, after the strongest genotype, as
        many further ones as the plan's ``samples``, those first that shall be tried first. Where the plan has
        ``paths`` nothing is derived, and the last measurement brings the weights of all paths.
        ScoreWithSupernet: the genotype is scored with the supernet's weights, which are the trial's start.
        PruneChannels: channels are removed from the model that is the trial's start. The metrics are those of a
        training, and what the removal has changed.
        TrainPortion: the epochs are the portion's, from the checkpoint in the trial's start where it continues one.
        The genotype may have other hyperparameters than the trial that left that, but the same network. The last
        measurement brings weights and a checkpoint. Portions one after another, with one seed and the same
        hyperparameters, are a training in full.
        TrainRung: the epochs are those from the rung before to its own, from the checkpoint in the trial's start where
        there was one. The last measurement brings weights and a checkpoint.
        A trial with an outcome was evaluated before, and is again: what a clock decided is done as it was measured.

        Raises:
            CandidateFailure: the candidate diverged, did not fit into memory, or has nothing to begin from.
            UserError: what was asked for cannot be done with any candidate.
        """
        raise NotImplementedError

    def changed_hyperparameters(self, trial: Trial) -> Mapping[str, str | int | float]:
        """What of a trial's training is not as its genotype says, by name: of finalists the schedule, for example."""
        return {}

    def assumptions(self, objective: str) -> list[Assumption]:
        """What an objective needs to make sense."""
        return []

    def protocol(self, part: Literal["validation", "test"]) -> Mapping[str, str | int | float]:
        """All that its scores of a part depend on besides the candidate, by name: an extractor, a reference.

        Scores of different protocols do not compare: a run whose protocol has changed is not gone on with.
        """
        return {}

    # -- of evaluators that time candidates

    def measure_pace(self, genotype: Genotype, seed: int) -> Pace:
        """Measure how fast a candidate is trained and scored here, by training it very briefly."""
        raise NotImplementedError

    # -- of evaluators that measure what a model costs before it is trained

    def measure_cost(self, genotype: Genotype, names: frozenset[str]) -> Mapping[str, float]:
        """Measure what a genotype's model costs, untrained: those that are named, in nas.core.cost_limits.COSTS."""
        raise NotImplementedError

    def calibrate_latency(self, reference: Genotype, milliseconds: float | None = None) -> float | None:
        """Measure latencies from now on in turns with a genotype's model, so that all of a run compare.

        Args:
            milliseconds: what that model takes, as an earlier call has returned it; None to measure it now.

        Returns: what it takes; None where latencies are measured otherwise, or not at all.
        """
        return None

    # -- of evaluators with TrainPortion among their jobs

    def train(self, trial: Trial, checkpoint: bytes | None = None, *, every: int = 1) -> Iterator[Measurement]:
        """As `evaluate`, but to the last epoch, however little is to be hoped for.

        The measurements after every so many epochs, and the last, bring the artifact `CHECKPOINT`: weights,
        optimisers, what is random, and all else that matters. From one of them the training goes on with the next
        epoch, on a CPU to the same numbers to the last bit; from the last nothing is left to measure.

        Raises:
            CandidateFailure: as in `evaluate`.
            UserError: the checkpoint is damaged, or of another genotype, seed, number of epochs or data.
        """
        raise NotImplementedError

    # -- of evaluators with PruneChannels among their jobs

    def check_prunable(self, genotype: Genotype) -> None:
        """Refuse a genotype of whose models no channels can be removed.

        Raises:
            CandidateFailure: saying why.
        """
        raise NotImplementedError

    # -- of evaluators that deliver

    def test(self, genotype: Genotype, model: nn.Module, seed: int) -> dict[str, float]:
        """The metrics of quality on the test part, which no search has seen."""
        raise NotImplementedError

    def baselines(self, genotype: Genotype) -> Mapping[str, Mapping[str, float]]:
        """What is simpler than a genotype's model and should be beaten, by name, with its metrics on the test part."""
        return {}

    def deliverables(self, genotype: Genotype, model: nn.Module) -> Mapping[str, Deliverable]:
        """What can be made of a trained model, by name; the first is what is exported unless asked otherwise."""
        raise NotImplementedError

    # -- of evaluators that examine

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
        """Judge a trained model on the test part by what its kind is used for.

        Args:
            seed: of everything random: noise, subsets, draws of labels.
            bound_samples: codes of an example that its likelihood is bounded by, if the model has one.
            quick: look at so few examples that it takes some seconds, and draw nothing.
            until: when a quick one has to be over, by `time.monotonic`; what would take longer is left out.
        """
        raise NotImplementedError
