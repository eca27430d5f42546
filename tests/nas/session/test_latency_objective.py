"""Latency as an objective: measured in turns with one model of the run, recorded, and in one unit after a resume."""

import pytest

import nas
from evaluators.metrics import latency
from evaluators.table import TableEvaluator
from nas.core.metric import LATENCY
from nas.core.trial import Objective
from nas.report.html import render
from nas.strategies.usual_first import find_usual

OPTIONS = {
    "epochs": 1, "train_size": 60, "evaluate": False, "strategy": "deap-nsga2",
    "pin": {"network": "fully_connected"}, "restrict": {"hidden_width": [64, 256]},
}  # fmt: skip
BOTH = ["mse", "latency_ms"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(latency, "_SECONDS", 0.0)


@pytest.fixture
def ratio(monkeypatch):
    """What every model takes in units of the reference."""
    monkeypatch.setattr(latency, "measure_relative_latency", lambda model, reference, device: 2.0)


@pytest.mark.usefixtures("no_report", "no_export")
def test_it_is_recorded_says_its_conditions_and_keeps_its_unit(tmp_path, ratio):
    run = nas.search(objective=BOTH, trials=3, name="run", runs_dir=tmp_path, **OPTIONS)
    noted = run.study.notes["latency_reference"]
    assert noted["genotype"] == find_usual(run.parts.space, 0).text
    assert noted["ms"] > 0
    assert run.describe_latency().startswith("latencies are of one example on cpu with one thread, measured in turns")
    assert "Latencies are of one example on cpu" in render(run)
    assert [trial.metrics["latency_ms"] for trial in run.trials] == [2 * noted["ms"]] * 3
    assert [trial.losses[1] for trial in run.trials] == [2 * noted["ms"]] * 3
    conditions = {"latency device": "cpu", "latency examples": 1, "latency threads": 1}
    assert run.study.notes["protocol"] == conditions
    genotypes = [trial.genotype for trial in run.trials]
    again = nas.resume(run.path, trials=5)
    assert again.study.notes["latency_reference"] == noted
    assert [trial.metrics["latency_ms"] for trial in again.trials] == [2 * noted["ms"]] * 5
    assert [trial.genotype for trial in again.trials[:3]] == genotypes
    further = nas.extend(run, name="further", trials=7, restrict={"hidden_width": [64]}, runs_dir=tmp_path)
    assert further.study.notes["latency_reference"] == noted
    assert nas.replay(run, 1).same
    again.study.note("protocol", conditions | {"latency device": "cuda"})
    with pytest.raises(nas.UserError, match="latency device was cuda and is cpu here"):
        nas.resume(run.path, trials=6)


@pytest.mark.usefixtures("no_report", "no_export")
def test_what_a_limit_has_let_pass_has_the_number_that_was_compared(tmp_path, monkeypatch):
    found = iter([0.5, 1.5, 0.9, 0.7, 0.6])
    monkeypatch.setattr(latency, "measure_latency", lambda model, device: 10.0)
    monkeypatch.setattr(latency, "measure_relative_latency", lambda model, reference, device: next(found))
    run = nas.search(objective=BOTH, max_latency="10ms", trials=3, runs_dir=tmp_path, **OPTIONS)
    assert [trial.metrics.get("latency_ms") for trial in run.trials] == [5.0, None, 9.0, 7.0]
    assert run.trials[1].outcome.reason == "has 15 ms for an example, more than --max-latency 10ms"


@pytest.mark.usefixtures("no_report", "no_export")
def test_pruned_versions_are_measured_as_what_they_were_made_of(tmp_path, monkeypatch):
    run = nas.search(objective=BOTH, trials=2, prune=[0.5], runs_dir=tmp_path, **OPTIONS)
    versions = [trial for trial in run.trials if "unpruned_latency_ms" in trial.metrics]
    assert versions
    for version in versions:
        own, parent = version.metrics, run.trials[version.proposal.parents[0]].metrics
        assert own["unpruned_latency_ms"] == pytest.approx(parent["latency_ms"], rel=0.9)  # of one example, not of 32
        assert own["latency_ms"] < 2 * own["unpruned_latency_ms"]


@pytest.mark.usefixtures("no_report", "no_export")
def test_it_is_measured_where_it_is_asked_for_alone(tmp_path):
    run = nas.search(objective="mse", trials=1, runs_dir=tmp_path, **OPTIONS, finalists=0)
    assert not set(LATENCY) & set(run.trials[0].metrics)
    assert "latency_reference" not in run.study.notes
    assert run.describe_latency() == ""


def test_what_has_no_models_is_refused_in_a_line(tmp_path):
    def table(space, data, *, epochs, device):
        return TableEvaluator(Objective("loss", "minimize"), lambda genotype: 0, [[1.0]])

    with pytest.raises(nas.UserError) as refused:
        nas.search(evaluator=table, objective=["loss", "latency_ms"], trials=1, runs_dir=tmp_path)
    assert str(refused.value) == (
        "--objective 'latency_ms': TableEvaluator has no models that could be timed; allowed: loss"
    )
