"""A run: what was asked for, put together from its parts, searched, and looked at afterwards."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas import registry
from nas.config import RunConfig, read_yaml, seconds
from nas.core.errors import UserError, unknown_name
from nas.core.evaluator import Assumption, Evaluator
from nas.core.genotype import Genotype
from nas.core.space import Restrictable, SearchSpace, Shape
from nas.core.strategy import Strategy
from nas.core.trial import Objective, Trial
from nas.loop import Search, TimeLimit
from nas.study import JOURNAL, Study, write_atomically

if TYPE_CHECKING:
    from torch import nn

    from evaluators.images import ImageData

log = logging.getLogger(__name__)
DEFAULT_EPOCHS = 4


@dataclass(frozen=True)
class Parts:
    """What a configuration stands for. The Python interface may give any of these itself."""

    space: SearchSpace
    evaluator: Evaluator
    data: ImageData
    objectives: tuple[Objective, ...]
    assumptions: tuple[Assumption, ...]
    strategy: Callable[[SearchSpace], Strategy]
    executor: Any
    device: str


@dataclass(frozen=True)
class Given:
    """Objects that a caller passes instead of names."""

    space: SearchSpace | None = None
    data: ImageData | None = None
    strategy: Callable[..., Strategy] | None = None
    evaluator: Callable[..., Evaluator] | None = None


def assemble(config: RunConfig, given: Given = Given()) -> Parts:
    """Everything that a search needs.

    Raises:
        UserError: a name that is unknown, or parts that do not fit each other.
    """
    executor = registry.load("executor", config.executor)()
    space: SearchSpace = given.space or registry.load("space", config.space)()
    strategy = given.strategy or registry.load("strategy", config.strategy)
    if given.strategy is None:  # options are checked before data is loaded
        unknown = set(config.set) - set(registry.options(strategy))
        if unknown:
            raise unknown_name(f"--set ({config.strategy})", min(unknown), registry.options(strategy))
    space = _narrowed(space, config)
    device = _device(config.device)
    data = given.data or _data(config)
    evaluator_class = given.evaluator or _evaluator_class(config, space)
    evaluator: Evaluator = evaluator_class(space, data, epochs=config.epochs or DEFAULT_EPOCHS, device=device)
    name = config.objective[0] if config.objective else next(iter(evaluator.objectives))
    if name not in evaluator.objectives:
        raise unknown_name("--objective", name, evaluator.objectives)
    space, assumed = _assume(space, evaluator, name, config)
    if assumed:
        evaluator = evaluator_class(space, data, epochs=config.epochs or DEFAULT_EPOCHS, device=device)

    def make(of: SearchSpace) -> Strategy:
        if given.strategy is not None:
            return given.strategy(of, seed=config.seed, trials=config.trials, **config.set)
        return registry.make_strategy(config.strategy, of, seed=config.seed, trials=config.trials, given=config.set)

    return Parts(space, evaluator, data, (evaluator.objectives[name],), assumed, make, executor, device)


def _narrowed(space: SearchSpace, config: RunConfig) -> SearchSpace:
    for option, wanted in (
        ("--restrict", {site: tuple(values) for site, values in config.restrict.items()}),
        ("--pin", {site: (value,) for site, value in config.pin.items()}),
    ):
        if not wanted:
            continue
        if not isinstance(space, Restrictable):
            raise UserError(option, next(iter(wanted)), "nothing: this space cannot be narrowed")
        space = space.restrict(wanted, option)
    return space


def _assume(
    space: SearchSpace, evaluator: Evaluator, objective: str, config: RunConfig
) -> tuple[SearchSpace, tuple[Assumption, ...]]:
    """Restrict what the objective needs restricted and the user has said nothing about."""
    assumptions = getattr(evaluator, "assumptions", None)
    if assumptions is None or not isinstance(space, Restrictable):
        return space, ()
    made = []
    for assumption in assumptions(objective):
        choice = space.choices().get(assumption.site)
        if assumption.site in config.pin or assumption.site in config.restrict or choice is None:
            continue
        values = tuple(value for value in choice.values if value in assumption.values)
        if not values or values == choice.values:
            continue
        space = space.restrict({assumption.site: values}, "--objective")
        made.append(Assumption(assumption.site, values, assumption.reason))
    return space, tuple(made)


def _evaluator_class(config: RunConfig, space: SearchSpace) -> Callable[..., Evaluator]:
    name = config.evaluator or registry.EVALUATOR_OF.get(space.name, "autoencoder")
    loaded: Callable[..., Evaluator] = registry.load("evaluator", name)
    return loaded


def _data(config: RunConfig) -> ImageData:
    from evaluators.data import load_data

    return load_data(
        config.dataset,
        seed=config.seed,
        train_size=config.train_size,
        image_size=config.image_size,
        data_dir=config.data_dir,
        strict=config.strict,
    )


def _device(wanted: str) -> str:
    import torch

    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise UserError("--device", "cuda", "auto, cpu", why="PyTorch finds no CUDA device here")
    return "cuda" if available and wanted != "cpu" else "cpu"


def start(
    config: RunConfig,
    *,
    given: Given = Given(),
    progress: Callable[[Run, Search], Callable[[Trial], None]] | None = None,
) -> Run:
    """Search as configured, in a new folder, and export the best.

    Args:
        progress: called once before the first trial; what it gives is called with every trial that ended.

    Raises:
        UserError: bad input; nothing has been written.
        KeyboardInterrupt: stopped by the user; what is finished is kept, and `resume` goes on.
    """
    parts = assemble(config, given)
    config = config.model_copy(update={"epochs": config.epochs or DEFAULT_EPOCHS})
    parts.strategy(parts.space)  # options that do not fit are refused before a folder is made
    path = config.runs_dir / (config.name or _free_name(config))
    environment = json.dumps(_environment(parts.device), indent=2, sort_keys=True) + "\n"
    files = {"config.yaml": config.to_yaml(), "environment.json": environment}
    study = Study.create(path, parts.space, parts.objectives, files)
    run = Run(study, config, parts)
    try:
        run.remember_data()
        return run.search(progress)
    finally:
        study.close()


def resume(
    path: Path,
    *,
    trials: int | None = None,
    given: Given = Given(),
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
    parts = assemble(config, given)
    study = Study.reopen(path, parts.space)
    try:
        recorded = study.notes.get("data")
        if recorded not in (None, found := _fingerprint(parts.data)):
            raise UserError(
                "RUN",
                str(path),
                f"the data it began with ({recorded})",
                why=f"{config.dataset} is now {found}",
            )
        if trials is not None:
            study.note("trials", trials)
        run = Run(study, config, parts)
        run.remember_data()
        return run.search(progress)
    finally:
        study.close()


def _config_of(path: Path) -> RunConfig:
    if not (path / JOURNAL).is_file() or not (path / "config.yaml").is_file():
        raise UserError("RUN", str(path), "the folder of a run (nas list shows them)", why="is not a run")
    options = read_yaml(path / "config.yaml") | {"name": path.name, "runs_dir": path.parent}
    return RunConfig.checked(options, source=str(path / "config.yaml"))


def open_run(path: Path | str) -> Run:
    """An existing run, to look at.

    Raises:
        UserError: there is no run at `path`.
    """
    path = Path(path)
    return Run(Study.read(path), _config_of(path), None)


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
        return self._parts or assemble(self.config)

    @property
    def space(self) -> SearchSpace:
        """The space, not narrowed unless the run's parts are loaded: looking at a run needs no data."""
        if self._parts is not None:
            return self._parts.space
        space: SearchSpace = registry.load("space", self.config.space)()
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

    @property
    def objective(self) -> Objective:
        """What is optimised."""
        name = self.study.objective_names[0]
        return Objective(name, self.study.directions[0])

    @property
    def trials(self) -> list[Trial]:
        """Every trial so far, by number; one that runs, or ran when its process was killed, has no outcome."""
        return self.study.trials((self.objective,))

    @property
    def target(self) -> int:
        """How many trials the run was last asked for."""
        return int(self.study.notes.get("trials", self.config.trials))

    def ranked(self) -> list[Trial]:
        """The trials that succeeded, the best first."""
        good = [trial for trial in self.trials if trial.outcome is not None and not trial.outcome.failed]
        return sorted(good, key=lambda trial: (trial.losses[0], trial.number))

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
            recommended = self.study.notes.get("recommended", ranked[0].number)
            return Candidate(self, next((t for t in ranked if t.number == recommended), ranked[0]))
        if not 0 <= number < len(trials):
            raise UserError("--trial", number, f"0 to {len(trials) - 1}" if trials else "nothing: there are no trials")
        return Candidate(self, trials[number])

    def counts(self) -> dict[str, int]:
        """How many trials ended how."""
        outcomes = [trial.outcome for trial in self.trials if trial.outcome is not None]
        return {
            "complete": sum(o.kind == "complete" for o in outcomes),
            "pruned": sum(o.kind == "stopped" for o in outcomes),
            "failed": sum(o.failed for o in outcomes),
        }

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

        def ended(trial: Trial) -> None:
            if config.keep_weights is not None:
                self._discard_weights(config.keep_weights, search)
            if shown is not None:
                shown(trial)

        began = time.monotonic()
        try:
            parts.executor.run(search, parts.evaluator, ended)
        finally:
            before = self.study.notes.get("seconds", 0.0)
            self.study.note("seconds", round(before + time.monotonic() - began, 3))
        self.exhausted = search.exhausted
        if search.best is not None:
            self.study.note("recommended", search.best.number)
            self._finish(self.candidate(None))
        return self

    def _discard_weights(self, keep: int, search: Search) -> None:
        ranked = sorted(search.ended, key=lambda trial: (trial.losses[0], trial.number))
        for trial in ranked[keep:]:
            self.study.weights_path(trial.number).unlink(missing_ok=True)

    def _finish(self, best: Candidate) -> None:
        tested = self.study.notes.get("test")
        if tested is None or tested["number"] != best.number:
            self.study.note("test", {"number": best.number, "metrics": best.test()})
        self.report()
        self.export(best)

    @property
    def tested(self) -> dict[str, float]:
        """The best trial's metrics on the test part, measured once at the end of the search; empty before."""
        tested = self.study.notes.get("test")
        metrics: dict[str, float] = tested["metrics"] if tested else {}
        return metrics

    def export(
        self,
        candidate: Candidate | None = None,
        *,
        directory: Path | None = None,
        formats: tuple[str, ...] | None = None,
    ) -> Path:
        """Write a trial's model as a folder that runs without us; by default the best into ``best/``.

        Raises:
            UserError: its weights were not kept, or the folder holds something else.
            ExportMismatch: a format's outputs differ from the model's.
        """
        from nas.export import FORMATS
        from nas.export.folder import export_model
        from nas.report.card import card_of

        best = self.candidate(None)
        candidate = candidate or best
        if directory is None:
            directory = self.path / ("best" if candidate.number == best.number else f"export-{candidate.number:04d}")
        evaluator: Any = self.parts.evaluator
        export_model(
            candidate.model(),
            evaluator.samples().images,
            directory,
            card=card_of(candidate),
            formats=formats or FORMATS,
        )
        return directory

    def report(self) -> Path:
        """Draw the run as a page: ``report.html`` in its folder."""
        from nas.report.html import render

        path = self.path / "report.html"
        write_atomically(path, render(self).encode())
        return path


def runs_in(directory: Path) -> list[Path]:
    """The folders of runs in a directory, by name."""
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if (path / JOURNAL).is_file() and not path.name.startswith("."))


def _free_name(config: RunConfig) -> str:
    data = "".join(c if c.isalnum() else "-" for c in config.dataset.rpartition("/")[2].lower()).strip("-") or "data"
    strategy = config.strategy.rpartition(":")[2].lower()
    stem = f"{data[:40]}-{strategy}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    taken = {path.name for path in runs_in(config.runs_dir)}
    return next(name for n in range(1, 1000) if (name := stem if n == 1 else f"{stem}-{n}") not in taken)


def _fingerprint(data: ImageData) -> str:
    digest = hashlib.sha256()
    for part in (data.train, data.validation, data.test):
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
