"""What a user's own kind of model is promised: all that ours have, without a line."""

import os
import subprocess
import sys
from typing import ClassVar

import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

import nas
from nas.cli import run as command_line
from nas.config import RunConfig
from nas.session.start import start_run
from nas.study.study import Study
from tests.parts.interrupting import Until

TIMINGS = {"seconds", "peak_memory_mb"}


def scores(run):
    """Genotype, seed and metrics of each trial, but for what depends on the machine."""
    return [
        (trial.genotype, trial.seed, {n: v for n, v in trial.metrics.items() if n not in TIMINGS})
        for trial in run.trials
    ]


class OwnTask:
    """Subclass it, and give the options of a search: space, data, objective, train_size."""

    options: ClassVar[dict]

    @pytest.fixture
    def search(self, tmp_path):
        """Searches in an empty folder."""

        def begin(**given):
            return nas.search(**{**self.options, "runs_dir": tmp_path, "epochs": 1, **given})

        return begin

    @pytest.mark.usefixtures("no_report", "no_export")
    @pytest.mark.parametrize("strategy", ["evolution", "reinforce", "predictor"])
    def test_strategies_search_it(self, search, strategy):
        run = search(strategy=strategy, trials=5)
        assert [trial.outcome.kind for trial in run.trials] == ["complete"] * 5
        assert len({trial.genotype for trial in run.trials}) > 1
        name = run.objective.name
        assert run.best.metrics[name] == max(trial.metrics[name] for trial in run.trials)
        assert name in run.tested

    @pytest.mark.usefixtures("no_report", "no_export")
    def test_what_is_not_among_the_best_is_stopped_early(self, search):
        run = search(trials=9, epochs=4, early_stopping="asha")
        assert run.counts()["stopped"] > 0
        assert all(len(t.measurements) < 4 for t in run.trials if t.outcome.kind == "stopped")
        assert run.best.trial.outcome.kind == "complete"

    @pytest.mark.usefixtures("no_report", "no_export")
    def test_children_inherit_weights(self, search):
        run = search(trials=8, weight_sharing="inherit", set={"population": 3, "sample": 2})
        inherited = [trial.metrics["inherited"] for trial in run.trials if trial.proposal.parents]
        assert inherited
        assert max(inherited) > 0.5

    @pytest.mark.usefixtures("no_report", "no_export")
    def test_an_interrupted_search_goes_on_as_if_it_had_not_been(self, search, tmp_path):
        whole = search(trials=4, name="whole")
        given = {name: value for name, value in self.options.items() if name != "data"}
        told = {**given, "dataset": self.options["data"], "trials": 4, "epochs": 1, "runs_dir": tmp_path, "name": "cut"}
        with pytest.raises(KeyboardInterrupt):
            start_run(RunConfig.checked(told), progress=Until(2))
        assert scores(nas.resume(tmp_path / "cut")) == scores(whole)

    @pytest.mark.usefixtures("no_report", "no_export")
    def test_an_interrupted_training_goes_on_from_its_checkpoint(self, search, tmp_path, monkeypatch):
        found = search(trials=1, name="found")
        whole = nas.train(found, 3, name="whole", runs_dir=tmp_path)
        measured = Study.measured

        def mortal(study, trial, measurement):
            measured(study, trial, measurement)
            if measurement.epoch == 2:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Study, "measured", mortal)
            with pytest.raises(KeyboardInterrupt):
                nas.train(found, 3, name="cut", runs_dir=tmp_path)
        resumed = nas.resume(tmp_path / "cut")
        assert scores(resumed) == scores(whole)
        weights = [run.study.weights_path(0).read_bytes() for run in (resumed, whole)]
        assert weights[0] == weights[1]

    @pytest.mark.usefixtures("no_report", "no_export")
    def test_channels_are_removed(self, search):
        run = search(trials=1, prune=[0.5])
        whole, smaller = run.trials
        assert smaller.metrics["parameters"] < whole.metrics["parameters"]
        assert smaller.metrics["multiply_adds"] < whole.metrics["multiply_adds"]

    @pytest.mark.usefixtures("only_python")
    def test_the_best_runs_without_us_and_is_reported(self, search, tmp_path, monkeypatch, capsys):
        run = search(trials=2, name="mine")
        best = run.path / "best"
        self.check_program(run)
        card = (best / "README.md").read_text()
        assert f"| {run.objective.name.replace('_', chr(92) + '_')} |" in card
        assert f"{run.parts.data.kind}s of" in card
        assert run.best.description.split(",")[0] in (run.path / "report.html").read_text()
        monkeypatch.chdir(tmp_path)
        for arguments, word in (
            (["list", "--runs-dir", "."], "mine"),
            (["show", "mine"], run.objective.name),
            (["show", "mine", "--trial", "0"], run.objective.name),
        ):
            assert command_line(arguments) == 0
            assert word in capsys.readouterr().out

    @pytest.mark.slow
    def test_all_formats_give_what_the_model_gives(self, search):
        run = search(trials=1)
        best = run.path / "best"
        assert {"model.py", "model.onnx", "model.pt2"} <= {path.name for path in best.iterdir()}
        self.check_program(run)
        (deliverable,) = run.parts.evaluator.deliverables(run.best.genotype, run.best.model()).values()
        examples = load_file(best / "samples.safetensors")["examples"]
        examples = examples / 255 if examples.dtype == torch.uint8 else examples
        session = onnxruntime.InferenceSession(str(best / "model.onnx"), providers=["CPUExecutionProvider"])
        assert tuple(output.name for output in session.get_outputs()) == deliverable.outputs
        with torch.no_grad():
            wanted = run.best.model()(examples)
        wanted = [wanted] if isinstance(wanted, torch.Tensor) else wanted
        for one, other in zip(session.run(None, {"examples": examples.numpy()}), wanted, strict=True):
            assert torch.allclose(torch.from_numpy(one), other, atol=1e-4)

    def check_program(self, run):
        """Its exported file, in a process that cannot import this package, prints what the model gives."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        program = [sys.executable, "model.py"]
        ran = subprocess.run(program, cwd=run.path / "best", env=environment, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        (deliverable,) = run.parts.evaluator.deliverables(run.best.genotype, run.best.model()).values()
        lines = ran.stdout.splitlines()
        assert len(lines) == 16 * len(deliverable.outputs)
        assert lines[0].startswith(f"{deliverable.outputs[0]} 0: ")
