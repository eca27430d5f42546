"""Whatever pair of translators validates builds, trains two steps, and translates in the data's shape and range."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nas import registry
from nas.core.space import drawing, sample
from nas.export.python_source import print_source
from nas.testing import TranslatorSpaceContract
from search_spaces.cyclegan.space import BLOCKS, CycleGanSpace
from search_spaces.operations.modules import SpectralNorm

SMALL = {"*generator.width": (8,), "*discriminator.width": (8,), "*generator.blocks": (1, 2)}
SPACE = CycleGanSpace().restrict(SMALL)


class TestCycleGanSpace(TranslatorSpaceContract):
    genotypes = 30
    built = 2
    test_equal_generators_give_equal_genotypes_in_another_process = None  # it starts one: TestGanSpace tells
    test_restricted_to_one_value_a_decision_is_no_longer_asked_for = None  # nor what estimates the size twice

    def make(self):
        return CycleGanSpace().restrict(SMALL)


def usual(**others):
    return CycleGanSpace().grow(lambda choice: others.get(choice.site, choice.usual))


def drawn(seed, **pins):
    draw = drawing(np.random.default_rng(seed))
    return SPACE.grow(lambda choice: pins[choice.site] if choice.site in pins else draw(choice))


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    channels=st.sampled_from([1, 3]),
    height=st.integers(4, 17),
    width=st.integers(4, 17),
)
def test_any_pair_of_translators_trains_for_any_size(seed, channels, height, width):
    shape = (channels, height, width)
    TranslatorSpaceContract().check(SPACE.build(sample(SPACE, np.random.default_rng(seed)), shape), shape)


def test_the_space_is_registered():
    assert registry.load("space", "cyclegan") is CycleGanSpace
    assert registry.load("space", "cyclegan").task == "cyclegan"


def test_with_the_papers_numbers_the_layers_are_the_papers():
    """Section 7.2, for 128 x 128: c7s1-64, d128, d256, six R256, u128, u64, c7s1-3; C64-C128-C256-C512."""
    genotype = usual(
        **{
            "generator.width": 64, "generator.stages": 2, "generator.blocks": 6,
            "discriminator.width": 64, "discriminator.stages": 3,
        }
    )  # fmt: skip
    model = CycleGanSpace().build(genotype, (3, 128, 128))

    def layers(module):
        return [
            (layer.in_channels, layer.out_channels, layer.kernel_size[0], layer.stride[0])
            for layer in module.modules()
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))
        ]

    for translator in (model.a_to_b, model.b_to_a):
        blocks = [(256, 256, 3, 1)] * 12
        ends = [(128, 64, 4, 2), (64, 3, 7, 1)]
        assert layers(translator) == [
            (3, 64, 7, 1), (64, 128, 3, 2), (128, 256, 3, 2), *blocks, (256, 128, 4, 2), *ends,
        ]  # fmt: skip
        modes = {layer.padding_mode for layer in translator.modules() if isinstance(layer, nn.Conv2d)}
        assert modes == {"reflect"}
        norms = [layer for layer in translator.modules() if isinstance(layer, nn.InstanceNorm2d)]
        assert len(norms) == 3 + 12 + 2
        assert not any(norm.affine or norm.track_running_stats for norm in norms)
    for discriminator in (model.discriminator_a, model.discriminator_b):
        assert layers(discriminator) == [
            (3, 64, 4, 2), (64, 128, 4, 2), (128, 256, 4, 2), (256, 512, 4, 1), (512, 1, 4, 1),
        ]  # fmt: skip
        assert sum(isinstance(layer, nn.InstanceNorm2d) for layer in discriminator.modules()) == 3  # not the first
    weights = torch.cat([layer.weight.flatten() for layer in model.modules() if isinstance(layer, nn.Conv2d)])
    assert weights.std().item() == pytest.approx(0.02, rel=0.01)


@pytest.mark.parametrize(("stages", "side"), [(1, 16), (2, 34), (3, 70)])
def test_a_logit_depends_on_one_patch(stages, side):
    """The paper's discriminator sees patches of 70 x 70 (sections 4 and 7.2); with fewer stages of fewer pixels."""
    genotype = usual(
        **{
            "discriminator.stages": stages, "discriminator.normalisation": "none", "discriminator.width": 8,
            "initialisation": "default",
        }
    )  # fmt: skip
    discriminator = CycleGanSpace().build(genotype, (1, 96, 96)).discriminator_b
    image = torch.rand(1, 1, 96, 96, requires_grad=True)
    logits = discriminator(image)
    patches = round(logits.shape[1] ** 0.5)
    (gradient,) = torch.autograd.grad(logits[0, (patches // 2) * patches + patches // 2], image)
    rows, columns = gradient[0, 0].nonzero().unbind(1)
    assert rows.max() - rows.min() + 1 == columns.max() - columns.min() + 1 == side


@pytest.mark.parametrize("directions", ["alike", "own"])
def test_directions_share_their_architecture_or_have_their_own(directions):
    others = {"directions": directions, "backward_generator.width": 16, "backward_discriminator.stages": 3}
    genotype = usual(**others, **{"generator.width": 8, "discriminator.stages": 1, "discriminator.width": 8})
    model = CycleGanSpace().build(genotype, (1, 16, 16))
    widths = [translator.start[0].out_channels for translator in (model.a_to_b, model.b_to_a)]
    assert widths == ([8, 8] if directions == "alike" else [8, 16])
    strides = [
        sum(layer.stride == (2, 2) for layer in judge.modules() if isinstance(layer, nn.Conv2d))
        for judge in (model.discriminator_a, model.discriminator_b)
    ]  # A's judges what comes back
    assert strides == ([1, 1] if directions == "alike" else [3, 1])
    assert any(site.startswith("backward_") for site in genotype.content) == (directions == "own")


def test_what_is_the_same_model_has_one_canonical_form():
    space = CycleGanSpace()
    alike = usual()
    same = {f"backward_{site}": value for site, value in alike.content.items() if "generator." in site}
    same |= {f"backward_{site}": value for site, value in alike.content.items() if "discriminator." in site}
    own = usual(directions="own", **same)
    assert own != alike
    assert space.canonical_form(own) == space.canonical_form(alike)
    other = usual(directions="own", **same | {"backward_generator.width": 8})
    assert space.canonical_form(other) != space.canonical_form(alike)
    cells = [
        usual(**{"generator.block": "cell", "generator.cell.node1.operation0": a, "generator.cell.node1.operation1": b})
        for a, b in (("conv_3x3", "skip"), ("skip", "conv_3x3"), ("skip", "conv_5x5"))
    ]
    assert len({space.canonical_form(genotype) for genotype in cells}) == 2
    assert len(set(cells)) == 3


def test_batch_normalisation_never_meets_the_gradient_penalty():
    for seed in range(30):
        genotype = drawn(seed, loss="wasserstein_gradient_penalty", directions="own")
        assert genotype.content["gradient_penalty"] in (1.0, 10.0)
        model = SPACE.build(genotype, (1, 8, 8))
        judges = (*model.discriminator_a.modules(), *model.discriminator_b.modules())
        assert not any(isinstance(layer, nn.BatchNorm2d) for layer in judges)


def test_a_space_offers_the_losses_that_it_names():
    class Relativistic(CycleGanSpace):
        name = "relativistic-cyclegan"
        losses = ("least_squares", "relativistic")

    space = Relativistic()
    genotype = space.grow(lambda choice: "relativistic" if choice.site == "loss" else choice.usual)
    assert (genotype.content["r1"], genotype.content["r2"]) == (0.1, 0.1)
    assert "relativistic, R1 0.1, R2 0.1, cycle 10" in space.describe(genotype, (1, 8, 8))
    assert not {"r1", "r2"} & set(space.grow(lambda choice: choice.usual).content)


def test_spectral_normalisation_is_around_every_layer_of_the_discriminator_that_asks_for_it():
    pins = {"discriminator.spectral_norm": True, "backward_discriminator.spectral_norm": False}
    genotype = drawn(0, directions="own", **pins)
    model = SPACE.build(genotype, (1, 8, 8))
    convolutions = sum(isinstance(layer, nn.Conv2d) for layer in model.discriminator_b.modules())
    assert sum(isinstance(layer, SpectralNorm) for layer in model.discriminator_b.modules()) == convolutions
    assert not any(isinstance(layer, SpectralNorm) for layer in model.discriminator_a.modules())


@pytest.mark.parametrize("skips", [False, True])
def test_skips_hand_on_what_entered_each_stage(skips):
    genotype = usual(**{"generator.skips": skips, "generator.width": 8, "generator.stages": 2})
    translator = CycleGanSpace().build(genotype, (1, 9, 6)).a_to_b
    entering = [stage[0].in_channels for stage in translator.up] + [translator.end[0].in_channels]
    assert entering == ([32, 32, 16] if skips else [32, 16, 8])
    assert translator(torch.rand(2, 1, 9, 6)).shape == (2, 1, 9, 6)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("block", BLOCKS)
def test_translators_print_as_source_that_builds_them(block, seed):
    shape = [(1, 8, 8), (3, 9, 6)][seed]
    torch.manual_seed(seed)
    model = SPACE.build(drawn(seed, **{"generator.block": block}), shape)
    TranslatorSpaceContract().check(model.train(), shape)
    names = {"torch": torch, "nn": nn, "F": nn.functional, "Tensor": torch.Tensor, "__name__": "printed"}
    source = "from __future__ import annotations\n" + print_source(model.a_to_b)
    exec(compile(source, "model.py", "exec"), names)
    again = names["build"]()
    again.load_state_dict(model.a_to_b.state_dict())
    images = torch.rand(2, *shape)
    with torch.no_grad():
        assert torch.equal(again.eval()(images), model.a_to_b.eval()(images))
    assert max(map(len, source.splitlines())) <= 120
