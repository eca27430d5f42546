"""A search space and a strategy of one's own.

python examples/own_parts.py
nas search --space examples.own_parts:SmallAutoencoders --strategy examples.own_parts:Greedy --trials 10
"""

from __future__ import annotations

import nas
from nas.core.space import Evolvable, SearchSpace, generator_for, sample
from nas.core.strategy import RecommendsBestSeen
from nas.core.trial import Proposal, Trial
from search_spaces.autoencoder.space import AutoencoderSpace
from search_spaces.choices import Asker


class SmallAutoencoders(AutoencoderSpace):
    """Autoencoders as ours, with one decision more, which its `build` could look at."""

    name = "small-autoencoders"

    def decide(self, ask: Asker) -> None:
        super().decide(ask)
        ask.structure("tied_weights", (False, True))


class Greedy(RecommendsBestSeen):
    """Always mutates the best trial so far."""

    def __init__(self, space: SearchSpace, *, seed: int, trials: int) -> None:
        if not isinstance(space, Evolvable):
            raise nas.UserError("--strategy", "Greedy", "spaces that can mutate a genotype")
        self._space, self._evolvable, self._seed = space, space, seed
        self._trials: dict[int, Trial] = {}

    def ask(self, number: int) -> Proposal | None:
        generator = generator_for(self._seed, number)  # all randomness: keyed by seed and number
        best = self.recommend()
        if best is None:
            return Proposal(sample(self._space, generator), origin="random")
        parent = self._trials[best]
        child, change = self._evolvable.mutate(parent.genotype, generator)
        return Proposal(child, parents=(parent.number,), origin=f"mutation: {change}")

    def tell(self, trial: Trial) -> None:
        self._trials[trial.number] = trial
        super().tell(trial)


if __name__ == "__main__":
    run = nas.search(space=SmallAutoencoders(), strategy=Greedy, trials=10, epochs=2)
    print(run.best.description)
