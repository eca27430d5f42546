"""Figures of a run."""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nas.core.trial import Objective, Trial


def progress_figure(trials: Sequence[Trial], objective: Objective) -> bytes:
    """A PNG of the objective of every candidate, and of the best so far; failures and supernets are marked."""
    good = [trial for trial in trials if trial.outcome is not None and trial.outcome.scored]
    supernets = [trial.number for trial in trials if trial.outcome is not None and trial.outcome.kind == "supernet"]
    bad = [trial.number for trial in trials if trial.outcome is not None and trial.outcome.failed]
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    numbers = [trial.number for trial in good]
    values = [trial.metrics[objective.name] for trial in good]
    evolved = [bool(trial.proposal.parents) for trial in good]
    for kind, label, colour in ((False, "random", "#9aa7b5"), (True, "child of an earlier trial", "#2b6cb0")):
        chosen = [i for i, child in enumerate(evolved) if child == kind]
        if chosen:
            axes.scatter([numbers[i] for i in chosen], [values[i] for i in chosen], s=18, color=colour, label=label)
    best: list[float] = []
    for value in values:
        better = not best or objective.loss(value) < objective.loss(best[-1])
        best.append(value if better else best[-1])
    axes.step(numbers, best, where="post", color="#c05621", label="best so far")
    if values and min(values) > 0 and max(values) > 5 * min(values):
        axes.set_yscale("log")
    for number in bad:
        axes.axvline(number, color="#e53e3e", linewidth=0.8, alpha=0.5)
    for index, number in enumerate(supernets):
        label = "supernet" if index == 0 else "_"  # one entry in the legend is enough
        axes.axvline(number, color="#2f855a", linewidth=1.2, linestyle="--", label=label)
    axes.set_xlabel("trial")
    axes.set_ylabel(f"validation {objective.name}")
    if good:
        axes.legend(frameon=False, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
