"""One run's folder and the Optuna study in it: the only record of what happened."""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import json
import math
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import filelock
import optuna
from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta, upload_artifact
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from nas.core.errors import RunInUse, UserError
from nas.core.evaluator import CHECKPOINT, WEIGHTS
from nas.core.genotype import Genotype
from nas.core.space import SearchSpace, Traceable
from nas.core.supernet import Supernet
from nas.core.trial import Direction, Measurement, Objective, Outcome, Portion, Proposal, Trial, curve_of
from nas.loop import Event

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

STUDY_NAME = "search"
JOURNAL = "study.journal"
_RESTARTS = "restarts"
_FOLDERS = {WEIGHTS: "weights", CHECKPOINT: "checkpoints"}
_RETRIES = "retries"
_END = 6  # the journal's operation that sets a trial's state, which `told` alone does
_METRIC_NAMES = "study:metric_names"  # where Optuna's Study.set_metric_names, which is experimental, puts them
# Optuna's best must see neither a supernet, which is no candidate, nor a score with a supernet's weights
_STATES = {"complete": TrialState.COMPLETE} | dict.fromkeys(("stopped", "shared", "supernet"), TrialState.PRUNED)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all, also after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back while the journal is written: in there they could leave its lock behind."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread alone
        return
    held: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda received, frame: held.append(received))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        if held:
            signal.raise_signal(held[0])


def in_use(path: Path) -> bool:
    """Whether a process owns the run in this folder now."""
    lock = filelock.FileLock(path / ".lock", timeout=0)
    try:
        with lock:
            return False
    except filelock.Timeout:
        return True
    except OSError:  # a folder that cannot be written to is owned by nobody
        return False


def tells_an_end(lines: bytes) -> bool:
    """Whether lines of a journal, the last perhaps a half, tell that a trial has ended."""
    for line in lines.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("op_code") == _END:
            return True
    return False


class Study:
    """The record of one run: opened for reading by anyone, for writing by one process.

    A trial is an Optuna trial: its decisions are parameters, the first objective its intermediate values, and
    the rest user attributes. ``asked`` and ``told`` number the asks and tells in the order they happened.

    Attributes:
        space: what the decisions of further trials are decisions of.
    """

    def __init__(self, path: Path, space: SearchSpace | None, *, lock: filelock.BaseFileLock | None) -> None:
        self.path, self.space, self._lock = path, space, lock
        self._storage: BaseStorage = JournalStorage(JournalFileBackend(str(path / JOURNAL)))
        self._artifacts = FileSystemArtifactStore(path / "artifacts")
        self._trial_ids: dict[int, int] = {}
        self._latest_artifacts: dict[int, dict[str, bytes]] = {}
        self._before_restart: dict[int, int] = {}  # the last epoch that earlier sessions measured

    # -- opening

    @classmethod
    def create(
        cls, path: Path, space: SearchSpace, objectives: tuple[Objective, ...], files: Mapping[str, str]
    ) -> Self:
        """A new run at `path`, owned by this process, with these text files in it.

        The folder is made under another name and moved into place: a run is there whole or not at all.

        Raises:
            UserError: something is at `path` already.
        """
        exists = UserError("--name", path.name, f"a name that is not in {path.parent} yet", why="this run exists")
        if path.exists():
            raise exists
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        try:
            folder.chmod(0o755)
            (folder / "artifacts").mkdir()
            for name, text in files.items():
                (folder / name).write_text(text)
            storage = JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
            directions = [optuna.study.StudyDirection[objective.direction.upper()] for objective in objectives]
            identifier = storage.create_new_study(directions, STUDY_NAME)
            names = [objective.name for objective in objectives]
            storage.set_study_user_attr(identifier, "objectives", names)
            storage.set_study_system_attr(identifier, _METRIC_NAMES, names)
            try:
                folder.rename(path)
            except OSError as error:
                if path.exists():
                    raise exists from error
                raise
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return cls(path, space, lock=_own(path))

    @classmethod
    def reopen(cls, path: Path, space: SearchSpace | None = None) -> Self:
        """An existing run, owned by this process from now on; what a killed owner left half done is undone.

        Raises:
            RunInUse: another process owns it.
        """
        lock = _own(path)
        (path / "artifacts").mkdir(exist_ok=True)  # an empty folder is lost where a run is copied file by file
        _repair(path / JOURNAL)
        return cls._opened(path, space, lock)

    @classmethod
    def read(cls, path: Path) -> Self:
        """An existing run, to look at.

        Raises:
            UserError: its study cannot be read.
        """
        return cls._opened(path, None, None)

    @classmethod
    def _opened(cls, path: Path, space: SearchSpace | None, lock: filelock.BaseFileLock | None) -> Self:
        try:
            study = cls(path, space, lock=lock)
            _ = study.objective_names, study._frozen()
        except (KeyError, ValueError, TypeError) as error:  # what Optuna says to a journal that makes no sense
            if lock is not None:
                lock.release()
            why = f"its study cannot be read ({' '.join(str(error).split())})"
            raise UserError("RUN", str(path), "a run with its whole study.journal", why=why) from None
        return study

    def in_use(self) -> bool:
        """Whether a process owns the run now."""
        return in_use(self.path)

    @property
    def owned(self) -> bool:
        """Whether this very object may write."""
        return self._lock is not None and self._lock.is_locked

    def close(self) -> None:
        """Give the run free to other processes."""
        if self._lock is not None:
            self._lock.release()

    # -- writing: nas.loop.Record

    @property
    def _study_id(self) -> int:
        return self._storage.get_study_id_from_name(STUDY_NAME)

    @_undisturbed()
    def note(self, name: str, value: Any) -> None:
        """Remember something of the run as a whole; `value` is JSON."""
        self._storage.set_study_user_attr(self._study_id, name, value)

    @_undisturbed()
    def asked(self, trial: Trial, event: int) -> None:
        """A trial begins: one entry in the journal, so that it is there whole or not at all."""
        attributes = {
            "genotype": trial.genotype.text,
            "genotype_id": trial.genotype.id,
            "parents": list(trial.proposal.parents),
            "origin": trial.proposal.origin,
            "seed": trial.seed,
            "asked": event,
        }
        if trial.proposal.supernet is not None:
            attributes["supernet"] = dataclasses.asdict(trial.proposal.supernet)
        if trial.proposal.portion is not None:
            attributes["portion"] = dataclasses.asdict(trial.proposal.portion)
        if trial.proposal.shares is not None:
            attributes["shares"] = trial.proposal.shares
        if trial.proposal.prune is not None:
            attributes["prune"] = trial.proposal.prune
        parameters, distributions = self._parameters(trial.genotype)
        template = FrozenTrial(
            number=-1,
            state=TrialState.RUNNING,
            value=None,
            datetime_start=datetime.now(),
            datetime_complete=None,
            params=parameters,
            distributions=distributions,
            user_attrs=attributes,
            system_attrs={},
            intermediate_values={},
            trial_id=-1,
        )
        identifier = self._storage.create_new_trial(self._study_id, template_trial=template)
        self._trial_ids[trial.number] = identifier

    def _parameters(self, genotype: Genotype) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
        if not isinstance(self.space, Traceable):
            return {}, {}
        parameters, distributions = {}, {}
        for decision in self.space.trace(genotype):
            parameters[decision.choice.site] = decision.value
            distributions[decision.choice.site] = CategoricalDistribution(decision.choice.values)
        return parameters, dict(distributions)

    @_undisturbed()
    def measured(self, trial: Trial, measurement: Measurement) -> None:
        """Another epoch is done: the first objective is reported to the study."""
        value = measurement.metrics.get(self.objective_names[0])
        if value is not None:
            identifier = self._trial_id(trial.number)
            if measurement.epoch > self._before_restart.get(trial.number, math.inf):  # it has come further than ever
                self._storage.set_trial_user_attr(identifier, _RESTARTS, 0)
                del self._before_restart[trial.number]
            self._storage.set_trial_intermediate_value(identifier, measurement.epoch, value)
        kept = self._latest_artifacts.setdefault(trial.number, {})
        kept.update(measurement.artifacts)

    @_undisturbed()
    def told(self, trial: Trial, event: int) -> None:
        """A trial has ended. Its state is written last: what is killed before has not ended."""
        assert trial.outcome is not None
        identifier = self._trial_id(trial.number)
        self._keep(trial, identifier)
        epochs = [{"epoch": m.epoch, **m.metrics} for m in trial.measurements]
        attributes: dict[str, Any] = {
            "told": event,
            "outcome": trial.outcome.kind,
            "reason": trial.outcome.reason,
        }
        if trial.proposal.supernet is not None:
            attributes["derived"] = [[genotype.text for genotype in m.derived] for m in trial.measurements]
        own = {*attributes, "epochs", *self._storage.get_trial(identifier).user_attrs}
        metrics = {name: value for name, value in trial.metrics.items() if name not in own}  # those are in `epochs` too
        for name, value in (metrics | attributes | {"epochs": epochs}).items():
            self._storage.set_trial_user_attr(identifier, name, value)
        state = _STATES.get(trial.outcome.kind, TrialState.FAIL)
        values = None
        if trial.outcome.scored:
            values = [trial.metrics[name] for name in self.objective_names]
        self._storage.set_trial_state_values(identifier, state, values)

    @_undisturbed()
    def restarted(self, trial: Trial) -> int:
        """A trial that a killed session left running begins again; gives how often it has by now."""
        identifier = self._trial_id(trial.number)
        frozen = self._storage.get_trial(identifier)
        self._before_restart[trial.number] = max(frozen.intermediate_values, default=0)
        times = int(frozen.user_attrs.get(_RESTARTS, 0)) + 1
        self._storage.set_trial_user_attr(identifier, _RESTARTS, times)
        return times

    @_undisturbed()
    def retried(self, trial: Trial, reason: str) -> None:
        """A trial whose worker died begins again; why is kept with it."""
        identifier = self._trial_id(trial.number)
        reasons = self._storage.get_trial(identifier).user_attrs.get(_RETRIES, [])
        self._storage.set_trial_user_attr(identifier, _RETRIES, [*reasons, reason])
        self._latest_artifacts.pop(trial.number, None)

    @_undisturbed()
    def interrupted(self) -> None:
        """The user ends the session: the trials that run are not to blame for it."""
        for frozen in self._frozen():
            if not frozen.state.is_finished():
                # the restart to come makes it 0 again
                self._storage.set_trial_user_attr(frozen._trial_id, _RESTARTS, -1)

    def _keep(self, trial: Trial, identifier: int) -> None:
        for name, data in self._latest_artifacts.pop(trial.number, {}).items():
            if name in (WEIGHTS, CHECKPOINT):
                write_atomically(self.weights_path(trial.number, name), data)
                continue
            if self._artifact(identifier, name) == data:  # kept by a session that was killed before the trial's end
                continue
            with tempfile.TemporaryDirectory(dir=self.path / "artifacts", prefix=".") as folder:
                file = Path(folder) / name
                file.write_bytes(data)
                frozen = self._storage.get_trial(identifier)
                upload_artifact(
                    artifact_store=self._artifacts,
                    file_path=str(file),
                    study_or_trial=frozen,
                    storage=self._storage,
                )

    def _trial_id(self, number: int) -> int:
        if number not in self._trial_ids:
            self._trial_ids[number] = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
        return self._trial_ids[number]

    # -- reading

    @property
    def notes(self) -> Mapping[str, Any]:
        """What was remembered of the run as a whole."""
        return self._storage.get_study_user_attrs(self._study_id)

    @property
    def objective_names(self) -> list[str]:
        """The metrics that are optimised."""
        if not hasattr(self, "_objective_names"):
            self._objective_names: list[str] = list(self.notes["objectives"])
        return self._objective_names

    @property
    def directions(self) -> list[Direction]:
        """Whether each objective is minimised or maximised."""
        directions = self._storage.get_study_directions(self._study_id)
        return ["minimize" if d == optuna.study.StudyDirection.MINIMIZE else "maximize" for d in directions]

    def trials(self, objectives: tuple[Objective, ...]) -> list[Trial]:
        """Every trial so far, running ones included, by number."""
        return [_trial(frozen, objectives) for frozen in self._frozen()]

    def _frozen(self) -> list[FrozenTrial]:
        return self._storage.get_all_trials(self._study_id, deepcopy=False)

    def history(self, objectives: tuple[Objective, ...]) -> tuple[Event, ...]:
        """The asks and tells in their order, to be executed again."""
        events = []
        for frozen in self._frozen():
            trial = _trial(frozen, objectives)
            events.append(Event(frozen.user_attrs["asked"], "ask", trial))
            if frozen.state.is_finished():
                events.append(Event(frozen.user_attrs["told"], "tell", trial))
        return tuple(sorted(events, key=lambda event: event.number))

    def weights_path(self, number: int, name: str = WEIGHTS) -> Path:
        """Where a trial's weights are, if they were kept; or its checkpoint."""
        return self.path / "artifacts" / _FOLDERS[name] / f"{number:04d}.safetensors"

    def checkpoints(self) -> list[Path]:
        """The checkpoints that are kept, each named by its trial's number."""
        return sorted((self.path / "artifacts" / _FOLDERS[CHECKPOINT]).glob("[0-9]*.safetensors"))

    def picture(self, number: int) -> bytes | None:
        """A trial's picture as PNG; None if it has none."""
        return self._artifact(self._trial_id(number), "*.png")

    def _artifact(self, identifier: int, pattern: str) -> bytes | None:
        """The latest file of a trial whose name is like this; None if it has none."""
        frozen = self._storage.get_trial(identifier)
        for meta in reversed(get_all_artifact_meta(frozen, storage=self._storage)):
            if fnmatch.fnmatchcase(meta.filename, pattern):
                with self._artifacts.open_reader(meta.artifact_id) as reader:
                    return bytes(reader.read())
        return None

    def started_at(self) -> str:
        """When the first trial began, as ISO time; empty before."""
        begun = [frozen.datetime_start for frozen in self._frozen() if frozen.datetime_start]
        return min(begun).isoformat(timespec="seconds") if begun else ""


def _trial(frozen: FrozenTrial, objectives: tuple[Objective, ...]) -> Trial:
    attributes = frozen.user_attrs
    plan, portion = attributes.get("supernet"), attributes.get("portion")
    proposal = Proposal(
        Genotype(attributes["genotype"]),
        tuple(attributes["parents"]),
        origin=attributes["origin"],
        supernet=None if plan is None else Supernet.of(plan),
        portion=None if portion is None else Portion(**portion),
        shares=attributes.get("shares"),
        prune=attributes.get("prune"),
    )
    if not frozen.state.is_finished():
        reported = sorted(frozen.intermediate_values.items())
        running = tuple(Measurement(epoch, {objectives[0].name: value}) for epoch, value in reported)
        return Trial(frozen.number, proposal, attributes["seed"], running, curve=curve_of(running, objectives[0]))
    epochs = attributes["epochs"]
    derived = attributes.get("derived", [()] * len(epochs))
    measurements = tuple(
        Measurement(
            int(epoch["epoch"]),
            {name: value for name, value in epoch.items() if name != "epoch"},
            derived=tuple(map(Genotype, texts)),
        )
        for epoch, texts in zip(epochs, derived, strict=True)
    )
    outcome = Outcome(attributes["outcome"], attributes["reason"])
    if outcome.scored:
        losses = tuple(o.loss(measurements[-1].metrics[o.name]) for o in objectives)
    else:
        losses = tuple(float("inf") for _ in objectives)
    curve = curve_of(measurements, objectives[0])
    return Trial(frozen.number, proposal, attributes["seed"], measurements, outcome, losses, curve)


def _own(path: Path) -> filelock.BaseFileLock:
    lock = filelock.FileLock(path / ".lock", timeout=0.5)  # who looks whether it is taken takes it for an instant
    try:
        lock.acquire()
    except filelock.Timeout:
        raise RunInUse("RUN", str(path), "a run that no other process works on", why="is in use") from None
    return lock


def _repair(journal: Path) -> None:
    """Undo what a killed writer can leave behind: temporary files and folders, half a line at the journal's end, and
    the journal's own lock.

    Only the owner of the run may call this. A dashboard may hold the journal's lock for an instant, so a lock is
    taken away only if it stays.
    """
    run, artifacts = journal.parent, journal.parent / "artifacts"
    now = time.time()
    for leftover in [
        *(path for name in (".best.*", ".export-*") for path in run.glob(name) if now - path.stat().st_mtime > 600),
        *run.glob(".report.html.*"),
        *run.glob(".checkpoint.zip.*"),
        *artifacts.glob(".*"),
        *(path for folder in _FOLDERS.values() for path in (artifacts / folder).glob(".*")),
    ]:  # a young export may be another process's, at work
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()
    stale = journal.with_name(journal.name + ".lock")
    if os.path.lexists(stale):
        time.sleep(1)
        if os.path.lexists(stale):
            stale.unlink(missing_ok=True)
    data = journal.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        with journal.open("r+b") as file:
            file.truncate(whole)
            os.fsync(file.fileno())
