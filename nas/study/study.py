"""One run's folder and the Optuna study in it: the only record of what happened."""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import filelock
import optuna
from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta, upload_artifact
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from nas.core.errors import UserError
from nas.core.evaluator import CHECKPOINT, WEIGHTS
from nas.core.genotype import Genotype
from nas.core.record import Event
from nas.core.space import SearchSpace, Traceable
from nas.core.trial import Measurement, Objective, Trial
from nas.study.files import FOLDERS, JOURNAL, hold_signals, in_use, lock_run, repair_journal, write_atomically
from nas.study.trial_records import decode_trial, encode_ask, encode_tell

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

STUDY_NAME = "search"
_RESTARTS = "restarts"
_RETRIES = "retries"
_METRIC_NAMES = "study:metric_names"  # where Optuna's Study.set_metric_names, which is experimental, puts them
# Optuna's best must see neither a supernet, which is no candidate, nor a score with a supernet's weights
_STATES = {"complete": TrialState.COMPLETE} | dict.fromkeys(("stopped", "shared", "supernet"), TrialState.PRUNED)


@contextlib.contextmanager
def _silence_optuna() -> Iterator[None]:
    """Keep Optuna from saying what the user did not ask it for."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)


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
            with _silence_optuna():
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
        return cls(path, space, lock=lock_run(path))

    @classmethod
    def reopen(cls, path: Path, space: SearchSpace | None = None) -> Self:
        """An existing run, owned by this process from now on; what a killed owner left half done is undone.

        Raises:
            RunInUse: another process owns it.
        """
        lock = lock_run(path)
        (path / "artifacts").mkdir(exist_ok=True)  # an empty folder is lost where a run is copied file by file
        repair_journal(path / JOURNAL)
        return cls._open(path, space, lock)

    @classmethod
    def read(cls, path: Path) -> Self:
        """An existing run, to look at.

        Raises:
            UserError: its study cannot be read.
        """
        return cls._open(path, None, None)

    @classmethod
    def _open(cls, path: Path, space: SearchSpace | None, lock: filelock.BaseFileLock | None) -> Self:
        try:
            study = cls(path, space, lock=lock)
            _ = study.objectives, study._read_frozen()
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
        """Release the run to other processes."""
        if self._lock is not None:
            self._lock.release()

    # -- writing: nas.core.record.Record

    @property
    def _study_id(self) -> int:
        return self._storage.get_study_id_from_name(STUDY_NAME)

    @hold_signals()
    def note(self, name: str, value: Any) -> None:
        """Remember something of the run as a whole; `value` is JSON."""
        self._storage.set_study_user_attr(self._study_id, name, value)

    @hold_signals()
    def record_ask(self, trial: Trial, event: int) -> None:
        """Write down that a trial begins, in one entry of the journal, so that it is there whole or not at all."""
        parameters, distributions = self._parameters(trial.genotype)
        template = FrozenTrial(
            number=-1,
            state=TrialState.RUNNING,
            value=None,
            datetime_start=datetime.now(),
            datetime_complete=None,
            params=parameters,
            distributions=distributions,
            user_attrs=encode_ask(trial, event),
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

    @hold_signals()
    def record_measurement(self, trial: Trial, measurement: Measurement) -> None:
        """Report the first objective after an epoch to the study, and hold the artifacts until the trial ends."""
        value = measurement.metrics.get(self.objectives[0].name)
        if value is not None:
            identifier = self._trial_id(trial.number)
            if measurement.epoch > self._before_restart.get(trial.number, math.inf):  # it has come further than ever
                self._storage.set_trial_user_attr(identifier, _RESTARTS, 0)
                del self._before_restart[trial.number]
            self._storage.set_trial_intermediate_value(identifier, measurement.epoch, value)
        kept = self._latest_artifacts.setdefault(trial.number, {})
        kept.update(measurement.artifacts)

    @hold_signals()
    def record_tell(self, trial: Trial, event: int) -> None:
        """Write down that a trial has ended. Its state comes last: killed before, the process runs the trial again."""
        assert trial.outcome is not None
        identifier = self._trial_id(trial.number)
        self._keep_artifacts(trial, identifier)
        taken = set(self._storage.get_trial(identifier).user_attrs)
        for name, value in encode_tell(trial, event, taken).items():
            self._storage.set_trial_user_attr(identifier, name, value)
        state = _STATES.get(trial.outcome.kind, TrialState.FAIL)
        values = None
        if trial.outcome.scored:
            values = [trial.metrics[objective.name] for objective in self.objectives]
        self._storage.set_trial_state_values(identifier, state, values)

    @hold_signals()
    def record_restart(self, trial: Trial) -> int:
        """Write down that a trial of a killed session begins again; returns how often it has by now."""
        identifier = self._trial_id(trial.number)
        frozen = self._storage.get_trial(identifier)
        self._before_restart[trial.number] = max(frozen.intermediate_values, default=0)
        times = int(frozen.user_attrs.get(_RESTARTS, 0)) + 1
        self._storage.set_trial_user_attr(identifier, _RESTARTS, times)
        return times

    @hold_signals()
    def record_retry(self, trial: Trial, reason: str) -> None:
        """Write down that a trial whose worker died begins again, and why."""
        identifier = self._trial_id(trial.number)
        reasons = self._storage.get_trial(identifier).user_attrs.get(_RETRIES, [])
        self._storage.set_trial_user_attr(identifier, _RETRIES, [*reasons, reason])
        self._latest_artifacts.pop(trial.number, None)

    @hold_signals()
    def record_interruption(self) -> None:
        """Write down that the user ends the session, so that the running trials are not blamed for it."""
        for frozen in self._read_frozen():
            if not frozen.state.is_finished():
                # the restart to come makes it 0 again
                self._storage.set_trial_user_attr(frozen._trial_id, _RESTARTS, -1)

    def _keep_artifacts(self, trial: Trial, identifier: int) -> None:
        for name, data in self._latest_artifacts.pop(trial.number, {}).items():
            if name in (WEIGHTS, CHECKPOINT):
                write_atomically(self.weights_path(trial.number, name), data)
                continue
            if (
                self._read_artifact(identifier, name) == data
            ):  # kept by a session that was killed before the trial's end
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

    @functools.cached_property
    def objectives(self) -> tuple[Objective, ...]:
        """The metrics that are optimised."""
        pairs = zip(self.notes["objectives"], self._storage.get_study_directions(self._study_id), strict=True)
        minimize = optuna.study.StudyDirection.MINIMIZE
        return tuple(Objective(name, "minimize" if found == minimize else "maximize") for name, found in pairs)

    def trials(self) -> list[Trial]:
        """Every trial so far, running ones included, by number."""
        return [decode_trial(frozen, self.objectives) for frozen in self._read_frozen()]

    def _read_frozen(self) -> list[FrozenTrial]:
        return self._storage.get_all_trials(self._study_id, deepcopy=False)

    def history(self) -> tuple[Event, ...]:
        """The asks and tells in their order, to be executed again."""
        events = []
        for frozen in self._read_frozen():
            trial = decode_trial(frozen, self.objectives)
            events.append(Event(frozen.user_attrs["asked"], "ask", trial))
            if frozen.state.is_finished():
                events.append(Event(frozen.user_attrs["told"], "tell", trial))
        return tuple(sorted(events, key=lambda event: event.number))

    def weights_path(self, number: int, name: str = WEIGHTS) -> Path:
        """Where a trial's weights are, if they were kept; or its checkpoint."""
        return self.path / "artifacts" / FOLDERS[name] / f"{number:04d}.safetensors"

    def checkpoints(self) -> list[Path]:
        """The checkpoints that are kept, each named by its trial's number."""
        return sorted((self.path / "artifacts" / FOLDERS[CHECKPOINT]).glob("[0-9]*.safetensors"))

    def picture(self, number: int) -> bytes | None:
        """A trial's picture as PNG; None if it has none, or its file is no longer in the folder."""
        return self.read_file(number, "*.png")

    def read_file(self, number: int, name: str) -> bytes | None:
        """A trial's latest file whose name is like this; None if it has none, or it is no longer in the folder."""
        try:
            return self._read_artifact(self._trial_id(number), name)
        except ArtifactNotFound:
            return None

    def _read_artifact(self, identifier: int, pattern: str) -> bytes | None:
        """The latest file of a trial whose name is like this; None if it has none."""
        frozen = self._storage.get_trial(identifier)
        for meta in reversed(get_all_artifact_meta(frozen, storage=self._storage)):
            if fnmatch.fnmatchcase(meta.filename, pattern):
                with self._artifacts.open_reader(meta.artifact_id) as reader:
                    return bytes(reader.read())
        return None

    def started_at(self) -> str:
        """When the first trial began, as ISO time; empty before."""
        begun = [frozen.datetime_start for frozen in self._read_frozen() if frozen.datetime_start]
        return min(begun).isoformat(timespec="seconds") if begun else ""
