"""One architecture is trained in full; whatever interrupts it, it goes on to the same numbers."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import nas
import nas.session.checkpoint
from evaluators.features.training import RECIPES
from evaluators.metrics.cost import PeakMemory
from nas.cli import run as cli
from nas.core.errors import Collapsed, UserError
from nas.core.evaluator import CHECKPOINT
from nas.core.trial import Proposal, Trial
from nas.session.checkpoint import CHECKPOINT_FILE, CheckpointingEvaluator, TrainingProgress
from nas.study.study import Study
from search_spaces.autoencoder.space import AutoencoderSpace
from search_spaces.gan.space import GanSpace
from tests.conftest import SMALL
from tests.parts.toy_trainings import COMMAND, EPOCHS, PARTS, TOY, Counting, Killed

CPU = torch.device("cpu")
MEMORY = PeakMemory(CPU)
TIMINGS = ("seconds", "peak_memory_mb")


def record(run):
    """All that is known of a run's one trial."""
    (trial,) = run.trials
    study = run.study
    files = sorted(path.read_bytes() for path in (run.path / "artifacts").rglob("*") if path.is_file())
    reported = study._read_frozen()[0].intermediate_values
    return trial.genotype, trial.seed, trial.measurements, trial.outcome, trial.losses, reported, files


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize("every", [1, 3])
def test_killed_at_any_moment_nothing_is_lost_and_nothing_doubled(tmp_path, monkeypatch, every):
    """Before and after each write of a checkpoint, each entry of the journal, and the end of the trial."""
    whole = nas.train(TOY, EPOCHS, runs_dir=tmp_path, name="whole", checkpoint_every=every, **PARTS)
    assert whole.trials[0].outcome.kind == "complete"
    assert not (whole.path / CHECKPOINT_FILE).exists()
    moment = 0
    while True:
        events = iter(range(1000))

        def mortal(function, events=events, moment=moment):
            def call(*args):
                if next(events) == moment:
                    raise Killed
                function(*args)
                if next(events) == moment:
                    raise Killed

            return call

        name = f"killed{moment}"
        with monkeypatch.context() as patch:
            patch.setattr(nas.session.checkpoint, "write_atomically", mortal(nas.session.checkpoint.write_atomically))
            for method in ("record_ask", "record_measurement", "record_tell", "_keep_artifacts"):
                patch.setattr(Study, method, mortal(getattr(Study, method)))
            try:
                nas.train(TOY, EPOCHS, runs_dir=tmp_path, name=name, checkpoint_every=every, **PARTS)
            except Killed:
                pass  # as it was meant
            else:
                break
        kept = TrainingProgress.read(tmp_path / name / CHECKPOINT_FILE).epoch
        Counting.epochs_trained.clear()
        resumed = nas.resume(tmp_path / name, **PARTS)
        ended_before = not Counting.epochs_trained and kept == 0
        assert ended_before or Counting.epochs_trained == list(range(kept + 1, EPOCHS + 1))
        assert record(resumed) == record(whole)
        assert not (resumed.path / CHECKPOINT_FILE).exists()
        moment += 1
    writes = 4 if every == 1 else 2
    assert moment == 2 * (writes + EPOCHS + 3)


@pytest.mark.usefixtures("no_report")
def test_a_training_that_comes_further_each_time_may_be_killed_as_often_as_it_likes(tmp_path, monkeypatch):
    """And one that does not has failed, as in a search."""
    measured, dying = Study.record_measurement, {}

    def mortal(self, trial, measurement):
        measured(self, trial, measurement)
        if measurement.epoch == dying["after"]:
            raise Killed

    monkeypatch.setattr(Study, "record_measurement", mortal)
    monkeypatch.setattr(CheckpointingEvaluator, "__init__", CheckpointingEvaluator.__init__)
    for name, moments in (("further", [1, 2, 3, 4, 5, 6]), ("stuck", [1, 2, 2, 2, 2])):
        dying["after"] = moments[0]
        with pytest.raises(Killed):
            nas.train(TOY, 7, runs_dir=tmp_path, name=name, checkpoint_every=1 if name == "further" else 7, **PARTS)
        for dying["after"] in moments[1:]:
            try:
                nas.resume(tmp_path / name, **PARTS)
            except Killed:
                continue
    dying["after"] = None
    assert nas.resume(tmp_path / "further", **PARTS).trials[0].outcome.kind == "complete"
    stuck = nas.resume(tmp_path / "stuck", **PARTS).trials[0].outcome
    assert (stuck.kind, stuck.reason) == ("failed", "the process was killed 3 times while it was evaluated")


@pytest.mark.usefixtures("no_report")
def test_a_full_disk_is_not_the_candidates_fault(tmp_path, monkeypatch):
    def full(path, data):
        if json.loads(TrainingProgress.read(path).checkpoint or b"[0]")[0] == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, data)

    write = nas.session.checkpoint.write_atomically
    with monkeypatch.context() as patch:
        patch.setattr(nas.session.checkpoint, "write_atomically", full)
        with pytest.raises(UserError, match=r"checkpoint '.*': No space left on device; allowed"):
            nas.train(TOY, EPOCHS, runs_dir=tmp_path, name="full", **PARTS)
    assert nas.open_run(tmp_path / "full").trials[0].outcome is None
    Counting.epochs_trained.clear()
    assert nas.resume(tmp_path / "full", **PARTS).trials[0].outcome.kind == "complete"
    assert Counting.epochs_trained == [3, 4]


@pytest.mark.usefixtures("no_report")
def test_what_was_interrupted_says_how_to_go_on_and_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("toy.json").write_text(TOY.text)
    train = Counting.train

    def interrupted(self, trial, checkpoint=None, *, every=1):
        for measurement in train(self, trial, checkpoint, every=every):
            yield measurement
            if impatient and measurement.epoch == 2:
                raise KeyboardInterrupt

    impatient = [True]
    monkeypatch.setattr(Counting, "train", interrupted)
    assert cli(["train", "toy.json", "--epochs", "4", "--name", "cut", *COMMAND]) == 130
    said = capsys.readouterr().err
    assert "the architecture of toy.json: " in said
    assert "1/4 loss" in said
    assert "kept as it was after epoch 2 of 4. Go on with: nas resume runs/cut" in said
    impatient.clear()
    assert cli(["list"]) == 0
    assert "interrupted" in capsys.readouterr().out
    assert cli(["resume", "cut"]) == 0
    said = capsys.readouterr().err
    assert "it goes on after epoch 2" in said
    assert "1/4" not in said
    assert "4/4 loss" in said
    assert cli(["show", "cut", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["strategy"], shown["trials"][0]["origin"], len(shown["trials"][0]["epochs"])) == ("train", "given", 4)
    assert cli(["search", "--config", "runs/cut/config.yaml", "--name", "repeated", "-q"]) == 0
    assert nas.open_run("runs/repeated").trials[0].metrics == nas.open_run("runs/cut").trials[0].metrics


TINY_GAN = {
    "generator": "convolutional", "discriminator": "convolutional", "generator_width": 16, "discriminator_width": 16,
    "generator_stages": 1, "discriminator_stages": 1, "loss": "hinge", "condition": "projection", "latent": 16,
}  # fmt: skip


def quick_gans():
    """An extractor that is trained for a moment; and a moment's training, which is all but collapsed, counts."""
    import evaluators.adversarial.snapshots

    RECIPES["classifier"] = replace(RECIPES["classifier"], images=1_000)
    evaluators.adversarial.snapshots.find_collapse = lambda *found: None


def dawdling():
    """In the process to be killed: from the second epoch on there is time to do it."""
    quick_gans()
    write = TrainingProgress.write

    def slowly(self, path):
        write(self, path)
        time.sleep(self.epoch >= 2)

    TrainingProgress.write = slowly


def usual(space, **decisions):
    return space.grow(lambda choice: decisions.get(choice.site, choice.usual or choice.values[0]))


@pytest.mark.slow
@pytest.mark.usefixtures("no_report", "no_export")
@pytest.mark.parametrize("kind", ["gan", "autoencoder"])
def test_killed_in_the_middle_of_a_training_it_goes_on_to_the_same_model(kind, tmp_path, monkeypatch):
    genotype = usual(GanSpace(), **TINY_GAN) if kind == "gan" else usual(AutoencoderSpace().conditioned(None), **SMALL)
    (tmp_path / "it.json").write_text(genotype.text)
    monkeypatch.setattr("evaluators.adversarial.snapshots.find_collapse", None)
    monkeypatch.setitem(RECIPES, "classifier", RECIPES["classifier"])
    quick_gans()
    options = {"data": "digits", "train_size": 320, "runs_dir": tmp_path}
    whole = nas.train(genotype, 6, name="whole", **options)

    program = "from tests.nas.session.test_train import dawdling; dawdling(); from nas.cli import main; main()"
    arguments = ["train", "it.json", "--epochs", "6", "--name", "killed", "--train-size", "320", "--runs-dir", "."]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])}
    killed = tmp_path / "killed"
    running = subprocess.Popen([sys.executable, "-c", program, *arguments], cwd=tmp_path, env=environment,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
    deadline = time.monotonic() + 120
    while not (killed / CHECKPOINT_FILE).is_file() or TrainingProgress.read(killed / CHECKPOINT_FILE).epoch < 2:
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    reached = TrainingProgress.read(killed / CHECKPOINT_FILE)
    assert 2 <= reached.epoch < 6

    resumed = nas.resume(killed)
    (one,), (other,) = resumed.trials, whole.trials
    assert one.seed == other.seed
    assert [m.metrics["seconds"] for m in one.measurements[: reached.epoch]] == [
        m.metrics["seconds"] for m in reached.measurements
    ]  # what was measured was not measured again
    for first, second in zip(one.measurements, other.measurements, strict=True):
        assert first.epoch == second.epoch
        assert {n: v for n, v in first.metrics.items() if n not in TIMINGS} == {
            n: v for n, v in second.metrics.items() if n not in TIMINGS
        }
    assert resumed.study.weights_path(0).read_bytes() == whole.study.weights_path(0).read_bytes()
    files = [
        sorted(path.read_bytes() for path in (run.path / "artifacts").iterdir() if path.is_file())
        for run in (resumed, whole)
    ]
    assert files[0] == files[1]
    assert resumed.tested == whole.tested
    assert resumed.finished
    assert not (killed / CHECKPOINT_FILE).exists()


def test_the_trial_of_a_run_is_trained_as_it_was_evaluated_but_for_its_seed(tiny):
    """The evaluator's `train` and `evaluate` are one loop; see nas.testing.evaluators for the laws."""
    from evaluators.autoencoder.task import AutoencoderTask

    evaluator = AutoencoderTask.make_evaluator(AutoencoderSpace().conditioned(None), tiny, epochs=2)
    trial = Trial(0, Proposal(usual(AutoencoderSpace().conditioned(None), **SMALL)), 3)
    trained, evaluated = list(evaluator.train(trial)), list(evaluator.evaluate(trial))
    assert trained[-1].artifacts["weights.safetensors"] == evaluated[-1].artifacts["weights.safetensors"]
    assert CHECKPOINT not in evaluated[-1].artifacts


@pytest.mark.usefixtures("no_report")
def test_a_training_that_fails_says_why(tmp_path, monkeypatch, capsys):
    def collapsing(self, trial, checkpoint=None, *, every=1):
        yield from train(self, trial, checkpoint, every=every)
        raise Collapsed("modes is 2 of 10, under 5")

    train = Counting.train
    monkeypatch.setattr(Counting, "train", collapsing)
    monkeypatch.chdir(tmp_path)
    Path("toy.json").write_text(TOY.text)
    assert cli(["train", "toy.json", "--epochs", "2", "--name", "bad", "-q", *COMMAND]) == 3
    assert capsys.readouterr().err == "nas: the training failed: modes is 2 of 10, under 5\n"
    trial = nas.open_run("runs/bad").trials[0]
    assert (trial.outcome.kind, len(trial.measurements)) == ("collapsed", 2)
    assert not Path("runs/bad", CHECKPOINT_FILE).exists()
