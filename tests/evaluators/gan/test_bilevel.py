"""Supernets of pairs: both halves' log-weights, what is derived from them, and one pair's path."""

import numpy as np
import pytest
import torch
from torch import nn

from nas.core.errors import InvalidGenotype
from nas.core.space import drawing
from nas.core.supernet import SharesWeights, SupernetPlan
from search_spaces.adversarialnas.derivation import derive_operations
from search_spaces.adversarialnas.modules import MixedGraph
from search_spaces.adversarialnas.space import CONVOLUTIONS, DOWN, NORMAL, UP
from search_spaces.cells.edge import CELL_OPERATIONS
from search_spaces.cells.supernet import MixedCell
from search_spaces.gan.space import GanSpace
from search_spaces.operations.names import UP_SAMPLINGS
from search_spaces.supernet import Mixture
from tests.parts.pair_supernets import Narrow
from tests.parts.supernets import with_weights_by_shape

SHAPE = (1, 9, 12)
SPACE = GanSpace().conditioned(None)
FIXED = {
    "generator_width": 16,
    "discriminator_width": 16,
    "generator_stages": 2,
    "discriminator_stages": 2,
    "latent": 16,
}


def base_of(space=SPACE, **fixed):
    fixed = FIXED | fixed
    return space.base(lambda c: fixed.get(c.site, c.values[0] if c.usual is None else c.usual))


def relaxed(space, base, shape=SHAPE, **options):
    torch.manual_seed(0)
    return space.relax(base, shape, SupernetPlan(1, **options))


# -- the base, and what is relaxed


def test_the_base_is_of_cells_in_both_halves_and_usual_elsewhere():
    base = SPACE.base(drawing(np.random.default_rng(0), 1.0)).content
    assert (base["generator"], base["discriminator"]) == ("cells", "cells")
    assert all(base[f"generator_stage{stage}.block"] == "edge" for stage in range(base["generator_stages"]))
    assert base["generator_cell.nodes"] == base["discriminator_cell.nodes"] == 3
    assert base["generator_growth"] == base["discriminator_growth"] == 1.0
    assert (base["loss"], base["generator_learning_rate"], base["generator_width"]) == ("non_saturating", 0.0008, 32)


@pytest.mark.parametrize(("pins", "path"), [
    ({"discriminator": ("convolutional",)}, "discriminator"), ({"generator": ("style",)}, "generator"),
    ({"generator": ("cells",), "generator_stages": (1,), "generator_stage0.block": ("residual",)}, "block"),
])  # fmt: skip
def test_a_space_without_cells_in_both_halves_has_no_base(pins, path):
    with pytest.raises(InvalidGenotype, match=path):
        base_of(SPACE.restrict(pins))


def test_an_adversarialnas_without_free_edges_has_no_base():
    edges = {"*.edge*": ("conv_3x3",), "*.up*": ("nearest",), "*.down*": ("max",)}
    with pytest.raises(InvalidGenotype, match="nothing to relax"):
        base_of(Narrow().restrict(edges))


def test_each_half_has_log_weights_of_its_own_of_edges_and_up_samplings():
    model = relaxed(SPACE, base_of())
    generator, discriminator = (half.architecture.alphas() for half in (model.generator, model.discriminator))
    edges = ("0-1", "0-2", "1-2", "0-3", "1-3", "2-3")
    assert set(discriminator) == {f"discriminator_cell.{edge}" for edge in edges}
    ups = {f"generator_stage{stage}.up_sampling" for stage in range(2)}
    assert set(generator) == {f"generator_cell.{edge}" for edge in edges} | ups
    assert tuple(generator["generator_cell.0-1"]) == ("none", *CELL_OPERATIONS)
    assert all(tuple(generator[site]) == tuple(UP_SAMPLINGS) for site in ups)
    assert model.architecture.alphas() == generator | discriminator
    shared = {id(parameter) for parameter in model.generator.parameters()}
    assert not shared & {id(parameter) for parameter in model.discriminator.parameters()}


def test_stages_share_a_cells_alphas_and_no_weights():
    model = relaxed(SPACE, base_of())
    cells = [module for module in model.discriminator.modules() if isinstance(module, MixedCell)]
    assert len(cells) == 2
    assert cells[0].architecture is cells[1].architecture is model.discriminator.architecture
    assert cells[0].edges[0] is not cells[1].edges[0]


def test_where_nothing_doubles_the_up_sampling_is_the_bases():
    base = base_of(generator_stages=3)
    model = relaxed(SPACE, base, (1, 8, 8))  # 8, 4, 2, 2
    alphas = model.architecture.alphas()
    assert tuple(alphas["generator_stage0.up_sampling"]) == (base.content["generator_stage0.up_sampling"],)
    assert tuple(alphas["generator_stage1.up_sampling"]) == tuple(UP_SAMPLINGS)


def test_adversarialnas_relaxes_every_edge_of_every_cell():
    alphas = relaxed(Narrow(), base_of(Narrow())).architecture.alphas()
    assert len(alphas) == 3 * 7 + 4 * 7
    assert tuple(alphas["generator_stage1.up0"]) == UP
    assert tuple(alphas["discriminator_stage0.edge2"]) == CONVOLUTIONS
    assert tuple(alphas["discriminator_stage0.edge3"]) == NORMAL
    assert tuple(alphas["discriminator_stage3.down1"]) == DOWN
    combinations = np.prod([float(len(row)) for row in alphas.values()])
    assert combinations == pytest.approx(1.69e38, rel=0.01)


@pytest.mark.parametrize(
    "options", [{"relaxation": "gumbel_softmax"}, {"partial_channels": 4}, {"relaxation": "gumbel"}]
)
@pytest.mark.parametrize("space", [SPACE, Narrow()], ids=["gan", "adversarialnas"])
def test_the_supernet_is_a_pair(space, options):
    model = relaxed(space, base_of(space), **options)
    model.architecture.draw(0.5, torch.Generator().manual_seed(0))
    images = model(torch.randn(3, model.latent))
    assert images.shape == (3, *SHAPE)
    assert model.discriminator(images).shape == (3,)


# -- paths


def random_genotype(space, base, seed):
    """Other edges and up-samplings than the base's, all else as there."""
    draw = drawing(np.random.default_rng(seed))

    def answer(choice):
        searched = choice.role in ("operation", "input") or choice.site.endswith("_cell.nodes")
        return draw(choice) if searched else base.content[choice.site]

    return space.grow(answer)


@pytest.mark.parametrize("space", [SPACE, Narrow()], ids=["gan", "adversarialnas"])
def test_a_path_computes_what_its_pair_does(space, monkeypatch):
    """Pooling is normalised in supernets alone, so nothing is here; and spectral norms need time to converge."""
    monkeypatch.setattr("search_spaces.adversarialnas.build.apply_spectral_norm", lambda module: module)
    assert isinstance(space, SharesWeights)
    quiet = {"generator_stage0.normalisation": "none", "generator_stage1.normalisation": "instance",
             "discriminator_batch_norm": False, "discriminator_normalisation": "group",
             "generator_stage1.skip_in0": True}  # fmt: skip
    base = base_of(space, **quiet)
    supernet = with_weights_by_shape(relaxed(space, base))
    noise, images = torch.randn(4, supernet.latent), torch.rand(4, *SHAPE)
    for seed in range(5):
        genotype = random_genotype(space, base, seed)
        pair = with_weights_by_shape(space.build(genotype, SHAPE))
        supernet.architecture.follow(space.path(genotype))
        with torch.no_grad():
            assert torch.allclose(supernet(noise), pair(noise), atol=1e-4)
            logits = pair.discriminator(images)
            assert torch.allclose(supernet.discriminator(images), logits, rtol=1e-3, atol=1e-3)
    supernet.architecture.follow(None)
    with torch.no_grad():
        assert not torch.allclose(supernet(noise), pair(noise), atol=1e-4)


def test_what_nothing_reaches_is_left_out():
    class Held(nn.Module):
        def __init__(self, value):
            super().__init__()
            self.value = value

        def forward(self, x):
            return None if self.value is None else x + self.value

    def graph(*values):
        first, second, third = map(Held, values)
        return MixedGraph([(0,), (0, 1)], [[first], [second, third]], nn.Flatten(0))

    x = torch.zeros(2, 1)
    assert graph(1.0, 10.0, 100.0)(x).tolist() == [[111.0], [111.0]]
    assert graph(None, 10.0, 100.0)(x).tolist() == [[10.0], [10.0]]  # not 110
    assert graph(None, None, 100.0)(x).tolist() == [0.0, 0.0]  # what `nothing` gives


def test_a_mixture_is_the_weighted_sum_of_its_modules():
    model = relaxed(SPACE, base_of(), relaxation="softmax")
    mixture = next(module for module in model.generator.modules() if isinstance(module, Mixture))
    x = torch.rand(2, 16, 3, 3)
    with torch.no_grad():
        weights = model.generator.architecture.weights(mixture.name)
        expected = sum(w * module(x) for w, module in zip(weights, mixture.options.values(), strict=True))
        assert torch.allclose(mixture(x), expected, atol=1e-6)


# -- derivation


def alphas_with(model, **strong):
    """All log-weights 0, but for ``site=(option, value)``."""
    alphas = {name: dict.fromkeys(row, 0.0) for name, row in model.architecture.alphas().items()}
    for name, (option, value) in strong.items():
        alphas[name][option] = value
    return alphas


def test_what_is_derived_is_the_strongest_of_both_halves():
    base = base_of()
    alphas = alphas_with(relaxed(SPACE, base), **{
        "generator_cell.0-3": ("conv_5x5", 3.0), "generator_cell.1-3": ("skip", 2.0),
        "discriminator_cell.0-3": ("max_pool_3x3", 3.0), "generator_stage1.up_sampling": ("pixel_shuffle", 1.0),
    })  # fmt: skip
    found = SPACE.derive(base, alphas).genotype.content
    kept = {(found[f"generator_cell.node3.input{i}"], found[f"generator_cell.node3.operation{i}"]) for i in (0, 1)}
    assert kept == {(0, "conv_5x5"), (1, "skip")}
    pairs = {found[f"discriminator_cell.node3.operation{i}"] for i in (0, 1)}
    assert "max_pool_3x3" in pairs
    assert found["generator_stage1.up_sampling"] == "pixel_shuffle"
    assert all(found[site] == value for site, value in base.content.items()
               if "_cell." not in site and not site.endswith("up_sampling"))  # fmt: skip


def test_the_skips_of_a_pair_are_those_of_the_cell_with_the_most():
    base = base_of()
    every = {f"discriminator_cell.{edge}": ("skip", 3.0) for edge in ("0-1", "0-2", "1-2", "0-3", "1-3", "2-3")}
    alphas = alphas_with(relaxed(SPACE, base), **every, **{"generator_cell.0-1": ("skip", 3.0)})
    found = SPACE.derive(base, alphas)
    assert found.skips == 5
    guarded = SPACE.derive(base, alphas, 2)
    assert guarded.skips == 5
    content = guarded.genotype.content
    sites = [site for site in content if site.startswith("discriminator_cell.") and content[site] == "skip"]
    assert len(sites) == 2


def adversarial_alphas(**strong):
    cells = {"generator": ["generator_stage0"], "discriminator": ["discriminator_stage0", "discriminator_stage1"]}
    alphas = {f"{cell}.edge{edge}": dict.fromkeys(NORMAL, 0.0) | {"conv_1x1": 1.0}
              for names in cells.values() for cell in names for edge in range(5)}  # fmt: skip
    for site, (option, value) in strong.items():
        name = site.replace("__", ".")
        alphas[name][option] = value
    return alphas, cells


def test_adversarialnas_lets_no_node_be_without_an_edge_as_its_authors_rules_say():
    none = {f"generator_stage0__edge{edge}": ("none", 5.0 - edge) for edge in range(5)}
    none |= {f"discriminator_stage1__edge{edge}": ("none", 4.0) for edge in (0, 1, 2, 3)}
    alphas, cells = adversarial_alphas(**none)
    alphas["generator_stage0.edge1"]["conv_5x5"] = 2.0
    found, _ = derive_operations(alphas, cells, None)
    assert [found[f"generator_stage0.edge{edge}"] for edge in range(5)] == [
        "none", "conv_5x5", "none", "none", "conv_1x1",
    ]  # fmt: skip
    # edge 3 is the second node's, edge 4 asks for the first node, whose edge is 0
    assert found["discriminator_stage1.edge0"] == found["discriminator_stage1.edge4"] == "conv_1x1"
    assert {found["discriminator_stage1.edge1"], found["discriminator_stage1.edge3"]} == {"none", "conv_1x1"}


def test_adversarialnas_with_too_many_skips_in_a_cell_gives_up_the_weakest():
    skips = {f"generator_stage0__edge{edge}": ("skip", 2.0 + edge) for edge in range(4)}
    alphas, cells = adversarial_alphas(**skips)
    assert derive_operations(alphas, cells, None)[1] == 4
    found, count = derive_operations(alphas, cells, 1)
    assert count == 4
    assert [found[f"generator_stage0.edge{edge}"] for edge in range(5)] == ["conv_1x1"] * 3 + ["skip", "conv_1x1"]
