"""How fast a candidate is trained, and how much it is shown in the seconds that it has."""

import pytest
import torch
from torch import nn

from evaluators.metrics.cost import PeakMemory
from evaluators.training.epochs import draw_indices
from evaluators.training.pace import Timetable, time_updates
from evaluators.training.single_network import RECIPE, SingleNetworkTraining
from tests.conftest import tiny_data


def begin(**changed):
    def loss(model, batch, hyperparameters, progress, generator):
        seen.append((len(batch), progress))
        return ((model(batch.examples.flatten(1)) - batch.examples.flatten(1)) ** 2).mean()

    seen = []
    torch.manual_seed(0)
    hyperparameters = {**RECIPE, "batch_size": 8, **changed}
    return SingleNetworkTraining(nn.Linear(64, 64), loss, hyperparameters, 2, seed=0), seen


def test_updates_are_timed_and_belong_to_no_epoch():
    training, seen = begin()
    memory, data = PeakMemory(torch.device("cpu")), tiny_data().train
    an_example, made = time_updates(training, lambda: training.epoch(data, memory), 8)
    assert 1e-7 < an_example < 1e-2
    assert made == len(seen)
    assert (training.epochs, training.epochs_done) == (2, 0)
    assert all(size == 8 and progress < 1e-3 for size, progress in seen)  # whole batches, before any schedule moves


def test_an_epoch_may_show_more_examples_than_there_are():
    training, seen = begin()
    data = tiny_data().train
    training.epoch_size = 3 * len(data)
    training.epoch(data, PeakMemory(torch.device("cpu")))
    assert len(seen) == 3 * len(data) // 8
    order = draw_indices(5, 12, torch.Generator().manual_seed(0)).tolist()
    assert sorted(order[:5]) == sorted(order[5:10]) == [0, 1, 2, 3, 4]
    assert order[:5] != order[5:10]
    assert len(order) == 12


def test_each_epoch_takes_as_long_as_all_before_it():
    timetable = Timetable(seconds=16.0, epochs=3, batch=32, trained=0.01, scored=1.0, doubling=True)
    assert timetable.fit_epoch(spent=0.0, done=0) == 9 * 32  # 4 s, one of them for scoring: 300 examples
    timetable.observe(trained=0.01, scored=0.5)
    assert timetable.fit_epoch(spent=4.0, done=1) == 10 * 32  # until 8 s
    timetable.observe(trained=0.02, scored=0.5)
    assert timetable.fit_epoch(spent=9.0, done=2) == 10 * 32  # it is late, and slower than it was: 6.5 s are left
    assert timetable.fit_epoch(spent=17.0, done=2) == 32  # an epoch has an update at least


def test_epochs_that_do_not_double_share_what_is_left():
    timetable = Timetable(seconds=10.0, epochs=2, batch=32, trained=0.01, scored=1.0, doubling=False)
    assert timetable.fit_epoch(spent=0.0, done=0) == 12 * 32  # 4 s of 10 ms are 400 examples
    assert timetable.fit_epoch(spent=6.0, done=1) == 9 * 32  # 3 s are left


@pytest.mark.parametrize("doubling", [False, True])
@pytest.mark.parametrize("batch", [7, 96])
def test_timed_epochs_are_of_whole_batches(batch, doubling):
    assert Timetable(3.0, 3, batch, 0.001, 0.0, doubling).fit_epoch(0.0, 0) % batch == 0
