"""How the search went: the best so far, and learning curves."""

from __future__ import annotations

import math
from collections.abc import Callable

from nas.core.job import TrainSupernet
from nas.core.trial import Trial
from nas.report.charts import Chart, Line, Mark
from nas.report.facts import Facts
from nas.report.words import count_of, format_seconds, name_metric

KINDS = {
    "best": "the best",
    "trial": "a candidate",
    "final": "finals",
    "stopped": "stopped early or scored with shared weights",
    "failed": "failed",
}
"""What the kinds of marks mean."""


def draw_best_so_far(facts: Facts) -> list[tuple[str, Chart]]:
    """The score of every trial and the best so far: by trials, and by seconds of training where they were measured."""
    spent, seconds = {}, 0.0
    for trial in facts.trials:
        seconds += facts.count_seconds(trial) or 0.0
        spent[trial.number] = seconds
    charts = [("by trial", _draw_against(facts, lambda trial: trial.number, "trial", whole=True))]
    if seconds > 0:
        unit, name = next(((u, n) for u, n in ((3600, "hours"), (60, "minutes")) if seconds >= 3 * u), (1, "seconds"))
        label = f"{name} of training, of all trials so far added up"
        charts.append(("by training time", _draw_against(facts, lambda trial: spent[trial.number] / unit, label)))
    return charts


def _draw_against(facts: Facts, place: Callable[[Trial], float], label: str, *, whole: bool = False) -> Chart:
    objective, marks = facts.objective, []
    steps: list[tuple[float, float]] = []
    ended = [trial for trial in facts.trials if trial.outcome is not None and not isinstance(trial.job, TrainSupernet)]
    for trial in ended:
        value = _find_value(facts, trial)
        marks.append(Mark(place(trial), value, facts.kind_of(trial), facts.say_result(trial)))
        if value is None or trial.provisional:
            continue
        if not steps or objective.loss(value) < objective.loss(steps[-1][1]):
            steps.append((place(trial), value))
    if steps:
        steps.append((max(mark.x for mark in marks), steps[-1][1]))
    marks.sort(key=lambda mark: mark.kind == "best")  # the last is drawn over the others
    text = (
        f"{name_metric(objective.name)} of {count_of(len(ended), 'trial')} by {label}, and the best so far"
        + (f", which ends at {steps[-1][1]:.4g}" if steps else "")
        + ". The table of all trials has the numbers."
    )
    y_label = f"{facts.name_axis(objective.name)} (validation)"
    return Chart(text, label, y_label, marks, [Line(steps, "best", step=True)] if steps else (), whole_x=whole)


def _find_value(facts: Facts, trial: Trial) -> float | None:
    if trial.outcome is None or not trial.outcome.scored:
        return None
    value = trial.metrics[facts.objective.name]
    return value if math.isfinite(value) else None


def list_kinds(chart: Chart) -> list[tuple[str, str]]:
    """The kinds of marks that a chart has, each with what it means."""
    return [(kind, text) for kind, text in KINDS.items() if any(mark.kind == kind for mark in chart.marks)]


def draw_learning_curves(facts: Facts) -> Chart | None:
    """Every candidate's score after every epoch; None where none was measured more than once."""
    lines, marks, objective = [], [], facts.objective
    shown = [t for t in facts.trials if t.job.completion not in ("shared", "supernet") and t.outcome is not None]
    shown = [trial for trial in shown if len(trial.curve) > 1 and trial.outcome and trial.outcome.scored]
    if not shown:
        return None
    for trial in sorted(shown, key=lambda trial: facts.kind_of(trial) == "best"):
        points = [(float(epoch), objective.loss(loss)) for epoch, loss in trial.curve.items() if math.isfinite(loss)]
        if not points:
            continue
        kind = facts.kind_of(trial)
        lines.append(Line(points, {"trial": "faint", "stopped": "faint"}.get(kind, kind)))
        marks.append(Mark(*points[-1], kind, facts.say_result(trial)))
    text = (
        f"{name_metric(objective.name)} after every epoch of {count_of(len(lines), 'training')}; "
        "the mark at the end of a line is the last epoch"
    )
    return Chart(text, "epoch", f"{facts.name_axis(objective.name)} (validation)", marks, lines, whole_x=True)


def describe_effort(facts: Facts) -> list[str]:
    """Say in sentences how much was tried, and what early stopping has saved."""
    run, counts = facts.run, facts.run.counts()
    sentences = []
    words = [f"{counts['complete']} complete"]
    words += [f"{counts['stopped']} stopped early"] if counts["stopped"] else []
    words.append(f"{counts['failed'] or 'none'} failed")
    names = {"supernets": "supernet trained", "shared": "scored with shared weights", "finals": "part of finals"}
    names |= {"promotions": "promotion", "pruned_versions": "pruned version"}
    for name, word in names.items():
        if name in counts:
            first, *rest = word.split(" ")
            plural = word if name == "shared" else " ".join([f"{first}s", *rest])
            words.append(f"{counts[name]} {word if counts[name] == 1 else plural}")
    running = sum(trial.outcome is None for trial in facts.trials)
    if running:
        words.append(f"{running} without an end yet")
    sentences.append(f"Trials: {', '.join(words)}, of {run.target} asked for.")
    if counts["stopped"] and run.epochs_asked:
        saved = 1 - run.epochs_run / run.epochs_asked
        rule = f" by {run.config.early_stopping}" if run.config.early_stopping else ""
        stopped = count_of(counts["stopped"], "trial")
        sentences.append(f"Epochs: {run.epochs_run} of {run.epochs_asked}, {stopped} stopped early{rule}.")
        if saved > 0:
            sentences.append(f"That saved {saved:.0%} of the epochs.")
    seconds = sum(facts.count_seconds(trial) or 0.0 for trial in facts.trials)
    wall = run.study.notes.get("seconds")
    if seconds:
        whole = f"; the run took {format_seconds(wall)} in all" if wall else ""
        sentences.append(f"Training time of all trials: {format_seconds(seconds)}{whole}.")
    if latency := run.describe_latency():
        sentences.append(f"{latency[0].upper()}{latency[1:]}.")
    return sentences
