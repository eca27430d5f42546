"""The contract suites: what every space, strategy, evaluator, executor and rule must keep, importable by anyone.

Subclass a suite in a test file of your own and give it what it tests::

    from nas.testing import StrategyContract

    class TestMine(StrategyContract):
        def make(self, space, seed, trials):
            return MyStrategy(space, seed=seed, trials=trials)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.testing.early_stopping import EarlyStoppingContract
    from nas.testing.evaluators import EvaluatorContract
    from nas.testing.executors import ExecutorContract, ProcessExecutorContract
    from nas.testing.gans import GanSpaceContract
    from nas.testing.spaces import SpaceContract
    from nas.testing.strategies import StrategyContract
    from nas.testing.translators import TranslatorSpaceContract

__all__ = [
    "EarlyStoppingContract",
    "EvaluatorContract",
    "ExecutorContract",
    "GanSpaceContract",
    "ProcessExecutorContract",
    "SpaceContract",
    "StrategyContract",
    "TranslatorSpaceContract",
]

_MODULES = {
    "EarlyStoppingContract": "early_stopping",
    "EvaluatorContract": "evaluators",
    "ExecutorContract": "executors",
    "GanSpaceContract": "gans",
    "ProcessExecutorContract": "executors",
    "SpaceContract": "spaces",
    "StrategyContract": "strategies",
    "TranslatorSpaceContract": "translators",
}


def __getattr__(name: str) -> Any:
    """Import a suite when it is asked for: worker processes need the toys alone."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
