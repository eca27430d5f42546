"""The Python interface."""

import json
import urllib.request

import numpy as np
import pytest
import torch

import nas
from nas.core.errors import ReplayMismatch
from nas.strategies.random import Random
from nas.study import Study, _repair
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
    (tmp_path / ".best.k2j3").mkdir()
    (tmp_path / ".best.k2j3" / "model.py").write_text("")
    (tmp_path / ".lock").touch()
    _repair(journal)
    assert {path.name for path in tmp_path.iterdir()} == {"study.journal", ".lock"}
    assert journal.read_bytes() == b'{"a":1}\n{"b":2}\n'
    _repair(journal)
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
