"""Searches from Python: what may be given, and what comes of it."""

import numpy as np
import pytest
import torch

import nas
from evaluators.autoencoder.task import AutoencoderTask
from nas.core.evaluator import Evaluator
from nas.core.trial import Measurement
from nas.strategies.evolution import Evolution
from nas.strategies.random import Random
from search_spaces.autoencoder.space import AutoencoderSpace
from tests.conftest import SMALL, tiny_data

pytestmark = pytest.mark.usefixtures("only_python")


def test_the_best_is_a_trained_module(small_run):
    model = small_run.best.model()
    assert not model.training
    images = small_run.parts.data.test.examples.float() / 255
    with torch.no_grad():
        error = float(((model(images) - images) ** 2).mean())
    assert error == pytest.approx(small_run.tested["mse"], rel=1e-4)
    assert small_run.best.metrics["mse"] == min(t.metrics["mse"] for t in small_run.trials)
    assert "fully connected" in small_run.best.description


@pytest.mark.usefixtures("no_report")
def test_arrays_and_an_objective_to_be_maximised(tmp_path):
    arrays = {"x_train": tiny_data().train.examples[:, 0].numpy()}
    run = nas.search(data=arrays, trials=3, epochs=1, objective="ssim", pin=SMALL, runs_dir=tmp_path)
    assert run.best.metrics["ssim"] == max(t.metrics["ssim"] for t in run.trials)
    resumed = nas.resume(run, trials=4, data=arrays)
    assert len(resumed.trials) == 4
    with pytest.raises(nas.UserError, match="the data it began with"):
        nas.resume(run, trials=5, data={"x_train": np.zeros((50, 8, 8), np.uint8)})


@pytest.mark.usefixtures("no_report")
def test_the_elbo_restricts_the_search_to_what_has_one(tmp_path):
    run = nas.search(data=tiny_data(), trials=2, epochs=1, objective="elbo", pin=SMALL, runs_dir=tmp_path)
    assert {t.genotype.content["family"] for t in run.trials} == {"variational"}
    assert {t.genotype.content["likelihood"] for t in run.trials} == {"gaussian"}
    assert (nas.export_model(run, part="decoder", formats=("python",)) / "samples.png").is_file()


class Duck:
    """It has a strategy's methods, and does not say what it can do."""

    ask = tell = recommend = None


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


@pytest.mark.usefixtures("no_report")
def test_own_parts_as_objects_and_by_name(tmp_path):
    options = {"data": tiny_data(), "trials": 2, "epochs": 1, "pin": SMALL, "runs_dir": tmp_path}
    by_object = nas.search(space=Tiny(), strategy=Favourite, name="a", **options)
    assert Favourite.asked >= 1  # trial 0 is the usual genotype
    by_name = nas.search(space="tests.nas.test_api:Tiny", strategy="tests.nas.test_api:Favourite", name="b", **options)
    assert [t.genotype for t in by_object.trials] == [t.genotype for t in by_name.trials]
    assert "mood" in by_name.trials[0].genotype.content
    assert by_object.config.strategy == "tests.nas.test_api:Favourite"


def test_bad_options_are_refused(tmp_path):
    with pytest.raises(nas.UserError, match="did you mean 'epochs'"):
        nas.search(data="digits", epoch=3, runs_dir=tmp_path)


@pytest.mark.usefixtures("no_report")
def test_weights_can_be_kept_of_the_best_only(tmp_path):
    run = nas.search(data=tiny_data(), trials=4, epochs=1, keep_weights=2, pin=SMALL, runs_dir=tmp_path)
    kept = [t.number for t in run.trials if run.study.weights_path(t.number).is_file()]
    assert kept == sorted(t.number for t in run.ranked()[:2])
    with pytest.raises(nas.UserError, match="has no weights"):
        run.candidate(run.ranked()[-1].number).model()


def test_the_report_escapes_what_users_supply(tmp_path):
    data = tiny_data()
    object.__setattr__(data, "name", "<script>alert(1)</script>")
    run = nas.search(data=data, trials=1, epochs=1, pin=SMALL, runs_dir=tmp_path, name="x")
    assert "<script>" not in (run.path / "report.html").read_text()
    assert "<script>" not in (run.path / "best" / "README.md").read_text()


class Scores(Evaluator):
    """No more than the protocol asks for: nothing to test with, no weights; and odd metrics."""

    metrics = AutoencoderTask.quality

    def __init__(self, space, data, *, epochs, device):
        self.space = space

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


@pytest.mark.usefixtures("no_report")
def test_classes_of_spaces_and_objects_of_the_rest_are_taken(tmp_path):
    options = {"data": tiny_data(), "trials": 2, "epochs": 1, "runs_dir": tmp_path}
    pins = SMALL | {"latent": 16, "family": "plain"}  # what would be assumed else, and a made strategy does not know of
    space = AutoencoderSpace().conditioned(None).restrict({name: (value,) for name, value in pins.items()})
    strategy = Evolution(space, seed=0, trials=2)
    evaluator = AutoencoderTask.make_evaluator(space, options["data"], epochs=1)
    made = nas.search(space=space, strategy=strategy, evaluator=evaluator, name="objects", **options)
    assert len(made.ranked()) == 2
    by_class = nas.search(space=AutoencoderSpace, pin=SMALL, name="classes", **options)
    assert len(by_class.ranked()) == 2


def test_a_strategy_made_before_the_objectives_restricted_the_space_is_refused(tmp_path):
    strategy = Evolution(AutoencoderSpace().conditioned(None), seed=0, trials=2)
    refusal = "'an object of Evolution': does not know what this run assumes: latent = 16 .*allowed: Evolution itself"
    with pytest.raises(nas.UserError, match=refusal) as error:
        nas.search(data=tiny_data(), trials=2, epochs=1, strategy=strategy, runs_dir=tmp_path)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_report")
def test_a_run_of_one_trial_is_of_the_usual_genotype_but_for_one_that_began_otherwise(tmp_path):
    options = {
        "data": tiny_data(),
        "strategy": "random",
        "epochs": 1,
        "pin": SMALL,
        "runs_dir": tmp_path,
        "finalists": 0,
    }
    run = nas.search(trials=1, **options)
    assert run.trials[0].genotype == run.parts.usual
    earlier = nas.search(trials=1, proposals=1, name="earlier", **options)
    written = (earlier.path / "config.yaml").read_text()
    (earlier.path / "config.yaml").write_text(written.replace("proposals: 1\n", ""))
    assert earlier.trials[0].genotype != run.parts.usual
    assert len(nas.resume(earlier, trials=3, data=tiny_data()).trials) == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"data": None}, "data 'NoneType'"),
        ({"data": [1, 2]}, "data 'list' .*an array or tensor, a pair"),
        ({"data": torch.zeros(20)}, r"x_train has the shape \(20,\)"),
        ({"data": {"x_train": [1, 2]}}, "x_train has the shape"),
        ({"strategy": Random, "set": {"foo": 1}}, "--set .*'foo': unknown"),
        ({"strategy": AutoencoderSpace}, "--strategy .*has no ask"),
        ({"evaluator": Random}, "--evaluator .*has no make_evaluator; allowed: a subclass of"),
        ({"strategy": Duck}, "--strategy .*has no descends; allowed: a subclass of nas.core.strategy.Strategy"),
        ({"evaluator": Random}, "--evaluator .*has no make_evaluator"),
        ({"space": Random(AutoencoderSpace().conditioned(None), seed=0, trials=1)}, "--space .*has no grow"),
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


@pytest.mark.usefixtures("no_report")
def test_a_list_and_a_tensor_are_arrays_too(tmp_path):
    images = tiny_data().train.examples[:, 0]
    for number, x_train in enumerate((images, (images / 255).tolist())):
        nas.search(data={"x_train": x_train}, trials=1, epochs=1, pin=SMALL, runs_dir=tmp_path, name=f"n{number}")


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
