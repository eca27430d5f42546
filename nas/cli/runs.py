"""``nas list``, ``nas show`` and ``nas export``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nas.cli.options import RUNS_DIR, run_argument, run_path
from nas.core.job import TrainPortion, TrainRung, TrainSupernet

if TYPE_CHECKING:
    from nas.core.trial import Trial
    from nas.study.run import Run


@click.command("list")
@RUNS_DIR
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def list_command(runs_dir: Path, as_json: bool) -> None:
    """List the runs."""
    from nas.cli.tables import make_console, make_table
    from nas.core.errors import UserError
    from nas.session.lookup import list_runs, open_run
    from nas.study.remote.urls import describe_place

    seen, unreadable = [], []
    for path in list_runs(runs_dir):
        try:
            seen.append(_summarise(open_run(path)))
        except UserError as error:  # one damaged folder does not hide the others
            unreadable.append({"run": path.name, "state": f"unreadable: {error}"})
    if as_json:
        click.echo(json.dumps(seen + unreadable))
        return
    if not seen and not unreadable:
        click.echo(f"no runs in {describe_place(runs_dir)}; begin one with: nas search", err=True)
    if seen:
        make_console().print(make_table(list(seen[0]), [list(one.values()) for one in seen]))
    for one in unreadable:
        click.echo(f"{one['run']}: {one['state']}", err=True)


def _summarise(run: Run) -> dict[str, Any]:
    counts, ranked = run.counts(), run.ranked()
    done = sum(trial.counted for trial in run.trials if trial.outcome is not None)
    return {
        "run": run.path.name,
        "space": run.config.space,
        "data": run.data_name,
        "strategy": run.config.strategy,
        "trials": f"{done}/{run.target}",
        "stopped": counts["stopped"],
        "failed": counts["failed"],
        "epochs": f"{run.epochs_run}/{run.epochs_asked}",
        "best": _format_best(run) if ranked else "-",
        "state": "in use" if run.study.in_use() else "ended" if run.finished else "interrupted",
        "started": run.study.started_at(),
    }


def _format_best(run: Run) -> str:
    best = f"{run.objective.name} {run.ranked()[0].metrics[run.objective.name]:.5g}"
    return best if len(run.objectives) == 1 else f"{best}, front of {len(run.front())}"


@click.command("show")
@run_argument
@click.option("--trial", type=int, help="One trial, in full.")
@click.option("--genotype", is_flag=True, help="Its genotype alone (default the best's), for a file that --from takes.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def show_command(run: str, runs_dir: Path, trial: int | None, genotype: bool, as_json: bool) -> None:
    """Show a run, or one of its trials."""
    from nas.session.lookup import open_run

    opened = open_run(run_path(run, runs_dir))
    if genotype:
        click.echo(opened.candidate(trial).genotype.text)
    elif trial is not None:
        _show_trial(opened, opened.candidate(trial).trial, as_json)
    elif as_json:
        trials = [_make_trial_document(one) for one in opened.trials]
        front = {} if len(opened.objectives) == 1 else {"front": list_front(opened)}
        click.echo(json.dumps(_summarise(opened) | {"test": opened.tested} | front | {"trials": trials}))
    else:
        _show_run(opened)


def _show_run(run: Run) -> None:
    from rich.text import Text

    from nas.cli import summary
    from nas.cli.tables import (
        choose_rows,
        describe_front,
        make_best_table,
        make_console,
        make_supernet_table,
        make_table,
    )

    out = make_console()
    for name, value in _summarise(run).items():
        out.print(Text(f"{name:9} {value}"))
    shown = choose_rows(run)
    if shown:
        out.print(make_best_table(run, shown, out))
    if shown and len(run.objectives) > 1:
        out.print(Text(describe_front(run, len(shown))), soft_wrap=True)
    supernets = [trial for trial in run.trials if trial.outcome is not None and trial.outcome.kind == "supernet"]
    if supernets:
        out.print(make_supernet_table(supernets, run.objective.name))
    stopped = [trial for trial in run.trials if trial.stopped and not trial.reached]
    if run.counts()["stopped"]:
        out.print(Text(summary.describe_epochs(run)))
    if stopped:
        out.print(
            make_table(["trial", "stopped because"], [[t.number, t.outcome.reason] for t in stopped if t.outcome])
        )
    unsuccessful = [t for t in run.trials if t.outcome is not None and (t.outcome.failed or t.refused)]
    if unsuccessful:
        rows = [[t.number, t.outcome.kind, t.outcome.reason] for t in unsuccessful if t.outcome is not None]
        out.print(make_table(["trial", "outcome", "reason"], rows))
    if run.tested:
        tested = ", ".join(f"{name} {value:.5g}" for name, value in run.tested.items())
        out.print(Text(f"best on the test part: {tested}"))
    for number in run.evaluations:
        out.print(Text(f"evaluated trial {number} (--trial {number}): {run.evaluation_folder(number)}"), soft_wrap=True)
    if run.model_folder is not None:
        out.print(Text(f"model     {run.model_folder}"), soft_wrap=True)
    out.print(Text(f"dashboard {summary.make_dashboard_command(run)}"), soft_wrap=True)


def list_front(run: Run) -> list[dict[str, Any]]:
    """The front as JSON: each trial's number and its values of the objectives."""
    names = [objective.name for objective in run.objectives]
    return [{"number": one.number, "values": {name: one.metrics[name] for name in names}} for one in run.front()]


def _make_trial_document(trial: Trial) -> dict[str, Any]:
    outcome = trial.outcome
    document: dict[str, Any] = {
        "number": trial.number,
        "outcome": outcome.kind if outcome else "running",
        "reason": outcome.reason if outcome else "",
        "origin": trial.proposal.origin,
        "parents": list(trial.proposal.parents),
        "seed": trial.seed,
        "genotype": json.loads(trial.genotype.text),
        "epochs": [{"epoch": m.epoch, **m.metrics} for m in trial.measurements],
    }
    from nas.study.trial_records import encode_job

    if isinstance(trial.job, TrainSupernet):
        document["derived"] = [json.loads(m.derived[0].text) if m.derived else None for m in trial.measurements]
    return document | encode_job(trial.job)


def _show_trial(run: Run, trial: Trial, as_json: bool) -> None:
    from rich.text import Text

    from nas.cli.tables import make_console, make_evaluation_table, make_table

    document = _make_trial_document(trial)
    if trial.number in run.evaluations:
        document["evaluation"] = run.evaluations[trial.number]
    if as_json:
        click.echo(json.dumps(document))
        return
    out = make_console()
    description = run.candidate(trial.number).description
    out.print(Text(f"supernet around {description}" if isinstance(trial.job, TrainSupernet) else description))
    for name in ("outcome", "reason", "origin", "parents", "seed"):
        if document[name] not in ("", []):
            out.print(Text(f"{name:9} {document[name]}"))
    if isinstance(portion := trial.job, TrainPortion):
        out.print(Text(f"portion   {portion.number + 1} of {portion.count} of the training of member {portion.member}"))
    if isinstance(rung := trial.job, TrainRung):
        after = f"epochs {rung.before + 1} to {rung.before + rung.epochs} of {rung.horizon}"
        out.print(Text(f"rung      {rung.rung + 1} of {rung.rungs}, {after} of candidate {trial.candidate}"))
    for remark in run.candidate(trial.number).remarks:
        out.print(Text(remark))
    if (evaluated := run.evaluations.get(trial.number)) is not None:
        out.print(make_evaluation_table(evaluated["metrics"], evaluated["uses"]))
        for remark in evaluated["remarks"]:
            out.print(Text(remark))
        out.print(Text(f"pictures  {run.evaluation_folder(trial.number)}"), soft_wrap=True)
    if document["epochs"]:
        names = list(document["epochs"][-1])
        out.print(make_table(names, [[epoch.get(name, "-") for name in names] for epoch in document["epochs"]]))
    if isinstance(trial.job, TrainSupernet):
        plan = ", ".join(f"{name} {value}" for name, value in document["supernet"].items())
        out.print(Text(f"trained with {plan}"))
        if document["epochs"] and trial.measurements[-1].derived:
            derived = run.space.describe(trial.measurements[-1].derived[0], run.shape)
            out.print(Text(f"derived   {derived}"))
    out.print(Text(json.dumps(document["genotype"]["content"], indent=2)))


@click.command("export")
@run_argument
@click.option("--trial", type=int, help="Which trial (default the best).")
@click.option("--front", is_flag=True, help="Every member of the front, each as a folder of its own.")
@click.option("--part", help="Which part of a model that has several, such as discriminator (default the usual one).")
@click.option("--format", "formats", help="Any of python,onnx,program, with commas (default all).")
@click.option("--output", type=click.Path(path_type=Path), help="The folder to write (default in the run's own).")
def export_command(
    run: str,
    runs_dir: Path,
    trial: int | None,
    front: bool,
    part: str | None,
    formats: str | None,
    output: Path | None,
) -> None:
    """Export a trial's model, or a front's, as a folder that runs by itself."""

    from nas.core.errors import UserError, unknown_name
    from nas.export import FORMATS
    from nas.session.delivery import export_front, export_model
    from nas.session.lookup import open_run

    chosen = None if formats is None else tuple(name.strip() for name in formats.split(","))
    for name in chosen or ():
        if name not in FORMATS:
            raise unknown_name("--format", name, FORMATS)
    if front and trial is not None:
        raise UserError("--trial", trial, "--front or --trial", why="cannot be combined with --front")
    if front and part is not None:
        raise UserError("--part", part, "--front or --part", why="cannot be combined with --front")
    opened = open_run(run_path(run, runs_dir))
    if front:
        for folder in export_front(opened, directory=output, formats=chosen):
            click.echo(str(folder))
    else:
        click.echo(str(export_model(opened, opened.candidate(trial), directory=output, formats=chosen, part=part)))
