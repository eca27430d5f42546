"""Pruned versions as trials of a run: recorded, resumed, exported, refused."""

import json

import pytest
import torch

import nas
import nas.session.execution
from evaluators.autoencoder.bounds import as_autoencoder
from evaluators.autoencoder.scores import score_reconstructions
from evaluators.autoencoder.task import AutoencoderTask
from evaluators.model_builder import ModelBuilder
from nas.cli import run as command
from nas.core.errors import UserError
from nas.core.evaluator import Evaluator
from nas.core.job import PruneChannels, Train
from nas.session.delivery import export_model
from nas.session.lookup import open_run
from nas.testing.toys import ToySpace

OPTIONS = {
    "epochs": 1,
    "train_size": 64,
    "pin": {"network": "convolutional", "width": 8, "stages": 1, "batch_size": 32, "cells": "edge"},
    "restrict": {"decoder_width": [8], "*.nodes": [1]},
}


@pytest.fixture(scope="module", autouse=True)
def _quick():
    """A search ends with an export, whose formats take most of the time here; one test asks for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nas.session.execution, "deliver_best", lambda run, best: None)
        yield


def begun(tmp_path, **options):
    return nas.search(trials=2, name="run", runs_dir=tmp_path, **OPTIONS, **options)


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.fixture(scope="module")
def pruned(tmp_path_factory):
    return begun(tmp_path_factory.mktemp("pruned"), prune=[0.5, 0.7], objective=["mse"])


def test_versions_are_trials_of_the_run(pruned):
    trials = pruned.trials
    assert [t.job for t in trials] == [Train(), Train(), PruneChannels(0.5), PruneChannels(0.7)]
    whole = trials[2].proposal.parents[0]
    assert trials[3].proposal.parents == (2,)
    assert trials[2].proposal.origin == f"pruned 50% of trial {whole}"
    assert pruned.counts() == {"complete": 2, "stopped": 0, "failed": 0, "pruned_versions": 2}
    sizes = [trials[number].metrics["parameters"] for number in (whole, 2, 3)]
    assert sizes[0] > sizes[1] > sizes[2]
    assert trials[3].genotype == trials[whole].genotype
    assert trials[3].metrics["latency_ms"] > 0


def test_a_version_s_weights_are_those_that_were_measured(pruned):
    for number in (2, 3):
        candidate = pruned.candidate(number)
        assert parameters(candidate.model()) == candidate.metrics["parameters"]
        evaluator = pruned.parts.evaluator
        hyperparameters = evaluator.space.hyperparameters(candidate.genotype)
        model = as_autoencoder(candidate.model())
        again = score_reconstructions(model, evaluator.task._validation, hyperparameters, 0).metrics
        if candidate.genotype.content["family"] != "variational":
            assert again["mse"] == pytest.approx(candidate.metrics["mse"], rel=1e-4)
        assert candidate.test()["mse"] > 0


@pytest.mark.long
def test_a_version_is_exported_as_any_trial_and_smaller(pruned, tmp_path):
    whole = pruned.candidate(3).unpruned
    folders = [export_model(pruned, one, directory=tmp_path / str(one.number)) for one in (whole, pruned.candidate(3))]
    for name in ("weights.safetensors", "model.onnx", "model.pt2"):
        large, small = ((folder / name).stat().st_size for folder in folders)
        assert small < large
    card = (folders[1] / "README.md").read_text()
    of = f"{pruned.candidate(3).metrics['parameters']:,.0f} of {whole.metrics['parameters']:,.0f} parameters"
    assert f"Pruned by 70% from trial {whole.number}: {of}" in card
    assert "trained for 2 epochs more" in card
    assert "Pruned" not in (folders[0] / "README.md").read_text()


def test_a_resumed_run_prunes_nothing_twice(pruned):
    before = [(t.number, t.metrics) for t in pruned.trials]
    again = nas.resume(pruned)
    assert [(t.number, t.metrics) for t in again.trials] == before


def test_show_and_train_know_versions(pruned, capsys):
    assert command(["show", str(pruned.path), "--trial", "3"]) == 0
    assert "pruned by 70%" in capsys.readouterr().out
    assert command(["train", f"{pruned.path}:3", "--epochs", "1"]) == 2
    assert "a training in full begins with the whole network" in capsys.readouterr().err


def test_other_trials_are_pruned_by_command_and_what_cannot_be_is_refused(pruned, capsys):
    other = 1 - pruned.trials[2].proposal.parents[0]
    assert command(["prune", f"{pruned.path}:{other}", "0.4", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["trials"]["pruned_versions"] == 3
    run = open_run(pruned.path)
    assert (run.trials[4].proposal.parents, run.trials[4].job.ratio) == ((other,), 0.4)
    for source, ratios, why in (
        ("2", "0.9", "is pruned"),
        ("77", "0.5", "--trial 77"),
        ("0", "1.2", "between 0 and 1"),
    ):
        assert command(["prune", f"{pruned.path}:{source}", ratios]) == 2
        assert why in capsys.readouterr().err
    assert len(open_run(pruned.path).trials) == 5


@pytest.mark.slow
def test_an_interrupted_version_is_made_again_and_none_is_lost(tmp_path, monkeypatch):
    made, calls = ModelBuilder.prepare, []

    def interrupted(self, trial):
        if not trial.job.counted:
            calls.append(trial.number)
            if len(calls) == 2:
                raise KeyboardInterrupt
        return made(self, trial)

    monkeypatch.setattr(ModelBuilder, "prepare", interrupted)
    with pytest.raises(KeyboardInterrupt):
        begun(tmp_path, prune=[0.5, 0.7])
    assert [t.outcome is None for t in open_run(tmp_path / "run").trials] == [False, False, False, True]
    run = nas.resume(tmp_path / "run")
    assert calls == [2, 3, 3]
    assert [t.job for t in run.trials] == [Train(), Train(), PruneChannels(0.5), PruneChannels(0.7)]
    assert all(t.outcome.kind == "complete" for t in run.trials)


def test_evaluators_that_cannot_prune_are_refused_before_a_folder_is_made(tmp_path):
    class Plain(Evaluator):
        metrics = AutoencoderTask.quality

        def __init__(self, space, data, **options):
            self.space = space

        def evaluate(self, trial):
            return iter(())

    with pytest.raises(UserError, match=r"--prune '0.5': Plain does not; allowed: evaluators that prune"):
        begun(tmp_path, prune=0.5, evaluator=Plain)

    class Fixed(torch.nn.Module):
        variational = False
        output = torch.nn.Sigmoid()

        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = torch.nn.Flatten(), torch.nn.Sequential(torch.nn.Unflatten(1, (1, 8, 8)))

        def encode(self, images):
            return self.encoder(images)

    class Bare(ToySpace):
        def build(self, genotype, shape):
            return Fixed()

    with pytest.raises(UserError, match=r"no layer has channels that can be removed; allowed: spaces whose models"):
        nas.search(space=Bare(), trials=1, epochs=1, train_size=64, prune=[0.5], runs_dir=tmp_path)
    assert not list(tmp_path.iterdir())
