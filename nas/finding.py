"""Runs and genotypes by what users call them."""

from __future__ import annotations

from pathlib import Path

from nas.core.errors import InvalidGenotype, UserError, unknown_name
from nas.core.genotype import Genotype
from nas.run import Candidate, open_run
from nas.study import JOURNAL


def find_run(run: str, runs_dir: Path) -> Path:
    """The folder that a run's name in `runs_dir`, or its path, stands for.

    Raises:
        UserError: there is none; the nearest name is suggested.
    """
    given, named = Path(run), runs_dir / run
    if run and named.is_dir():
        return named
    if given.is_dir():
        return given
    names = [path.name for path in runs_in(runs_dir)]
    if not names:
        raise UserError("RUN", run, f"the folder of a run; {runs_dir} holds none", why="does not exist")
    raise unknown_name("RUN", run, names)


def runs_in(directory: Path) -> list[Path]:
    """The folders of runs in a directory, by name."""
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if (path / JOURNAL).is_file() and not path.name.startswith("."))


def run_and_trial(source: str, runs_dir: Path) -> tuple[Path, int | None]:
    """The folder and the number that RUN[:TRIAL] stands for; None without a number.

    Raises:
        UserError: there is no such run.
    """
    run, colon, number = source.rpartition(":")
    if not colon or not number.isdecimal() or (runs_dir / source).is_dir() or Path(source).is_dir():
        return find_run(source, runs_dir), None
    return find_run(run, runs_dir), int(number)


def architecture_from(source: str, runs_dir: Path, option: str) -> Candidate | Genotype:
    """What RUN[:TRIAL] stands for, a trial of a run and by default its best, or a file with a genotype.

    Args:
        option: how the user gave it, for messages.

    Raises:
        UserError: there is no such file, run or trial, or what is there is no genotype.
    """
    try:
        if Path(source).is_file():
            return Genotype.parse(Path(source).read_text(encoding="utf-8"))
        path, trial = run_and_trial(source, runs_dir)
        return open_run(path).best if trial is None else open_run(path).candidate(trial)
    except (InvalidGenotype, UnicodeDecodeError) as error:
        why = f"is no genotype: {error}"
        raise UserError(option, source, "a file that nas show RUN --genotype has printed", why=why) from None
    except UserError as error:
        allowed = f"{error.allowed}; or the file of a genotype"
        raise UserError(option, source, allowed, why=error.why or f"there is no trial {error.value}") from None


def genotype_from(source: str, runs_dir: Path) -> Genotype:
    """The genotype that ``--from`` names; see `architecture_from`.

    Raises:
        UserError: as there.
    """
    found = architecture_from(source, runs_dir, "--from")
    return found if isinstance(found, Genotype) else found.genotype
