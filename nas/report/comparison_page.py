"""Runs side by side on one page."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from markupsafe import Markup

from nas.report.charts import Band, Chart, Line, Mark, draw_chart
from nas.report.comparing import Comparison, RunResult, Steps, average_curves
from nas.report.page import render_page
from nas.report.words import format_number, format_seconds, name_metric

_COLOURS = 8
_PLACES = 160


def render_comparison(comparison: Comparison) -> str:
    """Render the page: curves with bands over seeds, the table, and every run."""
    charts = [("by trial", draw_curves(comparison, lambda one: one.by_trial, "trials that have ended"))]
    if all(one.seconds for group in comparison.groups for one in group.results):
        label = "seconds of training, of all trials so far added up"
        charts.append(("by training time", draw_curves(comparison, lambda one: one.by_seconds, label)))
    return render_page(
        "compare.html.jinja",
        comparison=comparison,
        metric=name_metric(comparison.objective),
        way="less" if comparison.direction == "minimize" else "more",
        charts=charts,
        kinds=list_groups(comparison),
        rows=comparison.list_rows(),
        said=comparison.describe(),
        runs=[
            (group.name, one.name, one.seed, *_format_run(one)) for group in comparison.groups for one in group.results
        ],
    )


def list_groups(comparison: Comparison) -> list[tuple[str, str]]:
    """The kinds of lines that a chart has, each with the group that it stands for."""
    return [(f"line {_colour(n)}", group.name) for n, group in enumerate(comparison.groups)]


def _colour(number: int) -> str:
    return f"c{number % _COLOURS + 1}"


def _format_run(one: RunResult) -> tuple[str, str, int, str]:
    test = "" if one.test is None else format_number(one.test)
    return format_number(one.validation), test, one.trials, "" if one.seconds is None else format_seconds(one.seconds)


def draw_curves(comparison: Comparison, steps: Callable[[RunResult], Steps], label: str) -> Markup:
    """Draw each group's best so far, with a band where it has several runs."""
    by_trial = label.startswith("trials")
    ends = [
        max(1.0, float(one.trials) if by_trial else one.seconds or 0.0) for g in comparison.groups for one in g.results
    ]
    last = max(ends)
    first = min(steps(one)[0][0] for group in comparison.groups for one in group.results)
    count = min(_PLACES, int(last)) if by_trial else _PLACES
    places = [first + (last - first) * n / max(1, count - 1) for n in range(count)]
    lines, bands, marks, said = [], [], [], []
    for number, group in enumerate(comparison.groups):
        own = sorted({round(place) for place in places}) if by_trial else places
        starts = [max(steps(one)[0][0] for one in group.results)]
        rows = average_curves(group, steps, sorted({*map(float, own), *starts}))
        lines.append(Line([(x, value) for x, value, _ in rows], _colour(number), step=True))
        spread = [(x, value - sd, value + sd) for x, value, sd in rows if sd is not None]
        low = min(value for _, value, _ in rows)
        if low > 0:  # a band below 0 says nothing of what cannot be there, and has no place on a logarithmic scale
            spread = [(x, max(lower, low / 3), upper) for x, lower, upper in spread]
        bands += [Band(_step(spread), _colour(number))] if spread else []
        x, value, sd = rows[-1]
        text = f"{group.name}: {format_number(value)}" + (f" ± {format_number(sd)}" if sd is not None else "")
        marks.append(Mark(x, value, _colour(number), text))
        said.append(text)
    text = (
        f"The best {comparison.objective} so far, mean and standard deviation over runs; at the end {'; '.join(said)}"
    )
    return draw_chart(Chart(text, label, f"{name_metric(comparison.objective)} (validation)", marks, lines, bands))


def _step(rows: Sequence[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """A band in steps, as the line within it: each width holds until the next place."""
    stepped = [rows[0]]
    for before, row in itertools.pairwise(rows):
        stepped += [(row[0], *before[1:]), row]
    return stepped
