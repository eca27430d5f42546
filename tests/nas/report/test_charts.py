"""Charts: what is drawn lies where it should, in both sizes, on scales whose labels are round."""

import re

import pytest

from nas.report.charts import Band, Chart, Line, Mark, draw_chart, make_axis


@pytest.mark.parametrize(
    ("values", "scale", "log"),
    [
        ((0.01, 1.0), "auto", True), ((1.0, 2.0), "auto", False), ((0.0, 9.0), "auto", False),
        ((1.0, 90.0), "linear", False),
    ],
)  # fmt: skip
def test_a_scale_is_logarithmic_where_values_differ_by_much_and_are_positive(values, scale, log):
    axis = make_axis(values, scale, 6)
    assert axis.log == log
    assert 1 < len(axis.ticks) <= 6
    places = [axis.place(value) for value in values]
    assert 0 < places[0] < places[1] < 1
    assert all(0 <= axis.place(tick) <= 1 for tick in axis.ticks)


@pytest.mark.parametrize("values", [(3.0,), (0.0,), (), (-2.0, -1.0), (1e-9, 1e9), (5.0, float("inf"))])
def test_any_values_have_a_scale_with_labels(values):
    axis = make_axis(values, "auto", 5)
    assert axis.low < axis.high
    assert axis.ticks


def test_whole_numbers_are_not_divided():
    assert make_axis((0.0, 2.0), "linear", 8, whole=True).ticks == (0.0, 1.0, 2.0)


def test_marks_lie_within_both_sizes_and_say_what_they_are():
    marks = [Mark(0, 1.0, "trial", "a < b"), Mark(5, 900.0, "best", 'the "best"'), Mark(3, None, "failed", "failed")]
    chart = Chart("text", "x", "y", marks, [Line([(0, 1.0), (5, 900.0)], "best", step=True)], [Band([(0, 1, 2)], "c1")])
    drawn = draw_chart(chart)
    assert drawn.count("<svg") == 2
    assert drawn.count('data-tip="a &lt; b"') == 2
    for width, part in zip((760, 350), drawn.split("<svg")[1:], strict=True):
        xs = [float(x) for x in re.findall(r'cx="([\d.]+)"', part)]
        assert len(xs) == 2
        assert all(40 < x < width for x in xs)


def test_a_line_in_steps_holds_each_value_until_the_next():
    drawn = draw_chart(Chart("", "", "", lines=[Line([(0, 1.0), (1, 2.0)], "best", step=True)]))
    first = re.findall(r'points="([^"]+)"', drawn)[0].split()
    assert len(first) == 3
    assert first[0].split(",")[1] == first[1].split(",")[1]
    assert first[1].split(",")[0] == first[2].split(",")[0]
