"""What passes between strategies, executors and evaluators: proposals, trials, measurements, outcomes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from nas.core.genotype import Genotype
from nas.core.job import Completion, Job, Train, TrainFinalist, TrainPortion, TrainRung

Direction = Literal["minimize", "maximize"]
OutcomeKind = Completion | Literal["failed", "diverged", "collapsed", "out_of_memory", "refused"]


@dataclass(frozen=True)
class Objective:
    """A metric to be made small or large."""

    name: str
    direction: Direction

    def loss(self, value: float) -> float:
        """The value, turned so that less is better."""
        return value if self.direction == "minimize" else -value


@dataclass(frozen=True)
class Proposal:
    """A genotype that a strategy wants evaluated.

    Attributes:
        parents: the numbers of the trials it descends from.
        origin: how it was made, in words: ``random``, ``mutation: latent 16 -> 32``.
        job: what is asked of the evaluator.
        policy: of what was drawn from a learned policy, decision -> value, as text -> the probability that it had
            after the decisions before; empty for all else. It is recorded for people; nothing depends on it.
    """

    genotype: Genotype
    parents: tuple[int, ...] = ()
    origin: str = ""
    job: Job = field(default_factory=Train)
    policy: Mapping[str, Mapping[str, float]] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Start:
    """What an earlier trial has left, for another to begin from.

    Attributes:
        number: of the earlier trial.
        genotype: its genotype.
        tensors: its weights by name in the safetensors format, as its last measurement brought them (of a supernet,
            all of them); for a trial that goes on with its training, its checkpoint.
    """

    number: int
    genotype: Genotype
    tensors: bytes


@dataclass(frozen=True)
class Measurement:
    """What an evaluator found after an epoch.

    Attributes:
        epoch: counted from 1.
        metrics: by name; the units are the metric's own.
        artifacts: files that belong to the trial, by name; a later one replaces an earlier one of its name.
        derived: of a supernet, the genotypes it stands for now, the one it stands for most first.
        timing_updates: with the first measurement of a candidate that was given a time, how many updates were made
            before its first epoch to see how long they take.
    """

    epoch: int
    metrics: Mapping[str, float]
    artifacts: Mapping[str, bytes] = field(default_factory=dict)
    derived: tuple[Genotype, ...] = ()
    timing_updates: int = 0


@dataclass(frozen=True)
class Outcome:
    """How a trial ended, and why where it did not end well.

    A supernet that was trained has not failed, but it is no candidate: it has no score that counts. What was scored
    with a supernet's weights is ``shared``. What breaks a limit of the user's is ``refused``: it was not trained, and
    has not failed.
    """

    kind: OutcomeKind
    reason: str = ""

    @property
    def failed(self) -> bool:
        """Whether what was tried has come to nothing."""
        return self.kind in ("failed", "diverged", "collapsed", "out_of_memory")

    @property
    def scored(self) -> bool:
        """Whether a candidate was measured: it takes part in rankings."""
        return self.kind in ("complete", "stopped", "shared")


def curve_of(measurements: Iterable[Measurement], objective: Objective) -> dict[int, float]:
    """A learning curve: epoch -> loss in the objective, of the measurements that have it; infinite for what is NaN."""
    found = {m.epoch: objective.loss(m.metrics[objective.name]) for m in measurements if objective.name in m.metrics}
    return {epoch: math.inf if math.isnan(loss) else loss for epoch, loss in found.items()}


@dataclass(frozen=True)
class Trial:
    """One evaluation of a proposal.

    Attributes:
        number: counted from 0 within the run.
        seed: of everything random in its evaluation.
        measurements: so far, in order.
        outcome: None while it runs.
        losses: one for each objective, less is better, infinite where it has no score; empty while it runs.
        curve: the learning curve so far, epoch -> loss in the first objective, the epochs in order.
        start: what it begins from, if not from nothing; only an evaluator is given it, no record holds it.
    """

    number: int
    proposal: Proposal
    seed: int
    measurements: tuple[Measurement, ...] = ()
    outcome: Outcome | None = None
    losses: tuple[float, ...] = ()
    curve: Mapping[int, float] = field(default_factory=dict)
    start: Start | None = None

    @property
    def genotype(self) -> Genotype:
        """What was proposed."""
        return self.proposal.genotype

    @property
    def job(self) -> Job:
        """What is asked of the evaluator."""
        return self.proposal.job

    @property
    def heritage(self) -> Start | None:
        """The weights that its network begins with as far as they fit; None where it goes on with a training."""
        promoted = isinstance(self.job, TrainRung) and self.job.continues is not None
        return None if promoted or isinstance(self.job, (TrainPortion, TrainFinalist)) else self.start

    @property
    def refused(self) -> bool:
        """Whether it breaks a limit of the user's, and was not trained."""
        return self.outcome is not None and self.outcome.kind == "refused"

    @property
    def counted(self) -> bool:
        """Whether it is one of the trials that a run was asked for."""
        return self.job.counted and not self.refused

    @property
    def metrics(self) -> Mapping[str, float]:
        """The metrics of the last measurement; empty before the first."""
        return self.measurements[-1].metrics if self.measurements else {}

    @property
    def provisional(self) -> bool:
        """Whether its score is not that of a whole training of its own: it was stopped, or has a supernet's weights."""
        return self.outcome is not None and self.outcome.kind in ("stopped", "shared")

    @property
    def stopped(self) -> bool:
        """Whether it was stopped early: its losses are not those of a whole training.

        It has no weights, unless it was paused at a rung of successive halving.
        """
        return self.outcome is not None and self.outcome.kind == "stopped"

    @property
    def candidate(self) -> int:
        """The number of the trial with which its training began, where it was promoted from there; else its own."""
        begun = self.job.candidate if isinstance(self.job, TrainRung) else None
        return self.number if begun is None else begun

    @property
    def reached(self) -> int:
        """The epochs after which it was paused at a rung of successive halving; 0 for all others."""
        return self.job.before + self.job.epochs if isinstance(self.job, TrainRung) and self.stopped else 0
