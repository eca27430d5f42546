"""Ray Tune's searcher, scheduler, stopper and callback, through which Tune drives the search."""

from __future__ import annotations

import contextlib
import functools
import re
from pathlib import Path
from typing import Any, Protocol

import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from nas.core.errors import UserError
from nas.core.evaluator import Evaluator
from nas.core.process import set_environment
from nas.core.trial import Outcome
from nas.executors.ray_tune.attempts import Attempts
from nas.executors.ray_tune.serialization import Packer, Parcel
from nas.executors.ray_tune.worker import BEGUN, ENDED, MEASURED, REFUSED, Worker

_SETTINGS = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_FORCE_TRIAL_CLEANUP_S": "60",  # a worker that cannot be reached holds its cores until then
    "TUNE_GLOBAL_CHECKPOINT_S": str(10**9),  # the study is the record
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_RESULT_BUFFER_LENGTH": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # evaluators may name files from where the user stands
}


class Over(BaseException):
    """Ends Tune's loop at once: it passes by all that Tune catches."""


class SearchInTune(Protocol):
    """The search as Tune's adapters see it: `Course`, or a `RemoteCourse` that asks one in another process."""

    def suggest(self, key: str) -> dict[str, Any] | str | None:
        """The next trial as Tune's configuration; None to wait, or Tune's word for the end."""

    def handle_step(self, key: str, result: dict[str, Any]) -> bool:
        """Report the result of a worker's step to the search; returns whether to go on."""

    def handle_death(self, key: str, message: str) -> None:
        """End or retry an attempt whose worker died."""

    def watch(self) -> bool:
        """Kill what takes too long; called several times a second. Returns whether Tune shall end.

        Raises:
            Over: at once.
        """


class Course:
    """The search that Tune drives; its adapters share it.

    No exception is raised through Tune, which would take it for a trial's fault: `fault` is kept and ends the loop.

    Args:
        at_once: whether the session ends with the search, and Tune need not wait for its workers.
    """

    def __init__(self, attempts: Attempts, *, at_once: bool) -> None:
        self.attempts, self._at_once = attempts, at_once
        self.fault: Exception | None = None
        self.cut = False
        self.parcels: dict[str, Parcel] = {}
        self._packer = Packer()

    def __getstate__(self) -> None:
        """Tune writes down whatever it holds, once at least; nothing of the search is its to keep."""

    @property
    def over(self) -> bool:
        """Whether Tune shall end, whatever runs."""
        return self.cut or self.fault is not None

    def suggest(self, key: str) -> dict[str, Any] | str | None:
        """The next trial as Tune's configuration; None to wait, or Tune's word for the end."""
        try:
            trial = None if self.over else self.attempts.next(key)
            if trial is not None:
                self.parcels[key] = self._packer.pack(trial)
                return {"parcel": self.parcels[key]}
        except Exception as error:  # noqa: BLE001 - raised again when Tune has ended
            self.fault = error
        # where nothing runs Tune would wait for a trial for ten minutes, whatever else it is told
        return str(Searcher.FINISHED) if self.over or self.attempts.over else None

    def handle_step(self, key: str, result: dict[str, Any]) -> bool:
        """Report the result of a worker's step to the search; returns whether to go on."""
        if self.over:
            return True  # nothing of it counts, and Tune is about to end
        try:
            return self._take(key, result)
        except Exception as error:  # noqa: BLE001 - raised again when Tune has ended
            self.fault = error
            return True

    def _take(self, key: str, result: dict[str, Any]) -> bool:
        if BEGUN in result:
            self.parcels.pop(key).empty()
            self.attempts.note_begin(key, functools.partial(ray.kill, result[BEGUN]))
        elif MEASURED in result:
            return self.attempts.report(key, result[MEASURED])
        elif ENDED in result:
            return self.attempts.end(key, result[ENDED])
        elif REFUSED in result:
            refusal: UserError = result[REFUSED]
            raise refusal
        return True

    def handle_death(self, key: str, message: str) -> None:
        """End or retry an attempt whose worker died; `message` is Ray's."""
        if self.over:
            return
        try:
            self.parcels.pop(key, None)
            self.attempts.handle_death(key, classify_death(message))
        except Exception as fault:  # noqa: BLE001 - raised again when Tune has ended
            self.fault = fault

    def watch(self) -> bool:
        """Kill what takes too long; called several times a second. Returns whether Tune shall end."""
        if not self.over:
            self.attempts.watch()
        elif self._at_once:
            raise Over
        else:
            self.attempts.kill_all()
        return self.over


class _Searcher(Searcher):
    def __init__(self, course: SearchInTune) -> None:
        super().__init__()
        self._course = course

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        return self._course.suggest(trial_id)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """The scheduler has told it."""

    def save(self, checkpoint_path: str) -> None:
        """The study is the record."""

    def restore(self, checkpoint_path: str) -> None:
        """A search is restored by its study."""


class _Scheduler(FIFOScheduler):
    def __init__(self, course: SearchInTune) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._course = course

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        go_on = self._course.handle_step(trial.trial_id, result)
        return str(TrialScheduler.CONTINUE if go_on else TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        file = trial.error_file
        self._course.handle_death(trial.trial_id, "" if file is None else Path(file).read_text(errors="replace"))


class _Stopper(tune.Stopper):
    def __init__(self, course: SearchInTune) -> None:
        self._course = course

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._course.watch()


class _Callback(tune.Callback):
    """Takes out of Tune's results what the search has been given: weights and pictures would stay in memory."""

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any) -> None:
        for name in (BEGUN, MEASURED, ENDED, REFUSED):
            result.pop(name, None)


def store_evaluator(evaluator: Evaluator) -> list[Any]:
    """Put the evaluator into the object store; its reference is in a list, as Tune would resolve a bare one.

    Raises:
        UserError: it cannot be pickled.
    """
    try:
        return [ray.put(evaluator)]
    except (TypeError, AttributeError, ValueError) as error:  # what pickling raises
        why = f"cannot be sent to other processes ({' '.join(str(error).split())[:300]})"
        raise UserError("--executor", "ray", "evaluators that can be pickled, or inline", why=why) from error


def run_tune(course: SearchInTune, evaluator: list[Any], folder: str, *, workers: int, cpus: int, gpus: float) -> None:
    """Let Tune run the trials until the search is over.

    Args:
        evaluator: as `store_evaluator` gives it.
        folder: for what Tune insists on writing.
    """
    worker = tune.with_resources(
        tune.with_parameters(Worker, evaluator=evaluator, threads=cpus),
        {"cpu": cpus, "gpu": gpus} if gpus else {"cpu": cpus},
    )
    with set_environment(_SETTINGS), contextlib.suppress(Over):
        tune.run(
            worker,
            name="search",
            search_alg=_Searcher(course),
            scheduler=_Scheduler(course),
            stop=_Stopper(course),
            callbacks=[_Callback()],
            num_samples=-1,
            max_concurrent_trials=workers,  # so many workers are started at once, and not one after the other
            storage_path=folder,
            reuse_actors=True,
            raise_on_failed_trial=False,
            max_failures=0,
            verbose=0,
            _remote=False,  # the study has one writer, and it is this process
        )


def classify_death(message: str) -> Outcome:
    """Classify Ray's message about a worker that died as an outcome of the trial that it evaluated."""
    text = " ".join(message.split())
    if "running low on memory" in text:
        used = re.search(r"was (\S+ used / \S+ limit)", text)
        why = f"the machine ran low on memory{f', {used.group(1)}' if used else ''}"
        return Outcome("out_of_memory", f"the worker was killed: {why}")
    for pattern in (
        r"Worker exit detail: (.*?\.)(?: |$)",
        r"[Tt]he actor (?:is dead|died|\w+ is unavailable:) (.*?\.)(?: |$)",
    ):
        if found := re.search(pattern, text):
            return Outcome("failed", f"the worker died: {found.group(1)}")
    return Outcome("failed", f"the worker died: {text[-300:] or 'nobody knows why'}")
