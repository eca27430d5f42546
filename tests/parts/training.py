"""What is asked of every training of generators against discriminators."""

import torch

from nas.testing.spaces import disturb_global_generators, global_generators


def numbers(training):
    return training.state()[0]


def same(first, second):
    return set(first) == set(second) and all(torch.equal(first[name], second[name]) for name in first)


def check_that_other_hyperparameters_go_on_from_a_state(training, epoch):
    """What population-based training needs: the networks and the moments are the state's, the rates its own."""
    one = training(2)
    epoch(one)
    state = one.state()
    faster = training(2, seed=2, generator_learning_rate=0.01, beta1=0.9)
    faster.restore(state)
    assert same(numbers(faster), numbers(one))
    (group,) = faster.generator_optimiser.param_groups
    assert (group["lr"], group["betas"][0]) == (0.01, 0.9)
    epoch(one)
    epoch(faster)
    assert not same(numbers(faster), numbers(one))


def check_that_global_generators_are_left_alone_and_do_not_matter(training, epoch):
    results = []
    for seed in (1, 2):
        disturb_global_generators(seed)
        before = global_generators()
        one = training(1)
        epoch(one)
        assert global_generators() == before
        results.append(numbers(one))
    assert same(*results)
    other = training(1, seed=2)
    epoch(other)
    assert not same(results[0], numbers(other))
