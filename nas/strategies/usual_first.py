"""The usual genotype, and what an earlier study found, before all that a strategy proposes."""

from __future__ import annotations

from collections.abc import Sequence

from nas.core.genotype import Genotype
from nas.core.space import Choice, SearchSpace, Value, generator_for, sample
from nas.core.strategy import Strategy
from nas.core.trial import Proposal, Trial


class UsualFirst(Strategy):
    """Proposes what a practitioner would try first, then what an earlier study found, then what another strategy does.

    The strategy is told of the first trials if it can learn of what it has not proposed (`reinforce` cannot: by the
    ratio of probabilities, a genotype that no policy drew would weigh nothing). What is recommended is the best of all.

    Args:
        inner: the strategy.
        usual: the genotype of trial 0; None where that is another's.
        found: candidates of an earlier study, to be trained again: the strategy starts from them.
        known: so many of these have been trained: they come before the usual genotype.
        announced: the strategy knows of the usual genotype before it is asked; runs of earlier versions are gone on
            with without.
    """

    def __init__(
        self,
        inner: Strategy,
        usual: Genotype | None,
        found: Sequence[Proposal] = (),
        known: int = 0,
        *,
        announced: bool = True,
    ) -> None:
        own = [] if usual is None else [Proposal(usual, origin="usual")]
        self._inner, self._first = inner, join_first(own, found, known)
        if found:
            inner.start_from(self._first)
        elif usual is not None and announced:
            inner.expect(usual)
        self._numbers: list[int] = []  # of the first trials
        self._losses: dict[int, tuple[float, ...]] = {}
        self.multi_objective, self.trains_supernets = inner.multi_objective, inner.trains_supernets
        self.trains_portions, self.portions, self.descends = inner.trains_portions, inner.portions, inner.descends

    def ask(self, number: int) -> Proposal | None:
        """The usual genotype, what was found, then the strategy's proposals."""
        if len(self._numbers) == len(self._first):
            return self._inner.ask(number)
        self._numbers.append(number)
        return self._first[len(self._numbers) - 1]

    def tell(self, trial: Trial) -> None:
        """Pass the trial on."""
        if not trial.stopped:
            self._losses[trial.number] = trial.losses
        if trial.number not in self._numbers or self._inner.learns_from_others:
            self._inner.tell(trial)

    def revise(self, trial: Trial) -> None:
        """Pass on what a longer training has given."""
        if trial.number not in self._numbers or self._inner.learns_from_others:
            self._inner.revise(trial)

    def recommend(self) -> int | None:
        """What the strategy recommends, or the best of the first trials if that is better in the first objective."""
        found, none = self._inner.recommend(), (float("inf"),)
        first = min(self._numbers, key=lambda number: (self._losses.get(number, none), number), default=0)
        losses = self._losses.get(first, none)
        if losses[0] == float("inf"):
            return found
        return first if found is None or losses <= self._losses.get(found, losses) else found


def join_first(usual: Sequence[Proposal], found: Sequence[Proposal], known: int) -> list[Proposal]:
    """Join what is known already, the usual genotype and what else was found, each genotype once."""
    first: dict[Genotype, Proposal] = {}
    for one in (*found[:known], *usual, *found[known:]):
        first.setdefault(one.genotype, one)
    return list(first.values())


def find_usual(space: SearchSpace, seed: int) -> Genotype | None:
    """The genotype of which every decision is the usual one; None where the space says of none what is usual.

    Decisions of which nothing is usual are drawn by the seed.
    """
    known: list[bool] = []

    def look(choice: Choice) -> Value:
        known.append(choice.usual is not None)
        return choice.values[0] if choice.usual is None else choice.usual

    space.grow(look)
    return sample(space, generator_for(seed, 0), usual=1.0) if any(known) else None
