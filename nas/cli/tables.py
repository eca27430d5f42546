"""Tables on standard output, and the numbers in them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from nas.core.metric import format_value
from nas.core.pareto import most_spread

if TYPE_CHECKING:
    from nas.core.trial import Objective, Trial
    from nas.study.run import Run

_WIDEST = 10_000  # lines are not folded where the output is no terminal
SHOWN, FRONT_SHOWN = 5, 12
_COSTS = {
    "parameters": "parameters",
    "multiply_adds": "multiply-adds",
    "latency_ms": "latency ms",
    "unpruned_latency_ms": "unpruned ms",
    "seconds": "seconds",
    "peak_memory_mb": "memory MB",
}


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
    """The objectives of a trial that succeeded, in a line; a supernet does not have all of them."""
    measured = [objective.name for objective in objectives if objective.name in metrics]
    return ", ".join(f"{name} {format_value(metrics[name])}" for name in measured)


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
