"""Bounds are bounds, whichever the likelihood; and codes cost what was decided."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from evaluators.autoencoder import task as tasks
from evaluators.autoencoder.batch import weigh_divergence
from evaluators.autoencoder.bounds import as_autoencoder, bound_likelihoods, draw_prior, measure_bounds
from evaluators.autoencoder.families import training_loss
from evaluators.autoencoder.task import AutoencoderTask
from nas.core.space import sample
from nas.core.trial import Proposal, Trial
from nas.data.dataset import as_float
from search_spaces.autoencoder.space import AutoencoderSpace
from tests.conftest import SMALL, tiny_data
from tests.parts.autoencoders import Bare
from tests.parts.extractors import small

SPACE = (
    AutoencoderSpace().conditioned(None).restrict({site: (value,) for site, value in SMALL.items()} | {"latent": (8,)})
)
STEADY = {"kl_warm_up": 0.0, "normalisation": "batch", "optimiser": "adam", "learning_rate": 0.004,
          "schedule": "constant", "augmentation": "none", "weight_decay": 0.0}  # fmt: skip


def drawn(**pins):
    pins = {"family": "variational", "prior": "standard", **pins}
    space = SPACE.restrict({site: (value,) for site, value in pins.items()})
    return sample(space, np.random.default_rng(0))


def binary(data):
    parts = {name: replace(part, examples=(part.examples > 99).to(torch.uint8) * 255)
             for name in ("train", "validation", "test") if (part := getattr(data, name))}  # fmt: skip
    return replace(data, **parts)


class PrincipalComponents(Bare):
    """Probabilistic principal components (Tipping & Bishop 1999): the likelihood of an image is known.

    The posterior is the exact one, but `wider` times as wide.
    """

    scales, variance = torch.tensor([0.7, 0.3]), 0.05

    def __init__(self, wider=1.0):
        super().__init__()
        self.output, self.wider = nn.Hardtanh(0.0, 1.0), wider
        self.weights = torch.zeros(6, 2)
        self.weights[0, 0], self.weights[3, 1] = self.scales

    def decoder(self, codes):
        return 0.5 + (codes @ self.weights.T).view(-1, 1, 2, 3)

    def posterior(self, images):
        precision = 1 + self.scales**2 / self.variance
        mean = (images.flatten(1) - 0.5) @ self.weights / self.variance / precision
        return mean, (self.wider**2 / precision).log().expand_as(mean)

    def log_density(self, images):
        covariance = self.weights @ self.weights.T + self.variance * torch.eye(6)
        normal = torch.distributions.MultivariateNormal(torch.full((6,), 0.5), covariance)
        return normal.log_prob(images.flatten(1)).mean().item()


def test_the_bounds_of_a_model_whose_likelihood_is_known():
    """With the exact posterior both are the likelihood itself; else the importance weighted one is the tighter."""
    images = torch.rand(400, 1, 2, 3, generator=torch.Generator().manual_seed(0))
    exact, wider = PrincipalComponents(), PrincipalComponents(2.0)
    likelihood = exact.log_density(images)
    random = torch.Generator().manual_seed(1)
    found = measure_bounds(as_autoencoder(exact), images, "gaussian", random, exact.variance)
    assert found["iwae_bound"] == pytest.approx(likelihood, abs=1e-4)
    assert found["elbo"] == pytest.approx(likelihood, abs=0.1)  # its samples have a variance
    found = measure_bounds(as_autoencoder(wider), images, "gaussian", random, exact.variance)
    gap = 2 * (0.5 * (4 - 1) - math.log(2))  # the divergence of the wider posterior from the exact one
    assert found["elbo"] == pytest.approx(likelihood - gap, abs=0.2)
    assert found["elbo"] < found["iwae_bound"] - 0.3
    assert found["iwae_bound"] < likelihood


def test_the_importance_weighted_bound_grows_with_its_samples_toward_the_likelihood_and_the_elbo_does_not():
    """Of the model with the exact posterior twice as wide, of which the likelihood is known."""
    images = torch.rand(200, 1, 2, 3, generator=torch.Generator().manual_seed(0))
    wider, random = PrincipalComponents(2.0), torch.Generator().manual_seed(1)
    found = [
        bound_likelihoods(as_autoencoder(wider), images, "gaussian", random, 0.05, samples)
        for samples in (1, 5, 50, 1000)
    ]
    bounds = [rows[2].mean().item() for rows in found]
    likelihood = wider.log_density(images)
    assert bounds[0] < bounds[1] - 0.2 < bounds[2] - 0.3 < likelihood - 0.3
    assert bounds[3] == pytest.approx(likelihood, abs=0.01)
    gap = 2 * (0.5 * (4 - 1) - math.log(2))
    elbos = [(rows[0] - rows[1]).mean().item() for rows in found[2:]]
    assert elbos == [pytest.approx(likelihood - gap, abs=0.1)] * 2


def test_several_codes_make_a_bound_surer(monkeypatch):
    model, images = PrincipalComponents(2.0), torch.rand(20, 1, 2, 3)

    def spread(codes):
        monkeypatch.setattr("evaluators.autoencoder.bounds.CODES", codes)
        generators = (torch.Generator().manual_seed(seed) for seed in range(100))
        return np.std(
            [measure_bounds(as_autoencoder(model), images, "gaussian", random, 0.05)["elbo"] for random in generators]
        )

    assert 0.4 < spread(4) / spread(1) < 0.6


def scores(likelihood, data, **pins):
    genotype = drawn(likelihood=likelihood, **pins)
    task, model = AutoencoderTask(SPACE, data), SPACE.build(genotype, data.shape).eval()
    return task.score(model, model, SPACE.hyperparameters(genotype), 0), model


def test_grey_images_are_scored_with_a_density_and_binary_ones_with_probabilities():
    grey, black_and_white = tiny_data(), binary(tiny_data())
    for data, density in ((grey, "continuous_bernoulli"), (black_and_white, "bernoulli")):
        found, model = scores("bernoulli", data)
        images, random = as_float(data.validation.examples), torch.Generator().manual_seed(0)
        wanted = measure_bounds(as_autoencoder(model), images, density, random, None)
        assert {name: found.metrics[name] for name in wanted} == wanted


def test_a_decoder_of_continuous_bernoulli_pixels_reconstructs_their_means():
    _, model = scores("continuous_bernoulli", tiny_data())
    images = as_float(tiny_data().validation.examples)
    logits = model.decoder(model.encode(images))
    means = torch.distributions.ContinuousBernoulli(logits=logits.double()).mean
    assert torch.allclose(model(images).double(), means, atol=1e-5)


def test_discretised_logistics_are_scored_with_probabilities_of_8_bits_whatever_the_data():
    for data in (tiny_data(), binary(tiny_data()), tiny_data(channels=3)):
        found, model = scores("discretised_logistic", data)
        assert model.output.channels == data.shape[0]
        images, random = as_float(data.validation.examples), torch.Generator().manual_seed(0)
        wanted = measure_bounds(as_autoencoder(model), images, "discretised_logistic", random, None)
        assert {name: found.metrics[name] for name in wanted} == wanted
        assert found.metrics["log_likelihood"] < 0  # of probabilities
        assert model(images).shape == images.shape


def test_an_objective_of_nats_fixes_the_likelihood_that_suits_the_data():
    for data, likelihood in ((tiny_data(), "gaussian"), (binary(tiny_data()), "bernoulli")):
        for objective in ("elbo", "log_likelihood", "iwae_bound"):
            needed = {a.site: a.values for a in AutoencoderTask(SPACE, data).assumptions(objective)}
            assert (needed["family"], needed["likelihood"]) == (("variational",), (likelihood,))
    assert "likelihood" not in {a.site for a in AutoencoderTask(SPACE, tiny_data()).assumptions("mse")}


def test_genotypes_of_version_2_are_trained_and_scored_as_they_were():
    old = SPACE.of_version(2).restrict({"family": ("variational",), "loss": ("bce",)})
    genotype = sample(old, np.random.default_rng(0))
    task, data = AutoencoderTask(SPACE, tiny_data()), tiny_data()
    model, chosen = SPACE.build(genotype, data.shape).eval(), SPACE.hyperparameters(genotype)
    images = as_float(data.validation.examples)
    wanted = measure_bounds(as_autoencoder(model), images, "bernoulli", torch.Generator().manual_seed(0), None)
    assert task.score(model, model, chosen, 0).metrics["elbo"] == wanted["elbo"]
    losses = [
        training_loss(as_autoencoder(model), images, hyperparameters, 1.0, torch.Generator().manual_seed(0)).item()
        for hyperparameters in (chosen, {**chosen, "likelihood": "bernoulli", "capacity": "off", "free_bits": "off"})
    ]
    assert losses[0] == losses[1]


def test_a_capacity_rises_and_costs_its_distance_from_the_divergence():
    chosen, divergences = {"capacity": 10.0, "gamma": 100.0}, torch.tensor([1.0, 3.0])
    costs = [weigh_divergence(divergences, chosen, progress).item() for progress in (0.0, 0.1, 0.2, 0.5, 1.0, 1.5)]
    assert costs == pytest.approx([400, 200, 0, 600, 600, 600])


def test_free_bits_cost_the_same_whether_they_are_used_or_not():
    chosen = {"beta": 0.5, "kl_warm_up": 0.2, "free_bits": 0.25}
    divergences = torch.tensor([0.1, 3.0], requires_grad=True)
    cost = weigh_divergence(divergences, chosen, 0.1)
    assert cost.item() == pytest.approx(0.5 * 0.5 * (0.25 + 3))
    (gradient,) = torch.autograd.grad(cost, divergences)
    assert gradient.tolist() == [0, 0.25]
    assert weigh_divergence(divergences, {**chosen, "free_bits": "off"}, 1.0).item() == pytest.approx(0.5 * 3.1)


def trained(**pins):
    evaluator = AutoencoderTask.make_evaluator(SPACE, tiny_data(count=200), epochs=20)
    *_, last = evaluator.evaluate(Trial(0, Proposal(drawn(likelihood="gaussian", output="sigmoid", **pins)), 1))
    return last.metrics


def test_a_capacity_holds_the_divergence_cheaper_codes_use_more_of_it_and_free_ones_what_is_free():
    steady = {name: value for name, value in STEADY.items() if name != "kl_warm_up"}
    held = trained(capacity=5.0, gamma=100.0, **steady)
    assert held["kl"] == pytest.approx(5, abs=1)
    cheap = trained(capacity="off", free_bits="off", beta=0.1, **STEADY)
    assert cheap["kl"] > held["kl"] + 5
    assert cheap["mse"] < held["mse"]
    free = trained(capacity="off", free_bits=0.5, beta=16.0, **STEADY)
    assert free["kl"] == pytest.approx(8 * 0.5, abs=1)


class Remembering(Bare):
    """Decodes a code to one of the images that it was given."""

    output = nn.Identity()

    def __init__(self, images):
        super().__init__()
        self.images = images

    def posterior(self, images):
        return torch.zeros(len(images), 3), torch.zeros(len(images), 3)

    def encode(self, images):
        return self.posterior(images)[0]

    def decoder(self, codes):
        places = (torch.special.ndtr(codes[:, 0]) * len(self.images)).long()
        return self.images[places]

    def forward(self, images):
        return self.decoder(self.posterior(images)[0])


@pytest.mark.usefixtures("short")
def test_samples_of_the_prior_are_scored_on_the_test_part(monkeypatch):
    monkeypatch.setattr(tasks, "_FEWEST_TO_COMPARE", 15)
    task, chosen = AutoencoderTask(SPACE, small(count=200)), {"likelihood": "continuous_bernoulli"}
    good, bad = (Remembering(images) for images in (as_float(task.data.train.examples), torch.rand(100, 1, 8, 8)))
    assert "sample_fid" not in task.score(good, good, chosen, 0).metrics
    found = [task.score(model, model, chosen, 0, part="test").metrics for model in (good, bad)]
    assert found[0]["real_fid"] == found[1]["real_fid"] > 0
    assert found[0]["sample_fid"] < 3 * found[0]["real_fid"] < found[1]["sample_fid"]
    monkeypatch.setattr(tasks, "_FEWEST_TO_COMPARE", 100)
    assert "sample_fid" not in task.score(good, good, chosen, 0, part="test").metrics
    assert task.quality["sample_fid"].objective is None


def test_a_picture_shows_samples_below_reconstructions():
    found, model = scores("gaussian", tiny_data())
    _, rebuilt, samples = found.rows
    again = draw_prior(as_autoencoder(model), rebuilt, torch.Generator().manual_seed(0))
    assert torch.equal(samples, again)
    assert len(samples) == len(rebuilt)
    assert samples.std(0).mean() > 0
