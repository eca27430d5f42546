"""Autoencoders of sequences: squared errors and Gaussian likelihoods of steps that are not missing, and pictures."""

import io
import math

import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from evaluators.autoencoder.baselines import reconstruct_linearly
from evaluators.autoencoder.task import AutoencoderTask
from evaluators.autoencoder.vectors import fit_vector_variance, vector_error, vector_log_likelihood
from evaluators.metrics.reconstruction import mean_squared_error
from evaluators.pictures import draw_lines
from nas.core.space import generator_for, sample
from nas.core.trial import Proposal, Trial
from nas.data.dataset import Dataset, Split
from nas.strategies.usual_first import find_usual
from nas.testing import EvaluatorContract
from search_spaces.autoencoder.space import AutoencoderSpace

RECURRENT = {"network": ("recurrent",), "optimiser": ("adam",), "learning_rate": (0.008,)}


def make_waves(count=600, steps=32, seed=0, missing=0.0):
    """Two channels of one sine wave of a random frequency and phase, standardised."""
    draw = torch.Generator().manual_seed(seed)
    frequency, phase = 1 + 2 * torch.rand(count, 1, generator=draw), 2 * math.pi * torch.rand(count, 1, generator=draw)
    angle = frequency * torch.linspace(0, 2 * math.pi, steps) + phase
    examples = math.sqrt(2) * torch.stack((torch.sin(angle), torch.cos(angle)), 1)
    examples[torch.rand(examples.shape, generator=draw) < missing] = math.nan
    return Dataset("waves", *(Split(part) for part in examples.split([count - 200, 100, 100])))


def train(data, genotype, space, epochs, seed=0):
    evaluator = AutoencoderTask.make_evaluator(space, data, epochs=epochs)
    *_, last = evaluator.evaluate(Trial(0, Proposal(genotype), seed))
    return evaluator, last


def test_errors_and_likelihoods_are_those_of_the_flattened_vectors_and_what_is_missing_has_no_say():
    draw = torch.Generator().manual_seed(0)
    raw, examples = torch.randn(2, 4, 3, 7, generator=draw)
    assert vector_error(raw, examples, ()).item() == pytest.approx(F.mse_loss(raw, examples).item())
    examples[0, 1, :5] = math.nan
    flat = raw.flatten(1), examples.flatten(1)
    assert vector_error(raw, examples, ()) == vector_error(*flat, ())
    assert torch.allclose(vector_log_likelihood(raw, examples, (), 0.3), vector_log_likelihood(*flat, (), 0.3))
    assert fit_vector_variance(raw, examples, ()) == fit_vector_variance(*flat, ())
    known = (raw - examples).square()
    assert mean_squared_error(raw, examples) == pytest.approx(known[~torch.isnan(known)].mean().item())


@pytest.mark.parametrize("seed", range(8))
def test_any_genotype_trains_on_sequences_with_missing_values(seed):
    data = make_waves(300, steps=(9, 20, 33)[seed % 3], missing=0.2)
    # other rates, and layer norms of a few steps in deep cells, make networks diverge whatever is missing
    gentle = {"optimiser": ("adam",), "learning_rate": (0.0005,), "cells": ("edge", "graph")}
    space = AutoencoderSpace().conditioned(None).shaped(data.shape).restrict(gentle)
    evaluator, last = train(data, sample(space, generator_for(seed)), space, 1)
    assert 0 < last.metrics["mse"] < 100
    assert {"psnr", "ssim"}.isdisjoint(last.metrics)
    assert set(last.metrics) <= {*evaluator.metrics, "inherited"}
    assert Image.open(io.BytesIO(last.artifacts["reconstructions.png"])).size[0] == 10 * 162


@pytest.mark.parametrize(
    "pins",
    [{"network": ("convolutional",), "width": (16,)}, {**RECURRENT, "recurrent_layer": ("gru",)},
     {**RECURRENT, "recurrent_layer": ("lstm",)}, {**RECURRENT, "family": ("variational",)}],
    ids=["convolutional", "gru", "lstm", "variational"],
)  # fmt: skip
def test_waves_are_learnt_better_than_by_principal_components(pins):
    data = make_waves(1200)
    space = AutoencoderSpace().conditioned(None).shaped(data.shape)
    space = space.restrict({"latent": (3,), "batch_size": (32,), **pins})
    _, last = train(data, find_usual(space, 0), space, 12)
    linear = reconstruct_linearly(data.train.examples, data.validation.examples, 3)
    assert last.metrics["mse"] < 0.6 * mean_squared_error(linear, data.validation.examples)
    if "family" in pins:
        assert last.metrics["elbo"] <= last.metrics["iwae_bound"]


def test_lines_are_drawn_from_low_to_high_and_missing_steps_are_left_out():
    rising = torch.linspace(-1, 1, 50)
    (drawn,) = draw_lines([torch.stack((rising, torch.full((50,), math.nan)))[None]])
    inked = (drawn[0].amin(0) < 0.9).nonzero()
    assert drawn.shape == (1, 3, 64, 160)
    assert inked[inked[:, 1] < 10, 0].min() > 55  # low at the left
    assert inked[inked[:, 1] > 150, 0].max() < 8
    rising[25:] = math.nan
    (drawn,) = draw_lines([rising[None, None]])
    assert (drawn[0].amin(0) < 0.9).nonzero()[:, 1].max() < 80
    (constant,) = draw_lines([torch.zeros(1, 1, 5)])
    assert (constant < 0.9).any()
    assert len(draw_lines([torch.full((2, 1, 5), math.nan)] * 2)) == 2


class TestAutoencodersOfSequences(EvaluatorContract):
    def make(self, epochs):
        return AutoencoderTask.make_evaluator(_small_space(), make_waves(260, steps=20), epochs=epochs)

    def genotypes(self):
        return [sample(_small_space(network=network, family=family), generator_for(1))
                for network in ("convolutional", "recurrent") for family in ("plain", "variational")]  # fmt: skip


def _small_space(**pins):
    space = AutoencoderSpace().conditioned(None).shaped((2, 20)).restrict({"latent": (4,), "batch_size": (32,)})
    space = space.restrict({site: (value,) for site, value in pins.items()})
    narrow = {"width": (8,), "decoder_width": (8,), "state_width": (16,), "hidden_width": (64,)}
    return space.restrict({site: values for site, values in narrow.items() if site in space.choices()})
