"""The executor that evaluates one trial after the other in this process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from nas.core.evaluator import Evaluator
from nas.core.executor import Executor
from nas.core.search import Search
from nas.core.trial import Outcome, Trial
from nas.executors.evaluation import EvaluationEnd, advance, begin_evaluation, describe_stop, log_failure


class Inline(Executor):
    """Evaluates one trial after the other in this process: no server, no start-up cost."""

    def run(self, search: Search, evaluator: Evaluator, progress: Callable[[Trial], None]) -> None:
        """Turn the search until it is over; `progress` is shown every trial that ended.

        Raises:
            UserError: the evaluator cannot do what the user asked for, whatever the candidate.
            KeyboardInterrupt: the user has had enough; the trial that ran is run again on resuming.
        """
        while (trial := search.next()) is not None:
            progress(search.end(trial, _outcome(search, evaluator, trial)))


def _outcome(search: Search, evaluator: Evaluator, trial: Trial) -> Outcome:
    with contextlib.closing(begin_evaluation(evaluator, trial)) as measurements:
        while True:
            # only what the candidate does is its outcome: a fault of the record's, a full disk, ends the search
            found = advance(measurements)
            if isinstance(found, EvaluationEnd):
                log_failure(trial, found)
                return found.outcome
            if search.report(trial, found) == "stop":
                return describe_stop(found)
