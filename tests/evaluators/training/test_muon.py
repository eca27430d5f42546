import pytest
import torch
from torch import nn

from evaluators.training.muon import Muon, orthogonalise


@pytest.mark.parametrize("shape", [(8, 8), (4, 30), (30, 4), (64, 576), (2, 2000)])
def test_the_singular_values_come_near_one(shape):
    torch.manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    made = orthogonalise(left @ torch.diag(torch.logspace(0, -1.5, len(right))) @ right)
    values = torch.linalg.svdvals(made)
    assert values.min() > 0.6
    assert values.max() < 1.25
    assert (left.T @ made @ right.T).diagonal().min() > 0.6  # along the same directions


def test_nothing_stays_nothing():
    assert torch.equal(orthogonalise(torch.zeros(3, 5)), torch.zeros(3, 5))


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this PyTorch has no Muon to compare with")
@pytest.mark.parametrize("shape", [(24, 100), (100, 24)])
def test_matrices_go_where_pytorchs_own_takes_them(shape):
    torch.manual_seed(0)
    weights = [nn.Parameter(torch.zeros(shape)) for _ in range(2)]
    ours = Muon([weights[0]], lr=0.01, weight_decay=0.1)
    theirs = torch.optim.Muon([weights[1]], lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(5):
        gradient = torch.randn(shape)
        for weight, optimiser in zip(weights, (ours, theirs), strict=True):
            weight.grad = gradient.clone()
            optimiser.step()
    size = weights[1].norm()
    assert size > 0
    assert (weights[0] - weights[1]).norm() < 0.03 * size  # theirs computes in bfloat16


def test_what_is_no_matrix_is_left_to_adam():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4, bias=False), nn.BatchNorm2d(4))
    twin = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4, bias=False), nn.BatchNorm2d(4))
    twin.load_state_dict(model.state_dict())
    ours = Muon([*model.parameters(), nn.Parameter(torch.zeros(3, 3))], lr=0.01, weight_decay=0.1)
    theirs = torch.optim.AdamW(twin.parameters(), lr=0.01, weight_decay=0.1)
    for _ in range(3):
        images = torch.randn(5, 4, 6, 6)
        for network, optimiser in ((model, ours), (twin, theirs)):
            optimiser.zero_grad()
            (network(images) - 1).pow(4).mean().backward()
            optimiser.step()
    for mine, other in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(mine, other, atol=1e-6)


def test_a_schedule_reaches_both_halves():
    layer = nn.Linear(5, 7)
    optimiser = Muon(layer.parameters(), lr=0.01)
    before = [parameter.detach().clone() for parameter in layer.parameters()]
    for group in optimiser.param_groups:
        group["lr"] = 0.0
    layer(torch.randn(3, 5)).square().mean().backward()
    optimiser.step()
    assert all(torch.equal(a, b) for a, b in zip(before, layer.parameters(), strict=True))


def test_a_convolution_is_a_matrix_and_its_update_is_as_large_as_adams():
    torch.manual_seed(0)
    layer = nn.Conv2d(16, 24, 3, bias=False)
    before = layer.weight.detach().clone()
    optimiser = Muon(layer.parameters(), lr=0.01)
    layer(torch.randn(8, 16, 9, 9)).square().mean().backward()
    optimiser.step()
    root_mean_square = (layer.weight - before).square().mean().sqrt().item()
    assert 0.6 * 0.2 * 0.01 < root_mean_square < 1.2 * 0.2 * 0.01
    assert torch.linalg.matrix_rank((layer.weight - before).flatten(1)) == 24


def test_a_bottleneck_is_learned_faster_than_by_adam():
    """Data of 64 directions whose deviations fall thirtyfold, through a linear code of 32: the reason it is here."""
    torch.manual_seed(0)
    deviations = torch.logspace(0, -1.5, 64)
    data = torch.randn(512, 64) * deviations

    def error(make, rate):
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(64, 32), nn.Linear(32, 64))
        optimiser = make(model.parameters(), lr=rate)
        for step in range(150):
            for group in optimiser.param_groups:
                group["lr"] = rate * (1 - step / 150)
            optimiser.zero_grad()
            loss = (model(data) - data).square().mean()
            loss.backward()
            optimiser.step()
        return loss.item()

    muon, adam = (min(error(make, rate) for rate in (0.003, 0.01, 0.03, 0.1)) for make in (Muon, torch.optim.Adam))
    lost = deviations[32:].square().sum().item() / 64  # by the best linear code, about
    assert muon - lost < 0.5 * (adam - lost)
