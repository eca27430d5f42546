"""Drawings of how probabilities changed: heights, order, what is left out, what is said."""

import re

import pytest

from nas.report.courses import Course, draw_course

FALLING = Course("a decision", [1, 2, 4], ["epoch 1", "epoch 2", "epoch 4"], {
    "none": [0.6, 0.3, 0.2], "conv_3x3": [0.4, 0.7, 0.8],
})  # fmt: skip


def list_areas(drawn):
    """The bottom of each row, and the heights of its area at every step."""
    areas = []
    for points in re.findall(r'<polygon class="area [a-z]*" points="([^"]+)"', drawn):
        places = [tuple(map(float, point.split(","))) for point in points.split(" ")]
        areas.append([places[0][1] - y for _, y in places[1:-1]])
    return areas


def test_areas_are_as_high_as_their_probabilities_and_the_likeliest_at_the_end_comes_first():
    drawn = draw_course(FALLING, "epoch")
    assert re.findall(r'text-anchor="end">([^<]+)<', drawn) == ["conv 3×3", "none"]
    for heights, shares in zip(list_areas(drawn), ([0.4, 0.7, 0.8], [0.6, 0.3, 0.2]), strict=True):
        assert [height / 20 for height in heights] == pytest.approx([share / 0.8 for share in shares], abs=0.01)
    assert re.findall(r">([\d.]+%)<", drawn) == ["80.0%", "20.0%"]
    xs = [float(x) for x in re.findall(r'class="slice" d="M([\d.]+)', drawn)]
    assert (xs[2] - xs[1]) / (xs[1] - xs[0]) == pytest.approx(2, rel=0.01)


def test_every_step_says_its_probabilities_and_the_text_the_first_and_the_last():
    drawn = draw_course(FALLING, "epoch")
    assert re.findall('data-tip="([^"]+)"', drawn)[1] == "epoch 2: conv 3×3 70.0%, none 30.0%"
    assert 'aria-label="a decision: epoch 1, none 60.0%, conv 3×3 40.0%; epoch 4, conv 3×3 80.0%, none 20.0%"' in drawn


def test_change_is_the_probability_that_has_moved():
    assert abs(FALLING.change - 0.4) < 1e-9


def test_of_many_steps_some_are_drawn_and_unlikely_values_together():
    shares = {f"v{n}": [1 / 30] * 500 for n in range(30)} | {"likely": [0.0] * 499 + [0.5]}
    drawn = draw_course(Course("x", range(500), [f"epoch {n}" for n in range(500)], shares), "epoch")
    tips = re.findall('data-tip="([^"]+)"', drawn)
    assert len(tips) == 40
    assert tips[0].startswith("epoch 0:")
    assert tips[-1].startswith("epoch 499:")
    named = re.findall(r'text-anchor="end">([^<]+)<', drawn)
    assert len(named) == 12
    assert named[0] == "likely"
    assert named[-1] == "20 others"


def test_names_are_escaped():
    drawn = draw_course(Course("<b>", [0, 1], ["<b>", "<b>"], {"<b>": [0.5, 0.5], "b": [0.5, 0.5]}), "<b>")
    assert "<b>" not in drawn
