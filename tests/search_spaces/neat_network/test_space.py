"""NEAT's networks as a search space: mutations, crossing, names of innovations, and what they compute."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from examples.xor import XOR
from nas.core.errors import InvalidGenotype
from nas.core.genotype import Genotype
from nas.core.space import Evolvable, Genetic, sample
from nas.export.python_source import print_source
from search_spaces.neat_network.space import NetworkSpace, _place

SPACE = NetworkSpace()


def evolved(seed, steps=40, space=SPACE):
    """A population that structural mutations and crossover have made large."""
    generator = np.random.default_rng(seed)
    members = [sample(space, generator) for _ in range(4)]
    for _ in range(steps):
        first, second = (members[int(generator.integers(4))] for _ in range(2))
        members[int(generator.integers(4))] = space.mutate(space.crossover(first, second, generator), generator)[0]
    return members


def grown_network(*splits, space=SPACE):
    """The first network with the connections of these names split in turn."""
    genotype = space.grow(lambda choice: 0.5)
    for innovation in splits:
        content = genotype.content
        for attempt in range(10_000):
            mutant, change = space.mutate(genotype, np.random.default_rng(attempt))
            added = set(mutant.content["nodes"]) - set(content["nodes"])
            if change == "node" and mutant.content["nodes"][added.pop()][:2] == innovation.split(">"):
                genotype = mutant
                break
    return genotype


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
@example(seed=96524)  # a link is added where the text names the nodes in another order than that of their making
def test_whatever_evolution_makes_validates_and_computes(seed):
    fresh = NetworkSpace()
    for genotype in evolved(seed):
        again = Genotype.parse(genotype.text)
        assert again == genotype
        fresh.validate(again)  # read from its text, not remembered
        assert fresh.read(again) == SPACE.read(genotype)
        # what happens next does not depend on whether a network was read or made
        mutants = [of.mutate(again, np.random.default_rng(seed))[0] for of in (fresh, SPACE)]
        assert mutants[0] == mutants[1]
        outputs = fresh.function(again)([inputs for inputs, _ in XOR])
        assert all(0 <= row[0] <= 1 for row in outputs)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_module_computes_the_same_and_is_exported(seed):
    genotype = evolved(seed)[0]
    rows = torch.rand(5, 2, dtype=torch.float64)
    model = SPACE.build(genotype, (2, 1, 1)).double()
    expected = torch.tensor(SPACE.function(genotype)(rows.tolist()), dtype=torch.float64)
    assert torch.allclose(model(rows[:, :, None, None]), expected, atol=1e-6)
    names = {"torch": torch, "nn": torch.nn, "Tensor": torch.Tensor, "__name__": "printed"}
    exec(compile("from __future__ import annotations\n" + print_source(model), "model.py", "exec"), names)
    assert torch.equal(names["build"]().double()(rows), model(rows))


def test_networks_begin_minimally():
    genotype = sample(SPACE, np.random.default_rng(0))
    assert [gene[0] for gene in genotype.content["connections"]] == ["bias>y0", "x0>y0", "x1>y0"]
    assert genotype.content["nodes"] == {}
    assert isinstance(SPACE, Genetic)
    assert isinstance(SPACE, Evolvable)


def test_a_new_node_changes_little_and_disables_what_it_splits():
    genotype = SPACE.grow(lambda choice: 0.5)
    split = grown_network("x0>y0")
    (name,) = split.content["nodes"]
    before = genotype.content["connections"]
    assert split.content["connections"] == [
        before[0],
        ["x0>y0", 0.5, False],
        before[2],
        [f"x0>{name}", 1.0, True],
        [f"{name}>y0", 0.5, True],
    ]


def test_the_same_split_has_the_same_name_wherever_it_happens():
    one, other = grown_network("x0>y0", "x1>y0"), grown_network("x1>y0", "x0>y0")
    assert one.content["nodes"] == other.content["nodes"]
    assert SPACE.genes(one).keys() == SPACE.genes(other).keys()


def test_crossing_keeps_the_fitters_structure_and_mixes_weights():
    generator = np.random.default_rng(0)
    fitter, other = grown_network("x0>y0"), SPACE.grow(lambda choice: -0.5)
    disabled = weights = 0
    for _ in range(2000):
        child = SPACE.read(SPACE.crossover(fitter, other, generator))
        assert child.splits == SPACE.read(fitter).splits
        assert SPACE.read(fitter).connections.keys() == child.connections.keys()
        disabled += not child.connections["x0>y0"][1]
        weights += child.connections["x1>y0"][0] == -0.5
    assert 0.72 < disabled / 2000 < 0.78  # 75%: disabled in one parent
    assert 0.47 < weights / 2000 < 0.53


def test_mutations_come_as_often_as_in_the_paper():
    generator, genotype = np.random.default_rng(0), grown_network("x0>y0")
    changes = [SPACE.mutate(genotype, generator)[1] for _ in range(5000)]
    something = 1 - 0.2 * 0.95 * 0.97
    assert changes.count("node") / 5000 == pytest.approx(0.03 / something, abs=0.01)  # a few pass over all
    assert changes.count("link") / 5000 == pytest.approx(0.97 * 0.05 / something, abs=0.015)


@pytest.mark.parametrize(
    ("content", "path"),
    [
        ({"connections": []}, "nodes"),
        ({"connections": [], "nodes": {}, "more": 1}, "more"),
        ({"connections": [["y0>x0", 1.0, True]], "nodes": {}}, "y0>x0"),
        ({"connections": [["x0>y0", 1, True]], "nodes": {}}, r"connections\.0"),
        ({"connections": [["x0>h1", 1.0, True]], "nodes": {}}, "x0>h1"),
        ({"connections": [["x0>y0", 1.0, True]] * 2, "nodes": {}}, "twice"),
        ({"connections": [], "nodes": {"h1": ["x0", "y0", 0]}}, "h1"),
        ({"connections": [], "nodes": {"h1": ["x0"]}}, "h1"),
    ],
)
def test_what_is_no_network_is_refused_with_the_path(content, path):
    with pytest.raises(InvalidGenotype, match=path):
        SPACE.validate(Genotype.of("network", 1, content))


def test_nodes_have_places_of_their_own_between_the_ends():
    places = dict.fromkeys(("bias", "x0", "x1"), 0.0) | {"y0": 1.0}
    network = SPACE.read(grown_network("x0>y0", "x1>y0"))
    for name, (source, target, _) in network.splits.items():
        assert places[source] < _place(name, network.splits, places) < places[target]
    assert len(set(places.values())) == 4
