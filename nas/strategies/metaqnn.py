"""MetaQNN: Q-learning writes a genotype decision by decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from nas.core.errors import UserError
from nas.core.space import Choice, Generator, SearchSpace, Traceable, Value, drawing, generator_for
from nas.core.trial import Proposal, Trial
from nas.strategies.novelty import ProposesNew, Seen
from nas.strategies.option_checks import require_at_least, require_probability, require_share
from nas.strategies.rewards import Ranks

State = tuple[str, Value | None]
"""The decision that is to be made, and what was chosen for the one before; None before the first."""

_SCHEDULE = ((1.0, 1500), *((tenths / 10, 100) for tenths in (9, 8, 7)), *((t / 10, 150) for t in (6, 5, 4, 3, 2, 1)))
"""Epsilon and for how many models: Baker et al. (2017), table 2."""
_FIRST_Q = 0.5
_ATTEMPTS = 200


class MetaQNN(ProposesNew):
    """Q-learning with an epsilon-greedy policy and experience replay (Baker, Gupta, Naik & Raskar 2017).

    A state is the decision to be made and the choice made before, an action is a value:
    Q(s, a) <- (1 - alpha) Q(s, a) + alpha (r + gamma max Q(s', .)), the last step first (sections 3 and 4). After
    every trial, past ones are drawn from the replay memory.

    A genotype's result is the share of results so far that are worse, in [0, 1] like the paper's accuracies whatever
    the objective; a failure's is 0. Each of its T actions is rewarded with a T-th of it (Zhong et al. 2018, section
    3.2), and Q begins with half of what can still be earned: what an action is worth is then learned from its own
    trials. ``--set shaping=no`` rewards the last action alone, as the paper does, which takes its thousands of trials:
    through the maxima of many steps little is heard of the first ones in hundreds.

    Epsilon falls from 1 to 0.1 by the paper's schedule, which is for 2,700 models: it is shortened to a share of the
    trials, after which it stays at 0.1. Where the policy meets only what is known, epsilon rises until it meets
    something new.

    A random action, and that of a state not met before, is more often than not the usual one, where the space says
    what that is: a space of dozens of decisions has too many states to learn from uniform draws what a practitioner
    knows. ``--set usual=0`` draws uniformly, as the paper does.
    """

    learns_from_others = True

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int,
        trials: int,
        alpha: Annotated[float, "the learning rate of Q (paper: 0.01, for thousands of models)"] = 0.1,
        gamma: Annotated[float, "the discount of what follows"] = 1.0,
        replays: Annotated[int, "trials drawn from the memory after each"] = 100,
        shaping: Annotated[bool, "reward every action with its share of the result, not the last with all"] = True,
        schedule: Annotated[int | None, "trials until epsilon is 0.1 (paper: 2700); by default a third of all"] = None,
        usual: Annotated[float, "probability that a random action is the usual one"] = 0.75,
    ) -> None:
        if not isinstance(space, Traceable):
            raise UserError("--strategy", "metaqnn", "spaces that can list a genotype's decisions")
        require_share(alpha=alpha, gamma=gamma)
        require_at_least(1, replays=replays, schedule=schedule)
        require_probability(usual=usual)
        self._space, self._traceable, self._seed = space, space, seed
        self._alpha, self._gamma, self._replays, self._shaping = alpha, gamma, replays, shaping
        self._schedule = max(1, trials // 3) if schedule is None else schedule
        self._usual = usual
        self._q: dict[State, dict[Value, float]] = {}
        self._memory: list[tuple[list[tuple[State, Value]], float]] = []
        self._ranks = Ranks()
        self._seen = Seen(space)

    def ask(self, number: int) -> Proposal | None:
        """What the epsilon-greedy policy writes."""
        generator = generator_for(self._seed, number)
        epsilon = self.epsilon(self._seen.count)
        attempt = 0

        def draw() -> Proposal:
            nonlocal attempt
            raised = max(epsilon, attempt / _ATTEMPTS)
            attempt += 1
            return self._write_genotype(raised, generator)

        return self._seen.remember(self._seen.first_new(draw))

    def epsilon(self, models: int) -> float:
        """The probability of a random action after so many models."""
        place = models / self._schedule * sum(count for _, count in _SCHEDULE)
        for value, count in _SCHEDULE:
            if place < count:
                return value
            place -= count
        return _SCHEDULE[-1][0]

    def _write_genotype(self, epsilon: float, generator: Generator) -> Proposal:
        before: Value | None = None
        draw = drawing(generator, self._usual)

        def choose(choice: Choice) -> Value:
            nonlocal before
            values = self._q.get((choice.site, before))
            if values is None or generator.random() < epsilon:
                before = draw(choice)
                return before
            highest = max(values.values())
            best = [value for value in choice.values if values[value] == highest]
            before = best[int(generator.integers(len(best)))]
            return before

        return Proposal(self._space.grow(choose), origin=f"Q-learning, epsilon {epsilon:.2g}")

    def tell(self, trial: Trial) -> None:
        """Put the trial into the memory and learn from some of what is there."""
        super().tell(trial)
        loss = trial.losses[0]
        self._ranks.add(loss)
        self._memory.append((self._list_steps(trial), loss))
        generator = generator_for(self._seed, trial.number, 2)
        for index in generator.integers(len(self._memory), size=self._replays):
            steps, loss = self._memory[int(index)]
            self._learn(steps, self._measure_result(loss))

    def _list_steps(self, trial: Trial) -> list[tuple[State, Value]]:
        steps: list[tuple[State, Value]] = []
        before: Value | None = None
        free = [d for d in self._traceable.trace(trial.genotype) if len(d.choice.values) > 1]  # others are not asked
        for step, decision in enumerate(free):
            state = (decision.choice.site, before)
            left = (len(free) - step) / len(free) if self._shaping else 1.0
            self._q.setdefault(state, dict.fromkeys(decision.choice.values, _FIRST_Q * left))
            steps.append((state, decision.value))
            before = decision.value
        return steps

    def _measure_result(self, loss: float) -> float:
        """The share of results that are worse, those as good counted half; 0 for a failure."""
        return 0.0 if loss == float("inf") else self._ranks.rank(loss)

    def _learn(self, steps: list[tuple[State, Value]], result: float) -> None:
        following: Mapping[Value, float] | None = None
        for state, action in reversed(steps):
            reward = result / len(steps) if self._shaping else result if following is None else 0.0
            target = reward + (self._gamma * max(following.values()) if following is not None else 0.0)
            values = self._q[state]
            values[action] += self._alpha * (target - values[action])
            following = values
