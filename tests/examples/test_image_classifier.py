import functools
from typing import ClassVar

import numpy as np
import pytest
import torch

import nas
from examples.image_classifier import OPERATIONS, Classifiers, ClassifierTask
from nas.core.space import Condition
from nas.core.trial import Proposal, Trial
from nas.data.dataset import Split
from nas.data.loading import load_data
from nas.testing import EvaluatorContract, SpaceContract
from tests.parts.own_tasks import OwnTask

SPACE = Classifiers().conditioned(Condition("label", 10))


@functools.cache
def digits(count=64):
    return load_data("digits", train_size=count)


def usual(**decisions):
    return SPACE.grow(lambda choice: decisions.get(choice.site, choice.usual))


class TestSpace(SpaceContract):
    shapes = ((1, 8, 8), (3, 11, 6))

    def make(self):
        return Classifiers().conditioned(Condition("label", 10))

    def check(self, model, shape, whole=True):
        assert model.eval()(torch.rand(2, *shape)).shape == (2, 10)


class TestEvaluator(EvaluatorContract):
    epochs_in_full = 2

    def make(self, epochs):
        return ClassifierTask.make_evaluator(SPACE, digits(), epochs=epochs)

    def genotypes(self):
        small = {"width": 8, "input_size": 4}
        return [usual(**small, layer1="separable_5x5"), usual(**small, layers=1, augmentation="shift")]


class TestRun(OwnTask):
    options: ClassVar = {"space": "examples.image_classifier:Classifiers", "data": "digits", "train_size": 64}


@pytest.mark.parametrize("side", [4, 6, 32])
def test_a_larger_input_costs_more(side):
    evaluator = ClassifierTask.make_evaluator(SPACE, digits(), epochs=1)
    costs = [evaluator.task.cost(SPACE.build(usual(input_size=size), (1, 8, 8))) for size in (side, 8)]
    assert costs[0]["parameters"] == costs[1]["parameters"]
    assert (costs[0]["multiply_adds"] > costs[1]["multiply_adds"]) == (side > 8)


def test_every_operation_can_be_pruned():
    evaluator = ClassifierTask.make_evaluator(SPACE, digits(), epochs=1)
    for operation in OPERATIONS:
        evaluator.check_prunable(usual(layer1=operation, layer2=operation))


def test_measures_are_what_one_computes_by_hand():
    scores = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 1.0], [0.0, 0.0]])
    task = ClassifierTask(SPACE, digits())
    found = task.measure(scores, Split(torch.zeros(4, 1), torch.tensor([0, 1, 1, 1])))
    assert found["accuracy"] == 0.5  # the first of equals is what is chosen
    by_hand = np.mean([np.log(1 + np.exp(-2)), np.log(1 + np.exp(-1)), np.log(1 + np.exp(2)), np.log(2)])
    assert found["cross_entropy"] == pytest.approx(by_hand)


def test_a_short_training_beats_the_majority_by_far():
    data = load_data("digits")
    *_, last = ClassifierTask.make_evaluator(SPACE, data, epochs=3).evaluate(Trial(0, Proposal(usual()), 0))
    majority = torch.bincount(data.validation.labels).max() / len(data.validation)
    assert majority < 0.2
    assert last.metrics["accuracy"] > 0.85


@pytest.mark.usefixtures("no_report", "no_export")
def test_accuracy_and_cost_are_weighed_against_each_other(tmp_path):
    objectives = ["accuracy", "multiply_adds"]
    run = nas.search(
        "examples.image_classifier:Classifiers", "digits", trials=6, epochs=1, train_size=64, objective=objectives,
        runs_dir=tmp_path,
    )  # fmt: skip
    assert [(o.name, o.direction) for o in run.objectives] == [("accuracy", "maximize"), ("multiply_adds", "minimize")]
    cheapest = min(run.trials, key=lambda trial: trial.metrics["multiply_adds"]).metrics["multiply_adds"]
    assert cheapest in {trial.metrics["multiply_adds"] for trial in run.front()}


def test_data_without_labels_or_of_another_kind_is_refused_in_one_line(tmp_path, ran):
    np.save("images.npy", np.zeros((40, 8, 8), np.uint8))
    np.save("vectors.npy", np.zeros((40, 8)))
    command = ["search", "--space", "examples.image_classifier:Classifiers", "--dataset"]
    for space, file, why in (
        ("examples.image_classifier:Classifiers", "images", "has no labels; allowed: data with a label for each"),
        ("examples.image_classifier:Classifiers", "vectors", "its examples are of the kind vector; allowed: data of "),
        ("gan", "vectors", "its examples are of the kind vector; allowed: data of the kind image"),
    ):
        command[2] = space
        code, out, err = ran(*command, f"npy:{file}.npy")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert why in err
    assert not (tmp_path / "runs").exists()
