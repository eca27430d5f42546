"""What the sections of a report say: importance, lineage, what came to be favoured, layers, how to repeat it."""

import itertools

import numpy as np
import pytest
from torch import nn

import nas
from nas.config import RunConfig
from nas.report.facts import Facts
from nas.report.importance import list_comparable, measure_importance
from nas.report.layers import list_parts
from nas.report.lineage import trace_lineage
from nas.report.progress import draw_best_so_far
from nas.report.proposals import find_shifts
from nas.report.repeat import make_command
from nas.report.words import format_count, format_number, format_seconds, name_operation
from tests.conftest import draw_no_report
from tests.parts.reported_runs import search_toys


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        draw_no_report(patch)
        return Facts(search_toys(tmp_path_factory.mktemp("toys"), trials=60))


def make_trials(count, effect, generator):
    sites = {f"noise{i}": generator.integers(0, 4, count) for i in range(30)} | {
        "cause": generator.integers(0, 3, count)
    }
    decisions = [{site: int(values[n]) for site, values in sites.items()} for n in range(count)]
    scores = generator.normal(size=count) + effect * sites["cause"]
    return decisions, scores.tolist()


def test_the_decision_that_decides_the_score_is_found_and_noise_is_not():
    decisions, scores = make_trials(80, 1.5, np.random.default_rng(0))
    found = measure_importance(decisions, scores, scores)
    assert found[0].site == "cause"
    assert found[0].share > 0.4
    assert [one.site for one in found if one.beyond_chance] == ["cause"]
    assert [value.value for value in found[0].values] == ["0", "1", "2"]
    assert sum(len(value.scores) for value in found[0].values) == 80


def test_noise_alone_is_seldom_taken_for_more():
    wrong = 0
    for seed in range(40):
        decisions, scores = make_trials(30, 0.0, np.random.default_rng(seed))
        wrong += any(one.beyond_chance for one in measure_importance(decisions, scores, scores))
    assert wrong <= 6  # 2 are to be expected; of 31 decisions looked at one by one it would be nearly all 40


def test_a_decision_that_arises_in_few_trials_explains_little_of_all():
    decisions = [{"x": n % 2} | ({"rare": n % 3} if n < 9 else {}) for n in range(60)]
    scores = [float(10 * (n % 3) if n < 9 else 10 + 10 * (n % 2)) for n in range(60)]
    shares = {one.site: one for one in measure_importance(decisions, scores, scores)}
    assert shares["rare"].trials == 9
    assert shares["rare"].share < shares["x"].share


def test_failures_and_finals_do_not_count_for_importance(facts):
    assert all(t.outcome.kind == "complete" and t.job.counted for t in list_comparable(facts))


def test_the_best_descends_from_a_first_trial_by_its_parents(facts):
    line = trace_lineage(facts)
    assert line[-1].trial.number == facts.best.number
    assert not line[0].trial.proposal.parents
    for before, after in itertools.pairwise(line):
        assert before.trial.number in after.trial.proposal.parents
        decided = facts.decisions[before.trial.number], facts.decisions[after.trial.number]
        differing = {site for site in {*decided[0], *decided[1]} if decided[0].get(site) != decided[1].get(site)}
        assert {site for site, *_ in after.changes} <= differing
        assert len(after.changes) + after.more == len(differing)
        better = after.trial.losses < before.trial.losses
        assert (after.gain == "better") == better


def test_the_best_so_far_never_gets_worse_and_failures_have_no_value(facts):
    (_, by_trial), (_, by_seconds) = draw_best_so_far(facts)
    for chart in (by_trial, by_seconds):
        values = [value for _, value in chart.lines[0].points]
        assert values == sorted(values, reverse=True)
        assert {mark.kind for mark in chart.marks if mark.y is None} == {"failed"}
    assert max(x for x, _ in by_seconds.lines[0].points) <= 60 * 4.0


def test_what_is_favoured_late_is_counted_as_it_was_proposed(facts):
    shifts = find_shifts(facts)
    own = [trial for trial in facts.trials if trial.job.counted]
    assert shifts
    for shift in shifts:
        late = [str(facts.decisions[trial.number].get(shift.site)) for trial in own[40:]]
        having = [value for value in late if value != "None"]
        assert shift.shares[2] == having.count(shift.value) / len(having)
        assert shift.shares[2] > shift.shares[0]


def test_a_network_is_listed_in_blocks_that_hold_all_its_parameters():
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2), nn.BatchNorm2d(8), nn.SiLU(), nn.Identity(),
        nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(),
    )  # fmt: skip
    (part,) = list_parts(model)
    assert [(block.title, block.count) for block in part.blocks] == [
        ("conv 3×3, 1 → 8, 1/2 size", 1),
        ("linear, 8 → 8", 2),
    ]
    assert part.blocks[0].notes == ("Batch norm", "SiLU")
    assert sum(block.parameters * block.count for block in part.blocks) == part.parameters
    assert part.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert list_parts(nn.ReLU()) == []


def test_the_command_asks_for_what_the_configuration_says():
    given = {"trials": 7, "pin": {"latent": 16}, "objective": ["mse", "parameters"], "grow": True, "usual": False}
    command = make_command(RunConfig.checked(given))
    assert command == ("nas search --trials 7 --objective mse --objective parameters --pin latent=16 --grow --no-usual")
    hostile = make_command(RunConfig.checked({"dataset": "folder:/a b; rm"}))
    assert hostile == "nas search --dataset 'folder:/a b; rm'"


def test_numbers_are_rounded_as_people_read_them():
    assert [format_number(x) for x in (0.0123456, 1234.5, 0.0, 1e-6, float("nan"))] == [
        "0.01235", "1,234", "0", "1e-06", "not a number",
    ]  # fmt: skip
    assert [format_count(x) for x in (950, 12_345, 4_560_000)] == ["950", "12.3 k", "4.56 M"]
    assert [format_seconds(x) for x in (0.42, 52.3, 200, 7500)] == ["0.42 s", "52 s", "3 min 20 s", "2 h 5 min"]
    assert name_operation("separable_3x3") == "separable 3×3"


def test_units_are_those_of_the_kind_of_model(small_run):
    assert Facts(nas.open_run(small_run.path)).units["psnr"] == "dB"
