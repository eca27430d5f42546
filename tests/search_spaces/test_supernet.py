"""The supernet of the autoencoder space, its log-weights, and the paths through it."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from nas.core.errors import InvalidGenotype
from nas.core.space import drawing
from nas.core.supernet import Relaxable, SharesWeights, SupernetPlan, entropy, probabilities
from nas.testing.toys import RelaxableToySpace
from search_spaces.autoencoder.space import AutoencoderSpace
from search_spaces.cells.edge import CELL_OPERATIONS
from search_spaces.cells.supernet import MixedEdge
from search_spaces.supernet import Architecture
from tests.parts.supernets import FEW, FIXED, SHAPE, SPACE, base_of, with_weights_by_shape

# -- the base and the supernet around it


def test_the_base_has_the_largest_cells_and_is_usual_elsewhere():
    base = base_of(AutoencoderSpace().conditioned(None)).content
    assert base["encoder_cell.nodes"] == 3
    assert (base["network"], base["normalisation"], base["activation"]) == ("convolutional", "batch", "silu")
    assert base_of(FEW).content["encoder_cell.nodes"] == 2


def test_a_space_without_free_cells_has_no_base():
    with pytest.raises(InvalidGenotype, match="network"):
        base_of(AutoencoderSpace().conditioned(None).restrict({"network": ("fully_connected",)}))
    pinned = {"decoder": ("mirrored",), "encoder_cell.nodes": (1,), "encoder_cell.node1.operation*": ("skip",)}
    with pytest.raises(InvalidGenotype, match="nothing to relax"):
        base_of(AutoencoderSpace().conditioned(None).restrict(pinned))
    assert isinstance(AutoencoderSpace().conditioned(None), Relaxable)
    assert isinstance(RelaxableToySpace(), Relaxable)


@pytest.mark.parametrize("options", [
    {}, {"relaxation": "gumbel"}, {"partial_channels": 4, "edge_normalisation": True}, {"partial_channels": 8},
])  # fmt: skip
def test_the_supernet_is_an_autoencoder_whose_edges_hold_everything(options):
    space = SPACE.restrict({"decoder": ("searched",), "decoder_width": (16,)})
    model = space.relax(base_of(space), SHAPE, SupernetPlan(1, **options))
    assert model(torch.rand(4, *SHAPE)).shape == (4, *SHAPE)
    alphas = {name: row for name, row in model.architecture.alphas().items() if "-" in name}
    assert set(alphas) == {f"{c}_cell.{e}" for c in ("encoder", "decoder")
                           for e in ("0-1", "0-2", "1-2", "0-3", "1-3", "2-3")}  # fmt: skip
    assert all(tuple(row) == ("none", *CELL_OPERATIONS) for row in alphas.values())
    assert entropy(alphas) == pytest.approx(math.log(11), abs=1e-4)


def test_mirrored_cells_share_alphas_but_no_weights():
    one, two = (
        AutoencoderSpace().conditioned(None).restrict(FIXED | {"decoder": (way,), "stages": (2,)})
        for way in ("mirrored", "searched")
    )
    counts = [len(s.relax(base_of(s), SHAPE, SupernetPlan(1)).architecture.log_weights) for s in (one, two)]
    assert counts == [6, 12]
    model = one.relax(base_of(one), SHAPE, SupernetPlan(1))
    cells = [module for module in model.modules() if type(module).__name__ == "MixedCell"]
    assert len(cells) == 4
    assert len({id(cell.architecture) for cell in cells}) == 1
    assert len({id(next(cell.edges.parameters())) for cell in cells}) == 4


def test_nothing_in_the_supernet_normalises_by_what_other_architectures_left_behind():
    model = SPACE.relax(base_of(SPACE), SHAPE, SupernetPlan(1))
    images = torch.rand(8, *SHAPE)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        assert torch.equal(model.train()(images), model.eval()(images))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    mixed = [m for cell in model.modules() if isinstance(cell, MixedEdge) for m in cell.modules()]
    assert not any(m.affine for m in mixed if isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)))


def test_an_edge_is_the_weighted_sum_of_its_operations_and_leaves_its_input_alone():
    torch.manual_seed(0)
    edge = MixedEdge(("none", "skip", "conv_3x3"), 8, "batch", "relu", 1)
    x, weights = torch.randn(4, 8, 5, 5), torch.tensor([0.5, 0.2, 0.3])
    kept = x.clone()
    with torch.no_grad():
        assert torch.allclose(edge(x, weights, (0, 1, 2)), 0.2 * x + 0.3 * edge.operations[2](x), atol=1e-6)
        assert torch.equal(edge(x, weights, (1,)), 0.2 * x)
        assert edge(x, weights, (0,)).abs().sum() == 0
    assert torch.equal(x, kept)


def test_partial_channels_pass_the_others_and_are_shuffled():
    edge = MixedEdge(("none", "conv_1x1"), 8, "none", "relu", 4)
    x = torch.arange(8.0)[None, :, None, None].expand(1, 8, 2, 2).contiguous()
    out = edge(x, torch.tensor([1.0, 0.0]), (0, 1))[0, :, 0, 0].tolist()
    assert sorted(out) == [0, 0, 2, 3, 4, 5, 6, 7]  # two of eight went into the mixture, here nothing
    assert out != sorted(out)


# -- log-weights are logits


def one_strong(relaxation):
    architecture = Architecture({"cell.0-1": ("none", *CELL_OPERATIONS[:6])}, SupernetPlan(1, relaxation=relaxation))
    with torch.no_grad():
        architecture.log_weights[0].copy_(torch.tensor([0.0, 0, 0, 8, 0, 0, 0]))
    return architecture


def test_an_alpha_of_8_among_7_operations_is_drawn_998_times_in_1000():
    expected = math.exp(8) / (math.exp(8) + 6)  # .998; a softmax of the softmax would give .31
    assert one_strong("softmax").weights("cell.0-1")[3].item() == pytest.approx(expected, abs=1e-4)
    assert probabilities(one_strong("softmax").alphas()["cell.0-1"])["conv_3x3"] == pytest.approx(expected, abs=1e-4)
    architecture, generator = one_strong("gumbel"), torch.Generator().manual_seed(0)
    for progress in (0.0, 1.0):  # at any temperature
        hits = 0
        for _ in range(2000):
            architecture.draw(progress, generator)
            hits += int(architecture.weights("cell.0-1").argmax()) == 3
        assert hits / 2000 == pytest.approx(expected, abs=0.004)


def test_a_mixture_with_noise_is_that_of_the_logits_at_any_temperature():
    """Gao et al. 2020, section 3, with the log-weights themselves, and without noise once it has settled."""
    architecture = one_strong("gumbel_softmax")
    for progress, temperature in ((0.0, 10.0), (0.5, 1.0), (1.0, 0.1)):
        architecture.draw(progress, torch.Generator().manual_seed(3))
        noise = -torch.empty(7).exponential_(generator=torch.Generator().manual_seed(3)).log()
        expected = torch.softmax((architecture.log_weights[0] + noise) / temperature, 0)
        assert torch.allclose(architecture.weights("cell.0-1"), expected, atol=1e-5)
    architecture.settle()
    assert torch.allclose(architecture.weights("cell.0-1"), torch.softmax(architecture.log_weights[0], 0))


def test_a_drawn_operation_has_weight_one_and_the_gradient_of_a_soft_one():
    architecture = one_strong("gumbel")
    with torch.no_grad():
        architecture.log_weights[0].zero_()
    architecture.draw(0.0, torch.Generator().manual_seed(1))
    weights = architecture.weights("cell.0-1")
    assert sorted(weights.tolist()) == pytest.approx([0] * 6 + [1], abs=1e-6)
    weights.max().backward()
    gradient = architecture.log_weights[0].grad
    assert gradient[weights.argmax()] > 0
    assert gradient.sum().abs() < 1e-6
    architecture.settle()
    assert torch.equal(architecture.weights("cell.0-1"), architecture.weights("cell.0-1"))


# -- paths


def test_a_path_computes_what_its_candidate_does():
    space, images = AutoencoderSpace().conditioned(None), torch.rand(4, *SHAPE)
    assert isinstance(space, SharesWeights)
    fixed = {site: values[0] for site, values in FIXED.items()}
    fixed |= {"normalisation": "group", "decoder": "searched", "decoder_width": 16}
    base = space.base(lambda choice: fixed.get(choice.site, choice.usual))
    supernet = with_weights_by_shape(space.relax(base, SHAPE, SupernetPlan(1, edge_normalisation=True)))
    around = {site: value for site, value in base.content.items() if "_cell." not in site}
    for seed in range(6):
        draw = drawing(np.random.default_rng(seed))
        decided = around | {"encoder_cell.nodes": 1 + seed % 3}
        genotype = space.grow(lambda choice, draw=draw, decided=decided: decided.get(choice.site, draw(choice)))
        candidate = with_weights_by_shape(space.build(genotype, SHAPE))
        supernet.architecture.follow(space.path(genotype))
        with torch.no_grad():
            assert torch.allclose(supernet(images), candidate(images), atol=1e-4)
    supernet.architecture.follow(None)
    with torch.no_grad():
        assert not torch.allclose(supernet(images), candidate(images), atol=1e-4)


def test_a_path_that_the_supernet_does_not_have_is_refused():
    supernet = FEW.relax(base_of(FEW), SHAPE, SupernetPlan(1))
    with pytest.raises(ValueError, match="conv_5x5"):
        supernet.architecture.follow({"encoder_cell.0-1": ("conv_5x5",)})
