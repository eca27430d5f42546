"""Autoencoders that know classes: their bounds and losses against likelihoods that are known."""

import math

import pytest
import torch
from torch import nn

from evaluators.autoencoder.bounds import as_autoencoder, bound_likelihoods, log_likelihood
from evaluators.autoencoder.families import training_loss
from evaluators.autoencoder.posteriors import ClassPosterior
from search_spaces.autoencoder.classes import ClassSampler, ConditionalAutoencoder, SemiSupervisedAutoencoder

VARIANCE = 0.3
CENTRES = torch.tensor([[-1.0, 0.0, 0.5], [1.5, 0.5, 0.0]])
WEIGHTS = torch.tensor([[0.8, 0.1], [-0.3, 0.4], [0.2, 0.2]])  # whose columns are orthogonal
COVARIANCE = WEIGHTS @ WEIGHTS.T + VARIANCE * torch.eye(3)


def make_exact(kind=SemiSupervisedAutoencoder):
    """x = W z + the centre of its class + noise, with the posteriors of z and of classes that follow from it."""
    encoder, decoder, classifier = nn.Linear(5, 4), nn.Linear(4, 3), nn.Linear(3, 2)
    spread = torch.linalg.inv(torch.eye(2) + WEIGHTS.T @ WEIGHTS / VARIANCE)
    gain = spread @ WEIGHTS.T / VARIANCE
    with torch.no_grad():
        decoder.weight.copy_(torch.cat((WEIGHTS, CENTRES.T), 1))
        decoder.bias.zero_()
        encoder.weight.zero_()
        encoder.weight[:2] = torch.cat((gain, -gain @ CENTRES.T), 1)
        encoder.bias.copy_(torch.cat((torch.zeros(2), spread.diagonal().log())))
        precision = torch.linalg.inv(COVARIANCE)
        classifier.weight.copy_(CENTRES @ precision)
        classifier.bias.copy_(-0.5 * (CENTRES @ precision * CENTRES).sum(1))
    more = (classifier,) if kind is SemiSupervisedAutoencoder else ()
    return kind(encoder, decoder, nn.Identity(), 2, *more)


def log_joint(x):
    """log p(x, y) of uniform classes, (N, 2)."""
    normal = torch.distributions.MultivariateNormal(CENTRES, COVARIANCE)
    return normal.log_prob(x[:, None]) - math.log(2)


def draw_examples(count):
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(count) % 2
    noise = torch.randn(count, 2, generator=generator) @ WEIGHTS.T
    return CENTRES[labels] + noise + VARIANCE**0.5 * torch.randn(count, 3, generator=generator), labels


def test_the_classifier_of_the_exact_model_is_exact():
    x, _ = draw_examples(20)
    shares = make_exact().classifier(x).log_softmax(1)
    assert torch.allclose(shares, log_joint(x).log_softmax(1), atol=1e-5)


@pytest.mark.parametrize("told", [False, True])
@torch.no_grad()
def test_the_bound_of_exact_posteriors_is_the_likelihood_of_an_example_or_of_it_given_its_class(told):
    x, labels = draw_examples(40)
    kind = ConditionalAutoencoder if told else SemiSupervisedAutoencoder
    model = as_autoencoder(make_exact(kind), labels=labels)
    known = log_joint(x)
    known = known.gather(1, labels[:, None])[:, 0] + math.log(2) if told else known.logsumexp(1)
    found = bound_likelihoods(model, x, "gaussian", torch.Generator().manual_seed(0), VARIANCE, 3)
    assert torch.allclose(found[2], known, atol=1e-3)
    assert float((found[0] - found[1]).mean()) == pytest.approx(float(known.mean()), abs=0.2)


def make_small():
    torch.manual_seed(0)
    encoder, decoder, classifier = nn.Linear(4 + 3, 4), nn.Linear(2 + 3, 4), nn.Linear(4, 3)
    model = SemiSupervisedAutoencoder(
        nn.Sequential(Pooled(), encoder),
        nn.Sequential(decoder, nn.Unflatten(1, (1, 2, 2))),
        nn.Sigmoid(),
        3,
        nn.Sequential(nn.Flatten(), classifier),
    )
    return as_autoencoder(model)


class Pooled(nn.Module):
    """Images (N, 1 + classes, 2, 2) to their pixels and classes (N, 4 + classes)."""

    def forward(self, x):
        return torch.cat((x[:, 0].flatten(1), x[:, 1:, 0, 0]), 1)


CHOSEN = {"family": "semi_supervised", "likelihood": "bernoulli", "beta": 1.0, "kl_warm_up": 0.0}


def mean_loss(model, images, labels, weight, repeats=400):
    generator = torch.Generator().manual_seed(0)
    chosen = CHOSEN | {"classification_weight": weight}
    told = as_autoencoder(model.module, labels=labels)
    with torch.no_grad():
        return torch.stack([training_loss(told, images, chosen, 1.0, generator) for _ in range(repeats)]).mean()


def test_what_is_hidden_costs_minus_the_bound_over_all_classes_as_codes_that_are_drawn_say():
    model, images = make_small(), (torch.rand(6, 1, 2, 2) > 0.5).float()
    with torch.no_grad():
        found = bound_likelihoods(model, images, "bernoulli", torch.Generator().manual_seed(3), None, 4000)
    loss = mean_loss(model, images, torch.full((6,), -1), 5.0)
    assert loss == pytest.approx(float((found[1] - found[0]).mean()), abs=0.03)


def test_what_is_seen_costs_minus_the_bound_of_both_and_what_the_classifier_gets_wrong():
    model, images = make_small(), (torch.rand(6, 1, 2, 2) > 0.5).float()
    labels = torch.arange(6) % 3
    posterior = model.infer(images)
    assert isinstance(posterior, ClassPosterior)
    told, generator, reached = posterior.given(labels), torch.Generator().manual_seed(3), []
    with torch.no_grad():
        for _ in range(3000):
            code, ratio = told.draw(generator)
            reached.append((log_likelihood(model, model.decoder(code), images, "bernoulli") + ratio).mean())
    bound = torch.stack(reached).mean() - math.log(3)
    wrong = -posterior.log_shares.gather(1, labels[:, None]).mean()
    assert mean_loss(model, images, labels, 0.0) == pytest.approx(float(-bound), abs=0.03)
    paid = mean_loss(model, images, labels, 7.0) - mean_loss(model, images, labels, 0.0)
    assert paid == pytest.approx(7 * float(wrong.detach()), abs=1e-4)


def test_a_mixed_batch_costs_what_its_parts_do():
    model, images = make_small(), (torch.rand(6, 1, 2, 2) > 0.5).float()
    labels = torch.tensor([0, 2, -1, -1, -1, -1])
    parts = [mean_loss(model, images[rows], labels[rows], 0.0) for rows in (slice(2), slice(2, 6))]
    assert mean_loss(model, images, labels, 0.0) == pytest.approx(float(parts[0] + 2 * parts[1]) / 3, abs=0.04)


def test_classes_are_guessed_by_the_bound_or_by_the_classifier():
    x, _ = draw_examples(200)
    best = log_joint(x).argmax(1)
    assert torch.equal(make_exact().guess_labels(x), best)
    guessed = make_exact(ConditionalAutoencoder).guess_labels(x)
    assert (guessed == best).float().mean() > 0.8  # of a variance that each example has for itself


def test_guesses_pass_over_what_is_missing_and_take_words_as_categories():
    model = make_exact(ConditionalAutoencoder)
    x = CENTRES.clone()
    x[0, 2] = torch.nan
    model.encoder = nn.Sequential(Filled(), model.encoder)
    assert model.guess_labels(x).tolist() == [0, 1]
    words = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, torch.nan, torch.nan]])
    with torch.no_grad():
        model.decoder.weight.zero_()
        model.decoder.weight[1:, 2:] = torch.eye(2) * 3
    assert model.guess_labels(words, (slice(1, 3),))[:2].tolist() == [0, 1]


class Filled(nn.Module):
    def forward(self, x):
        return x.nan_to_num(0.0)


def test_a_sampler_draws_any_class_alike_or_the_one_that_is_chosen():
    noise = torch.randn(4000, 6, generator=torch.Generator().manual_seed(0))
    codes = ClassSampler(4)(noise)
    assert codes.shape == (4000, 9)
    assert torch.equal(codes[:, :5], noise[:, :5])
    assert torch.allclose(codes[:, 5:].mean(0), torch.full((4,), 0.25), atol=0.03)
    assert torch.equal(codes[:, 5:].sum(1), torch.ones(4000))
    assert ClassSampler(4, 2)(noise)[:, 5:].argmax(1).unique().tolist() == [2]
