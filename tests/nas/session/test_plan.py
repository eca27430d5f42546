"""The plan of a search with a time limit."""

import pytest

import nas
from nas.config import RunConfig
from nas.core.durations import format_duration, parse_duration
from nas.core.errors import UserError
from nas.core.evaluator import Pace
from nas.core.job import TrainFinalist
from nas.session.plan import RESERVE, expect_trials, find_exploring_seconds, plan_time
from tests.conftest import SMALL, export_only_python, tiny_data

PACE = Pace(batch=32, trained=0.001, available=10_000)


def config(**options):
    return RunConfig.checked({"finalists": 2, "time_limit": f"{200 + RESERVE:g}s", "final_share": 0.5, **options})


def planned_for(pace, **options):
    return plan_time(config(**options), pace, 0.5)


@pytest.mark.parametrize(("seconds", "explored"), [(200, 0.08), (960, 0.15), (1920, 0.3), (9_600, 0.3)])
def test_the_fewer_updates_there_are_the_more_of_the_time_is_the_finals(seconds, explored):
    limit = seconds + max(RESERVE, 0.02 / 0.98 * seconds)
    planned = plan_time(config(time_limit=f"{limit:g}s"), PACE)  # an update takes 32 ms
    assert planned.final_share == pytest.approx(1 - explored, abs=0.002)
    assert find_exploring_seconds(planned) == pytest.approx(explored * seconds, rel=0.01)


def test_few_trials_share_the_time_of_exploring():
    assert find_exploring_seconds(config()) == 100
    planned = planned_for(PACE, trials=8)
    assert parse_duration(planned.candidate_time) == pytest.approx(100 / 8 / 0.45, rel=0.01)  # most are stopped early
    assert expect_trials(planned) == 8


def test_with_more_time_there_are_more_candidates_and_each_has_more():
    short, long = (planned_for(PACE, trials=1_000, time_limit=f"{s + RESERVE}s") for s in (200, 3_200))
    seconds = [parse_duration(planned.candidate_time) for planned in (short, long)]
    assert seconds[1] == pytest.approx(4 * seconds[0], rel=0.02)
    assert expect_trials(long) == pytest.approx(4 * expect_trials(short), rel=0.05)
    assert seconds[0] / (PACE.trained * PACE.batch) > 160  # updates of the usual genotype
    assert parse_duration(planned_for(Pace(32, 0.2, 100)).candidate_time) == 50  # however slow it is
    twice = planned_for(PACE, trials=1_000, workers=2)
    assert expect_trials(twice) == pytest.approx(2 * expect_trials(planned_for(PACE, trials=1_000)), abs=1)


def test_scoring_takes_a_small_part_of_the_time_and_never_more_than_there_is():
    planned = planned_for(PACE, trials=1_000)
    scoring = 3 * planned.scored_examples * PACE.trained / 3
    assert scoring < 0.2 * parse_duration(planned.candidate_time)
    assert planned_for(Pace(32, 0.001, 100), trials=1_000).scored_examples is None


def test_a_limit_in_which_nothing_could_be_learnt_is_refused_before_the_search():
    with pytest.raises(UserError, match=r"--time-limit.*updates of the usual genotype take 256.0 s here"):
        planned_for(Pace(32, 1.0, 100))


def test_without_a_plan_as_many_trials_are_expected_as_were_asked_for():
    assert expect_trials(config(trials=7)) == 7
    assert find_exploring_seconds(config(time_limit=None)) is None
    assert find_exploring_seconds(config(finalists=0)) == 200 + RESERVE


@pytest.mark.parametrize(("seconds", "text"), [(45.0, "45s"), (210.0, "3.5m"), (7200.0, "2h")])
def test_durations_are_written_as_they_are_read(seconds, text):
    assert format_duration(seconds) == text
    assert parse_duration(text) == seconds


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        export_only_python(patch)
        patch.setattr("nas.session.plan.RESERVE", 0.5)
        folder = tmp_path_factory.mktemp("runs")
        options = {"trials": 4, "finalists": 1, "time_limit": "20s", "pin": SMALL}
        return nas.search(data=tiny_data(count=400), runs_dir=folder, name="limited", **options)


def test_candidates_of_a_limited_search_have_the_same_time_and_the_finals_the_rest(run):
    explored = [t for t in run.trials if t.job.counted]
    assert 1 <= len(explored) <= 4
    for trial in explored:
        assert trial.measurements[-1].epoch == 3 or trial.stopped
        assert trial.metrics["examples"] >= trial.genotype.content["batch_size"]
    finals = [t for t in run.trials if isinstance(t.job, TrainFinalist)]
    assert finals[-1].job.settles
    assert all(t.job.seconds is not None and t.job.epoch_size > 0 for t in finals)
    usual = next(t for t in finals if t.job.candidate == 0)
    assert usual.job.continues == 0  # its training as a candidate is gone on with
    assert usual.job.before == 3
    begun = explored[0].metrics["examples"]
    assert usual.metrics["examples"] >= begun + usual.job.epochs * usual.genotype.content["batch_size"]
    assert not run.study.checkpoints()
    assert run.config.early_stopping == "incumbent"


def test_a_limited_search_says_how_long_its_candidates_are_trained(run):
    assert f"{run.config.candidate_time} of training a trial" in (run.path / "report.html").read_text()
    assert RunConfig.checked({"epochs": 3}).effort == "3 epochs"


def test_a_limited_search_says_what_it_assumes_of_schedules(run):
    assert [a.site for a in run.parts.assumptions if a.site == "schedule"] == ["schedule"]
    assert all(t.genotype.content["schedule"] == "one_cycle" for t in run.trials)


def test_a_limited_search_is_resumed_by_the_plan_that_it_had(run):
    explored = sum(t.job.counted for t in run.trials)
    with pytest.MonkeyPatch.context() as patch:
        export_only_python(patch)
        again = nas.resume(run.path, trials=explored + 1, data=tiny_data(count=400))
    assert again.config.candidate_time == run.config.candidate_time
    assert again.config.final_share == run.config.final_share >= 0.7
    assert sum(t.job.counted for t in again.trials) == explored + 1


@pytest.mark.parametrize(
    "options",
    [
        {"candidate_time": "1s", "strategy": "pbt"},
        {"candidate_time": "1s", "strategy": "darts"},
        {"candidate_time": "1s", "weight_sharing": "supernet"},
    ],
)
def test_a_time_of_each_candidate_is_refused_where_there_are_no_candidates_of_their_own(tmp_path, options):
    with pytest.raises(UserError, match="--candidate-time"):
        nas.search(data=tiny_data(), runs_dir=tmp_path, **options)


def test_a_time_and_a_number_of_epochs_exclude_each_other(tmp_path):
    with pytest.raises(UserError, match="--epochs 3"):
        nas.search(data=tiny_data(), runs_dir=tmp_path, candidate_time="1s", epochs=3)
