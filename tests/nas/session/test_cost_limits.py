"""Candidates that break a limit of what they may cost are recorded with the reason, not trained, and do not count."""

import pytest

import nas
from nas.cli import run as command
from nas.config import RunConfig
from nas.core.cost_limits import parse_limit
from nas.core.errors import UserError
from nas.core.evaluator import Evaluator
from nas.core.metric import Metric, metrics_by_name
from nas.core.trial import Measurement
from nas.session.assembly import assemble
from nas.strategies.usual_first import find_usual

LIMITS = {"train_size": 60, "epochs": 1, "finalists": 0}


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        ("max_parameters", "500k", 500_000), ("max_parameters", 1200, 1200), ("max_macs", "1.5M", 1_500_000),
        ("max_memory", "2GB", 2000), ("max_memory", "800", 800), ("max_latency", "5ms", 5),
    ],
)  # fmt: skip
def test_limits_are_written_as_people_write_them(option, text, value):
    assert parse_limit(option, text) == value


@pytest.mark.parametrize(
    "options", [["--max-parameters", "few"], ["--max-memory", "5ms"], ["--max-latency", "0"], ["--max-macs", "-3"]]
)
def test_what_is_none_is_refused_in_a_line(options, capsys):
    assert command(["search", *options]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"nas: {options[0]}")
    assert len(told.splitlines()) == 1


@pytest.mark.usefixtures("no_report", "no_export")
def test_what_is_over_is_not_trained_and_does_not_count(tmp_path):
    run = nas.search(trials=6, strategy="random", max_parameters="60k", max_macs="1G", runs_dir=tmp_path, **LIMITS)
    refused = [trial for trial in run.trials if trial.refused]
    trained = [trial for trial in run.trials if trial.outcome.kind in ("complete", "stopped")]
    assert refused
    assert len(trained) + run.counts()["failed"] == 6
    assert run.counts()["refused"] == len(refused)
    assert all(trial.metrics["parameters"] <= 60_000 for trial in trained)
    for trial in refused:
        assert not trial.measurements
        assert "parameters, more than --max-parameters 60k" in trial.outcome.reason
    again = nas.resume(run.path, trials=8)
    assert sum(trial.counted for trial in again.trials) == 8
    assert [trial.genotype for trial in again.trials[: len(run.trials)]] == [trial.genotype for trial in run.trials]


@pytest.mark.usefixtures("no_report", "no_export")
@pytest.mark.parametrize("strategy", ["evolution", "reinforce", "tpe", "predictor", "metaqnn"])
def test_strategies_take_a_refusal_for_something_worthless(tmp_path, strategy):
    run = nas.search(trials=5, strategy=strategy, max_parameters="60k", runs_dir=tmp_path, **LIMITS)
    assert sum(trial.counted for trial in run.trials) == 5
    assert all(trial.metrics["parameters"] <= 60_000 for trial in run.ranked())


def test_a_search_ends_where_nothing_keeps_the_limits(tmp_path, capsys):
    arguments = ["search", "--strategy", "random", "--train-size", "60", "--epochs", "1", "--max-parameters", "5"]
    assert command([*arguments, "--runs-dir", str(tmp_path)]) == 3
    assert "no trial succeeded: the limits refused all 200" in capsys.readouterr().err


@pytest.mark.parametrize("space", ["autoencoder", "gan", "cyclegan"])
def test_costs_are_measured_before_training_and_grow_with_the_model(space):
    pair = {"dataset_b": "inverted:digits"} if space == "cyclegan" else {}
    parts = assemble(RunConfig.checked({"space": space, "train_size": 60, **pair}))
    name = next(site for site in parts.space.choices() if site.rpartition("_")[2].rpartition(".")[2] == "width")
    parts.evaluator.calibrate_latency(find_usual(parts.space, 0))
    costs = []
    for value in (parts.space.choices()[name].values[0], parts.space.choices()[name].values[-1]):
        genotype = find_usual(parts.space.restrict({name: (value,)}), 0)
        names = frozenset({"parameters", "multiply_adds", "training_memory_mb", "latency_ms"})
        costs.append(parts.evaluator.measure_cost(genotype, names))
    assert all(costs[0][one] < costs[1][one] for one in ("parameters", "multiply_adds", "training_memory_mb"))
    assert all(one["latency_ms"] > 0 for one in costs)


def test_only_what_is_asked_for_is_measured(monkeypatch):
    evaluator = assemble(RunConfig.checked({"train_size": 60})).evaluator
    monkeypatch.setattr("evaluators.task.count_multiply_adds", lambda *given: pytest.fail("they were counted"))
    found = evaluator.measure_cost(find_usual(evaluator.space, 0), frozenset({"parameters"}))
    assert list(found) == ["parameters"]


class _MeasuresNothing(Evaluator):
    metrics = metrics_by_name(Metric("mse", "minimize"))

    def __init__(self, space, data, epochs, device):
        pass

    def evaluate(self, trial):
        yield Measurement(1, {"mse": 0.0})


def test_evaluators_that_measure_no_cost_are_refused(tmp_path):
    with pytest.raises(UserError, match="--max-parameters"):
        nas.search(evaluator=_MeasuresNothing, max_parameters="1k", finalists=0, runs_dir=tmp_path)
