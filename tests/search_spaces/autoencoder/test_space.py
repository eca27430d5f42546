"""Whatever validates builds, trains and gives back the shape of its input."""

import hashlib
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.core.errors import InvalidGenotype, UserError
from nas.core.genotype import Genotype
from nas.core.space import Choice, Condition, sample
from nas.strategies.novelty import Seen
from search_spaces.autoencoder.families import FAMILIES
from search_spaces.autoencoder.space import AutoencoderSpace
from search_spaces.cells.canonical import canonicalise_cell
from search_spaces.cells.edge import Edge, build_cell

NARROW = {"latent": (2, 16, 64), "width": (8, 16), "decoder_width": (8, 24), "hidden_width": (64,)}
SMALL = AutoencoderSpace().conditioned(None).restrict(NARROW)
LABELLED = AutoencoderSpace().conditioned(Condition("label", 3)).restrict(NARROW)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    channels=st.sampled_from([1, 3]),
    height=st.integers(4, 20),
    width=st.integers(4, 20),
)
def test_any_genotype_builds_and_trains_for_any_size(seed, channels, height, width):
    generator = np.random.default_rng(seed)
    genotype = sample(SMALL, generator)
    model = SMALL.build(genotype, (channels, height, width)).train()
    images = torch.rand(3, channels, height, width)
    reconstructions = model(images)
    assert reconstructions.shape == images.shape
    assert reconstructions.min() >= 0
    assert reconstructions.max() <= 1
    (model.decoder(model.encode(images)) - 1).square().mean().backward()
    # every part is reached: nothing is disconnected, whatever was drawn
    for half in (model.encoder, model.decoder):
        assert all(parameter.grad is not None for parameter in half.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("space", [AutoencoderSpace().conditioned(None), SMALL], ids=["all", "small"])
def test_thousands_of_genotypes_survive_variation_and_json(space):
    generator, images = np.random.default_rng(0), torch.rand(2, 3, 9, 7)
    genotype = sample(space, generator)
    for step in range(3000):
        other = sample(space, generator)
        child = space.crossover(genotype, other, generator) if step % 2 else genotype
        child, _ = space.mutate(child, generator)
        assert Genotype.parse(child.text) == child
        space.validate(child)
        if space is SMALL and step % 10 == 0:
            assert space.build(child, (3, 9, 7))(images).shape == images.shape
        genotype = child if step % 7 else other


def test_a_child_has_half_of_its_decisions_from_either_parent():
    generator = np.random.default_rng(0)
    inherited = []
    for _ in range(200):
        first, second = sample(SMALL, generator), sample(SMALL, generator)
        child = SMALL.crossover(first, second, generator).content
        parents = first.content, second.content
        both = [site for site in child if all(site in parent for parent in parents)]
        inherited += [child[site] == parents[0][site] for site in both if parents[0][site] != parents[1][site]]
    assert 0.45 < np.mean(inherited) < 0.55


def test_an_ordered_decision_moves_to_a_neighbour_every_other_time():
    space, generator = AutoencoderSpace().conditioned(None), np.random.default_rng(0)
    values = space.choices()["latent"].values
    genotype = space.grow(lambda choice: 128 if choice.site == "latent" else choice.values[0])
    space = space.restrict({site: (value,) for site, value in genotype.content.items() if site != "latent"})
    mutants = [space.mutate(genotype, generator)[0].content["latent"] for _ in range(600)]
    assert set(mutants) == set(values) - {128}
    near = np.mean([latent in (64, 256) for latent in mutants])
    assert 0.5 < near < 0.65  # 1/2 + 1/2 * 2/14 = .57


def usual(space, **decided):
    """The usual genotype, but for what is decided."""

    def answer(choice):
        return decided.get(choice.site, choice.values[0] if choice.usual is None else choice.usual)

    return space.grow(answer)


def test_what_codes_cost_is_decided_of_variational_autoencoders_alone_and_is_usually_their_bound():
    space, own = (
        AutoencoderSpace().conditioned(None),
        {"capacity", "gamma", "beta", "kl_warm_up", "free_bits", "likelihood"},
    )
    assert not own & set(usual(space).content)
    assert not own & set(usual(space, family="denoising").content)
    decided = usual(space, family="variational").content
    assert {site: decided[site] for site in own & set(decided)} == {
        "capacity": "off", "beta": 1.0, "kl_warm_up": 0.1, "free_bits": "off", "likelihood": "gaussian",
    }  # fmt: skip
    assert min(space.choices()["beta"].values) == 0.1
    held = usual(space, family="variational", capacity=25.0)
    assert own & set(held.content) == {"capacity", "gamma", "likelihood"}
    assert "capacity 25 nats, gamma 100" in space.describe(held, (1, 8, 8))
    free = usual(space, family="variational", free_bits=0.25, likelihood="continuous_bernoulli")
    assert "beta 1, 0.25 nats free in each latent" in space.describe(free, (1, 8, 8))
    assert "continuous Bernoulli" in space.describe(free, (1, 8, 8))
    eight_bits = usual(space, family="variational", likelihood="discretised_logistic")
    assert "mixture of 5 discretised logistics, adam" in space.describe(eight_bits, (1, 8, 8))


@pytest.mark.parametrize(
    ("decided", "said"),
    [({"family": "denoising"}, "denoising (sigma^2 0.03)"),
     ({"family": "denoising", "corruption": "salt_and_pepper"}, "denoising (salt and pepper, 25% of values)"),
     ({"family": "sparse"}, "sparse (L1 0.03)"),
     ({"family": "sparse", "sparsity": "k_sparse"}, "sparse (k-sparse, 8 of 32 values kept)"),
     ({"family": "contractive"}, "contractive (weight 0.003)"),
     ({"family": "masked"}, "masked (50% hidden, 7 patches a side)"),
     ({"family": "wasserstein"}, "wasserstein (MMD, weight 10)"),
     ({"family": "adversarial"}, "adversarial (weight 3)"),
     ({"family": "factor"}, "factor (total correlation, weight 10)"),
     ({"family": "ladder"}, "ladder (layers of 32, 16, beta 1)"),
     ({"family": "vae_gan"}, "vae gan (critic weight 30, beta 1)"),
     ({"family": "conditional"}, "conditional (beta 1)"),
     ({"family": "semi_supervised"}, "semi supervised (classification weight 10, beta 1)")],
)  # fmt: skip
def test_a_family_is_described_with_what_it_decides(decided, said):
    space = AutoencoderSpace()
    assert space.describe(usual(space, **decided), (1, 8, 8)).startswith(f"{said} convolutional; latent 32")


def test_patches_are_decided_of_images_alone():
    assert "patches_a_side" in usual(AutoencoderSpace().conditioned(None).shaped((1, 8, 8)), family="masked").content
    assert "patches_a_side" not in AutoencoderSpace().conditioned(None).shaped((20,)).choices()


@pytest.mark.parametrize("shape", [(13,), (2, 40)])
def test_a_critic_of_images_is_offered_for_images_alone(shape):
    space = AutoencoderSpace().conditioned(None)
    assert "vae_gan" in space.shaped((1, 8, 8)).choices()["family"].values
    assert "vae_gan" not in space.shaped(shape).choices()["family"].values
    decided = usual(space, family="vae_gan").content
    assert not {"likelihood", "loss", "output"} & set(decided)  # its errors are the critic's


def test_genotypes_of_version_2_are_read_and_that_version_makes_them_still():
    new, old = SMALL, SMALL.of_version(2)
    generator = np.random.default_rng(4)
    assert new.of_version(6) is new
    for genotype in (sample(old, generator) for _ in range(20)):
        assert genotype.version == 2
        assert new.trace(genotype) == old.trace(genotype)
        assert new.describe(genotype, (1, 8, 8)) == old.describe(genotype, (1, 8, 8))
        assert "loss" in new.hyperparameters(genotype)
        if genotype.content["family"] == "variational":
            with pytest.raises(InvalidGenotype, match="prior: is not decided"):
                new.validate(Genotype.of(new.name, 4, genotype.content))
            assert new.build(genotype, (1, 8, 8)).variational
    assert set(old.choices()["beta"].values) == {1.0, 2.0, 4.0, 6.0, 8.0, 16.0}
    assert not {"likelihood", "capacity", "free_bits"} & set(old.choices())
    for earlier in (old, new.of_version(3)):
        assert earlier.choices()["family"].values == ("plain", "denoising", "variational")
        assert "corruption" not in earlier.choices()
    for version in (1, 7):
        with pytest.raises(InvalidGenotype, match=f"version {version}, not"):
            new.of_version(version)


def test_version_4_asks_as_it_did_and_mutates_mostly_to_what_is_usual():
    old = LABELLED.of_version(4)
    assert set(old.choices()["family"].values) == {name for name, one in FAMILIES.items() if one.since <= 4}
    genotype, generator = usual(old), np.random.default_rng(0)
    assert genotype.version == 4
    assert LABELLED.trace(genotype) == old.trace(genotype)
    pinned = old.restrict({"family": ("plain", "vector_quantised")})
    children = [pinned.mutate(genotype, generator)[0].content for _ in range(800)]
    arisen = [child["codebook_size"] for child in children if "codebook_size" in child]
    assert 0.6 < np.mean([size == 256 for size in arisen]) < 0.95  # 3/4 and a seventh of the rest


@pytest.mark.parametrize(
    ("shape", "drawn"),
    [((1, 8, 8), "b1ce8d44e975ab61"), ((13,), "862c2182b6c3cd64"), ((2, 40), "13a8431ca6d9a7dd")],
)
def test_version_5_draws_and_mutates_as_it_did(shape, drawn):
    """The digests are of what it gave when it was the newest."""
    old = AutoencoderSpace().conditioned(Condition("label", 3)).shaped(shape).of_version(5)
    generator, ids = np.random.default_rng(5), []
    for _ in range(40):
        genotype = sample(old, generator)
        ids += [genotype.id, old.mutate(genotype, generator)[0].id]
    assert hashlib.sha256(" ".join(ids).encode()).hexdigest()[:16] == drawn


@pytest.mark.parametrize("shape", [(1, 8, 8), (13,), (2, 40)])
def test_tanh_is_of_fully_connected_layers_alone(shape):
    space, generator = AutoencoderSpace().conditioned(None).shaped(shape), np.random.default_rng(0)
    assert "tanh" not in space.choices().get("activation", Choice("", (), "structure")).values
    space = space.restrict({"hidden_activation": ("tanh",), "hidden_width": (200,), "family": ("plain",)})
    for genotype in (sample(space, generator) for _ in range(20)):
        kinds = {type(module) for module in space.build(genotype, shape).modules()}
        assert (torch.nn.Tanh in kinds) == ("hidden_width" in genotype.content)


def test_families_that_know_classes_need_as_many_labels_as_they_say():
    some = Condition("label", 3, 0.1)
    spaces = {condition: AutoencoderSpace().conditioned(condition) for condition in (None, some, Condition("label", 3))}
    offered = [set(space.choices()["family"].values) for space in spaces.values()]
    assert offered[2] == set(AutoencoderSpace().choices()["family"].values) == set(FAMILIES)
    assert offered[2] - offered[1] == {"conditional"}
    assert offered[1] - offered[0] == {"semi_supervised"}
    assert offered[0] == set(AutoencoderSpace().conditioned(Condition("vector", 3)).choices()["family"].values)
    pinned = AutoencoderSpace().restrict({"family": ("conditional",)})
    with pytest.raises(UserError, match=r"family 'conditional': the data has no labels; allowed: plain"):
        pinned.conditioned(None)
    with pytest.raises(UserError, match="no more than 10% of the labels may be seen"):
        pinned.conditioned(some)
    with pytest.raises(InvalidGenotype, match="before it is known which classes"):
        pinned.build(usual(pinned), (1, 8, 8))


def test_a_mirrored_decoder_uses_the_encoders_cell():
    space = SMALL.restrict({"network": ("convolutional",), "decoder": ("mirrored",), "family": ("plain",)})
    genotype = sample(space, np.random.default_rng(3))
    model = space.build(genotype, (1, 8, 8))
    cells = [m for m in model.modules() if type(m).__name__ == "Cell"]
    assert len(cells) == 2 * genotype.content["stages"]
    assert len({str([node.inputs for node in cell.nodes]) for cell in cells}) == 1


def test_skipped_features_are_not_overwritten():
    """In-place sums would alias what a skip carries on."""
    from search_spaces.cells.edge import Edge, build_cell

    cell = build_cell(
        [Edge(0, 1, "skip"), Edge(0, 1, "skip"), Edge(1, 2, "skip"), Edge(0, 2, "skip")], 4, "none", "relu"
    )
    x = torch.rand(1, 4, 3, 3)
    kept = x.clone()
    assert torch.allclose(cell(x), 3 * kept)
    assert torch.equal(x, kept)


def test_a_cell_gives_the_sum_of_all_nodes_that_no_edge_leaves():
    x = torch.rand(1, 4, 3, 3)
    assert torch.equal(build_cell(_cell("0-skip-1", "0-skip-2", "0-skip-3"), 4, "none", "relu")(x), x + x + x)
    assert torch.equal(build_cell(_cell("0-skip-1", "1-skip-2", "0-skip-3"), 4, "none", "relu")(x), x + x)


def _cell(*edges):
    return [Edge(int(source), int(target), operation) for source, operation, target in (e.split("-") for e in edges)]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (["0-skip-1", "0-conv_3x3-1"], ["0-conv_3x3-1", "0-skip-1"], True),
        (["0-skip-1", "0-conv_3x3-1"], ["0-skip-1", "0-conv_1x1-1"], False),
        (["0-conv_1x1-1", "0-skip-2", "2-skip-3"], ["0-skip-1", "0-conv_1x1-2", "1-skip-3"], True),
        (["0-skip-1", "0-skip-2", "1-skip-3", "1-skip-3"], ["0-skip-1", "0-skip-2", "1-skip-3", "2-skip-3"], False),
        (["0-skip-1", "1-conv_3x3-2"], ["0-skip-1", "0-conv_3x3-2"], False),
        (["0-skip-1", "0-skip-1"], ["0-skip-1"], False),
    ],
)
def test_cells_that_compute_the_same_have_one_form(one, other, same):
    assert (canonicalise_cell(_cell(*one)) == canonicalise_cell(_cell(*other))) == same


def test_a_genotype_written_in_another_order_is_not_proposed_again():
    space = AutoencoderSpace().conditioned(None)
    genotype = space.grow(lambda choice: choice.values[0] if choice.usual is None else choice.usual)
    first, second = ("encoder_cell.node1.operation0", "encoder_cell.node1.operation1")
    swapped = space.grow(lambda choice: genotype.content[{first: second, second: first}.get(choice.site, choice.site)])
    seen = Seen(space)
    seen.add(genotype)
    assert swapped != genotype
    assert swapped in seen
    other = space.grow(lambda choice: "gelu" if choice.site == "activation" else genotype.content[choice.site])
    assert other not in seen


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_has_one_form_computes_the_same(seed):
    """Drawn from a corner so small that forms coincide: the models' parameters and outputs then agree."""
    generator = np.random.default_rng(seed)
    cells = []
    for _ in range(40):
        nodes = int(generator.integers(1, 4))
        cells.append([
            Edge(int(generator.integers(target)), target, str(generator.choice(["skip", "average_pool_3x3"])))
            for target in range(1, nodes + 1)
            for _ in range(2)
        ])  # fmt: skip
    images = torch.rand(1, 8, 5, 5)
    known = {}
    for cell in cells:
        made = build_cell(cell, 8, "none", "relu")(images)
        expected = known.setdefault(canonicalise_cell(cell), made)
        assert torch.allclose(made, expected, rtol=1e-4)


@pytest.mark.parametrize("shape", [(1,), (2,), (13,), (100,), (1, 28, 28), (3, 32, 32), (3, 13, 10)])
def test_codes_of_every_completeness_are_among_the_sizes_for_a_shape(shape):
    values, choice = math.prod(shape), AutoencoderSpace().conditioned(None).shaped(shape).choices()["latent"]
    assert choice.values[0] == 1
    assert choice.values[-1] == 2 * values
    assert values in choice.values
    assert list(choice.values) == sorted(set(choice.values))
    assert all(larger <= 2 * smaller for smaller, larger in itertools.pairwise(choice.values))
    assert choice.usual in choice.values
    assert choice.usual <= max(1, values // 4)


def test_a_shape_is_forgotten_by_earlier_versions_and_kept_by_restrictions():
    space = AutoencoderSpace().conditioned(None).shaped((13,)).restrict({"latent": (13,)})
    assert space.choices()["latent"].values == (13,)
    assert "encoder_cell.nodes" not in space.choices()
    early = AutoencoderSpace().conditioned(None).shaped((1, 8, 8)).of_version(3)
    assert early.choices()["latent"].values[-1] == 4096


def test_muon_begins_at_a_rate_of_its_own():
    space = SMALL.restrict({"optimiser": ("muon", "adam")})
    rates = {name: usual(space, optimiser=name).content["learning_rate"] for name in ("muon", "adam")}
    assert rates == {"muon": 0.004, "adam": 0.002}
    assert usual(SMALL.of_version(3), optimiser="muon").content["learning_rate"] == 0.002


@pytest.mark.parametrize("family", FAMILIES)
def test_families_whose_codes_are_drawn_begin_with_adam(family):
    decided = usual(LABELLED, family=family).content
    assert decided["optimiser"] == ("adam" if FAMILIES[family].variational else "muon")


def test_regularised_are_other_augmentations_and_the_largest_decay_of_those_that_are_allowed():
    usual = SMALL.grow(lambda choice: choice.usual if choice.usual is not None else choice.values[0])
    changed = [
        {site: value for site, value in other.content.items() if usual.content[site] != value}
        for other in SMALL.regularise(usual)
    ]
    augmentations = [{"augmentation": kind} for kind in ("flip", "shift", "shift_half", "flip_shift_half")]
    assert changed == [*augmentations, {"weight_decay": 0.1}]
    pinned = SMALL.restrict({"augmentation": ("none",), "weight_decay": (0.0, 0.001)})
    assert [other.content["weight_decay"] for other in pinned.regularise(usual)] == [0.001]
