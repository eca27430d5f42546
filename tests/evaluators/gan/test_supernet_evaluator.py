"""Supernets of pairs in the evaluator of GANs and in a run."""

import pytest

import nas
from evaluators.gan.task import GanTask
from nas.core.job import TrainSupernet
from nas.core.supernet import SupernetPlan
from nas.core.trial import Proposal, Trial
from nas.data.sources import digits
from nas.data.splitting import split_data
from tests.parts.extractors import quick_extractors
from tests.parts.pair_supernets import SPACE


@pytest.fixture
def quick_features():
    """Few samples, and an extractor that is trained for a moment."""
    with quick_extractors(samples=100, classifier=3_000):
        yield


@pytest.mark.usefixtures("quick_features")
def test_the_evaluator_trains_supernets_of_pairs_that_are_told_labels():
    data = split_data("digits", digits.load_digits(), seed=0, train_size=192)
    space = SPACE.conditioned(data.condition)
    base = space.base(lambda c: {"condition": "projection"}.get(c.site, c.values[0] if c.usual is None else c.usual))
    evaluator = GanTask.make_evaluator(space, data, epochs=1)
    assert TrainSupernet in evaluator.jobs
    plan = SupernetPlan(2, relaxation=None, warm_up=None, samples=2)
    measurements = list(evaluator.evaluate(Trial(0, Proposal(base, job=TrainSupernet(plan)), 1)))
    assert {"fid", "kid", "coverage", "modes", "entropy", "resets"} <= set(measurements[-1].metrics)
    assert measurements[-1].artifacts["samples.png"].startswith(b"\x89PNG")
    assert measurements[-1].derived[0].content["condition"] == "projection"


@pytest.mark.slow
@pytest.mark.usefixtures("quick_features", "no_export")
def test_a_run_searches_pairs_by_gradient_and_trains_what_is_derived(tmp_path, monkeypatch):
    monkeypatch.setattr("evaluators.adversarial.snapshots.find_collapse", lambda *found: None)
    monkeypatch.setattr("evaluators.adversarial.snapshots.find_deviation_collapse", lambda *found: None)
    pins = {"generator_width": 16, "discriminator_width": 16, "generator_stages": 1, "discriminator_stages": 1,
            "generator_cell.nodes": 1, "discriminator_cell.nodes": 1}  # fmt: skip
    run = nas.search(data="digits", space="gan", strategy="darts", trials=3, epochs=1, train_size=192, pin=pins,
                     set={"supernet_epochs": 1}, runs_dir=tmp_path)  # fmt: skip
    assert [trial.outcome.kind for trial in run.trials] == ["supernet", "complete", "complete"]
    assert run.trials[1].genotype == run.trials[0].measurements[-1].derived[0]
    assert all(trial.proposal.parents == (0,) for trial in run.trials[1:])
