"""The front of a run with several objectives."""

from __future__ import annotations

from nas.core.trial import Objective
from nas.report.charts import Chart, Line, Mark
from nas.report.facts import Facts
from nas.report.words import name_metric

FRONT_KINDS = [("front", "on the front"), ("trial", "other trials")]
"""What the kinds of marks mean."""


def draw_fronts(facts: Facts) -> list[Chart]:
    """Every trial by the first objective and each other; none where there is one objective or no result."""
    if len(facts.objectives) == 1 or not facts.ranked:
        return []
    return [_draw_front(facts, other) for other in facts.objectives[1:]]


def _draw_front(facts: Facts, other: Objective) -> Chart:
    first, front = facts.objective, set(facts.front)
    marks, on_front = [], []
    for trial in facts.ranked:
        place = trial.metrics[first.name], trial.metrics[other.name]
        kind = "front" if trial.number in front else "stopped" if trial.stopped else "trial"
        marks.append(Mark(*place, kind, f"{facts.say_result(trial)}{'; on the front' if kind == 'front' else ''}"))
        on_front += [place] if kind == "front" else []
    marks.sort(key=lambda mark: mark.kind == "front")
    on_front.sort(key=lambda place: first.loss(place[0]))
    two = len(facts.objectives) == 2  # then all that lies on the worse side of the steps is dominated
    lines = [Line(on_front, "best", step=True)] if two and len(on_front) > 1 else ()
    text = (
        f"{name_metric(first.name)} and {name_metric(other.name)} of {len(marks)} trials, "
        f"of which {len(on_front)} are on the front: {', '.join(f'trial {number}' for number in facts.front)}"
    )
    return Chart(text, _label(facts, first), _label(facts, other), marks, lines, scale_x="auto")


def _label(facts: Facts, objective: Objective) -> str:
    return f"{facts.name_axis(objective.name)} ({'less' if objective.direction == 'minimize' else 'more'} is better)"
