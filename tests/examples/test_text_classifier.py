import functools
from typing import ClassVar

import pytest
import torch
from torch import nn

import nas
from examples import text_classifier
from examples.text_classifier import VOCABULARY, TextClassifiers, TextTask, sentences
from nas.core.trial import Proposal, Trial
from nas.data.dataset import Split
from nas.data.splitting import split_data
from nas.testing import EvaluatorContract, SpaceContract
from tests.parts.own_tasks import OwnTask

SPACE = TextClassifiers()
NAMES = {"space": "examples.text_classifier:TextClassifiers", "data": "examples.text_classifier:sentences"}


@functools.cache
def split(size=96):
    return split_data("sentences", sentences(), seed=0, train_size=size)


def usual(**decisions):
    return SPACE.grow(lambda choice: decisions.get(choice.site, choice.usual or choice.values[0]))


class TestSpace(SpaceContract):
    shapes = ((1, 8), (1, 5))

    def make(self):
        return TextClassifiers()

    def check(self, model, shape, whole=True):
        topics, moods = model.eval()(torch.randint(len(VOCABULARY), (2, *shape)).float())
        assert (topics.shape, moods.shape) == ((2, 3), (2, 2))


class TestEvaluator(EvaluatorContract):
    epochs_in_full = 2

    def make(self, epochs):
        return TextTask.make_evaluator(SPACE, split(), epochs=epochs)

    def genotypes(self):
        frozen = {"frozen": "embedding_and_encoder", "frozen_share": 0.5}
        return [
            usual(width=8, **frozen, rare_classes="focal"),
            usual(width=8, encoder="recurrent", depth=2),
            usual(width=16, encoder="bag", frozen="embedding", rare_classes="plain"),
        ]


class TestRun(OwnTask):
    options: ClassVar = {**NAMES, "train_size": 96}


@pytest.mark.usefixtures("no_report", "only_python")
@pytest.mark.parametrize("encoder", ["bag", "convolution", "recurrent"])
def test_every_encoder_is_exported_and_data_can_be_an_object(encoder, tmp_path):
    """A Dataset made in Python serves as well as a name; what is exported is compared with the model."""
    run = nas.search(NAMES["space"], split(), trials=1, epochs=1, pin={"encoder": encoder}, runs_dir=tmp_path)
    assert (run.path / "best" / "model.py").is_file()
    assert run.data_name == "sentences"


def test_f1_is_what_one_computes_by_hand():
    topics = torch.eye(3)[[0, 0, 0, 1, 0]]
    moods = torch.eye(2)[[0, 0, 0, 0, 0]]
    wanted = torch.tensor([[0, 0], [0, 0], [1, 1], [1, 0], [2, 0]]).float()
    found = TextTask(SPACE, split()).measure((topics, moods), Split(torch.zeros(5, 1, 8), vectors=wanted))
    # F1 = 2 hits / (guessed + there): topic 0: 4 / (4 + 2), topic 1: 2 / (1 + 2), topic 2: 0
    assert found["topic_f1"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert found["mood_f1"] == pytest.approx((8 / 9 + 0) / 2)  # the majority, always: 8 / (5 + 4), and 0
    assert found["macro_f1"] == pytest.approx((found["topic_f1"] + found["mood_f1"]) / 2)


def test_classes_are_rare_and_a_short_training_beats_the_majority_in_both_heads():
    data = split(None)
    for head in (0, 1):
        counts = torch.bincount(data.train.vectors[:, head].long())
        assert counts.min() < 0.2 * counts.max()
    task = TextTask(SPACE, data)
    labels = data.validation.vectors.long()
    majority = task.measure((torch.eye(3)[[0] * len(labels)], torch.eye(2)[[0] * len(labels)]), data.validation)
    *_, last = TextTask.make_evaluator(SPACE, data, epochs=4).evaluate(Trial(0, Proposal(usual()), 0))
    for name in ("topic_f1", "mood_f1"):
        assert last.metrics[name] > majority[name] + 0.15


@pytest.mark.parametrize(
    ("frozen", "moved"),
    [("nothing", {"embedding", "encoder", "topic", "mood"}), ("embedding", {"encoder", "topic", "mood"}),
     ("embedding_and_encoder", {"topic", "mood"})],
)  # fmt: skip
def test_what_is_frozen_stays_as_it_is_for_its_share_of_the_training(frozen, moved):
    task, model = TextTask(SPACE, split()), SPACE.build(usual(), (1, 8))
    chosen = task.hyperparameters(usual(frozen=frozen, frozen_share=0.25))
    batch = split().train.take(slice(0, 32))
    for progress, wanted in ((0.2, moved), (0.25, {"embedding", "encoder", "topic", "mood"})):
        model.zero_grad(set_to_none=True)
        task.loss(model, batch, chosen, progress, None).backward()
        assert {n for n, part in model.named_children() if any(p.grad is not None for p in part.parameters())} == wanted


def test_rare_classes_weigh_as_much_as_frequent_ones():
    class Indifferent(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = self.encoder = nn.Identity()

        def forward(self, words):
            return torch.zeros(len(words), 3), torch.tensor([[4.0, 0.0]]).expand(len(words), 2)

    task, train = TextTask(SPACE, split(None)), split(None).train
    losses = {
        kind: task.loss(Indifferent(), train, {"frozen": "nothing", "rare_classes": kind}, 0.0, None).item()
        for kind in ("plain", "weighted", "focal")
    }
    easy, hard = torch.nn.functional.softplus(torch.tensor([-4.0, 4.0])).tolist()
    topic = torch.log(torch.tensor(3.0)).item()
    assert losses["weighted"] == pytest.approx(topic + (easy + hard) / 2, rel=1e-4)
    share = train.vectors[:, 1].mean().item()
    assert losses["plain"] == pytest.approx(topic + easy * (1 - share) + hard * share, rel=1e-4)
    assert losses["focal"] < losses["plain"]


def test_sentences_are_the_same_whenever_they_are_made():
    first, second = sentences(50), sentences(50)
    assert torch.equal(first.pool.examples, second.pool.examples)
    assert not torch.equal(first.pool.examples, sentences(50, seed=1).pool.examples)
    assert first.pool.examples.max() < len(text_classifier.VOCABULARY)
