"""What the values of a decision did, drawn: a row a value, with a dot for each trial and a bar at their mean."""

from __future__ import annotations

from markupsafe import Markup

from nas.report.charts import draw_mark, label_tick, make_axis
from nas.report.importance import Importance
from nas.report.words import count_of, format_number, name_operation

_WIDTH, _ROW, _TOP, _LEFT, _RIGHT = 350, 30, 8, 112, 44
_LONGEST = 15


def draw_strips(one: Importance, metric: str) -> Markup:
    """Draw the scores by the values of a decision, the best value first; the last column says how many trials."""
    height = _TOP + _ROW * len(one.values) + 40
    across = _WIDTH - _LEFT - _RIGHT
    axis = make_axis([score for value in one.values for score in value.scores], "auto", 4)
    bottom = _TOP + _ROW * len(one.values)

    def place(score: float) -> float:
        return round(_LEFT + across * axis.place(score), 1)

    parts = []
    for tick in axis.ticks:
        x = place(tick)
        parts.append(Markup('<path class="grid" d="M{},{}V{}"/>').format(x, _TOP, bottom))
        parts.append(
            Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(x, bottom + 15, label_tick(tick))
        )
    for row, value in enumerate(one.values):
        y = _TOP + _ROW * (row + 0.5)
        name = name_operation(value.value)
        name = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
        parts.append(Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(_LEFT - 10, y + 4, name))
        parts.append(Markup('<text x="{}" y="{}">×{}</text>').format(_WIDTH - _RIGHT + 6, y + 4, len(value.scores)))
        parts += [
            draw_mark(place(score), y, "trial", f"{value.value}: {format_number(score)}") for score in value.scores
        ]
        parts.append(Markup('<path class="mean" d="M{},{}v20"/>').format(place(value.mean), y - 10))
    parts.append(
        Markup('<text class="label" x="{}" y="{}" text-anchor="middle">{}</text>').format(
            _LEFT + across / 2, height - 6, metric
        )
    )
    said = "; ".join(
        f"{value.value}: mean {format_number(value.mean)}"
        + (f" ± {format_number(value.spread)}" if value.spread is not None else "")
        + f" of {count_of(len(value.scores), 'trial')}"
        for value in one.values
    )
    opened = Markup('<svg class="chart strips" viewBox="0 0 {} {}" role="img" tabindex="0" aria-label="{}">').format(
        _WIDTH, height, f"{metric} by {one.site}: {said}"
    )
    return opened + Markup("").join(parts) + Markup("</svg>")
