"""A trial is trained again from its record: to the same numbers, or it is said by how much and where they differ."""

import hashlib
import json
import re
import shutil

import pytest

import nas
from nas.cli import run as cli
from nas.core.errors import UserError
from nas.core.job import PruneChannels, ScoreWithSupernet, Train, TrainFinalist, TrainPortion, TrainRung
from nas.study.study import Study
from tests.conftest import SMALL, tiny_data
from tests.parts.autoencoders import AutoencoderEvaluator
from tests.parts.command_line import said

CELLS = {"width": 8, "latent": 8, "stages": 1, "cells": "edge", "batch_size": 16, "family": "plain",
         "network": "convolutional", "optimiser": "adam", "encoder_cell.nodes": 1}  # fmt: skip
KINDS = {
    "finals": (TrainFinalist, {"trials": 2, "epochs": 2, "pin": SMALL, "finalists": 1, "seed": 1}),
    "timed": (TrainFinalist, {"trials": 2, "candidate_time": "0.5s", "pin": SMALL, "finalists": 1}),
    "rungs": (TrainRung, {"trials": 9, "epochs": 9, "pin": SMALL, "promotion": "asha"}),
    "inherited": (Train, {"trials": 4, "epochs": 2, "pin": CELLS, "weight_sharing": "inherit",
                          "set": {"population": 2, "sample": 2}}),
    "pruned": (PruneChannels, {"trials": 1, "epochs": 1, "pin": CELLS, "prune": [0.5, 0.7]}),
    "portions": (TrainPortion, {"trials": 6, "epochs": 3, "pin": SMALL, "strategy": "pbt",
                                "set": {"portions": 3, "population": 2}}),
    "shared": (ScoreWithSupernet, {"trials": 4, "epochs": 1, "pin": {**CELLS, "encoder_cell.nodes": 2},
                                   "weight_sharing": "supernet", "set": {"population": 2, "rounds": 1}}),
}  # fmt: skip


def make_run(folder, name, **options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas.session.execution.deliver_best", lambda run, best: None)
        return nas.search(data=tiny_data(), runs_dir=folder, name=name, **options)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each kind, made when it is first asked for."""
    folder, made = tmp_path_factory.mktemp("runs"), {}

    def get(kind):
        if kind not in made:
            made[kind] = make_run(folder, kind, **KINDS[kind][1])
        return made[kind]

    return get


def digest(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]


def copy_changed(run, folder, pattern, new):
    """A copy of a run, of which the first match of a pattern in the last line of the journal that has it is another."""
    copied = folder / "changed"
    shutil.copytree(run.path, copied)
    lines = (copied / "study.journal").read_text().splitlines(keepends=True)
    index = max(number for number, line in enumerate(lines) if re.search(pattern, line))
    lines[index] = re.sub(pattern, new, lines[index], count=1)
    (copied / "study.journal").write_text("".join(lines))
    return copied


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_trial_gives_the_same_numbers_again_and_nothing_of_the_run_changes(runs, kind):
    run, job = runs(kind), KINDS[kind][0]
    before = digest(run.path)
    last = [trial for trial in run.trials if isinstance(trial.job, job) and trial.outcome.scored][-1]
    found = nas.replay(run.path, last.number, data=tiny_data())
    assert found.same, (found.first, found.metrics, found.ended)
    assert not found.changes
    assert "mse" in [one.name for one in found.metrics]
    assert all(one.then == one.here for one in found.metrics)
    assert "seconds" in found.left_out
    assert digest(run.path) == before
    continues = getattr(last.job, "continues", None)
    assert found.trained[-1] == last.number
    assert (len(found.trained) > 1) == (continues is not None)
    assert found.epochs == last.measurements[-1].epoch


def test_parts_of_a_training_are_trained_from_its_beginning(runs):
    promoted = [t for t in runs("rungs").trials if isinstance(t.job, TrainRung) and t.job.continues is not None]
    found = nas.replay(runs("rungs"), promoted[-1].number)
    assert found.trained[0] == promoted[-1].candidate
    timed = runs("timed").trials
    found = nas.replay(runs("timed"), timed[-1].number)
    assert isinstance(timed[found.trained[0]].job, Train)  # the candidate that the finalist was
    assert isinstance(timed[-1].job, TrainFinalist)
    assert found.same


def test_a_stopped_trial_is_stopped_after_the_same_epoch(tmp_path):
    rule = {"early_stopping": "median", "stop_set": {"startup": 1}}
    run = make_run(tmp_path, "stopped", trials=6, epochs=4, pin=SMALL, **rule)
    stopped = next(trial for trial in run.trials if trial.stopped)
    found = nas.replay(run, stopped.number)
    assert found.same
    assert found.epochs == len(stopped.measurements) < 4


def test_a_training_in_full_is_trained_again(small_run, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas.session.execution.deliver_best", lambda run, best: None)
        trained = nas.train(small_run, 3, runs_dir=tmp_path, data=tiny_data())
    assert nas.replay(trained.path, data=tiny_data()).same


def test_a_failure_is_the_same_failure(tmp_path, monkeypatch):
    monkeypatch.setattr("nas.session.execution.deliver_best", lambda run, best: None)
    score = AutoencoderEvaluator.evaluate

    def spoil(self, trial):
        for measurement in score(self, trial):
            yield measurement
            raise nas.core.errors.Diverged("the loss is nan")

    monkeypatch.setattr(AutoencoderEvaluator, "evaluate", spoil)
    options = {"data": tiny_data(), "evaluator": AutoencoderEvaluator}
    run = nas.search(trials=1, epochs=2, pin=SMALL, runs_dir=tmp_path, name="failed", **options)
    found = nas.replay(run.path, 0, **options)
    assert found.same
    assert [one.kind for one in found.ended] == ["diverged", "diverged"]
    monkeypatch.setattr(AutoencoderEvaluator, "evaluate", score)
    found = nas.replay(run.path, 0, **options)
    assert not found.same
    assert [one.kind for one in found.ended] == ["diverged", "complete"]
    assert found.first == (0, 2)


@pytest.mark.usefixtures("short", "lenient")
def test_a_gan_gives_the_same_numbers_again(tmp_path, monkeypatch):
    monkeypatch.setattr("nas.session.execution.deliver_best", lambda run, best: None)
    pin = {"generator": "convolutional", "discriminator": "convolutional", "generator_width": 16,
           "discriminator_width": 16, "generator_stages": 1, "discriminator_stages": 1}  # fmt: skip
    run = nas.search(space="gan", data="digits", trials=1, epochs=2, train_size=200, pin=pin, runs_dir=tmp_path)
    found = nas.replay(run.path, 0)
    assert found.same, found
    assert "fid" in [one.name for one in found.metrics]
    changed = {**run.study.notes["protocol"], "extractor_sha256": "00"}
    monkeypatch.setattr("evaluators.gan.task.GanTask.protocol", lambda self, part: changed)
    assert [one.name for one in nas.replay(run.path, 0).changes] == ["extractor_sha256 of the scores"]


def test_a_number_that_was_changed_is_found_and_said(small_run, tmp_path, capsys, monkeypatch):
    first = small_run.trials[1].measurements[0].metrics["mse"]
    copied = copy_changed(
        small_run, tmp_path, re.escape(json.dumps(first)) + '(?=.*"epoch":2)', json.dumps(first * 1.5)
    )
    monkeypatch.setattr("nas.session.assembly.load_run_data", lambda *given: tiny_data())
    code, out, err = said(capsys, "replay", f"{copied}:1")
    assert code == 1, err
    assert "other numbers: the first after epoch 1 of trial 1" in out
    assert "not compared: seconds, peak_memory_mb" in out
    code, out, _ = said(capsys, "replay", f"{small_run.path}:1")
    assert code == 0
    assert "the same numbers, to the last bit: mse" in out
    code, out, _ = said(capsys, "replay", f"{small_run.path}:1", "--json")
    document = json.loads(out)
    assert (code, document["same"], document["first_difference"], document["changes"]) == (0, True, None, {})
    assert (
        document["metrics"]["mse"]["then"] == document["metrics"]["mse"]["here"] == small_run.trials[1].metrics["mse"]
    )


def test_another_seed_gives_other_numbers_by_so_much(small_run, tmp_path):
    seed = small_run.trials[1].seed
    copied = copy_changed(small_run, tmp_path, rf'"seed":{seed}\b', f'"seed":{seed + 1}')
    found = nas.replay(copied, 1, data=tiny_data())
    assert not found.same
    assert found.first == (1, 1)
    mse = next(one for one in found.metrics if one.name == "mse")
    assert mse.then == small_run.trials[1].metrics["mse"]
    assert mse.relative == (mse.here - mse.then) / mse.then != 0


def test_what_is_not_as_it_was_is_listed(small_run, tmp_path):
    copied = tmp_path / "elsewhere"
    shutil.copytree(small_run.path, copied)
    recorded = json.loads((copied / "environment.json").read_text())
    recorded["packages"] |= {"torch": "0.4.1", "theano": "1.0"}
    recorded |= {"python": "2.7.18", "device": "abacus"}
    (copied / "environment.json").write_text(json.dumps(recorded))
    found = nas.replay(copied, 0, data=tiny_data(count=95))
    assert {"python", "device", "torch", "theano", "data"} == {one.name for one in found.changes}
    assert str(next(one for one in found.changes if one.name == "theano")) == "theano was 1.0 and is not there here"
    assert not found.same


def test_what_cannot_be_trained_again_is_refused_in_a_line(runs, small_run, tmp_path, monkeypatch, capsys):
    pruned, inherited = runs("pruned"), runs("inherited")
    for run, number in ((pruned, 2), (inherited, inherited.trials[-1].number)):
        copied = tmp_path / run.path.name
        shutil.copytree(run.path, copied)
        shutil.rmtree(copied / "artifacts" / "weights")
        with pytest.raises(UserError, match=r"TRIAL \d: began with the weights of trial \d, which are no longer there"):
            nas.replay(copied, number, data=tiny_data())
    older = copy_changed(runs("timed"), tmp_path, r'"timing_updates":\d+', '"of_another":1')
    timed = max(t.number for t in runs("timed").trials if isinstance(t.job, Train))
    with pytest.raises(UserError, match=r"cannot be repeated: how many updates timed it .* is not recorded"):
        nas.replay(older, timed, data=tiny_data())
    with pytest.raises(UserError, match="--trial 99"):
        nas.replay(small_run, 99)
    assert said(capsys, "replay", "nowhere", "--runs-dir", str(tmp_path))[0] == 2


def test_what_was_refused_was_not_trained(tmp_path, monkeypatch):
    monkeypatch.setattr("nas.core.search._MOST_REFUSED", 1)
    monkeypatch.setattr("nas.session.execution.deliver_best", lambda run, best: None)
    run = nas.search(data=tiny_data(), trials=1, epochs=1, runs_dir=tmp_path, name="few", max_parameters="1")
    with pytest.raises(UserError, match=r"TRIAL 0: was not trained: .*parameters"):
        nas.replay(run, 0)


def test_updates_that_time_a_candidate_are_no_column_of_what_users_see(runs, capsys):
    run = runs("timed")
    recorded = [trial.measurements[0].timing_updates for trial in Study.read(run.path).trials()]
    assert all(updates & (updates - 1) == 0 < updates for updates in recorded[:2])  # 1, 1, 2, 4, ... in all
    assert all("timing_updates" not in trial.metrics for trial in run.trials)
    assert cli(["show", f"{run.path}", "--trial", "0"]) == 0
    assert "timing" not in capsys.readouterr().out
