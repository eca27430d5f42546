"""The search as a state machine: next trial, report, end. Executors turn its handle."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from nas.core.early_stopping import EarlyStopping
from nas.core.errors import ReplayMismatch
from nas.core.genotype import Genotype
from nas.core.space import SearchSpace, generator_for
from nas.core.strategy import Strategy
from nas.core.supernet import Supernet
from nas.core.trial import Measurement, Objective, Outcome, Portion, Proposal, Start, Trial, curve_of

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


class NoTime:
    """A limit that was reached already."""

    def reached(self) -> bool:
        """Always."""
        return True


class Search:
    """Owns the strategy and the record; three methods turn it.

    Args:
        trials: how many trials there shall be in all, those of earlier sessions included.
        history: the events of earlier sessions in their order; trials asked and never told are run again.
        max_failures: end once more trials than this have failed; None for no limit.
        early_stopping: asked after every epoch of a candidate whether to stop it; None for never.
        start: what a trial begins from; None for a search in which all begin from nothing.
        follow_up: of all trials begun, what is to be made of those that ended, once the strategy has no more to do;
            None where nothing is left, or nothing before another trial ends. The strategy neither sees nor counts it.
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
        early_stopping: EarlyStopping | None = None,
        start: Callable[[Trial], Start | None] | None = None,
        follow_up: Callable[[Sequence[Trial]], Proposal | None] | None = None,
        blame_kills: bool = True,
    ) -> None:
        self._space, self._strategy, self.objectives, self._record = space, strategy, objectives, record
        self._seed, self.trials, self._max_failures = seed, trials, max_failures
        self._limit, self._blame_kills = limit or TimeLimit(None), blame_kills
        self._early_stopping = early_stopping
        self._reasons: dict[int, str] = {}  # of running trials that are to be stopped
        self._start = start or (lambda trial: None)
        self._follow_up = follow_up or (lambda trials: None)
        self.ended: list[Trial] = []
        self.failures = 0
        self._running: dict[int, Trial] = {}  # those to be run again included
        self._again: deque[Trial] = deque()
        self._asked = self._followed = 0
        self._events = 0
        self._exhausted = False
        self._replay(history)

    def _replay(self, history: tuple[Event, ...]) -> None:
        for event in history:
            trial = event.trial
            if event.kind == "tell":
                self._again.remove(self._running.pop(trial.number))
                self._told(trial)
            elif trial.proposal.prune is not None:
                self._begun_before(replace(trial, measurements=(), outcome=None, losses=(), curve={}))
            else:
                proposal = self._strategy.ask(trial.number)
                if proposal is None or _asked(proposal) != _asked(trial.proposal):
                    raise ReplayMismatch(
                        f"trial {trial.number} was recorded as genotype {trial.genotype.id}, but the strategy "
                        f"now proposes {proposal.genotype.id if proposal else 'nothing'}: the code, the strategy's "
                        "options or the libraries have changed since; start a new run"
                    )
                self._begun_before(
                    replace(trial, proposal=proposal, measurements=(), outcome=None, losses=(), curve={})
                )
            self._events = event.number + 1

    def _begun_before(self, fresh: Trial) -> None:
        self._begin(fresh)
        self._again.append(fresh)

    def _begin(self, trial: Trial) -> None:
        self._running[trial.number] = trial
        if trial.proposal.prune is None:
            self._asked += 1
        else:
            self._followed += 1

    def next(self) -> Trial | None:
        """The next trial to evaluate; None to wait for one that runs, or for ever if none does."""
        while self._again:
            trial = self._again.popleft()
            killed = self._record.restarted(trial)
            if killed < _MOST_KILLS or not self._blame_kills:
                return replace(trial, start=self._start(trial))
            self.end(trial, Outcome("failed", f"the process was killed {killed} times while it was evaluated"))
        number = self._asked + self._followed
        proposal = self._proposed(number)
        if proposal is None:
            return None
        trial = Trial(number, proposal, seed=int(generator_for(self._seed, number, 1).integers(2**31)))
        self._record.asked(trial, self._events)
        self._events += 1
        self._begin(trial)
        return replace(trial, start=self._start(trial))

    def _proposed(self, number: int) -> Proposal | None:
        """The strategy's next proposal, and when it has no more and none of its trials runs, the next follow-up."""
        if self._too_many_failures:
            return None
        if not (self._exhausted or self._asked >= self.trials or self._limit.reached()):
            proposal = self._strategy.ask(number)
            if proposal is not None:
                self._space.validate(proposal.genotype)
                return proposal
            self._exhausted = not self._running
            if not self._exhausted:
                return None
        return self._next_follow_up()

    def _next_follow_up(self) -> Proposal | None:
        if any(trial.proposal.prune is None for trial in self._running.values()):
            return None
        return self._follow_up((*self.ended, *self._running.values()))

    def report(self, trial: Trial, measurement: Measurement) -> Decision:
        """Take notice of a measurement and say whether to go on with the trial."""
        running = self._running[trial.number]
        light = replace(measurement, artifacts={})  # the record has them; a search of thousands could not hold them
        curve = {**running.curve, **curve_of([light], self.objectives[0])}
        running = replace(running, measurements=(*running.measurements, light), curve=curve)
        self._running[trial.number] = running
        self._record.measured(running, measurement)
        if self._early_stopping is None or not _compared(running) or measurement.epoch not in curve:
            return "continue"
        if trial.number not in self._reasons:
            everyone = (*self.ended, *self._running.values())
            others = [other for other in everyone if other.number != trial.number and _compared(other)]
            reason = self._early_stopping.reason_to_stop(running, others)
            if reason is None:
                return "continue"
            self._reasons[trial.number] = reason
        return "stop"

    def again(self, trial: Trial, reason: str) -> None:
        """The trial, whose worker died, is evaluated again from its beginning: what was measured is forgotten."""
        self._running[trial.number] = replace(self._running[trial.number], measurements=(), curve={})
        self._reasons.pop(trial.number, None)
        self._record.retried(trial, reason)

    def end(self, trial: Trial, outcome: Outcome) -> Trial:
        """The trial is over: tell the strategy, and give the trial with all that is known of it.

        Of a trial that `report` said to stop the reason is that of the rule, whatever the outcome has.
        """
        running = self._running.pop(trial.number)
        reason = self._reasons.pop(trial.number, None)
        if outcome.kind == "stopped" and reason is not None:
            outcome = Outcome("stopped", reason)
        missing = [o.name for o in self.objectives if o.name not in running.metrics]
        if not outcome.failed and missing:
            outcome = Outcome("failed", f"the evaluator did not measure {missing[0]}")
        elif not outcome.failed and trial.proposal.supernet is not None:
            outcome = Outcome("supernet", outcome.reason)
        elif not outcome.failed and trial.proposal.shares is not None:
            outcome = Outcome("shared", outcome.reason)
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
        if trial.proposal.prune is None:
            self._strategy.tell(trial)
        self.ended.append(trial)
        self.failures += trial.outcome is not None and trial.outcome.failed

    @property
    def running(self) -> list[Trial]:
        """The trials that have begun and not ended, in any session."""
        return list(self._running.values())

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
        over = not self._running and (self._exhausted or self._asked >= self.trials)
        return over and self._next_follow_up() is None

    @property
    def only_first(self) -> bool:
        """Whether there are several objectives and the strategy looks at the first alone."""
        return len(self.objectives) > 1 and not self._strategy.multi_objective

    @property
    def best(self) -> Trial | None:
        """The trial that the strategy recommends; None before any has succeeded."""
        number = self._strategy.recommend()
        return next((trial for trial in self.ended if trial.number == number), None)


def _compared(trial: Trial) -> bool:
    """Whether its learning curve is that of a candidate's whole training."""
    proposal = trial.proposal
    others = proposal.supernet, proposal.portion, proposal.shares, proposal.prune
    return all(other is None for other in others)


def _asked(proposal: Proposal) -> tuple[Genotype, Supernet | None, Portion | None, int | None]:
    """What is evaluated, as opposed to where it comes from."""
    return proposal.genotype, proposal.supernet, proposal.portion, proposal.shares
