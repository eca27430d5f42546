"""Searches that choose by what autoencoders are used for, and what data refuse them."""

import pytest
import torch

import nas
from evaluators.examination.subject import squared_errors
from nas.data.dataset import as_float
from tests.conftest import SMALL
from tests.parts.command_line import refused

NORMAL = [str(digit) for digit in range(9)]


@pytest.fixture(scope="module")
def nines(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas.session.execution.write_report", lambda run: None)
        patch.setattr("nas.session.execution.export_model", lambda run, candidate: None)
        options = {"epochs": 4, "normal": NORMAL, "objective": "anomaly_auroc", "pin": SMALL}
        return nas.search(trials=2, runs_dir=tmp_path_factory.mktemp("runs"), **options)


def test_the_best_tells_anomalies_best_and_is_tested_on_those_of_the_test_part(nines):
    trials = [trial.metrics for trial in nines.trials]
    assert nines.best.metrics["anomaly_auroc"] == max(one["anomaly_auroc"] for one in trials)
    assert 0.6 < nines.tested["anomaly_auroc"] < 1
    assert 0.5 < next(iter(nines.compared["baselines"].values()))["anomaly_auroc"] < 1


@torch.no_grad()
def test_the_test_score_is_that_of_normal_examples_alone(nines):
    data, model = nines.parts.data, nines.best.model()
    part = data.test.take(data.test.labels != data.classes.index("9"))
    examples = as_float(part.examples)
    errors = squared_errors(model.output(model.decoder(model.encode(examples))), examples)
    assert nines.tested["mse"] == pytest.approx(float(errors.mean()), rel=1e-5)
    assert len(part) < len(data.test)


@pytest.mark.usefixtures("no_report", "no_export")
def test_a_probe_reads_the_codes_of_a_search(tmp_path):
    objectives = ["probe_accuracy", "kmeans_nmi"]
    run = nas.search(trials=1, epochs=2, objective=objectives, pin=SMALL, runs_dir=tmp_path)
    assert run.best.metrics["probe_accuracy"] > 0.5
    assert 0 < run.tested["kmeans_nmi"] < 1
    assert any(one.site == "latent" for one in run.parts.assumptions)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--objective", "anomaly_auroc"], "needs --normal A,B"),
        (["--objective", "probe_accuracy", "--normal", "3"], "needs two labels or more"),
        (["--objective", "kmeans_nmi", "--space", "gan"], "unknown"),
    ],
)
def test_what_data_cannot_give_is_refused_in_a_line(arguments, message, capsys, tmp_path):
    assert message in refused(capsys, "search", "--runs-dir", str(tmp_path), "--trials", "1", *arguments)
    assert not list(tmp_path.iterdir())
