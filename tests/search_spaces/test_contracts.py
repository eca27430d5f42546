"""Every space keeps the laws; the choice spaces restrict as documented."""

import numpy as np
import pytest

from nas import registry
from nas.core.errors import InvalidGenotype, UserError
from nas.core.genotype import Genotype
from nas.core.space import Condition, sample
from nas.testing import SpaceContract
from nas.testing.toys import ToySpace
from search_spaces.autoencoder.families import FAMILIES
from search_spaces.autoencoder.space import AutoencoderSpace, describe_completeness
from search_spaces.choices import Asker, ChoiceSpace


class TestToySpace(SpaceContract):
    def make(self):
        return ToySpace()


class _SmallCodes:
    """Small codes: the laws hold for all, and big matrices only take time."""

    genotypes = 120


class TestAutoencoderSpace(_SmallCodes, SpaceContract):
    shapes = ((1, 8, 8), (3, 13, 10))
    built = 10

    def make(self):
        return AutoencoderSpace().conditioned(Condition("label", 3))

    @pytest.fixture
    def drawn(self, space):
        generator = np.random.default_rng(1)
        return [sample(space, generator) for _ in range(self.genotypes)]


class TestAutoencoderSpaceOfVectors(SpaceContract):
    shapes = ((13,),)

    def make(self):
        return AutoencoderSpace().conditioned(Condition("label", 3)).shaped((13,))


class TestAutoencoderSpaceOfSequences(_SmallCodes, SpaceContract):
    shapes = ((2, 21),)
    built = 10

    def make(self):
        return AutoencoderSpace().conditioned(Condition("label", 3)).shaped((2, 21))


class TestAutoencoderSpaceOfShapedImages(_SmallCodes, SpaceContract):
    shapes = ((3, 13, 10),)
    built = 5

    def make(self):
        return AutoencoderSpace().conditioned(Condition("label", 3)).shaped((3, 13, 10))


def test_every_registered_space_has_a_contract_test():
    tested = {"adversarialnas", "autoencoder", "autogan", "cyclegan", "gan"}  # elsewhere those of pairs
    assert set(registry.BUILT_IN["space"]) == tested


def test_every_registered_space_says_its_task_and_the_kinds_of_data_that_it_serves():
    spaces = {name: registry.load("space", name) for name in registry.BUILT_IN["space"]}
    assert {name: space.task for name, space in spaces.items()} == {
        "autoencoder": "autoencoder", "gan": "gan", "autogan": "gan", "adversarialnas": "gan", "cyclegan": "cyclegan",
    }  # fmt: skip
    kinds = {name: space.data_kinds for name, space in spaces.items()}
    assert kinds.pop("cyclegan") == ("image_pair",)
    assert kinds.pop("autoencoder") == ("image", "vector", "sequence")
    assert set(kinds.values()) == {("image",)}
    assert Grid.data_kinds == ("image",)


class Grid(ChoiceSpace):
    name = "grid"

    def decide(self, ask: Asker) -> None:
        for i in range(6):
            ask.operation(f"edge{i}", "abcde")

    def build(self, genotype, shape):
        raise AssertionError("never built")

    def describe(self, genotype, shape):
        return ""


def test_size_is_exact_where_nothing_is_conditional():
    assert Grid().size() == 5**6  # NAS-Bench-201's 15,625
    assert Grid().restrict({"edge*": ("a", "b")}).size() == 2**6


def test_choices_finds_what_depends_on_several_decisions():
    found = AutoencoderSpace().choices()
    for site in (
        "decoder_cell.node3.operation1",
        "decoder_stages",
        "kl_warm_up",
        "output",
        "noise_variance",
        "patches_a_side",
    ):
        assert site in found


def test_pin_by_text_finds_the_value():
    space = AutoencoderSpace().restrict({"learning_rate": ("2e-3",), "width_growth": ("2",), "latent": ("16",)})
    for seed in range(20):
        content = sample(space, np.random.default_rng(seed)).content
        assert content["learning_rate"] == 0.002
        assert content["latent"] == 16
        assert content.get("width_growth", 2.0) == 2.0


@pytest.mark.parametrize(
    ("restrictions", "message"),
    [
        ({"latnet": (16,)}, "did you mean 'latent'"),
        ({"latent": (17,)}, "latent=17.*allowed: 2, 4, 8, 16"),
        ({"latent": ()}, "latent=nothing"),
        ({"family": ("plain",), "beta": (1.0,)}, "beta.*never arises"),
        ({"network": ("fully_connected",), "encoder_cell.*": ("skip",)}, "allowed"),
    ],
)
def test_impossible_restrictions_are_refused(restrictions, message):
    with pytest.raises(UserError, match=message):
        AutoencoderSpace().restrict(restrictions, "--pin")


def test_a_restriction_of_a_restricted_space_adds_up():
    space = AutoencoderSpace().restrict({"family": ("plain",)})
    with pytest.raises(UserError, match="never arises"):
        space.restrict({"beta": (1.0,)})
    assert space.restrict({"latent": (8,)}).choices()["family"].values == ("plain",)


def test_every_family_and_operation_is_drawn():
    space, seen = AutoencoderSpace(), set()
    generator = np.random.default_rng(0)
    for _ in range(400):
        seen |= {str(value) for value in sample(space, generator).content.values()}
    wanted = {*FAMILIES, "none", "skip", "conv_1x1", "conv_3x3", "conv_5x5"}
    wanted |= {"separable_3x3", "separable_5x5", "dilated_3x3", "dilated_5x5", "average_pool_3x3", "max_pool_3x3"}
    wanted |= {"strided_convolution", "average", "max", "transposed_convolution", "nearest", "bilinear"}
    wanted |= {
        "pixel_shuffle",
        "batch",
        "group",
        "layer",
        "relu",
        "leaky_relu",
        "elu",
        "gelu",
        "silu",
        "mse",
        "bce",
    }
    assert wanted <= seen


def test_completeness():
    assert describe_completeness(63, (1, 8, 8)) == "undercomplete"
    assert describe_completeness(64, (1, 8, 8)) == "exactly complete"
    assert describe_completeness(65, (1, 8, 8)) == "overcomplete"


def test_mutations_come_in_every_role():
    space = AutoencoderSpace().restrict({"network": ("convolutional",), "cells": ("edge",), "encoder_cell.nodes": (3,)})
    generator = np.random.default_rng(0)
    genotype = sample(space, generator)
    roles = {space.mutate(genotype, generator)[1].split()[0] for _ in range(60)}
    assert roles == {"operation", "input", "structure", "hyperparameter"}


def test_a_superfluous_decision_is_named():
    space = AutoencoderSpace().restrict({"family": ("plain",)})
    genotype = sample(space, np.random.default_rng(0))
    extra = Genotype.of("autoencoder", space.version, {**genotype.content, "beta": 1.0})
    with pytest.raises(InvalidGenotype, match="beta: does not arise"):
        space.validate(extra)


def test_choices_are_looked_for_once_for_equal_spaces_and_anew_for_others():
    class Counting(Grid):
        grown = 0

        def decide(self, ask):
            type(self).grown += 1
            super().decide(ask)

    def looked(space):
        before = Counting.grown
        found = dict(space.choices())  # all of them: a look-up alone finds fewer
        return found, Counting.grown - before

    found, first = looked(Counting())
    assert first > 0
    assert looked(Counting()) == (found, 0)
    site = next(site for site, choice in found.items() if len(choice.values) > 1)
    narrowed = Counting().restrict({site: found[site].values[:1]})
    assert looked(narrowed)[0][site].values == found[site].values[:1]
    assert looked(Counting()) == (found, 0)
    told = Counting()
    told.of_its_own = 1
    assert looked(told)[1] > 0  # it may decide by that
    told = Counting()
    told.of_its_own = []
    assert looked(told)[1] > 0
    assert looked(told) == (found, 0)  # known to itself, if to no other
