"""The search as a state machine: next trial, report, end. Executors turn its handle."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from nas.core.errors import ReplayMismatch
from nas.core.space import SearchSpace, generator_for
from nas.core.strategy import Strategy
from nas.core.trial import Measurement, Objective, Outcome, Trial

Decision = Literal["continue", "stop"]
_MOST_KILLS = 3  # a candidate that takes its process with it, out of memory, must not do so for ever


class Record(Protocol):
    """Where a search writes down what happens; the study of a run, or nothing at all."""

    def asked(self, trial: Trial, event: int) -> None:
        """A trial begins; `event` counts asks and tells together."""

    def measured(self, trial: Trial, measurement: Measurement) -> None:
        """A running trial has been measured."""

    def told(self, trial: Trial, event: int) -> None:
        """A trial has ended."""

    def restarted(self, trial: Trial) -> int:
        """A trial that an earlier session left running begins again; gives how many times it has by now."""

    def retried(self, trial: Trial, reason: str) -> None:
        """A trial whose worker died begins again within this session; its measurements so far count no more."""


class InMemory:
    """A record that writes nothing: for searches whose trials live in this process alone."""

    def asked(self, trial: Trial, event: int) -> None:
        """Nothing to write."""

    def measured(self, trial: Trial, measurement: Measurement) -> None:
        """Nothing to write."""

    def told(self, trial: Trial, event: int) -> None:
        """Nothing to write."""

    def restarted(self, trial: Trial) -> int:
        """Never before."""
        return 1

    def retried(self, trial: Trial, reason: str) -> None:
        """Nothing to write."""


@dataclass(frozen=True)
class Event:
    """An ask or a tell of an earlier session, to be executed again."""

    number: int
    kind: Literal["ask", "tell"]
    trial: Trial


class Limits(Protocol):
    """Says when to begin no further trial."""

    def reached(self) -> bool:
        """Whether it is time to end."""


class TimeLimit:
    """Reached once `seconds` have passed since construction; never if None."""

    def __init__(self, seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = None if seconds is None else clock() + seconds

    def reached(self) -> bool:
        """Whether the time is over."""
        return self._end is not None and self._clock() >= self._end


class Search:
    """Owns the strategy and the record; three methods turn it.

    Args:
        trials: how many trials there shall be in all, those of earlier sessions included.
        history: the events of earlier sessions in their order; trials asked and never told are run again.
        max_failures: end once more trials than this have failed; None for no limit.
        blame_kills: whether a candidate that ran in several sessions that were killed is taken to have killed them;
            not where candidates run in processes of their own.

    Raises:
        ReplayMismatch: the strategy, executed again, proposes something else than was recorded.
    """

    def __init__(
        self,
        space: SearchSpace,
        strategy: Strategy,
        objectives: tuple[Objective, ...],
        record: Record,
        *,
        seed: int,
        trials: int,
        history: tuple[Event, ...] = (),
        max_failures: int | None = None,
        limit: Limits | None = None,
        blame_kills: bool = True,
    ) -> None:
        self._space, self._strategy, self.objectives, self._record = space, strategy, objectives, record
        self._seed, self.trials, self._max_failures = seed, trials, max_failures
        self._limit, self._blame_kills = limit or TimeLimit(None), blame_kills
        self.ended: list[Trial] = []
        self.failures = 0
        self._running: dict[int, Trial] = {}
        self._again: deque[Trial] = deque()
        self._asked = 0
        self._events = 0
        self._exhausted = False
        self._replay(history)

    def _replay(self, history: tuple[Event, ...]) -> None:
        for event in history:
            trial = event.trial
            if event.kind == "tell":
                self._again.remove(self._running.pop(trial.number))
                self._told(trial)
            else:
                proposal = self._strategy.ask(trial.number)
                recorded = (trial.genotype, trial.proposal.supernet)
                if proposal is None or (proposal.genotype, proposal.supernet) != recorded:
                    raise ReplayMismatch(
                        f"trial {trial.number} was recorded as genotype {trial.genotype.id}, but the strategy "
                        f"now proposes {proposal.genotype.id if proposal else 'nothing'}: the code, the strategy's "
                        "options or the libraries have changed since; start a new run"
                    )
                fresh = replace(trial, proposal=proposal, measurements=(), outcome=None, losses=())
                self._running[trial.number] = fresh
                self._again.append(fresh)
                self._asked += 1
            self._events = event.number + 1

    def next(self) -> Trial | None:
        """The next trial to evaluate; None to wait for one that runs, or for ever if none does."""
        while self._again:
            trial = self._again.popleft()
            killed = self._record.restarted(trial)
            if killed < _MOST_KILLS or not self._blame_kills:
                return trial
            self.end(trial, Outcome("failed", f"the process was killed {killed} times while it was evaluated"))
        if self.finished or self._asked >= self.trials or self._limit.reached() or self._too_many_failures:
            return None
        number = self._asked
        proposal = self._strategy.ask(number)
        if proposal is None:
            self._exhausted = not self._running
            return None
        self._space.validate(proposal.genotype)
        trial = Trial(number, proposal, seed=int(generator_for(self._seed, number, 1).integers(2**31)))
        self._record.asked(trial, self._events)
        self._events += 1
        self._asked += 1
        self._running[number] = trial
        return trial

    def report(self, trial: Trial, measurement: Measurement) -> Decision:
        """Take notice of a measurement and say whether to go on with the trial."""
        running = self._running[trial.number]
        light = replace(measurement, artifacts={})  # the record has them; a search of thousands could not hold them
        self._running[trial.number] = replace(running, measurements=(*running.measurements, light))
        self._record.measured(running, measurement)
        return "continue"

    def again(self, trial: Trial, reason: str) -> None:
        """The trial, whose worker died, is evaluated again from its beginning: what was measured is forgotten."""
        self._running[trial.number] = replace(self._running[trial.number], measurements=())
        self._record.retried(trial, reason)

    def end(self, trial: Trial, outcome: Outcome) -> Trial:
        """The trial is over: tell the strategy, and give the trial with all that is known of it."""
        running = self._running.pop(trial.number)
        missing = [o.name for o in self.objectives if o.name not in running.metrics]
        if not outcome.failed and missing:
            outcome = Outcome("failed", f"the evaluator did not measure {missing[0]}")
        elif not outcome.failed and trial.proposal.supernet is not None:
            outcome = Outcome("supernet", outcome.reason)
        if outcome.scored:
            losses = tuple(objective.loss(running.metrics[objective.name]) for objective in self.objectives)
        else:
            losses = tuple(float("inf") for _ in self.objectives)
        ended = replace(running, outcome=outcome, losses=losses)
        self._record.told(ended, self._events)
        self._events += 1
        self._told(ended)
        return ended

    def _told(self, trial: Trial) -> None:
        self._strategy.tell(trial)
        self.ended.append(trial)
        self.failures += trial.outcome is not None and trial.outcome.failed

    @property
    def _too_many_failures(self) -> bool:
        return self._max_failures is not None and self.failures > self._max_failures

    @property
    def exhausted(self) -> bool:
        """Whether the strategy has nothing left to propose."""
        return self._exhausted

    @property
    def finished(self) -> bool:
        """Whether nothing runs and nothing further can begin by the strategy's or the trials' leave."""
        return not self._running and (self._exhausted or self._asked >= self.trials)

    @property
    def only_first(self) -> bool:
        """Whether there are several objectives and the strategy looks at the first alone."""
        return len(self.objectives) > 1 and not getattr(self._strategy, "multi_objective", False)

    @property
    def best(self) -> Trial | None:
        """The trial that the strategy recommends; None before any has succeeded."""
        number = self._strategy.recommend()
        return next((trial for trial in self.ended if trial.number == number), None)
