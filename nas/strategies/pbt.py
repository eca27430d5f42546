"""Population-based training: hyperparameters change while networks are trained, and bad members become copies."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

from nas.core.errors import UserError
from nas.core.genotype import Genotype
from nas.core.job import TrainPortion
from nas.core.space import Choice, Generator, SearchSpace, Traceable, Value, drawing, generator_for
from nas.core.strategy import RecommendsBestSeen
from nas.core.trial import Proposal, Trial
from nas.strategies.mutation import propose_random
from nas.strategies.novelty import Seen
from nas.strategies.option_checks import require, require_at_least, require_probability


@dataclass
class _Member:
    """One of the population.

    Attributes:
        asked: how many portions of its training have begun.
        trials: what has ended, the first portion's first.
    """

    asked: int = 0
    trials: list[Trial] = field(default_factory=list)

    def loss(self, done: int) -> float:
        """Of what it was after so many portions; infinite if it had failed."""
        return self.trials[done - 1].losses[0]


class PopulationBased(RecommendsBestSeen):
    """Population-based training (Jaderberg et al. 2017, algorithm 1).

    P members are trained at once, in portions; a trial is one portion of one member. Before its next portion a member
    compares itself with the others as they were after as many portions: if it is among the worst fifth it becomes a
    copy of one of the best fifth (truncation selection, appendix A.1), that is, it goes on from the checkpoint that
    one has left, with its genotype, of which every ordered hyperparameter then moves one step up or down its grid or
    stays (explore; the grids' steps are about a factor of 2, the paper multiplies by 0.8 or 1.2). Failed members become
    copies in any case; where nobody is left to copy, they begin anew.

    The first members differ in their architectures too, so that these compete as well: pin what is decided (or
    ``--from``) to search schedules of hyperparameters alone, as the paper does. Nobody is waited for: a member is
    compared with those that have come as far, and goes on from what one of them was then.

    P times the portions is the number of trials.
    """

    trains_portions = True
    begins_with_usual = True

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int,
        trials: int,
        portions: Annotated[int, "how many times a member can change; --epochs are the whole training's"] = 4,
        population: Annotated[int | None, "P, the members; by default the trials over the portions, at least 2"] = None,
        share: Annotated[float, "of the population, that are replaced and that are copied, at least one"] = 0.2,
        usual: Annotated[float, "probability that a decision of the first members is the usual one"] = 0.75,
    ) -> None:
        if not isinstance(space, Traceable):
            raise UserError("--strategy", "pbt", "spaces that can tell a genotype's decisions")
        population = max(2, trials // max(1, portions)) if population is None else population
        require_at_least(2, portions=portions, population=population)
        require(0 < share <= 0.5, "share", share, "more than 0, at most 0.5")
        require_probability(usual=usual)
        self.portions = portions
        self._space, self._traceable, self._seed = space, space, seed
        self._usual, self._few = usual, max(1, math.floor(share * population))
        self._members = [_Member() for _ in range(population)]
        self._seen = Seen(space)
        self._given: deque[Proposal] = deque()

    def start_from(self, proposals: Sequence[Proposal]) -> None:
        """Let the first members begin with these."""
        self._given.extend(proposals)

    def ask(self, number: int) -> Proposal | None:
        """The next portion of the member that has come least far; None while all that are not done are trained."""
        generator = generator_for(self._seed, number)
        waiting = [
            index
            for index, member in enumerate(self._members)
            if member.asked == len(member.trials) and member.asked < self.portions
        ]
        for index in sorted(waiting, key=lambda i: (self._members[i].asked, i)):
            member = self._members[index]
            proposal = (self._go_on(index, generator) if member.trials else None) or self._begin(index, generator)
            if proposal is not None:
                member.asked = _portion_of(proposal).number + 1
                return proposal
        return None

    def _begin(self, index: int, generator: Generator) -> Proposal | None:
        """A new genotype, of which nothing has been trained; the first is the usual one. None where all are known."""
        first = self._seen.count == 0
        drawn = (
            self._given.popleft()
            if self._given
            else self._seen.first_new(lambda: propose_random(self._space, generator, self._usual, first=first))
        )
        if drawn is None:
            return None
        self._members[index].trials = []
        return self._seen.remember(replace(drawn, job=TrainPortion(0, self.portions, index)))

    def _go_on(self, index: int, generator: Generator) -> Proposal | None:
        """The member's next portion, or that of a better one with changed hyperparameters; None to begin anew."""
        member = self._members[index]
        done = len(member.trials)
        peers = [i for i, other in enumerate(self._members) if len(other.trials) >= done]
        peers.sort(key=lambda i: (self._members[i].loss(done), i))
        few = min(self._few, len(peers) // 2)
        failed = member.loss(done) == math.inf
        if not failed and index not in peers[len(peers) - few :]:
            return self._continue_training(index, member.trials[-1], None)
        best = [i for i in peers[:few] if self._members[i].loss(done) < math.inf]
        if not best:
            return None if failed else self._continue_training(index, member.trials[-1], None)
        donor = self._members[best[int(generator.integers(len(best)))]]
        return self._continue_training(index, donor.trials[done - 1], generator)

    def _continue_training(self, index: int, trial: Trial, generator: Generator | None) -> Proposal:
        """What a trial has left, trained for another portion; explored where there is a generator."""
        portion = TrainPortion(_portion_of(trial.proposal).number + 1, self.portions, index, continues=trial.number)
        if generator is None:
            return Proposal(trial.genotype, (trial.number,), "continued", portion)
        genotype, changed = self._explore(trial.genotype, generator)
        origin = f"copy of trial {trial.number}" + (f": {changed}" if changed else "")
        return Proposal(genotype, (trial.number,), origin, portion)

    def _explore(self, genotype: Genotype, generator: Generator) -> tuple[Genotype, str]:
        """The genotype with its ordered hyperparameters moved, and what was changed, in words."""
        answers: dict[str, Value] = {}
        changes = []
        for decision in self._traceable.trace(genotype):
            choice, value = decision.choice, decision.value
            answers[choice.site] = value
            if choice.role == "hyperparameter" and choice.ordered and len(choice.values) > 1:
                to = choice.values.index(value) + int(generator.integers(-1, 2))
                answers[choice.site] = moved = choice.values[min(max(to, 0), len(choice.values) - 1)]
                if moved != value:
                    changes.append(f"{choice.site} {value} -> {moved}")
        arising = drawing(generator, self._usual)

        def answer(choice: Choice) -> Value:
            return answers[choice.site] if choice.site in answers else arising(choice)

        return self._space.grow(answer), ", ".join(changes)

    def tell(self, trial: Trial) -> None:
        """The member has come so far; a failed one has nothing to go on from."""
        self._members[_portion_of(trial.proposal).member].trials.append(trial)
        super().tell(trial)


def _portion_of(proposal: Proposal) -> TrainPortion:
    """The portion that a proposal of this strategy asks for."""
    assert isinstance(proposal.job, TrainPortion)
    return proposal.job
