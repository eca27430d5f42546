"""Any strategy, with candidates that share the weights of one supernet and are trained alone only at the end."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

from nas.core.errors import InvalidGenotype, UserError
from nas.core.genotype import Genotype
from nas.core.job import ScoreWithSupernet, TrainSupernet
from nas.core.pareto import ranking
from nas.core.space import SearchSpace, drawing, generator_for
from nas.core.strategy import RecommendsBestSeen, Strategy
from nas.core.supernet import SharesWeights, SupernetPlan
from nas.core.trial import Proposal, Trial
from nas.strategies.novelty import Seen
from nas.strategies.option_checks import require_at_least

_MOST_FAILURES = 3  # of a supernet in a row


class OneShot(RecommendsBestSeen):
    """Searches among the paths of a supernet (Guo et al. 2020, SPOS; with a controller Pham et al. 2018, ENAS).

    The first trial trains a supernet by drawing single paths, in which every operation of every edge has weights that
    all candidates share. Then the strategy proposes candidates as always, of which none is trained: each is scored with
    the supernet's weights, after its batch normalisation has been recalibrated, in a fraction of the time. The best
    are proposed at the end to be trained alone, and one of them is recommended. All but the cells is as usual; fix it
    otherwise with --pin.

    With several rounds the supernet is trained further before each on the candidates that the strategy proposed in
    the round before, and on nothing else: with reinforce that is ENAS, whose weights and controller learn in turns.

    Args:
        make: gives the strategy that proposes the candidates, of a space and so many trials.
    """

    trains_supernets = True

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int,
        trials: int,
        make: Callable[[SearchSpace, int], Strategy],
        supernet_epochs: Annotated[
            int | None, "of the supernet, over all rounds; by default what suits the models, 20 or more"
        ] = None,
        rounds: Annotated[int, "how often the supernet is trained further on what the strategy proposes"] = 1,
        finalists: Annotated[
            int | None, "how many are trained alone at the end; by default an eighth of the trials, at most 5"
        ] = None,
    ) -> None:
        finalists = min(5, max(1, trials // 8)) if finalists is None else finalists
        candidates = trials - rounds - finalists
        require_at_least(1, rounds=rounds, finalists=finalists)
        require_at_least(rounds, supernet_epochs=supernet_epochs)
        if candidates < rounds:
            why = f"{rounds} trials train the supernet, and {finalists} are trained alone"
            raise UserError("--trials", trials, f"{2 * rounds + finalists} or more", why=why)
        if not isinstance(space, SharesWeights):
            allowed = "none, or a space that has supernets, such as autoencoder and gan"
            raise UserError("--weight-sharing", "supernet", allowed, why=f"the space {space.name} has none")
        try:
            self._base: Genotype = space.base(drawing(generator_for(seed, 0, 2), 1.0))
        except InvalidGenotype as error:
            allowed = "none, or spaces with cells to share, neither pinned nor of another kind of network"
            raise UserError("--weight-sharing", "supernet", allowed, why=str(error)) from None
        self._inner = make(space.paths(self._base), candidates)
        self.multi_objective = self._inner.multi_objective
        self._rounds, self._finalists, self._epochs = rounds, finalists, supernet_epochs
        self._quotas = [candidates * (n + 1) // rounds for n in range(rounds)]  # candidates by the end of each round
        self._round = -1  # the latest whose supernet has been trained
        self._supernet: int | None = None
        self._failures = 0
        self._training = False
        self._asked = 0  # candidates
        self._pending: set[int] = set()
        self._scored: list[Trial] = []
        self._final: deque[Proposal] | None = None
        self._seen = Seen(space)

    def ask(self, number: int) -> Proposal | None:
        """A supernet, then candidates of the strategy, then the best of them; None while those before are awaited."""
        if self._training:
            return None
        if self._final is None and self._round >= 0 and self._asked < self._quotas[self._round]:
            proposal = self._inner.ask(number)
            if proposal is not None:
                self._asked += 1
                self._pending.add(number)
                assert self._supernet is not None  # a round has been trained
                return replace(proposal, job=ScoreWithSupernet(self._supernet))
        if self._pending:
            return None
        if self._final is None and self._further:
            self._training = True
            return Proposal(self._base, origin=f"supernet, round {self._round + 1}", job=TrainSupernet(self._plan()))
        if self._final is None:
            self._final = deque(self._choose_finalists())
        return self._final.popleft() if self._final else None

    @property
    def _further(self) -> bool:
        """Whether another round is to come: not where supernets fail or the strategy has nothing left to propose."""
        served = self._round < 0 or self._asked == self._quotas[self._round]
        return served and self._round + 1 < self._rounds and self._failures < _MOST_FAILURES

    def _plan(self) -> SupernetPlan:
        """What the next supernet is trained on: any path first, then those of the last round's candidates."""
        before = self._quotas[self._round - 1] if self._round > 0 else 0
        latest = sorted({trial.genotype.text for trial in self._scored[before:]})
        epochs = None if self._epochs is None else max(1, self._epochs // self._rounds)
        return SupernetPlan(epochs=epochs, paths=tuple(latest), continues=self._supernet)

    def _choose_finalists(self) -> list[Proposal]:
        """The candidates of the best scores, each once."""
        proposals: list[Proposal] = []
        alive = [trial for trial in self._scored if trial.losses[0] < math.inf]
        for place in ranking([trial.losses for trial in alive]):
            trial = alive[place]
            if trial.genotype not in self._seen and len(proposals) < self._finalists:
                self._seen.add(trial.genotype)
                origin = f"best {len(proposals) + 1} with shared weights"
                proposals.append(Proposal(trial.genotype, (trial.number,), origin))
        return proposals

    def tell(self, trial: Trial) -> None:
        """The strategy is told of its candidates; of those that were trained alone, the best is remembered."""
        if isinstance(trial.job, TrainSupernet):
            self._training = False
            if trial.outcome is not None and trial.outcome.failed:
                self._failures += 1
            else:
                self._failures, self._supernet = 0, trial.number
                self._round += 1
        elif trial.number in self._pending:
            self._pending.remove(trial.number)
            self._scored.append(trial)
            self._inner.tell(trial)
        else:
            super().tell(trial)
