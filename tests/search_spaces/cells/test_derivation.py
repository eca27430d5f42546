"""Cells derived from the alphas of a supernet."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.metrics.cost import count_parameters
from nas.core.errors import InvalidGenotype
from nas.core.supernet import SupernetPlan, perturbed
from search_spaces.autoencoder.space import AutoencoderSpace
from search_spaces.cells.derivation import derive_cell, relax_edges
from search_spaces.cells.edge import CELL_OPERATIONS
from search_spaces.cells.supernet import MixedEdge
from search_spaces.supernet import Architecture
from tests.parts.supernets import FIXED, SHAPE, SPACE, base_of


def drawn_alphas(space, base, seed, plan):
    torch.manual_seed(seed)
    model = space.relax(base, SHAPE, plan)
    generator = np.random.default_rng(seed)
    return {name: {o: 3 * generator.normal() for o in row} for name, row in model.architecture.alphas().items()}


def test_draws_in_numbers_follow_the_softmax():
    alphas = {"edge": {"a": 0.0, "b": math.log(3)}}
    generator = np.random.default_rng(0)
    draws = [max((row := perturbed(alphas, generator)["edge"]), key=row.__getitem__) for _ in range(4000)]
    assert draws.count("b") / 4000 == pytest.approx(0.75, abs=0.02)


def cell_of(strengths, nodes=3, **options):
    """The cell of a space whose edges have these log-weights, 0 for all others."""
    allowed = {"c.nodes": (nodes,)}
    for target in range(1, nodes + 1):
        for slot in (0, 1):
            allowed[f"c.node{target}.input{slot}"] = tuple(range(target))
            allowed[f"c.node{target}.operation{slot}"] = CELL_OPERATIONS if slot == 0 else ("none", *CELL_OPERATIONS)
    allowed |= options.pop("allowed", {})
    alphas = {f"c.{s}-{t}": {o: strengths.get((s, t, o), 0.0) for o in names}
              for (s, t), names in relax_edges(allowed, "c").items()}  # fmt: skip
    sites, skips = derive_cell(allowed, "c", alphas, **options)
    edges = {
        (sites[f"c.node{t}.input{slot}"], t, sites[f"c.node{t}.operation{slot}"])
        for t in range(1, nodes + 1) for slot in (0, 1) if sites[f"c.node{t}.operation{slot}"] != "none"
    }  # fmt: skip
    return edges, skips


def test_a_node_keeps_its_two_strongest_edges_from_distinct_nodes():
    strengths = {
        (0, 1, "conv_3x3"): 1, (0, 1, "none"): 9,  # none is left out, however strong
        (0, 2, "conv_1x1"): 1, (1, 2, "conv_5x5"): 1,
        (0, 3, "conv_3x3"): 3, (0, 3, "skip"): 2.9,  # one operation an edge
        (1, 3, "conv_1x1"): 1, (2, 3, "max_pool_3x3"): 2,
    }  # fmt: skip
    edges, skips = cell_of(strengths)
    assert edges == {(0, 1, "conv_3x3"), (0, 2, "conv_1x1"), (1, 2, "conv_5x5"), (0, 3, "conv_3x3"),
                     (2, 3, "max_pool_3x3")}  # fmt: skip
    assert skips == 0


def test_an_edge_where_none_is_strong_is_weak():
    # the strongest operation counts with its probability among all, none included (section 2.4)
    edges, _ = cell_of({(0, 3, "skip"): 2, (0, 3, "none"): 5, (1, 3, "skip"): 1, (2, 3, "skip"): 1})
    assert {(1, 3, "skip"), (2, 3, "skip")} <= edges


def test_surplus_skips_give_way_to_what_is_next_the_weakest_first():
    strengths = {
        (0, 1, "skip"): 3, (0, 1, "conv_1x1"): 1,
        (0, 2, "skip"): 2, (0, 2, "conv_3x3"): 1, (1, 2, "conv_5x5"): 2,
        (0, 3, "skip"): 4, (1, 3, "skip"): 2.5, (1, 3, "conv_5x5"): 2,
    }  # fmt: skip
    edges, skips = cell_of(strengths)
    assert skips == sum(operation == "skip" for _, _, operation in edges) == 4
    guarded, still = cell_of(strengths, max_skips=2)
    assert still == 4
    assert {edge for edge in guarded if edge[2] == "skip"} == {(0, 1, "skip"), (0, 3, "skip")}
    assert {(0, 2, "conv_3x3"), (1, 3, "conv_5x5")} <= guarded
    none, _ = cell_of(strengths, max_skips=0)
    assert not any(operation == "skip" for _, _, operation in none)


def test_a_skip_that_nothing_may_replace_stays():
    allowed = {"c.node1.operation0": ("skip",), "c.node1.operation1": ("none",)}
    edges, skips = cell_of({}, nodes=1, allowed=allowed, max_skips=0)
    assert (edges, skips) == ({(0, 1, "skip")}, 1)


def test_where_a_second_edge_must_hold_something_it_does():
    edges, _ = cell_of({(0, 1, "skip"): 2}, nodes=1, allowed={"c.node1.operation1": ("conv_1x1", "conv_3x3")})
    assert len(edges) == 2


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), guard=st.sampled_from([None, 0, 1, 2]))
def test_whatever_the_alphas_and_the_restrictions_what_is_derived_is_of_the_space(seed, guard):
    generator = np.random.default_rng(seed)
    restrictions = FIXED | {"decoder": (str(generator.choice(["mirrored", "searched"])),), "decoder_width": (8,)}
    for site, choice in CELL_CHOICES.items():
        if generator.random() < 0.4:
            count = int(generator.integers(1, len(choice.values) + 1))
            keep = generator.choice(len(choice.values), count, replace=False)
            restrictions[site] = tuple(choice.values[i] for i in sorted(keep))
    space = AutoencoderSpace().conditioned(None)
    space._restrictions = restrictions  # at once: to check each takes long
    try:
        base = base_of(space, usual=0.5, seed=seed)
    except InvalidGenotype:
        return
    plan = SupernetPlan(1, edge_normalisation=bool(generator.integers(2)))
    alphas = drawn_alphas(space, base, seed, plan)
    derived = space.derive(base, alphas, guard)
    space.validate(derived.genotype)
    fixed = {site for site in base.content if "_cell." not in site or site.endswith(".nodes")}
    assert all(derived.genotype.content[site] == base.content[site] for site in fixed)
    assert space.derive(base, alphas, guard) == derived
    space.validate(space.derive(base, perturbed(alphas, generator), guard).genotype)


CELL_CHOICES = {
    site: choice for site, choice in AutoencoderSpace().conditioned(None).choices().items() if "_cell." in site
}


def test_the_derived_model_holds_what_its_genotype_uses_and_no_more():
    base = base_of(SPACE)
    supernet = SPACE.relax(base, SHAPE, SupernetPlan(1))
    derived = SPACE.derive(base, supernet.architecture.alphas()).genotype
    model = SPACE.build(derived, SHAPE)
    again = SPACE.build(SPACE.grow(lambda choice: derived.content[choice.site]), SHAPE)
    assert count_parameters(model) == count_parameters(again)
    assert not any(isinstance(module, (MixedEdge, Architecture)) for module in model.modules())
    mixed = sum(p.numel() for m in supernet.modules() if isinstance(m, MixedEdge) for p in m.parameters())
    cells = sum(p.numel() for m in model.modules() if type(m).__name__ == "Cell" for p in m.parameters())
    assert cells < mixed / 4
