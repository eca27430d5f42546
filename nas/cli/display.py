"""How a run goes on, on standard error: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from nas.cli.tables import format_values
from nas.core.genotype import Genotype
from nas.core.job import TrainFinalist
from nas.core.pareto import pareto_front
from nas.session.checkpoint import CHECKPOINT_FILE, TrainingProgress
from nas.session.plan import expect_trials
from nas.session.time_left import TimeLeft
from nas.study.remote.urls import describe_place

if TYPE_CHECKING:
    from nas.core.search import Search
    from nas.core.trial import Measurement as Measured
    from nas.core.trial import Trial
    from nas.study.run import Run

_SELDOM = 1.0  # seconds between two lines of a training in full, where there is no bar


class _Told(ProgressColumn):
    """A column whose text is asked for whenever the bar is drawn."""

    def __init__(self, tell: Callable[[], str]) -> None:
        super().__init__()
        self._tell = tell

    def render(self, task: Task) -> Text:
        return Text(self._tell())


class Display:
    """A bar on a terminal, plain lines elsewhere: trials done, the best so far, the time left.

    Of a training in full it is epochs that are counted.

    Args:
        began: when a time limit began, by `time.monotonic`; None where it begins with the run.
    """

    def __init__(self, silent: bool, began: float | None = None) -> None:
        self.run: Run | None = None
        self._silent = silent
        self._console = Console(stderr=True, highlight=False)
        self._bar: Bar | None = None
        self._began = began
        self._left: TimeLeft | _EpochsLeft

    def begin(self, run: Run, search: Search) -> None:
        """Say what is searched, or trained."""
        self.run, self._search = run, search
        self._training = run.config.genotype is not None
        if self._training:
            self._total = run.parts.epochs
            done = TrainingProgress.read(run.path / CHECKPOINT_FILE).epoch
            self._left, self._earlier = _EpochsLeft(done, self._total), done
        else:
            self._total, done = _expect_total(run, search), _count_asked(search.ended)
            began = time.monotonic() if self._began is None else self._began
            self._left = TimeLeft(run, search, self._total, began=began)
        self._front = keep_front(search.ended)
        if not self._silent:
            self._announce(run, search)
        if not self._silent and self._console.is_terminal:
            shown_from = time.monotonic() if self._began is None else self._began
            self._bar = Bar(
                _Told(self._name_unit),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.description}"),
                _Told(lambda: _format_seconds(time.monotonic() - shown_from)),
                _Told(self._format_left),
                console=self._console,
            )
            self._task = self._bar.add_task(self._format_best(), total=self._total, completed=done)
            self._bar.start()

    def _name_unit(self) -> str:
        if self._training:
            return "epochs"
        return "finals" if any(isinstance(one.job, TrainFinalist) for one in self._search.running) else "trials"

    def _announce(self, run: Run, search: Search) -> None:
        data, config = run.parts.data, run.config
        shape = " x ".join(str(side) for side in data.shape)
        lower = " in bf16" if run.config.precision == "bf16" else ""
        what, a_trial = ("training", "") if self._training else (config.strategy, " a trial")
        self._say(
            f"{what} on {config.space}, {run.data_name}: {data.domains[0].kind}s of {shape}, {data.counts}; "
            f"{config.effort}{a_trial} on {run.parts.device}{lower}; run {describe_place(run.path)}"
        )
        finalists = config.finalists
        if finalists and not self._training:
            best = "the best" if finalists == 1 else f"the best {finalists}"
            share = f"{config.final_share or 0:.0%} of the time"
            if config.candidate_time and config.time_limit:
                count = f"about {expect_trials(config)} candidates of {config.candidate_time} at most"
                self._say(f"in {config.time_limit}: {count}, the finals, the test and the export")
            finals = f"then the finals: {best} and the usual genotype are trained in full"
            self._say(f"{finals}, for {share} (--finalists 0 for none)")
        if search.only_first:
            first = search.objectives[0].name
            self._say(f"{config.strategy} looks at the first objective alone, {first}; the front of all is reported")
        if config.early_stopping not in (None, "none"):
            first = search.objectives[0].name
            self._say(
                f"early stopping by {config.early_stopping}, on {first} (--early-stopping none trains all in full)"
            )
        if config.promotion != "none":
            self._say(f"{config.promotion} trains the best further, rung by rung (--promotion none trains all alike)")
        for note in (*data.notes, *filter(None, [run.describe_latency()])):
            self._say(note)
        if config.known:
            self._say(f"{config.known} results of an earlier run count: {next(iter(config.first))} is the first")
        elif config.first:
            self._say(f"after the usual genotype come {len(config.first)} of an earlier run: {', '.join(config.first)}")
        source = run.study.notes.get("from")
        if self._training:
            genotype = Genotype(config.genotype or "")
            self._say(f"the architecture of {source}: {run.parts.space.describe(genotype, data.shape)}")
            if self._earlier:
                self._say(f"it goes on after epoch {self._earlier}")
        elif source is not None:
            space: Any = run.parts.space
            free = [site for site, choice in space.choices().items() if len(choice.values) > 1]
            self._say(f"the architecture is {source}'s; searched are {', '.join(free) or 'no decisions at all'}")
        for assumption in run.parts.assumptions:
            values = ", ".join(str(value) for value in assumption.values)
            self._say(f"{assumption.site} = {values}: {assumption.reason} (--restrict {assumption.site}=... overrides)")

    def _say(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=not self._console.is_terminal)

    def _format_best(self) -> str:
        best = self._search.best
        if best is None:
            return "no result yet"
        first, *others = self._search.objectives
        front = f", front of {len(self._front)}" if others else ""
        return f"best {format_values(best.metrics, [first])} (trial {best.number}){front}"

    def _format_left(self) -> str:
        """How long the rest will take, if that can be told yet."""
        seconds = self._left.estimate()
        if seconds is None:
            return "time left unknown"
        over = self._search.closed and not self._search.running
        if seconds == 0 and over and self._bar is not None:
            return "the test and the export"
        with_finals = ", finals included" if isinstance(self._left, TimeLeft) and self._left.finals else ""
        return f"{_format_seconds(seconds)} left{with_finals}"

    def show_measurement(self, trial: Trial, measurement: Measured) -> None:
        """Show an epoch of a training in full."""
        assert isinstance(self._left, _EpochsLeft)
        self._left.add(measurement.epoch)
        if self._silent:
            return
        found = format_values(measurement.metrics, self._search.objectives)
        if self._bar is not None:
            self._bar.update(self._task, completed=measurement.epoch, description=found)
        elif measurement.epoch == self._total or self._left.is_worth_a_line():
            self._say(f"{measurement.epoch}/{self._total} {found}; {self._format_left()}")

    def show_trial(self, trial: Trial) -> None:
        """Show a trial that has ended: on a terminal in the bar, elsewhere in a line."""
        self._front = keep_front([*self._front, trial])
        if isinstance(self._left, TimeLeft):
            self._left.add(trial)
        if self._silent or self._training:
            return
        assert trial.outcome is not None
        if trial.outcome.failed and self._bar is not None:
            self._bar.console.print(Text(f"trial {trial.number} {trial.outcome.kind}: {trial.outcome.reason}"))
        if self._bar is not None:
            self._bar.update(self._task, advance=trial.counted, description=self._format_best())
            return
        result = trial.outcome.reason or format_values(trial.metrics, self._search.objectives)
        if trial.outcome.kind == "supernet":
            result += " of the supernet"
        done = _count_asked(self._search.ended)
        if trial.job.counted:
            count, what = f"{done}/{max(done, self._total)} ", self._format_best()
        else:
            count, what = "", trial.proposal.origin
        self._say(f"{count}trial {trial.number} {trial.outcome.kind}: {result}; {what}; {self._format_left()}")

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class _EpochsLeft:
    """Estimates how many seconds the epochs of a training take that are left: as long each as those of this session."""

    def __init__(self, done: int, total: int) -> None:
        self._first, self._done, self._total = done, done, total
        self._began = self._last = time.monotonic()
        self._shown = float("-inf")

    def add(self, epoch: int) -> None:
        """Take notice of an epoch that has ended just now."""
        self._done, self._last = epoch, time.monotonic()

    def estimate(self) -> float | None:
        """How many seconds are left; None before the first epoch has ended."""
        if self._done == self._first:
            return None
        each = (self._last - self._began) / (self._done - self._first)
        return max(0.0, each * (self._total - self._done) - (time.monotonic() - self._last))

    def is_worth_a_line(self) -> bool:
        """Whether the last line is some time ago; then this one is the last."""
        if self._last - self._shown < _SELDOM:
            return False
        self._shown = self._last
        return True


def _expect_total(run: Run, search: Search) -> int:
    """How many candidates there will be, as far as can be told: where they have a time, only so many fit."""
    trials, config = search.limits.trials, run.config
    return trials if config.candidate_time is None else max(_count_asked(search.begun), expect_trials(config))


def _count_asked(trials: Sequence[Trial]) -> int:
    """Count the trials that the strategy asked for."""
    return sum(trial.counted for trial in trials)


def keep_front(trials: Sequence[Trial]) -> list[Trial]:
    """Keep the trials that no other dominates; trials that were stopped early are on no front."""
    whole = [trial for trial in trials if not trial.provisional]
    return [whole[index] for index in pareto_front([trial.losses for trial in whole])]


def _format_seconds(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
