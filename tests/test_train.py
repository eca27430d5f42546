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

import numpy as np
import pytest
import torch
from safetensors.torch import save

import nas
import nas.checkpoint
from evaluators.feature_training import RECIPES
from evaluators.metrics.cost import PeakMemory
from nas.checkpoint import FILE, Checkpointed, Reached
from nas.cli import run as cli
from nas.config import RunConfig, read_yaml
from nas.core.errors import Collapsed, UserError
from nas.core.evaluator import CHECKPOINT
from nas.core.genotype import Genotype
from nas.core.space import generator_for, sample
from nas.core.trial import Measurement, Objective, Proposal, Trial
from nas.study import Study
from nas.testing.toys import ToySpace
from search_spaces.autoencoder.space import AutoencoderSpace
from search_spaces.gan.space import GanSpace

from .conftest import tiny_data

CPU = torch.device("cpu")
MEMORY = PeakMemory(CPU)
TIMINGS = ("seconds", "peak_memory_mb")


class Counting:
    """A training whose weight is the sum of a random number an epoch, and its checkpoint that sum."""

    epochs_trained: list[int] = []  # noqa: RUF012 - of all of them

    def __init__(self, space, data, *, epochs, device):
        self.objectives, self.epochs = {"loss": Objective("loss", "minimize")}, epochs

    def evaluate(self, trial):
        raise NotImplementedError

    def train(self, trial, checkpoint=None, *, every=1):
        done, total = json.loads(checkpoint or b"[0, 0.0]")
        for epoch in range(done + 1, self.epochs + 1):
            self.epochs_trained.append(epoch)
            total += generator_for(trial.seed, epoch).random()
            files = {"sum.json": json.dumps(total).encode()}
            if epoch == self.epochs:
                files["weights.safetensors"] = save({"total": torch.tensor(total)})
            if epoch % every == 0 or epoch == self.epochs:
                files[CHECKPOINT] = json.dumps([epoch, total]).encode()
            yield Measurement(epoch, {"loss": total}, files)


TOY = sample(ToySpace(), np.random.default_rng(0))
PARTS = {"space": ToySpace(), "data": tiny_data(count=40), "evaluator": Counting}
EPOCHS = 4


class Killed(BaseException):
    """The process is no more."""


@pytest.fixture
def quick(monkeypatch):
    """Nothing is drawn at the end."""
    monkeypatch.setattr("nas.run.Run.report", lambda self: None)


def record(run):
    """All that is known of a run's one trial."""
    (trial,) = run.trials
    study = run.study
    files = sorted(path.read_bytes() for path in (run.path / "artifacts").rglob("*") if path.is_file())
    reported = study._frozen()[0].intermediate_values
    return trial.genotype, trial.seed, trial.measurements, trial.outcome, trial.losses, reported, files


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("every", [1, 3])
def test_killed_at_any_moment_nothing_is_lost_and_nothing_doubled(tmp_path, monkeypatch, every):
    """Before and after each write of a checkpoint, each entry of the journal, and the end of the trial."""
    whole = nas.train(TOY, EPOCHS, runs_dir=tmp_path, name="whole", checkpoint_every=every, **PARTS)
    assert whole.trials[0].outcome.kind == "complete"
    assert not (whole.path / FILE).exists()
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
            patch.setattr(nas.checkpoint, "write_atomically", mortal(nas.checkpoint.write_atomically))
            for method in ("asked", "measured", "told", "_keep"):
                patch.setattr(Study, method, mortal(getattr(Study, method)))
            try:
                nas.train(TOY, EPOCHS, runs_dir=tmp_path, name=name, checkpoint_every=every, **PARTS)
            except Killed:
                pass  # as it was meant
            else:
                break
        kept = Reached.read(tmp_path / name / FILE).epoch
        Counting.epochs_trained.clear()
        resumed = nas.resume(tmp_path / name, **PARTS)
        ended_before = not Counting.epochs_trained and kept == 0
        assert ended_before or Counting.epochs_trained == list(range(kept + 1, EPOCHS + 1))
        assert record(resumed) == record(whole)
        assert not (resumed.path / FILE).exists()
        moment += 1
    writes = 4 if every == 1 else 2
    assert moment == 2 * (writes + EPOCHS + 3)


@pytest.mark.usefixtures("quick")
def test_a_training_that_comes_further_each_time_may_be_killed_as_often_as_it_likes(tmp_path, monkeypatch):
    """And one that does not has failed, as in a search."""
    measured, dying = Study.measured, {}

    def mortal(self, trial, measurement):
        measured(self, trial, measurement)
        if measurement.epoch == dying["after"]:
            raise Killed

    monkeypatch.setattr(Study, "measured", mortal)
    monkeypatch.setattr(Checkpointed, "__init__", Checkpointed.__init__)
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


@pytest.mark.usefixtures("quick")
def test_a_full_disk_is_not_the_candidates_fault(tmp_path, monkeypatch):
    def full(path, data):
        if json.loads(Reached.read(path).checkpoint or b"[0]")[0] == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, data)

    write = nas.checkpoint.write_atomically
    with monkeypatch.context() as patch:
        patch.setattr(nas.checkpoint, "write_atomically", full)
        with pytest.raises(UserError, match=r"checkpoint '.*': No space left on device; allowed"):
            nas.train(TOY, EPOCHS, runs_dir=tmp_path, name="full", **PARTS)
    assert nas.open_run(tmp_path / "full").trials[0].outcome is None
    Counting.epochs_trained.clear()
    assert nas.resume(tmp_path / "full", **PARTS).trials[0].outcome.kind == "complete"
    assert Counting.epochs_trained == [3, 4]


@pytest.mark.usefixtures("quick")
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
    options = ["--space", "nas.testing.toys:ToySpace", "--evaluator", f"{__name__}:Counting", "--train-size", "50"]
    assert cli(["train", "toy.json", "--epochs", "4", "--name", "cut", *options]) == 130
    said = capsys.readouterr().err
    assert "the architecture of toy.json: " in said
    assert "2/4 loss" in said
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


# -- what is asked for


SMALL = {"network": "fully_connected", "hidden_width": 64, "batch_size": 16, "stages": 1, "decoder": "mirrored"}


class Untrained(Counting):
    """Nothing is trained in the search."""

    def evaluate(self, trial):
        yield Measurement(1, {"loss": float(3 - trial.number)})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas.run.Run.report", lambda self: None)
        yield nas.search(
            ToySpace(), tiny_data(count=40), "random", 2, evaluator=Untrained, epochs=1, seed=5, set={},
            runs_dir=tmp_path_factory.mktemp("runs"), name="found", restrict={"depth": [1, 2]},
        )  # fmt: skip


@pytest.mark.usefixtures("quick")
def test_what_is_not_given_is_as_in_the_run(run):
    trained = nas.train(run, 3, name="best", space=ToySpace())
    assert trained.trials[0].genotype == run.best.genotype == run.trials[1].genotype
    assert trained.path.parent == run.path.parent
    config = RunConfig.checked(read_yaml(trained.path / "config.yaml"))
    assert (config.strategy, config.trials, config.epochs, config.seed) == ("train", 1, 3, 5)
    assert (config.restrict, config.evaluator) == ({}, run.config.evaluator)
    assert trained.study.notes["from"] == "found:1"
    first = nas.train(run.candidate(0), 2, seed=7, data=tiny_data(count=40), space=ToySpace())
    assert (first.trials[0].genotype, first.config.seed) == (run.trials[0].genotype, 7)
    again = nas.train(f"{run.path}:0", 2, runs_dir=run.path.parent, data=tiny_data(count=40), space=ToySpace())
    assert again.trials[0].genotype == run.trials[0].genotype
    assert "-train-" in again.path.name


def test_a_trainings_options_are_its_own(run):
    for wrong, message in (
        ({"pin": {"depth": 1}}, "option of a training 'pin': unknown"),
        ({"trials": 3}, "option of a training 'trials'"),
        ({"checkpoint_every": 0}, "--checkpoint-every 0"),
        ({"data": 3}, "data 'int'"),
    ):
        with pytest.raises(UserError, match=message):
            nas.train(run, 2, **wrong)
    with pytest.raises(UserError, match="architecture 'int'"):
        nas.train(3, 2)
    with pytest.raises(UserError, match=r"--strategy 'random'.*allowed: train"):
        nas.search(genotype=TOY.text, strategy="random", **PARTS)
    with pytest.raises(UserError, match="--genotype"):
        nas.search(genotype="{}", strategy="train", **PARTS)

    class Impatient:
        def __init__(self, space, data, *, epochs, device):
            self.objectives = {}

        def evaluate(self, trial):
            return iter(())

    with pytest.raises(UserError, match=r"--evaluator 'Impatient'.*trains in full"):
        nas.train(TOY, 2, **{**PARTS, "evaluator": Impatient})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing", "--epochs", "2"], "RUN 'nothing'"),
        (["found:9", "--epochs", "2"], "RUN 'found:9': there is no trial 9; allowed: 0 to 1"),
        (["found"], "--epochs"),
        (["found", "--epochs", "0"], "--epochs 0 is not accepted; allowed: a whole number from 1"),
        (["found", "--epochs", "2", "--pin", "depth=1"], "--pin"),
        (["text.json", "--epochs", "2"], "RUN 'text.json': is no genotype"),
        (["stranger.json", "--epochs", "2"], "is a genotype of the space 'moon', which is unknown; allowed: adv"),
        (["stranger.json", "--epochs", "2", "--space", "gan"], "a genotype of the space gan"),
        (["faulty.json", "--epochs", "2"], "latent: 17 is not one of"),
        (["good.json", "--epochs", "2", "--name", "found"], "this run exists"),
        (["good.json", "--epochs", "2", "--checkpoint-every", "0"], "--checkpoint-every 0"),
        (["good.json", "--epochs", "2", "--objective", "fid"], "--objective 'fid'"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(arguments, message, run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    good = AutoencoderSpace().grow(lambda choice: choice.usual or choice.values[0])
    texts = {
        "text.json": "moon",
        "stranger.json": Genotype.of("moon", 1, {}).text,
        "faulty.json": Genotype.of("autoencoder", good.version, {**good.content, "latent": 17}).text,
        "good.json": good.text,
    }
    for name, text in texts.items():
        Path(name).write_text(text)
    before = sorted(run.path.parent.iterdir())
    assert cli(["train", *arguments, "--runs-dir", str(run.path.parent)]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1, captured.err
    assert message in captured.err
    assert sorted(run.path.parent.iterdir()) == before


@pytest.mark.usefixtures("quick")
def test_a_training_has_one_trial_and_a_damaged_checkpoint_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(Counting, "train", stopped_after(2))
    with pytest.raises(KeyboardInterrupt):
        nas.train(TOY, EPOCHS, runs_dir=tmp_path, name="cut", **PARTS)
    monkeypatch.undo()
    with pytest.raises(UserError, match=r"--trials 2: cut is a training, of one trial"):
        nas.resume(tmp_path / "cut", trials=2, **PARTS)
    file = tmp_path / "cut" / FILE
    whole = file.read_bytes()
    file.write_bytes(whole[:-30])
    with pytest.raises(UserError, match=r"is damaged.*without it the training begins again"):
        nas.resume(tmp_path / "cut", **PARTS)
    file.write_bytes(whole)
    assert nas.resume(tmp_path / "cut", **PARTS).trials[0].outcome.kind == "complete"


def stopped_after(epoch):
    train = Counting.train

    def stopped(self, trial, checkpoint=None, *, every=1):
        for measurement in train(self, trial, checkpoint, every=every):
            yield measurement
            if measurement.epoch == epoch:
                raise KeyboardInterrupt

    return stopped


# -- whole


TINY_GAN = {
    "generator": "convolutional", "discriminator": "convolutional", "generator_width": 16, "discriminator_width": 16,
    "generator_stages": 1, "discriminator_stages": 1, "loss": "hinge", "condition": "projection", "latent": 16,
}  # fmt: skip


def quick_gans():
    """An extractor that is trained for a moment; and a moment's training, which is all but collapsed, counts."""
    import evaluators.snapshots

    RECIPES["classifier"] = replace(RECIPES["classifier"], images=1_000)
    evaluators.snapshots.collapse = lambda *found: None


def dawdling():
    """In the process to be killed: from the second epoch on there is time to do it."""
    quick_gans()
    write = Reached.write

    def slowly(self, path):
        write(self, path)
        time.sleep(self.epoch >= 2)

    Reached.write = slowly


def usual(space, **decisions):
    return space.grow(lambda choice: decisions.get(choice.site, choice.usual or choice.values[0]))


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("kind", ["gan", "autoencoder"])
def test_killed_in_the_middle_of_a_training_it_goes_on_to_the_same_model(kind, tmp_path, monkeypatch):
    genotype = usual(GanSpace(), **TINY_GAN) if kind == "gan" else usual(AutoencoderSpace(), **SMALL)
    (tmp_path / "it.json").write_text(genotype.text)
    monkeypatch.setattr("evaluators.snapshots.collapse", None)
    monkeypatch.setitem(RECIPES, "classifier", RECIPES["classifier"])
    quick_gans()
    options = {"data": "digits", "train_size": 320, "runs_dir": tmp_path}
    monkeypatch.setattr("nas.run.Run.export", lambda self, best: None)  # which takes longer than all the rest
    whole = nas.train(genotype, 6, name="whole", **options)

    program = "from tests.test_train import dawdling; dawdling(); from nas.cli import main; main()"
    arguments = ["train", "it.json", "--epochs", "6", "--name", "killed", "--train-size", "320", "--runs-dir", "."]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent.parent)}
    killed = tmp_path / "killed"
    running = subprocess.Popen([sys.executable, "-c", program, *arguments], cwd=tmp_path, env=environment,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
    deadline = time.monotonic() + 120
    while not (killed / FILE).is_file() or Reached.read(killed / FILE).epoch < 2:
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    reached = Reached.read(killed / FILE)
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
    assert not (killed / FILE).exists()


def test_the_trial_of_a_run_is_trained_as_it_was_evaluated_but_for_its_seed(tiny):
    """The evaluator's `train` and `evaluate` are one loop; see nas.testing.evaluators for the laws."""
    from evaluators.autoencoder import AutoencoderEvaluator

    evaluator = AutoencoderEvaluator(AutoencoderSpace(), tiny, epochs=2)
    trial = Trial(0, Proposal(usual(AutoencoderSpace(), **SMALL)), 3)
    trained, evaluated = list(evaluator.train(trial)), list(evaluator.evaluate(trial))
    assert trained[-1].artifacts["weights.safetensors"] == evaluated[-1].artifacts["weights.safetensors"]
    assert CHECKPOINT not in evaluated[-1].artifacts


@pytest.mark.usefixtures("quick")
def test_a_training_that_fails_says_why(tmp_path, monkeypatch, capsys):
    def collapsing(self, trial, checkpoint=None, *, every=1):
        yield from train(self, trial, checkpoint, every=every)
        raise Collapsed("modes is 2 of 10, under 5")

    train = Counting.train
    monkeypatch.setattr(Counting, "train", collapsing)
    monkeypatch.chdir(tmp_path)
    Path("toy.json").write_text(TOY.text)
    options = ["--space", "nas.testing.toys:ToySpace", "--evaluator", f"{__name__}:Counting", "--train-size", "50"]
    assert cli(["train", "toy.json", "--epochs", "2", "--name", "bad", "-q", *options]) == 3
    assert capsys.readouterr().err == "nas: the training failed: modes is 2 of 10, under 5\n"
    trial = nas.open_run("runs/bad").trials[0]
    assert (trial.outcome.kind, len(trial.measurements)) == ("collapsed", 2)
    assert not Path("runs/bad", FILE).exists()
