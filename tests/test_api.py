"""The Python interface."""

import json
import os
import shutil
import urllib.request

import numpy as np
import pytest
import torch

import nas
from evaluators.autoencoder import OBJECTIVES, AutoencoderEvaluator
from nas.core.errors import ReplayMismatch
from nas.core.trial import Measurement
from nas.files import repair
from nas.strategies.evolution import Evolution
from nas.strategies.random import Random
from nas.study import Study
from search_spaces.autoencoder.space import AutoencoderSpace

from .conftest import tiny_data

SMALL = {"network": "fully_connected", "hidden_width": 64, "batch_size": 16, "stages": 1, "decoder": "mirrored"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return nas.search(data=tiny_data(), trials=4, epochs=2, pin=SMALL, runs_dir=tmp_path_factory.mktemp("runs"))


def test_the_best_is_a_trained_module(run):
    model = run.best.model()
    assert not model.training
    images = run.parts.data.test.images.float() / 255
    with torch.no_grad():
        error = float(((model(images) - images) ** 2).mean())
    assert error == pytest.approx(run.tested["mse"], rel=1e-4)
    assert run.best.metrics["mse"] == min(t.metrics["mse"] for t in run.trials)
    assert "fully connected" in run.best.description


def test_arrays_and_an_objective_to_be_maximised(tmp_path):
    arrays = {"x_train": tiny_data().train.images[:, 0].numpy()}
    run = nas.search(data=arrays, trials=3, epochs=1, objective="ssim", pin=SMALL, runs_dir=tmp_path)
    assert run.best.metrics["ssim"] == max(t.metrics["ssim"] for t in run.trials)
    resumed = nas.resume(run, trials=4, data=arrays)
    assert len(resumed.trials) == 4
    with pytest.raises(nas.UserError, match="the data it began with"):
        nas.resume(run, trials=5, data={"x_train": np.zeros((50, 8, 8), np.uint8)})


def test_the_elbo_restricts_the_search_to_what_has_one(tmp_path):
    run = nas.search(data=tiny_data(), trials=2, epochs=1, objective="elbo", pin=SMALL, runs_dir=tmp_path)
    assert {t.genotype.content["family"] for t in run.trials} == {"variational"}
    assert {t.genotype.content["loss"] for t in run.trials} == {"bce"}


class Favourite(Random):
    """A strategy of one's own."""

    asked = 0

    def ask(self, number):
        type(self).asked += 1
        return super().ask(number)


class Tiny(AutoencoderSpace):
    """A space of one's own."""

    name = "tiny"

    def decide(self, ask):
        super().decide(ask)
        ask.hyperparameter("mood", ("calm", "wild"))


def test_own_parts_as_objects_and_by_name(tmp_path):
    options = {"data": tiny_data(), "trials": 2, "epochs": 1, "pin": SMALL, "runs_dir": tmp_path}
    by_object = nas.search(space=Tiny(), strategy=Favourite, name="a", **options)
    assert Favourite.asked >= 2
    by_name = nas.search(space="tests.test_api:Tiny", strategy="tests.test_api:Favourite", name="b", **options)
    assert [t.genotype for t in by_object.trials] == [t.genotype for t in by_name.trials]
    assert "mood" in by_name.trials[0].genotype.content
    assert by_object.config.strategy == "tests.test_api:Favourite"


def test_bad_options_are_refused(tmp_path):
    with pytest.raises(nas.UserError, match="did you mean 'epochs'"):
        nas.search(data="digits", epoch=3, runs_dir=tmp_path)


def test_weights_can_be_kept_of_the_best_only(tmp_path):
    run = nas.search(data=tiny_data(), trials=4, epochs=1, keep_weights=2, pin=SMALL, runs_dir=tmp_path)
    kept = [t.number for t in run.trials if run.study.weights_path(t.number).is_file()]
    assert kept == sorted(t.number for t in run.ranked()[:2])
    with pytest.raises(nas.UserError, match="has no weights"):
        run.candidate(run.ranked()[-1].number).model()


def test_a_changed_strategy_is_not_resumed(run, tmp_path):
    first = nas.search(data=tiny_data(), trials=3, epochs=1, pin=SMALL, runs_dir=tmp_path, strategy="random")
    config = first.path / "config.yaml"
    config.write_text(config.read_text().replace("seed: 0", "seed: 1"))
    with pytest.raises(ReplayMismatch, match="trial 0"):
        nas.resume(first, trials=4, data=tiny_data())


def test_the_study_tells_everything(run):
    study = Study.read(run.path)
    frozen = study._frozen()
    assert [trial.user_attrs["asked"] for trial in frozen] == [0, 2, 4, 6]
    assert [trial.user_attrs["told"] for trial in frozen] == [1, 3, 5, 7]
    for trial in frozen:
        assert set(trial.params) == set(json.loads(trial.user_attrs["genotype"])["content"])
        assert list(trial.intermediate_values) == [1, 2]
        assert trial.value == trial.user_attrs["mse"] == trial.intermediate_values[2]
        assert study.picture(trial.number).startswith(b"\x89PNG")


def test_half_a_line_is_cut_off_and_whole_ones_stay(tmp_path):
    journal = tmp_path / "study.journal"
    journal.write_bytes(b'{"a":1}\n{"b":2}\n{"c"')
    weights = tmp_path / "artifacts" / "weights"
    weights.mkdir(parents=True)
    (weights / ".0001.safetensors.x1y2").touch()
    (tmp_path / ".best.k2j3").mkdir()
    (tmp_path / ".best.k2j3" / "model.py").write_text("")
    os.utime(tmp_path / ".best.k2j3", (0, 0))
    for name in (".best.young", ".lock", ".notes.of.mine"):  # perhaps another process's, the run's, the user's
        (tmp_path / name).touch()
    repair(journal)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"study.journal", ".lock", ".best.young", ".notes.of.mine", "artifacts"}
    assert not list(weights.iterdir())
    assert journal.read_bytes() == b'{"a":1}\n{"b":2}\n'
    repair(journal)
    assert journal.read_bytes() == b'{"a":1}\n{"b":2}\n'


def test_an_interrupt_waits_until_the_journal_is_written(tmp_path, monkeypatch):
    import signal

    from nas.testing.toys import LOSS, ToySpace

    study = Study.create(tmp_path / "run", ToySpace(), (LOSS,), {})
    written = []

    def interrupted(*arguments):
        signal.raise_signal(signal.SIGINT)
        written.append(arguments)

    monkeypatch.setattr(study._storage, "set_study_user_attr", interrupted)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        study.note("name", "value")
    assert len(written) == 1
    assert signal.getsignal(signal.SIGINT) is before
    study.close()


def test_the_dashboard_opens_it_as_it_is(run):
    import threading
    from wsgiref.simple_server import WSGIRequestHandler, make_server

    from optuna.artifacts import FileSystemArtifactStore
    from optuna_dashboard import wsgi
    from optuna_dashboard._storage_url import get_storage

    class Silent(WSGIRequestHandler):
        def log_message(self, *arguments):
            pass

    storage = get_storage(str(run.path / "study.journal"))
    app = wsgi(storage, artifact_store=FileSystemArtifactStore(run.path / "artifacts"))
    server = make_server("127.0.0.1", 0, app, handler_class=Silent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        root = f"http://127.0.0.1:{server.server_port}"
        with urllib.request.urlopen(f"{root}/api/studies/0") as answer:
            trials = json.load(answer)["trials"]
        assert len(trials) == 4
        attributes = {a["key"]: a["value"] for a in trials[0]["user_attrs"]}
        assert {"genotype", "parents", "outcome", "reason", "origin"} <= set(attributes)
        picture = trials[0]["artifacts"][0]
        address = f"{root}/artifacts/0/{trials[0]['trial_id']}/{picture['artifact_id']}"
        with urllib.request.urlopen(address) as answer:
            assert answer.read().startswith(b"\x89PNG")
    finally:
        server.shutdown()
        server.server_close()


def test_the_report_escapes_what_users_supply(tmp_path):
    data = tiny_data()
    object.__setattr__(data, "name", "<script>alert(1)</script>")
    run = nas.search(data=data, trials=1, epochs=1, pin=SMALL, runs_dir=tmp_path, name="x")
    assert "<script>" not in (run.path / "report.html").read_text()
    assert "<script>" not in (run.path / "best" / "README.md").read_text()


class Scores:
    """No more than the protocol asks for: nothing to test with, no weights; and odd metrics."""

    def __init__(self, space, data, *, epochs, device):
        self.objectives = {"mse": OBJECTIVES["mse"]}

    def evaluate(self, trial):
        metrics = {"mse": np.float32(trial.number + 1), "seed": 7.0, "epochs": 8, "told": 9}
        yield Measurement(1, metrics)


def test_an_evaluator_that_keeps_no_weights_is_searched_with_and_nothing_exported(tmp_path):
    run = nas.search(data=tiny_data(), trials=3, evaluator=Scores, runs_dir=tmp_path, name="x")
    assert run.best.number == 0
    assert (run.tested, run.model_folder) == ({}, None)
    assert run.finished
    again = nas.open_run(tmp_path / "x")
    assert [trial.metrics["seed"] for trial in again.trials] == [7.0] * 3
    assert len({trial.seed for trial in again.trials}) == 3
    assert (tmp_path / "x" / "report.html").is_file()
    assert len(nas.resume(run, trials=4, data=tiny_data(), evaluator=Scores).trials) == 4


def test_classes_of_spaces_and_objects_of_the_rest_are_taken(tmp_path):
    options = {"data": tiny_data(), "trials": 2, "epochs": 1, "runs_dir": tmp_path}
    space = AutoencoderSpace().restrict({name: (value,) for name, value in (SMALL | {"latent": 16}).items()})
    strategy = Evolution(space, seed=0, trials=2)
    evaluator = AutoencoderEvaluator(space, options["data"], epochs=1)
    made = nas.search(space=space, strategy=strategy, evaluator=evaluator, name="objects", **options)
    assert len(made.ranked()) == 2
    by_class = nas.search(space=AutoencoderSpace, pin=SMALL, name="classes", **options)
    assert len(by_class.ranked()) == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"data": None}, "data 'NoneType'"),
        ({"data": torch.zeros(20, 8, 8)}, "data 'Tensor'"),
        ({"data": {"x_train": [1, 2]}}, "x_train has the shape"),
        ({"strategy": Random, "set": {"foo": 1}}, "--set .*'foo': unknown"),
        ({"strategy": AutoencoderSpace}, "--strategy .*has no ask"),
        ({"evaluator": Random}, "--evaluator .*has no evaluate"),
        ({"space": Random(AutoencoderSpace(), seed=0, trials=1)}, "--space .*has no grow"),
        ({"strategy": lambda: None}, "--strategy .*what takes the arguments"),
        ({"trials": True}, "--trials True"),
        ({"runs_dir": "a\0b"}, "--runs-dir .*a folder"),
        ({"train_size": 1}, "--train-size 1"),
    ],
)
def test_obvious_mistakes_are_told_in_a_line(given, message, tmp_path):
    with pytest.raises(nas.UserError, match=message) as error:
        nas.search(**({"data": tiny_data(), "trials": 1, "runs_dir": tmp_path} | given))
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_list_and_a_tensor_are_arrays_too(tmp_path):
    images = tiny_data().train.images[:, 0]
    for number, x_train in enumerate((images, (images / 255).tolist())):
        nas.search(data={"x_train": x_train}, trials=1, epochs=1, pin=SMALL, runs_dir=tmp_path, name=f"n{number}")


def test_a_run_begun_with_arrays_says_that_they_are_needed(run, tmp_path):
    arrays = {"x_train": tiny_data().train.images[:, 0].numpy()}
    made = nas.search(data=arrays, trials=1, epochs=1, pin=SMALL, runs_dir=tmp_path)
    with pytest.raises(nas.UserError, match="must be given again"):
        nas.resume(made, trials=2)


@pytest.mark.parametrize("trials", [0, -5, "many"])
def test_resuming_needs_a_number_of_trials(run, trials):
    with pytest.raises(nas.UserError, match="--trials"):
        nas.resume(run, trials=trials, data=tiny_data())
    assert run.target == 4


def test_what_was_known_of_a_finished_run_does_not_outlive_new_trials(tmp_path):
    first = nas.search(data=tiny_data(), trials=2, epochs=1, pin=SMALL, runs_dir=tmp_path, name="r")
    assert (first.finished, bool(first.tested)) == (True, True)

    class Better(AutoencoderEvaluator):
        def evaluate(self, trial):
            if trial.number == 3:
                raise KeyboardInterrupt
            for measurement in super().evaluate(trial):
                yield Measurement(measurement.epoch, {**measurement.metrics, "mse": 1e-9}, measurement.artifacts)

    with pytest.raises(KeyboardInterrupt):
        nas.resume(first, trials=4, data=tiny_data(), evaluator=Better)
    cut = nas.open_run(tmp_path / "r")
    assert not cut.finished
    assert cut.best.number == 2
    assert (cut.tested, cut.model_folder) == ({}, None)
    with pytest.raises(nas.UserError, match="4 or more"):
        nas.resume(first, trials=2, data=tiny_data())
    whole = nas.resume(first, data=tiny_data(), evaluator=AutoencoderEvaluator)
    assert whole.finished
    assert whole.best.number == 2
    assert set(whole.tested) == {"mse", "psnr", "ssim"}
    assert whole.model_folder == tmp_path / "r" / "best"


def test_a_trial_whose_process_is_killed_again_and_again_has_failed(tmp_path):
    def kill(path, how):
        study = Study.reopen(path, AutoencoderSpace())
        times = study.restarted(study.trials((OBJECTIVES["mse"],))[1])
        if how == "politely":
            study.interrupted()
        study.close()
        return times

    class Endless(AutoencoderEvaluator):
        def evaluate(self, trial):
            if trial.number == 1:
                raise KeyboardInterrupt
            yield from super().evaluate(trial)

    options = {"data": tiny_data(), "evaluator": Endless}
    with pytest.raises(KeyboardInterrupt):
        nas.search(trials=3, epochs=1, pin=SMALL, runs_dir=tmp_path, name="k", **options)
    assert [kill(tmp_path / "k", how) for how in ("hard", "politely", "hard", "hard", "hard")] == [0, 1, 0, 1, 2]
    run = nas.resume(tmp_path / "k", data=tiny_data(), evaluator=AutoencoderEvaluator)
    assert [trial.outcome.kind for trial in run.trials] == ["complete", "failed", "complete"]
    assert run.trials[1].outcome.reason == "the process was killed 3 times while it was evaluated"


def test_a_run_remembers_what_it_assumed_and_patterns_decide_too(tmp_path, monkeypatch):
    decided = nas.search(
        data=tiny_data(), trials=1, epochs=1, pin=SMALL, restrict={"late*": [4, 8]}, runs_dir=tmp_path, name="p"
    )
    assert "latent" not in [assumption.site for assumption in decided.parts.assumptions]
    assert decided.best.genotype.content["latent"] in (4, 8)
    run = nas.search(data=tiny_data(), trials=1, epochs=1, pin=SMALL, runs_dir=tmp_path, name="a")
    assert [assumption.site for assumption in run.parts.assumptions] == ["latent"]
    monkeypatch.setattr(AutoencoderEvaluator, "assumptions", lambda self, objective: [])  # as on another machine
    more = nas.resume(run, trials=3, data=tiny_data())
    assert {trial.genotype.content["latent"] for trial in more.trials} == {16}


def test_a_run_can_be_moved_and_opened_from_anywhere(tmp_path, monkeypatch):
    rows = [",".join(map(str, [i % 2, *np.random.default_rng(i).integers(0, 255, 64)])) for i in range(60)]
    (tmp_path / "été 1.csv").write_text("\n".join(rows))
    monkeypatch.chdir(tmp_path)
    run = nas.search(data="csv:été 1.csv", trials=1, epochs=1, pin=SMALL, runs_dir="my runs")
    assert run.path.name.startswith("ete-1-csv-evolution-2")
    assert run.data_name == "csv:été 1.csv"
    card = (run.path / "best" / "README.md").read_text()
    assert "été 1.csv" in card
    assert str(tmp_path) not in card
    shutil.copytree(run.path, tmp_path / "elsewhere" / "my copy")
    monkeypatch.chdir("/")
    assert nas.open_run(tmp_path / "elsewhere" / "my copy").best.number == 0
    assert len(nas.resume(tmp_path / "elsewhere" / "my copy", trials=2).trials) == 2


def test_names_that_no_text_can_hold_do_no_harm(tmp_path):
    data = tiny_data()
    object.__setattr__(data, "name", "bad\udcff")
    assert nas.search(data=data, trials=1, epochs=1, pin=SMALL, runs_dir=tmp_path, name="x").model_folder is not None


def test_no_folder_is_no_run_and_is_left_alone(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(nas.UserError, match="is not a run"):
            nas.open_run(path)
    (tmp_path / "file").touch()
    with pytest.raises(nas.UserError, match="is not a run"):
        nas.open_run(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
