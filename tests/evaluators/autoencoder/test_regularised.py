"""Sparse codes, and codes that change little, against closed forms."""

import pytest
import torch
from torch import nn

from evaluators.autoencoder.bounds import as_autoencoder
from evaluators.autoencoder.families import training_loss
from evaluators.autoencoder.regularised import estimate_contraction
from search_spaces.autoencoder.modules import Autoencoder, KeepLargest

MSE = {"loss": "mse"}


def linear(latent=5):
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(12, latent))
    decoder = nn.Sequential(nn.Linear(latent, 12), nn.Unflatten(1, (1, 3, 4)))
    return Autoencoder(encoder, decoder, nn.Identity())


def images(count=8):
    return torch.rand(count, 1, 3, 4, generator=torch.Generator().manual_seed(1))


def loss_of(model, **chosen):
    return training_loss(as_autoencoder(model), images(), {**MSE, **chosen}, 0.5, torch.Generator().manual_seed(2))


def test_the_contraction_of_a_linear_encoder_is_the_norm_of_its_weights():
    model, random = linear(), torch.Generator().manual_seed(0)
    found = [estimate_contraction(model.encode, images(500), random)[1].item() for _ in range(20)]
    assert sum(found) / len(found) == pytest.approx(model.encoder[1].weight.square().sum().item(), rel=0.03)


def test_the_contraction_of_a_curved_encoder_is_that_of_its_jacobian():
    torch.manual_seed(0)
    encode = nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.Tanh(), nn.Linear(6, 3))
    x = images(4)
    several = x.repeat(500, 1, 1, 1)
    jacobians = [torch.autograd.functional.jacobian(encode, one[None]).flatten() for one in x]
    wanted = torch.stack(jacobians).square().sum(1).mean().item()
    random = torch.Generator().manual_seed(0)
    codes, _ = estimate_contraction(encode, x, random)
    torch.testing.assert_close(codes, encode(x))
    found = [estimate_contraction(encode, several, random)[1].item() for _ in range(10)]
    assert sum(found) / len(found) == pytest.approx(wanted, rel=0.03)


def test_the_contraction_has_a_gradient_and_costs_its_weight_by_the_values_of_an_example():
    model = linear()
    plain = loss_of(model, family="plain")
    costly = loss_of(model, family="contractive", contraction_weight=0.3)
    contraction = estimate_contraction(model.encode, images(), torch.Generator().manual_seed(2))[1]
    assert costly.item() == pytest.approx((plain + 0.3 / 12 * contraction).item(), rel=1e-5)
    weight = model.encoder[1].weight
    gradients = [torch.autograd.grad(loss, weight, retain_graph=True)[0] for loss in (plain, costly, contraction)]
    torch.testing.assert_close(gradients[1], gradients[0] + 0.3 / 12 * gradients[2])
    with torch.no_grad():
        assert loss_of(model, family="contractive", contraction_weight=0.3).item() == pytest.approx(costly.item())


def test_missing_values_have_no_slope():
    class Filled(nn.Module):
        def forward(self, x):
            return torch.where(torch.isnan(x), torch.zeros_like(x), x)

    encode, x = nn.Sequential(Filled(), nn.Linear(4, 2)), torch.randn(2_000, 4)
    x[:, 1] = torch.nan
    random = torch.Generator().manual_seed(0)
    found = [estimate_contraction(encode, x, random)[1].item() for _ in range(5)]
    wanted = encode[1].weight[:, [0, 2, 3]].square().sum().item()
    assert sum(found) / len(found) == pytest.approx(wanted, rel=0.05)


def test_sparse_codes_cost_their_l1_norm_by_the_values_of_an_example():
    model = linear()
    norm = model.encode(images()).abs().sum(1).mean()
    wanted = loss_of(model, family="plain") + 0.7 / 12 * norm
    assert loss_of(model, family="sparse", l1_weight=0.7).item() == pytest.approx(wanted.item(), rel=1e-6)
    assert loss_of(model, family="sparse").item() == loss_of(model, family="plain").item()


def test_l1_makes_standardised_codes_of_independent_sources_the_sources_themselves():
    """Of all rotations of white codes the one along heavy-tailed sources has the least L1 norm."""
    torch.manual_seed(0)
    s = torch.distributions.Laplace(0, 1 / 2**0.5).sample((20_000, 2))
    norms = []
    for angle in torch.linspace(0, torch.pi / 4, 4):
        turn = torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])
        norms.append(nn.BatchNorm1d(2, affine=False)(s @ turn.T).abs().sum(1).mean().item())
    assert norms == sorted(norms)
    assert norms[0] < 0.95 * norms[-1]


def test_the_largest_values_of_a_code_are_kept_and_learn():
    codes = torch.tensor([[3.0, -5.0, 1.0, 2.0], [-1.0, -2.0, -3.0, -4.0]], requires_grad=True)
    kept = KeepLargest(2)(codes)
    assert kept.tolist() == [[3, 0, 0, 2], [-1, -2, 0, 0]]
    (gradient,) = torch.autograd.grad(kept.sum(), codes)
    assert gradient.tolist() == [[1, 0, 0, 1], [1, 1, 0, 0]]
    assert torch.equal(KeepLargest(4)(codes), codes)
