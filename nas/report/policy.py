"""What a strategy's learned policy was when it drew its proposals: its probabilities, and how undecided it was."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nas.core.trial import Trial
from nas.report.charts import Chart, Line, Mark
from nas.report.courses import Course
from nas.report.facts import Facts

_WINDOW, _MOST_WINDOWS = 4, 40
_SHOWN, _LEAST_CHANGE = 6, 0.05


@dataclass(frozen=True)
class PolicyFacts:
    """What is told of a policy.

    Attributes:
        window: about so many proposals in a row are taken together.
        entropy: how undecided it was.
        courses: the decisions of which it changed its mind most.
        decisions: how many there are in all.
    """

    window: int
    entropy: Chart
    courses: tuple[Course, ...]
    decisions: int


def describe_policy(facts: Facts) -> PolicyFacts | None:
    """How the policy changed; None where none is recorded, or for too few proposals."""
    drawn = [trial for trial in facts.trials if trial.proposal.policy]
    count = min(_MOST_WINDOWS, len(drawn) // _WINDOW)
    if count < 2:
        return None
    edges = [len(drawn) * number // count for number in range(count + 1)]
    windows = [drawn[first:last] for first, last in itertools.pairwise(edges)]
    sites = dict.fromkeys(site for trial in drawn for site in trial.proposal.policy)
    courses = [course for site in sites if (course := _follow(site, windows)) is not None]
    courses.sort(key=lambda course: course.change, reverse=True)
    told = tuple(course for course in courses[:_SHOWN] if course.change >= _LEAST_CHANGE)
    return PolicyFacts(len(drawn) // count, _draw_entropy(windows), told, len(courses))


def _follow(site: str, windows: Sequence[Sequence[Trial]]) -> Course | None:
    """The mean probabilities of a decision in each window; None of one that does not arise in half of the proposals."""
    rows = [[trial.proposal.policy[site] for trial in window if site in trial.proposal.policy] for window in windows]
    if 2 * sum(map(len, rows)) < sum(map(len, windows)) or not (rows[0] and rows[-1]):
        return None
    arising = [(window, row) for window, row in zip(windows, rows, strict=True) if row]
    values = dict.fromkeys(value for _, row in arising for probabilities in row for value in probabilities)
    shares = {value: [_mean([one.get(value, 0.0) for one in row]) for _, row in arising] for value in values}
    places, names = [_place(window) for window, _ in arising], [_name(window) for window, _ in arising]
    return Course(site, places, names, shares)


def _draw_entropy(windows: Sequence[Sequence[Trial]]) -> Chart:
    points = [
        (_place(window), 100 * _mean([_measure_entropy(trial.proposal.policy) for trial in window]))
        for window in windows
    ]
    marks = [
        Mark(x, y, "best" if x == points[-1][0] else "trial", f"{_name(window)}: {y:.0f}%")
        for window, (x, y) in zip(windows, points, strict=True)
    ]
    first, last = points[0][1], points[-1][1]
    text = f"how undecided the policy was: {first:.0f}% of the greatest entropy at first, {last:.0f}% at last"
    label = "entropy, % of the greatest"
    return Chart(text, "trial", label, marks, [Line(points, "best")], scale_y="linear", whole_x=True)


def _measure_entropy(policy: Mapping[str, Mapping[str, float]]) -> float:
    """The mean over decisions of the entropy of their values, as a part of that where all are equally likely."""
    parts = [
        -sum(p * math.log(p) for p in values.values() if p > 0) / math.log(len(values))
        for values in policy.values()
        if len(values) > 1
    ]
    return _mean(parts) if parts else 0.0


def _place(window: Sequence[Trial]) -> float:
    return _mean([float(trial.number) for trial in window])


def _name(window: Sequence[Trial]) -> str:
    return f"trials {window[0].number} to {window[-1].number}"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
