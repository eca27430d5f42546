"""A run: begun, searched, resumed, and looked at afterwards."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import re
import sys
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluators.catalogue import absolute_name, shown_name
from nas.assembly import NO_OBJECTS, Given, Parts, assemble, fix_architecture, space_of
from nas.config import RunConfig, read_yaml, seconds
from nas.core.errors import InvalidGenotype, UserError, unknown_name
from nas.core.evaluator import Assumption, Testable
from nas.core.genotype import Genotype
from nas.core.pareto import pareto_front, ranking
from nas.core.space import Condition, Conditionable, SearchSpace, Shape
from nas.core.trial import Objective, Trial
from nas.loop import Search, TimeLimit
from nas.study import JOURNAL, Study, write_atomically

if TYPE_CHECKING:
    from torch import nn

    from evaluators.domains import DomainPair
    from evaluators.images import ImageData

log = logging.getLogger(__name__)


def _recorded(study: Study) -> tuple[Assumption, ...] | None:
    noted = study.notes.get("assumptions")
    return None if noted is None else tuple(Assumption(site, tuple(values), why) for site, values, why in noted)


def start(
    config: RunConfig,
    *,
    given: Given = NO_OBJECTS,
    progress: Callable[[Run, Search], Callable[[Trial], None]] | None = None,
) -> Run:
    """Search as configured, in a new folder, and export the best.

    Args:
        progress: called once before the first trial; what it gives is called with every trial that ended.

    Raises:
        UserError: bad input; nothing has been written.
        KeyboardInterrupt: stopped by the user; what is finished is kept, and `resume` goes on.
    """
    source = config.from_
    if source is not None:
        genotype = given.genotype or genotype_from(source, config.runs_dir)
        config = fix_architecture(config, genotype, given)
    parts = assemble(config, given)
    names = {"dataset": config.dataset, "dataset_b": config.dataset_b}
    absolute = {option: None if name is None else absolute_name(name) for option, name in names.items()}
    config = config.model_copy(update={"epochs": parts.epochs, **absolute})
    if config.runs_dir.exists() and not config.runs_dir.is_dir():
        raise UserError("--runs-dir", str(config.runs_dir), "a folder", why="is a file")
    parts.strategy(parts.space)  # options that do not fit are refused before a folder is made
    path = config.runs_dir / (config.name or _free_name(config))
    environment = json.dumps(_environment(parts.device), indent=2, sort_keys=True) + "\n"
    files = {"config.yaml": config.to_yaml(), "environment.json": environment}
    study = Study.create(path, parts.space, parts.objectives, files)
    run = Run(study, config, parts)
    try:
        run.remember_data()
        if source is not None:
            study.note("from", source)
        return run.search(progress)
    finally:
        study.close()


def resume(
    path: Path,
    *,
    trials: int | None = None,
    given: Given = NO_OBJECTS,
    progress: Callable[[Run, Search], Callable[[Trial], None]] | None = None,
) -> Run:
    """Go on with a run that was interrupted, or that shall have more trials.

    Args:
        trials: the new number of trials in all; by default what the run was last asked for.

    Raises:
        UserError: no such run, it is in use, or its data has changed.
        ReplayMismatch: the strategy no longer proposes what it did.
    """
    config = _config_of(path)
    if trials is not None:
        trials = RunConfig.checked({"trials": trials}).trials
    study = Study.reopen(path)
    try:
        parts = assemble(config, given, _recorded(study))
        study.space = parts.space
        recorded = study.notes.get("data")
        if recorded not in (None, found := _fingerprint(parts.data)):
            raise UserError(
                "RUN",
                str(path),
                f"the data it began with ({recorded})",
                why=f"{' and '.join(_data_sets(config))} is now {found}",
            )
        if trials is not None:
            done = len(study.trials(parts.objectives))
            if trials < done:
                raise UserError("--trials", trials, f"{done} or more", why=f"{done} trials were begun already")
            study.note("trials", trials)
        run = Run(study, config, parts)
        run.remember_data()
        return run.search(progress)
    finally:
        study.close()


def _config_of(path: Path) -> RunConfig:
    if not (path / JOURNAL).is_file() or not (path / "config.yaml").is_file():
        raise UserError("RUN", str(path), "the folder of a run (nas list shows them)", why="is not a run")
    path = path.resolve()
    config = RunConfig.checked(read_yaml(path / "config.yaml"), source=str(path / "config.yaml"))
    return config.model_copy(update={"name": path.name, "runs_dir": path.parent})  # wherever it was copied to


def open_run(path: Path | str) -> Run:
    """An existing run, to look at.

    Raises:
        UserError: there is no run at `path`.
    """
    path = Path(path)
    config = _config_of(path)
    return Run(Study.read(path), config, None)


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


def genotype_from(source: str, runs_dir: Path) -> Genotype:
    """The genotype that ``--from`` names: a file's, or that of RUN:TRIAL, by default of the run's best.

    Raises:
        UserError: there is no such file, run or trial, or what is there is no genotype.
    """
    try:
        if Path(source).is_file():
            return Genotype.parse(Path(source).read_text(encoding="utf-8"))
        run, colon, number = source.rpartition(":")
        if not colon or not number.isdecimal() or (runs_dir / source).is_dir() or Path(source).is_dir():
            return open_run(find_run(source, runs_dir)).best.genotype
        return open_run(find_run(run, runs_dir)).candidate(int(number)).genotype
    except (InvalidGenotype, UnicodeDecodeError) as error:
        why = f"is no genotype: {error}"
        raise UserError("--from", source, "a file that nas show RUN --genotype has printed", why=why) from None
    except UserError as error:
        allowed = f"{error.allowed}; or the file of a genotype"
        raise UserError("--from", source, allowed, why=error.why or f"there is no trial {error.value}") from None


class Candidate:
    """One trial of a run, and what can be made of it."""

    def __init__(self, run: Run, trial: Trial) -> None:
        self.run, self.trial = run, trial

    @property
    def number(self) -> int:
        """Its number within the run."""
        return self.trial.number

    @property
    def genotype(self) -> Genotype:
        """What it is."""
        return self.trial.genotype

    @property
    def metrics(self) -> Mapping[str, float]:
        """Its metrics on the validation part after its last epoch."""
        return self.trial.metrics

    @property
    def description(self) -> str:
        """One line that says what the architecture is."""
        return self.run.space.describe(self.genotype, self.run.shape)

    def model(self) -> nn.Module:
        """The trained module, in evaluation mode.

        Raises:
            UserError: its weights were not kept.
        """
        from safetensors.torch import load_file

        path = self.run.study.weights_path(self.number)
        if not path.is_file():
            kept = [trial.number for trial in self.run.trials if self.run.study.weights_path(trial.number).is_file()]
            raise UserError(
                "--trial",
                self.number,
                ", ".join(map(str, kept)) or "nothing: none were kept",
                why="has no weights",
            )
        model = self.run.space.build(self.genotype, self.run.shape)
        model.load_state_dict(load_file(path))
        return model.eval()

    def test(self) -> dict[str, float]:
        """The metrics of quality on the test part."""
        evaluator: Any = self.run.parts.evaluator
        tested: dict[str, float] = evaluator.test(self.genotype, self.model(), self.trial.seed)
        return tested


class Run:
    """A run's folder, its configuration and its trials."""

    def __init__(self, study: Study, config: RunConfig, parts: Parts | None) -> None:
        self.study, self.config, self._parts = study, config, parts
        self.exhausted = False

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.study.path

    @functools.cached_property
    def parts(self) -> Parts:
        """Space, data and evaluator; loaded when first needed."""
        return self._parts or assemble(self.config, assumed=_recorded(self.study))

    @property
    def space(self) -> SearchSpace:
        """The space, not narrowed unless the run's parts are loaded: looking at a run needs no data."""
        if self._parts is not None:
            return self._parts.space
        space = space_of(self.config)
        if isinstance(space, Conditionable):
            recorded = self.study.notes.get("condition")
            return space.conditioned(None if recorded is None else Condition(*recorded))
        return space

    @property
    def shape(self) -> Shape:
        """Channels, height and width of its images."""
        recorded = self.study.notes.get("shape")
        return tuple(recorded) if recorded is not None else self.parts.data.shape

    def remember_data(self) -> None:
        """Note what the data is, so that it can be recognised, and looked at no more than needed."""
        self.study.note("data", _fingerprint(self.parts.data))
        self.study.note("shape", list(self.parts.data.shape))
        condition = self.parts.data.condition
        self.study.note("condition", None if condition is None else [condition.kind, condition.size])
        self.study.note("assumptions", [[a.site, list(a.values), a.reason] for a in self.parts.assumptions])

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What is optimised."""
        pairs = zip(self.study.objective_names, self.study.directions, strict=True)
        return tuple(Objective(name, direction) for name, direction in pairs)

    @property
    def objective(self) -> Objective:
        """What is optimised before all else: the first objective."""
        return self.objectives[0]

    @property
    def trials(self) -> list[Trial]:
        """Every trial so far, by number; one that runs, or ran when its process was killed, has no outcome."""
        return self.study.trials(self.objectives)

    @property
    def target(self) -> int:
        """How many trials the run was last asked for."""
        return int(self.study.notes.get("trials", self.config.trials))

    def ranked(self) -> list[Trial]:
        """The trials that succeeded, the best first: by non-dominated front, then by the first objective."""
        return _ranked([trial for trial in self.trials if trial.outcome is not None and trial.outcome.scored])

    def front(self) -> list[Trial]:
        """The trials that no other dominates, the best in the first objective first."""
        ranked = self.ranked()
        return [ranked[index] for index in pareto_front([trial.losses for trial in ranked])]

    @property
    def best(self) -> Candidate:
        """The best trial.

        Raises:
            UserError: none has succeeded.
        """
        return self.candidate(None)

    def candidate(self, number: int | None) -> Candidate:
        """The trial of this number; by default the one that the strategy recommends, or the best.

        Raises:
            UserError: there is none.
        """
        trials = self.trials
        ranked = self.ranked()
        if number is None:
            if not ranked:
                raise UserError("RUN", str(self.path), "a run with a trial that succeeded", why="no trial succeeded")
            recommended = self.study.notes.get("recommended")
            ended = sum(trial.outcome is not None for trial in trials)
            if recommended is None or recommended["after"] != ended:  # trials have ended since
                return Candidate(self, ranked[0])
            return Candidate(self, next((t for t in ranked if t.number == recommended["number"]), ranked[0]))
        if not 0 <= number < len(trials):
            raise UserError("--trial", number, f"0 to {len(trials) - 1}" if trials else "nothing: there are no trials")
        return Candidate(self, trials[number])

    def counts(self) -> dict[str, int]:
        """How many trials ended how; supernets where there were any."""
        outcomes = [trial.outcome for trial in self.trials if trial.outcome is not None]
        counts = {
            "complete": sum(o.kind == "complete" for o in outcomes),
            "pruned": sum(o.kind == "stopped" for o in outcomes),
            "failed": sum(o.failed for o in outcomes),
        }
        supernets = sum(o.kind == "supernet" for o in outcomes)
        return counts | {"supernets": supernets} if supernets else counts

    def search(self, progress: Callable[[Run, Search], Callable[[Trial], None]] | None = None) -> Run:
        """Run the search to its end, then test and export the best; see `start` and `resume`."""
        parts, config = self.parts, self.config
        search = Search(
            parts.space,
            parts.strategy(parts.space),
            parts.objectives,
            self.study,
            seed=config.seed,
            trials=self.target,
            history=self.study.history(parts.objectives),
            max_failures=config.max_failures,
            limit=TimeLimit(None if config.time_limit is None else seconds(config.time_limit)),
        )
        shown = progress(self, search) if progress is not None else None

        kept: list[Trial] = []

        def keep(trial: Trial) -> None:
            if config.keep_weights is None:
                return
            kept[:] = _ranked([*kept, trial])
            if len(kept) > config.keep_weights:
                self.study.weights_path(kept.pop().number).unlink(missing_ok=True)

        for earlier in search.ended:
            keep(earlier)

        def ended(trial: Trial) -> None:
            keep(trial)
            if shown is not None:
                shown(trial)

        began = time.monotonic()
        try:
            parts.executor.run(search, parts.evaluator, ended)
        except KeyboardInterrupt:
            self.study.interrupted()
            raise
        finally:
            before = self.study.notes.get("seconds", 0.0)
            self.study.note("seconds", round(before + time.monotonic() - began, 3))
        self.exhausted = search.exhausted
        if search.best is not None:
            self.study.note("recommended", {"number": search.best.number, "after": len(search.ended)})
            self._finish(self.candidate(None))
        self.study.note("finished", len(search.ended))
        return self

    def _finish(self, best: Candidate) -> None:
        whole = isinstance(self.parts.evaluator, Testable) and self.study.weights_path(best.number).is_file()
        if whole and not self.tested:
            self.study.note("test", {"number": best.number, "metrics": best.test()})
        self.report()
        if whole:
            self.export(best)
        else:
            evaluator = type(self.parts.evaluator).__name__
            log.warning("no model is exported: %s brings no weights, or has no test and deliverables", evaluator)

    @property
    def tested(self) -> dict[str, float]:
        """The best trial's metrics on the test part, measured once at the end of the search; empty before."""
        tested = self.study.notes.get("test")
        if tested is None or tested["number"] != self.best.number:
            return {}
        metrics: dict[str, float] = tested["metrics"]
        return metrics

    @property
    def model_folder(self) -> Path | None:
        """Where the exported best model is; None before it has been."""
        folder = self.path / "best"
        return folder if self.finished and folder.is_dir() else None

    @property
    def finished(self) -> bool:
        """Whether the search came to its end, and nothing was begun since."""
        return bool(self.study.notes.get("finished") == sum(self.counts().values()))

    @property
    def data_name(self) -> str:
        """The data set's name, or both sets' names, of a path its last part alone."""
        return " and ".join(shown_name(name) for name in _data_sets(self.config))

    def export(
        self,
        candidate: Candidate | None = None,
        *,
        directory: Path | None = None,
        formats: tuple[str, ...] | None = None,
        part: str | None = None,
    ) -> Path:
        """Write a trial's model as a folder that runs without us; by default the best into ``best/``.

        Args:
            part: of a model that has several (a GAN's ``discriminator``); None for the one that is usually wanted.

        Raises:
            UserError: its weights were not kept, it has no such part, or the folder holds something else.
            ExportMismatch: a format's outputs differ from the model's.
        """
        from nas.export import FORMATS
        from nas.export.folder import export_model
        from nas.report.card import card_of

        best = self.candidate(None)
        candidate = candidate or best
        evaluator: Any = self.parts.evaluator
        deliverables = evaluator.deliverables(candidate.genotype, candidate.model())
        usual = next(iter(deliverables))
        part = part or usual
        if part not in deliverables:
            raise unknown_name("--part", part, deliverables)
        if directory is None:
            directory = self.path / ("best" if candidate.number == best.number else f"export-{candidate.number:04d}")
            if part != usual:
                directory = directory.with_name(f"{directory.name}-{part}")
        export_model(deliverables[part], directory, card=card_of(candidate), formats=formats or FORMATS)
        return directory

    def export_front(self, *, directory: Path | None = None, formats: tuple[str, ...] | None = None) -> list[Path]:
        """Write the model of every member of the front whose weights were kept, each as a folder of its own.

        Args:
            directory: what the folders ``trial-0007`` are made in; by default each goes where `export` puts it.

        Raises:
            UserError: the run has one objective, or no member's weights were kept.
            ExportMismatch: a format's outputs differ from the model's.
        """
        if len(self.objectives) == 1:
            allowed = "runs with several --objective"
            raise UserError("--front", self.path.name, allowed, why=f"{self.objective.name} is its only objective")
        front = self.front()
        if not front:
            raise UserError("RUN", str(self.path), "a run with a trial that succeeded", why="no trial succeeded")
        kept = [trial for trial in front if self.study.weights_path(trial.number).is_file()]
        if not kept:
            raise UserError("--front", self.path.name, "runs that keep weights", why="no member's weights were kept")
        for trial in front:
            if trial not in kept:
                log.warning("trial %d of the front is left out: its weights were not kept", trial.number)
        return [
            self.export(
                Candidate(self, trial),
                directory=None if directory is None else directory / f"trial-{trial.number:04d}",
                formats=formats,
            )
            for trial in kept
        ]

    def report(self) -> Path:
        """Draw the run as a page: ``report.html`` in its folder."""
        from nas.report.html import render

        path = self.path / "report.html"
        write_atomically(path, render(self).encode(errors="replace"))
        return path


def _ranked(trials: Sequence[Trial]) -> list[Trial]:
    by_number = sorted(trials, key=lambda trial: trial.number)
    return [by_number[index] for index in ranking([trial.losses for trial in by_number])]


def runs_in(directory: Path) -> list[Path]:
    """The folders of runs in a directory, by name."""
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if (path / JOURNAL).is_file() and not path.name.startswith("."))


def _data_sets(config: RunConfig) -> list[str]:
    return [config.dataset] if config.dataset_b is None else [config.dataset, config.dataset_b]


def _free_name(config: RunConfig) -> str:
    data = "-".join(_plain(name.rpartition("/")[2]) or "data" for name in _data_sets(config))
    strategy = _plain(config.strategy.rpartition(":")[2]) or "strategy"
    stem = f"{data[:40]}-{strategy[:40]}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    taken = {path.name for path in runs_in(config.runs_dir)}
    return next(name for n in range(1, 1000) if (name := stem if n == 1 else f"{stem}-{n}") not in taken)


def _plain(text: str) -> str:
    """A text as part of a run's name: letters, digits and dashes."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def _fingerprint(data: ImageData | DomainPair) -> str:
    digest = hashlib.sha256()
    for part in (part for domain in data.domains for part in (domain.train, domain.validation, domain.test)):
        digest.update(str(tuple(part.images.shape)).encode())
        digest.update(part.images.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


_PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "optuna",
    "torchmetrics",
    "safetensors",
    "onnx",
    "onnxruntime",
    "nas-generative",
)


def _environment(device: str) -> dict[str, Any]:
    import torch

    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
