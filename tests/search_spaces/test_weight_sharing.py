"""A space of cells that is asked in one line for more operations: searched, varied, built and relaxed."""

import numpy as np
import pytest
import torch

import nas
from nas.core.space import drawing, sample
from nas.core.supernet import SupernetPlan
from nas.export.python_source import print_source
from nas.testing import SpaceContract
from search_spaces.autoencoder.space import AutoencoderSpace
from search_spaces.cells.edge import CELL_OPERATIONS
from search_spaces.cells.hierarchical import PRIMITIVES
from search_spaces.gan.space import GanSpace
from tests.conftest import tiny_data

MORE = ("separable_7x7", "dilated_7x7")
SMALL = {"latent": (2, 16), "width": (8,), "decoder_width": (8,), "stages": (1, 2), "network": ("convolutional",)}


class WideKernels(AutoencoderSpace):
    name = "wide-kernels"
    more_operations = MORE


class WideGans(GanSpace):
    name = "wide-gans"
    more_operations = MORE


class TestWideKernels(SpaceContract):
    genotypes = 60
    built = 6

    def make(self):
        return WideKernels().conditioned(None).restrict(SMALL)


def test_every_encoding_offers_them_after_the_usual_ones_and_the_space_itself_does_not():
    choices, usual = WideKernels().choices(), AutoencoderSpace().conditioned(None).choices()
    for site in ("encoder_cell.node1.operation0", "encoder_cell.0-1.operation"):
        assert choices[site].values == (*CELL_OPERATIONS, *MORE)
        assert usual[site].values == CELL_OPERATIONS
        assert choices[site].usual == usual[site].usual == "conv_3x3"
    assert choices["decoder_cell.level2.motif0.edge_0_1"].values == ("none", *PRIMITIVES, *MORE)
    assert WideGans().choices()["discriminator_cell.node1.operation1"].values == ("none", *CELL_OPERATIONS, *MORE)


def test_mutation_finds_them_and_they_print_as_source():
    space, generator = WideKernels().conditioned(None).restrict(SMALL), np.random.default_rng(0)
    genotype = sample(space, generator)
    seen = set()
    for _ in range(400):
        genotype, _ = space.mutate(genotype, generator)
        found = set(MORE) & set(map(str, genotype.content.values()))
        if found - seen:
            assert "nn.Conv2d(8, 8, 7" in print_source(space.build(genotype, (1, 8, 8)))
        seen |= found
    assert seen == set(MORE)


@pytest.mark.parametrize("space", [WideKernels().restrict(SMALL), WideGans().conditioned(None)], ids=["one", "pair"])
def test_a_supernet_relaxes_and_derives_them(space):
    base = space.base(drawing(np.random.default_rng(0), 1.0))
    torch.manual_seed(0)
    supernet = space.relax(base, (1, 8, 8), SupernetPlan(1))
    alphas = supernet.architecture.alphas()
    edges = {name: row for name, row in alphas.items() if "none" in row}
    assert all(set(row) == {"none", *CELL_OPERATIONS, *MORE} for row in edges.values())
    strong = alphas | {name: row | {"dilated_7x7": 9.0} for name, row in edges.items()}
    derived = space.derive(base, strong).genotype
    operations = {value for site, value in derived.content.items() if "_cell.node" in site and "operation" in site}
    assert operations == {"dilated_7x7", "none"}
    supernet.architecture.follow(space.path(derived))
    assert space.build(derived, (1, 8, 8)) is not None


@pytest.mark.usefixtures("only_python", "no_report")
def test_a_search_trains_them(tmp_path):
    pins = {"network": "convolutional", "cells": "edge", "stages": 1, "width": 8, "latent": 8, "decoder": "mirrored",
            "encoder_cell.nodes": 1, "encoder_cell.node1.operation0": "separable_7x7"}  # fmt: skip
    run = nas.search(space=WideKernels, data=tiny_data(), trials=2, epochs=1, pin=pins, runs_dir=tmp_path)
    assert len(run.trials) == 2
    assert "separable_7x7" in run.best.description
