"""Discrete codes are what they say: nearest vectors, levels of a grid, likeliest categories."""

import pytest
import torch
from torch import nn

from search_spaces.autoencoder.codes import (
    CategoryQuantiser,
    FiniteScalarQuantiser,
    QuantisedAutoencoder,
    VectorQuantiser,
)
from search_spaces.autoencoder.space import AutoencoderSpace

QUANTISERS = [VectorQuantiser(7, 2), *(FiniteScalarQuantiser(levels) for levels in (2, 5, 8)), CategoryQuantiser(3)]


def test_the_nearest_vector_is_that_of_brute_force():
    quantiser, values = VectorQuantiser(20, 3).eval(), torch.randn(50, 12)
    indices = quantiser.find_indices(values)
    assert indices.shape == (50, 4)
    for row, found in zip(values.view(50, 4, 3), indices, strict=True):
        for vector, index in zip(row, found, strict=True):
            assert index == (quantiser.codebook - vector).square().sum(1).argmin()
    assert torch.equal(quantiser(values).view(50, 4, 3), quantiser.codebook[indices])


@pytest.mark.parametrize("levels", [2, 3, 4, 5, 8, 16, 32])
def test_finite_scalars_are_all_of_their_levels_and_nothing_else(levels):
    quantiser = FiniteScalarQuantiser(levels).eval()
    values = torch.linspace(-12, 12, 20_001)[:, None]
    codes, below = quantiser(values), levels // 2
    grid = (torch.arange(levels) - below) / below
    assert torch.equal(codes.unique(), grid)
    assert (codes.diff(dim=0) >= 0).all()
    assert quantiser(torch.zeros(1, 1)).item() == 0
    assert quantiser.relax(torch.zeros(1, 1)).item() == pytest.approx(0, abs=1e-6)
    assert torch.equal(quantiser.find_indices(grid[None]), torch.arange(levels)[None])


@pytest.mark.parametrize("quantiser", QUANTISERS, ids=lambda one: type(one).__name__)
def test_indices_say_all_of_a_code_and_a_code_is_its_own_nearest(quantiser):
    model = QuantisedAutoencoder(nn.Identity(), nn.Identity(), nn.Identity(), quantiser).eval()
    values = 3 * torch.randn(30, 6)
    codes = model.encode(values)
    assert codes.shape == values.shape
    assert torch.equal(model.decode_indices(model.encode_indices(values)), codes)
    assert torch.equal(model.snap(codes), codes)
    assert torch.equal(model.snap(codes + 1e-3), codes)
    encoder, decoder = model.split()
    assert torch.equal(encoder(values), model.encode_indices(values))
    assert torch.equal(decoder(encoder(values)), codes)


@pytest.mark.parametrize("quantiser", QUANTISERS, ids=lambda one: type(one).__name__)
def test_in_training_a_gradient_passes_as_if_nothing_was_quantised(quantiser):
    values, weights = torch.randn(4, 6, requires_grad=True), torch.randn(4, 6)
    codes = quantiser.train()(values)
    assert torch.allclose(codes, quantiser.eval()(values), atol=1e-6)
    found, wanted = (
        torch.autograd.grad((weights * given).sum(), values)[0] for given in (codes, quantiser.relax(values))
    )
    assert torch.allclose(found, wanted)


def usual(**decided):
    def answer(choice):
        return decided.get(choice.site, choice.values[0] if choice.usual is None else choice.usual)

    return AutoencoderSpace().conditioned(None).grow(answer)


def test_a_code_is_cut_into_vectors_that_divide_it():
    space, shape = AutoencoderSpace().conditioned(None), (1, 8, 8)
    genotypes = [usual(family="vector_quantised", latent=784, code_dimension=size) for size in (16, 32)]
    for genotype in genotypes:
        quantiser = space.build(genotype, shape).quantiser
        assert (quantiser.size, quantiser.dimension) == (256, 16)
        assert "49 groups of 16, a codebook of 256" in space.describe(genotype, shape)
    assert len({space.canonical_form(genotype) for genotype in genotypes}) == 1


def test_each_latent_has_categories_and_a_code_a_number_for_each():
    model = (
        AutoencoderSpace().conditioned(None).build(usual(family="gumbel", latent=16, categories=4), (1, 8, 8)).eval()
    )
    images = torch.rand(2, 1, 8, 8)
    assert model.encode(images).shape == (2, 64)
    assert model.encode_indices(images).shape == (2, 16)
    assert model.logits(images).shape == (2, 16, 4)


def test_earlier_versions_know_none_of_these_families():
    new = {"importance_weighted", "vector_quantised", "finite_scalar", "gumbel"}
    assert new <= set(AutoencoderSpace().conditioned(None).choices()["family"].values)
    for version in (2, 3):
        choices = AutoencoderSpace().conditioned(None).of_version(version).choices()
        assert not new & set(choices["family"].values)
        assert not {"prior", "codebook_size", "levels", "categories"} & set(choices)


def test_with_a_learned_prior_no_nats_are_free_as_nothing_is_known_of_each_latent():
    assert "free_bits" in usual(family="variational").content
    assert "free_bits" not in usual(family="variational", prior="vamp").content
    said = AutoencoderSpace().conditioned(None).describe(usual(family="importance_weighted", prior="vamp"), (1, 8, 8))
    assert "posteriors of 50 pseudo-inputs as the prior, 5 samples, doubly reparameterised gradient" in said
