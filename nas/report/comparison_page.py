"""Runs side by side on one page, and what a terminal says of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from statistics import mean, stdev

from markupsafe import Markup

from nas.report.charts import Band, Chart, Line, Mark, draw_chart
from nas.report.comparing import Comparison, RunResult, Steps, average_curves
from nas.report.page import render_page
from nas.report.significance import LEVEL
from nas.report.words import count_of, format_number, format_seconds, name_metric

_COLOURS = 8
_PLACES = 160


def render_comparison(comparison: Comparison) -> str:
    """Render the page: curves with bands over seeds, the table, and every run."""
    charts = [("by trial", _draw_curves(comparison, lambda one: one.by_trial, "trials that have ended"))]
    if all(one.seconds for group in comparison.groups for one in group.results):
        label = "seconds of training, of all trials so far added up"
        charts.append(("by training time", _draw_curves(comparison, lambda one: one.by_seconds, label)))
    return render_page(
        "compare.html.jinja",
        comparison=comparison,
        metric=name_metric(comparison.objective),
        way="less" if comparison.direction == "minimize" else "more",
        charts=charts,
        kinds=[(f"line {_colour(n)}", group.name) for n, group in enumerate(comparison.groups)],
        rows=list_rows(comparison),
        said=describe_comparison(comparison),
        runs=[
            (group.name, one.name, one.seed, *_format_run(one)) for group in comparison.groups for one in group.results
        ],
    )


def _colour(number: int) -> str:
    return f"c{number % _COLOURS + 1}"


def _format_run(one: RunResult) -> tuple[str, str, int, str]:
    test = "" if one.test is None else format_number(one.test)
    return format_number(one.validation), test, one.trials, "" if one.seconds is None else format_seconds(one.seconds)


def _draw_curves(comparison: Comparison, steps: Callable[[RunResult], Steps], label: str) -> Markup:
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


def list_rows(comparison: Comparison) -> list[dict[str, str]]:
    """The rows of the table: a group's runs, scores with their spread, effort, and what the test says of it."""
    rows = []
    for number, group in enumerate(comparison.groups):
        seconds = [one.seconds for one in group.results if one.seconds is not None]
        row = {
            "group": group.name,
            "runs": str(len(group.results)),
            "validation": _format_scores([score for _, score in group.scores("validation")]),
            "test": _format_scores([score for _, score in group.scores("test")]) if comparison.part == "test" else "",
            "trials": f"{mean(one.trials for one in group.results):.4g}",
            "training": format_seconds(mean(seconds)) if seconds else "",
            "difference": "" if number == 0 else _say_p(comparison, number - 1),
        }
        rows.append(row)
    return rows


def _format_scores(scores: Sequence[float]) -> str:
    spread = f" ± {format_number(stdev(scores))}" if len(scores) > 1 else ""
    return f"{format_number(mean(scores))}{spread}"


def _say_p(comparison: Comparison, number: int) -> str:
    p = comparison.differences[number].p
    if p is None:
        return "too few seeds to say"
    return f"p = {p:.2g}{'' if p < LEVEL else ', may be luck'}"


def describe_comparison(comparison: Comparison) -> list[str]:
    """Say in sentences what was compared, how, and what came of it."""
    part, metric, first = comparison.part, name_metric(comparison.objective), comparison.groups[0]
    if len(comparison.groups) == 1:
        runs = count_of(len(first.results), "run")
        return [f"All {runs} are one group, {first.name}: there is nothing to compare it with."]
    told = [d.p is not None and d.p < LEVEL for d in comparison.differences]
    others = [group.name for group, clear in zip(comparison.groups[1:], told, strict=True) if clear]
    sentences = [f"{first.name} has the best mean {metric} on the {part} part."]
    if others:
        sentences.append(f"The difference from {' and '.join(others)} is more than luck (p < {LEVEL:g}).")
    tests = sorted({d.test for d in comparison.differences if d.test})
    if tests:
        many = len([d for d in comparison.differences if d.test]) > 1
        adjusted = ", adjusted for several comparisons (Holm)" if many else ""
        sentences.append(f"p is that of {' and '.join(tests)}, two-sided{adjusted}, on the {part} part.")
    pairs = zip(comparison.groups[1:], comparison.differences, strict=True)
    sentences += [f"{group.name}: {difference.why_not}." for group, difference in pairs if difference.why_not]
    return sentences
