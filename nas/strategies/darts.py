"""Differentiable architecture search: a supernet is trained, and what is derived from it is trained alone."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import Annotated, Literal

from nas.core.errors import InvalidGenotype, UserError
from nas.core.genotype import Genotype
from nas.core.job import TrainSupernet
from nas.core.space import SearchSpace, drawing, generator_for
from nas.core.strategy import RecommendsBestSeen
from nas.core.supernet import Relaxable, Relaxation, SupernetPlan
from nas.core.trial import Proposal, Trial
from nas.strategies.novelty import Seen
from nas.strategies.option_checks import require, require_at_least

_MOST_FAILURES = 5  # supernets in a row that fail, before the search ends
_MOST_FRUITLESS = 2  # supernets in a row that bring nothing new
_VARIED = 0.75  # of further bases: the probability that a decision is the usual one
_MOST_SAMPLES = 200  # of one supernet; who wants more candidates trains another


class Darts(RecommendsBestSeen):
    """DARTS, differentiable architecture search (Liu, Simonyan & Yang 2019), with GDAS's and PC-DARTS's variants.

    The first trial trains a supernet, whose edges hold mixtures of all operations, and is no candidate itself. Then
    come, each trained alone: what its final alphas stand for, what they stood for after earlier epochs (the latest
    first), and draws from the final alphas. All but the cells is as usual; fix it otherwise with --pin.

    Options: `order` 2 differentiates through a step of the weights; `relaxation` ``gumbel`` draws single operations
    (Dong & Yang 2019), ``gumbel_softmax`` mixes all with noise (Gao et al. 2020); `partial_channels` and
    `edge_normalisation` are those of Xu et al. 2020; `max_skips` guards against cells of skip connections (Liang et
    al. 2019).

    A supernet that fails is followed by one around another base, at most five times in a row. Where there are more
    trials than it has candidates, another supernet is trained.
    """

    trains_supernets = True

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int,
        trials: int,
        supernet_epochs: Annotated[int | None, "of a supernet; by default what suits the models, 20 or more"] = None,
        order: Annotated[Literal[1, 2], "of the alphas' gradient"] = 1,
        relaxation: Annotated[Relaxation | None, "mix all operations, or draw one; by default what suits"] = None,
        partial_channels: Annotated[Literal[1, 2, 4, 8], "K: one in K channels is mixed, the others pass"] = 1,
        edge_normalisation: Annotated[bool, "learn how much each edge of a node counts"] = False,
        max_skips: Annotated[int | None, "the most skip connections in a derived cell; none for any number"] = 2,
        warm_up: Annotated[int | None, "epochs before the alphas move; by default 3 in 10"] = None,
        learning_rate: Annotated[float | None, "of the alphas; by default 3e-4, more where there are few steps"] = None,
        weight_decay: Annotated[float, "of the alphas"] = 1e-3,
        supernets: Annotated[int, "how many supernets share the trials"] = 1,
    ) -> None:
        most_warm_up = math.inf if supernet_epochs is None else supernet_epochs - 1
        most_supernets = max(1, trials // 2)
        require_at_least(1, supernet_epochs=supernet_epochs)
        require_at_least(0, max_skips=max_skips, warm_up=warm_up, weight_decay=weight_decay)
        require((warm_up or 0) <= most_warm_up, "warm_up", warm_up, f"0 to {most_warm_up}")
        require(1 <= supernets <= most_supernets, "supernets", supernets, f"1 to {most_supernets}")
        positive = learning_rate is None or 0 < learning_rate < math.inf
        require(positive, "learning_rate", learning_rate, "a number above 0")
        if trials < 2:
            raise UserError("--trials", trials, "2 or more", why="darts trains a supernet first")
        if not isinstance(space, Relaxable):
            fits = "spaces that have a supernet, such as autoencoder and gan"
            raise UserError("--strategy", "darts", fits, why=f"the space {space.name} has none")
        self._space, self._relaxable = space, space
        self._seed, self._supernets = seed, supernets
        self._share = math.ceil(trials / supernets) - 1  # candidates of each supernet but the last
        self._plan = SupernetPlan(
            epochs=supernet_epochs, order=order, relaxation=relaxation, partial_channels=partial_channels,
            edge_normalisation=edge_normalisation, max_skips=max_skips, warm_up=warm_up,
            samples=min(trials, _MOST_SAMPLES),
            learning_rate=learning_rate, weight_decay=weight_decay,
        )  # fmt: skip
        self._training = False
        self._trained = self._failures = self._fruitless = 0
        self._bases = 0  # given up so far
        self._queue: deque[Proposal] = deque()
        self._seen = Seen(space)
        try:
            self._choose_base()
        except InvalidGenotype as error:
            fits = "spaces with cells to relax, neither pinned nor of another kind of network"
            raise UserError("--strategy", "darts", fits, why=str(error)) from None

    def ask(self, number: int) -> Proposal | None:
        """What was derived, as long as there is some; else a supernet. None while one is trained."""
        if self._training:
            return None
        if self._queue:
            return self._queue.popleft()
        if self._failures == _MOST_FAILURES or self._fruitless == _MOST_FRUITLESS:
            return None
        self._training = True
        return Proposal(self._choose_base(), origin="supernet", job=TrainSupernet(self._plan))

    def _choose_base(self) -> Genotype:
        """The usual genotype; another one where that has failed or has nothing new around it."""
        generator = generator_for(self._seed, self._bases, 2)
        return self._relaxable.base(drawing(generator, _VARIED if self._bases else 1.0))

    def tell(self, trial: Trial) -> None:
        """A supernet's derived genotypes are queued; of candidates, the best is remembered."""
        if not isinstance(trial.job, TrainSupernet):
            super().tell(trial)
            return
        self._training = False
        if trial.outcome is not None and trial.outcome.failed:
            self._failures += 1
            self._bases += 1
            return
        self._failures = 0
        self._trained += 1
        most = self._share if self._trained < self._supernets else None
        for genotype, origin in list_derived(trial):
            if genotype not in self._seen and len(self._queue) != most:
                self._seen.add(genotype)
                self._queue.append(Proposal(genotype, (trial.number,), origin))
        self._fruitless = 0 if self._queue else self._fruitless + 1
        self._bases += not self._queue


def list_derived(trial: Trial) -> Iterator[tuple[Genotype, str]]:
    """A supernet's genotypes in the order in which they shall be tried, and where each comes from."""
    told = [measurement for measurement in reversed(trial.measurements) if measurement.derived]
    for measurement in told:
        yield measurement.derived[0], f"derived after epoch {measurement.epoch}"
    for genotype in told[0].derived[1:] if told else ():
        yield genotype, "drawn from the alphas"
