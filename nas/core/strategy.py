"""Search strategies: what to try next."""

from __future__ import annotations

from collections.abc import Sequence

from nas.core.genotype import Genotype
from nas.core.trial import Proposal, Trial


class Strategy:
    """Proposes genotypes and is told how they fared.

    A strategy is constructed as ``Class(space, seed=..., trials=..., **options)`` (`trials`: how many the run
    was asked for) and restored by executing its recorded asks and tells again in their order; so each ask may
    depend on nothing but the earlier asks and tells and ``generator_for(seed, number)``.

    Subclass it; what it proposes beyond candidates to be trained it says in attributes.

    Attributes:
        multi_objective: it weighs several objectives against each other; any other may be given several as well and
            looks at the first loss.
        trains_supernets: it proposes supernets, so it needs an evaluator that can train them.
        trains_portions: it proposes portions of trainings, so it needs an evaluator that can train them.
        portions: how many a whole training has; no more than its epochs.
        descends: its proposals have parents, except at the beginning: a child can begin from a parent's weights.
        begins_with_usual: its first proposal is the usual genotype, where a space says what is usual.
        learns_from_others: it may be told of trials that it has not proposed.
    """

    multi_objective: bool = False
    trains_supernets: bool = False
    trains_portions: bool = False
    portions: int = 1
    descends: bool = False
    begins_with_usual: bool = False
    learns_from_others: bool = False

    def expect(self, genotype: Genotype) -> None:
        """Take notice, before the first ask, that a trial of this genotype comes before its own.

        By default nothing comes of it.
        """

    def start_from(self, proposals: Sequence[Proposal]) -> None:
        """Take notice, before the first ask, of candidates that are tried first, as an earlier study found them.

        One that `learns_from_others` is told of them; where it makes a first population, they are of it. One that
        `trains_portions` proposes them itself, as its first members. By default nothing comes of it.
        """

    def ask(self, number: int) -> Proposal | None:
        """The proposal of trial `number`; None to wait for a result, which must leave the state unchanged.

        None while nothing runs ends the search: there is nothing left to propose.
        """
        raise NotImplementedError

    def tell(self, trial: Trial) -> None:
        """Take notice of an ended trial, also of a failed one, whose losses are infinite, or of a stopped one.

        A stopped trial's losses are those it had when it was stopped, after fewer epochs than a complete one's.
        """
        raise NotImplementedError

    def revise(self, trial: Trial) -> None:
        """Take notice that a candidate of which it was told has been trained further, where a run promotes.

        It has the number that it was told of, its losses now and the whole curve. By default nothing comes of it: what
        all candidates are told of after their first rungs compares, and strategies that have no way to replace a
        result learn from that alone.
        """

    def recommend(self) -> int | None:
        """The number of the trial it would stake its name on; None before any is complete.

        Never a stopped one, which has no weights, but for one that was paused at a rung where none is complete.
        """
        raise NotImplementedError


class RecommendsBestSeen(Strategy):
    """A strategy without a model of its own, which recommends the trial of least loss, the first such.

    Of several objectives it is the first that counts, and the others between equals: nothing dominates it. Trials
    that were stopped early do not count: there is nothing to hand over of them. A subclass that needs more in its
    `tell` calls this one's as well.
    """

    _best: tuple[tuple[float, ...], int] | None = None  # losses and number

    def tell(self, trial: Trial) -> None:
        """Remember the trial if it is the best so far."""
        losses = trial.losses
        if trial.stopped or losses[0] == float("inf"):
            return
        if self._best is None or (losses, trial.number) < self._best:
            self._best = (losses, trial.number)

    def recommend(self) -> int | None:
        """The best trial's number; None before any is complete."""
        return None if self._best is None else self._best[1]
