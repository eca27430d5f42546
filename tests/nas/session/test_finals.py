"""The finals: who is in them, which part comes next, and a run that is interrupted in the midst of them."""

import math
from dataclasses import replace

import pytest

import nas
from nas.core.errors import UserError
from nas.core.genotype import Genotype
from nas.core.job import Train, TrainFinalist
from nas.core.trial import Measurement, Outcome, Proposal, Trial
from nas.session.final_parts import RACING, Finals, find_winner, next_part
from nas.session.finals import FinalsHook, choose_finalists
from nas.testing.toys import LOSS
from tests.conftest import SMALL, export_only_python, tiny_data
from tests.parts.interrupting import interrupting_last_part

SECONDS = 100.0


def trial(number, loss, job=None, letter=None, epochs=4, seconds=4.0, kind="complete"):
    genotype = Genotype.of("toy", 1, {"letter": letter or chr(ord("a") + number)})
    measurements = (Measurement(epochs, {"loss": loss, "seconds": seconds}),)
    proposal = Proposal(genotype, job=job or Train())
    return Trial(number, proposal, 0, measurements, Outcome(kind), (loss,))


EXPLORED = [trial(number, loss) for number, loss in enumerate((5.0, 3.0, 4.0, 1.0, 2.0))]


def raced(finals, losses):
    """Every trial of finals whose parts end with these losses, by candidate."""
    trials = list(EXPLORED)
    while (proposal := next_part(finals, trials)) is not None:
        job = proposal.job
        made = trial(len(trials), losses[job.candidate][job.stage], job, epochs=job.before + job.epochs,
                     seconds=float(job.before + job.epochs))  # fmt: skip
        trials.append(replace(made, proposal=proposal))
    return trials


def test_the_best_and_the_usual_are_in_the_finals():
    usual = EXPLORED[0].genotype
    assert choose_finalists(EXPLORED, 3, usual, 2) == (3, 4, 0)
    assert choose_finalists(EXPLORED, 1, usual, 2) == (1, 3, 0)  # what the strategy recommends is first
    assert choose_finalists(EXPLORED, 3, EXPLORED[4].genotype, 2) == (3, 4)
    assert choose_finalists(EXPLORED, 3, None, 9) == (3, 4, 1, 2, 0)


def test_what_was_not_trained_to_its_end_or_repeats_another_is_not():
    trials = [
        trial(0, 1.0, kind="stopped"),
        trial(1, float("inf"), kind="diverged"),
        trial(2, 2.0),
        trial(3, 3.0, letter="c"),
    ]
    assert choose_finalists(trials, 2, None, 3) == (2,)


def test_the_weaker_half_leaves_after_each_stage_and_the_winner_has_most_of_the_time():
    finals = Finals(5, SECONDS, (3, 4, 0))
    trials = raced(finals, {3: [1.0, 0.9, 0.5], 4: [0.8, 0.7, 0.4], 0: [2.0]})
    parts = [t.job for t in trials[5:]]
    assert [(job.candidate, job.stage) for job in parts] == [(3, 0), (4, 0), (0, 0), (4, 1), (3, 1), (4, 2)]
    assert [job.settles for job in parts] == [False] * 5 + [True]
    race = sum(job.epochs for job in parts[:-1])  # an epoch takes a second
    assert race == pytest.approx(RACING * SECONDS, abs=3)
    assert parts[-1].epochs == pytest.approx(SECONDS - race, abs=1)
    assert [job.before for job in parts] == [
        0,
        0,
        0,
        parts[1].epochs,
        parts[0].epochs,
        parts[1].epochs + parts[3].epochs,
    ]
    assert parts[-1].horizon == parts[-1].before + parts[-1].epochs
    assert [job.continues for job in parts] == [None, None, None, 6, 5, 8]
    assert find_winner(trials).number == 10


def test_a_finalist_that_fails_is_out_and_nothing_is_left_where_all_do():
    finals = Finals(5, SECONDS, (3, 4))
    first = next_part(finals, EXPLORED)
    failed = replace(trial(5, float("inf"), kind="diverged"), proposal=first)
    second = next_part(finals, [*EXPLORED, failed])
    assert second.job.candidate == 4
    other = replace(trial(6, 1.0, epochs=10, seconds=10.0), proposal=second)
    assert next_part(finals, [*EXPLORED, failed, other]).job.candidate == 4
    both = replace(failed, number=6, proposal=second)
    assert next_part(finals, [*EXPLORED, failed, both]) is None
    assert find_winner([*EXPLORED, failed, both]) is None


def test_finals_without_candidates_are_over():
    assert next_part(Finals(5, SECONDS, (), regularises=True), EXPLORED) is None


def test_a_stage_waits_for_all_of_the_one_before():
    finals = Finals(5, SECONDS, (3, 4))
    running = Trial(5, next_part(finals, EXPLORED), 0)
    other = Trial(6, next_part(finals, [*EXPLORED, running]), 0)
    assert next_part(finals, [*EXPLORED, running, other]) is None


def overfits(trials, proposal, loss, share):
    """The trial of a part that ends with this loss and is so much better on what it was trained on."""
    job = proposal.job
    epochs = job.before + job.epochs
    measurements = (Measurement(epochs, {"loss": loss, "seconds": float(epochs), "overfitting": share}),)
    return Trial(len(trials), proposal, 0, measurements, Outcome("complete"), (loss,))


def double(genotype):
    """Two ways of regularising a letter that has not been regularised yet."""
    letter = genotype.content["letter"]
    return tuple(Genotype.of("toy", 1, {"letter": letter + more}) for more in "xy") if len(letter) == 1 else ()


def test_a_winner_that_overfits_is_tried_with_more_regularisation_and_goes_on_as_the_best():
    finals = Finals(5, SECONDS, (3, 4), regularises=True)
    trials, losses = list(EXPLORED), {"d": 0.9, "e": 0.8, "ex": 0.7, "ey": 0.75}
    while (proposal := next_part(finals, trials, regularise=double)) is not None:
        trials.append(overfits(trials, proposal, losses[proposal.genotype.content["letter"]], 0.2))
    parts = trials[5:]
    letters = [part.genotype.content["letter"] for part in parts]
    assert letters == ["d", "e", "e", "ex", "ey", "ex", "ex"]
    assert [part.job.stage for part in parts] == [0, 0, 1, 1, 1, 2, 4]
    assert [part.job.continues for part in parts[2:]] == [6, 6, 6, 8, 10]  # all from the winner of the race
    assert [part.job.settles for part in parts] == [False] * 6 + [True]
    assert parts[3].proposal.origin == "finals of trial 4, tried with letter e -> ex"
    tried = sum(part.job.epochs for part in parts[2:5])
    assert tried == pytest.approx(0.09 * SECONDS, abs=1)
    assert sum(part.job.epochs for part in parts) == pytest.approx(SECONDS, abs=3)
    assert find_winner(trials).genotype.content["letter"] == "ex"


def test_one_that_overfits_on_its_way_is_tried_then_and_stays_as_it_is_where_that_is_better():
    finals = Finals(5, SECONDS, (3,), regularises=True)
    trials = list(EXPLORED)
    while (proposal := next_part(finals, trials, regularise=double)) is not None:
        worse = len(proposal.genotype.content["letter"]) > 1
        trials.append(overfits(trials, proposal, 0.9 if worse else 0.8, 0.2))
    assert [part.genotype.content["letter"] for part in trials[5:]] == ["d", "d", "dx", "dy", "d"]
    assert [part.job.stage for part in trials[5:]] == [1, 2, 2, 2, 3]


@pytest.mark.parametrize(("share", "regularises"), [(0.04, True), (0.5, False)])
def test_without_overfitting_nothing_is_tried_nor_in_finals_that_began_earlier(share, regularises):
    finals = Finals(5, SECONDS, (3, 4), regularises=regularises)
    trials = list(EXPLORED)
    while (proposal := next_part(finals, trials, regularise=double)) is not None:
        trials.append(overfits(trials, proposal, 0.5, share))
    assert {len(part.genotype.content["letter"]) for part in trials[5:]} == {1}


def test_the_last_part_has_no_more_than_what_is_left_of_a_limit():
    finals = Finals(5, SECONDS, (3,), timed=True)
    explored = [replace(t, measurements=(Measurement(4, {**t.metrics, "examples": 400.0}),)) for t in EXPLORED]
    given = [next_part(finals, explored, left=left).job.seconds for left in (math.inf, 40.0, -3.0)]
    assert given == [pytest.approx(100, abs=4), pytest.approx(40, abs=4), pytest.approx(10, abs=4)]


def test_what_fails_regularised_is_left_and_the_winner_goes_on():
    finals = Finals(5, SECONDS, (3, 4), regularises=True)
    trials = list(EXPLORED)
    while (proposal := next_part(finals, trials, regularise=double)) is not None:
        made = overfits(trials, proposal, 0.5, 0.2)
        if len(proposal.genotype.content["letter"]) > 1:
            made = replace(made, outcome=Outcome("diverged"), losses=(float("inf"),))
        trials.append(made)
    assert trials[-1].job.settles
    assert trials[-1].genotype.content["letter"] == "d"


class NoStudy:
    """What finals remember, and no files."""

    def __init__(self, path):
        self.notes, self._path = {}, path

    def note(self, name, value):
        self.notes[name] = value

    def weights_path(self, number, name):
        return self._path / f"{number}.{name}"


class Recorded:
    """A search as finals see it."""

    objectives = (LOSS,)

    def __init__(self, trials):
        self.begun, self.running = list(trials), []

    @property
    def best(self):
        return min((t for t in self.begun if t.job.counted), key=lambda t: t.losses)

    def end_parts(self, hook, loss):
        """End every part that finals ask for."""
        while (proposal := hook.propose_part(self)) is not None:
            job = proposal.job
            epochs = job.before + job.epochs
            made = trial(len(self.begun), loss, job, epochs=epochs, seconds=float(epochs))
            self.begun.append(replace(made, proposal=proposal))


def test_what_finals_leave_of_a_limit_goes_to_more_candidates_and_to_finals_of_new_ones(tmp_path):
    clock = [0.0]
    hook = FinalsHook(NoStudy(tmp_path), 2, 0.7, EXPLORED[0].genotype, 200.0, 60.0, now=lambda: clock[0])
    search = Recorded(EXPLORED)
    assert not hook.end_exploring(search)
    clock[0] = 60.0
    assert hook.end_exploring(search)  # the finals come first
    search.end_parts(hook, 0.5)
    assert {t.job.candidate for t in search.begun if not t.job.counted} == {3, 4, 0}
    clock[0] = 100.0
    assert not hook.end_exploring(search)  # a hundred seconds are left
    clock[0] = 159.0
    assert not hook.end_exploring(search)
    better = trial(len(search.begun), 0.9, letter="new")
    search.begun.append(better)
    clock[0] = 161.0
    assert hook.end_exploring(search)
    search.end_parts(hook, 0.4)
    assert {t.job.candidate for t in search.begun if not t.job.counted} == {3, 4, 0, better.number, 1}
    assert hook.find_best(search).losses == (0.4,)
    clock[0] = 190.0
    assert hook.end_exploring(search)  # less than a tenth of the limit is left


def test_there_are_no_finals_once_the_time_is_over(tmp_path):
    hook = FinalsHook(NoStudy(tmp_path), 2, 0.7, EXPLORED[0].genotype, 1.0, 0.3, now=lambda: 5.0)
    search = Recorded(EXPLORED)
    search.end_parts(hook, 0.5)
    assert search.begun == EXPLORED
    assert hook.find_best(search).number == 3


@pytest.mark.parametrize("start", [8.0, 90.0])  # the time of exploring is over before, or not
def test_what_workers_take_to_start_is_no_part_of_exploring_and_shortens_the_finals_alike(tmp_path, start):
    clock = [0.0]
    study = NoStudy(tmp_path)
    hook = FinalsHook(study, 2, 0.7, EXPLORED[0].genotype, 200.0, 60.0, starts_later=True, now=lambda: clock[0])
    search = Recorded(EXPLORED)
    clock[0] = start
    assert not hook.end_exploring(search)
    hook.start_clock()
    clock[0] = start + 0.3 * (200 - start) - 0.1
    assert not hook.end_exploring(search)
    clock[0] += 0.2
    assert hook.end_exploring(search)
    search.end_parts(hook, 0.5)
    assert study.notes["finals"]["seconds"] == pytest.approx(200 - clock[0])


def test_workers_that_take_all_the_time_to_start_are_given_nothing(tmp_path):
    clock = [0.0]
    hook = FinalsHook(NoStudy(tmp_path), 2, 0.7, None, 200.0, 60.0, starts_later=True, now=lambda: clock[0])
    clock[0] = 200.0
    assert hook.end_exploring(Recorded(EXPLORED))
    hook.start_clock()
    assert hook.end_exploring(Recorded(EXPLORED))


def test_without_a_limit_exploring_is_never_over(tmp_path):
    hook = FinalsHook(NoStudy(tmp_path), 2, 0.5, None, None)
    assert not hook.end_exploring(Recorded(EXPLORED))


def test_the_checkpoint_that_several_go_on_from_is_kept_until_all_have_ended(tmp_path):
    study = NoStudy(tmp_path)
    study.checkpoints = lambda: sorted(tmp_path.glob("*"))
    study.weights_path = lambda number, name: tmp_path / f"{number}.safetensors"
    hook = FinalsHook(study, 1, 0.7, EXPLORED[4].genotype, 200.0, 60.0, regularise=double, now=lambda: 60.0)
    search, kept = Recorded(EXPLORED), []
    while (proposal := hook.propose_part(search)) is not None:
        source = proposal.job.continues
        assert source is None or study.weights_path(source, "").is_file()
        search.begun.append(overfits(search.begun, proposal, 0.5, 0.2))
        study.weights_path(len(search.begun) - 1, "").touch()
        hook.forget_checkpoints(search, search.begun[-1])
        kept.append(len(study.checkpoints()))
    assert max(kept) <= 7
    assert kept[-1] == 0


OPTIONS = {"trials": 3, "epochs": 2, "pin": SMALL, "seed": 1, "finalists": 2}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        export_only_python(patch)
        return nas.search(data=tiny_data(), runs_dir=tmp_path_factory.mktemp("runs"), name="finals", **OPTIONS)


def test_a_search_ends_with_finals_whose_winner_is_handed_over(run):
    finals = [t for t in run.trials if isinstance(t.job, TrainFinalist)]
    assert run.counts()["complete"] == 3
    assert run.counts()["finals"] == len(finals)
    assert finals[-1].job.settles
    best = min((t.losses[0], t.number) for t in finals)[1]
    assert run.best.number == best
    assert run.best.metrics["mse"] < min(t.losses[0] for t in run.trials[:3])
    assert (run.model_folder / "model.py").is_file()
    assert run.finished
    assert not run.study.checkpoints()
    assert run.trials[0].genotype == run.parts.usual


def regularise_always(patch):
    patch.setattr("nas.session.final_parts._OVERFITTING", -math.inf)
    patch.setattr("nas.session.final_parts._rank", prefer_regularised)


def prefer_regularised(made):
    """As if what was tried last were the best."""
    return [] if any(trial is None or trial.outcome is None for trial in made) else list(made)[::-1]


def test_a_winner_that_was_regularised_is_handed_over_and_this_is_said(tmp_path):
    options = {**OPTIONS, "pin": {**SMALL, "augmentation": "none"}, "restrict": {"weight_decay": (0.0, 0.1)}}
    with pytest.MonkeyPatch.context() as patch:
        export_only_python(patch)
        regularise_always(patch)
        run = nas.search(data=tiny_data(), runs_dir=tmp_path, name="whole", **options)
        with interrupting_last_part(TrainFinalist):
            nas.search(data=tiny_data(), runs_dir=tmp_path, name="cut", **options)
        resumed = nas.resume(tmp_path / "cut", data=tiny_data())
    assert run.trials[-1].job.settles
    assert run.trials[-1].genotype.content["weight_decay"] == 0.1
    assert [t.genotype for t in resumed.trials] == [t.genotype for t in run.trials]
    assert resumed.finished
    assert run.compared["changed"] == {"weight_decay": [0.0, 0.1]}
    assert any("weight_decay 0.0 -> 0.1" in sentence for sentence in run.describe_comparison())


def test_an_interrupted_final_is_gone_on_with(run, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        export_only_python(patch)
        with interrupting_last_part(TrainFinalist):
            nas.search(data=tiny_data(), runs_dir=tmp_path, name="cut", **OPTIONS)
        before = [t.genotype.id for t in nas.open_run(tmp_path / "cut").trials]
        whole = nas.resume(tmp_path / "cut", data=tiny_data())
    assert [t.genotype.id for t in whole.trials][: len(before)] == before
    assert whole.trials[-1].job.settles
    assert whole.finished


def test_finals_are_refused_where_there_can_be_none_and_are_the_default_elsewhere(tmp_path, monkeypatch):
    for options in ({"objective": ["mse", "parameters"]}, {"strategy": "pbt"}):
        with pytest.raises(UserError, match=r"--finalists 2: .*; allowed: 0 with"):
            nas.search(data=tiny_data(), runs_dir=tmp_path, **(OPTIONS | {"finalists": 2, "trials": 8} | options))
    monkeypatch.setattr("nas.session.assembly.DEFAULT_FINALISTS", 2)
    some = nas.search(data=tiny_data(), runs_dir=tmp_path, **(OPTIONS | {"finalists": None, "trials": 1}))
    assert some.config.finalists == 2
    none = nas.search(data=tiny_data(), runs_dir=tmp_path, **(OPTIONS | {"finalists": 0, "usual": False}))
    assert [type(t.job) for t in none.trials] == [Train] * 3


def test_a_run_says_whether_it_has_paid(run):
    compared = run.compared
    assert compared["number"] == run.best.number
    assert 0 < compared["baselines"]["PCA with 16 components"]["mse"] < 1
    assert compared["trained"] < compared["found"]
    if run.best.genotype == run.parts.usual:
        assert compared["usual"] is None
    else:
        assert compared["usual"]["test"]["mse"] > 0
    said = run.describe_comparison()
    assert "PCA with 16 components" in said[0]
    page = (run.path / "report.html").read_text()
    assert "Has the search paid? " in page
    assert "PCA with 16 components" in page


@pytest.mark.parametrize(("times", "warned"), [(0.5, True), (2, False)])
def test_a_run_says_where_what_is_simpler_is_better_than_its_model(times, warned, run, monkeypatch):
    compared = {"baselines": {"PCA with 16 components": {"mse": times * run.tested["mse"]}}}
    monkeypatch.setattr(type(run), "compared", compared)
    said = run.describe_comparison()
    assert len(said) == 1 + warned
    assert not warned or said[1].startswith("PCA with 16 components is better than this model: give the search more")


def test_finals_without_time_do_not_replace_what_was_found_before(tmp_path, monkeypatch):
    export_only_python(monkeypatch)
    run = nas.search(data=tiny_data(), runs_dir=tmp_path, **(OPTIONS | {"epochs": 12, "final_share": 0.01}))
    explored = min(t.losses[0] for t in run.trials if t.job.counted and t.outcome.kind == "complete")
    finals = min(t.losses[0] for t in run.trials if not t.job.counted)
    assert explored < finals
    assert run.best.metrics["mse"] == explored
