"""What a child has from its parent, by closed forms: where tensors mean the same, outputs are the same."""

import numpy as np
import pytest
import torch
from torch import nn

from evaluators.inheritance.transfer import inherit_weights
from nas import registry
from nas.core.space import sample
from search_spaces.cells.modules import Cell, Node
from search_spaces.operations.layers import build_convolution
from search_spaces.operations.modules import SpectralNorm
from tests.parts.usual_models import AUTOENCODERS, GANS, images, made, once, pair_once


def pair_outputs(model):
    noise = torch.randn((3, model.latent), generator=torch.Generator().manual_seed(0))
    return torch.cat([model.generator(noise).flatten(), model.discriminator(images())])


@torch.no_grad()
def child_and_parent(space, changed, common=None):
    """Both models, and what the child has inherited."""
    parent, child = made(space, 1, **(common or {})), made(space, 2, **(common or {}), **changed)
    return child, parent, inherit_weights(child, parent, once if space is AUTOENCODERS else pair_once)


@pytest.mark.parametrize(
    ("family", "cells"), [("plain", "edge"), ("plain", "hierarchical"), ("plain", "graph"), ("variational", "edge")]
)
def test_what_is_the_same_is_inherited_whole_and_computes_the_same(family, cells):
    child, parent, found = child_and_parent(AUTOENCODERS, {}, {"family": family, "cells": cells})
    assert (found.whole, found.part) == (1, 0)
    assert found.tensors == {name: name for name in parent.state_dict()}
    assert all(torch.equal(tensor, parent.state_dict()[name]) for name, tensor in child.state_dict().items())
    assert torch.equal(once(child), once(parent))


@pytest.mark.parametrize(
    "wider",
    [{"width": 24}, {"width_growth": 2.0}, {"latent": 32}, {"encoder_cell__node1__operation0": "conv_5x5"},
     {"encoder_cell__node1__operation0": "dilated_3x3"}],
)  # fmt: skip
def test_a_child_that_is_only_wider_computes_what_its_parent_does(wider):
    smaller = {"encoder_cell__node1__operation0": "conv_1x1", "width_growth": 1.5}
    child, parent, found = child_and_parent(AUTOENCODERS, {}, smaller)
    child = made(AUTOENCODERS, 2, **(smaller | wider))
    found = inherit_weights(child, parent, once)
    assert found.part > 0
    torch.testing.assert_close(once(child), once(parent), rtol=0, atol=1e-6)
    child.train()
    loss = (once(child) - images()).square().mean()
    loss.backward()
    moved = [p.grad is not None and bool(p.grad.abs().sum() > 0) for p in child.parameters()]
    assert sum(moved) > 0.9 * len(moved)  # what is new learns


def test_a_narrower_child_has_the_first_channels():
    child, parent, found = child_and_parent(AUTOENCODERS, {"width": 8})
    assert (found.share, found.part) == (1, 0)
    assert torch.equal(child.encoder[0][0].weight, parent.encoder[0][0].weight[:8])
    linear, wide = child.encoder[-1].weight, parent.encoder[-1].weight
    positions = linear.shape[1] // 16
    assert torch.equal(linear, wide[:, : 16 * positions])  # the positions of the first channels, one after the other


@pytest.mark.parametrize("cells", ["edge", "graph"])
def test_new_edges_beside_old_ones_change_nothing_at_first(cells):
    more = {"encoder_cell__nodes": 2} if cells == "edge" else {"encoder_cell__0-1__split": True}
    if cells == "graph":
        more |= {"encoder_cell__0-1__kept": True, "encoder_cell__0-1__operation": "conv_3x3",
                 "encoder_cell__0-0.5__operation": "conv_1x1",
                 "encoder_cell__0.5-1__operation": "conv_5x5"}  # fmt: skip
    child, parent, found = child_and_parent(AUTOENCODERS, more, {"cells": cells})
    assert 0.3 < found.whole < 1
    torch.testing.assert_close(once(child), once(parent), rtol=0, atol=1e-6)


def test_new_edges_before_a_relu_are_left_as_they_are_since_zero_would_be_for_ever():
    child, parent, _ = child_and_parent(AUTOENCODERS, {"encoder_cell__nodes": 2}, {"activation": "relu"})
    assert not torch.allclose(once(child), once(parent))
    assert all(layer.weight.abs().sum() > 0 for layer in child.modules() if isinstance(layer, nn.BatchNorm2d))


@pytest.mark.parametrize("stages", [1, 3])
def test_another_number_of_stages_leaves_what_works_at_the_same_size(stages):
    child, parent, found = child_and_parent(AUTOENCODERS, {"stages": stages}, {"width_growth": 1.0})
    for own, other in found.tensors.items():
        assert own.split(".")[0] == other.split(".")[0]
        assert child.state_dict()[own].shape == parent.state_dict()[other].shape
    assert torch.equal(child.encoder[0][0].weight, parent.encoder[0][0].weight)
    last = [[k for k in m.state_dict() if k.startswith("decoder.")][-1] for m in (child, parent)]
    assert found.tensors[last[0]] == last[1]  # what makes the image, though its place in the row is another


def test_equal_shapes_that_mean_other_things_are_not_copied():
    """16 channels of 3 x 3 and 4 channels of 6 x 6 are 144 numbers both."""

    def flattening(channels, stride):
        return nn.Sequential(nn.Conv2d(1, channels, 3, stride, 1), nn.Flatten(), nn.Linear(144, 5))

    child, parent = flattening(16, 4), flattening(4, 2)
    before = [tensor.clone() for tensor in child.state_dict().values()]
    found = inherit_weights(child, parent, once)
    assert found.share == 0
    assert not found.tensors
    assert all(torch.equal(*both) for both in zip(before, child.state_dict().values(), strict=True))


def test_halves_of_a_code_are_not_taken_for_each_other():
    """A variational encoder gives means and then variances: of another number of each none is at its place."""
    child, _, found = child_and_parent(AUTOENCODERS, {"latent": 32}, {"family": "variational"})
    assert not any(name.startswith(f"encoder.{len(child.encoder) - 1}.") for name in found.tensors)
    assert "encoder.0.0.weight" in found.tensors


def test_edges_of_a_graph_are_those_between_nodes_that_belong_together():
    def cell(*nodes):
        operations = [(inputs, [build_convolution(4, 4, 3, "batch", "silu") for _ in inputs]) for inputs in nodes]
        return nn.Sequential(Cell([Node(*node) for node in operations], (len(nodes),)))

    def run(model):
        model(torch.rand(2, 4, 5, 5))

    parent, child = cell((0,), (0, 1)), cell((0,), (1, 1))
    found = inherit_weights(child, parent, run)
    assert found.tensors["0.nodes.1.operations.0.0.weight"] == "0.nodes.1.operations.1.0.weight"
    assert not any(name.startswith("0.nodes.1.operations.1.") for name in found.tensors)
    depthwise = Node((0,), [nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.BatchNorm2d(4), nn.SiLU())])
    assert not inherit_weights(nn.Sequential(Cell([depthwise], (1,))), cell((0,)), run).tensors


@pytest.mark.parametrize(
    ("family", "changed"),
    [
        ("style", {}),
        ("convolutional", {"generator_width": 24, "discriminator_width": 24}),
        ("cells", {"generator_width": 24, "discriminator_width": 24}),
        ("fully_connected", {"generator_hidden_width": 1024}),
        ("cells", {"generator_stage2__skip_in0": True}),
        ("convolutional", {"minibatch": "discrimination"}),
    ],
)  # fmt: skip
def test_pairs_inherit_both_halves(family, changed):
    judges = {"cells": "cells", "fully_connected": "fully_connected"}.get(family, "convolutional")
    common = {"generator": family, "discriminator": judges, "discriminator_batch_norm": True}
    child, parent, found = child_and_parent(GANS, changed, common)
    assert {name.split(".")[0] for name in found.tensors} == {"generator", "discriminator"}
    if "minibatch" in changed:  # that layer's own numbers are new, and the logit's weights of them are zero
        assert child.discriminator.head.weight[:, -32:].abs().sum() == 0
    torch.testing.assert_close(pair_outputs(child), pair_outputs(parent), rtol=0, atol=1e-6)
    if not changed:
        assert found.whole == 1


def test_spectral_norms_come_with_their_layers():
    child, parent, found = child_and_parent(GANS, {}, {"spectral_norm": True})
    assert found.whole == 1
    assert "discriminator.features.0.left" in found.tensors
    assert torch.equal(pair_outputs(child), pair_outputs(parent))


@pytest.mark.parametrize("name", ["autoencoder", "adversarialnas", "cyclegan"])
def test_whatever_is_drawn_inherits_all_of_itself_and_what_a_mutant_can(name):
    """Motifs of motifs, nodes that only pool, edges left out: also where nothing is usual."""
    space, shape = registry.load("space", name)(), (1, 9, 10)
    small = {site: choice.values[:2] for site, choice in space.choices().items() if site.endswith("width")}
    space = space.restrict(small)

    def run(model):
        if name == "autoencoder":
            return model(torch.zeros(2, *shape))
        if name == "cyclegan":
            return [model.discriminator_b(model.a_to_b(torch.zeros(2, *shape))), model.b_to_a(torch.zeros(2, *shape))]
        return pair_once(model)

    generator = np.random.default_rng(1)
    genotype = sample(space, generator)
    parent, same = (space.build(genotype, shape) for _ in range(2))
    found = inherit_weights(same, parent, run)
    assert (found.whole, found.part) == (pytest.approx(1), 0)  # also of what was not run: tensors as they are
    assert all(torch.equal(tensor, parent.state_dict()[key]) for key, tensor in same.state_dict().items())
    mutant = space.build(space.mutate(genotype, generator)[0], shape)
    assert 0 <= inherit_weights(mutant, parent, run).share <= 1
    assert all(tensor.isfinite().all() for tensor in mutant.state_dict().values())


def test_what_is_wrapped_around_a_layer_belongs_to_that_layer():
    """Singular vectors say nothing of another weight of the same shape."""

    def judging(channels, stride):
        layers = nn.Conv2d(1, channels, 3, stride, 1), nn.Flatten(), SpectralNorm(nn.Linear(144, 5))
        return nn.Sequential(*layers)

    child, parent = judging(16, 4), judging(4, 2)
    assert not inherit_weights(child, parent, once).tensors
    same = inherit_weights(judging(4, 2), parent, once)
    assert {"2.left", "2.right", "2.layer.weight"} < set(same.tensors)
