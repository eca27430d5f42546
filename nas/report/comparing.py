"""Runs side by side: which may be compared, how they are grouped, what each group came to, and when."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import mean, stdev
from typing import Any

from nas.config import OPTIONS, RunConfig
from nas.core.errors import UserError, unknown_name
from nas.core.job import TrainSupernet
from nas.report.facts import Facts
from nas.report.significance import LEVEL, Difference, adjust_for_many, measure_difference
from nas.report.words import count_of, format_number, format_seconds, name_metric
from nas.study.run import Run

_NOT_THE_SAME_SEARCH = {"seed", "test_seed", "name", "runs_dir", "proposals", "device", "max_failures"}
_SUMMARY = ("space", "strategy")

Steps = list[tuple[float, float]]
"""Where the best so far became better, and what it was then."""


@dataclass(frozen=True)
class RunResult:
    """What one run came to.

    Attributes:
        validation: the best's score there.
        test: the best's score on the test part; None where it was not measured.
        trials, seconds: spent; seconds are of training, None where they were not measured.
        by_trial, by_seconds: the best so far.
    """

    name: str
    seed: int
    validation: float
    test: float | None
    trials: int
    seconds: float | None
    by_trial: Steps = field(repr=False)
    by_seconds: Steps = field(repr=False)


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seeds, or that the user wants to see as one."""

    name: str
    results: tuple[RunResult, ...]

    def scores(self, part: str) -> list[tuple[int, float]]:
        """Seed and score of every run on a part of the data."""
        return [(one.seed, one.validation if part == "validation" else one.test or 0.0) for one in self.results]


@dataclass(frozen=True)
class Comparison:
    """Groups of runs compared.

    Attributes:
        part: of the data, on which the scores are that are compared: test where all runs have been tested.
        groups: the best mean first.
        differences: of each other group from the first; p values are adjusted where there are several.
    """

    objective: str
    direction: str
    part: str
    groups: tuple[Group, ...]
    differences: tuple[Difference, ...]

    def _repr_html_(self) -> str:
        """What a notebook shows of it."""
        from nas.report.notebook import draw_comparison

        return draw_comparison(self)

    def list_rows(self) -> list[dict[str, str]]:
        """The rows of a table: a group's runs, scores with their spread, effort, and what the test says of it."""
        rows = []
        for number, group in enumerate(self.groups):
            seconds = [one.seconds for one in group.results if one.seconds is not None]
            tested = [score for _, score in group.scores("test")] if self.part == "test" else []
            row = {
                "group": group.name,
                "runs": str(len(group.results)),
                "validation": _format_scores([score for _, score in group.scores("validation")]),
                "test": _format_scores(tested) if tested else "",
                "trials": f"{mean(one.trials for one in group.results):.4g}",
                "training": format_seconds(mean(seconds)) if seconds else "",
                "difference": "" if number == 0 else _say_p(self.differences[number - 1].p),
            }
            rows.append(row)
        return rows

    def describe(self) -> list[str]:
        """Say in sentences what was compared, how, and what came of it."""
        metric, first = name_metric(self.objective), self.groups[0]
        if len(self.groups) == 1:
            runs = count_of(len(first.results), "run")
            return [f"All {runs} are one group, {first.name}: there is nothing to compare it with."]
        told = [d.p is not None and d.p < LEVEL for d in self.differences]
        others = [group.name for group, clear in zip(self.groups[1:], told, strict=True) if clear]
        sentences = [f"{first.name} has the best mean {metric} on the {self.part} part."]
        if others:
            sentences.append(f"The difference from {' and '.join(others)} is more than luck (p < {LEVEL:g}).")
        tests = sorted({d.test for d in self.differences if d.test})
        if tests:
            many = len([d for d in self.differences if d.test]) > 1
            adjusted = ", adjusted for several comparisons (Holm)" if many else ""
            sentences.append(f"p is that of {' and '.join(tests)}, two-sided{adjusted}, on the {self.part} part.")
        pairs = zip(self.groups[1:], self.differences, strict=True)
        sentences += [f"{group.name}: {difference.why_not}." for group, difference in pairs if difference.why_not]
        return sentences


def _format_scores(scores: Sequence[float]) -> str:
    spread = f" ± {format_number(stdev(scores))}" if len(scores) > 1 else ""
    return f"{format_number(mean(scores))}{spread}"


def _say_p(p: float | None) -> str:
    if p is None:
        return "too few seeds to say"
    return f"p = {p:.2g}{'' if p < LEVEL else ', may be luck'}"


def compare_runs(runs: Sequence[Run], group: str | None = None) -> Comparison:
    """Compare runs, grouped by an option's value; by default those that differ in nothing but their seeds are a group.

    Raises:
        UserError: it is one alone, they are of other data or objectives, one has no result, or there is no such option.
    """
    if len(runs) < 2:
        given = runs[0].path.name if runs else "none"
        raise UserError("RUN", given, "two runs or more", why="is one run alone" if runs else "")
    check_comparable(runs)
    objective = runs[0].objective
    groups = [
        Group(name, tuple(_read_result(run) for run in members)) for name, members in group_runs(runs, group).items()
    ]
    part = "test" if all(one.test is not None for own in groups for one in own.results) else "validation"
    groups.sort(key=lambda own: objective.loss(mean(score for _, score in own.scores(part))))
    found = [measure_difference(groups[0].scores(part), other.scores(part)) for other in groups[1:]]
    adjusted = adjust_for_many({str(n): one.p for n, one in enumerate(found) if one.p is not None})
    differences = tuple(Difference(o.test, adjusted.get(str(n), o.p), o.why_not) for n, o in enumerate(found))
    return Comparison(objective.name, objective.direction, part, tuple(groups), differences)


def check_comparable(runs: Sequence[Run]) -> None:
    """Refuse runs whose scores do not compare.

    Raises:
        UserError: naming the first run that differs from the first of all, and in what.
    """
    if len({run.path.resolve() for run in runs}) < len(runs):
        raise UserError("RUN", runs[0].path.name, "each run once", why="is given twice")
    first = runs[0]
    for run in runs:
        if not run.ranked():
            raise UserError("RUN", run.path.name, "runs with a trial that succeeded", why="no trial succeeded")
        for what, ours, theirs in _list_conditions(first, run):
            if ours != theirs:
                why = f"does not compare with {first.path.name}: its {what} is {theirs}, there it is {ours}"
                raise UserError("RUN", run.path.name, "runs on the same data with the same objectives", why=why)


def _list_conditions(first: Run, other: Run) -> list[tuple[str, Any, Any]]:
    def list_objectives(run: Run) -> str:
        return " and ".join(f"{o.direction} {o.name}" for o in run.objectives)

    conditions: list[tuple[str, Any, Any]] = [("objective", list_objectives(first), list_objectives(other))]
    conditions.append(("data", first.data_name, other.data_name))
    options = [{k: v for k, v in run.config.data_options.items() if k != "seed"} for run in (first, other)]
    conditions += [(f"--{name.replace('_', '-')}", options[0][name], options[1][name]) for name in options[0]]
    if first.config.seed == other.config.seed:  # which decides what is trained on and what is scored
        for name, what in (("data", "data's fingerprint"), ("protocol", "way of measuring")):
            ours, theirs = first.study.notes.get(name), other.study.notes.get(name)
            conditions.append((what, ours, theirs))
    return conditions


def group_runs(runs: Sequence[Run], option: str | None) -> dict[str, list[Run]]:
    """Group runs by an option's value, or by all options but their seeds; each group's name says what is its own.

    Raises:
        UserError: there is no such option.
    """
    if option is not None:
        field = OPTIONS.get(option.replace("_", "-"))
        if field is None:
            raise unknown_name("--group", option, OPTIONS)
        fields = [field]
    else:
        names = [name for name in RunConfig.model_fields if name not in _NOT_THE_SAME_SEARCH]
        fields = [name for name in names if len({repr(getattr(run.config, name)) for run in runs}) > 1]
    grouped: dict[str, list[Run]] = {}
    for run in runs:
        name = ", ".join(_say_option(run.config, field) for field in fields) or run.config.strategy
        grouped.setdefault(name, []).append(run)
    return grouped


def _say_option(config: RunConfig, field: str) -> str:
    value = getattr(config, field)
    if isinstance(value, dict):
        value = " ".join(f"{name}={one}" for name, one in value.items()) or "none"
    if isinstance(value, list):
        value = ",".join(map(str, value)) or "none"
    return str(value) if field in _SUMMARY else f"{field.rstrip('_').replace('_', ' ')} {value}"


def _read_result(run: Run) -> RunResult:
    facts = Facts(run)
    assert facts.best is not None
    objective, name = facts.objective, facts.objective.name
    by_trial: Steps = []
    by_seconds: Steps = []
    spent = 0.0
    done = 0
    for trial in facts.trials:
        seconds = facts.count_seconds(trial)
        spent += seconds or 0.0
        if trial.outcome is None or isinstance(trial.job, TrainSupernet):
            continue
        done += 1
        value = trial.metrics.get(name, math.nan) if trial.outcome.scored and not trial.provisional else math.nan
        if math.isfinite(value) and (not by_trial or objective.loss(value) < objective.loss(by_trial[-1][1])):
            by_trial.append((float(done), value))
            by_seconds.append((spent, value))
    best = facts.best.metrics[name]
    return RunResult(
        run.path.name,
        run.config.seed,
        best,
        run.tested.get(name),
        done,
        spent or None,
        by_trial or [(float(done), best)],
        by_seconds or [(spent, best)],
    )


def average_curves(
    group: Group, steps: Callable[[RunResult], Steps], places: Sequence[float]
) -> list[tuple[float, float, float | None]]:
    """The mean of the best so far at these places, and its standard deviation (None of a single run).

    It begins where every run has a result. A run that ended earlier keeps its last: that is what it gives.
    """
    rows = []
    begins = max(steps(one)[0][0] for one in group.results)
    for place in places:
        if place < begins:
            continue
        values = [_find_value(steps(one), place) for one in group.results]
        rows.append((place, mean(values), stdev(values) if len(values) > 1 else None))
    return rows


def _find_value(steps: Steps, place: float) -> float:
    return steps[bisect.bisect_right([x for x, _ in steps], place) - 1][1]
