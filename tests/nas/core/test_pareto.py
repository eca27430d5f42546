"""Dominance, fronts and crowding, against their definitions and against DEAP."""

import itertools

from deap import base, tools
from hypothesis import given
from hypothesis import strategies as st

from nas.core.pareto import (
    crowding_distances,
    dominates,
    most_spread,
    non_dominated_sort,
    pareto_front,
    ranking,
)

# few distinct values: ties and duplicates are where such code goes wrong
coarse = st.integers(0, 5).map(float)
points = st.integers(1, 4).flatmap(lambda m: st.lists(st.tuples(*[coarse] * m), max_size=30))
fine = st.floats(-1e6, 1e6, allow_subnormal=False)
spread = st.integers(1, 4).flatmap(lambda m: st.lists(st.tuples(*[fine] * m), max_size=25))


def test_dominance_is_better_in_one_and_worse_in_none():
    assert dominates((1.0, 2.0), (1.0, 3.0))
    assert not dominates((1.0, 3.0), (1.0, 2.0))
    assert not dominates((1.0, 2.0), (1.0, 2.0))
    assert not dominates((1.0, 3.0), (2.0, 2.0))
    assert dominates((1.0, 1.0), (float("inf"), float("inf")))


@given(points)
def test_dominance_is_a_strict_order(losses):
    for a in losses:
        assert not dominates(a, a)
        for b in losses:
            assert not (dominates(a, b) and dominates(b, a))
            for c in losses[:5]:
                if dominates(a, b) and dominates(b, c):
                    assert dominates(a, c)


@given(points)
def test_each_front_is_what_nobody_in_the_rest_dominates(losses):
    fronts = non_dominated_sort(losses)
    assert sorted(index for front in fronts for index in front) == list(range(len(losses)))
    left = set(range(len(losses)))
    for front in fronts:
        free = {i for i in left if not any(dominates(losses[j], losses[i]) for j in left)}
        assert set(front) == free
        assert front == sorted(front, key=lambda i: (losses[i], i))
        left -= free
    assert not left


class Minimised(base.Fitness):
    weights = (-1.0, -1.0, -1.0)


class Individual:
    def __init__(self, index, losses):
        self.index, self.fitness = index, Minimised(losses)


@given(st.lists(st.tuples(coarse, coarse, coarse), min_size=1, max_size=30))
def test_the_fronts_are_deaps(losses):
    individuals = [Individual(index, point) for index, point in enumerate(losses)]
    theirs = tools.sortNondominated(individuals, len(individuals))
    assert [{i.index for i in front} for front in theirs] == [set(front) for front in non_dominated_sort(losses)]


# no ties: which of equals counts as the end is left open by the paper
distinct = tuple(lambda point, i=i: point[i] for i in range(3))


@given(st.lists(st.tuples(fine, fine, fine), min_size=1, max_size=20, unique_by=distinct))
def test_the_crowding_distance_is_deaps(losses):
    individuals = [Individual(index, point) for index, point in enumerate(losses)]
    tools.emo.assignCrowdingDist(individuals)
    for mine, individual in zip(crowding_distances(losses), individuals, strict=True):
        theirs = 3 * individual.fitness.crowding_dist  # theirs is the mean over the objectives
        assert mine == theirs or abs(mine - theirs) <= 1e-9 * max(1.0, abs(mine))


def test_the_crowding_distance_of_four_points_on_a_line():
    inf = float("inf")
    assert crowding_distances([(0.0, 3.0), (1.0, 2.0), (2.5, 0.5), (3.0, 0.0)]) == [inf, 2.5 / 3 * 2, 2 / 3 * 2, inf]
    assert crowding_distances([]) == []
    assert crowding_distances([(1.0, 1.0)]) == [inf]


@given(points)
def test_the_front_is_the_first_front_without_failures(losses):
    assert pareto_front(losses) == (non_dominated_sort(losses)[0] if losses else [])
    failed = [*losses, tuple(float("inf") for _ in losses[0])] if losses else [(float("inf"),)]
    assert pareto_front(failed) == pareto_front(losses)


@given(points)
def test_the_first_of_the_ranking_is_the_best_in_the_first_objective(losses):
    order = ranking(losses)
    assert sorted(order) == list(range(len(losses)))
    if losses:
        assert order[0] == min(range(len(losses)), key=lambda i: (losses[i], i))
    for earlier, later in itertools.pairwise(order):
        assert not dominates(losses[later], losses[earlier])


@given(st.lists(coarse, max_size=30))
def test_with_one_objective_the_ranking_is_by_it(values):
    assert ranking([(value,) for value in values]) == sorted(range(len(values)), key=lambda i: (values[i], i))


@given(spread, st.integers(1, 10))
def test_what_is_shown_of_a_front_keeps_its_ends(losses, count):
    front = [losses[i] for i in pareto_front(losses)]
    shown = most_spread(front, count)
    assert len(shown) == min(count, len(front))
    assert shown == sorted(shown)
    if front and count >= 2 * len(front[0]):
        for objective in range(len(front[0])):
            values = [point[objective] for point in front]
            assert {min(values), max(values)} <= {front[i][objective] for i in shown}
    if front:
        assert 0 in shown
