"""Runs side by side: who may be compared, groups, means over seeds, and tests that are named."""

import json

import pytest

import nas
from nas.report.comparing import Group, RunResult, average_curves, compare_runs
from nas.report.comparison_page import render_comparison
from nas.report.significance import adjust_for_many, measure_difference
from tests.conftest import draw_no_report
from tests.parts.command_line import refused, said
from tests.parts.reported_runs import search_toys


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        draw_no_report(patch)
        return [
            search_toys(folder, f"{strategy}{seed}", strategy=strategy, seed=seed, trials=8, epochs=1)
            for strategy in ("random", "evolution")
            for seed in range(4)
        ]


def test_runs_that_differ_in_their_seeds_alone_are_one_group(runs):
    found = compare_runs(runs)
    assert {group.name for group in found.groups} == {"random", "evolution"}
    assert all([one.seed for one in group.results] == [0, 1, 2, 3] for group in found.groups)
    first, second = ([one.validation for one in group.results] for group in found.groups)
    assert sum(first) <= sum(second)
    assert found.part == "validation"  # toys are not tested


def test_groups_are_those_of_the_option_that_is_named(runs):
    found = compare_runs(runs, "seed")
    assert {group.name for group in found.groups} == {f"seed {seed}" for seed in range(4)}
    assert all(len(group.results) == 2 for group in found.groups)
    with pytest.raises(nas.UserError, match=r"--group 'strateg': unknown, did you mean 'strategy'"):
        compare_runs(runs, "strateg")


def test_runs_of_other_objectives_or_data_are_refused(runs, tmp_path, no_report):
    other = search_toys(tmp_path, "other", trials=2, objective="parameters")
    with pytest.raises(
        nas.UserError, match=r"'other': does not compare .*: its objective is minimize parameters, there"
    ):
        compare_runs([runs[0], other])
    with pytest.raises(nas.UserError, match="is given twice"):
        compare_runs([runs[0], runs[0]])


def test_means_begin_where_every_run_has_a_result_and_keep_what_was_found():
    def make(name, steps):
        return RunResult(name, 0, steps[-1][1], None, 3, None, steps, steps)

    group = Group("g", (make("a", [(1.0, 4.0), (3.0, 2.0)]), make("b", [(2.0, 2.0)])))
    rows = average_curves(group, lambda one: one.by_trial, [1, 2, 3, 9])
    assert [(x, mean) for x, mean, _ in rows] == [(2, 3.0), (3, 2.0), (9, 2.0)]
    assert rows[0][2] == pytest.approx(2**0.5)


def test_the_test_is_named_and_too_few_seeds_are_said_to_be():
    def scores(*values):
        return list(enumerate(map(float, values)))

    few = measure_difference(scores(1, 2), scores(3, 4))
    assert few.p is None
    assert few.why_not == "too few seeds: of 2 and 2 runs even the clearest difference has p = 0.33"
    unpaired = measure_difference(scores(1, 2, 3, 4), scores(5, 6, 7, 8))
    assert unpaired.test == "Mann-Whitney's U test"
    assert unpaired.p == pytest.approx(2 / 70)
    paired = measure_difference(scores(1, 20, 3, 40, 5, 60), scores(2, 22, 6, 44, 10, 66))
    assert paired.test == "Wilcoxon's signed-rank test, paired by seed"
    assert paired.p == pytest.approx(2 / 64)
    same = measure_difference(scores(1, 2, 3, 4, 5, 6), scores(1, 2, 3, 4, 5, 6))
    assert same.p == pytest.approx(1.0)


def test_several_comparisons_make_each_weaker():
    assert adjust_for_many({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert adjust_for_many({"a": 0.9, "b": 0.8}) == {"b": 1.0, "a": 1.0}


def test_the_page_and_the_terminal_say_the_same(runs, tmp_path, capsys):
    found = compare_runs(runs)
    rows, sentences, page = found.list_rows(), found.describe(), render_comparison(found)
    assert len(rows) == 2
    assert "Mann-Whitney's U test" in sentences[-1] or "Mann-Whitney's U test" in sentences[-2]
    assert page.count('class="line c1"') >= 2
    assert page.count('class="band c2"') >= 2
    assert all(run.path.name in page for run in runs)
    paths = [str(run.path) for run in runs]
    code, out, _ = said(capsys, "compare", *paths, "--html", str(tmp_path / "page.html"))
    assert code == 0
    assert sentences[0] in out
    assert rows[1]["difference"] in out
    assert (tmp_path / "page.html").read_text() == page
    code, out, _ = said(capsys, "compare", *paths, "--json")
    assert [group["name"] for group in json.loads(out)["groups"]] == [row["group"] for row in rows]
    assert "is one run alone" in refused(capsys, "compare", paths[0])


def test_python_compares_as_the_command_does(runs, tmp_path):
    found = nas.compare([runs[0], str(runs[1].path), *runs[2:]], group="strategy", html=tmp_path / "page.html")
    assert found == compare_runs(runs, "strategy")
    assert (tmp_path / "page.html").read_text() == render_comparison(found)
    assert len(repr(found)) < 5000
    for given, message in (
        ([], "two runs or more"),
        ([runs[0]], "is one run alone"),
        ([runs[0], runs[0].path], "twice"),
    ):
        with pytest.raises(nas.UserError, match=message):
            nas.compare(given)
    with pytest.raises(nas.UserError, match="--group 'colour': unknown"):
        nas.compare(runs, group="colour")


def test_a_run_is_drawn_by_the_command_where_it_is_asked_for(runs, tmp_path, capsys):
    code, out, _ = said(capsys, "report", str(runs[0].path), "--output", str(tmp_path / "x.html"))
    assert (code, out.strip()) == (0, str(tmp_path / "x.html"))
    assert "The best model" in (tmp_path / "x.html").read_text()
