"""Batch statistics that are measured again, once weights are inherited."""

import torch
from torch import nn

from evaluators.supernets.recalibration import recalibrate
from tests.parts.pair_supernets import numbers, same


def test_recalibrated_statistics_are_the_means_of_the_batches():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2), nn.BatchNorm1d(2))
    network[1].track_running_stats, network[1].running_mean, network[1].running_var = False, None, None
    batches = [(2 * torch.randn(10, 3) + 1,) for _ in range(5)]
    weights = numbers(network.parameters())
    network(100 * torch.randn(10, 3))  # what was there before does not count
    recalibrate(network, iter(batches))
    with torch.no_grad():
        first = [network[0](batch) for (batch,) in batches]
        normal = [(x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt() for x in first]
        second = [network[3]((network[1].weight * x + network[1].bias).relu()) for x in normal]
    for layer, inputs in ((network[1], first), (network[4], second)):
        assert torch.allclose(layer.running_mean, torch.stack([x.mean(0) for x in inputs]).mean(0), atol=1e-5)
        assert torch.allclose(layer.running_var, torch.stack([x.var(0) for x in inputs]).mean(0), atol=1e-4)
    assert same(weights, network.parameters())
    assert not network.training
    before = layer.running_mean.clone()
    network(batches[0][0])
    assert torch.equal(before, layer.running_mean)  # evaluation from then on
