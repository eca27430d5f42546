"""Networks that grow: what is switched on changes nothing at that moment, and is the whole in the end."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load
from torch import nn

import nas
from evaluators.autoencoder.bounds import as_autoencoder
from evaluators.autoencoder.scores import score_reconstructions
from evaluators.autoencoder.task import AutoencoderTask
from evaluators.training.growth import Growth, find_blocks
from nas.cli.summary import print_summary
from nas.config import RunConfig
from nas.core.errors import UserError
from nas.core.trial import Proposal, Trial
from nas.session.assembly import assemble
from search_spaces.cells.modules import Cell, Node
from search_spaces.operations.layers import build_convolution
from tests.conftest import tiny_data
from tests.parts.usual_models import AUTOENCODERS, GANS, genotype, images, made, once, pair_once

DEEP = {"stages": 3, "encoder_cell__nodes": 2}


def test_blocks_are_what_can_be_left_out_in_the_order_of_depth():
    assert find_blocks(made(AUTOENCODERS, 0, **DEEP), once) == [
        ["encoder.1", "encoder.3", "encoder.5"],
        ["decoder.4", "decoder.8", "decoder.12"],
    ]
    pair = made(GANS, 0, generator="cells", discriminator="cells", spectral_norm=True)
    assert find_blocks(pair, pair_once) == [
        [f"generator.layers.cells.{stage}.second" for stage in range(3)],
        [f"discriminator.features.{place}" for place in (1, 3, 5)],
    ]
    assert find_blocks(made(AUTOENCODERS, 0, network="fully_connected"), once) == []
    block = nn.Sequential(build_convolution(4, 4, 3, "batch", "relu"), nn.Identity())
    graph = nn.Sequential(nn.Conv2d(1, 4, 3), Cell([Node((0,), [block])], (1,)), block, block, nn.AvgPool2d(2))
    assert find_blocks(graph, lambda model: model(images())) == [["1"]]  # neither an edge nor what is called twice


@torch.no_grad()
def test_without_its_blocks_it_computes_what_a_network_without_them_does():
    model = made(AUTOENCODERS, 1, **DEEP)
    bare, whole = copy.deepcopy(model), once(model)
    for name in (name for row in find_blocks(model, once) for name in row):
        bare.set_submodule(name, nn.Identity())
    growth = Growth(model, find_blocks(model, once), 8)
    growth.set_time(0)
    assert torch.equal(once(model), once(bare))
    assert model.state_dict().keys() == copy.deepcopy(model).state_dict().keys()
    growth.set_time(8)
    assert torch.equal(once(model), whole)


@settings(max_examples=20, deadline=None)
@given(epochs=st.integers(2, 12), blocks=st.integers(1, 6), share=st.floats(0, 1))
def test_to_switch_on_a_group_changes_nothing_at_that_moment(epochs, blocks, share):
    torch.manual_seed(blocks)
    model = nn.Sequential(*(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Tanh()) for _ in range(blocks)))
    x = images()
    with torch.no_grad():
        whole = model(x)
        growth = Growth(model, [[str(place) for place in range(blocks)]], epochs)
        assert growth.stages == 1 + min(epochs // 2, blocks)
        stages = [growth.stage(epoch) for epoch in range(1, epochs + 1)]
        assert stages == sorted(stages)
        assert set(stages) == set(range(1, growth.stages + 1))
        assert stages.count(growth.stages) >= epochs / 2
        for epoch in range(1, epochs + 1):
            growth.set_time(epoch - 1e-9)
            before = model(x)
            growth.set_time(epoch)
            assert torch.equal(model(x), before)
        assert torch.equal(model(x), whole)
        growth.set_time(growth._starts[0] + share / 2)  # between, a block is between its input and its output
        first = model[0].forward._forward(x)
        torch.testing.assert_close(model[0](x), x + share * (first - x))


def test_what_is_new_is_trained_first_and_then_all():
    model = nn.Sequential(*(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Tanh()) for _ in range(3)), nn.Flatten())
    growth = Growth(model, [["1", "2"]], 4)
    trained = {}
    for time in (0, 0.9, 1, 1.25, 1.5, 1.9, 2, 2.25, 2.5, 3.9):
        model.zero_grad()
        growth.set_time(time)
        model(images()).square().sum().backward()
        growth.mask_gradients()
        trained[time] = [place for place in range(3) if model[place][0].weight.grad is not None]
    assert trained == {0: [0], 0.9: [0], 1: [], 1.25: [1], 1.5: [0, 1], 1.9: [0, 1], 2: [], 2.25: [2],
                       2.5: [0, 1, 2], 3.9: [0, 1, 2]}  # fmt: skip


def measured(evaluator, space, **decided):
    return list(evaluator.evaluate(Trial(0, Proposal(genotype(space, **decided)), 1)))


def test_an_autoencoder_grows_and_what_is_kept_is_the_whole():
    data = tiny_data(12)
    evaluator = AutoencoderTask.make_evaluator(AUTOENCODERS, data, epochs=4, grow=True)
    grown = measured(evaluator, AUTOENCODERS, batch_size=16)
    assert [measurement.metrics["stage"] for measurement in grown] == [1, 2, 3, 3]
    assert {measurement.metrics["stages"] for measurement in grown} == {3}
    model = AUTOENCODERS.build(genotype(AUTOENCODERS, batch_size=16), data.shape)
    model.load_state_dict(load(grown[-1].artifacts["weights.safetensors"]))
    again = score_reconstructions(
        as_autoencoder(model.eval()),
        evaluator.task._validation,
        evaluator.space.hyperparameters(genotype(AUTOENCODERS)),
        1,
    ).metrics
    assert again["mse"] == pytest.approx(grown[-1].metrics["mse"], rel=1e-4)
    flat = measured(evaluator, AUTOENCODERS, network="fully_connected", batch_size=16)
    assert [measurement.metrics["stages"] for measurement in flat] == [1] * 4
    whole = AutoencoderTask.make_evaluator(AUTOENCODERS, data, epochs=4)
    plain = measured(whole, AUTOENCODERS, network="fully_connected", batch_size=16)
    assert [m.metrics["mse"] for m in plain] == [m.metrics["mse"] for m in flat]
    assert "stage" not in plain[-1].metrics


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 1}, "--epochs 1: --grow needs an epoch before the last; allowed: 2 or more"),
        ({"weight_sharing": "inherit"}, "--weight-sharing 'inherit': --grow leaves out what children inherit"),
        ({"space": "cyclegan", "dataset_b": "inverted:digits"}, "--grow 'cyclegan' is not accepted"),
        ({"grow": "sometimes"}, "--grow 'sometimes' is not accepted; allowed: true or false"),
    ],
)
def test_what_does_not_go_with_it_is_refused(options, message):
    with pytest.raises(UserError, match=f"^{message}"):
        assemble(RunConfig.checked({"grow": True, **options}))


def test_a_run_says_how_its_trials_grew(tmp_path, monkeypatch):
    monkeypatch.setattr("nas.session.execution.export_model", lambda run, candidate: None)
    pins = {
        "latent": 8, "width": 8, "cells": "edge", "encoder_cell.node1.operation0": "conv_1x1", "batch_size": 64,
        "network": "convolutional", "decoder": "mirrored", "encoder_cell.nodes": 1,
    }  # fmt: skip
    options = {"strategy": "random", "runs_dir": tmp_path, "name": "grown"}
    run = nas.search(data=tiny_data(), trials=2, epochs=2, grow=True, pin=pins, **options)
    assert [run.candidate(number).remarks for number in (0, 1)] == [["grown in 2 stages"]] * 2
    assert "grown in 2 stages" in (run.path / "report.html").read_text()


def test_the_summary_counts_candidates_without_blocks_to_grow(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("nas.session.execution.export_model", lambda run, candidate: None)
    pins = {"latent": 8, "network": "fully_connected", "batch_size": 64}
    options = {"strategy": "random", "runs_dir": tmp_path, "finalists": 0}
    run = nas.search(data=tiny_data(), trials=2, epochs=2, grow=True, pin=pins, name="flat", **options)
    print_summary(run)
    assert "\nnot grown, as none of their blocks can be left out: 2 of 2 candidates\n" in capsys.readouterr().out
    print_summary(nas.search(data=tiny_data(), trials=1, epochs=2, pin=pins, name="plain", **options))
    assert "not grown" not in capsys.readouterr().out
