"""Jobs: what is asked of an evaluator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from nas.core.supernet import SupernetPlan

Completion = Literal["complete", "shared", "supernet", "stopped"]
"""How a job that came to its end is recorded; see nas.core.trial.Outcome."""


@dataclass(frozen=True)
class Train:
    """Train the genotype as a candidate, from its first epoch to its last."""

    completion: ClassVar[Completion] = "complete"
    counted: ClassVar[bool] = True
    """Whether a strategy proposes it: only then it is one of the trials that a run was asked for."""


@dataclass(frozen=True)
class TrainPortion:
    """Train a part of a candidate's epochs and leave a checkpoint: the strategy decides how the training goes on.

    Source: population based training, Jaderberg et al. 2017.

    Attributes:
        number: of this portion, counted from 0.
        count: how many the whole training has.
        member: whose training it is: members of a population are counted from 0.
        continues: the number of the trial whose training it goes on with, with the genotype's hyperparameters; None
            where it begins.
    """

    completion: ClassVar[Completion] = "complete"
    counted: ClassVar[bool] = True

    number: int
    count: int
    member: int
    continues: int | None = None

    def epochs(self, total: int) -> range:
        """Its epochs, counted from 1, of a whole training of `total`: all portions have as many, or one more."""
        first, last = (total * number // self.count for number in (self.number, self.number + 1))
        return range(first + 1, last + 1)

    @property
    def last(self) -> bool:
        """Whether the training ends with it."""
        return self.number == self.count - 1


@dataclass(frozen=True)
class TrainSupernet:
    """Train no candidate but the supernet around the genotype, which then is its base."""

    completion: ClassVar[Completion] = "supernet"
    counted: ClassVar[bool] = True

    plan: SupernetPlan


@dataclass(frozen=True)
class ScoreWithSupernet:
    """Train nothing, but score the genotype with the weights of a supernet.

    Attributes:
        supernet: the number of the trial that has trained it.
    """

    completion: ClassVar[Completion] = "shared"
    counted: ClassVar[bool] = True

    supernet: int


@dataclass(frozen=True)
class PruneChannels:
    """Remove channels from the model that the proposal's parent has left, and train the rest on briefly.

    Attributes:
        ratio: the share of the genotype's channels that is missing then, between 0 and 1.
    """

    completion: ClassVar[Completion] = "complete"
    counted: ClassVar[bool] = False

    ratio: float


@dataclass(frozen=True)
class TrainFinalist:
    """Train one of the best of a search further, for as long as it deserves among the other finalists.

    Its rate is constant, and its weights are averaged: so it can be scored, and left or gone on with, at any time.
    Only the last part of the one that has won lets its rate fall to nothing.

    Attributes:
        after: how many trials the strategy had proposed when the finals began.
        candidate: the number of the trial of which this is the training in full.
        stage: counted from 0: after each the weaker half of the finalists is left.
        before: epochs that it has been trained for already.
        epochs: of this part.
        horizon: epochs of its whole training, if it wins.
        settles: whether the rate falls to nothing at the end of this part.
        continues: the number of the trial whose training it goes on with; None where it begins.
        seconds: of this part; its epochs show as many examples as that allows. None where they are as those of a
            candidate.
        epoch_size: about how many examples that is.
        objective: the metric by which its best epoch is kept; empty for the evaluator's first.
    """

    completion: ClassVar[Completion] = "complete"
    counted: ClassVar[bool] = False

    after: int
    candidate: int
    stage: int
    before: int
    epochs: int
    horizon: int
    settles: bool = False
    continues: int | None = None
    seconds: float | None = None
    epoch_size: int | None = None
    objective: str = ""


@dataclass(frozen=True)
class TrainRung:
    """Train a candidate of successive halving to the next rung, and leave a checkpoint: it may be promoted from there.

    Its rate is constant, and its weights are averaged, as a finalist's: so it can be scored at every rung. On the way
    to the last one its rate falls to nothing. Before the last it ends as one that was stopped early.

    Source: Li et al. 2020, "A system for massively parallel hyperparameter tuning"; Li et al. 2018, hyperband.

    Attributes:
        bracket: the candidates that it is compared with are those of the same; counted from 0.
        rung: counted from 0.
        rungs: how many its bracket has.
        before: epochs that it has been trained for already.
        epochs: of this part.
        horizon: epochs at the last rung.
        candidate: the number of the trial with which its training began; None where this is it.
        continues: the number of the trial that came to the rung before; None where it begins.
    """

    bracket: int
    rung: int
    rungs: int
    before: int
    epochs: int
    horizon: int
    candidate: int | None = None
    continues: int | None = None

    @property
    def counted(self) -> bool:
        """Whether it is one of the trials that a run was asked for: each candidate is one, however far it comes."""
        return self.continues is None

    @property
    def settles(self) -> bool:
        """Whether the training ends with it, and its rate falls to nothing."""
        return self.rung == self.rungs - 1

    @property
    def completion(self) -> Completion:
        """How it is recorded once it has come to its rung."""
        return "complete" if self.settles else "stopped"


Job = Train | TrainPortion | TrainSupernet | ScoreWithSupernet | PruneChannels | TrainFinalist | TrainRung


def is_told(job: Job) -> bool:
    """Whether the strategy is told of it: it has proposed it, or what it has proposed was promoted."""
    return job.counted or isinstance(job, TrainRung)
