"""Codes that are to be distributed as something else: discrepancies and critics."""

import math

import pytest
import torch
from torch import nn

from evaluators.autoencoder.bounds import as_autoencoder, remove_critic
from evaluators.autoencoder.families import training_loss
from evaluators.autoencoder.posteriors import draw_code
from evaluators.autoencoder.prior_matching import maximum_mean_discrepancy, permute_codes
from evaluators.training.optimisers import OPTIMISERS
from search_spaces.autoencoder.assembly import build_critic
from search_spaces.autoencoder.modules import (
    AdversarialAutoencoder,
    CriticAutoencoder,
    PriorAutoencoder,
    VariationalAutoencoder,
)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def loop_discrepancy(first, second):
    """As the double loop of the U-statistic says."""
    count, latent = first.shape

    def kernel(a, b):
        square = float((a - b).square().sum())
        return sum(c / (c + square) for c in (2 * latent * scale for scale in (0.1, 0.2, 0.5, 1, 2, 5, 10)))

    pairs = [(i, j) for i in range(count) for j in range(count)]
    within = sum(kernel(x[i], x[j]) for x in (first, second) for i, j in pairs if i != j) / (count * (count - 1))
    return within - 2 * sum(kernel(first[i], second[j]) for i, j in pairs) / count**2


def test_the_discrepancy_is_that_of_a_double_loop():
    first, second = normal(7, 3), 1 + 2 * normal(7, 3, seed=1)
    assert maximum_mean_discrepancy(first, second).item() == pytest.approx(loop_discrepancy(first, second), rel=1e-4)


def test_the_discrepancy_is_nothing_on_average_of_equals_and_large_of_what_is_moved():
    equal = [maximum_mean_discrepancy(normal(50, 4, seed=s), normal(50, 4, seed=s + 1000)).item() for s in range(200)]
    assert abs(sum(equal) / 200) < 3 * torch.tensor(equal).std().item() / math.sqrt(200)
    assert min(equal) < 0  # without bias
    moved = [maximum_mean_discrepancy(normal(50, 4, seed=s) + 1, normal(50, 4, seed=s + 1000)).item() for s in range(9)]
    assert min(moved) > 2 * max(equal)


def coder(kind=None, latent=2):
    """Codes are examples times a matrix, plus a shift; nothing is reconstructed."""
    torch.manual_seed(0)
    encoder = nn.Linear(4, latent)
    nn.init.constant_(encoder.bias, 2.0)
    parts = encoder, nn.Linear(latent, 4), nn.Identity()
    return PriorAutoencoder(*parts) if kind is None else kind(*parts, build_critic(latent))


def trained(model, steps, **chosen):
    optimiser = OPTIMISERS["adam"](model.parameters(), lr=0.02, weight_decay=0.0)
    random = torch.Generator().manual_seed(0)
    for _ in range(steps):
        loss = training_loss(as_autoencoder(model), torch.randn(64, 4, generator=random), chosen, 0.5, random)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        return model.encode(normal(4_000, 4))


@pytest.mark.parametrize(
    ("kind", "chosen"),
    [(None, {"family": "wasserstein", "mmd_weight": 30.0}),
     (AdversarialAutoencoder, {"family": "adversarial", "adversarial_weight": 10.0})],
)  # fmt: skip
def test_codes_move_to_the_prior_and_examples_are_still_learned(kind, chosen):
    model = coder(kind)
    before = maximum_mean_discrepancy(model.encode(normal(1_000, 4)), normal(1_000, 2, seed=1)).item()
    codes = trained(model, 500 if kind else 200, **chosen)
    assert before > 1
    assert maximum_mean_discrepancy(codes[:1_000], normal(1_000, 2, seed=1)).item() < 0.03 * before
    assert codes.mean(0).abs().max() < 0.35
    assert (codes.std(0) - 1).abs().max() < 0.35
    x = normal(1_000, 4, seed=3)
    assert (model(x) - x).square().mean().item() < 0.6  # two of four dimensions are kept: 0.5 at best


def gradients(model, **chosen):
    loss = training_loss(as_autoencoder(model), normal(16, 4), chosen, 0.5, torch.Generator().manual_seed(1))
    model.zero_grad()
    loss.backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters()}


@pytest.mark.parametrize("family", ["adversarial", "factor"])
def test_a_critic_learns_from_its_own_loss_alone_and_no_other_module_does(family):
    if family == "factor":
        model, weight = coder(CriticAutoencoder, 4), "total_correlation_weight"
        model.decoder = nn.Linear(2, 4)
        model.critic = build_critic(2)
    else:
        model, weight = coder(AdversarialAutoencoder), "adversarial_weight"
    small, large = (gradients(model, family=family, kl_warm_up=0.0, **{weight: w}) for w in (0.0, 5.0))
    for name in small:
        same = torch.allclose(small[name], large[name])
        assert same == (not name.startswith("encoder")), name
    without = gradients(
        remove_critic(model), family="variational" if family == "factor" else "plain", beta=1.0, kl_warm_up=0.0
    )
    for name, gradient in without.items():
        torch.testing.assert_close(small[name], gradient)


def test_permuted_codes_keep_their_margins_and_lose_their_dependence():
    codes = normal(2_000, 1).expand(-1, 3) + 0.1 * normal(2_000, 3, seed=1)
    mixed = permute_codes(codes, torch.Generator().manual_seed(0))
    assert torch.equal(mixed.sort(0).values, codes.sort(0).values)
    assert codes.T.corrcoef().min() > 0.9
    assert (mixed.T.corrcoef() - torch.eye(3)).abs().max() < 0.1


def test_the_critics_estimate_is_the_total_correlation_of_normal_codes():
    """Of two normal latents of correlation r it is -log(1 - r^2) / 2."""
    r = 0.9
    root = torch.linalg.cholesky(torch.tensor([[1.0, r], [r, 1.0]]))
    model = coder(CriticAutoencoder, 4)
    model.critic = build_critic(2)
    model.posterior = lambda x: (x[:, :2], torch.full((len(x), 2), -10.0))
    model.decoder = nn.Linear(2, 4)
    optimiser = OPTIMISERS["adam"](model.parameters(), lr=0.005, weight_decay=0.0)
    random = torch.Generator().manual_seed(0)

    def correlated(count):
        return torch.cat((torch.randn(count, 2, generator=random) @ root.T, torch.zeros(count, 2)), 1)

    for _ in range(300):
        chosen = {"family": "factor", "total_correlation_weight": 1.0, "kl_warm_up": 0.0}
        loss = training_loss(as_autoencoder(model), correlated(256), chosen, 0.5, random)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        codes, _ = draw_code(*model.posterior(correlated(20_000)), random)
        found = model.critic(codes).mean().item()
    assert found == pytest.approx(-0.5 * math.log(1 - r**2), rel=0.15)


def test_what_is_handed_over_has_no_critic():
    for kind, plain in ((AdversarialAutoencoder, PriorAutoencoder), (CriticAutoencoder, VariationalAutoencoder)):
        model = coder(kind)
        given = remove_critic(model)
        assert type(given) is plain
        assert given.encoder is model.encoder
        assert "critic" not in dict(given.named_children())
        assert remove_critic(given) is given
        assert as_autoencoder(given).samples_prior
