"""Whatever pair validates builds, trains two steps, and samples in the data's shape and range."""

import functools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from evaluators.gan.training import RECIPE as RECIPE_OF_PAIRS
from nas import registry
from nas.core.errors import InvalidGenotype, UserError
from nas.core.space import Condition, Conditionable, drawing, generator_for, sample
from nas.export.onnx import export_onnx, load_onnx
from nas.export.program import capture_program
from nas.export.python_source import print_source
from nas.strategies.usual_first import find_usual
from nas.testing import GanSpaceContract
from search_spaces.adversarialnas.space import AdversarialNasSpace
from search_spaces.autogan.space import AutoganSpace
from search_spaces.cyclegan.space import CycleGanSpace
from search_spaces.gan.space import CONDITIONS, DISCRIMINATORS, GENERATORS, GanSpace
from search_spaces.gan.training import GAMMAS, LOSSES, RECIPE

SMALL = {
    "latent": (16, 32),
    "generator_width": (16,),
    "generator_hidden_width": (64,),
    "discriminator_width": (16,),
    "discriminator_hidden_width": (64,),
    "generator_stages": (1, 2, 3),
    "discriminator_stages": (1, 2, 3),
    "generator_growth": (1.0,),
    "discriminator_growth": (1.0,),
    "style_width": (64,),
}
LABELS, VECTORS = Condition("label", 10), Condition("vector", 7)
UNCONDITIONED = GanSpace().conditioned(None).restrict(SMALL)
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


class GanSpaceOfAllLosses(GanSpace):
    name = "gan-of-all-losses"
    losses = tuple(LOSSES)


class GanSpaceOfComparisons(GanSpace):
    name = "gan-of-comparisons"
    losses = ("hinge", "relativistic")


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


def drawn(space, seed, **pins):
    """A genotype drawn at random but for the decisions given: restricting the space would take longer."""
    draw = drawing(np.random.default_rng(seed))
    return space.grow(lambda choice: pins[choice.site] if choice.site in pins else draw(choice))


def usual(space, **others):
    return space.grow(
        lambda choice: others.get(choice.site, choice.values[0] if choice.usual is None else choice.usual)
    )


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


def test_the_usual_pair_whose_weights_are_clipped_is_trained_as_in_its_paper():
    """Arjovsky et al. 2017: RMSprop, and a critic of five steps without batch normalisation."""
    wanted = {
        "optimiser": "rmsprop", "discriminator_steps": 5, "discriminator_batch_norm": False, "clip": 0.01, "r1": 0.0,
    }  # fmt: skip
    content = usual(GanSpace(), loss="wasserstein_clipping").content
    assert wanted.items() <= content.items()
    assert "beta1" not in content


def test_the_usual_style_generator_has_a_judge_with_r1_and_without_batch_normalisation():
    content = usual(GanSpace(), generator="style").content
    assert content["r1"] > 0
    assert not content["discriminator_batch_norm"]
    assert content["discriminator_normalisation"] == "group"
    assert usual(GanSpace(), discriminator_batch_norm=False).content["discriminator_normalisation"] == "none"


def pinned_one_at_a_time():
    """Every decision of the usual pair, pinned to each of its values, and R1, which it does not decide."""
    space = GanSpaceOfAllLosses()
    offered = {d.choice.site: d.choice.values for d in space.trace(find_usual(space, 0))} | {"r1": GAMMAS}
    return [(site, value) for site, values in offered.items() for value in values]


@pytest.mark.parametrize(("site", "value"), pinned_one_at_a_time())
def test_no_pin_makes_a_usual_pair_that_its_paper_warns_of(site, value):
    space = GanSpaceOfAllLosses()._with_restrictions({site: (value,)})  # at once: to check each takes long
    content = find_usual(space, 0).content
    loss, batch_norm = LOSSES[content["loss"]], content.get("discriminator_batch_norm", False)
    assert content.get(site, value) == value
    penalised = loss.gradient_penalty or content.get("r1", 0.0) > 0 or content.get("r2", 0.0) > 0
    # Gulrajani et al. 2017, section 4; Karras et al. 2019, appendix C
    assert not (penalised and batch_norm)
    if loss.clips_weights and site != "optimiser":  # Arjovsky et al. 2017, section 4.3
        assert content["optimiser"] == "rmsprop"
    if loss.clips_weights or loss.gradient_penalty:  # Gulrajani et al. 2017, algorithm 1
        assert content["discriminator_steps"] == 5
        assert content.get("beta1", 0.0) == 0.0
    if loss.clips_weights:
        assert not batch_norm
    if loss.relativistic:  # Huang et al. 2024, section 2: with one or none it need not converge
        assert min(content["r1"], content["r2"]) > 0
    if content["generator"] == "style":
        assert penalised
        assert not batch_norm


def test_r1_and_batch_normalisation_are_never_drawn_together_and_are_refused_where_both_are_pinned():
    space = GanSpaceOfAllLosses().conditioned(None)
    drawn_norms = set()
    for seed in range(200):
        content = sample(space, np.random.default_rng(seed)).content
        drawn_norms.add(content.get("discriminator_batch_norm"))
        if content.get("discriminator_batch_norm"):
            assert "r1" not in content
            assert not LOSSES[content["loss"]].penalises
    assert drawn_norms == {True, False, None}
    both = {"r1": (0.1,), "discriminator_batch_norm": (True,)}
    with pytest.raises(UserError, match=r"--pin 'discriminator_batch_norm': never arises"):
        space.restrict(both, "--pin")
    penalised = {"loss": ("wasserstein_gradient_penalty",), "discriminator_batch_norm": (True,)}
    with pytest.raises(UserError, match=r"--pin 'discriminator_batch_norm': never arises"):
        space.restrict(penalised, "--pin")


def test_a_discriminator_that_keeps_its_batch_normalisation_is_offered_the_losses_that_allow_it():
    """As where the architecture of a trial is kept and its training searched."""
    space = GanSpace().conditioned(None).restrict({"discriminator_batch_norm": (True,)})
    assert "wasserstein_gradient_penalty" not in space.choices()["loss"].values
    assert "hinge" in space.choices()["loss"].values
    assert all(sample(space, np.random.default_rng(n)).content["discriminator_batch_norm"] for n in range(20))


FIRST_VERSION = {
    GanSpace: ("dc2e58073e", "ac8551133a", "d22ebab66c"), CycleGanSpace: ("9b1daed246", "ba242db238", "8815681505"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FIRST_VERSION)
def test_the_first_version_draws_what_it_drew_and_its_genotypes_are_read(kind):
    space, first = kind(), kind().of_version(1)
    drawn = [sample(first, generator_for(seed, 1)) for seed in range(3)]
    assert tuple(genotype.id for genotype in drawn) == FIRST_VERSION[kind]
    for genotype in (*drawn, find_usual(first, 0)):
        assert genotype.version == 1
        assert space.trace(genotype) == first.trace(genotype)
        assert "optimiser" not in space.hyperparameters(genotype)
        assert "Adam" in space.describe(genotype, (1, 8, 8))
    assert first.of_version(1) is first
    with pytest.raises(InvalidGenotype, match=r"is of \w+ version 3, not \w+ version 2"):
        space.of_version(3)


def test_the_usual_training_is_that_of_the_first_version():
    of_first = RECIPE_OF_PAIRS | GanSpace().hyperparameters(find_usual(GanSpace().of_version(1), 0))
    assert RECIPE_OF_PAIRS | GanSpace().hyperparameters(find_usual(GanSpace(), 0)) == of_first


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


def test_batch_normalisation_never_meets_the_gradient_penalty():
    penalised = {"loss": "wasserstein_gradient_penalty"}
    for seed in range(10):
        genotype = drawn(UNCONDITIONED, seed, **penalised)
        assert "discriminator_batch_norm" not in genotype.content
        discriminator = UNCONDITIONED.build(genotype, (1, 6, 6)).discriminator
        assert not any(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) for layer in discriminator.modules())
    usually = usual(UNCONDITIONED)
    assert usually.content["discriminator_batch_norm"]
    generator = np.random.default_rng(0)
    for _ in range(300):  # nor by mutation
        usually, _ = UNCONDITIONED.mutate(usually, generator)
        both = ("loss", "wasserstein_gradient_penalty"), ("discriminator_batch_norm", True)
        assert not all(usually.content.get(site) == value for site, value in both)


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


def test_every_decision_about_training_is_a_hyperparameter():
    training = {site for site, choice in GanSpace().choices().items() if choice.role == "hyperparameter"}
    assert training == {
        "loss", "clip", "gradient_penalty", "r1", "noise", "noise_scale", "discriminator_steps", "label_smoothing",
        "batch_size", "optimiser", "schedule",
        "smoothing", "instance_noise", "instance_noise_decay", "diff_augment", "batch_norm_momentum",
        "generator_learning_rate", "discriminator_learning_rate", "beta1", "beta2", "ema", "style_mixing",
    }  # fmt: skip
    values = GanSpace().choices()
    assert all(value in values[site].values for site, value in RECIPE.items())
    assert set(RECIPE) == training - {
        "clip", "gradient_penalty", "label_smoothing", "smoothing", "instance_noise_decay", "style_mixing",
        "batch_size", "optimiser", "schedule",
    }  # fmt: skip


def test_a_space_offers_the_losses_that_it_names():
    space = GanSpaceOfComparisons().conditioned(None)
    assert space.choices()["loss"].values == ("hinge", "relativistic")
    genotype = usual(space, loss="relativistic")
    assert (genotype.content["r1"], genotype.content["r2"]) == (0.1, 0.1)
    assert "label_smoothing" not in genotype.content
    assert "relativistic, R1 0.1, R2 0.1, Adam" in space.describe(genotype, (1, 8, 8))
    GanSpaceContract().check(space.build(genotype, (1, 8, 8)), (1, 8, 8))
    assert "r1" not in usual(space, loss="hinge").content
    assert usual(space, loss="hinge", discriminator_batch_norm=False).content["r1"] == 0.0
    assert "r2" not in usual(space, loss="hinge").content


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
