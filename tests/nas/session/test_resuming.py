"""Runs that are gone on with from Python: with more trials, elsewhere, after kills, and what is refused."""

import shutil

import numpy as np
import pytest

import nas
from evaluators.autoencoder.task import AutoencoderTask
from nas.core.errors import ReplayMismatch
from nas.core.trial import Measurement
from nas.study.study import Study
from search_spaces.autoencoder.space import AutoencoderSpace
from tests.conftest import SMALL, tiny_data
from tests.parts.autoencoders import AutoencoderEvaluator

pytestmark = pytest.mark.usefixtures("only_python", "no_report")


def test_a_changed_strategy_is_not_resumed(tmp_path):
    first = nas.search(data=tiny_data(), trials=3, epochs=1, pin=SMALL, runs_dir=tmp_path, strategy="random")
    config = first.path / "config.yaml"
    config.write_text(config.read_text().replace("seed: 0", "seed: 1"))
    with pytest.raises(ReplayMismatch, match="trial 1"):
        nas.resume(first, trials=4, data=tiny_data())


def test_a_run_begun_with_arrays_says_that_they_are_needed(tmp_path):
    arrays = {"x_train": tiny_data().train.examples[:, 0].numpy()}
    made = nas.search(data=arrays, trials=1, epochs=1, pin=SMALL, runs_dir=tmp_path)
    with pytest.raises(nas.UserError, match="must be given again"):
        nas.resume(made, trials=2)


@pytest.mark.parametrize("trials", [0, -5, "many"])
def test_resuming_needs_a_number_of_trials(small_run, trials):
    with pytest.raises(nas.UserError, match="--trials"):
        nas.resume(small_run, trials=trials, data=tiny_data())
    assert small_run.target == 4


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
        study = Study.reopen(path, AutoencoderSpace().conditioned(None))
        times = study.record_restart(study.trials()[1])
        if how == "politely":
            study.record_interruption()
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
        data=tiny_data(), trials=1, epochs=1, pin=SMALL, restrict={"la*nt": [4, 8]}, runs_dir=tmp_path, name="p"
    )
    assert "latent" not in [assumption.site for assumption in decided.parts.assumptions]
    assert decided.best.genotype.content["latent"] in (4, 8)
    run = nas.search(data=tiny_data(), trials=1, epochs=1, pin=SMALL, runs_dir=tmp_path, name="a")
    assert [assumption.site for assumption in run.parts.assumptions] == ["latent", "family"]
    monkeypatch.setattr(AutoencoderTask, "assumptions", lambda self, objective: [])  # as on another machine
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
