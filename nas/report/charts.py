"""Charts, drawn as SVG: axes with labels, lines, bands and marks that say what they are when pointed at.

A chart is drawn twice, wide and narrow, of which a page shows the one that fits: text that is scaled down to a phone
cannot be read. Colours are the page's, by the kinds of marks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from nas.report.words import format_number

_SIZES = {"wide": (760, 320), "narrow": (350, 280)}
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 14, 46
_LOG_FROM = 5.0
"""A scale is logarithmic where the greatest value is so many times the least."""


@dataclass(frozen=True)
class Mark:
    """A point, and what is said of it when it is pointed at; `y` None: it has no value, and lies at the bottom."""

    x: float
    y: float | None
    kind: str
    tip: str


@dataclass(frozen=True)
class Line:
    """Points joined; as steps: each value holds until the next point."""

    points: Sequence[tuple[float, float]]
    kind: str
    step: bool = False


@dataclass(frozen=True)
class Band:
    """What lies between a lower and an upper value at every x."""

    rows: Sequence[tuple[float, float, float]]
    kind: str


@dataclass(frozen=True)
class Chart:
    """What is drawn.

    Attributes:
        text: what the chart shows, for those who do not see it.
        scale_x, scale_y: "auto" is logarithmic where values differ by much and are positive.
        whole_x: whether only whole numbers make sense on the x-axis.
    """

    text: str
    x_label: str
    y_label: str
    marks: Sequence[Mark] = ()
    lines: Sequence[Line] = ()
    bands: Sequence[Band] = ()
    scale_x: str = "linear"
    scale_y: str = "auto"
    whole_x: bool = False


@dataclass(frozen=True)
class Axis:
    """A scale, and the round values on it that have labels."""

    low: float
    high: float
    log: bool
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Where a value lies, from 0 to 1."""
        if self.log:
            return (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return (value - self.low) / (self.high - self.low)


def make_axis(values: Iterable[float], scale: str, most: int, whole: bool = False) -> Axis:
    """Make a scale that all finite values lie on, with at most so many labels; see `Chart` for what it can be."""
    found = [value for value in values if math.isfinite(value)]
    low, high = min(found, default=0.0), max(found, default=1.0)
    log = scale == "log" or (scale == "auto" and low > 0 and high > _LOG_FROM * low)
    if log:
        margin = (high / low) ** 0.06 if high > low else 1.5
        low, high = low / margin, high * margin
        return Axis(low, high, True, _list_log_ticks(low, high, most))
    margin = 0.06 * (high - low) or 0.06 * abs(high) or 0.5
    low, high = low - margin, high + margin
    return Axis(low, high, False, _list_ticks(low, high, most, whole))


def _list_ticks(low: float, high: float, most: int, whole: bool) -> tuple[float, ...]:
    """Round values between two, at most so many: steps of 1, 2 or 5 times a power of ten."""
    power = 10 ** math.floor(math.log10((high - low) / most))
    steps = [factor * power for factor in (1, 2, 5, 10, 20, 50)]
    step = next(step for step in steps if (high - low) / step <= most)
    if whole:
        step = max(1.0, step)
    first = math.ceil(low / step - 1e-9)
    ticks = [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]
    return tuple(float(f"{tick:.12g}") for tick in ticks)


def _list_log_ticks(low: float, high: float, most: int) -> tuple[float, ...]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        ticks = [float(f"{factor}e{power}") for power in powers for factor in factors]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= most:
            break
    return tuple(ticks[:: math.ceil(len(ticks) / most)]) if len(ticks) > 1 else _list_ticks(low, high, most, False)


def draw_chart(chart: Chart) -> Markup:
    """Draw a chart as two SVG elements, for wide and for narrow windows."""
    return Markup("").join(_draw(chart, name, *size) for name, size in _SIZES.items())


def _draw(chart: Chart, name: str, width: int, height: int) -> Markup:
    across, down = width - _LEFT - _RIGHT, height - _TOP - _BOTTOM
    xs = [mark.x for mark in chart.marks] + [x for line in chart.lines for x, _ in line.points]
    xs += [x for band in chart.bands for x, *_ in band.rows]
    ys = [mark.y for mark in chart.marks if mark.y is not None] + [y for line in chart.lines for _, y in line.points]
    ys += [y for band in chart.bands for row in band.rows for y in row[1:]]
    x_axis = make_axis(xs, chart.scale_x, 8 if name == "wide" else 5, chart.whole_x)
    y_axis = make_axis(ys, chart.scale_y, 6)

    def place_x(x: float) -> float:
        return round(_LEFT + across * x_axis.place(x), 1)

    def place_y(y: float) -> float:
        if not math.isfinite(y):
            return _TOP
        y = max(y, y_axis.low) if y_axis.log else y
        return round(_TOP + down * (1 - y_axis.place(y)), 1)

    parts = [_draw_grid(chart, x_axis, y_axis, width, height)]
    for band in chart.bands:
        upper = [f"{place_x(x)},{place_y(high)}" for x, _, high in band.rows]
        lower = [f"{place_x(x)},{place_y(low)}" for x, low, _ in reversed(band.rows)]
        parts.append(Markup('<polygon class="band {}" points="{}"/>').format(band.kind, " ".join(upper + lower)))
    for line in chart.lines:
        points: list[str] = []
        before = None
        for x, y in line.points:
            if line.step and before is not None:
                points.append(f"{place_x(x)},{before}")
            before = place_y(y)
            points.append(f"{place_x(x)},{before}")
        parts.append(Markup('<polyline class="line {}" points="{}"/>').format(line.kind, " ".join(points)))
    for mark in chart.marks:
        x = place_x(mark.x)
        y = height - _BOTTOM - 7 if mark.y is None else place_y(mark.y)
        parts.append(draw_mark(x, y, mark.kind, mark.tip))
    shown = Markup('<svg class="chart {}" viewBox="0 0 {} {}" role="img" tabindex="0" aria-label="{}">{}</svg>')
    return shown.format(name, width, height, chart.text, Markup("").join(parts))


def draw_mark(x: float, y: float, kind: str, tip: str) -> Markup:
    """Draw a mark: a cross of what failed, a diamond of finals, a circle of all else."""
    tip_text = escape(tip)
    if kind == "failed":
        path = f"M{x - 4},{y - 4}l8,8m0,-8l-8,8"
    elif kind == "final":
        path = f"M{x},{y - 6}l6,6l-6,6l-6,-6z"
    else:
        return Markup('<circle class="mark {}" cx="{}" cy="{}" r="{}" data-tip="{}"/>').format(
            kind, x, y, 6 if kind == "best" else 4, tip_text
        )
    return Markup('<path class="mark {}" d="{}" data-tip="{}"/>').format(kind, path, tip_text)


def _draw_grid(chart: Chart, x_axis: Axis, y_axis: Axis, width: int, height: int) -> Markup:
    bottom, parts = height - _BOTTOM, []
    across, down = width - _LEFT - _RIGHT, bottom - _TOP
    for tick in y_axis.ticks:
        y = round(_TOP + down * (1 - y_axis.place(tick)), 1)
        parts.append(Markup('<path class="grid" d="M{},{}H{}"/>').format(_LEFT, y, width - _RIGHT))
        parts.append(
            Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(_LEFT - 8, y + 4, label_tick(tick))
        )
    for tick in x_axis.ticks:
        x = round(_LEFT + across * x_axis.place(tick), 1)
        parts.append(Markup('<path class="grid" d="M{},{}v5"/>').format(x, bottom))
        parts.append(
            Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(x, bottom + 19, label_tick(tick))
        )
    parts.append(Markup('<path class="axis" d="M{},{}H{}"/>').format(_LEFT, bottom, width - _RIGHT))
    middle = _LEFT + across / 2
    text = Markup('<text class="label" x="{}" y="{}" text-anchor="middle">{}</text>')
    parts.append(text.format(middle, height - 6, chart.x_label))
    centre = _TOP + down / 2
    turned = Markup('<text class="label" transform="translate(12,{}) rotate(-90)" text-anchor="middle">{}</text>')
    parts.append(turned.format(centre, chart.y_label))
    return Markup("").join(parts)


def label_tick(tick: float) -> str:
    """Label a round value on an axis, in thousands and millions where it is large."""
    if abs(tick) >= 1e4:
        for scale, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if abs(tick) >= scale:
                return f"{tick / scale:g}{letter}"
    return format_number(tick)
