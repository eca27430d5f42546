"""What is asked of every training of generators against discriminators."""

import pytest
import torch

from nas.testing.spaces import disturb_global_generators, global_generators


def numbers(training):
    return training.state()[0]


def same(first, second):
    return set(first) == set(second) and all(torch.equal(first[name], second[name]) for name in first)


def check_that_a_state_of_another_training_is_refused(training, changed):
    state = training(seed=1).state()
    with pytest.raises(ValueError, match="seed"):
        training(seed=2).restore(state)
    with pytest.raises(ValueError, match="hyperparameters"):
        training(seed=1, **changed).restore(state)


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
