"""Trained models judged by what they are used for: recorded, shown, reported, refused."""

import json

import pytest

import nas
from nas.cli import run as command
from nas.core.errors import UserError
from nas.core.evaluator import Evaluator, Examination
from nas.session.evaluate import evaluate_best, summarise
from nas.session.lookup import open_run
from nas.study.files import lock_run
from tests.conftest import SMALL, tiny_data
from tests.parts.command_line import refused

VARIATIONAL = SMALL | {
    "family": "variational", "likelihood": "gaussian", "capacity": "off", "free_bits": "off", "beta": 1.0,
    "kl_warm_up": 0.1, "latent": 8, "normalisation": "batch", "hidden_activation": "silu", "output": "sigmoid",
    "batch_size": 32, "optimiser": "adam", "learning_rate": 0.004, "schedule": "constant", "augmentation": "none",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _quick():
    """Few codes are drawn, as t-SNE takes most of the time here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evaluators.examination.examination.EMBEDDED", 60)
        yield


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Two trials on the digits 0 to 4, of which the others are anomalies; nothing is delivered."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas.session.execution.deliver_best", lambda run, best: None)
        options = {"epochs": 12, "normal": [0, 1, 2, 3, 4], "objective": "elbo", "pin": VARIATIONAL}
        return nas.search(trials=2, name="digits", runs_dir=tmp_path_factory.mktemp("runs"), **options)


def read(run, number):
    return json.loads((run.evaluation_folder(number) / "evaluation.json").read_text())


@pytest.fixture(scope="module")
def evaluated(digits):
    return nas.evaluate(digits, 1, bound_samples=5)


def test_a_trained_model_is_better_than_chance_in_every_use(evaluated):
    found = evaluated.metrics
    assert found["probe_accuracy"] > 0.8
    assert found["knn_accuracy"] > 0.8
    assert found["kmeans_nmi"] > 0.3
    assert found["transfer_accuracy"] > 0.6
    assert found["anomaly_auroc"] > 0.6
    assert found["elbo"] <= found["iwae_bound"]
    assert found["elbo"] == pytest.approx(found["log_likelihood"] - found["kl"])
    assert list(evaluated.uses) == [
        "reconstruction", "likelihood", "labels", "few labels", "anomaly detection", "robustness"
    ]  # fmt: skip
    assert any("8 latents" in remark for remark in evaluated.remarks)


def test_it_is_written_down_in_the_folder_and_in_the_study(digits, evaluated):
    document, noted = read(digits, 1), open_run(digits.path).evaluations
    assert document["metrics"] == noted[1]["metrics"] == evaluated.metrics
    assert (document["run"], document["trial"], document["bound_samples"]) == ("digits", 1, 5)
    assert {path.name for path in digits.evaluation_folder(1).iterdir()} == {"evaluation.json", *evaluated.pictures}
    report = (digits.path / "report.html").read_text()
    assert "Trial 1 in use" in report
    assert report.count('alt="codes of trial 1"') == 1


@pytest.mark.usefixtures("evaluated")
def test_the_command_judges_the_best_says_so_and_finds_the_same_again(digits, capsys):
    assert command(["evaluate", str(digits.path), "--bound-samples", "5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    number = digits.best.number
    assert lines[-1] == str(digits.evaluation_folder(number))
    assert [line for line in lines if line.split()[:1] == ["reconstruction"]]
    assert command(["evaluate", f"{digits.path}:{number}", "--bound-samples", "5", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["metrics"] == read(digits, number)["metrics"]
    assert sorted(open_run(digits.path).evaluations) == sorted({1, number})
    assert command(["show", str(digits.path), "--trial", "1"]) == 0
    assert "probe_accuracy" in capsys.readouterr().out
    assert command(["show", str(digits.path), "--trial", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["evaluation"]["metrics"] == read(digits, 1)["metrics"]
    assert command(["show", str(digits.path)]) == 0
    assert "evaluated trial 1" in capsys.readouterr().out


def test_what_cannot_be_evaluated_is_refused_in_a_line(digits, capsys):
    path = str(digits.path)
    assert "0 to 1" in refused(capsys, "evaluate", f"{path}:7")
    for samples in (0, 1.5, True):
        with pytest.raises(UserError, match="--bound-samples"):
            nas.evaluate(digits, bound_samples=samples)
    with lock_run(digits.path):
        assert "is in use" in refused(capsys, "evaluate", path)
    weights = digits.study.weights_path(0)
    kept = weights.read_bytes()
    weights.unlink()
    assert "has no weights" in refused(capsys, "evaluate", f"{path}:0")
    weights.write_bytes(kept)


@pytest.fixture
def judging(monkeypatch):
    """Runs end as they do for users, but for the report and most formats of export."""
    monkeypatch.setattr("nas.session.execution.evaluate_best", evaluate_best)
    monkeypatch.setattr("nas.session.evaluate.write_report", lambda run: None)


@pytest.mark.usefixtures("judging", "no_report", "only_python")
def test_a_search_ends_by_judging_its_best_quickly_and_saying_what_of(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pins = [part for name, value in (SMALL | {"latent": 8}).items() for part in ("--pin", f"{name}={value}")]
    options = ["--trials", "1", "--epochs", "2", "--train-size", "300", *pins]
    assert command(["search", "--name", "a", *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    place = lines.index("what it is good for, measured on 359 test examples (with pictures: nas evaluate a:0)")
    assert lines[place + 1].startswith("  labels from codes: linear probe 0.")
    assert lines[place + 2].startswith("  noise of 0.1: PSNR ")
    run = open_run(tmp_path / "runs/a")
    assert run.evaluations[0]["quick"] is True
    assert read(run, 0)["metrics"] == run.evaluations[0]["metrics"]
    assert command(["search", "--name", "b", "--json", *options]) == 0
    best = json.loads(capsys.readouterr().out)["best"]
    assert best["evaluation"] == run.evaluations[0]
    assert command(["search", "--name", "c", "--no-evaluate", *options]) == 0
    assert "judged" not in capsys.readouterr().out
    assert not open_run(tmp_path / "runs/c").evaluations


@pytest.mark.usefixtures("judging", "no_report", "only_python")
def test_where_no_time_is_left_a_line_says_how_to_judge_the_best(tmp_path, monkeypatch):
    monkeypatch.setattr("nas.session.evaluate._RESERVE", 600)
    pins, limit = SMALL | {"latent": 8}, {"time_limit": "5m", "epochs": 1, "train_size": 64}
    run = nas.search(trials=1, pin=pins, runs_dir=tmp_path, name="late", **limit)
    assert not run.evaluations
    assert summarise(run) == ["no time was left to measure what it is good for: nas evaluate late:0"]
    monkeypatch.setattr("nas.session.evaluate._RESERVE", 2.0)
    assert nas.resume(run).evaluations[0]["quick"] is True


class NoUses(Evaluator):
    """Measures what a run has optimised, and knows no uses."""

    def __init__(self, run):
        self.run = run

    @property
    def metrics(self):
        return self.run.parts.evaluator.metrics


def test_models_of_other_kinds_are_refused(digits):
    with pytest.raises(UserError, match="allowed: runs of autoencoders"):
        nas.evaluate(digits.path, evaluator=lambda *given, **options: NoUses(digits))


@pytest.mark.usefixtures("no_report", "only_python")
def test_data_given_as_an_object_need_not_be_given_again_to_the_run_that_has_them(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "evaluators.examination.examination.examine_uses", lambda *given, **options: Examination({"one": 1.0})
    )
    arrays = {"x_train": tiny_data().train.examples[:, 0].numpy()}
    run = nas.search(data=arrays, trials=1, epochs=1, pin=SMALL, runs_dir=tmp_path)
    assert nas.evaluate(run).metrics == {"one": 1.0}
    assert nas.evaluate(run.path, data=arrays).metrics == {"one": 1.0}
    with pytest.raises(UserError, match="must be given again"):
        nas.evaluate(run.path)
    with pytest.raises(UserError, match="the data it began with"):
        nas.evaluate(run.path, data={"x_train": arrays["x_train"][::-1]})
