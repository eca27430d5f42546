"""The contract suites: what every space, strategy, evaluator, executor and rule must keep, importable by anyone.

Subclass a suite in a test file of your own and give it what it tests::

    from nas.testing import StrategyContract

    class TestMine(StrategyContract):
        def make(self, space, seed, trials):
            return MyStrategy(space, seed=seed, trials=trials)
"""

from nas.testing.early_stopping import EarlyStoppingContract
from nas.testing.evaluators import EvaluatorContract
from nas.testing.executors import ExecutorContract
from nas.testing.gans import GanSpaceContract
from nas.testing.spaces import SpaceContract
from nas.testing.strategies import StrategyContract
from nas.testing.translators import TranslatorSpaceContract

__all__ = [
    "EarlyStoppingContract",
    "EvaluatorContract",
    "ExecutorContract",
    "GanSpaceContract",
    "SpaceContract",
    "StrategyContract",
    "TranslatorSpaceContract",
]
