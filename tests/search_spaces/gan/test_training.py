"""How a pair is trained: what is usual with which loss, what excludes what, and what earlier versions asked."""

import numpy as np
import pytest
from torch import nn

from evaluators.gan.training import RECIPE as RECIPE_OF_PAIRS
from nas.core.errors import InvalidGenotype, UserError
from nas.core.space import generator_for, sample
from nas.strategies.usual_first import find_usual
from nas.testing import GanSpaceContract
from search_spaces.cyclegan.space import CycleGanSpace
from search_spaces.gan.space import GanSpace
from search_spaces.gan.training import GAMMAS, LOSSES, RECIPE
from tests.parts.gan_spaces import UNCONDITIONED, GanSpaceOfAllLosses, GanSpaceOfComparisons, drawn, usual


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
