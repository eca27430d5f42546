"""A search space and a strategy of one's own.

python examples/own_parts.py
nas search --space examples.own_parts:SmallAutoencoders --strategy examples.own_parts:Greedy --trials 10
"""

from __future__ import annotations

import math

from torch import nn

import nas
from nas.core.genotype import Genotype
from nas.core.space import Evolvable, SearchSpace, Shape, generator_for, sample
from nas.core.strategy import RecommendsBestSeen
from nas.core.trial import Proposal, Trial
from nas.strategies.novelty import Seen
from search_spaces.autoencoder.modules import Autoencoder
from search_spaces.choices import Asker, ChoiceSpace

ACTIVATIONS = {"relu": nn.ReLU, "elu": nn.ELU, "tanh": nn.Tanh}


class SmallAutoencoders(ChoiceSpace):
    """Fully connected autoencoders of images, which narrow from layer to layer."""

    name = "small-autoencoders"
    task = "autoencoder"  # they are trained, scored and exported as ours are

    def decide(self, ask: Asker) -> None:
        """Ask for every choice."""
        ask.structure("latent", (4, 8, 16, 32), ordered=True, usual=16)
        ask.structure("layers", (1, 2, 3), ordered=True, usual=2)
        ask.structure("first_width", (32, 64, 128, 256), ordered=True, usual=128)
        ask.structure("activation", tuple(ACTIVATIONS), usual="relu")
        ask.hyperparameter("loss", ("mse", "bce"), usual="mse")
        ask.hyperparameter("learning_rate", (0.0005, 0.001, 0.002, 0.004), ordered=True, usual=0.002)

    def build(self, genotype: Genotype, shape: Shape) -> nn.Module:
        """The autoencoder that a genotype is, for images (N, *shape) from 0 to 1."""
        chosen = genotype.content
        narrowing = [max(chosen["latent"], chosen["first_width"] >> layer) for layer in range(chosen["layers"])]
        sizes, activation = [math.prod(shape), *narrowing], ACTIVATIONS[chosen["activation"]]
        encoder: list[nn.Module] = [nn.Flatten()]
        decoder: list[nn.Module] = []
        for inner, outer in zip(sizes[1:], sizes, strict=False):
            encoder += [nn.Linear(outer, inner), activation()]
            decoder = [nn.Linear(inner, outer), activation(), *decoder]
        encoder.append(nn.Linear(sizes[-1], chosen["latent"]))
        decoder = [nn.Linear(chosen["latent"], sizes[-1]), activation(), *decoder[:-1], nn.Unflatten(1, shape)]
        return Autoencoder(nn.Sequential(*encoder), nn.Sequential(*decoder), nn.Sigmoid())


class Greedy(RecommendsBestSeen):
    """Always mutates the best trial so far; walks further where all its neighbours are known."""

    def __init__(self, space: SearchSpace, *, seed: int, trials: int) -> None:
        if not isinstance(space, Evolvable):
            raise nas.UserError("--strategy", "Greedy", "spaces that can mutate a genotype")
        self._space, self._seed = space, seed
        self._seen = Seen(space)  # so that nothing is proposed twice
        self._trials: dict[int, Trial] = {}

    def ask(self, number: int) -> Proposal | None:
        """Propose a genotype for the trial of this number; None where nothing new is left."""
        generator = generator_for(self._seed, number)  # all randomness: keyed by seed and number
        best = self.recommend()
        if best is None:
            return self._seen.remember(self._seen.first_new(lambda: Proposal(sample(self._space, generator))))
        parent = self._trials[best]

        def mutate() -> Proposal:
            child, change = self._space.mutate(parent.genotype, generator)
            return Proposal(child, parents=(parent.number,), origin=f"mutation: {change}")

        proposal = self._seen.first_new(mutate) or self._seen.walk_on(mutate(), self._space, generator)
        return self._seen.remember(proposal)

    def tell(self, trial: Trial) -> None:
        """Learn from a trial that has ended."""
        self._trials[trial.number] = trial
        super().tell(trial)


if __name__ == "__main__":
    run = nas.search(space=SmallAutoencoders(), strategy=Greedy, trials=10, epochs=2)
    print(run.best.description)
