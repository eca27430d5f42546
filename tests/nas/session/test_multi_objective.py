"""Searches with several objectives: fronts in runs, on the command line, in the report and in exports."""

import json
import shutil
import urllib.request

import optuna
import pytest

import nas
from evaluators.autoencoder.task import AutoencoderTask
from nas.cli import run as cli
from nas.core.evaluator import Evaluator
from nas.core.metric import COST
from nas.core.pareto import pareto_front
from nas.core.record import InMemory
from nas.core.search import Limits, Search
from nas.core.trial import Measurement, Objective
from nas.report.facts import Facts
from nas.report.front import draw_fronts
from nas.session.delivery import export_front, export_model, write_report
from nas.strategies.evolution import Evolution
from nas.strategies.random import Random
from nas.study.study import Study
from nas.testing.toys import ToySpace
from tests.conftest import export_only_python, tiny_data
from tests.parts.command_line import refused
from tests.parts.dashboard import dashboard

SMALL = {"network": "fully_connected", "batch_size": 16, "decoder": "mirrored"}
BOTH = ["mse", "parameters"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    restrict = {"hidden_width": [64, 128, 256], "stages": [1, 2]}
    with pytest.MonkeyPatch.context() as patch:
        export_only_python(patch)
        return nas.search(
            data=tiny_data(), strategy="random", trials=8, epochs=1, objective=BOTH, pin=SMALL, restrict=restrict,
            runs_dir=folder, name="both",
        )  # fmt: skip


def losses(trial):
    return (trial.metrics["mse"], trial.metrics["parameters"])


def test_the_front_is_what_nothing_dominates_and_leads_the_ranking(run):
    assert [o.name for o in run.objectives] == BOTH
    assert run.objective.name == "mse"
    front = run.front()
    assert [t.losses for t in front] == [losses(t) for t in front]
    for one in front:
        others = [losses(t) for t in run.trials]
        assert not any(a <= one.losses[0] and b <= one.losses[1] and (a, b) != one.losses for a, b in others)
    assert [t.losses[0] for t in front] == sorted(t.losses[0] for t in front)
    assert [t.number for t in run.ranked()[: len(front)]] == [t.number for t in front]
    assert sorted(t.number for t in run.ranked()) == list(range(8))
    assert run.best.number == front[0].number == min(run.trials, key=lambda t: t.losses).number
    assert 2 <= len(front) < 8


def test_the_study_holds_every_value_in_its_direction(run):
    study = optuna.load_study(study_name="search", storage=run.study._storage)
    assert [d.name for d in study.directions] == ["MINIMIZE", "MINIMIZE"]
    assert study.metric_names == BOTH
    assert [tuple(t.values) for t in study.trials] == [losses(t) for t in run.trials]
    assert {t.number for t in study.best_trials} == {t.number for t in run.front()}


@pytest.mark.usefixtures("only_python", "no_report")
def test_resuming_goes_on_to_the_same_front(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "copy")
    more = nas.resume(tmp_path / "copy", trials=10, data=tiny_data())
    assert [t.genotype for t in more.trials[:8]] == [t.genotype for t in run.trials]
    assert len(more.trials) == 10
    everything = [losses(t) for t in more.trials]
    assert [t.number for t in more.front()] == pareto_front(everything)


def test_what_both_objectives_need_is_assumed(run, tmp_path):
    # mse pins the latent size; parameters needs nothing
    assert [a.site for a in run.parts.assumptions if a.site == "latent"] == ["latent"]
    with pytest.raises(nas.UserError, match=r"--objective 'elbo': needs family = variational .* is denoising already"):
        nas.search(data=tiny_data(), trials=1, objective=["denoising_mse", "elbo"], runs_dir=tmp_path)


def test_a_pin_that_an_objective_leaves_without_sense_is_refused(tmp_path):
    with pytest.raises(nas.UserError, match=r"--pin 'loss': never arises with .* family = variational \(usual of"):
        nas.search(data=tiny_data(), trials=1, objective="elbo", pin={"loss": "bce"}, runs_dir=tmp_path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["mse", "mse"], "--objective .*each once"),
        (["mse", "parametres"], "--objective 'parametres': unknown, did you mean 'parameters'"),
    ],
)
def test_objectives_are_distinct_and_known(given, message, tmp_path):
    with pytest.raises(nas.UserError, match=message):
        nas.search(data=tiny_data(), trials=1, objective=given, runs_dir=tmp_path)
    assert not list(tmp_path.iterdir())


class Points(Evaluator):
    """Metrics that the test has written down, by trial; None fails; a little file for weights."""

    points: tuple = ()
    metrics = AutoencoderTask.quality | COST

    def __init__(self, space, data, *, epochs, device):
        self.space = space

    def evaluate(self, trial):
        point = self.points[trial.number]
        if point is None:
            raise ValueError("nothing to measure")
        metrics = dict(zip(("mse", "ssim"), point, strict=True))
        yield Measurement(1, metrics, {"weights.safetensors": b"weights"})


def searched(tmp_path, points, monkeypatch, **options):
    monkeypatch.setattr(Points, "points", points)
    given = {"trials": len(points), "strategy": "random", "objective": ["mse", "ssim"], "name": "x"} | options
    return nas.search(data=tiny_data(), evaluator=Points, runs_dir=tmp_path, **given)


POINTS = ((3.0, 0.5), (1.0, 0.1), None, (2.0, 0.3), (2.5, 0.2), (1.0, 0.05), (4.0, 0.9), (5.0, 0.8))


@pytest.mark.usefixtures("no_report")
def test_directions_ties_and_failures(tmp_path, monkeypatch):
    run = searched(tmp_path, POINTS, monkeypatch)
    assert [t.number for t in run.front()] == [1, 3, 0, 6]
    # 1 equals 5 in the mse; 5 and 4 are dominated by one front, 7 too
    assert [t.number for t in run.ranked()] == [1, 3, 0, 6, 5, 4, 7]
    assert run.best.number == 1
    assert run.trials[2].outcome.kind == "failed"
    assert run.trials[2].losses == (float("inf"), float("inf"))
    again = nas.open_run(tmp_path / "x")
    assert [t.number for t in again.front()] == [1, 3, 0, 6]
    study = Study.read(run.path)
    assert study._read_frozen()[2].values is None
    assert [objective.direction for objective in study.objectives] == ["minimize", "maximize"]


@pytest.mark.usefixtures("no_report")
def test_the_weights_of_the_front_are_kept_before_others(tmp_path, monkeypatch):
    run = searched(tmp_path, POINTS, monkeypatch, keep_weights=5)
    kept = [t.number for t in run.trials if run.study.weights_path(t.number).is_file()]
    assert kept == sorted(t.number for t in run.ranked()[:5]) == [0, 1, 3, 5, 6]
    few = searched(tmp_path, POINTS, monkeypatch, keep_weights=2, name="few")
    assert [t.number for t in few.trials if few.study.weights_path(t.number).is_file()] == [1, 3]


def test_a_run_in_which_all_fail_has_no_front(tmp_path, monkeypatch, capsys):
    run = searched(tmp_path, (None, None), monkeypatch)
    assert run.front() == []
    with pytest.raises(nas.UserError, match="no trial succeeded"):
        export_front(run)
    write_report(run)
    assert cli(["show", str(run.path)]) == 0
    assert cli(["list", "--runs-dir", str(tmp_path)]) == 0
    capsys.readouterr()


def test_show_and_list_tell_the_front(run, capsys):
    front = [t.number for t in run.front()]
    assert cli(["show", str(run.path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [one["number"] for one in shown["front"]] == front
    assert [tuple(one["values"].values()) for one in shown["front"]] == [t.losses for t in run.front()]
    assert cli(["show", str(run.path)]) == 0
    out = capsys.readouterr().out
    table = [line.split() for line in out.splitlines() if line.split()[:1] and line.split()[0].isdigit()]
    assert [int(row[0]) for row in table] == front
    header = next(line.split() for line in out.splitlines() if line.split()[:1] == ["trial"])
    assert header[1:3] == BOTH
    assert f"betters one of these {len(front)}" in out
    assert cli(["list", "--runs-dir", str(run.path.parent)]) == 0
    assert f"front of {len(front)}" in capsys.readouterr().out


@pytest.mark.usefixtures("no_report")
def test_a_long_front_is_shown_by_its_most_spread_members(tmp_path, monkeypatch, capsys):
    points = tuple((float(n), n / 100) for n in range(20))
    run = searched(tmp_path, points, monkeypatch)
    assert len(run.front()) == 20
    assert cli(["show", str(run.path)]) == 0
    out = capsys.readouterr().out
    shown = [int(line.split()[0]) for line in out.splitlines() if line.split()[:1] and line.split()[0].isdigit()]
    assert len(shown) == 12
    assert {0, 19} <= set(shown)
    assert "12 of them are shown" in out


@pytest.mark.usefixtures("only_python", "no_report")
def test_searching_on_the_command_line_reports_the_front(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = [
        "search", "--objective", "mse", "--objective", "parameters", "--trials", "4", "--epochs", "1", "--name", "x",
        "--train-size", "64", "--pin", "network=fully_connected", "--pin", "batch_size=32",
        "--restrict", "hidden_width=64,128", "--restrict", "decoder_hidden_width=64",
    ]  # fmt: skip
    assert cli([*arguments, "--json"]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert set(document) == {"run", "best", "front", "trials", "epochs", "seconds"}
    assert document["front"][0]["number"] == document["best"]["number"]
    assert set(document["front"][0]["values"]) == set(BOTH)
    assert "evolution looks at the first objective alone, mse" in captured.err
    assert f"front of {len(document['front'])}" in captured.err.splitlines()[-1]
    assert "parameters" in next(line for line in captured.err.splitlines() if line.startswith("1/4"))
    assert "objective:\n- mse\n- parameters\n" in (tmp_path / "runs/x/config.yaml").read_text()
    assert cli(["resume", "x", "--trials", "5"]) == 0
    assert "nas export runs/x --front" in capsys.readouterr().out


def test_every_member_of_the_front_is_exported(run, tmp_path, capsys, monkeypatch):
    output = tmp_path / "front"
    monkeypatch.setattr("nas.session.lookup.open_run", lambda path: run)  # its data has no name that could be loaded
    assert cli(["export", str(run.path), "--front", "--format", "python", "--output", str(output)]) == 0
    folders = [f"trial-{t.number:04d}" for t in run.front()]
    assert capsys.readouterr().out.split() == [str(output / name) for name in folders]
    for trial, name in zip(run.front(), folders, strict=True):
        card = (output / name / "README.md").read_text()
        assert f"as trial {trial.number} of run both" in card
        assert "The search weighed mse, parameters on the validation part" in card
        assert "Nothing it tried is better\nin one of them without being worse in another." in card
        assert (output / name / "model.py").is_file()
    dominated = run.ranked()[-1].number
    other = export_model(run, run.candidate(dominated), directory=tmp_path / "other", formats=("python",))
    assert "Nothing it tried" not in (other / "README.md").read_text()


@pytest.mark.usefixtures("no_report")
def test_a_front_is_exported_only_where_there_is_one_with_weights(run, tmp_path, monkeypatch, capsys):
    one = searched(tmp_path, POINTS, monkeypatch, objective=["mse"])
    for arguments, message in (
        (["export", str(one.path), "--front"], "'x': mse is its only objective; allowed: runs with several"),
        (["export", str(run.path), "--front", "--trial", "1"], "cannot be combined with --front"),
    ):
        assert message in refused(capsys, *arguments)
    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy)
    first, *others = run.front()
    for trial in others:
        (copy / "artifacts" / "weights" / f"{trial.number:04d}.safetensors").unlink()
    opened = nas.open_run(copy)
    opened.__dict__["parts"] = run.parts
    folders = export_front(opened, directory=tmp_path / "some", formats=("python",))
    assert [folder.name for folder in folders] == [f"trial-{first.number:04d}"]
    (copy / "artifacts" / "weights" / f"{first.number:04d}.safetensors").unlink()
    assert cli(["export", str(copy), "--front"]) == 2
    assert "no member's weights were kept" in capsys.readouterr().err


def test_the_report_draws_the_front(run):
    report = (run.path / "report.html").read_text()
    pictures = len([t for t in run.trials if run.study.picture(t.number)])
    assert report.count("data:image/png") == pictures + 1  # and that of the best once more
    assert '<h2 id="front">The front</h2>' in report
    assert report.count('class="mark front"') == 2 * len(run.front()) + 1  # wide and narrow, and the legend's
    assert "mse (less is better)" in report
    assert "parameters (less is better)" in report


@pytest.mark.usefixtures("no_report")
def test_fronts_are_drawn_where_there_are_several_objectives(tmp_path, monkeypatch):
    points = tuple((float(n), n / 100) for n in range(4))
    two = draw_fronts(Facts(searched(tmp_path, points, monkeypatch)))
    assert [(chart.x_label, chart.y_label) for chart in two] == [("mse (less is better)", "ssim (more is better)")]
    assert len(two[0].lines[0].points) == 4
    one = draw_fronts(Facts(searched(tmp_path, points, monkeypatch, objective=["mse"], name="one")))
    assert one == []


def test_the_dashboard_opens_a_study_of_several_objectives(run):
    with dashboard(run) as root, urllib.request.urlopen(f"{root}/api/studies/0") as answer:
        study = json.load(answer)
    assert study["directions"] == ["minimize", "minimize"]
    assert study["objective_names"] == BOTH
    assert all(len(trial["values"]) == 2 for trial in study["trials"])
    assert {param["name"] for param in study["trials"][0]["params"]} >= {"hidden_width", "learning_rate"}


class Weighing(Random):
    """A strategy that handles several objectives, so it says."""

    multi_objective = True


def test_a_strategy_says_whether_it_weighs_objectives():
    two = (Objective("a", "minimize"), Objective("b", "minimize"))
    for kind, objectives, alone in (
        (Evolution, two, True), (Evolution, two[:1], False), (Weighing, two, False), (Weighing, two[:1], False),
    ):  # fmt: skip
        space = ToySpace()
        search = Search(space, kind(space, seed=0, trials=5), objectives, InMemory(), seed=0, limits=Limits(5))
        assert search.only_first == alone
