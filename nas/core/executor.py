"""Executors: where and when trials are evaluated."""

from __future__ import annotations

from collections.abc import Callable

from nas.core.evaluator import Evaluator
from nas.core.search import Search
from nas.core.trial import Trial


class Executor:
    """Turns a search until it is over, and lets an evaluator do what it proposes. Subclass it and give `run`.

    Attributes:
        isolated: whether candidates run in processes of their own, so that none takes the search with it.
        announces_start: whether it calls `Search.start_clock` when the first trial is evaluated: where it takes its
            time to start what evaluates them.
    """

    isolated: bool = False
    announces_start: bool = False

    def check(self, device: str) -> None:
        """Refuse, before anything is written, what there is no room for.

        Args:
            device: what the evaluator computes on.

        Raises:
            UserError: saying what is missing.
        """

    def run(self, search: Search, evaluator: Evaluator, progress: Callable[[Trial], None]) -> None:
        """Turn the search until it is over; `progress` is shown every trial that ended.

        Raises:
            UserError: the evaluator cannot do what the user asked for, whatever the candidate.
            KeyboardInterrupt: the user has had enough; trials that ran are run again on resuming.
        """
        raise NotImplementedError
