"""A search that promotes: what it trains, keeps and hands over, and what is left after an interruption."""

import json

import pytest

import nas
from nas.cli import run as cli
from nas.config import RunConfig
from nas.core.errors import Diverged, UserError
from nas.core.evaluator import CHECKPOINT, WEIGHTS, Evaluator
from nas.core.job import Train, TrainRung
from nas.core.metric import COST
from nas.core.space import generator_for
from nas.core.trial import Measurement
from nas.session.assembly import assemble
from nas.session.given import Given
from nas.session.lookup import open_run
from nas.session.resume import resume_run
from nas.session.start import start_run
from nas.testing.toys import ToyEvaluator, ToySpace, toy_loss
from tests.conftest import SMALL, export_only_python, tiny_data
from tests.parts.interrupting import Until, interrupting_last_part


class Counting(Evaluator):
    """A loss that falls by a random number an epoch, whose sum is the checkpoint; the candidate of trial 4 diverges."""

    metrics = ToyEvaluator.metrics | COST
    jobs = frozenset({Train, TrainRung})

    def __init__(self, space, data, *, epochs, device):
        self.space = space

    def evaluate(self, trial):
        job, before = trial.job, 0
        assert (job.continues is None) == (trial.start is None)
        total = 0.0
        if trial.start is not None:
            assert (trial.start.number, trial.start.genotype) == (job.continues, trial.genotype)
            before, total = json.loads(trial.start.tensors)
        assert before == job.before
        for epoch in range(job.before + 1, job.before + job.epochs + 1):
            if trial.number == 4:
                raise Diverged("nan")
            total += generator_for(trial.seed, epoch).random()
            files = {WEIGHTS: b"weights", CHECKPOINT: json.dumps([epoch, total]).encode()}
            last = epoch == job.before + job.epochs
            yield Measurement(epoch, {"loss": toy_loss(trial.genotype) + 2 - total / 9}, files if last else {})


GIVEN = Given(space=ToySpace(), data=tiny_data(count=40), evaluator=Counting)


def config(folder, name, **options):
    given = {"strategy": "evolution", "promotion": "asha", "trials": 18, "epochs": 9, "seed": 2}
    return RunConfig.checked(given | {"runs_dir": folder, "name": name} | options)


@pytest.fixture(scope="module", params=["asha", "hyperband"])
def whole(request, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas.session.execution.write_report", lambda run: None)
        seen, folder = Until(1000), tmp_path_factory.mktemp("whole")
        run = start_run(config(folder, "whole", promotion=request.param), given=GIVEN, progress=seen)
        yield run, seen.checkpoints


def found(run):
    return [(trial.proposal, trial.seed, trial.measurements, trial.losses, trial.outcome) for trial in run.trials]


def test_trials_are_candidates_and_the_best_come_to_the_last_rung(whole):
    run, checkpoints = whole
    jobs = [trial.job for trial in run.trials]
    assert sum(job.counted for job in jobs) == 18
    counts = run.counts()
    assert counts["complete"] + counts["stopped"] + counts["failed"] == 18
    assert counts["promotions"] == len(jobs) - 18
    ends = [trial for trial in run.trials if trial.outcome.kind == "complete"]
    assert {trial.measurements[-1].epoch for trial in ends} == {9}
    assert run.best.trial == min(ends, key=lambda trial: trial.losses)
    assert run.finished
    assert run.epochs_run == sum(len(trial.measurements) for trial in run.trials) < run.epochs_asked == 18 * 9
    for trial in run.trials:
        if trial.job.continues is not None:
            before = run.trials[trial.job.continues]
            assert (before.genotype, before.candidate) == (trial.genotype, trial.candidate)
            assert trial.measurements == () or trial.measurements[0].epoch == before.measurements[-1].epoch + 1
    assert max(checkpoints) < 10  # of 18: who can no longer be among the best is forgotten
    assert checkpoints[-1] == 0


def test_what_came_further_ranks_ahead_whatever_its_loss(whole):
    run, _ = whole
    ranked = run.ranked()
    assert [trial.stopped for trial in ranked] == sorted(trial.stopped for trial in ranked)
    reached = [trial.reached for trial in ranked if trial.stopped]
    assert reached == sorted(reached, reverse=True)


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize("ended", [3, 13])
def test_what_was_interrupted_goes_on_as_if_nothing_had_happened(whole, tmp_path, ended):
    run, _ = whole
    rule = run.config.promotion
    with pytest.raises(KeyboardInterrupt):
        start_run(config(tmp_path, "cut", promotion=rule), given=GIVEN, progress=Until(ended))
    assert sum(trial.outcome is not None for trial in open_run(tmp_path / "cut").trials) == ended
    assert found(resume_run(tmp_path / "cut", given=GIVEN)) == found(run)


@pytest.mark.usefixtures("no_report")
def test_more_trials_go_on_with_those_who_are_still_there(tmp_path):
    few = start_run(config(tmp_path, "few", trials=12), given=GIVEN)
    kept, before = found(few), few.counts()["promotions"]
    more = resume_run(tmp_path / "few", trials=24, given=GIVEN)
    assert found(more)[: len(kept)] == kept
    assert sum(trial.job.counted for trial in more.trials) == 24
    assert more.counts()["promotions"] > before


@pytest.mark.usefixtures("no_report")
def test_without_a_candidate_at_the_last_rung_the_best_of_the_highest_is_named(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        start_run(config(tmp_path, "cut", set={"first": 1}, epochs=27), given=GIVEN, progress=Until(9))
    run = open_run(tmp_path / "cut")
    ended = [trial for trial in run.trials if trial.outcome is not None and not trial.outcome.failed]
    highest = max(trial.reached for trial in ended)
    assert highest == 3
    assert run.best.trial.losses == min(trial.losses for trial in ended if trial.reached == highest)
    assert {trial.reached for trial in run.contenders()} == {highest}


@pytest.mark.usefixtures("no_report")
def test_the_weights_of_the_best_are_kept_by_how_far_they_came(tmp_path):
    run = start_run(config(tmp_path, "kept", keep_weights=3), given=GIVEN)
    kept = {trial.number for trial in run.trials if run.study.weights_path(trial.number).is_file()}
    assert kept == {trial.number for trial in run.ranked()[:3]}


OPTIONS = {"trials": 9, "epochs": 9, "pin": SMALL, "seed": 1, "promotion": "asha", "finalists": 2}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        export_only_python(patch)
        return nas.search(data=tiny_data(), runs_dir=tmp_path_factory.mktemp("runs"), name="trained", **OPTIONS)


def test_autoencoders_are_promoted_and_finals_follow(trained):
    rungs = [trial for trial in trained.trials if isinstance(trial.job, TrainRung)]
    assert [trial.job.rung for trial in rungs if trial.job.counted] == [0] * 9
    assert {trial.job.rung for trial in rungs if not trial.job.counted} == {1, 2}
    for trial in rungs:
        assert [m.epoch for m in trial.measurements] == list(
            range(trial.job.before + 1, trial.job.before + trial.job.epochs + 1)
        )
        if trial.job.continues is not None:  # it goes on: the clock and the loss
            before = trained.trials[trial.job.continues]
            assert trial.metrics["seconds"] > before.metrics["seconds"]
            assert trial.losses < before.losses
    changed = trained.parts.evaluator.changed_hyperparameters(rungs[0])
    assert changed == {"schedule": "constant", "averaging": 0.995}
    last = min((trial for trial in rungs if trial.job.settles), key=lambda trial: trial.losses)
    assert trained.parts.evaluator.changed_hyperparameters(last)["settles_from"] == pytest.approx(
        1 - 0.4 * 6 / 9, abs=1e-4
    )
    finals = trained.study.notes["finals"]["candidates"]
    assert finals[0] == last.number
    assert trained.parts.usual in [trained.trials[number].genotype for number in finals]
    assert trained.counts()["finals"] > 0
    assert (trained.model_folder / "model.py").is_file()
    assert not trained.study.checkpoints()
    assert trained.compared["found"] > 0


def test_a_search_that_is_interrupted_trains_the_same(trained, tmp_path, monkeypatch):
    """The weights and the checkpoints that are gone on from are the same to the last bit."""
    export_only_python(monkeypatch)
    options = OPTIONS | {"finalists": 0}
    with interrupting_last_part(TrainRung):
        nas.search(data=tiny_data(), runs_dir=tmp_path, name="cut", **options)
    again = nas.resume(tmp_path / "cut", data=tiny_data())
    same = [trial for trial in trained.trials if isinstance(trial.job, TrainRung)]
    assert [(t.proposal, t.losses, t.outcome) for t in again.trials] == [
        (t.proposal, t.losses, t.outcome) for t in same
    ]
    assert again.best.trial.job.settles
    path = again.study.weights_path(again.best.number)
    assert path.read_bytes() == trained.study.weights_path(again.best.number).read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"promotion": "ahsa"}, r"--promotion 'ahsa': unknown, did you mean 'asha'"),
        ({"strategy": "pbt"}, r"--promotion 'asha': --strategy pbt has its own way to train; allowed: none"),
        ({"strategy": "darts"}, r"--promotion 'asha': --strategy darts has its own way"),
        ({"weight_sharing": "supernet"}, r"--promotion 'asha': --weight-sharing supernet .*none"),
        ({"early_stopping": "median"}, r"--early-stopping 'median': --promotion asha pauses .*none"),
        ({"grow": True}, r"--promotion 'asha': --grow .*none"),
        ({"candidate_time": "9s"}, r"--promotion 'asha': --candidate-time .*none"),
        ({"objective": ["parameters"]}, r"--promotion 'asha': training does not improve parameters"),
        ({"epochs": 2}, r"--epochs 2: .*allowed: 3 or more"),
        ({"set": {"reduction": 1}}, r"--set reduction 1 .*2 or more"),
        ({"set": {"first": "few"}}, r"--set first 'few'"),
        ({"set": {"reducton": 4}}, r"did you mean 'reduction'"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_folder_is_made(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        nas.search(data=tiny_data(), runs_dir=tmp_path, **(OPTIONS | options))
    assert list(tmp_path.iterdir()) == []


def test_an_evaluator_that_knows_no_rungs_is_refused(tmp_path):
    class Passing(Counting):
        jobs = frozenset({Train})

    with pytest.raises(UserError, match=r"--evaluator .*Passing.*--promotion asha needs it"):
        start_run(config(tmp_path, "none"), given=Given(space=ToySpace(), data=tiny_data(count=40), evaluator=Passing))
    assert list(tmp_path.iterdir()) == []


def test_a_candidate_has_three_times_the_epochs_that_rank_where_nothing_is_said():
    epochs = [
        assemble(config(".", "none", space="autoencoder", epochs=None, promotion=rule), Given(data=tiny_data())).epochs
        for rule in ("none", "asha")
    ]
    assert epochs[1] == 3 * epochs[0]


def test_the_first_rung_of_gans_is_where_their_scores_begin_to_say_something():
    def rungs(**options):
        given = Given(data=tiny_data())
        return assemble(config(".", "none", space="gan", **options), given).promotion.rungs

    usual = assemble(config(".", "none", space="gan", epochs=None, promotion="none"), Given(data=tiny_data())).epochs
    assert rungs(epochs=None) == (usual, 3 * usual)  # a third of that is less than half of what ranks
    assert rungs(epochs=6) == (2, 6)
    assert rungs(epochs=9, set={"first": 1}) == (1, 3, 9)


def test_children_inherit_at_their_first_rung_alone(tmp_path, monkeypatch):
    export_only_python(monkeypatch)
    options = OPTIONS | {"finalists": 0, "trials": 12, "weight_sharing": "inherit", "set": {"population": 4}}
    run = nas.search(data=tiny_data(), runs_dir=tmp_path, **options)
    heirs = [trial for trial in run.trials if "inherited" in trial.metrics]
    assert heirs
    assert all(trial.job.counted for trial in heirs)


def test_the_catalogue_lists_and_explains_the_rules(capsys):
    assert cli(["promotion"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["asha", "hyperband"]
    assert cli(["promotion", "asha"]) == 0
    out = capsys.readouterr().out
    assert "Options (--set NAME=VALUE):" in out
    assert "reduction: a whole number, default 3." in out


def test_a_run_says_what_was_promoted(trained, capsys):
    promoted = next(trial for trial in trained.trials if isinstance(trial.job, TrainRung) and trial.job.rung == 1)
    assert cli(["show", str(trained.path), "--trial", str(promoted.number)]) == 0
    shown = capsys.readouterr().out
    assert f"rung      2 of 3, epochs 2 to 3 of 9 of candidate {promoted.candidate}" in shown
    assert cli(["show", str(trained.path)]) == 0
    shown = capsys.readouterr().out
    assert "trials    9/9" in shown
    assert f"epochs: {trained.epochs_run} of 81" in shown
    assert "stopped because" not in shown  # who was paused has no reason but its rank
