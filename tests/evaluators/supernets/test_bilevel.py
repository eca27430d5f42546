"""The bilevel gradient of supernets, and that it finds what serves."""

import pytest
import torch
from torch import nn

from evaluators.metrics.cost import PeakMemory
from evaluators.supernets.bilevel import first_order, second_order
from evaluators.supernets.darts import SupernetTraining
from nas.core.supernet import SupernetPlan, probabilities
from search_spaces.cells.supernet import MixedEdge
from search_spaces.supernet import Architecture
from tests.parts.autoencoders import autoencoder_loss


def bilevel_problem():
    generator = torch.Generator().manual_seed(0)
    a, b, c = (torch.randn(5, 4, generator=generator, dtype=torch.float64) for _ in range(3))
    weights = torch.randn(4, generator=generator, dtype=torch.float64, requires_grad=True)
    alphas = torch.randn(5, generator=generator, dtype=torch.float64, requires_grad=True)

    def training(w, x):
        return ((torch.tanh(a @ w) * torch.softmax(x, 0)) ** 2).sum() + 0.3 * (b @ w * x).sum() ** 2

    def validation(w, x):
        return ((torch.sin(c @ w) - torch.softmax(x, 0)) ** 2).sum()

    return weights, alphas, training, validation


def test_the_second_order_gradient_is_that_of_automatic_differentiation():
    weights, alphas, training, validation = bilevel_problem()
    rate = 0.05
    step = torch.autograd.grad(training(weights, alphas), weights, create_graph=True)[0]
    exact = torch.autograd.grad(validation(weights - rate * step, alphas), alphas)[0]
    before = weights.detach().clone()
    (found,) = second_order(
        lambda: training(weights, alphas), lambda: validation(weights, alphas), [weights], [alphas], rate
    )
    assert torch.allclose(found, exact, rtol=1e-3, atol=1e-6)
    assert torch.equal(weights, before)
    (first,) = first_order(validation(weights, alphas), [alphas])
    assert (first - exact).norm() > 0.01 * exact.norm()
    (limit,) = second_order(
        lambda: training(weights, alphas), lambda: validation(weights, alphas), [weights], [alphas], 0.0
    )
    assert torch.allclose(limit, first)


class OneEdge(nn.Module):
    """An autoencoder of one mixed edge, whose input is to be given back: the skip has to win.

    GDAS's gradient sees the drawn operation alone: where that is right already it learns nothing, so its scale begins
    too small.
    """

    variational = False

    def __init__(self, plan, scale):
        super().__init__()
        self.architecture = Architecture({"c.0-1": ("none", "skip", "max_pool_3x3")}, plan)
        self.edge = MixedEdge(self.architecture.choices["c.0-1"], 1, "none", "relu", 1)
        self.scale = nn.Parameter(torch.full((1,), scale))
        self.output = nn.Hardtanh(0.0, 1.0)

    def encode(self, images):
        weights = self.architecture.weights("c.0-1")
        return self.edge(images, weights, self.architecture.held("c.0-1", weights))

    def decoder(self, code):
        return self.scale * code


@pytest.mark.parametrize(("relaxation", "order"), [("softmax", 1), ("softmax", 2), ("gumbel", 1)])
def test_an_edge_that_one_operation_serves_gets_it(tiny, relaxation, order):
    torch.manual_seed(0)
    epochs, scale = (4, 1.0) if relaxation == "softmax" else (20, 0.5)
    plan = SupernetPlan(epochs, order=order, relaxation=relaxation, learning_rate=0.1)
    hyperparameters = {"loss": "mse", "optimiser": "adam", "learning_rate": 0.002, "weight_decay": 0.0,
                       "schedule": "constant", "batch_size": 8}  # fmt: skip
    training = SupernetTraining(OneEdge(plan, scale), plan, autoencoder_loss, hyperparameters, tiny.train, 0)
    for _ in range(plan.epochs):
        training.epoch(PeakMemory(torch.device("cpu")))
    row = training.architecture.alphas()["c.0-1"]
    assert max(row, key=row.__getitem__) == "skip"
    assert probabilities(row)["skip"] > 0.4
