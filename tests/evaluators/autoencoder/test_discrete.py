"""Discrete codes: codebooks are learnt by their formulas, categories cost what enumeration says."""

import itertools
import math

import pytest
import torch
from torch import nn

from evaluators.autoencoder.bounds import as_autoencoder, bound_likelihoods, draw_prior, log_likelihood
from evaluators.autoencoder.discrete import count_uses, move_codebook, revive_vectors
from evaluators.autoencoder.families import training_loss
from evaluators.autoencoder.posteriors import CategoricalPosterior
from evaluators.metrics.likelihood import perplexity
from search_spaces.autoencoder.codes import (
    CategoricalAutoencoder,
    CategoryQuantiser,
    QuantisedAutoencoder,
    VectorQuantiser,
)

GUMBEL = {"family": "gumbel", "likelihood": "gaussian", "beta": 1.0, "kl_warm_up": 0.0, "capacity": "off",
          "free_bits": "off", "final_temperature": 0.5}  # fmt: skip


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_codebook_moves_by_moving_averages_of_numbers_and_sums():
    """Equations 6 to 8, with the numbers N and the sums m kept as such."""
    codebook, usage = torch.randn(4, 2, generator=generator()), torch.tensor([3.0, 0.5, 2.0, 0.0])
    numbers, sums = usage.clone(), codebook * usage[:, None]
    start = codebook[3].clone()
    for step in range(3):
        vectors = torch.randn(6, 2, generator=generator(step))
        indices = torch.tensor([0, 1, 1, 2, 0, 0])
        move_codebook(codebook, usage, vectors, indices)
        for vector in range(4):
            mine = vectors[indices == vector]
            numbers[vector] = 0.99 * numbers[vector] + 0.01 * len(mine)
            sums[vector] = 0.99 * sums[vector] + 0.01 * mine.sum(0)
    assert torch.allclose(usage, numbers)
    assert torch.allclose(codebook[:3], sums[:3] / numbers[:3, None], atol=1e-6)
    assert torch.equal(codebook[3], start)


def test_what_hardly_anything_is_near_to_is_put_where_a_batch_is():
    codebook, usage = torch.full((5, 2), 9.0), torch.tensor([2.0, 0.0, 1.0, 0.05, 0.0])
    vectors = torch.rand(10, 2, generator=generator())
    revive_vectors(codebook, usage, vectors, generator())  # an even share is 2, and a tenth of it alive
    assert (codebook[[0, 2]] == 9).all()
    assert all((vectors == codebook[place]).all(1).any() for place in (1, 3, 4))
    assert len(codebook[[1, 3, 4]].unique(dim=0)) == 3
    assert usage.tolist() == [2, 2, 1, 2, 2]
    large = torch.zeros(50, 2)
    revive_vectors(large, torch.zeros(50), vectors, generator())
    assert (large.abs().sum(1) > 0).sum() == 10  # as many as there are


def make_quantised():
    torch.manual_seed(0)
    return QuantisedAutoencoder(nn.Linear(3, 4), nn.Linear(4, 3), nn.Identity(), VectorQuantiser(8, 2))


def test_the_loss_of_a_quantised_code_flows_straight_through_and_commits_the_encoder():
    model, x = make_quantised(), torch.randn(5, 3, generator=generator(1))
    loss = training_loss(as_autoencoder(model.eval()), x, {"family": "vector_quantised"}, 0.0, generator())
    values = model.encoder(x)
    nearest = model.quantiser(values)
    rebuilt = model.decoder(nearest.requires_grad_())
    error = (rebuilt - x).square().mean()
    assert loss.item() == pytest.approx((error + 0.25 * (values - nearest).square().mean()).item(), rel=1e-5)
    (through,) = torch.autograd.grad(error, nearest)
    wanted = through + 0.25 * 2 * (values - nearest).detach() / values.numel()
    loss.backward()
    assert torch.allclose(model.encoder.bias.grad, wanted.sum(0), atol=1e-6)


def test_a_codebook_is_moved_in_training_alone_and_the_same_seed_moves_it_the_same():
    x, told = torch.randn(50, 3, generator=generator(1)), {"family": "vector_quantised"}
    books = []
    for _ in range(2):
        model = make_quantised()
        start = model.quantiser.codebook.clone()
        training_loss(as_autoencoder(model.eval()), x, told, 0.0, generator(3))
        assert torch.equal(model.quantiser.codebook, start)
        training_loss(as_autoencoder(model.train()), x, told, 0.0, generator(3))
        assert not torch.equal(model.quantiser.codebook, start)
        books.append(model.quantiser.codebook.clone())
    assert torch.equal(*books)


def test_a_codebook_finds_clusters_and_its_perplexity_is_their_number():
    centres = torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 3.0], [0.0, -3.0]])
    codebook, usage = torch.randn(16, 2, generator=generator(9)), torch.zeros(16)
    quantiser = VectorQuantiser(16, 2)
    for step in range(600):
        vectors = centres[torch.randint(4, (32,), generator=generator(step))]
        vectors = vectors + 0.1 * torch.randn(32, 2, generator=generator(step + 1))
        revive_vectors(codebook, usage, vectors, generator(step))
        quantiser.codebook.copy_(codebook)
        move_codebook(codebook, usage, vectors, quantiser.find_indices(vectors).flatten())
    assert torch.cdist(centres, codebook).min(1).values.max() < 0.2
    model = QuantisedAutoencoder(nn.Identity(), nn.Identity(), nn.Identity(), quantiser)
    assert perplexity(count_uses(as_autoencoder(model), centres)) == pytest.approx(4)


def test_perplexity_is_the_exponential_of_the_entropy():
    assert perplexity(torch.tensor([5, 5, 5, 0])) == pytest.approx(3)
    assert perplexity(torch.tensor([0, 7])) == pytest.approx(1)
    assert perplexity(torch.tensor([1, 3])) == pytest.approx(math.exp(-0.25 * math.log(0.25) - 0.75 * math.log(0.75)))


def make_categorical(groups=2, categories=3):
    torch.manual_seed(0)
    size = groups * categories
    return CategoricalAutoencoder(nn.Linear(4, size), nn.Linear(size, 4), nn.Identity(), CategoryQuantiser(categories))


def test_the_divergence_of_categories_is_that_by_enumeration():
    logits = torch.randn(5, 2, 3, generator=generator())
    q = logits.softmax(2)
    by_code = torch.stack([q[:, 0, a] * q[:, 1, b] for a, b in itertools.product(range(3), repeat=2)])
    wanted = (by_code * (by_code * 9).log()).sum(0)
    posterior = CategoricalPosterior(logits)
    assert torch.allclose(posterior.divergence().sum(1), wanted, atol=1e-6)
    code, ratio = posterior.draw(generator(1))
    chosen = (code.view(5, 2, 3) * q).sum(2).prod(1)
    assert torch.allclose(ratio, (1 / 9 / chosen).log(), atol=1e-5)


def test_categories_are_drawn_as_often_as_they_are_likely():
    logits = torch.tensor([[[0.0, 1.0, -1.0]]]).expand(40_000, 1, 3)
    posterior = CategoricalPosterior(logits)
    for code in (posterior.draw(generator())[0], posterior.relax(0.01, generator()).round()):
        assert torch.allclose(code.mean(0), logits[0, 0].softmax(0), atol=0.01)
    soft = posterior.relax(1.0, generator())
    assert torch.allclose(soft.sum(1), torch.ones(len(soft)), atol=1e-5)
    assert soft.max(1).values.mean() < 0.9


def test_bounds_of_categories_grow_toward_the_likelihood_by_enumeration():
    model, x = make_categorical(), torch.randn(3, 4, generator=generator(2))
    viewed = as_autoencoder(model)
    codes = model.quantiser.look_up(torch.tensor(list(itertools.product(range(3), repeat=2))))
    with torch.no_grad():
        each = [log_likelihood(viewed, model.decoder(code).expand(3, -1), x, "gaussian", 0.5) for code in codes]
    wanted = (torch.stack(each).logsumexp(0) - math.log(9)).mean().item()
    q = viewed.infer(x).logits.softmax(2)
    weights = torch.stack([q[:, 0, a] * q[:, 1, b] for a, b in itertools.product(range(3), repeat=2)])
    elbo = (weights * torch.stack(each)).sum(0).mean() - viewed.infer(x).divergence().sum(1).mean()
    rows = bound_likelihoods(viewed, x, "gaussian", generator(3), 0.5, 1000).mean(1)
    assert rows[2].item() == pytest.approx(wanted, abs=0.05)
    assert (rows[0] - rows[1]).item() == pytest.approx(elbo.item(), abs=0.1)
    assert elbo < wanted


def test_the_temperature_falls_from_one_to_the_last():
    model, x = make_categorical(), torch.randn(6, 4, generator=generator(2))
    for progress, temperature in ((0.0, 1.0), (0.5, 0.5**0.5), (1.0, 0.5)):
        posterior = as_autoencoder(model).infer(x)
        raw = model.decoder(posterior.relax(temperature, generator(7)))
        reached = log_likelihood(as_autoencoder(model), raw, x, "gaussian").mean()
        wanted = posterior.divergence().sum(1).mean() - reached
        loss = training_loss(as_autoencoder(model), x, GUMBEL, progress, generator(7))
        assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)


def test_codes_of_the_uniform_prior_are_drawn_evenly():
    model = make_categorical(1, 4)
    sampler = model.make_sampler()
    codes = sampler(torch.randn(20_000, 4, generator=generator()))
    assert torch.allclose(codes.mean(0), torch.full((4,), 0.25), atol=0.02)
    assert (codes.sum(1) == 1).all()
    drawn = draw_prior(as_autoencoder(model), torch.zeros(5, 4), generator(1))
    assert all(any(torch.allclose(row, model.decode(one[None])[0]) for one in torch.eye(4)) for row in drawn)
