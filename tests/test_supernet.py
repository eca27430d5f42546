"""The supernet of the autoencoder space, its derivation, and its bilevel training."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from evaluators.metrics.cost import PeakMemory, parameters
from evaluators.supernet import SupernetTraining, first_order, second_order
from nas.core.errors import InvalidGenotype
from nas.core.space import drawing
from nas.core.supernet import Relaxable, SharesWeights, Supernet, entropy, perturbed, probabilities
from nas.testing.toys import RelaxableToySpace
from search_spaces.autoencoder.space import AutoencoderSpace
from search_spaces.cells.derivation import derive_cell, relaxed_edges
from search_spaces.cells.edge import OPERATION_NAMES
from search_spaces.supernet import Architecture, MixedEdge

from .supernets import FEW, FIXED, SPACE, base_of

SHAPE = (1, 8, 8)


def drawn_alphas(space, base, seed, plan):
    torch.manual_seed(seed)
    model = space.relax(base, SHAPE, plan)
    generator = np.random.default_rng(seed)
    return {name: {o: 3 * generator.normal() for o in row} for name, row in model.architecture.alphas().items()}


# -- the base and the supernet around it


def test_the_base_has_the_largest_cells_and_is_usual_elsewhere():
    base = base_of(AutoencoderSpace()).content
    assert base["encoder_cell.nodes"] == 3
    assert (base["network"], base["normalisation"], base["activation"]) == ("convolutional", "batch", "silu")
    assert base_of(FEW).content["encoder_cell.nodes"] == 2


def test_a_space_without_free_cells_has_no_base():
    with pytest.raises(InvalidGenotype, match="network"):
        base_of(AutoencoderSpace().restrict({"network": ("fully_connected",)}))
    pinned = {"decoder": ("mirrored",), "encoder_cell.nodes": (1,), "encoder_cell.node1.operation*": ("skip",)}
    with pytest.raises(InvalidGenotype, match="nothing to relax"):
        base_of(AutoencoderSpace().restrict(pinned))
    assert isinstance(AutoencoderSpace(), Relaxable)
    assert isinstance(RelaxableToySpace(), Relaxable)


@pytest.mark.parametrize("options", [
    {}, {"relaxation": "gumbel"}, {"partial_channels": 4, "edge_normalisation": True}, {"partial_channels": 8},
])  # fmt: skip
def test_the_supernet_is_an_autoencoder_whose_edges_hold_everything(options):
    space = SPACE.restrict({"decoder": ("searched",), "decoder_width": (16,)})
    model = space.relax(base_of(space), SHAPE, Supernet(1, **options))
    assert model(torch.rand(4, *SHAPE)).shape == (4, *SHAPE)
    alphas = {name: row for name, row in model.architecture.alphas().items() if "-" in name}
    assert set(alphas) == {f"{c}_cell.{e}" for c in ("encoder", "decoder")
                           for e in ("0-1", "0-2", "1-2", "0-3", "1-3", "2-3")}  # fmt: skip
    assert all(tuple(row) == ("none", *OPERATION_NAMES) for row in alphas.values())
    assert entropy(alphas) == pytest.approx(math.log(11), abs=1e-4)


def test_mirrored_cells_share_alphas_but_no_weights():
    one, two = (
        AutoencoderSpace().restrict(FIXED | {"decoder": (way,), "stages": (2,)}) for way in ("mirrored", "searched")
    )
    counts = [len(s.relax(base_of(s), SHAPE, Supernet(1)).architecture.log_weights) for s in (one, two)]
    assert counts == [6, 12]
    model = one.relax(base_of(one), SHAPE, Supernet(1))
    cells = [module for module in model.modules() if type(module).__name__ == "MixedCell"]
    assert len(cells) == 4
    assert len({id(cell.architecture) for cell in cells}) == 1
    assert len({id(next(cell.edges.parameters())) for cell in cells}) == 4


def test_nothing_in_the_supernet_normalises_by_what_other_architectures_left_behind():
    model = SPACE.relax(base_of(SPACE), SHAPE, Supernet(1))
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
    architecture = Architecture({"cell.0-1": ("none", *OPERATION_NAMES[:6])}, Supernet(1, relaxation=relaxation))
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


def test_draws_in_numbers_follow_the_softmax():
    alphas = {"edge": {"a": 0.0, "b": math.log(3)}}
    generator = np.random.default_rng(0)
    draws = [max((row := perturbed(alphas, generator)["edge"]), key=row.__getitem__) for _ in range(4000)]
    assert draws.count("b") / 4000 == pytest.approx(0.75, abs=0.02)


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


# -- derivation


def cell_of(strengths, nodes=3, **options):
    """The cell of a space whose edges have these log-weights, 0 for all others."""
    allowed = {"c.nodes": (nodes,)}
    for target in range(1, nodes + 1):
        for slot in (0, 1):
            allowed[f"c.node{target}.input{slot}"] = tuple(range(target))
            allowed[f"c.node{target}.operation{slot}"] = OPERATION_NAMES if slot == 0 else ("none", *OPERATION_NAMES)
    allowed |= options.pop("allowed", {})
    alphas = {f"c.{s}-{t}": {o: strengths.get((s, t, o), 0.0) for o in names}
              for (s, t), names in relaxed_edges(allowed, "c").items()}  # fmt: skip
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
    space = AutoencoderSpace()
    space._restrictions = restrictions  # at once: to check each takes long
    try:
        base = base_of(space, usual=0.5, seed=seed)
    except InvalidGenotype:
        return
    plan = Supernet(1, edge_normalisation=bool(generator.integers(2)))
    alphas = drawn_alphas(space, base, seed, plan)
    derived = space.derive(base, alphas, guard)
    space.validate(derived.genotype)
    fixed = {site for site in base.content if "_cell." not in site or site.endswith(".nodes")}
    assert all(derived.genotype.content[site] == base.content[site] for site in fixed)
    assert space.derive(base, alphas, guard) == derived
    space.validate(space.derive(base, perturbed(alphas, generator), guard).genotype)


CELL_CHOICES = {site: choice for site, choice in AutoencoderSpace().choices().items() if "_cell." in site}


def test_the_derived_model_holds_what_its_genotype_uses_and_no_more():
    base = base_of(SPACE)
    supernet = SPACE.relax(base, SHAPE, Supernet(1))
    derived = SPACE.derive(base, supernet.architecture.alphas()).genotype
    model = SPACE.build(derived, SHAPE)
    again = SPACE.build(SPACE.grow(lambda choice: derived.content[choice.site]), SHAPE)
    assert parameters(model) == parameters(again)
    assert not any(isinstance(module, (MixedEdge, Architecture)) for module in model.modules())
    mixed = sum(p.numel() for m in supernet.modules() if isinstance(m, MixedEdge) for p in m.parameters())
    cells = sum(p.numel() for m in model.modules() if type(m).__name__ == "Cell" for p in m.parameters())
    assert cells < mixed / 4


# -- paths


def with_weights_by_shape(model):
    """Weights that follow from the shapes alone: then models of the same layers compute the same."""
    with torch.no_grad():
        for module in model.modules():
            for name, weight in module.named_parameters(recurse=False):
                if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d)):
                    weight.fill_(float(name == "weight"))
                elif not isinstance(module, nn.ParameterList):
                    generator = torch.Generator().manual_seed(weight.numel())
                    weight.copy_(0.3 * torch.randn(weight.shape, generator=generator))
    return model


def test_a_path_computes_what_its_candidate_does():
    space, images = AutoencoderSpace(), torch.rand(4, *SHAPE)
    assert isinstance(space, SharesWeights)
    fixed = {site: values[0] for site, values in FIXED.items()}
    fixed |= {"normalisation": "group", "decoder": "searched", "decoder_width": 16}
    base = space.base(lambda choice: fixed.get(choice.site, choice.usual))
    supernet = with_weights_by_shape(space.relax(base, SHAPE, Supernet(1, edge_normalisation=True)))
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
    supernet = FEW.relax(base_of(FEW), SHAPE, Supernet(1))
    with pytest.raises(ValueError, match="conv_5x5"):
        supernet.architecture.follow({"encoder_cell.0-1": ("conv_5x5",)})


# -- the bilevel gradient


def bilevel_problem():
    generator = torch.Generator().manual_seed(0)
    a, b, c = (torch.randn(5, 4, generator=generator, dtype=torch.float64) for _ in range(3))
    weights = torch.randn(4, generator=generator, dtype=torch.float64, requires_grad=True)
    alphas = torch.randn(5, generator=generator, dtype=torch.float64, requires_grad=True)

    def training(w, x):
        return ((torch.tanh(a @ w) * torch.softmax(x, 0)) ** 2).sum() + 0.3 * (b @ w * x).sum() ** 2

    def validation(w, x):
        return ((torch.sin(c @ w) - torch.softmax(x, 0)) ** 2).sum()

    return weights, alphas, training, validation


def test_the_second_order_gradient_is_that_of_automatic_differentiation():
    weights, alphas, training, validation = bilevel_problem()
    rate = 0.05
    step = torch.autograd.grad(training(weights, alphas), weights, create_graph=True)[0]
    exact = torch.autograd.grad(validation(weights - rate * step, alphas), alphas)[0]
    before = weights.detach().clone()
    (found,) = second_order(
        lambda: training(weights, alphas), lambda: validation(weights, alphas), [weights], [alphas], rate
    )
    assert torch.allclose(found, exact, rtol=1e-3, atol=1e-6)
    assert torch.equal(weights, before)
    (first,) = first_order(validation(weights, alphas), [alphas])
    assert (first - exact).norm() > 0.01 * exact.norm()
    (limit,) = second_order(
        lambda: training(weights, alphas), lambda: validation(weights, alphas), [weights], [alphas], 0.0
    )
    assert torch.allclose(limit, first)


class OneEdge(nn.Module):
    """An autoencoder of one mixed edge, whose input is to be given back: the skip has to win.

    GDAS's gradient sees the drawn operation alone: where that is right already it learns nothing, so its scale begins
    too small.
    """

    variational = False

    def __init__(self, plan, scale):
        super().__init__()
        self.architecture = Architecture({"c.0-1": ("none", "skip", "max_pool_3x3")}, plan)
        self.edge = MixedEdge(self.architecture.choices["c.0-1"], 1, "none", "relu", 1)
        self.scale = nn.Parameter(torch.full((1,), scale))
        self.output = nn.Hardtanh(0.0, 1.0)

    def encode(self, images):
        weights = self.architecture.weights("c.0-1")
        return self.edge(images, weights, self.architecture.held("c.0-1", weights))

    def decoder(self, code):
        return self.scale * code


@pytest.mark.parametrize(("relaxation", "order"), [("softmax", 1), ("softmax", 2), ("gumbel", 1)])
def test_an_edge_that_one_operation_serves_gets_it(tiny, relaxation, order):
    torch.manual_seed(0)
    epochs, scale = (4, 1.0) if relaxation == "softmax" else (20, 0.5)
    plan = Supernet(epochs, order=order, relaxation=relaxation, learning_rate=0.1)
    hyperparameters = {"loss": "mse", "optimiser": "adam", "learning_rate": 0.002, "weight_decay": 0.0,
                       "schedule": "constant", "batch_size": 8}  # fmt: skip
    training = SupernetTraining(OneEdge(plan, scale), plan, hyperparameters, tiny.train, 0)
    for _ in range(plan.epochs):
        training.epoch(PeakMemory(torch.device("cpu")))
    row = training.architecture.alphas()["c.0-1"]
    assert max(row, key=row.__getitem__) == "skip"
    assert probabilities(row)["skip"] > 0.4
