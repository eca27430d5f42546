"""Regret over evaluations, drawn."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from nas.bench.benchmark import Curve

_STYLES = ("-", "--", ":", "-.")
_COLOURS = (
    "#2b6cb0", "#c05621", "#2f855a", "#6b46c1", "#b7791f", "#c53030", "#2c7a7b", "#4a5568", "#97266d", "#718096",
)  # fmt: skip


def draw_regrets(curves: Mapping[str, Sequence[Curve]], at: Sequence[int], objective: str, report: str | None) -> bytes:
    """Draw a PNG: mean regret by strategy with a band of one standard error; the reported column's beside it."""
    figure = Figure(figsize=(11 if report else 6.5, 4.2), layout="constrained")
    FigureCanvasAgg(figure)  # drawn without a display
    parts = [("valid", f"regret in {objective}")]
    if report is not None:
        parts.append(("test", f"regret in {report}"))
    for place, (part, label) in enumerate(parts, 1):
        axes = figure.add_subplot(1, len(parts), place)
        smallest = np.inf
        for number, (name, found) in enumerate(curves.items()):
            regrets = np.array([getattr(curve, part) for curve in found])
            mean = regrets.mean(0)
            error = regrets.std(0, ddof=1) / np.sqrt(len(regrets)) if len(regrets) > 1 else np.zeros(len(mean))
            colour = _COLOURS[number % len(_COLOURS)]
            style = _STYLES[number // len(_COLOURS) % len(_STYLES)]
            axes.plot(at, mean, style, color=colour, label=name, linewidth=1.6)
            axes.fill_between(at, mean - error, mean + error, color=colour, alpha=0.15, linewidth=0)
            smallest = min(smallest, *mean[mean > 0], np.inf)
        if np.isfinite(smallest):
            axes.set_yscale("log")
            axes.set_ylim(bottom=smallest / 1.5)  # a mean of exactly 0 leaves the picture
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
        axes.set_xlabel("evaluations")
        axes.set_ylabel(label)
        axes.grid(alpha=0.25, which="both", linewidth=0.5)
        if place == 1:
            axes.legend(frameon=False, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
