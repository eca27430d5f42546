"""A training in full that takes no time, and how it is cut short."""

import json

import numpy as np
import torch
from safetensors.torch import save

from nas.core.evaluator import CHECKPOINT, Evaluator
from nas.core.job import Train, TrainPortion
from nas.core.space import generator_for, sample
from nas.core.trial import Measurement
from nas.testing.toys import ToyEvaluator, ToySpace
from tests.conftest import tiny_data


class Counting(Evaluator):
    """A training whose weight is the sum of a random number an epoch, and its checkpoint that sum."""

    metrics = ToyEvaluator.metrics
    jobs = frozenset({Train, TrainPortion})

    epochs_trained: list[int] = []  # noqa: RUF012 - of all of them

    def __init__(self, space, data, *, epochs, device):
        self.epochs = epochs

    def evaluate(self, trial):
        raise NotImplementedError

    def train(self, trial, checkpoint=None, *, every=1):
        done, total = json.loads(checkpoint or b"[0, 0.0]")
        for epoch in range(done + 1, self.epochs + 1):
            self.epochs_trained.append(epoch)
            total += generator_for(trial.seed, epoch).random()
            files = {"sum.json": json.dumps(total).encode()}
            if epoch == self.epochs:
                files["weights.safetensors"] = save({"total": torch.tensor(total)})
            if epoch % every == 0 or epoch == self.epochs:
                files[CHECKPOINT] = json.dumps([epoch, total]).encode()
            yield Measurement(epoch, {"loss": total}, files)


TOY = sample(ToySpace(), np.random.default_rng(0))
PARTS = {"space": ToySpace(), "data": tiny_data(count=40), "evaluator": Counting}
EPOCHS = 4
COMMAND = ["--space", "nas.testing.toys:ToySpace", "--evaluator", f"{__name__}:Counting", "--train-size", "50"]
"""The same parts at the command line, of which the data are digits."""


class Killed(BaseException):
    """The process is no more."""


def stopped_after(epoch):
    train = Counting.train

    def stopped(self, trial, checkpoint=None, *, every=1):
        for measurement in train(self, trial, checkpoint, every=every):
            yield measurement
            if measurement.epoch == epoch:
                raise KeyboardInterrupt

    return stopped
