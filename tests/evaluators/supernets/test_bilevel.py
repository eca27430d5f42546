"""The bilevel gradient of supernets, and that it finds what serves."""

import copy

import pytest
import torch
from torch import nn

from evaluators.metrics.cost import PeakMemory
from evaluators.supernets.bilevel import first_order, second_order
from evaluators.supernets.darts import SupernetTraining
from evaluators.training.optimisers import OPTIMISERS, unroll_step
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

    def through_descent(rate):
        step = lambda gradients: [weights.detach() - rate * gradients[0]]  # noqa: E731
        (found,) = second_order(
            lambda: training(weights, alphas), lambda: validation(weights, alphas), [weights], [alphas], step
        )
        return found

    found = through_descent(rate)
    assert torch.allclose(found, exact, rtol=1e-9)
    assert torch.equal(weights, before)
    (first,) = first_order(validation(weights, alphas), [alphas])
    assert (first - exact).norm() > 0.01 * exact.norm()
    assert torch.allclose(through_descent(0.0), first)


@pytest.mark.parametrize("name", sorted(OPTIMISERS))
def test_the_second_order_gradient_is_that_of_the_step_that_the_optimiser_makes(name):
    """By finite differences of the validation loss after real steps of the optimiser, from the same state."""
    generator = torch.Generator().manual_seed(0)
    seen, unseen = (torch.randn(2, 16, 6, dtype=torch.float64, generator=generator) for _ in range(2))
    seen[0, :, 0] = 0.0  # a feature whose weights never have a gradient
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, 6), nn.Linear(6, 6)).double()
    weights, alphas = list(network.parameters()), torch.linspace(-1, 1, 7, dtype=torch.float64, requires_grad=True)

    def loss(part):
        hidden = network[:2](part[0]) * torch.softmax(alphas, 0)
        return ((network[2](hidden) - part[1]) ** 2).mean()  # the last layer has no part in it

    optimiser = OPTIMISERS[name](weights, lr=0.01, weight_decay=0.01)

    def move():
        optimiser.zero_grad()
        loss(seen).backward(inputs=weights[:4])
        optimiser.step()

    for _ in range(3):
        move()
    state, before = copy.deepcopy(optimiser.state_dict()), [weight.detach().clone() for weight in weights]

    def validate_after_step(index, change):
        optimiser.load_state_dict(copy.deepcopy(state))
        with torch.no_grad():
            alphas[index] += change
            for weight, value in zip(weights, before, strict=True):
                weight.copy_(value)
        move()
        value = loss(unseen).item()
        with torch.no_grad():
            alphas[index] -= change
            for weight, value_before in zip(weights, before, strict=True):
                weight.copy_(value_before)
        return value

    step = 1e-6
    expected = [(validate_after_step(i, step) - validate_after_step(i, -step)) / (2 * step) for i in range(7)]
    optimiser.load_state_dict(state)
    (found,) = second_order(
        lambda: loss(seen), lambda: loss(unseen), weights, [alphas],
        lambda gradients: unroll_step(name, optimiser, weights, gradients),
    )  # fmt: skip
    expected = torch.tensor(expected, dtype=torch.float64)
    assert (found - expected).norm() < 1e-4 * expected.norm()
    (first,) = first_order(loss(unseen), [alphas])
    assert (first - expected).norm() > 0.02 * expected.norm()
    assert all(torch.equal(weight, value) for weight, value in zip(weights, before, strict=True))


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
