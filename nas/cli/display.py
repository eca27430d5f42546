"""Progress and tables. Results go to standard output, everything else to standard error."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from nas.core.durations import parse_duration
from nas.core.genotype import Genotype
from nas.core.metric import format_value
from nas.core.pareto import most_spread, pareto_front
from nas.session.checkpoint import CHECKPOINT_FILE, TrainingProgress
from nas.session.evaluate import summarise
from nas.session.plan import expect_trials
from nas.study.remote.urls import describe_place, find_url

if TYPE_CHECKING:
    from nas.core.search import Search
    from nas.core.trial import Measurement as Measured
    from nas.core.trial import Objective, Trial
    from nas.study.run import Run

_WIDEST = 10_000  # lines are not folded where the output is no terminal
SHOWN, FRONT_SHOWN = 5, 12


class _TimeLeft(ProgressColumn):
    """How much time is left, as the lines say that are printed where there is no terminal."""

    max_refresh = 0.5

    def __init__(self, format_left: Callable[[int], str]) -> None:
        super().__init__()
        self._format_left = format_left

    def render(self, task: Task) -> Text:
        return Text(self._format_left(int(task.completed)) if task.completed else "")


class Display:
    """A bar on a terminal, plain lines elsewhere: trials done, the best so far, the time left.

    Of a training in full it is epochs that are counted.
    """

    def __init__(self, silent: bool) -> None:
        self.run: Run | None = None
        self._silent = silent
        self._console = Console(stderr=True, highlight=False)
        self._bar: Bar | None = None
        self._began = time.monotonic()
        self._earlier = 0
        self._limit: float | None = None

    def begin(self, run: Run, search: Search) -> None:
        """Say what is searched, or trained."""
        self.run, self._search = run, search
        self._training = run.config.genotype is not None
        self._total = run.parts.epochs if self._training else _expect_total(run, search)
        self._earlier = (
            TrainingProgress.read(run.path / CHECKPOINT_FILE).epoch if self._training else _count_asked(search.ended)
        )
        limit = None if self._training else run.config.time_limit
        self._limit = None if limit is None else parse_duration(limit)
        self._front = keep_front(search.ended)
        if not self._silent:
            self._announce(run, search)
        if not self._silent and self._console.is_terminal:
            self._bar = Bar(
                TextColumn("epochs" if self._training else "trials"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                _TimeLeft(self._format_left),
                console=self._console,
            )
            self._task = self._bar.add_task(self._format_best(), total=self._total, completed=self._earlier)
            self._bar.start()

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
        for note in data.notes:
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

    def show_measurement(self, trial: Trial, measurement: Measured) -> None:
        """Show an epoch of a training in full."""
        if self._silent:
            return
        found = format_values(measurement.metrics, self._search.objectives)
        if self._bar is not None:
            self._bar.update(self._task, completed=measurement.epoch, description=found)
        else:
            self._say(f"{measurement.epoch}/{self._total} {found}; {self._format_left(measurement.epoch)}")

    def _format_left(self, done: int) -> str:
        """What is left of the time limit; else how long the rest takes, if each takes as long as in this session."""
        if self._limit is not None:
            return f"{_format_seconds(max(0.0, self._limit - (time.monotonic() - self._began)))} left"
        each = (time.monotonic() - self._began) / max(1, done - self._earlier)
        return f"{_format_seconds(each * max(0, self._total - done))} left"

    def show_trial(self, trial: Trial) -> None:
        """Show a trial that has ended."""
        self._front = keep_front([*self._front, trial])
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
        if not trial.job.counted:
            self._say(f"trial {trial.number}, {trial.proposal.origin}, {trial.outcome.kind}: {result}")
            return
        self._say(
            f"{done}/{max(done, self._total)} trial {trial.number} {trial.outcome.kind}: {result}; "
            f"{self._format_best()}; {self._format_left(done)}"
        )

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


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


def make_console(*, stderr: bool = False) -> Console:
    """Standard output, or standard error; not folded where it is no terminal."""
    made = Console(highlight=False, stderr=stderr)
    return made if made.is_terminal else Console(highlight=False, stderr=stderr, width=_WIDEST)


def make_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table whose cells are shown as they are; numbers to the right."""
    made = Table(box=box.SIMPLE)
    for index, column in enumerate(columns):
        numeric = all(isinstance(row[index], (int, float)) or row[index] in ("", "-") for row in rows)
        made.add_column(Text(column), justify="right" if numeric else "left", no_wrap=numeric)
    for row in rows:
        made.add_row(*(Text(format_number(cell) if isinstance(cell, float) else str(cell)) for cell in row))
    return made


def format_number(value: float) -> str:
    """A number in five figures; large whole ones with separators."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.5g}"


def format_values(metrics: Mapping[str, float], objectives: Sequence[Objective]) -> str:
    """The objectives of a trial that succeeded, in a line."""
    return ", ".join(f"{objective.name} {format_value(metrics[objective.name])}" for objective in objectives)


def choose_rows(run: Run) -> list[Trial]:
    """The trials that a table shows: the five best, or of several objectives the front, thinned where it is long."""
    if len(run.objectives) == 1:
        return run.contenders()[:SHOWN]
    front = run.front()
    return [front[index] for index in most_spread([trial.losses for trial in front], FRONT_SHOWN)]


def describe_front(run: Run, shown: int) -> str:
    """What the table of a front shows, and how to have it all."""
    front = len(run.front())
    some = f"; {shown} of them are shown" if shown < front else ""
    command = f"nas export {shlex.quote(str(run.path))} --front"
    return f"the front: no trial betters one of these {front} without being worse in an objective{some}; {command}"


def make_best_table(run: Run, trials: Sequence[Trial], out: Console) -> Table:
    """One row a trial: its objectives, other metrics and what it costs; as many columns as there is room for."""
    objectives = [objective.name for objective in run.objectives]
    quality = [name for name in trials[0].metrics if name not in _COSTS]
    quality = [name for name in quality if all(name in trial.metrics for trial in trials)]
    costs = [name for name in _COSTS if any(name in trial.metrics for trial in trials)]
    shown = [*objectives, *(name for name in (*quality, *costs) if name not in objectives)]
    anywhere = out.options.update(max_width=_WIDEST)
    while True:
        columns = ["trial", *(_COSTS.get(name, name) for name in shown)]
        rows = [[trial.number, *(trial.metrics.get(name, "-") for name in shown)] for trial in trials]
        made = make_table(columns, rows)
        if len(shown) == len(objectives) or Measurement.get(out, anywhere, made).maximum <= out.width:
            return made
        shown.pop()


def make_supernet_table(trials: Sequence[Trial], objective: str) -> Table:
    """One row a supernet: how far it was trained, and what its alphas were then."""
    names = [objective, "skips", "entropy", "seconds"]
    rows = [[t.number, len(t.measurements), *(t.metrics.get(name, "-") for name in names)] for t in trials]
    return make_table(["supernet", "epochs", f"{objective} of the supernet", *names[1:]], rows)


def make_evaluation_table(metrics: Mapping[str, float], uses: Mapping[str, Sequence[str]]) -> Table:
    """One row a use of a model, with the numbers that tell of it."""
    rows = [[use, ", ".join(f"{name} {metrics[name]:.4g}" for name in names)] for use, names in uses.items()]
    return make_table(["use", "on the test part"], rows)


_COSTS = {
    "parameters": "parameters",
    "multiply_adds": "multiply-adds",
    "latency_ms": "latency ms",
    "unpruned_latency_ms": "unpruned ms",
    "seconds": "seconds",
    "peak_memory_mb": "memory MB",
}


def print_summary(run: Run) -> None:
    """The five best or the front, what they are, and where the best lies."""
    out = make_console()
    shown = choose_rows(run)
    counts = run.counts()
    out.print(make_best_table(run, shown, out))
    if len(run.objectives) > 1:
        out.print(Text(describe_front(run, len(shown)) + "\n"), soft_wrap=True)
    for trial in shown:
        out.print(Text(f"trial {trial.number}: {run.candidate(trial.number).description}"))
    tested = ", ".join(f"{name} {value:.5g}" for name, value in run.tested.items())
    supernets = counts.get("supernets", 0)
    trained = f", {supernets} supernet{'s' if supernets > 1 else ''} trained" if supernets else ""
    promotions = counts.get("promotions", 0)
    trained += f", {promotions} promotion{'s' if promotions > 1 else ''}" if promotions else ""
    finals = counts.get("finals", 0)
    trained += f", {finals} part{'s' if finals > 1 else ''} of finals trained" if finals else ""
    versions = counts.get("pruned_versions", 0)
    trained += f", {versions} pruned version{'s' if versions > 1 else ''} made" if versions else ""
    ended = f"{counts['complete']} complete, {counts['stopped']} stopped early, {counts['failed']} failed"
    ended += f", {counts['refused']} over the limits and not trained" if "refused" in counts else ""
    out.print(Text(f"\n{ended}{trained}"))
    if counts["stopped"]:
        out.print(Text(describe_epochs(run)))
    if whole := count_whole(run):
        out.print(Text(f"not grown, as none of their blocks can be left out: {whole}"))
    if tested:
        out.print(Text(f"the best, trial {run.best.number}, on the test part: {tested}"))
    for sentence in (*run.describe_comparison(), *summarise(run)):
        out.print(Text(sentence), soft_wrap=True)
    if (url := find_url(run.path)) is not None:
        out.print(Text(f"the run is at {url}; its copy here:"), soft_wrap=True)
    # soft: the terminal folds these itself, so that paths and commands can be copied
    out.print(Text(f"look at it: {run.path / 'report.html'}"), soft_wrap=True)
    out.print(Text(f"in the dashboard: {make_dashboard_command(run)}"), soft_wrap=True)
    if run.model_folder is not None:
        out.print(Text("the best model, with its weights; python model.py there runs it:"))


def count_whole(run: Run) -> str:
    """How many of the candidates that should grow could not, in words; nothing if all could."""
    grown = [trial for trial in run.trials if trial.outcome is not None and trial.outcome.scored and trial.job.counted]
    whole = sum(trial.metrics.get("stages") == 1 for trial in grown) if run.config.grow else 0
    return f"{whole} of {len(grown)} candidates" if whole else ""


def describe_epochs(run: Run) -> str:
    """What early stopping saved."""
    stopped = run.counts()["stopped"]
    trials = "1 trial" if stopped == 1 else f"{stopped} trials"
    return f"epochs: {run.epochs_run} of {run.epochs_asked}, {trials} stopped early"


def make_dashboard_command(run: Run) -> str:
    """Make the command that opens the run in Optuna's dashboard."""
    return f"nas dashboard {shlex.quote(describe_place(run.path))}"
