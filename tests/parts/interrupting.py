"""Sessions and processes that end in the middle, as by Ctrl-C or a kill, and what there is to go on from."""

import contextlib
import time

import pytest

from nas.core.errors import UserError
from nas.session.lookup import open_run


class Until:
    """Ends the session after so many trials; says how many checkpoints there were after each."""

    def __init__(self, trials):
        self._left, self.checkpoints = trials, []

    def begin(self, run, search):
        self._study = run.study

    def show_measurement(self, trial, measurement):
        pass

    def show_trial(self, trial):
        self.checkpoints.append(len(self._study.checkpoints()))
        self._left -= 1
        if self._left == 0:
            raise KeyboardInterrupt


@contextlib.contextmanager
def interrupting_last_part(kind):
    """Within it the session ends where the last part of a job of this kind would begin."""
    from evaluators.training_evaluator import TrainingEvaluator

    evaluate = TrainingEvaluator.evaluate

    def interrupted(self, given):
        if isinstance(given.job, kind) and given.job.settles:
            raise KeyboardInterrupt
        return evaluate(self, given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingEvaluator, "evaluate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            yield


def journal_trials(path):
    """How many trials the journal tells the end of; a reader never waits for the writer."""
    try:
        return sum(t.outcome is not None for t in open_run(path).trials)
    except (FileNotFoundError, UserError):
        return 0


def kill_when(running, path, trials, number, extra=0.0):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and running.poll() is None:
        if (path / "study.journal").is_file() and journal_trials(path) >= trials:
            time.sleep(extra)
            running.send_signal(number)
            return
        time.sleep(0.02)
    pytest.fail(f"it ended before: {running.communicate()}")
