"""Figures of what was found, as PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_NAMED = 20  # labels that a legend has room for
_ACCENT = "#2b6cb0"


def draw_points(panels: Mapping[str, np.ndarray], labels: np.ndarray | None = None, names: Sequence[str] = ()) -> bytes:
    """Draw points (N, 2) side by side, each panel under its name.

    Args:
        labels: (N,) int64, indices into `names`, which colours are of; None for one colour.
    """
    figure, tab20 = _make_figure(5 * len(panels), 4.6), colormaps["tab20"]
    for axes, (title, points) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        axes.set_title(title, fontsize=10)
        axes.set_xticks([])
        axes.set_yticks([])
        if labels is None:
            axes.scatter(*points.T, s=5, color=_ACCENT, linewidths=0)
            continue
        known = np.unique(labels)
        if len(known) > _NAMED:
            axes.scatter(*points.T, s=5, c=labels, cmap="nipy_spectral", linewidths=0)
            continue
        for place, label in enumerate(known):
            colour = tab20((2 * place) % 20 + place // 10)  # the ten strong colours before the ten pale ones
            axes.scatter(*points[labels == label].T, s=5, color=colour, linewidths=0, label=names[label])
    if labels is not None and len(np.unique(labels)) <= _NAMED:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", frameon=False, markerscale=3)
    return _encode_png(figure)


def draw_curves(panels: Mapping[str, Mapping[float, float]], axis: str) -> bytes:
    """Draw curves side by side: each panel's values over what it is named for.

    Args:
        axis: what the values are.
    """
    figure = _make_figure(3.6 * len(panels), 3)
    for axes, (title, curve) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        axes.plot(list(curve), list(curve.values()), color=_ACCENT, marker="o", markersize=3)
        axes.set_xlabel(title)
        axes.set_ylabel(axis)
    return _encode_png(figure)


def draw_distributions(panels: Mapping[str, Mapping[str, np.ndarray]]) -> bytes:
    """Draw histograms side by side: in each panel the densities of some groups of scores (N,)."""
    figure = _make_figure(4 * len(panels), 3)
    for axes, (title, groups) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        everything = np.concatenate(list(groups.values()))
        low, high = np.quantile(everything, [0.005, 0.995])  # one outlier must not hide the rest
        bins = np.linspace(low, high if high > low else low + 1, 41)
        for name, scores in groups.items():
            axes.hist(scores.clip(bins[0], bins[-1]), bins=bins, density=True, alpha=0.6, label=name)
        axes.set_xlabel(title)
        axes.set_yticks([])
    axes.legend(frameon=False, fontsize=8)
    return _encode_png(figure)


def _make_figure(width: float, height: float) -> Figure:
    """Make an empty figure of this size in inches, drawn without a display."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _encode_png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
