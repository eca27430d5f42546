"""REINFORCE: an LSTM controller learns by policy gradient to write good genotypes."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Annotated

from nas.core.space import SearchSpace, generator_for
from nas.core.trial import Proposal, Trial
from nas.strategies.novelty import ProposesNew, Seen
from nas.strategies.option_checks import require, require_at_least
from nas.strategies.rewards import Ranks

if TYPE_CHECKING:
    from nas.strategies.controller import Walk

_NORMAL = NormalDist()


class Reinforce(ProposesNew):
    """An LSTM controller trained by policy gradient (Zoph & Le 2017).

    The controller answers the space's choices in their order, conditional ones where they arise. After every `batch`
    results it takes a step up

        sum over the batch of  (R - b) grad log pi(genotype)  +  entropy * grad H        (section 3.2)

    where b is an exponential moving average of the rewards before (so that no gradient passes through R - b) and H
    the sum of the entropies of the answers' distributions, which is an addition of later work (Pham et al. 2018).

    R is not the accuracy but the normal score of its rank among all results so far, so that the learning rate means
    the same for every metric; failures share the last rank. The paper's learning rate is made for 12,800 networks,
    this one for hundreds. What was decided by an older policy, as with many workers, weighs the ratio of its
    probability now to that then, at most 1. An untrained controller prefers what the space calls usual.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int,
        trials: int,
        learning_rate: Annotated[float, "of plain gradient ascent; the LSTM itself takes a tenth of it"] = 0.5,
        batch: Annotated[int, "results between two updates of the controller"] = 4,
        entropy: Annotated[float, "weight of the entropy, which keeps the controller exploring"] = 0.01,
        decay: Annotated[float, "of the moving average that is the baseline, per update"] = 0.9,
        hidden: Annotated[int, "units of the LSTM"] = 32,
        usual: Annotated[float, "what the first controller adds to the probability of usual values"] = 0.5,
        duplicates: Annotated[bool, "evaluate an architecture again that was evaluated before"] = False,
    ) -> None:
        require(learning_rate > 0, "learning_rate", learning_rate, "more than 0")
        require_at_least(1, batch=batch, hidden=hidden)
        require_at_least(0, entropy=entropy)
        require(0 <= decay < 1, "decay", decay, "0 to 1, without 1")
        require(0 <= usual < 1, "usual", usual, "0 to 1, without 1")
        from nas.strategies.controller import Controller  # which needs torch; the options do not

        self._space, self._seed = space, seed
        self._batch_size, self._entropy, self._decay = batch, entropy, decay
        self._controller = Controller(seed=seed, hidden=hidden, learning_rate=learning_rate, usual=usual)
        self._running: dict[int, Walk] = {}
        self._batch: list[tuple[Walk, float]] = []
        self._ranks = Ranks()
        self._baseline = 0.0  # the score of the middle rank
        self._exhausted = False
        self._seen = Seen(space, duplicates=duplicates)

    def ask(self, number: int) -> Proposal | None:
        """A genotype drawn from the controller; None, from then on, once none is new."""
        if self._exhausted:
            return None
        drawn = self._controller.draw(self._space, generator_for(self._seed, number), self._seen.__contains__)
        if drawn is None:
            self._exhausted = True
            return None
        genotype, walk = drawn
        self._running[number] = walk
        return self._seen.remember(Proposal(genotype, origin="controller", policy=walk.list_probabilities()))

    def tell(self, trial: Trial) -> None:
        """The result joins the batch; a full batch moves the controller."""
        super().tell(trial)
        self._ranks.add(trial.losses[0])
        self._batch.append((self._running.pop(trial.number), trial.losses[0]))
        if len(self._batch) == self._batch_size:
            self._update([walk for walk, _ in self._batch], [self._reward(loss) for _, loss in self._batch])
            self._batch = []

    def _reward(self, loss: float) -> float:
        return _NORMAL.inv_cdf(self._ranks.rank(loss))

    def _update(self, walks: list[Walk], rewards: list[float]) -> None:
        log_probabilities, entropies = self._controller.evaluate(walks)
        before = log_probabilities.new_tensor([walk.log_probability for walk in walks])
        weights = (log_probabilities.detach() - before).exp().clamp(max=1.0)
        advantages = log_probabilities.new_tensor(rewards) - self._baseline
        gain = (weights * advantages * log_probabilities).sum() + self._entropy * entropies.sum()
        self._controller.descend(-gain)
        self._baseline = self._decay * self._baseline + (1 - self._decay) * sum(rewards) / len(rewards)
