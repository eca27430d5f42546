"""How supernets were trained: their score, how decided they were after every epoch, and what is derived from them."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass

from nas.core.supernet import Alphas, probabilities
from nas.core.trial import Trial
from nas.report.charts import Chart, Line, Mark
from nas.report.courses import Course
from nas.report.facts import Facts
from nas.report.words import format_number, name_metric


@dataclass(frozen=True)
class SupernetFacts:
    """What is told of one supernet.

    Attributes:
        changes: epochs after which another genotype is derived than before, and how many of its decisions differ; None
            of a supernet of which that is known after its last epoch alone.
        derived: what it stands for at the end, in words; empty where it stands for nothing.
        courses: how the operations of each edge were weighted after every epoch, the edges that moved most first;
            none of a supernet without alphas.
    """

    trial: Trial
    charts: tuple[Chart, ...]
    changes: tuple[tuple[int, int], ...] | None
    derived: str
    courses: tuple[Course, ...]


def list_supernets(facts: Facts) -> list[SupernetFacts]:
    """The supernets that were trained, by their trials."""
    own = [trial for trial in facts.trials if trial.outcome is not None and trial.outcome.kind == "supernet"]
    return [_tell(facts, trial) for trial in own if trial.measurements]


def _tell(facts: Facts, trial: Trial) -> SupernetFacts:
    labels = {facts.objective.name: f"{name_metric(facts.objective.name)} of the supernet"}
    labels["entropy"] = "entropy of an edge, nats"
    charts = []
    for name, label in labels.items():
        points = [(float(m.epoch), m.metrics[name]) for m in trial.measurements if name in m.metrics]
        points = [(epoch, value) for epoch, value in points if math.isfinite(value)]
        if len(points) > 1:
            marks = [Mark(*point, "trial", f"epoch {point[0]:.0f}: {format_number(point[1])}") for point in points]
            first, last = format_number(points[0][1]), format_number(points[-1][1])
            text = f"{label} after every epoch: {first} at first, {last} at last"
            charts.append(Chart(text, "epoch", label, marks, [Line(points, "best")], whole_x=True))
    derived = [(m.epoch, m.derived[0]) for m in trial.measurements if m.derived]
    changes = []
    for (_, before), (epoch, after) in itertools.pairwise(derived):
        if differing := before.list_changes(after):
            changes.append((epoch, len(differing)))
    stands_for = facts.space.describe(derived[-1][1], facts.shape) if derived else ""
    known = tuple(changes) if len(derived) > 1 else None
    return SupernetFacts(trial, tuple(charts), known, stands_for, tuple(_follow_alphas(facts, trial)))


def _follow_alphas(facts: Facts, trial: Trial) -> list[Course]:
    """The probabilities that the alphas stood for, of each edge."""
    written = facts.run.study.read_file(trial.number, "alphas.json")
    history: list[tuple[int, Alphas]] = [(row["epoch"], row["alphas"]) for row in json.loads(written or b"[]")]
    if len(history) < 2:
        return []
    epochs = [epoch for epoch, _ in history]
    courses = []
    for edge in history[0][1]:
        rows = [probabilities(alphas[edge]) for _, alphas in history]
        shares = {option: [row[option] for row in rows] for option in rows[0]}
        names = [f"epoch {epoch}" for epoch in epochs]
        courses.append(Course(_name_edge(edge), epochs, names, shares))
    return sorted((course for course in courses if len(course.shares) > 1), key=lambda one: -one.change)


def _name_edge(edge: str) -> str:
    """``encoder_cell.0-2`` in words: ``encoder cell, 0 → 2``; a node's edges: ``encoder cell, to 2 from``."""
    cell, _, ends = edge.rpartition(".")
    ends = f"to {ends} from" if ends.isdigit() else ends.replace("-", " → ")
    return f"{cell.replace('_', ' ')}, {ends}" if cell else ends
