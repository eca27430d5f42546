"""A controller's probabilities are recorded with its proposals, and the page of its run draws how they changed."""

import math

import pytest

import nas
from nas.report.facts import Facts
from nas.report.html import render
from nas.report.policy import describe_policy
from tests.conftest import draw_no_report
from tests.parts.reported_runs import search_toys


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        draw_no_report(patch)
        return nas.open_run(search_toys(tmp_path_factory.mktemp("toys"), trials=41, strategy="reinforce").path)


def test_probabilities_are_recorded_with_the_proposals_that_were_drawn_and_no_others(run):
    for trial in run.trials:
        if trial.proposal.origin != "controller":
            assert trial.proposal.policy == {}
            continue
        decided = {d.choice.site: str(d.value) for d in run.space.trace(trial.genotype)}
        assert set(trial.proposal.policy) == set(decided)
        assert all(trial.proposal.policy[site][value] > 0 for site, value in decided.items())


def test_courses_are_the_means_of_what_is_recorded_and_the_decisions_that_changed_most_come_first(run):
    told, drawn = describe_policy(Facts(run)), [trial for trial in run.trials if trial.proposal.policy]
    assert told.courses
    changes = [course.change for course in told.courses]
    assert changes == sorted(changes, reverse=True)
    count = len(drawn) // 4
    assert len(told.entropy.marks) == count
    for course in told.courses:
        assert all(math.isclose(sum(step), 1, abs_tol=1e-3) for step in zip(*course.shares.values(), strict=True))
        last = [t.proposal.policy for t in drawn[len(drawn) * (count - 1) // count :]]
        assert course.steps[-1] == f"trials {drawn[-len(last)].number} to {drawn[-1].number}"
        rows = [policy[course.name] for policy in last if course.name in policy]
        for value, shares in course.shares.items():
            assert shares[-1] == pytest.approx(sum(row[value] for row in rows) / len(rows))


def test_entropy_is_a_part_of_the_greatest_and_falls_where_the_policy_learns(run):
    values = [y for _, y in describe_policy(Facts(run)).entropy.lines[0].points]
    assert all(0 <= value <= 100 for value in values)
    assert values[-1] < values[0]


def test_the_page_draws_them_and_without_a_policy_counts_alone(run, tmp_path, no_report):
    page = render(run)
    assert "How undecided it was" in page
    assert page.count('<svg class="chart course"') == len(describe_policy(Facts(run)).courses)
    assert "How undecided it was" not in render(search_toys(tmp_path, trials=30))
