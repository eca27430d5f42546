"""Rows of a table as a search space."""

import itertools
import time

import numpy as np
import pytest

from nas.core.errors import InvalidGenotype, UserError
from nas.core.genotype import Genotype
from nas.core.space import sample
from nas.testing import SpaceContract
from search_spaces.choices import ChoiceSpace
from search_spaces.table import TableSpace

COLUMNS = {"first": ("a", "b", "c"), "second": ("a", "b", "c"), "rate": (0.1, 0.2, 0.4, 0.8)}


class TestComplete(SpaceContract):
    shapes = ()

    def make(self):
        return TableSpace(COLUMNS, ordered=("rate",))


class TestIncomplete(SpaceContract):
    shapes = ()

    def make(self):
        rows = [row for i, row in enumerate(itertools.product(*COLUMNS.values())) if i % 3]
        return TableSpace(COLUMNS, ordered=("rate",), rows=rows)


def test_it_does_what_a_choice_space_does_only_faster():
    space, slow = TableSpace(COLUMNS), TableSpace(COLUMNS)
    for name in ("grow", "trace", "choices"):
        setattr(slow, name, getattr(ChoiceSpace, name).__get__(slow))
    generator = np.random.default_rng(0)
    for _ in range(50):
        genotype = sample(space, generator)
        assert slow.trace(genotype) == space.trace(genotype)
        content = genotype.content
        assert slow.grow(lambda choice, content=content: content[choice.site]) == genotype
    assert slow.choices() == space.choices()
    assert space.size() == 36


def test_a_missing_combination_grows_into_the_nearest_row():
    space = TableSpace({"a": ("x", "y"), "b": (1, 2, 3, 4)}, ordered=("b",), rows=[("x", 1), ("x", 3), ("y", 4)])
    grown = space.grow(lambda choice: {"a": "x", "b": 4}[choice.site])
    assert grown.content == {"a": "x", "b": 3}  # a third of the way, nearer than another letter
    with pytest.raises(InvalidGenotype, match="not in the table"):
        space.validate(Genotype.of("table", 1, {"a": "y", "b": 1}))


def test_mutants_in_a_sparse_table_are_other_rows_that_are_there():
    rows = [("x", 1), ("x", 3), ("y", 4)]
    space = TableSpace({"a": ("x", "y"), "b": (1, 2, 3, 4)}, rows=rows)
    generator = np.random.default_rng(0)
    genotype = sample(space, generator)
    reached = set()
    for _ in range(60):
        mutant, _ = space.mutate(genotype, generator)
        assert mutant != genotype
        assert space.row(mutant) in rows
        reached.add(space.row(mutant))
        genotype = mutant
    assert reached == set(rows)


def test_a_restriction_that_no_row_satisfies_is_refused():
    space = TableSpace({"a": ("x", "y"), "b": ("u", "v")}, rows=[("x", "u"), ("y", "v")])
    with pytest.raises(UserError, match="row of the table"):
        space.restrict({"a": ("x",), "b": ("v",)})


def test_there_is_nothing_to_build():
    space = TableSpace(COLUMNS)
    with pytest.raises(NotImplementedError, match="no models"):
        space.build(sample(space, np.random.default_rng(0)), (1, 8, 8))


def test_looking_for_the_nearest_of_many_rows_is_quick():
    columns = {f"c{i}": tuple(range(8)) for i in range(5)}
    rows = [row for i, row in enumerate(itertools.product(*columns.values())) if i % 2]
    space = TableSpace(columns, rows=rows)
    generator = np.random.default_rng(0)
    began = time.process_time()
    for _ in range(50):
        sample(space, generator)
    assert time.process_time() - began < 5
