"""Autoencoders of vectors: numbers, words and missing values, each with a loss of its own."""

import math

import pytest
import torch
import torch.nn.functional as F

from evaluators.autoencoder.baselines import reconstruct_linearly
from evaluators.autoencoder.bounds import as_autoencoder, measure_bounds
from evaluators.autoencoder.task import AutoencoderTask
from evaluators.autoencoder.vectors import fit_vector_variance, vector_error, vector_log_likelihood
from evaluators.metrics.reconstruction import mean_squared_error
from nas.core.space import generator_for, sample
from nas.core.trial import Proposal, Trial
from nas.data.columns import Column
from nas.data.dataset import Dataset, Split
from nas.strategies.usual_first import find_usual
from search_spaces.autoencoder.modules import VariationalAutoencoder
from search_spaces.autoencoder.space import AutoencoderSpace

WORDS = (slice(1, 4),)
RAW = torch.tensor([[0.5, 2.0, 0.0, -1.0, 1.0], [0.0, 0.0, 1.0, 0.0, -2.0]])
ROWS = torch.tensor([[1.0, 1.0, 0.0, 0.0, 3.0], [2.0, 0.0, 0.0, 1.0, 0.0]])


def make_table(rows=600, seed=0, missing=0.0):
    """Six numbers of two hidden ones, and a word that says the first one's sign."""
    draw = torch.Generator().manual_seed(seed)
    hidden = torch.randn(rows, 2, generator=draw)
    numbers = torch.tanh(hidden @ torch.randn(2, 6, generator=draw))
    numbers = (numbers - numbers.mean(0)) / numbers.std(0)
    words = F.one_hot((hidden[:, 0] > 0).long(), 2).float()
    examples = torch.cat((numbers, words), 1)
    examples[:, :6][torch.rand(rows, 6, generator=draw) < missing] = math.nan
    columns = (*(Column(f"x{place}") for place in range(6)), Column("sign", ("minus", "plus")))
    parts = (Split(part) for part in examples.split([rows - 200, 100, 100]))
    return Dataset("table", *parts, columns=columns)


def test_numbers_have_squared_errors_and_words_cross_entropies():
    numbers = [(0.5 - 1) ** 2, (1 - 3) ** 2, 2.0**2, (-2 - 0) ** 2]
    words = F.cross_entropy(RAW[:, 1:4], torch.tensor([0, 2]), reduction="none").tolist()
    assert vector_error(RAW, ROWS, WORDS).item() == pytest.approx(sum(numbers + words) / 6)
    assert vector_error(RAW, ROWS, ()).item() == pytest.approx(F.mse_loss(RAW, ROWS).item())


def test_what_is_missing_has_no_say_and_no_gradient():
    rows = ROWS.clone()
    rows[0, 0], rows[1, 1:4] = math.nan, math.nan
    raw = RAW.clone().requires_grad_()
    error = vector_error(raw, rows, WORDS)
    word = F.cross_entropy(RAW[:1, 1:4], torch.tensor([0])).item()
    assert error.item() == pytest.approx((4.0 + 4.0 + 4.0 + word) / 4)
    (gradient,) = torch.autograd.grad(error, raw)
    assert torch.isfinite(gradient).all()
    assert gradient[0, 0] == 0
    assert (gradient[1, 1:4] == 0).all()
    assert mean_squared_error(RAW, rows) == pytest.approx(sum(((RAW - rows) ** 2)[~torch.isnan(rows)].tolist()) / 6)


def test_the_likelihood_is_that_of_torchs_distributions():
    variance = 0.3
    normal = torch.distributions.Normal(RAW[:, [0, 4]], math.sqrt(variance)).log_prob(ROWS[:, [0, 4]]).sum(1)
    word = torch.distributions.OneHotCategorical(logits=RAW[:, 1:4]).log_prob(ROWS[:, 1:4])
    assert torch.allclose(vector_log_likelihood(RAW, ROWS, WORDS, variance), normal + word)
    best = fit_vector_variance(RAW, ROWS, WORDS).item()
    found = [vector_log_likelihood(RAW, ROWS, WORDS, best * factor).sum().item() for factor in (0.8, 1.0, 1.25)]
    assert max(found) == found[1]


def test_bounds_of_a_linear_gaussian_model_grow_toward_its_known_likelihood():
    """x = a z + noise has the marginal N(0, a a' + variance I); its exact posterior makes every bound tight."""
    a, variance = torch.tensor([[1.0], [0.5], [-2.0]]), 0.4
    model = VariationalAutoencoder(
        torch.nn.Linear(3, 2, bias=False), torch.nn.Linear(1, 3, bias=False), torch.nn.Identity()
    )
    precision = 1 + (a.T @ a).item() / variance
    with torch.no_grad():
        model.decoder.weight.copy_(a)
        model.encoder.weight.copy_(torch.cat((a.T / variance / precision, torch.zeros(1, 3))))
    log_variance = -math.log(precision)
    model.posterior = lambda x: (model.encoder(x)[:, :1], torch.full((len(x), 1), log_variance))
    x = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
    marginal = torch.distributions.MultivariateNormal(torch.zeros(3), a @ a.T + variance * torch.eye(3))
    wanted = marginal.log_prob(x).mean().item()
    draw = torch.Generator().manual_seed(1)
    exact = measure_bounds(as_autoencoder(model), x, "gaussian", draw, variance)
    assert exact["iwae_bound"] == pytest.approx(wanted, abs=1e-4)
    model.posterior = lambda x: (0.5 * model.encoder(x)[:, :1], torch.full((len(x), 1), log_variance + 1))
    loose = measure_bounds(as_autoencoder(model), x, "gaussian", draw, variance)
    assert loose["elbo"] < loose["iwae_bound"] < wanted


def test_a_linear_autoencoder_finds_the_subspace_of_the_principal_components():
    table = make_table()
    data = Dataset("numbers", *(Split(part.examples[:, :6]) for part in (table.train, table.validation, table.test)))
    space = AutoencoderSpace().conditioned(None).shaped(data.shape).restrict(
        {"stages": (0,), "decoder": ("mirrored",), "family": ("plain",), "latent": (2,), "optimiser": ("adam",),
         "learning_rate": (0.008,), "batch_size": (64,)}
    )  # fmt: skip
    genotype = find_usual(space, 0)
    evaluator = AutoencoderTask.make_evaluator(space, data, epochs=60)
    *_, last = evaluator.evaluate(Trial(0, Proposal(genotype), 0))
    linear = reconstruct_linearly(data.train.examples, data.validation.examples, 2)
    best = mean_squared_error(linear, data.validation.examples)
    assert last.metrics["mse"] == pytest.approx(best, rel=0.1)


@pytest.mark.parametrize("seed", range(6))
def test_any_genotype_trains_on_a_table_with_words_and_missing_values(seed):
    data = make_table(300, missing=0.2)
    space = AutoencoderSpace().conditioned(None).shaped(data.shape)
    genotype = sample(space, generator_for(seed))
    evaluator = AutoencoderTask.make_evaluator(space, data, epochs=1)
    *_, last = evaluator.evaluate(Trial(0, Proposal(genotype), 0))
    assert 0 < last.metrics["mse"] < 100
    assert {"psnr", "ssim"}.isdisjoint(last.metrics)
    assert set(last.metrics) <= {*evaluator.metrics, "inherited"}


def test_a_table_is_learnt_better_than_by_principal_components():
    data = make_table()
    space = AutoencoderSpace().conditioned(None).shaped(data.shape).restrict({"latent": (2,), "batch_size": (64,)})
    genotype = find_usual(space, 0)
    evaluator = AutoencoderTask.make_evaluator(space, data, epochs=25)
    *_, last = evaluator.evaluate(Trial(0, Proposal(genotype), 0))
    linear = reconstruct_linearly(data.train.examples, data.validation.examples, 2)
    assert last.metrics["mse"] < 0.7 * mean_squared_error(linear, data.validation.examples)
