"""The strategy darts, and runs in which supernets are trained."""

import json
from dataclasses import replace

import optuna
import pytest
from click.testing import CliRunner
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

import nas
from evaluators.metrics.cost import count_parameters
from evaluators.training_evaluator import TrainingEvaluator
from nas.cli import cli
from nas.core.errors import Diverged, ReplayMismatch, UserError
from nas.core.evaluator import Evaluator
from nas.core.job import TrainSupernet
from nas.core.record import InMemory
from nas.core.search import Limits, Search
from nas.core.supernet import probabilities
from nas.core.trial import Measurement, Trial
from nas.report.facts import Facts
from nas.report.supernets import list_supernets
from nas.strategies.darts import Darts
from nas.testing.toys import LOSS, RelaxableToySpace, ToyEvaluator, ToySpace, ended, toy_loss, toy_supernet
from tests.conftest import export_only_python, tiny_data


def run(strategy, trials, failing=()):
    history = []
    for number in range(trials):
        proposal = strategy.ask(number)
        if proposal is None:
            break
        trial = ended(Trial(number, proposal, number), None if number in failing else toy_loss(proposal.genotype))
        strategy.tell(trial)
        history.append(trial)
    return history


def darts(trials=20, seed=0, **options):
    return Darts(RelaxableToySpace(), seed=seed, trials=trials, **options)


def supernets(history):
    return [trial.number for trial in history if isinstance(trial.job, TrainSupernet)]


def test_first_the_supernet_then_what_it_stands_for_then_what_it_stood_for_then_draws():
    history = run(darts(supernet_epochs=4), 20)
    assert supernets(history) == [0]
    assert all(trial.proposal.parents == (0,) for trial in history[1:])
    found = history[0].measurements
    assert history[1].genotype == found[-1].derived[0]
    assert history[1].proposal.origin == "derived after epoch 4"
    origins = [trial.proposal.origin for trial in history[1:]]
    epochs = [int(origin.split()[-1]) for origin in origins if origin.startswith("derived")]
    assert epochs == sorted(epochs, reverse=True)
    assert all(origin == "drawn from the alphas" for origin in origins[len(epochs) :])
    assert len(epochs) < len(origins)


def test_while_the_supernet_trains_it_waits():
    strategy = darts()
    supernet = Trial(0, strategy.ask(0), 0)
    assert [strategy.ask(1) for _ in range(3)] == [None] * 3
    strategy.tell(ended(supernet, 0.0))
    assert strategy.ask(1) is not None


def test_the_plan_holds_the_options():
    options = {"supernet_epochs": 9, "order": 2, "relaxation": "gumbel", "partial_channels": 4, "max_skips": None,
               "edge_normalisation": True, "warm_up": 1, "learning_rate": 0.01, "weight_decay": 0.0}  # fmt: skip
    plan = darts(**options).ask(0).job.plan
    assert (plan.epochs, plan.samples, plan.betas) == (9, 20, (0.5, 0.999))
    assert all(getattr(plan, name) == value for name, value in options.items() if name != "supernet_epochs")
    left = darts().ask(0).job.plan
    assert (left.epochs, left.relaxation, left.warm_up) == (None, None, None)  # the evaluator's own
    assert darts(supernet_epochs=20).ask(0).job.plan.completed(9, "softmax").schedule == (20, 6)


def test_a_supernet_that_fails_is_followed_by_one_around_another_base():
    history = run(darts(), 20, failing=(0, 1))
    assert supernets(history) == [0, 1, 2]
    assert len({trial.genotype for trial in history[:3]}) == 3
    assert history[3].proposal.parents == (2,)
    assert len(history) == 20
    assert len(run(darts(), 20, failing=range(20))) == 5  # and the search ends


def test_several_supernets_share_the_trials():
    history = run(darts(trials=21, supernets=3), 21)
    assert supernets(history) == [0, 7, 14]
    assert len({history[number].genotype for number in supernets(history)}) == 1  # other weights, other data
    assert history[8].proposal.parents == (7,)
    candidates = [trial.genotype for trial in history if not isinstance(trial.job, TrainSupernet)]
    assert len(set(candidates)) == len(candidates) == 18


def test_more_trials_than_candidates_train_another_supernet():
    history = run(darts(trials=3), 40)
    assert len(history) == 40
    assert len(supernets(history)) > 1


@pytest.mark.parametrize("options", [
    {"trials": 1}, {"supernet_epochs": 0}, {"warm_up": 20, "supernet_epochs": 20}, {"max_skips": -1}, {"supernets": 0},
    {"supernets": 11}, {"learning_rate": 0.0}, {"learning_rate": float("nan")}, {"weight_decay": -1.0},
])  # fmt: skip
def test_impossible_options_are_refused(options):
    with pytest.raises(UserError, match=r"--set|--trials"):
        darts(**options)


def test_spaces_without_a_supernet_are_refused_with_what_fits():
    with pytest.raises(UserError, match=r"toy has none; allowed: spaces that have a supernet"):
        Darts(ToySpace(), seed=0, trials=10)
    fixed = RelaxableToySpace().restrict({f"letter{i}": ("a",) for i in range(8)})
    with pytest.raises(UserError, match="no letter is free"):
        Darts(fixed, seed=0, trials=10)


# -- the loop


class SupernetToys(ToyEvaluator):
    def evaluate(self, trial):
        if not isinstance(trial.job, TrainSupernet):
            yield from super().evaluate(trial)
        else:
            yield from self.train_supernet(trial)

    def train_supernet(self, trial):
        yield from toy_supernet(trial, RelaxableToySpace())


def test_a_supernet_is_no_candidate_however_good_its_metrics():
    from nas.executors.inline import Inline

    class Splendid(SupernetToys):
        def train_supernet(self, trial):
            for measurement in super().train_supernet(trial):
                yield Measurement(measurement.epoch, {"loss": -100.0}, derived=measurement.derived)

    space = RelaxableToySpace()
    search = Search(space, Darts(space, seed=0, trials=6), (LOSS,), InMemory(), seed=0, limits=Limits(6))
    Inline().run(search, Splendid(space), lambda trial: None)
    first = search.ended[0]
    assert (first.outcome.kind, first.outcome.failed, first.outcome.scored) == ("supernet", False, False)
    assert first.losses == (float("inf"),)
    assert search.failures == 0
    assert search.best.number > 0


# -- runs

SMALL = {
    "family": "plain", "network": "convolutional", "stages": 1, "width": 8, "batch_size": 16, "latent": 8,
    "encoder_cell.nodes": 2,
}  # fmt: skip
FEW = {
    "*_cell.*.operation0": ["skip", "conv_3x3", "max_pool_3x3"],
    "*_cell.*.operation1": ["none", "skip", "conv_3x3", "max_pool_3x3"],
}
OPTIONS = {"strategy": "darts", "pin": SMALL, "restrict": FEW, "epochs": 1}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        export_only_python(patch)
        return nas.search(data=tiny_data(), trials=4, set={"supernet_epochs": 3}, name="a",
                          runs_dir=tmp_path_factory.mktemp("runs"), **OPTIONS)  # fmt: skip


def test_a_run_trains_the_supernet_and_exports_what_is_derived(finished):
    kinds = [trial.outcome.kind for trial in finished.trials]
    assert kinds == ["supernet", "complete", "complete", "complete"]
    assert finished.counts() == {"complete": 3, "stopped": 0, "failed": 0, "supernets": 1}
    assert sorted(trial.number for trial in finished.ranked()) == [1, 2, 3]
    assert finished.finished
    assert finished.trials[1].genotype == finished.trials[0].measurements[-1].derived[0]
    best = finished.best
    assert best.number > 0
    assert not finished.study.weights_path(0).exists()
    model = best.model()
    assert count_parameters(model) == count_parameters(finished.space.build(best.genotype, (1, 8, 8)))
    text = (finished.model_folder / "model.py").read_text()
    assert "Mixed" not in text
    assert "Architecture" not in text
    with pytest.raises(UserError, match="has no weights"):
        finished.candidate(0).model()


def test_optuna_sees_a_pruned_trial_with_its_epochs_and_never_its_best(finished):
    storage = JournalStorage(JournalFileBackend(str(finished.path / "study.journal")))
    study = optuna.load_study(study_name="search", storage=storage)
    first = study.trials[0]
    assert first.state == TrialState.PRUNED
    assert list(first.intermediate_values) == [1, 2, 3]
    assert first.user_attrs["supernet"]["epochs"] == 3
    assert study.best_trial.number == finished.best.number
    names = {meta.filename for meta in optuna.artifacts.get_all_artifact_meta(first, storage=storage)}
    assert "alphas.json" in names


def test_show_and_the_report_name_the_supernet(finished):
    runs_dir = str(finished.path.parent)
    shown = CliRunner().invoke(cli, ["show", "a", "--runs-dir", runs_dir], catch_exceptions=False).output
    assert "supernet" in shown
    one = CliRunner().invoke(cli, ["show", "a", "--trial", "0", "--runs-dir", runs_dir], catch_exceptions=False).output
    assert "supernet around plain convolutional" in one
    assert "derived " in one
    out = (
        CliRunner()
        .invoke(cli, ["show", "a", "--trial", "0", "--json", "--runs-dir", runs_dir], catch_exceptions=False)
        .output
    )
    document = json.loads(out)
    assert document["outcome"] == "supernet"
    assert len(document["derived"]) == 3
    page = (finished.path / "report.html").read_text()
    assert "<h2>Supernets</h2>" in page
    assert "1 supernet trained" in page
    assert page.count('<svg class="chart course"') == 3  # the edges of a cell of two nodes


def test_the_report_draws_the_alphas_as_they_were_after_every_epoch(finished):
    (told,) = list_supernets(Facts(finished))
    history = json.loads(finished.study.read_file(0, "alphas.json"))
    assert {course.name for course in told.courses} == {f"encoder cell, {ends}" for ends in ("0 → 1", "0 → 2", "1 → 2")}
    assert [course.change for course in told.courses] == sorted((c.change for c in told.courses), reverse=True)
    for course in told.courses:
        key = course.name.replace("encoder cell, ", "encoder_cell.").replace(" → ", "-")
        assert list(course.places) == [1, 2, 3]
        for step, row in enumerate(history):
            weights = probabilities(row["alphas"][key])
            assert {option: shares[step] for option, shares in course.shares.items()} == pytest.approx(weights)


def test_whether_what_is_derived_has_changed_is_told_only_where_it_is_known_of_several_epochs(finished):
    facts = Facts(finished)
    (told,) = list_supernets(facts)
    assert told.changes is not None
    measured = facts.trials[0].measurements
    bare = [replace(one, derived=()) for one in measured]
    facts.trials = [replace(facts.trials[0], measurements=(*bare[:-1], measured[-1]))]
    (told,) = list_supernets(facts)
    assert told.changes is None
    assert told.derived
    facts.trials = [replace(facts.trials[0], measurements=tuple(bare))]
    assert list_supernets(facts)[0].derived == ""


def genotypes(run):
    return [(trial.genotype.id, trial.proposal.origin) for trial in run.trials]


@pytest.mark.usefixtures("no_export", "no_report")
def test_a_run_killed_after_its_supernet_goes_on_as_if_nothing_had_happened(finished, tmp_path, monkeypatch):

    evaluate = TrainingEvaluator.evaluate

    def killed(self, trial):
        if trial.number == 1:
            raise KeyboardInterrupt
        return evaluate(self, trial)

    monkeypatch.setattr(TrainingEvaluator, "evaluate", killed)
    with pytest.raises(KeyboardInterrupt):
        nas.search(data=tiny_data(), trials=4, set={"supernet_epochs": 3}, runs_dir=tmp_path, name="a", **OPTIONS)

    def without_supernet(self, trial):
        assert not isinstance(trial.job, TrainSupernet), "the supernet is trained again"
        return evaluate(self, trial)

    monkeypatch.setattr(TrainingEvaluator, "evaluate", without_supernet)
    resumed = nas.resume(tmp_path / "a", data=tiny_data())
    assert genotypes(resumed) == genotypes(finished)
    assert [t.metrics["mse"] for t in resumed.trials] == [t.metrics["mse"] for t in finished.trials]
    assert [m.derived for m in resumed.trials[0].measurements] == [m.derived for m in finished.trials[0].measurements]
    assert resumed.trials[0].proposal == finished.trials[0].proposal


@pytest.mark.usefixtures("no_export", "no_report")
def test_a_run_killed_while_its_supernet_trains_trains_it_again(finished, tmp_path, monkeypatch):
    from evaluators.supernets.darts import SupernetTraining

    epoch = SupernetTraining.epoch
    calls = []

    def killed(self, memory):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return epoch(self, memory)

    monkeypatch.setattr(SupernetTraining, "epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        nas.search(data=tiny_data(), trials=4, set={"supernet_epochs": 3}, runs_dir=tmp_path, name="a", **OPTIONS)
    assert genotypes(nas.resume(tmp_path / "a", data=tiny_data())) == genotypes(finished)


def test_a_supernet_of_other_options_is_not_resumed():
    from nas.executors.inline import Inline

    space = RelaxableToySpace()

    def search(record, **options):
        strategy = Darts(space, seed=0, trials=4, **options)
        return Search(space, strategy, (LOSS,), record, seed=0, limits=Limits(4))

    diary = InMemory()
    Inline().run(search(diary), SupernetToys(space), lambda trial: None)
    assert len(search(InMemory(diary.events)).ended) == 4
    with pytest.raises(ReplayMismatch):
        search(InMemory(diary.events), order=2)


@pytest.mark.usefixtures("no_export", "no_report")
def test_a_supernet_that_diverges_is_a_failure_and_the_next_base_is_tried(tmp_path, monkeypatch):
    from evaluators.supernets.darts import SupernetTraining

    epoch, calls = SupernetTraining.epoch, []

    def diverging(self, memory):
        calls.append(1)
        if len(calls) == 2:
            raise Diverged("the supernet's losses are nan")
        return epoch(self, memory)

    monkeypatch.setattr(SupernetTraining, "epoch", diverging)
    run = nas.search(data=tiny_data(), trials=4, set={"supernet_epochs": 2}, runs_dir=tmp_path, **OPTIONS)
    assert [trial.outcome.kind for trial in run.trials][:3] == ["diverged", "supernet", "complete"]
    assert run.counts() == {"complete": 2, "stopped": 0, "failed": 1, "supernets": 1}


class NoSupernets(Evaluator):
    """An evaluator of one's own."""

    metrics = ToyEvaluator.metrics

    def __init__(self, space, data, *, epochs, device):
        self.space = space

    def evaluate(self, trial):
        yield Measurement(1, {"loss": 0.0})


def test_evaluators_and_spaces_that_cannot_are_refused_before_anything_is_written(tmp_path):
    options = {"data": tiny_data(), "trials": 4, "runs_dir": tmp_path, "strategy": "darts"}
    with pytest.raises(UserError, match=r"NoSupernets.*supernets"):
        nas.search(evaluator=NoSupernets, **options)
    with pytest.raises(UserError, match="fully_connected"):
        nas.search(pin={"network": "fully_connected"}, **options)
    with pytest.raises(UserError, match=r"order.*1, 2"):
        nas.search(set={"order": 3}, **options)
    assert list(tmp_path.iterdir()) == []


def test_options_of_numbers_are_taken_from_the_command_line():
    from nas import registry

    given = {"order": "2", "partial_channels": "4", "max_skips": "none", "learning_rate": "1e-2"}
    strategy = registry.make_strategy(Darts, "darts", RelaxableToySpace(), seed=0, trials=5, given=given)
    plan = strategy.ask(0).job.plan
    assert (plan.order, plan.partial_channels, plan.max_skips, plan.learning_rate) == (2, 4, None, 0.01)
