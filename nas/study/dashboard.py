"""All runs of a folder as one storage that Optuna's dashboard reads: nothing is written, and live runs go on."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import optuna
from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from nas.core.trial import Objective, Trial
from nas.study.files import JOURNAL
from nas.study.study import STUDY_NAME, Study
from nas.study.trial_records import decode_trial

_TRIALS = 10_000_000
"""Numbers that a run's trials have in the whole, so that none are alike."""
_PLUMBING = {"genotype", "genotype_id", "seed", "asked", "told", "restarts", "timing_updates"}
"""Attributes of trials that say nothing to a reader, as those do that are no text or number; ``nas show`` has them."""

_DRAWING = "cells.svg"

DescribeRun = Callable[[Path], str]
DescribeTrial = Callable[[Path, Trial], str]
DrawTrial = Callable[[Path, Trial], Callable[[], bytes] | None]


def _refuse_changes(*given: Any, **named: Any) -> NoReturn:
    """Refuse to change the record of a run.

    Raises:
        RuntimeError: always.
    """
    raise RuntimeError("the dashboard shows runs, and does not change them")


class RunsStorage(BaseStorage):
    """The studies of all runs in a folder, each with its run's name, and a note for each trial that has ended.

    Runs that begin while it is open are there as well. See optuna.storages.BaseStorage for what the methods give.

    Args:
        list_paths: lists the folders of the runs.
        describe_run: writes the note of a run as it is now, in Markdown.
        describe_trial: writes that of a trial that has ended.
        draw_trial: gives what draws its cells as SVG, once they are looked at; None of what has no cells.
    """

    def __init__(
        self,
        list_paths: Callable[[], Sequence[Path]],
        describe_run: DescribeRun,
        describe_trial: DescribeTrial,
        draw_trial: DrawTrial,
    ) -> None:
        self._list_paths, self._describe_run = list_paths, describe_run
        self._describe_trial, self._draw_trial = describe_trial, draw_trial
        self._numbers: dict[Path, int] = {}
        self._studies: dict[int, tuple[Path, JournalStorage, int]] = {}
        self._notes: dict[int, dict[str, Any]] = {}  # with what else there is of a trial, as the dashboard keeps it
        self._drawings: dict[str, Callable[[], bytes]] = {}  # by the names of artifacts that no run has
        self._objectives: dict[Path, tuple[Objective, ...]] = {}

    def find_number(self, path: Path) -> int:
        """Find the number of a run's study."""
        self.get_all_studies()
        return self._numbers[path]

    def open_artifact(self, artifact: str) -> BinaryIO:
        """Open an artifact of any run, or draw one.

        Raises:
            optuna.artifacts.exceptions.ArtifactNotFound: none has it.
        """
        from optuna.artifacts.exceptions import ArtifactNotFound

        if artifact in self._drawings:
            return io.BytesIO(self._drawings[artifact]())
        for path, _, _ in self._studies.values():
            if (path / "artifacts" / artifact).is_file():
                return FileSystemArtifactStore(path / "artifacts").open_reader(artifact)
        raise ArtifactNotFound(artifact)

    # -- studies

    def get_all_studies(self) -> list[FrozenStudy]:
        """Give the studies of the runs that there are now."""
        for path in self._list_paths():
            if path in self._numbers:
                continue
            storage = JournalStorage(JournalFileBackend(str(path / JOURNAL)))
            try:
                own = storage.get_study_id_from_name(STUDY_NAME)
            except (KeyError, ValueError, TypeError):  # damaged: `nas list` says so
                continue
            number = self._numbers[path] = len(self._numbers)
            self._studies[number] = path, storage, own
        return [self._freeze(number) for number, (path, _, _) in self._studies.items() if path.exists()]

    def _freeze(self, number: int) -> FrozenStudy:
        return FrozenStudy(
            study_name=self.get_study_name_from_id(number),
            direction=None,
            directions=self.get_study_directions(number),
            user_attrs=self.get_study_user_attrs(number),
            system_attrs=self.get_study_system_attrs(number),
            study_id=number,
        )

    def _find_study(self, study_id: int) -> tuple[Path, JournalStorage, int]:
        if study_id not in self._studies:
            raise KeyError(f"no study {study_id}")
        return self._studies[study_id]

    def get_study_id_from_name(self, study_name: str) -> int:
        """Find the study of a run by its name."""
        for number, (path, _, _) in self._studies.items():
            if path.name == study_name:
                return number
        raise KeyError(study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        """Give the run's name."""
        return self._find_study(study_id)[0].name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Give the directions of the objectives."""
        _, storage, own = self._find_study(study_id)
        return storage.get_study_directions(own)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Give nothing: what is to be read of a run stands in its note."""
        return {}

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Give the names of the objectives, and the notes of the run and its trials as the dashboard keeps them."""
        path, storage, own = self._find_study(study_id)
        attributes: dict[str, Any] = dict(storage.get_study_system_attrs(own))
        attributes |= {"dashboard:note_ver": 1, "dashboard:note_str:0": self._describe_run(path)}
        for frozen in storage.get_all_trials(own, deepcopy=False):
            if not frozen.state.is_finished():
                continue
            number = study_id * _TRIALS + frozen._trial_id
            if number not in self._notes:
                self._notes[number] = self._write_note(path, storage, study_id, frozen)
            attributes |= self._notes[number]
        return attributes

    def _write_note(self, path: Path, storage: JournalStorage, study_id: int, frozen: FrozenTrial) -> dict[str, Any]:
        if path not in self._objectives:  # they stay as the run began with them
            self._objectives[path] = Study.read(path).objectives
        number, trial = study_id * _TRIALS + frozen._trial_id, decode_trial(frozen, self._objectives[path])
        files = {
            meta.artifact_id: meta.filename
            for meta in get_all_artifact_meta(frozen, storage=storage)
            if meta.filename.endswith((".png", ".gif"))
        }
        drawn = {}
        if (draw := self._draw_trial(path, trial)) is not None:
            name = f"{number:032x}"
            self._drawings[name], files[name] = draw, _DRAWING
            artifact = {"artifact_id": name, "filename": _DRAWING, "mimetype": "image/svg+xml", "encoding": None}
            drawn = {f"dashboard:artifacts:{number}:{name}": json.dumps(artifact)}
        pictures = [f"![{file}](/artifacts/{study_id}/{number}/{name})" for name, file in files.items()]
        note = "\n\n".join([self._describe_trial(path, trial), *pictures])
        return {f"dashboard:{number}:note_ver": 1, f"dashboard:{number}:note_str:0": note, **drawn}

    # -- trials

    def _show(self, study_id: int, frozen: FrozenTrial) -> FrozenTrial:
        """The trial with its number in the whole, and without what says nothing to a reader."""
        shown = copy.copy(frozen)
        shown._trial_id = study_id * _TRIALS + frozen._trial_id
        shown._user_attrs = {
            name: value
            for name, value in frozen.user_attrs.items()
            if name not in _PLUMBING and isinstance(value, (str, int, float))
        }
        return shown

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Give the trials of a run."""
        _, storage, own = self._find_study(study_id)
        trials = [self._show(study_id, one) for one in storage.get_all_trials(own, deepcopy=False, states=states)]
        return copy.deepcopy(trials) if deepcopy else trials

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Give a trial by its number in the whole."""
        study_id, own = divmod(trial_id, _TRIALS)
        return self._show(study_id, self._find_study(study_id)[1].get_trial(own))

    # -- nothing is written

    create_new_study = delete_study = set_study_user_attr = set_study_system_attr = _refuse_changes
    create_new_trial = set_trial_param = set_trial_state_values = set_trial_intermediate_value = _refuse_changes
    set_trial_user_attr = set_trial_system_attr = _refuse_changes


class RunsArtifacts:
    """The artifacts of all runs of a storage; see optuna.artifacts.ArtifactStore."""

    def __init__(self, storage: RunsStorage) -> None:
        self._storage = storage

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Open one for reading."""
        return self._storage.open_artifact(artifact_id)

    write = remove = _refuse_changes


def make_application(storage: RunsStorage) -> Any:
    """Make the WSGI application of Optuna's dashboard."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    from optuna_dashboard import wsgi

    return wsgi(storage, artifact_store=RunsArtifacts(storage))
