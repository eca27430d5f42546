"""Autoencoders of sequences: cells and samplings of one dimension, and recurrent layers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from evaluators.inheritance.transfer import inherit_weights
from evaluators.metrics.cost import count_multiply_adds
from evaluators.pruning.channels import NothingToPrune, find_channels, select_channels
from evaluators.pruning.pruning import choose_channels, count_kept
from evaluators.training.growth import find_blocks
from nas.core.genotype import Genotype
from nas.core.space import sample
from nas.core.supernet import SupernetPlan
from nas.export.python_source import print_source
from search_spaces.autoencoder.sequences import RecurrentDecoder, RecurrentEncoder
from search_spaces.autoencoder.space import AutoencoderSpace
from search_spaces.operations.layers import build_down_sampling, build_operation, build_up_sampling, compute_sizes
from search_spaces.operations.modules import StepShuffle
from search_spaces.operations.names import DOWN_SAMPLINGS, OPERATIONS, UP_SAMPLINGS

NARROW = {
    "width": (8, 16), "decoder_width": (8, 24), "hidden_width": (64,), "decoder_hidden_width": (64,),
    "state_width": (16, 32), "decoder_state_width": (16, 32),
}  # fmt: skip


def make_space(shape, **pins):
    space = (
        AutoencoderSpace().conditioned(None).shaped(shape).restrict({site: (value,) for site, value in pins.items()})
    )
    arising = space.choices()
    return space.restrict({site: values for site, values in NARROW.items() if site in arising and site not in pins})


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), channels=st.integers(1, 3), steps=st.integers(8, 200))
def test_any_genotype_builds_and_trains_for_any_length(seed, channels, steps):
    space = make_space((channels, steps))
    genotype = sample(space, np.random.default_rng(seed))
    model = space.build(genotype, (channels, steps)).train()
    sequences = torch.randn(3, channels, steps)
    seen = sequences.clone()
    seen[0, 0, : steps // 2] = math.nan
    reconstructions = model.decode(model.encode(seen))
    assert reconstructions.shape == sequences.shape
    assert torch.isfinite(reconstructions).all()
    (reconstructions - sequences).square().mean().backward()
    for half in (model.encoder, model.decoder):
        assert all(parameter.grad is not None for parameter in half.parameters())
    assert space.describe(genotype, (channels, steps))


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_of_sequences_see_as_many_steps_as_those_of_images_see_pixels(name):
    """A sequence is an image of one row: with the middle rows of its kernels a map gives the same."""
    torch.manual_seed(0)
    wide, flat = build_operation(name, 4, "none", "relu"), build_operation(name, 4, "none", "relu", dimensions=1)
    for one, other in zip(wide.parameters(), flat.parameters(), strict=True):
        other.data = one.data[..., one.shape[2] // 2, :].clone() if one.dim() == 4 else one.data.clone()
    x = torch.randn(2, 4, 19)
    assert torch.allclose(flat(x), wide(x[:, :, None])[:, :, 0], atol=1e-6)


@pytest.mark.parametrize("down", DOWN_SAMPLINGS)
@pytest.mark.parametrize("up", UP_SAMPLINGS)
def test_samplings_halve_rounded_up_and_go_back(down, up):
    sizes = compute_sizes((3, 21), 3)
    assert sizes == [(21,), (11,), (6,), (3,)]
    x = torch.randn(2, 3, 21)
    halved = build_down_sampling(down, 3, 8, "batch", "relu", dimensions=1)(x)
    assert halved.shape == (2, 8, 11)
    assert nn.Sequential(*build_up_sampling(up, 8, 3, (11,), (21,), bias=True))(halved).shape == x.shape


def test_a_step_shuffle_is_a_pixel_shuffle_of_steps():
    x = torch.arange(12.0).reshape(1, 4, 3)
    shuffled = StepShuffle(2)(x)
    assert shuffled.tolist() == [[[0, 3, 1, 4, 2, 5], [6, 9, 7, 10, 8, 11]]]


@pytest.mark.parametrize("layer", [nn.GRU, nn.LSTM])
def test_recurrent_halves_read_and_write_frames_of_steps(layer):
    encoder = RecurrentEncoder(layer(2 * 3, 5, batch_first=True), 3, 1)
    x = torch.randn(4, 2, 8)
    frames = torch.stack([torch.cat((x, torch.zeros(4, 2, 1)), 2)[:, :, i : i + 3].flatten(1) for i in (0, 3, 6)], 1)
    assert torch.allclose(encoder(x), encoder.layer(frames)[0][:, -1])
    decoder = RecurrentDecoder(nn.Linear(7, 10), layer(7, 5, 2, batch_first=True), nn.Linear(5, 6), 2, 3, 8)
    code = torch.randn(4, 7)
    first = torch.tanh(decoder.state(code)).reshape(4, 2, 5).transpose(0, 1).contiguous()
    state, made = ((first, first) if layer is nn.LSTM else first), []
    for _ in range(3):
        given, state = decoder.layer(code[:, None], state)
        made.append(decoder.output(given[:, 0]).reshape(4, 2, 3))
    assert torch.allclose(decoder(code), torch.cat(made, 2)[:, :, :8], atol=1e-6)


def test_frames_are_short_for_short_sequences():
    assert AutoencoderSpace().conditioned(None).shaped((3, 8)).choices()["frame"].values == (1, 2)
    assert AutoencoderSpace().conditioned(None).shaped((1, 200)).choices()["frame"].values == (1, 2, 4, 8, 16)


def printed(model):
    names = {}
    head = "import torch\nimport torch.nn.functional as F\nfrom torch import Tensor, nn\n\n"
    exec(head + print_source(model), names)
    made = names["build"]()
    made.load_state_dict(model.state_dict())
    return made.eval()


@pytest.mark.parametrize("network", ["convolutional", "recurrent", "fully_connected"])
def test_models_are_printed_pruned_and_inherited_from(network):
    space, shape = make_space((2, 21), network=network, family="plain"), (2, 21)
    x = torch.randn(3, *shape)
    for seed in range(5):
        genotype = sample(space, np.random.default_rng(seed))
        model = space.build(genotype, shape).eval()
        assert torch.allclose(printed(model)(x), model(x), atol=1e-6)
        assert count_multiply_adds(model, x) > 500
        child = space.build(genotype, shape).eval()
        assert inherit_weights(child, model, lambda one: one(x)).share == 1
        assert torch.allclose(child(x), model(x), atol=1e-6)
        calls = {"encoder": (x,), "decoder": (model.encode(x),)}
        if network == "recurrent":
            with pytest.raises(NothingToPrune, match="no layer has channels that can be removed"):
                find_channels(model, calls)
            continue
        channels = find_channels(model, calls)  # which verifies them
        kept = {name: count_kept(len(own), 0.5) for name, own in channels.groups.items()}
        smaller = select_channels(model, channels, choose_channels(model, channels, kept))
        assert smaller(x).shape == x.shape
        assert sum(p.numel() for p in smaller.parameters()) < 0.7 * sum(p.numel() for p in model.parameters())


def test_a_wider_child_computes_what_its_parent_does():
    space = make_space((2, 21), network="convolutional", family="plain", decoder="mirrored", cells="edge",
                       normalisation="batch", up_sampling="transposed_convolution")  # fmt: skip
    x = torch.randn(3, 2, 21)
    for seed in range(4):
        genotype = sample(space, np.random.default_rng(seed))
        narrow, wide = (
            space.build(Genotype.of("autoencoder", space.version, {**genotype.content, "width": width}), (2, 21)).eval()
            for width in (8, 16)
        )
        inherit_weights(wide, narrow, lambda one: one(x))
        assert torch.allclose(wide(x), narrow(x), atol=1e-5)
        assert find_blocks(wide, lambda one: one(x)) or "skip" in space.describe(genotype, (2, 21))


@pytest.mark.parametrize("parts", [1, 4])
def test_a_path_of_a_supernet_is_its_candidate(parts):
    space = make_space((2, 21), network="convolutional", cells="edge", normalisation="none", family="plain", width=8)
    base = space.base(lambda choice: choice.values[0])
    plan = SupernetPlan(epochs=1, relaxation="softmax", partial_channels=parts)
    supernet = space.relax(base, (2, 21), plan)
    x = torch.randn(3, 2, 21)
    assert supernet(x).shape == x.shape
    supernet.architecture.follow(space.path(space.derive(base, supernet.architecture.alphas()).genotype))
    assert supernet(x).shape == x.shape
