"""Evaluators: how good a candidate is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from nas.core.genotype import Genotype
from nas.core.trial import Measurement, Objective, Trial

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Assumption:
    """A restriction of the space that an objective needs to make sense, unless the user decides otherwise."""

    site: str
    values: tuple[str | int | float | bool, ...]
    reason: str


class Evaluator(Protocol):
    """Scores candidates of one space on one data set."""

    @property
    def objectives(self) -> Mapping[str, Objective]:
        """The metrics that a search may be asked to optimise; the first is the default."""

    def evaluate(self, trial: Trial) -> Iterator[Measurement]:
        """Train the trial's genotype and measure it after every epoch; may be closed between two.

        Raises:
            CandidateFailure: the candidate diverged or did not fit into memory.
            UserError: what was asked for cannot be done with any candidate.
        """


@runtime_checkable
class SupernetEvaluator(Protocol):
    """The evaluator can train supernets; its `evaluate` passes trials that propose one on to this."""

    def train_supernet(self, trial: Trial) -> Iterator[Measurement]:
        """Train the supernet around the trial's genotype, and say after every epoch what is derived from it.

        The last measurement's ``derived`` has, after the strongest genotype, as many further ones as the plan's
        ``samples``, those first that shall be tried first. No weights are kept: nothing of a supernet is exported.

        Where the plan has `paths`, nothing is derived: the last measurement brings the weights, of all paths, and
        `evaluate` scores a trial whose proposal `shares` them by what is in its ``trial.start``.

        Raises:
            CandidateFailure: the supernet diverged or did not fit into memory.
        """


@runtime_checkable
class Prunes(Protocol):
    """The evaluator can remove channels of candidates it has trained; its `evaluate` passes on who asks for that."""

    def prune(self, trial: Trial) -> Iterator[Measurement]:
        """Remove channels of the model that the trial starts from, train the rest on briefly, and measure it.

        The proposal says which share of the genotype's channels is missing then. The metrics are those of `evaluate`,
        and what the removal has changed; the weights bring what `evaluators.pruning.pruning.restored` needs.

        Raises:
            CandidateFailure: nothing can be removed, there is nothing to start from, or as in `evaluate`.
        """

    def check_prunable(self, genotype: Genotype) -> None:
        """Refuse a genotype of whose models no channels can be removed.

        Raises:
            CandidateFailure: saying why.
        """


@runtime_checkable
class WithProtocol(Protocol):
    """The evaluator's scores depend on more than the candidate: on an extractor, on the images it is compared with."""

    def protocol(self, part: Literal["validation", "test"]) -> Mapping[str, str | int | float]:
        """All that its scores in a search, or of the test part, depend on, by name.

        Scores of different protocols do not compare: a run whose protocol has changed is not gone on with.
        """


@runtime_checkable
class Inherits(Protocol):
    """The evaluator lets a trial with a start begin from that.

    Its measurements then bring ``inherited``, the share of the model's parameters that the start has given, 0 to 1, and
    ``inherited_from``, the start's number. They are no objectives.
    """

    inherits: bool


@runtime_checkable
class Unsettled(Protocol):
    """The evaluator's losses say little of where a training ends before this share of its epochs, 0 to 1."""

    unsettled: float


WEIGHTS = "weights.safetensors"
"""The artifact that a trained model is made from."""
CHECKPOINT = "checkpoint.safetensors"
"""The artifact that a training is continued from."""


@runtime_checkable
class Continuable(Evaluator, Protocol):
    """The evaluator can train one candidate in full, and go on with that after it was interrupted.

    Its `evaluate` also trains portions (`Proposal.portion`): the epochs that are the portion's, from the checkpoint in
    ``trial.start`` where it continues one. The genotype may have other hyperparameters than the trial that left that,
    but the same network. The last measurement of a portion brings the weights, and a checkpoint. Portions one after
    another, with one seed and the same hyperparameters, are a training in full.
    """

    def train(self, trial: Trial, checkpoint: bytes | None = None, *, every: int = 1) -> Iterator[Measurement]:
        """As `evaluate`, but to the last epoch, however little is to be hoped for.

        The measurements after every so many epochs, and the last, bring the artifact `CHECKPOINT`: weights,
        optimisers, what is random, and all else that matters. From one of them the training goes on with the next
        epoch, on a CPU to the same numbers to the last bit; from the last nothing is left to measure.

        Raises:
            CandidateFailure: as in `evaluate`.
            UserError: the checkpoint is damaged, or of another genotype, seed, number of epochs or data.
        """


@dataclass(frozen=True)
class Deliverable:
    """A part of a trained model that is handed over to run by itself.

    Attributes:
        module: the part, in evaluation mode.
        inputs: examples of its arguments by their names and in their order, each (N, ...) with one N >= 1; images
            may be uint8, which stands for float32 in [0, 1].
        output: the name of what it gives.
        program: the template of ``model.py``, which says what the file does when it is run.
        settings: what that template asks for.
    """

    module: nn.Module
    inputs: Mapping[str, Tensor]
    output: str
    program: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Testable(Protocol):
    """The evaluator's last measurement brings the weights, and it can test a model: so the best is exported."""

    def test(self, genotype: Genotype, model: nn.Module, seed: int) -> dict[str, float]:
        """The metrics of quality on the test part, which no search has seen."""

    def deliverables(self, genotype: Genotype, model: nn.Module) -> Mapping[str, Deliverable]:
        """What can be made of a trained model, by name; the first is what is exported unless asked otherwise."""
