"""``nas bench``: strategies compared on a table of known results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nas.core.errors import UserError

if TYPE_CHECKING:
    from nas.bench.benchmark import Contender, Summary
    from nas.bench.table import Question, Table


@click.command("bench")
@click.option("--table", required=True, type=click.Path(path_type=Path), help="CSV: decision and result columns.")
@click.option("--objective", help="The result column to search for the best of; may be left out if there is but one.")
@click.option("--report", help="A second result column, whose regret is printed as well.")
@click.option("--observe", metavar="PATTERN", help="An evaluation gives one of these at random, as a run would.")
@click.option("--decisions", metavar="A,B", help="The decision columns; by default those that are not numbers.")
@click.option("--ordered", metavar="A,B", help="Decision columns of numbers, whose neighbouring values are alike.")
@click.option("--minimize", is_flag=True, help="Less is better; by default more is.")
@click.option("--strategy", "strategies", multiple=True, help="A strategy; repeat to compare (default evolution).")
@click.option("--set", "set_", multiple=True, metavar="OPTION=VALUE", help="For all, or STRATEGY.OPTION=VALUE.")
@click.option("--budget", type=click.IntRange(min=1), default=300, show_default=True, help="Evaluations a search.")
@click.option("--seeds", type=click.IntRange(min=1), default=100, show_default=True, help="Searches a strategy.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="The first of the seeds.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes (default as many as there are cores).")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON and nothing else.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.png", help="Draw the curves.")
def bench_command(**given: Any) -> None:
    """Search a table of known results many times, and print the mean regret of what is recommended."""
    from nas.bench.benchmark import Contender, checkpoints, measure, summarise
    from nas.bench.table import Question, read_table

    plot: Path | None = given["plot"]
    if plot is not None and (plot.suffix.lower() != ".png" or not plot.absolute().parent.is_dir()):
        raise UserError("--plot", str(plot), "a .png file in a folder that exists")
    table = read_table(given["table"], _split_names(given["decisions"]), _split_names(given["ordered"]))
    objective = _objective(table, given["objective"])
    direction = "minimize" if given["minimize"] else "maximize"
    question = Question(table, objective, direction, given["report"], given["observe"])  # type: ignore[arg-type]
    contenders = [
        Contender(n, o) for n, o in _split_options(given["strategies"] or ("evolution",), given["set_"]).items()
    ]
    budget = given["budget"]
    reported = checkpoints(budget)
    at = _choose_points(budget) if plot is not None else reported
    with _Progress(len(contenders) * given["seeds"], given["as_json"]) as progress:
        curves = measure(
            question, contenders, budget=budget, seeds=given["seeds"], first_seed=given["seed"], at=at,
            workers=given["workers"], progress=progress.advance,
        )  # fmt: skip
    if plot is not None:
        from nas.bench.figure import draw_regrets
        from nas.study.files import write_atomically

        write_atomically(plot, draw_regrets(curves, at, objective, given["report"]))
    summaries = {name: summarise(found, at) for name, found in curves.items()}
    if as_json := given["as_json"]:
        click.echo(json.dumps(_make_document(question, summaries, reported)))
    else:
        _print(question, contenders, summaries, reported)
    if plot is not None and not as_json:
        click.echo(str(plot))


def _split_names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _objective(table: Table, name: str | None) -> str:
    if name is None:
        if len(table.results) > 1:
            raise UserError("--objective", "", ", ".join(table.results), why="the table has several result columns")
        return next(iter(table.results))
    table.column("--objective", name)
    return name


def _split_options(strategies: Sequence[str], pairs: Sequence[str]) -> dict[str, dict[str, str]]:
    """The options of each strategy: those for all, and its own.

    Raises:
        UserError: a pair without '=', a strategy named twice, or an option for a strategy that does not take part.
    """
    if len(set(strategies)) < len(strategies):
        twice = next(name for name in strategies if strategies.count(name) > 1)
        raise UserError("--strategy", twice, "every strategy once", why="is named twice")
    options: dict[str, dict[str, str]] = {name: {} for name in strategies}
    for pair in pairs:
        left, equals, value = (part.strip() for part in pair.partition("="))
        owner, dot, option = left.rpartition(".")
        if not equals or not option or not value:
            raise UserError("--set", pair, "option=value or strategy.option=value")
        if dot and owner not in options:
            raise UserError("--set", pair, ", ".join(f"{name}.{option}=..." for name in strategies))
        for name in [owner] if dot else strategies:
            options[name][option] = value
    return options


def _choose_points(budget: int) -> tuple[int, ...]:
    """Where curves are drawn: the reported numbers, and enough between them."""
    from nas.bench.benchmark import checkpoints

    between = range(5, budget + 1, max(5, budget // 60))
    return tuple(sorted({*checkpoints(budget), *between}))


class _Progress:
    """A bar on a terminal; nothing elsewhere."""

    def __init__(self, searches: int, silent: bool) -> None:
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        self._bar = Progress(console=console, disable=silent or not console.is_terminal)
        self._task = self._bar.add_task("searches", total=searches)

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def advance(self, searches: int) -> None:
        """So many more are done."""
        self._bar.advance(self._task, searches)

    def __exit__(self, *error: object) -> None:
        self._bar.stop()


def _make_document(question: Question, summaries: dict[str, Summary], at: Sequence[int]) -> dict[str, Any]:
    return {
        "table": question.table.path,
        "optimum": question.optimum,
        "strategies": {
            name: {
                "seeds": summary.seeds,
                "valid_regret": {str(n): list(summary.valid_regret[n]) for n in at},
                "test_regret": {str(n): list(summary.test_regret[n]) for n in at if summary.test_regret},
                "worst_valid_regret": {str(n): summary.worst_valid_regret[n] for n in at},
                "ms_per_proposal": summary.ms_per_proposal,
            }
            for name, summary in summaries.items()
        },
    }


def _print(
    question: Question, contenders: Sequence[Contender], summaries: dict[str, Summary], at: Sequence[int]
) -> None:
    from rich.text import Text

    from nas.cli.tables import make_console, make_table

    out = make_console()
    known = question.table
    observed = f", observed as {question.observe}" if question.observe else ""
    out.print(Text(
        f"{known.path}: {len(known.rows)} candidates of {len(known.decisions)} decisions; "
        f"{question.direction} {question.objective} (best {question.optimum:g}){observed}"
    ))  # fmt: skip
    parts = [(f"regret in {question.objective}", "valid_regret")]
    if question.report is not None:
        parts.append((f"regret in {question.report}", "test_regret"))
    for title, part in parts:
        rows = []
        for contender in contenders:
            summary = summaries[contender.name]
            cells = ["{:.3g} ± {:.2g}".format(*getattr(summary, part)[n]) for n in at]
            rows.append([contender.name, *cells, f"{summary.ms_per_proposal:.2f}"])
        out.print(Text(f"\n{title}, mean and standard error of {summaries[contenders[0].name].seeds} searches, after"))
        out.print(make_table(["strategy", *(f"{n}" for n in at), "ms a proposal"], rows))
