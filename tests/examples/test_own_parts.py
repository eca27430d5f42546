"""A space and a strategy of one's own keep the contracts; a metric and operations of one's own are searched."""

import importlib
import sys

import pytest
import torch
from torch import nn

import nas
from examples.own_metric import WorstPixelTask
from examples.own_parts import Greedy, SmallAutoencoders
from nas.testing import SpaceContract, StrategyContract
from search_spaces.operations.names import OPERATIONS
from tests.conftest import SMALL, tiny_data

FAST = {"trials": 2, "epochs": 1, "finalists": 0}


class TestSmallAutoencoders(SpaceContract):
    shapes = ((1, 8, 8), (3, 5, 6))

    def make(self):
        return SmallAutoencoders()


class TestGreedy(StrategyContract):
    beats_random = False  # it never leaves the first valley

    def make(self, space, seed, trials):
        return Greedy(space, seed=seed, trials=trials)


@pytest.mark.usefixtures("no_report", "only_python")
def test_both_are_searched_and_the_best_is_exported(tmp_path):
    run = nas.search(SmallAutoencoders(), tiny_data(), Greedy, **{**FAST, "trials": 4}, runs_dir=tmp_path)
    assert [trial.outcome.kind for trial in run.trials] == ["complete"] * 4
    assert any(trial.proposal.parents for trial in run.trials)
    assert (run.path / "best" / "model.py").is_file()


@pytest.mark.usefixtures("no_report", "no_export")
def test_a_metric_of_ones_own_is_the_objective_and_is_what_it_says(tmp_path):
    data = tiny_data()
    run = nas.search(
        data=data, evaluator=WorstPixelTask, objective=["worst_pixel"], pin=SMALL, **FAST, runs_dir=tmp_path
    )
    images = data.test.examples.float() / 255
    with torch.no_grad():
        errors = (run.best.model().eval()(images) - images).abs()
    assert run.tested["worst_pixel"] == pytest.approx(errors.flatten(1).amax(1).mean().item(), rel=1e-4)
    assert run.best.metrics["worst_pixel"] == min(trial.metrics["worst_pixel"] for trial in run.trials)


@pytest.fixture
def own_operation():
    """The example, whose operation is known to nobody afterwards."""
    before = dict(OPERATIONS)
    yield importlib.import_module("examples.own_operation")
    OPERATIONS.clear()
    OPERATIONS.update(before)
    del sys.modules["examples.own_operation"]


@pytest.mark.usefixtures("no_report", "only_python")
@pytest.mark.parametrize("operation", ["conv_7x7", "separable_7x7"])
def test_operations_of_ones_own_are_offered_and_exported(operation, own_operation, tmp_path):
    pins = {"network": "convolutional", "cells": "edge", "encoder_cell.node1.operation0": operation, "width": 8}
    space, options = own_operation.WideAutoencoders, {"trials": 1, "epochs": 1, "finalists": 0, "pin": pins}
    run = nas.search(space, tiny_data(), **options, runs_dir=tmp_path)
    assert operation in run.best.description
    convolutions = [layer for layer in run.best.model().modules() if isinstance(layer, nn.Conv2d)]
    assert any(layer.kernel_size == (7, 7) for layer in convolutions)
    assert (run.path / "best" / "model.py").is_file()  # which was run and compared


@pytest.mark.slow
def test_a_job_searches_on_workers(tmp_path, monkeypatch, capsys):
    """The script as a job runs it, on a session of its own in place of a cluster."""
    from examples.ray_job import main

    arguments = ["--trials", "2", "--epochs", "1", "--workers", "1", "--runs-dir", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["ray_job.py", *arguments])
    main()
    assert str(tmp_path / "job") in capsys.readouterr().out
    run = nas.open_run(tmp_path / "job")
    assert [trial.outcome.kind for trial in run.trials] == ["complete"] * 2
    assert run.config.executor == "ray"
