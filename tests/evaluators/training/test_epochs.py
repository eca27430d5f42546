import math

import pytest
import torch
from torch import nn

from evaluators.metrics.cost import PeakMemory
from evaluators.training.epochs import CHECK_EVERY, Training
from nas.core.errors import Diverged

MEMORY = PeakMemory(torch.device("cpu"))


class Scripted(Training):
    """Its losses are given; every update notes its progress and a number of PyTorch's global generator."""

    loss_message = "the losses are {} and {}"
    updates = 0

    def __init__(self, losses, epochs=2, seed=0):
        super().__init__(nn.Linear(1, 1), {}, epochs, seed)
        self.script, self.seen = losses, []

    def epoch(self, data, memory):
        def update(step, progress):
            self.seen.append((progress, torch.rand(()).item()))
            return torch.tensor(0.0), torch.tensor(self.script[step])

        self._run_updates(len(self.script), self._key(), update, memory)


def test_progress_goes_from_0_to_1_over_all_epochs():
    one = Scripted([1.0, 2.0])
    for _ in range(2):
        one.epoch(None, MEMORY)
    assert [progress for progress, _ in one.seen] == [0, 0.25, 0.5, 0.75]
    assert one.epochs_done == 2


def test_draws_follow_from_the_seed_and_the_epoch_alone():
    one, restored, other = Scripted([1.0]), Scripted([1.0]), Scripted([1.0], seed=1)
    one.epoch(None, MEMORY)
    restored.restore(one.state())
    for training in (one, restored, other):
        training.epoch(None, MEMORY)
    assert one.seen[1] == restored.seen[0]
    assert len({draw for _, draw in (*one.seen, *other.seen)}) == 3


@pytest.mark.parametrize(
    ("step", "said"), [(0, "step 1"), (CHECK_EVERY, "step 33"), (CHECK_EVERY + 7, "step 40")]
)  # the last step is checked as well
def test_a_loss_that_is_not_finite_is_named_when_losses_are_checked(step, said):
    losses = [1.0] * (CHECK_EVERY + 8)
    losses[step] = math.nan
    one = Scripted(losses)
    with pytest.raises(Diverged, match=rf"^the losses are 0\.0 and nan in epoch 1, {said}$"):
        one.epoch(None, MEMORY)
    assert one.epochs_done == 0


def test_losses_between_two_checks_are_not_waited_for():
    losses = [1.0] * (CHECK_EVERY + 8)
    losses[3] = math.nan
    Scripted(losses).epoch(None, MEMORY)
