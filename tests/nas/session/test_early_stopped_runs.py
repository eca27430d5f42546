"""Early stopping in a search and in a run: who wins, what is recorded and shown, and what a resumed run decides."""

import json
from dataclasses import replace

import numpy as np
import optuna
import pytest

import nas
from evaluators.autoencoder.task import AutoencoderTask
from nas.cli import run as cli
from nas.config import RunConfig
from nas.core.errors import Diverged, OutOfMemory, UserError
from nas.core.evaluator import Evaluator
from nas.core.job import Train, TrainSupernet
from nas.core.metric import COST
from nas.core.record import InMemory
from nas.core.search import Hooks, Limits, Search
from nas.core.supernet import SupernetPlan
from nas.core.trial import Measurement, Outcome, Proposal
from nas.early_stopping import Asha
from nas.executors.inline import Inline
from nas.session.assembly import assemble
from nas.session.given import Given
from nas.strategies.optuna_samplers import GP, TPE
from nas.strategies.random import Random
from nas.testing.toys import LOSS, ToyEvaluator, ToySpace, curved
from tests.conftest import tiny_data

EPOCHS = 9


def search(record=None, rule=None, trials=14):
    space = ToySpace()
    rule = rule or Asha(LOSS, epochs=EPOCHS, seed=0, first=1)
    return Search(
        space, Random(space, seed=0, trials=trials), (LOSS,), record or InMemory(), seed=0,
        limits=Limits(trials), hooks=Hooks(early_stopping=rule),
    )  # fmt: skip


def run(machine):
    evaluator = ToyEvaluator(ToySpace(), epochs=EPOCHS, failing={0: Diverged("nan"), 3: OutOfMemory("full")})
    Inline().run(machine, evaluator, lambda trial: None)
    return [(trial.genotype.id, trial.outcome, trial.losses, trial.curve) for trial in machine.ended]


@pytest.mark.parametrize("cut", range(0, 29, 3))
def test_a_resumed_search_decides_as_one_that_was_never_interrupted(cut):
    diary = InMemory()
    whole = run(search(record=diary))
    assert run(search(record=InMemory(diary.events[:cut]))) == whole
    kinds = [outcome.kind for _, outcome, _, _ in whole]
    assert {"complete", "stopped", "diverged"} <= set(kinds)
    assert all(outcome.reason.startswith("asha: loss ") for _, outcome, _, _ in whole if outcome.kind == "stopped")


def test_the_reason_is_the_rules_whatever_the_executor_says_and_a_decision_is_final():
    machine = search()
    first, second = machine.next(), machine.next()
    assert machine.report(first, Measurement(1, {"loss": 1.0})) == "continue"
    assert machine.report(second, Measurement(1, {"loss": 2.0})) == "stop"
    assert machine.report(second, Measurement(2, {"loss": 0.0})) == "stop"  # a worker that has not heard of it yet
    ended = machine.end(second, Outcome("stopped", "as told"))
    assert ended.outcome.reason == "asha: loss 2 after epoch 1 is not the best of the 2 that came so far (1 or less)"
    assert ended.losses == (0.0,)
    assert machine.best is None
    whole = machine.end(first, Outcome("complete"))
    assert machine.best == whole  # though the stopped one had a lower loss
    own = machine.next()
    machine.report(own, Measurement(1, {"loss": 0.5}))
    assert machine.end(own, Outcome("stopped", "the executor's own")).outcome.reason == "the executor's own"


def test_supernets_are_neither_stopped_nor_compared_with():
    seen = []

    class Watching(Asha):
        def reason_to_stop(self, trial, others):
            seen.append((trial.number, [other.number for other in others]))
            return super().reason_to_stop(trial, others)

    class Alternating(Random):
        def ask(self, number):
            proposal = super().ask(number)
            job = TrainSupernet(SupernetPlan(epochs=2)) if number % 2 == 0 else Train()
            return Proposal(proposal.genotype, job=job)

    space = ToySpace()
    rule = Watching(LOSS, epochs=EPOCHS, seed=0, first=1)
    strategy = Alternating(space, seed=0, trials=6)
    hooks = Hooks(early_stopping=rule)
    machine = Search(space, strategy, (LOSS,), InMemory(), seed=0, limits=Limits(6), hooks=hooks)
    trials = [machine.next() for _ in range(4)]
    for trial, loss in zip(trials, (0.0, 3.0, 9.0, 2.0), strict=True):
        assert machine.report(trial, Measurement(1, {"loss": loss})) == "continue"
    assert seen == [(1, [3]), (3, [1])]
    machine.end(trials[0], Outcome("complete"))
    later = [machine.next(), machine.next()]
    assert machine.report(later[1], Measurement(1, {"loss": 5.0})) == "stop"
    assert seen[-1] == (5, [1, 3])


class Falling(Evaluator):
    """Curves by the trial's number, the first of which diverges; a file with the last epoch."""

    calls = 0
    metrics = AutoencoderTask.quality | COST

    def __init__(self, space, data, *, epochs, device):
        self.epochs = epochs

    def evaluate(self, trial):
        generator = np.random.default_rng(trial.number)
        end, start = generator.uniform(0.1, 1.0), generator.uniform(1, 2)
        for epoch in range(1, self.epochs + 1):
            type(self).calls += 1
            if trial.number == 0 and epoch == 2:
                raise Diverged("the loss is nan")
            mse = end * start / epoch + end
            files = {"weights.safetensors": b"weights"} if epoch == self.epochs else {}
            yield Measurement(epoch, {"mse": mse, "ssim": -mse, "parameters": 1e5 * end, "seconds": 1.0 * epoch}, files)


def searched(path, **options):
    given = {"trials": 16, "epochs": 9, "strategy": "random", "name": "x"} | options
    return nas.search(data=tiny_data(), evaluator=Falling, runs_dir=path, **given)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    return searched(tmp_path_factory.mktemp("runs"))


@pytest.mark.usefixtures("no_report")
def test_by_default_long_searches_stop_early_and_say_so_in_their_configuration(stopped, tmp_path):
    assert nas.open_run(stopped.path).config.early_stopping == "asha"
    for options, rule in (
        ({"trials": 8, "epochs": 9}, "none"),
        ({"trials": 30, "epochs": 4}, "none"),
        ({"trials": 9, "epochs": 5}, "asha"),
        ({"objective": ["parameters"]}, "none"),
        ({"objective": ["seconds"]}, "none"),
        ({"objective": ["mse", "parameters"]}, "none"),
        ({"objective": ["mse", "parameters"], "early_stopping": "median"}, "median"),
    ):
        parts = assemble(RunConfig.checked(options), Given(evaluator=Falling, data=tiny_data()))
        assert parts.early_stopping_name == rule

    class Wavering(Falling):
        unsettled = 0.5

    for evaluator, options, rungs in (
        (Falling, {"epochs": 12}, (2, 4, 8)),
        (Wavering, {"epochs": 12}, (6,)),
        (Wavering, {"epochs": 12, "early_stopping": "asha", "stop_set": {"first": 1, "reduction": 3}}, (1, 3, 9)),
    ):
        parts = assemble(RunConfig.checked(options), Given(evaluator=evaluator, data=tiny_data()))
        assert parts.early_stopping._rungs == rungs
    few = searched(tmp_path, trials=2)
    assert few.config.early_stopping == "none"
    again = nas.resume(few, trials=10, evaluator=Falling, data=tiny_data())
    assert again.counts()["stopped"] == 0  # it was begun so


def test_complete_trials_rank_ahead_and_the_best_is_one(stopped):
    ranked = stopped.ranked()
    complete = [trial for trial in ranked if trial.outcome.kind == "complete"]
    counts = stopped.counts()
    assert counts["complete"] == len(complete) > 1
    assert counts["stopped"] > 5
    assert counts["failed"] == 1
    assert ranked[: len(complete)] == complete == sorted(complete, key=lambda trial: trial.losses)
    assert stopped.best.number == complete[0].number == stopped.study.notes["recommended"]["number"]
    assert stopped.contenders() == complete
    assert stopped.front() == complete[:1]
    with pytest.raises(UserError, match="was stopped early and has no weights"):
        stopped.candidate(ranked[-1].number).model()


def test_the_study_has_them_pruned_with_their_values_and_curves(stopped):
    study = optuna.load_study(study_name="search", storage=stopped.study._storage)
    for frozen, trial in zip(study.trials, stopped.trials, strict=True):
        if trial.stopped:
            assert frozen.state == optuna.trial.TrialState.PRUNED
            assert frozen.value == trial.metrics["mse"] == frozen.intermediate_values[max(trial.curve)]
            assert frozen.intermediate_values == trial.curve
            assert frozen.user_attrs["reason"] == trial.outcome.reason
    assert study.best_trial.number == stopped.best.number


def test_what_was_saved_is_told(stopped, capsys):
    run = sum(len(trial.measurements) for trial in stopped.trials)
    assert (stopped.epochs_run, stopped.epochs_asked) == (run, 16 * 9)
    line = f"epochs: {run} of 144, {stopped.counts()['stopped']} trials stopped early"
    assert cli(["show", str(stopped.path)]) == 0
    out = capsys.readouterr().out
    assert line in out
    assert "asha: mse " in out
    assert cli(["show", str(stopped.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["epochs"] == f"{run}/144"
    report = (stopped.path / "report.html").read_text()
    assert f"Epochs: {run} of 144, {stopped.counts()['stopped']} trials stopped early by asha." in report
    assert "<h3>Learning curves</h3>" in report
    assert "stopped early by asha: mse " in report


@pytest.mark.usefixtures("no_report")
def test_a_resumed_run_decides_alike_evaluates_nothing_again_and_keeps_weights_of_complete_trials(stopped, tmp_path):
    searched(tmp_path, trials=10, keep_weights=2)
    Falling.calls = 0
    resumed = nas.resume(tmp_path / "x", trials=16, evaluator=Falling, data=tiny_data())
    assert [(t.outcome, t.curve) for t in resumed.trials] == [(t.outcome, t.curve) for t in stopped.trials]
    assert Falling.calls == sum(len(t.curve) for t in stopped.trials[10:])
    kept = [t.number for t in resumed.trials if resumed.study.weights_path(t.number).is_file()]
    assert kept == sorted(t.number for t in resumed.contenders()[:2])


@pytest.mark.usefixtures("no_report")
def test_of_several_objectives_the_first_decides_and_the_front_is_of_complete_trials(tmp_path, capsys):
    run = searched(tmp_path, objective=["ssim", "parameters"], early_stopping="asha")
    assert run.counts()["stopped"] > 5
    assert not any(trial.stopped for trial in run.front())
    assert run.best.number == run.front()[0].number
    reasons = [trial.outcome.reason for trial in run.trials if trial.stopped]
    assert all(reason.startswith("asha: ssim -") and reason.endswith(" or more)") for reason in reasons)
    frozen = [frozen for frozen in run.study._read_frozen() if frozen.state == optuna.trial.TrialState.PRUNED]
    assert all(len(one.values) == 2 for one in frozen)
    assert cli(["show", str(run.path)]) == 0
    capsys.readouterr()


class Impatient:
    """A rule of a user's own: nothing is worth a third epoch."""

    def __init__(self, objective, *, epochs, seed, most: int = 2):
        self.name, self.most = objective.name, most

    def reason_to_stop(self, trial, others):
        return f"{self.name} bores" if max(trial.curve) > self.most else None


def test_rules_are_given_by_name_or_made(tmp_path, capsys):
    for name, rule, options in (
        ("named", f"{__name__}:Impatient", {"stop_set": {"most": 2}}),
        ("made", Impatient(AutoencoderTask.quality["mse"].objective, epochs=9, seed=0), {}),
    ):
        run = searched(tmp_path, name=name, trials=3, early_stopping=rule, **options)
        assert [len(trial.curve) for trial in run.trials] == [1, 3, 3]  # the first has diverged
        assert [trial.outcome.reason for trial in run.trials[1:]] == ["mse bores"] * 2
        assert run.config.early_stopping.endswith(":Impatient")
    assert run.study.notes.get("recommended") is None
    assert run.best.number == run.ranked()[0].number  # there is no other; it has no model
    assert run.model_folder is None
    assert (run.path / "report.html").is_file()
    assert cli(["show", str(run.path)]) == 0
    assert "epochs: 7 of 27, 2 trials stopped early" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"--early-stopping .*has no reason_to_stop"):
        searched(tmp_path, name="wrong", early_stopping=object)


def test_the_catalogue_lists_and_explains_the_rules(capsys):
    assert cli(["early-stopping"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == ["asha", "hyperband", "incumbent", "median", "none", "plateau"]
    assert cli(["early-stopping", "asha"]) == 0
    out = capsys.readouterr().out
    assert "Options (--stop-set NAME=VALUE):" in out
    assert "reduction: a whole number, default 2." in out


def test_what_was_stopped_is_pruned_to_tpe_and_a_loss_to_samplers_that_overlook_pruned_trials():
    for kind, state in ((TPE, "PRUNED"), (GP, "COMPLETE")):
        strategy = kind(ToySpace(), seed=0, trials=20)
        proposal = strategy.ask(0)
        trial = replace(curved(0, [3.0, 2.0], "stopped"), proposal=proposal)
        strategy.tell(trial)
        frozen = strategy._study.get_trials()[0]
        assert (frozen.state.name, frozen.value) == (state, 2.0)
        assert frozen.intermediate_values == (trial.curve if state == "PRUNED" else {})
    several = TPE(ToySpace(), seed=0, trials=20)
    for number in range(14):
        trial = replace(curved(number, [3.0, 2.0], "stopped"), proposal=several.ask(number), losses=(2.0, 1.0))
        several.tell(trial)
    assert {frozen.state.name for frozen in several._study.get_trials()} == {"COMPLETE"}
