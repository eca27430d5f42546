"""Cells of motifs and cells that grow: whatever is made of them builds, trains, and is recognised when written anew."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nas.core.space import sample
from search_spaces.autoencoder.space import AutoencoderSpace
from search_spaces.cells import graph
from search_spaces.cells.canonical import canonicalise_cell
from search_spaces.cells.edge import Edge, build_cell
from search_spaces.cells.encodings import ENCODINGS
from tests.parts.cells import CellSpace

CELLS = tuple(ENCODINGS)
SMALL = {"latent": (2, 16), "width": (8,), "decoder_width": (8, 16), "stages": (1, 2), "network": ("convolutional",)}
SPACES = {cells: AutoencoderSpace().conditioned(None).restrict({**SMALL, "cells": (cells,)}) for cells in CELLS}
ALL = AutoencoderSpace().conditioned(None).restrict(SMALL)


def grown(space, **answers):
    """The genotype that is usual but for these answers, given by the end of their sites."""

    def answer(choice):
        return next((value for site, value in answers.items() if choice.site.endswith(site)), choice.usual)

    return space.grow(answer)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.sampled_from([(1, 8, 8), (3, 13, 10), (1, 5, 21)]),
    cells=st.sampled_from(CELLS),
)
def test_whatever_sampling_mutation_and_crossover_make_builds_and_trains(seed, shape, cells):
    space, generator = SPACES[cells], np.random.default_rng(seed)
    first, second = sample(space, generator), sample(space, generator)
    mutant, _ = space.mutate(first, generator)
    for genotype in (first, mutant, space.crossover(mutant, second, generator)):
        space.validate(genotype)
        model = space.build(genotype, shape).train()
        images = torch.rand(3, *shape)
        (model(images) - images).square().mean().backward()
        # every part is reached: nothing that is built is disconnected
        for half in (model.encoder, model.decoder):
            assert all(parameter.grad is not None for parameter in half.parameters())
        assert "\n" not in space.describe(genotype, shape)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_parents_of_different_encodings_have_children(seed):
    generator = np.random.default_rng(seed)
    first, second = (sample(SPACES[cells], generator) for cells in generator.choice(CELLS, 2, replace=False))
    child = ALL.crossover(first, second, generator)
    ALL.validate(child)
    assert ALL.build(child, (1, 8, 8))(torch.rand(3, 1, 8, 8)).shape == (3, 1, 8, 8)


def test_every_decision_of_every_encoding_is_found():
    counts = {cells: len(CellSpace(cells).choices()) for cells in CELLS}
    assert counts == {"edge": 13, "hierarchical": 3 * 6 + 6, "graph": 15 + 7 + 7 + 2 * 3}


def test_sizes_are_those_that_counting_by_hand_gives():
    def splits(low, high, depth):
        yield []
        if depth < graph.DEPTH:
            middle = (low + high) / 2
            sides = splits(low, middle, depth + 1), splits(middle, high, depth + 1)
            for left, right in itertools.product(*map(list, sides)):
                yield [(middle, depth + 1), *left, *right]

    graphs = 0
    for tree in splits(0.0, 1.0, 0):
        shallow = [(0.0, 0), *((place, depth) for place, depth in tree if depth < graph.DEPTH), (1.0, 0)]
        joined = {(0.0, 1.0)} | {pair for place, depth in tree for pair in _beside(place, depth)}
        free = sum((a, b) not in joined for (a, _), (b, _) in itertools.combinations(sorted(shallow), 2))
        graphs += 10 ** (len(tree) + 1) * 11 ** len(tree) * 11**free
    assert CellSpace("hierarchical").size() == 7**18 * 4**6
    assert CellSpace("edge").size() == pytest.approx(110 + 110 * 440 + 110 * 440 * 990, rel=0.1)
    assert CellSpace("graph").size() == pytest.approx(graphs, rel=0.5)


def _beside(place, depth):
    return ((place - 0.5**depth, place), (place, place + 0.5**depth))


# -- hierarchical


def test_the_usual_motifs_are_chains_of_identities():
    space = CellSpace("hierarchical")
    usual = grown(space)
    assert canonicalise_cell(space.edges(usual)) == canonicalise_cell([]) == canonicalise_cell([Edge(0, 1, "skip")])
    x = torch.rand(2, 4, 5, 5)
    assert torch.equal(space.build(usual, (4, 5, 5))(x), x)


def test_levels_are_drawn_before_edges():
    space, generator = CellSpace("hierarchical"), np.random.default_rng(0)
    levels = [space.mutate(grown(space), generator)[1].split(".")[1] for _ in range(400)]
    assert 0.42 < levels.count("level2") / 400 < 0.58  # although 18 of 24 edges are of that level


def test_what_passes_nothing_is_none_and_a_cell_without_a_path_the_identity():
    space = CellSpace("hierarchical")
    blocked = grown(space, **{f"motif{motif}.edge_2_3": "none" for motif in range(3)})
    assert type(space.build(blocked, (4, 5, 5))) is nn.Identity
    assert canonicalise_cell(space.edges(blocked)) == ()
    # one motif blocked: the only path of the cell leads around it
    around = grown(space, **{"motif1.edge_2_3": "none", "motif0.edge_0_1": "conv_1x1", "level3.edge_0_3": "motif0"})
    assert space.edges(around) == [Edge(0, 1, "conv_1x1"), Edge(1, 2, "skip"), Edge(2, 3, "skip")]
    assert len(list(space.build(around, (4, 5, 5)).parameters())) == 2


def test_each_use_of_a_motif_has_weights_of_its_own():
    space = CellSpace("hierarchical")
    twice = grown(space, **{"motif0.edge_0_1": "conv_1x1", "level3.edge_1_2": "motif0", "level3.edge_2_3": "motif0"})
    weights = [p for p in space.build(twice, (4, 5, 5)).parameters() if p.ndim == 4]
    assert len(weights) == 3
    assert not torch.equal(weights[0], weights[1])


# -- graph


def test_the_usual_graph_is_minimal():
    space = CellSpace("graph")
    assert space.edges(grown(space)) == [Edge(0, 1, "conv_3x3")]


def test_a_split_puts_a_node_between_and_the_connection_is_disabled_or_kept():
    space = CellSpace("graph")
    split = grown(space, **{"0-1.split": True, "0-0.5.operation": "conv_1x1"})
    assert space.edges(split) == [Edge(0, 1, "conv_1x1"), Edge(1, 2, "conv_3x3")]
    kept = grown(space, **{"0-1.split": True, "0-1.kept": True, "0-0.5.operation": "conv_1x1"})
    assert space.edges(kept) == [Edge(0, 1, "conv_1x1"), Edge(0, 2, "skip"), Edge(1, 2, "conv_3x3")]


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_graphs_have_neither_cycles_nor_dead_ends_nor_parallel_edges(seed):
    space, generator = CellSpace("graph"), np.random.default_rng(seed)
    genotype = space.crossover(sample(space, generator), sample(space, generator), generator)
    edges = space.edges(genotype)
    last = max(edge.target for edge in edges)
    assert all(edge.source < edge.target for edge in edges)
    assert {edge.target for edge in edges} == set(range(1, last + 1))
    assert {edge.source for edge in edges} == set(range(last))
    assert len({(edge.source, edge.target) for edge in edges}) == len(edges)


def test_the_same_split_has_the_same_name_in_every_genotype():
    space, generator = CellSpace("graph"), np.random.default_rng(0)
    places = {}
    for _ in range(200):
        for site in sample(space, generator).content:
            source, target = site.removeprefix("cell.").rsplit(".", 1)[0].split("-")
            assert float(source) < float(target)
            places.setdefault((float(source), float(target)), set()).add(f"{source}-{target}")
    assert all(len(names) == 1 for names in places.values())


# -- canonical forms


WITHOUT_WEIGHTS = CellSpace("hierarchical").restrict(
    {"cell.level2.*": ("none", "skip", "average_pool_3x3", "max_pool_3x3")}
)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_motifs_written_out_compute_what_the_nested_modules_compute(seed):
    space, genotype = WITHOUT_WEIGHTS, sample(WITHOUT_WEIGHTS, np.random.default_rng(seed))
    x = torch.rand(2, 3, 6, 5)
    flat = build_cell(space.edges(genotype), 3, "none", "relu")
    assert torch.allclose(space.build(genotype, (3, 6, 5))(x), flat(x), rtol=1e-4)


def test_the_same_graph_has_one_form_in_every_encoding():
    edge = grown(CellSpace("edge"))  # a convolution and a residual connection
    graph_cell = grown(CellSpace("graph"), **{"0-1.split": True, "0-1.kept": True, "0.5-1.operation": "skip"})
    forms = {canonicalise_cell(CellSpace(name).edges(g)) for name, g in (("edge", edge), ("graph", graph_cell))}
    assert forms == {canonicalise_cell([Edge(0, 1, "skip"), Edge(0, 1, "conv_3x3")])}


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_graphs_of_one_form_compute_the_same(seed):
    generator = np.random.default_rng(seed)
    x, known = torch.rand(1, 2, 5, 5), {}
    for _ in range(60):
        last = int(generator.integers(2, 6))
        edges = [
            Edge(int(generator.integers(target)), target, str(generator.choice(["skip", "max_pool_3x3"])))
            for target in range(1, last + 1)
            for _ in range(int(generator.integers(1, 3)))
        ]
        made = build_cell(edges, 2, "none", "relu")(x)
        assert torch.allclose(made, known.setdefault(canonicalise_cell(edges), made), rtol=1e-4)


def test_numbering_and_order_do_not_matter():
    generator = np.random.default_rng(0)
    for _ in range(100):
        edges = [Edge(s, t, str(generator.choice(["skip", "a", "b"]))) for t in range(1, 6) for s in range(t)
                 if s == t - 1 or generator.random() < 0.4]  # fmt: skip
        names = [0, *(generator.permutation(20)[:5] + 1)]
        again = [Edge(int(names[e.source]), int(names[e.target]), e.operation) for e in edges]
        assert canonicalise_cell(edges) == canonicalise_cell([again[i] for i in generator.permutation(len(again))])


def test_whose_output_is_used_twice_is_told_apart():
    like = [Edge(0, 1, "a"), Edge(0, 2, "a"), Edge(1, 3, "b"), Edge(1, 3, "c"), Edge(2, 3, "d")]
    unlike = [Edge(0, 1, "a"), Edge(0, 2, "a"), Edge(1, 3, "b"), Edge(2, 3, "c"), Edge(2, 3, "d")]
    other = [Edge(0, 1, "a"), Edge(0, 2, "a"), Edge(2, 3, "b"), Edge(2, 3, "c"), Edge(1, 3, "d")]
    assert canonicalise_cell(like) != canonicalise_cell(unlike)
    assert canonicalise_cell(like) == canonicalise_cell(other)
