"""Whatever pair validates builds, trains two steps, and samples in the data's shape and range."""

import functools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nas import registry
from nas.core.errors import InvalidGenotype, UserError
from nas.core.space import Condition, Conditionable, sample
from nas.export.onnx import export_onnx, load_onnx
from nas.export.program import capture_program
from nas.export.python_source import print_source
from nas.testing import GanSpaceContract
from search_spaces.adversarialnas.space import AdversarialNasSpace
from search_spaces.autogan.space import AutoganSpace
from search_spaces.gan.space import CONDITIONS, DISCRIMINATORS, GENERATORS, GanSpace
from tests.parts.gan_spaces import SMALL, UNCONDITIONED, GanSpaceOfComparisons, drawn, usual

LABELS, VECTORS = Condition("label", 10), Condition("vector", 7)
SPACES = {condition: GanSpace().conditioned(condition).restrict(SMALL) for condition in (None, LABELS, VECTORS)}


class SmallAutogan(AutoganSpace):
    latent, generator_channels, discriminator_channels = 8, 8, 8


class SmallAdversarialNas(AdversarialNasSpace):
    latent, generator_channels, discriminator_channels = 12, 8, 8


class TestGanSpace(GanSpaceContract):
    built = 4

    def make(self):
        return GanSpace().conditioned(None).restrict(SMALL)


class Quicker(GanSpaceContract):
    """Without the law that starts a process of its own: TestGanSpace tells."""

    built = 3
    genotypes = 40
    test_equal_generators_give_equal_genotypes_in_another_process = None


class TestGanSpaceOfLabels(Quicker):
    condition = Condition("label", 10)
    test_restricted_to_one_value_a_decision_is_no_longer_asked_for = None  # nor what estimates the size again

    def make(self):
        return GanSpace().conditioned(self.condition).restrict(SMALL)


class TestGanSpaceOfVectors(Quicker):
    condition = Condition("vector", 7)
    test_restricted_to_one_value_a_decision_is_no_longer_asked_for = None
    test_what_a_supernet_stands_for_is_of_the_space_and_builds = None

    def make(self):
        return GanSpace().conditioned(self.condition).restrict(SMALL)


class TestGanSpaceOfOtherLosses(Quicker):
    test_restricted_to_one_value_a_decision_is_no_longer_asked_for = None
    test_what_a_supernet_stands_for_is_of_the_space_and_builds = None

    def make(self):
        return GanSpaceOfComparisons().conditioned(None).restrict(SMALL)


class TestAutogan(Quicker):
    shapes = ((3, 9, 12),)

    def make(self):
        return SmallAutogan()


class TestAdversarialNas(Quicker):
    shapes = ((3, 9, 12),)

    def make(self):
        return SmallAdversarialNas()


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    condition=st.sampled_from([None, LABELS, VECTORS]),
    channels=st.sampled_from([1, 3]),
    height=st.integers(4, 17),
    width=st.integers(4, 17),
)
def test_any_pair_trains_for_any_size(seed, condition, channels, height, width):
    suite = GanSpaceContract()
    suite.condition = condition
    space, shape = SPACES[condition], (channels, height, width)
    suite.check(space.build(sample(space, np.random.default_rng(seed)), shape), shape)


@pytest.mark.parametrize("way", CONDITIONS)
@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize("condition", [LABELS, VECTORS], ids=["label", "vector"])
def test_every_family_is_told_in_every_way(condition, generator, way):
    suite = GanSpaceContract()
    suite.condition = condition
    space = SPACES[condition]
    gan = space.build(drawn(space, 0, condition=way, generator=generator), (1, 9, 6))
    assert gan.condition == ("none" if way == "none" else condition.kind)
    suite.check(gan, (1, 9, 6))
    if way == "none":
        return
    noise = torch.randn(1, gan.latent).expand(2, -1)  # one noise, two conditions
    told = torch.tensor([1, 2]) if condition is LABELS else torch.eye(7)[:2]
    with torch.no_grad():
        for half, given_ in ((gan.generator, noise), (gan.discriminator, torch.rand(1, 1, 9, 6).expand(2, -1, -1, -1))):
            first, second = half.eval()(given_, told)
            assert not torch.equal(first, second)


def test_the_usual_pair_is_dcgan_at_half_its_width():
    genotype = usual(GanSpace())
    gan = GanSpace().build(genotype, (3, 32, 32))
    kinds = [type(layer) for layer in gan.generator.layers]
    block = [nn.ConvTranspose2d, nn.BatchNorm2d, nn.ReLU]
    assert kinds == [nn.Linear, nn.Unflatten, nn.BatchNorm2d, nn.ReLU, *block, *block, nn.ConvTranspose2d, nn.Sigmoid]
    ups = [layer for layer in gan.generator.layers if isinstance(layer, nn.ConvTranspose2d)]
    assert [(up.in_channels, up.out_channels) for up in ups] == [(128, 64), (64, 32), (32, 3)]
    assert {(up.kernel_size, up.stride, up.padding) for up in ups} == {((4, 4), (2, 2), (1, 1))}
    kinds = [type(layer) for layer in gan.discriminator.features]
    block = [nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU]
    assert kinds == [nn.Conv2d, nn.LeakyReLU, *block, *block, nn.Flatten]
    assert [layer.negative_slope for layer in gan.discriminator.features if isinstance(layer, nn.LeakyReLU)] == [
        0.2
    ] * 3
    weights = torch.cat([up.weight.flatten() for up in ups])
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)
    assert gan.generator.layers[2].weight.mean().item() == pytest.approx(1, abs=0.01)
    content = genotype.content
    assert (content["latent"], content["generator_learning_rate"], content["beta1"]) == (100, 0.0008, 0.5)


def test_the_momentum_is_that_of_every_batch_normalisation():
    genotype = usual(UNCONDITIONED, batch_norm_momentum=0.3)
    norms = [m for m in UNCONDITIONED.build(genotype, (1, 8, 8)).modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 5
    assert {norm.momentum for norm in norms} == {0.3}


def test_only_a_conditioned_space_decides_about_conditions():
    assert isinstance(GanSpace(), Conditionable)
    assert GanSpace().choices()["condition"].values == CONDITIONS  # whatever the data will say
    space = GanSpace().restrict({"latent": (16,)}).conditioned(LABELS)
    assert space.choices()["condition"].values == CONDITIONS
    assert space.choices()["latent"].values == (16,)
    assert space.conditioned(None).choices()["condition"].values == ("none",)
    with pytest.raises(UserError, match="condition 'projection': the data has neither labels nor vectors"):
        GanSpace().restrict({"condition": ("projection",)}).conditioned(None)
    with pytest.raises(InvalidGenotype, match="before it is known"):
        GanSpace().build(usual(GanSpace(), condition="projection"), (1, 8, 8))


@pytest.mark.parametrize("way", CONDITIONS[1:])
@pytest.mark.parametrize("generator", GENERATORS)
def test_noise_does_not_hide_the_condition_from_the_start(generator, way):
    space = SPACES[LABELS]
    torch.manual_seed(0)
    genotype = usual(space, generator=generator, condition=way, generator_stages=2, style_mixing=0.0)
    gan = space.build(genotype, (1, 8, 8)).train()
    with torch.no_grad():
        noise, labels = torch.randn(8, gan.latent).repeat_interleave(10, 0), torch.arange(10).repeat(8)
        images = gan(noise, labels).view(8, 10, 64)
    by_label, by_noise = images.std(1).mean(), images.std(0).mean()
    assert 0.2 < by_label / by_noise < 5


def test_cells_that_compute_the_same_are_one_candidate():
    space, cells = GanSpace(), {"discriminator": "cells"}
    first, second = ("discriminator_cell.node1.operation0", "discriminator_cell.node1.operation1")
    genotype = usual(space, **cells)
    swapped = usual(space, **cells, **{first: genotype.content[second], second: genotype.content[first]})
    assert swapped != genotype
    assert space.canonical_form(swapped) == space.canonical_form(genotype)
    assert space.canonical_form(usual(space, **cells, latent=64)) != space.canonical_form(genotype)


# -- published spaces


def test_autogan_has_373248_generators():
    assert AutoganSpace().size() == 36 * 72 * 144 == 373_248


def test_adversarialnas_has_1_69e38_pairs():
    generators = (3**2 * 7**5) ** 3
    discriminators = 5**3 * 7**2 * 6**2 * (7**5 * 6**2) ** 3
    assert AdversarialNasSpace().size() == float(generators * discriminators)
    assert f"{generators * discriminators:.2e}" == "1.69e+38"


@pytest.mark.parametrize("name", ["gan", "autogan", "adversarialnas"])
def test_the_spaces_are_registered(name):
    space = registry.load("space", name)()
    assert space.name == name
    assert registry.load("space", name).task == "gan"


def test_published_widths_are_those_of_the_searches():
    gan = AutoganSpace().build(usual(AutoganSpace()), (3, 32, 32))
    start = gan.generator.layers.start[0]
    assert (start.in_features, start.out_features) == (128, 128 * 4 * 4)
    gan = AdversarialNasSpace().build(usual(AdversarialNasSpace()), (3, 32, 32))
    linear = [layer for layer in gan.generator.modules() if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [
        (40, 160 * 4 * 4),
        (40, 160 * 8 * 8),
        (40, 160 * 16 * 16),
    ]


def test_a_published_graph_holds_only_what_leads_to_its_output():
    space = SmallAdversarialNas()
    dead = {f"generator_stage2.edge{edge}": "none" for edge in (2, 3, 4)}
    gan = space.build(usual(space, **dead), (1, 8, 8))
    assert not any(isinstance(layer, nn.Linear) for layer in gan.generator.modules())
    GanSpaceContract().check(gan, (1, 8, 8))
    dead = {f"generator_stage2.edge{edge}": "none" for edge in (0, 2)}  # then nothing is up-sampled by the first edge
    live = space.build(usual(space), (1, 8, 8)).generator
    less = space.build(usual(space, **dead), (1, 8, 8)).generator
    assert sum(p.numel() for p in less.parameters()) < sum(p.numel() for p in live.parameters())
    dead = {f"discriminator_stage3.edge{edge}": "none" for edge in range(5)}
    GanSpaceContract().check(space.build(usual(space, **dead), (1, 8, 8)), (1, 8, 8))


# -- export


def assert_source_builds(half, *inputs):
    names = {"torch": torch, "nn": nn, "F": nn.functional, "Tensor": torch.Tensor, "__name__": "printed"}
    source = "from __future__ import annotations\n" + print_source(half)
    exec(compile(source, "model.py", "exec"), names)
    again = names["build"]()
    again.load_state_dict(half.state_dict())
    with torch.no_grad():
        assert torch.equal(again.eval()(*inputs), half.eval()(*inputs))
    assert max(map(len, source.splitlines())) <= 120


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("discriminator", DISCRIMINATORS)
@pytest.mark.parametrize("generator", GENERATORS)
def test_both_halves_print_as_source_that_builds_them(generator, discriminator, seed):
    condition = [None, LABELS, VECTORS][seed % 3]
    space = SPACES[condition]
    genotype = drawn(space, seed, generator=generator, discriminator=discriminator)
    assert_pair_prints(space, genotype, condition, seed)


@pytest.mark.parametrize("space", [SmallAutogan(), SmallAdversarialNas()], ids=["autogan", "adversarialnas"])
@pytest.mark.parametrize("seed", range(3))
def test_published_pairs_print_as_source(space, seed):
    assert_pair_prints(space, drawn(space, seed), None, seed)


def assert_pair_prints(space, genotype, condition, seed):
    shape = [(1, 8, 8), (3, 9, 6)][seed % 2]
    torch.manual_seed(seed)
    gan = space.build(genotype, shape)
    suite = GanSpaceContract()
    suite.condition = condition
    suite.check(gan.train(), shape)  # statistics and averages that are not the initial ones
    told = suite.told(gan)
    assert_source_builds(gan.generator, torch.randn(suite.images, gan.latent), *told)
    assert_source_builds(gan.discriminator, torch.rand(suite.images, *shape), *told)


@pytest.mark.slow
@pytest.mark.parametrize("generator", ["cells", "style"])
def test_both_halves_become_onnx_for_any_batch(generator, tmp_path):
    minibatch = {"cells": "standard_deviation", "style": "discrimination"}[generator]
    genotype = drawn(UNCONDITIONED, 3, generator=generator, minibatch=minibatch, spectral_norm=True)
    gan = UNCONDITIONED.build(genotype, (1, 9, 7)).eval()
    for half, shape in ((gan.generator, (gan.latent,)), (gan.discriminator, (1, 9, 7))):
        inputs = {"inputs": torch.rand(5, *shape)}
        export_onnx(half, inputs, ["outputs"], tmp_path / "half.onnx", functools.partial(capture_program, half, inputs))
        for images in (2, 5, 7):
            inputs = torch.rand(images, *shape)
            with torch.no_grad():
                (found,) = load_onnx(tmp_path / "half.onnx")({"inputs": inputs})
                assert torch.allclose(found, half(inputs), atol=1e-4)
