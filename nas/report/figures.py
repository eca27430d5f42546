"""Figures of a run."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nas.core.job import TrainFinalist
from nas.core.pareto import most_spread, pareto_front
from nas.core.trial import Objective, Trial

_NAMED = 12  # more numbers would cover each other


def draw_progress(trials: Sequence[Trial], objective: Objective) -> bytes:
    """Draw a PNG of the objective of every candidate, and of the best so far.

    What was stopped early, or scored with a supernet's weights, is hollow, and never the best; failures and supernets
    are lines.
    """
    good = [trial for trial in trials if trial.outcome is not None and trial.outcome.scored]
    supernets = [trial.number for trial in trials if trial.outcome is not None and trial.outcome.kind == "supernet"]
    bad = [trial.number for trial in trials if trial.outcome is not None and trial.outcome.failed]
    figure = make_figure(8, 3.2)
    axes = figure.add_subplot()
    numbers = [trial.number for trial in good]
    values = [trial.metrics[objective.name] for trial in good]
    groups = ("random", "#9aa7b5"), ("child of an earlier trial", "#2b6cb0"), ("finals", "#2f855a")
    group_of = [2 if isinstance(trial.job, TrainFinalist) else int(bool(trial.proposal.parents)) for trial in good]
    for number, (label, colour) in enumerate(groups):
        chosen = [i for i, group in enumerate(group_of) if group == number]
        for ending, why in (("complete", ""), ("stopped", ", stopped early"), ("shared", ", shared weights")):
            some = [i for i in chosen if (outcome := good[i].outcome) is not None and outcome.kind == ending]
            if some:
                axes.scatter(
                    [numbers[i] for i in some], [values[i] for i in some], s=18, edgecolors=colour,
                    facecolors="none" if why else colour, label=label + why,
                    linewidths=0.5 if ending == "shared" else None,
                )  # fmt: skip
    best: list[tuple[int, float]] = []
    for trial, value in zip(good, values, strict=True):
        if not trial.provisional and (not best or objective.loss(value) < objective.loss(best[-1][1])):
            best.append((trial.number, value))
    if best:
        steps = [*best, (numbers[-1], best[-1][1])]
        axes.step([number for number, _ in steps], [value for _, value in steps], where="post", color="#c05621",
                  label="best so far")  # fmt: skip
    _scale(axes.set_yscale, values)
    for number in bad:
        axes.axvline(number, color="#e53e3e", linewidth=0.8, alpha=0.5)
    for index, number in enumerate(supernets):
        label = "supernet" if index == 0 else "_"  # one entry in the legend is enough
        axes.axvline(number, color="#2f855a", linewidth=1.2, linestyle="--", label=label)
    axes.set_xlabel("trial")
    axes.set_ylabel(f"validation {objective.name}")
    if good:
        axes.legend(frameon=False, fontsize=8)
    return encode_png(figure)


def draw_curves(trials: Sequence[Trial], objective: Objective, best: int | None) -> bytes:
    """Draw a PNG of all candidates' learning curves: the best stands out, and crosses are where trials were stopped.

    Args:
        best: the number of the trial that is named the best.
    """
    figure = make_figure(8, 3.2)
    axes = figure.add_subplot()
    sharing = [trial for trial in trials if trial.job.completion in ("shared", "supernet")]
    curves = [trial for trial in trials if trial.curve and trial not in sharing]
    everything = [objective.loss(loss) for trial in curves for loss in trial.curve.values() if math.isfinite(loss)]
    last = None
    for kind, label, colour in (
        ("stopped", "stopped early", "#9aa7b5"),
        ("complete", "trained in full", "#2b6cb0"),
        ("best", "best", "#c05621"),
    ):
        for trial in curves:
            own = "best" if trial.number == best else "stopped" if trial.stopped else "complete"
            if own != kind or trial.outcome is None or trial.outcome.failed:
                continue
            epochs, values = list(trial.curve), [objective.loss(loss) for loss in trial.curve.values()]
            axes.plot(
                epochs, values, color=colour, linewidth=2 if kind == "best" else 0.9, zorder=3 if kind == "best" else 2,
                label="_" if last == kind else label, marker="x" if trial.stopped else None, markersize=4,
                markevery=[len(epochs) - 1], markeredgecolor="#4a5568",
            )  # fmt: skip
            last = kind
    _scale(axes.set_yscale, everything)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"validation {objective.name}")
    if last is not None:
        axes.legend(frameon=False, fontsize=8)
    return encode_png(figure)


def draw_front(trials: Sequence[Trial], objectives: Sequence[Objective]) -> bytes:
    """Draw a PNG of every trial by the first objective and each other; the front stands out, with its numbers."""
    good = [trial for trial in trials if trial.outcome is not None and trial.outcome.scored]
    good = [trial for trial in good if not trial.provisional] or good  # what was stopped is on no front
    front = [good[index] for index in pareto_front([trial.losses for trial in good])]
    rest = [trial for trial in good if trial not in front]
    named = [front[index] for index in most_spread([trial.losses for trial in front], _NAMED)]
    first, *others = objectives
    figure = make_figure(max(8, 5 * len(others)), 4)
    for axes, other in zip(figure.subplots(1, len(others), squeeze=False)[0], others, strict=True):

        def places(some: Sequence[Trial], other: Objective = other) -> tuple[list[float], list[float]]:
            return [trial.metrics[first.name] for trial in some], [trial.metrics[other.name] for trial in some]

        axes.scatter(*places(rest), s=18, color="#9aa7b5", label="other trials")
        if len(others) == 1:  # all that lies on the worse side of the steps is dominated
            axes.step(*places(front), where="post", color="#c05621", linewidth=1, zorder=1)
        axes.scatter(*places(front), s=28, color="#c05621", label="the front")
        for trial, x, y in zip(named, *places(named), strict=True):
            axes.annotate(str(trial.number), (x, y), xytext=(4, 4), textcoords="offset points", fontsize=8)
        for values, scale in zip(places(good), (axes.set_xscale, axes.set_yscale), strict=True):
            _scale(scale, values)
        axes.tick_params(which="both", labelsize=7)  # small: a logarithm over one decade labels all its ticks
        axes.set_xlabel(_label_axis(first))
        axes.set_ylabel(_label_axis(other))
        axes.legend(frameon=False, fontsize=8)
    return encode_png(figure)


def _label_axis(objective: Objective) -> str:
    return f"{objective.name} ({'less' if objective.direction == 'minimize' else 'more'} is better)"


def _scale(set_scale: Callable[[str], None], values: Sequence[float]) -> None:
    """Scale an axis logarithmically where the greatest value is many times the least."""
    if values and min(values) > 0 and max(values) > 5 * min(values):
        set_scale("log")


def make_figure(width: float, height: float) -> Figure:
    """Make an empty figure of this size in inches, drawn without a display."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def encode_png(figure: Figure) -> bytes:
    """Encode a figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
