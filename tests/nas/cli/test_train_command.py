"""What `nas train` is asked for: what it takes from the run, and what it refuses."""

from pathlib import Path

import pytest

import nas
import nas.session.checkpoint
from evaluators.autoencoder.task import AutoencoderTask
from nas.config import RunConfig, read_yaml
from nas.core.errors import UserError
from nas.core.evaluator import Evaluator
from nas.core.genotype import Genotype
from nas.core.trial import Measurement
from nas.session.checkpoint import CHECKPOINT_FILE
from nas.testing.toys import ToySpace
from search_spaces.autoencoder.space import AutoencoderSpace
from tests.conftest import draw_no_report, tiny_data
from tests.parts.command_line import refused
from tests.parts.toy_trainings import EPOCHS, PARTS, TOY, Counting, stopped_after


class Untrained(Counting):
    """Nothing is trained in the search."""

    def evaluate(self, trial):
        yield Measurement(1, {"loss": float(3 - trial.number)})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        draw_no_report(patch)
        yield nas.search(
            ToySpace(), tiny_data(count=40), "random", 2, evaluator=Untrained, epochs=1, seed=5, set={},
            runs_dir=tmp_path_factory.mktemp("runs"), name="found", restrict={"depth": [1, 2]},
        )  # fmt: skip


@pytest.mark.usefixtures("no_report")
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

    class Impatient(Evaluator):
        metrics = AutoencoderTask.quality

        def __init__(self, space, data, *, epochs, device):
            self.space = space

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
    good = AutoencoderSpace().conditioned(None).grow(lambda choice: choice.usual or choice.values[0])
    texts = {
        "text.json": "moon",
        "stranger.json": Genotype.of("moon", 1, {}).text,
        "faulty.json": Genotype.of("autoencoder", good.version, {**good.content, "latent": 17}).text,
        "good.json": good.text,
    }
    for name, text in texts.items():
        Path(name).write_text(text)
    before = sorted(run.path.parent.iterdir())
    assert message in refused(capsys, "train", *arguments, "--runs-dir", str(run.path.parent))
    assert sorted(run.path.parent.iterdir()) == before


@pytest.mark.usefixtures("no_report")
def test_a_training_has_one_trial_and_a_damaged_checkpoint_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(Counting, "train", stopped_after(2))
    with pytest.raises(KeyboardInterrupt):
        nas.train(TOY, EPOCHS, runs_dir=tmp_path, name="cut", **PARTS)
    monkeypatch.undo()
    with pytest.raises(UserError, match=r"--trials 2: cut is a training, of one trial"):
        nas.resume(tmp_path / "cut", trials=2, **PARTS)
    file = tmp_path / "cut" / CHECKPOINT_FILE
    whole = file.read_bytes()
    file.write_bytes(whole[:-30])
    with pytest.raises(UserError, match=r"is damaged.*without it the training begins again"):
        nas.resume(tmp_path / "cut", **PARTS)
    file.write_bytes(whole)
    assert nas.resume(tmp_path / "cut", **PARTS).trials[0].outcome.kind == "complete"
