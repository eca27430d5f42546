"""What a notebook shows of a run, and of runs side by side: the answer first, then the curve, and a short table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas.report.charts import draw_chart
from nas.report.comparison_page import draw_curves, list_groups
from nas.report.facts import Facts
from nas.report.front import FRONT_KINDS, draw_fronts
from nas.report.html import say_what_was_done
from nas.report.page import render_part
from nas.report.progress import describe_effort, draw_best_so_far, list_kinds
from nas.report.trial_table import tabulate
from nas.report.verdict import judge
from nas.report.words import count_of, name_metric

if TYPE_CHECKING:
    from nas.report.comparing import Comparison
    from nas.study.run import Run

_ROWS, _PICTURES = 5, 3


def draw_run(run: Run) -> str:
    """Draw a run as HTML that stands alone within a page; everything that users or candidates say is escaped."""
    facts = Facts(run)
    table, verdict = tabulate(facts, facts.ranked[:_ROWS]), judge(facts)
    chart, kinds, line = None, [], ""
    if fronts := draw_fronts(facts):
        chart, kinds = fronts[0], FRONT_KINDS
    elif any(trial.outcome is not None for trial in facts.trials):
        chart = draw_best_so_far(facts)[0][1]
        kinds, line = list_kinds(chart), "the best so far"
    return render_part(
        "notebook.html.jinja",
        name=run.path.name,
        lead=say_what_was_done(facts),
        said=[*([] if verdict is None else [verdict.sentence]), *describe_effort(facts)[:1]],
        drawn=None if chart is None else draw_chart(chart),
        kinds=kinds,
        line=line,
        pictures=_list_pictures(facts),
        columns=("trial", *table.columns, "what it is"),
        rows=[(row.number, *(shown for _, shown in row.cells), row.description) for row in table.rows],
        after=f"run.best is trial {facts.best.number}; nas.write_report(run) draws all of it." if facts.best else "",
    )


def _list_pictures(facts: Facts) -> list[tuple[str, str]]:
    """What the best makes; of several objectives what members of the front make."""
    if facts.best is None:
        return []
    numbers = [facts.best.number, *(number for number in facts.front if number != facts.best.number)][:_PICTURES]
    shown = [(facts.find_picture(number), number) for number in numbers]
    return [(picture, f"what trial {number} makes") for picture, number in shown if picture]


def draw_comparison(comparison: Comparison) -> str:
    """Draw runs side by side as HTML that stands alone within a page."""
    metric, rows = name_metric(comparison.objective), comparison.list_rows()
    titles = {"test": f"{metric}, test part", "validation": f"{metric}, validation"}
    order = ("runs", "validation", "test", "trials", "training", "difference", "group")
    names = [name for name in order if any(row[name] for row in rows)]
    return render_part(
        "notebook.html.jinja",
        name=count_of(sum(len(group.results) for group in comparison.groups), "run"),
        lead=f"compared by {metric}.",
        said=comparison.describe(),
        drawn=draw_curves(comparison, lambda one: one.by_trial, "trials that have ended"),
        kinds=list_groups(comparison),
        line="",
        pictures=[],
        columns=[titles.get(name, name) for name in names],
        rows=[[row[name] for name in names] for row in rows],
        after="",
    )
