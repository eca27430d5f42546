"""Runs, trials and genotypes, found by what users call them."""

from __future__ import annotations

import logging
from pathlib import Path

from nas.core.errors import InvalidGenotype, UserError, unknown_name
from nas.core.genotype import Genotype
from nas.session.assembly import assemble
from nas.session.given import NO_OBJECTS
from nas.study.configuration import find_space_version, load_assumptions, load_config
from nas.study.files import JOURNAL
from nas.study.parts import Parts
from nas.study.remote.urls import describe_place, find_url, is_url
from nas.study.remote.working_copy import RECORD, bring_up_to_date, list_names_at, locate_run
from nas.study.run import Candidate, Run
from nas.study.study import Study

log = logging.getLogger(__name__)
_MOST_FOUND = 10  # genotypes that another run starts from


def find_run(run: str, runs_dir: Path) -> Path:
    """Find the folder of a run by its name in `runs_dir`, its path or its URL.

    Where the run lies at a URL, that is its working copy, brought up to date.

    Raises:
        UserError: there is none; the nearest name is suggested. Or the URL cannot be read.
    """
    if is_url(run):
        return locate_run(run)
    given, named = Path(run), runs_dir / run
    if find_url(runs_dir) is not None:
        if run in list_run_names(runs_dir):
            bring_up_to_date(named)
            return named
    elif run and named.is_dir():
        return named
    if given.is_dir():
        return given
    names = list_run_names(runs_dir)
    if not names:
        raise UserError("RUN", run, f"the folder of a run; {describe_place(runs_dir)} holds none", why="does not exist")
    raise unknown_name("RUN", run, names)


def list_run_names(directory: Path) -> list[str]:
    """List the names of the runs in a directory; at a URL, of all folders there."""
    if find_url(directory) is not None:
        return list_names_at(directory)
    if not directory.is_dir():
        return []
    return sorted(p.name for p in directory.iterdir() if (p / JOURNAL).is_file() and not p.name.startswith("."))


def list_runs(directory: Path) -> list[Path]:
    """List the folders of the runs in a directory by name; from a URL, what a list needs is copied first."""
    paths = [directory / name for name in list_run_names(directory)]
    for path in paths:
        try:
            bring_up_to_date(path, only=RECORD)
        except UserError as error:  # one does not hide the others
            log.warning("%s", error)
    return [path for path in paths if (path / JOURNAL).is_file()]


def find_run_and_trial(source: str, runs_dir: Path) -> tuple[Path, int | None]:
    """Find the folder and the number that RUN[:TRIAL] stands for; the number is None where none is given.

    Raises:
        UserError: there is no such run.
    """
    run, colon, number = source.rpartition(":")
    if not colon or not number.isdecimal() or (runs_dir / source).is_dir() or Path(source).is_dir():
        return find_run(source, runs_dir), None
    return find_run(run, runs_dir), int(number)


def find_architecture(source: str, runs_dir: Path, option: str) -> Candidate | Genotype:
    """Find the architecture that RUN[:TRIAL] (by default the best trial) or the file of a genotype stands for.

    Args:
        option: how the user gave it, for messages.

    Raises:
        UserError: there is no such file, run or trial, or what is there is no genotype.
    """
    try:
        if Path(source).is_file():
            return Genotype.parse(Path(source).read_text(encoding="utf-8"))
        path, trial = find_run_and_trial(source, runs_dir)
        return open_run(path).best if trial is None else open_run(path).candidate(trial)
    except (InvalidGenotype, UnicodeDecodeError) as error:
        why = f"is no genotype: {error}"
        raise UserError(option, source, "a file that nas show RUN --genotype has printed", why=why) from None
    except UserError as error:
        allowed = f"{error.allowed}; or the file of a genotype"
        raise UserError(option, source, allowed, why=error.why or f"there is no trial {error.value}") from None


def find_genotype(source: str, runs_dir: Path) -> Genotype:
    """Find the genotype that ``--from`` names; see `find_architecture`.

    Raises:
        UserError: as there.
    """
    found = find_architecture(source, runs_dir, "--from")
    return found if isinstance(found, Genotype) else found.genotype


def find_best_genotypes(source: str, runs_dir: Path, trials: int) -> dict[str, str]:
    """Find the best genotypes of a run, for another to start from: their texts, by where they are from.

    They are a fifth of the new run's trials, ten at most.

    Raises:
        UserError: there is no such run, or no trial of it has succeeded.
    """
    run = open_run(find_run(source, runs_dir))
    best: dict[str, str] = {}
    for trial in run.ranked():
        if len(best) < max(1, min(_MOST_FOUND, trials // 5)):
            best.setdefault(trial.genotype.text, f"trial {trial.number} of {run.path.name}")
    if not best:
        raise UserError("--warm-start", source, "runs with a trial that succeeded", why="no trial succeeded")
    return {origin: text for text, origin in best.items()}


def open_run(path: Path | str) -> Run:
    """Open an existing run, whose space, data and evaluator are loaded when first needed.

    Raises:
        UserError: there is no run at `path`.
    """
    path = Path(path)
    config = load_config(path)
    return Run(Study.read(path), config, None, _load_parts)


def _load_parts(run: Run) -> Parts:
    return assemble(run.config, NO_OBJECTS, load_assumptions(run.study), find_space_version(run.study))
