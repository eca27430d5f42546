"""The search as a state machine that executors drive: next trial, report, end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from nas.core.early_stopping import EarlyStopping
from nas.core.errors import ReplayMismatch
from nas.core.job import Train, is_told
from nas.core.record import Event, Record
from nas.core.space import SearchSpace, generator_for
from nas.core.strategy import Strategy
from nas.core.trial import Measurement, Objective, Outcome, Proposal, Start, Trial, curve_of

Decision = Literal["continue", "stop"]
_MOST_REFUSED = 200  # proposals in a row: then there is hardly anything within the user's limits
_MOST_KILLS = 3  # a candidate that takes its process with it, out of memory, must not do so for ever


@dataclass(frozen=True)
class Limits:
    """When a search begins no further trial.

    Attributes:
        trials: how many trials there shall be in all, those of earlier sessions included.
        failures: the search ends once more trials than this have failed; None for no limit.
        over: asked before every trial whether the search is over, as its time is.
    """

    trials: int
    failures: int | None = None
    over: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Hooks:
    """What a session does within a search.

    Attributes:
        early_stopping: asked after every epoch of a candidate whether to stop it; None for never.
        refuse: says why a candidate is not to be trained, as it breaks a limit of the user's; None where it keeps them.
            What is refused is told to the strategy as worthless, and does not count.
        start: gives what a trial begins from, or None for nothing.
        promote: gives the next part of the training of a candidate that has come to a rung of successive halving; None
            where none is to go on now. It is asked before the strategy, which is told how that ended.
        follow_up: gives what is to be made of trials that have ended, once the strategy has no more to do; None where
            nothing is left, or nothing before another trial ends. The strategy neither sees nor counts it.
        start_clock: called once the first trial is evaluated, by executors that say so; see Executor.announces_start.
        blame_kills: whether a candidate that ran in several sessions that were killed is taken to have killed them;
            not where candidates run in processes of their own.
    """

    early_stopping: EarlyStopping | None = None
    refuse: Callable[[Trial], str | None] = lambda trial: None
    start: Callable[[Trial, Search], Start | None] = lambda trial, search: None
    promote: Callable[[Search], Proposal | None] = lambda search: None
    follow_up: Callable[[Search], Proposal | None] = lambda search: None
    start_clock: Callable[[], None] = lambda: None
    blame_kills: bool = True


class Search:
    """Owns the strategy and the record; `next`, `report` and `end` turn it.

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
        limits: Limits,
        hooks: Hooks | None = None,
    ) -> None:
        self._space, self._strategy, self.objectives, self._record = space, strategy, objectives, record
        self._seed, self.limits, self._hooks = seed, limits, hooks or Hooks()
        self._reasons: dict[int, str] = {}  # of running trials that are to be stopped
        self.ended: list[Trial] = []
        self.failures = 0
        self._running: dict[int, Trial] = {}  # those to be run again included
        self._interrupted: deque[Trial] = deque()  # by the end of an earlier session
        self._asked = self._followed = self._refused = 0
        self._events = 0
        self._exhausted = False
        self._replay(record.history())

    def _replay(self, history: Sequence[Event]) -> None:
        for event in history:
            trial = event.trial
            if event.kind == "tell":
                self._interrupted.remove(self._running.pop(trial.number))
                self._tell(trial)
            else:
                fresh = replace(trial, measurements=(), outcome=None, losses=(), curve={})
                if trial.job.counted:
                    fresh = replace(fresh, proposal=self._ask_again(trial))
                self._begin(fresh)
                self._interrupted.append(fresh)
            self._events = event.number + 1

    def _ask_again(self, trial: Trial) -> Proposal:
        proposal, recorded = self._strategy.ask(trial.number), trial.proposal
        if proposal is None or (proposal.genotype, proposal.job) != (recorded.genotype, recorded.job):
            raise ReplayMismatch(
                f"trial {trial.number} was recorded as genotype {trial.genotype.id}, but the strategy "
                f"now proposes {proposal.genotype.id if proposal else 'nothing'}: the code, the strategy's "
                "options or the libraries have changed since; start a new run"
            )
        return proposal

    def _begin(self, trial: Trial) -> None:
        self._running[trial.number] = trial
        if trial.job.counted:
            self._asked += 1
        else:
            self._followed += 1

    def next(self) -> Trial | None:
        """The next trial to evaluate; None to wait for one that runs, or for ever if none does."""
        while self._interrupted:
            trial = self._interrupted.popleft()
            if self._refuse(trial):
                continue
            kills = self._record.record_restart(trial)
            if kills < _MOST_KILLS or not self._hooks.blame_kills:
                return replace(trial, start=self._hooks.start(trial, self))
            self.end(trial, Outcome("failed", f"the process was killed {kills} times while it was evaluated"))
        for _ in range(_MOST_REFUSED):
            number = self._asked + self._followed
            proposal = self._propose(number)
            if proposal is None:
                return None
            trial = Trial(number, proposal, seed=int(generator_for(self._seed, number, 1).integers(2**31)))
            self._record.record_ask(trial, self._events)
            self._events += 1
            self._begin(trial)
            if not self._refuse(trial):
                return replace(trial, start=self._hooks.start(trial, self))
        self._exhausted = True
        return self.next()

    def _refuse(self, trial: Trial) -> bool:
        """End a candidate that breaks a limit of the user's, and say whether it does."""
        reason = self._hooks.refuse(trial) if trial.job.counted else None
        if reason is not None:
            self.end(trial, Outcome("refused", reason))
        return reason is not None

    def _propose(self, number: int) -> Proposal | None:
        """What is promoted, else the strategy's next proposal, and when none of its trials runs, a follow-up."""
        if self.limits.failures is not None and self.failures > self.limits.failures:
            return None
        if not self.limits.over():
            promoted = self._hooks.promote(self)
            if promoted is not None:
                return promoted
            if not self.closed:
                proposal = self._strategy.ask(number)
                if proposal is not None:
                    self._space.validate(proposal.genotype)
                    return proposal
                self._exhausted = not self._running
                return self._propose(number) if self._exhausted else None
        return self._follow_up()

    def _follow_up(self) -> Proposal | None:
        if any(is_told(trial.job) for trial in self._running.values()):
            return None
        return self._hooks.follow_up(self)

    def report(self, trial: Trial, measurement: Measurement) -> Decision:
        """Take notice of a measurement and say whether to go on with the trial."""
        running = self._running[trial.number]
        light = replace(measurement, artifacts={})  # the record has them; a search of thousands could not hold them
        curve = {**running.curve, **curve_of([light], self.objectives[0])}
        running = replace(running, measurements=(*running.measurements, light), curve=curve)
        self._running[trial.number] = running
        self._record.record_measurement(running, measurement)
        rule = self._hooks.early_stopping
        if rule is None or not isinstance(running.job, Train) or measurement.epoch not in curve:
            return "continue"
        if trial.number not in self._reasons:
            # only the learning curve of a candidate's whole training can be compared
            others = [one for one in self.begun if one.number != trial.number and isinstance(one.job, Train)]
            reason = rule.reason_to_stop(running, others)
            if reason is None:
                return "continue"
            self._reasons[trial.number] = reason
        return "stop"

    def start_clock(self) -> None:
        """Say that the first trial is evaluated now: what an executor took to start is no part of exploring."""
        self._hooks.start_clock()

    def retry(self, trial: Trial, reason: str) -> None:
        """Let a trial whose worker died be evaluated again from its beginning: what was measured is forgotten."""
        self._running[trial.number] = replace(self._running[trial.number], measurements=(), curve={})
        self._reasons.pop(trial.number, None)
        self._record.record_retry(trial, reason)

    def end(self, trial: Trial, outcome: Outcome) -> Trial:
        """Tell the strategy that a trial is over, and return the trial with all that is known of it.

        The outcome of a trial that `report` said to stop gets its reason from the rule of early stopping.
        """
        running = self._running.pop(trial.number)
        reason = self._reasons.pop(trial.number, None)
        if outcome.kind == "stopped" and reason is not None:
            outcome = Outcome("stopped", reason)
        needed = () if trial.job.completion == "supernet" else self.objectives  # it is no candidate, and has no rank
        missing = [objective.name for objective in needed if objective.name not in running.metrics]
        trained = not outcome.failed and outcome.kind != "refused"
        if trained and missing:
            outcome = Outcome("failed", f"the evaluator did not measure {missing[0]}")
        elif trained and trial.job.completion != "complete":
            outcome = Outcome(trial.job.completion, outcome.reason)
        if outcome.scored:
            losses = tuple(objective.loss(running.metrics[objective.name]) for objective in self.objectives)
        else:
            losses = tuple(float("inf") for _ in self.objectives)
        ended = replace(running, outcome=outcome, losses=losses)
        self._record.record_tell(ended, self._events)
        self._events += 1
        self._tell(ended)
        return ended

    def _tell(self, trial: Trial) -> None:
        if is_told(trial.job):
            self._strategy.tell(trial)
        self.ended.append(trial)
        self.failures += trial.outcome is not None and trial.outcome.failed
        self._refused += trial.refused

    @property
    def running(self) -> list[Trial]:
        """The trials that have begun and not ended, in any session."""
        return list(self._running.values())

    @property
    def begun(self) -> list[Trial]:
        """All trials so far, those that have ended first."""
        return [*self.ended, *self._running.values()]

    @property
    def closed(self) -> bool:
        """Whether no further candidate begins."""
        return self._exhausted or self._asked - self._refused >= self.limits.trials

    @property
    def exhausted(self) -> bool:
        """Whether the strategy has nothing left to propose."""
        return self._exhausted

    @property
    def finished(self) -> bool:
        """Whether no trial runs, and neither the strategy nor a follow-up can begin another."""
        over = not self._running and self.closed and self._hooks.promote(self) is None
        return over and self._follow_up() is None

    @property
    def only_first(self) -> bool:
        """Whether there are several objectives and the strategy looks at the first alone."""
        return len(self.objectives) > 1 and not self._strategy.multi_objective

    @property
    def best(self) -> Trial | None:
        """The trial that the strategy recommends; None before any has succeeded."""
        number = self._strategy.recommend()
        return next((trial for trial in self.ended if trial.number == number), None)
