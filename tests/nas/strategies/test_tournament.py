"""Tournaments: who takes part, and who wins."""

import numpy as np
import pytest

from nas.strategies.tournament import loss_then_number, select_by_tournament
from nas.testing.toys import curved

POPULATION = [curved(number, [loss], "complete") for number, loss in enumerate([3.0, 1.0, 2.0, 1.0, 5.0])]


def test_the_least_loss_wins_and_among_equals_the_earlier():
    assert [trial.number for trial in sorted(POPULATION, key=loss_then_number)] == [1, 3, 2, 0, 4]
    assert select_by_tournament(POPULATION, 5, np.random.default_rng(0), replace=False).number == 1


@pytest.mark.parametrize(("replace", "chance"), [(True, 1 / 25), (False, 0.0)])
def test_the_worst_wins_only_where_it_can_be_drawn_twice(replace, chance):
    generator = np.random.default_rng(0)
    winners = [select_by_tournament(POPULATION, 2, generator, replace=replace).number for _ in range(2000)]
    assert winners.count(4) / 2000 == pytest.approx(chance, abs=0.015)
