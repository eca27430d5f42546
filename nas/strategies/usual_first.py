"""The usual genotype before all that a strategy proposes."""

from __future__ import annotations

from nas.core.genotype import Genotype
from nas.core.space import Choice, SearchSpace, Value, generator_for, sample
from nas.core.strategy import Strategy
from nas.core.trial import Proposal, Trial


class UsualFirst(Strategy):
    """Proposes what a practitioner would try first, and then what another strategy does.

    The strategy is told of the first trial if it can learn of what it has not proposed (`reinforce` cannot: by the
    ratio of probabilities, a genotype that no policy drew would weigh nothing). What is recommended is the
    better of both.

    Args:
        inner: the strategy.
        usual: the genotype of trial 0.
        announced: the strategy knows of it before it is asked; runs of earlier versions are gone on with without.
    """

    def __init__(self, inner: Strategy, usual: Genotype, *, announced: bool = True) -> None:
        if announced:
            inner.expect(usual)
        self._inner, self._usual = inner, usual
        self._losses: dict[int, tuple[float, ...]] = {}
        self.multi_objective, self.trains_supernets = inner.multi_objective, inner.trains_supernets
        self.trains_portions, self.portions, self.descends = inner.trains_portions, inner.portions, inner.descends

    def ask(self, number: int) -> Proposal | None:
        """The usual genotype, then the strategy's proposals."""
        return Proposal(self._usual, origin="usual") if number == 0 else self._inner.ask(number)

    def tell(self, trial: Trial) -> None:
        """Pass the trial on."""
        if not trial.stopped:
            self._losses[trial.number] = trial.losses
        if trial.number > 0 or self._inner.learns_from_others:
            self._inner.tell(trial)

    def revise(self, trial: Trial) -> None:
        """Pass on what a longer training has given."""
        if trial.number > 0 or self._inner.learns_from_others:
            self._inner.revise(trial)

    def recommend(self) -> int | None:
        """What the strategy recommends, or the usual trial if that is better in the first objective."""
        found, usual = self._inner.recommend(), self._losses.get(0, (float("inf"),))
        if usual[0] == float("inf"):
            return found
        return 0 if found is None or usual <= self._losses.get(found, usual) else found


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
