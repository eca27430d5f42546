"""Memory that gives out is the candidate's outcome, and leaves the device as clean as it was."""

import gc
import weakref

import pytest
import torch
from torch import nn

from evaluators.autoencoder.task import AutoencoderTask
from nas.core.errors import OutOfMemory
from nas.core.trial import Proposal, Trial
from nas.executors.evaluation import EvaluationEnd, advance
from search_spaces.autoencoder.space import AutoencoderSpace
from tests.parts.devices import evaluate, kinds

pytestmark = pytest.mark.gpu
MODELS: list[weakref.ref] = []


class Greedy(nn.Module):
    """Asks for more than there is, in the midst of a training."""

    def forward(self, x):
        if self.training and torch.is_grad_enabled():
            self.kept = x.new_empty(2**20)  # what there still was room for
            x = x + x.new_empty(2**46).sum()
        return x


class GreedyAutoencoders(AutoencoderSpace):
    """Of the same name, as their genotypes are those of the others."""

    def build(self, genotype, shape):
        model = super().build(genotype, shape)
        model.encoder = nn.Sequential(model.encoder, Greedy())
        MODELS.append(weakref.ref(model))
        return model


def allocated(device):
    gc.collect()
    return torch.cuda.memory_allocated(device) if device.startswith("cuda") else 0


def test_what_does_not_fit_is_out_of_memory_and_nothing_of_it_stays(device):
    kind = kinds()["plain"]
    evaluate(kind.evaluator(device, epochs=1), kind.genotype)  # what libraries keep for themselves is there by now
    evaluator = AutoencoderTask.make_evaluator(GreedyAutoencoders(), kind.data, epochs=1, device=device)
    _ = evaluator.task.train_data, evaluator.task._validation  # which stay for all trials
    MODELS.clear()
    before = allocated(device)
    ended = advance(iter(evaluator.evaluate(Trial(0, Proposal(kind.genotype), 1))))
    assert isinstance(ended, EvaluationEnd)
    assert ended.outcome.kind == "out_of_memory", ended.outcome
    assert MODELS
    assert [model() for model in MODELS] == [None] * len(MODELS)
    assert allocated(device) == before
    evaluate(kind.evaluator(device, epochs=1), kind.genotype)  # and there is room for the next


def test_even_while_the_failure_is_looked_at_the_memory_is_free(device):
    kind = kinds()["plain"]
    evaluator = AutoencoderTask.make_evaluator(GreedyAutoencoders(), kind.data, epochs=1, device=device)
    MODELS.clear()
    with pytest.raises(OutOfMemory) as failure:
        list(evaluator.evaluate(Trial(0, Proposal(kind.genotype), 1)))
    assert [model() for model in MODELS] == [None] * len(MODELS)
    assert str(failure.value)


def test_trials_one_after_the_other_take_no_more_and_more(device):
    if not device.startswith("cuda"):
        pytest.skip("only a card's allocator says what is held")
    kind = kinds()["gan, condition none"]
    evaluator, held = kind.evaluator(device, epochs=1), []
    for _ in range(3):
        evaluator_measured = list(evaluator.evaluate(Trial(0, Proposal(kind.genotype), 1)))
        assert evaluator_measured
        held.append(allocated(device))
    assert held[1] == held[2]
