"""How the probabilities of a decision's values changed: a row a value, with an area as high as its probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from nas.report.charts import label_tick, make_axis
from nas.report.words import name_operation

_WIDTH, _ROW, _TOP, _LEFT, _RIGHT = 350, 24, 8, 122, 44
_LONGEST, _MOST_ROWS, _MOST_STEPS, _TOLD = 17, 12, 40, 4


@dataclass(frozen=True)
class Course:
    """The probabilities of a decision's values at each of several steps.

    Attributes:
        places: where the steps lie on the x-axis, ascending.
        steps: what each step is called.
        shares: value -> its probability at each step, from 0 to 1.
    """

    name: str
    places: Sequence[float]
    steps: Sequence[str]
    shares: Mapping[str, Sequence[float]]

    @property
    def change(self) -> float:
        """The probability that has moved from some values to others between the first step and the last."""
        return sum(abs(row[-1] - row[0]) for row in self.shares.values()) / 2


def draw_course(course: Course, x_label: str) -> Markup:
    """Draw a course, the value that is likeliest at the end first; the last column is its probability there."""
    kept = _thin_out(len(course.places))
    places = [course.places[step] for step in kept]
    rows = [(name, [row[step] for step in kept]) for name, row in _gather_rows(course.shares)]
    bottom, across = _TOP + _ROW * len(rows), _WIDTH - _LEFT - _RIGHT
    first, last = places[0], places[-1]

    def place(value: float) -> float:
        return round(_LEFT + across * (value - first) / (last - first), 1)

    parts = []
    for tick in make_axis(places, "linear", 5, whole=True).ticks:
        if first <= tick <= last:
            parts.append(Markup('<path class="grid" d="M{},{}v5"/>').format(place(tick), bottom))
            text = Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>')
            parts.append(text.format(place(tick), bottom + 17, label_tick(tick)))
    xs = [place(value) for value in places]
    highest = (_ROW - 4) / max(share for _, row in rows for share in row)  # of a probability of 1
    for number, (name, row) in enumerate(rows):
        y, others = _TOP + _ROW * (number + 1), number == len(rows) - 1 and len(rows) < len(course.shares)
        heights = [round(y - highest * share, 1) for share in row]
        parts.append(_draw_area(xs, heights, y, "best" if number == 0 else ""))
        if not others:
            even = y - highest / len(course.shares)
            parts.append(Markup('<path class="even" d="M{},{:.1f}H{}"/>').format(_LEFT, even, _WIDTH - _RIGHT))
        named = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
        parts.append(Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(_LEFT - 8, y - 5, named))
        parts.append(Markup('<text x="{}" y="{}">{}</text>').format(_WIDTH - _RIGHT + 6, y - 5, _say(row[-1])))
    for number, (x, step) in enumerate(zip(xs, kept, strict=True)):
        said = f"{course.steps[step]}: {_say_step(rows, number)}"
        parts.append(Markup('<path class="slice" d="M{},{}V{}" data-tip="{}"/>').format(x, _TOP, bottom, said))
    label = Markup('<text class="label" x="{}" y="{}" text-anchor="middle">{}</text>')
    parts.append(label.format(_LEFT + across / 2, bottom + 35, x_label))
    said = f"{course.name}: {course.steps[0]}, {_say_step(rows, 0)}; {course.steps[-1]}, {_say_step(rows, -1)}"
    opened = Markup('<svg class="chart course" viewBox="0 0 {} {}" role="img" tabindex="0" aria-label="{}">')
    return opened.format(_WIDTH, bottom + 40, said) + Markup("").join(parts) + Markup("</svg>")


def _draw_area(xs: Sequence[float], heights: Sequence[float], bottom: float, kind: str) -> Markup:
    edge = " ".join(f"{x},{height}" for x, height in zip(xs, heights, strict=True))
    shape = Markup('<path class="grid" d="M{},{}H{}"/><polygon class="area {}" points="{},{} {} {},{}"/>')
    return shape.format(_LEFT, bottom, _WIDTH - _RIGHT, kind, xs[0], bottom, edge, xs[-1], bottom)


def _thin_out(count: int) -> list[int]:
    """Of so many steps those that are drawn: the first, the last, and between them as many as there is room for."""
    kept = min(count, _MOST_STEPS)
    return list(dict.fromkeys(round(step * (count - 1) / max(1, kept - 1)) for step in range(kept)))


def _gather_rows(shares: Mapping[str, Sequence[float]]) -> list[tuple[str, list[float]]]:
    """The values that are likeliest at any step, each with its probabilities, and the others as one at the end."""
    ranked = sorted(shares, key=lambda value: max(shares[value]), reverse=True)
    shown = ranked if len(ranked) <= _MOST_ROWS else ranked[: _MOST_ROWS - 1]
    shown = sorted(shown, key=lambda value: shares[value][-1], reverse=True)
    rows = [(name_operation(value), list(shares[value])) for value in shown]
    rest = [shares[value] for value in ranked if value not in shown]
    return [*rows, *([(f"{len(rest)} others", [sum(step) for step in zip(*rest, strict=True)])] if rest else [])]


def _say_step(rows: Sequence[tuple[str, Sequence[float]]], step: int) -> str:
    told = sorted(((row[step], name) for name, row in rows), reverse=True)[:_TOLD]
    return ", ".join(f"{name} {_say(share)}" for share, name in told)


def _say(share: float) -> str:
    return f"{share:.0%}" if share >= 0.995 else f"{share:.1%}"
