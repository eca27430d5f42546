"""Run strategies many times on a table of known results and measure their regret."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas import registry
from nas.bench.table import Question
from nas.core.process import count_cores, set_environment
from nas.core.record import InMemory
from nas.core.search import Limits, Search
from nas.core.space import SearchSpace
from nas.core.strategy import Strategy
from nas.core.trial import Objective, Proposal, Trial

CHECKPOINTS = (10, 25, 50, 100, 150, 200, 300)
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Worker processes share the cores: the linear algebra of each must not take all of them."""


@dataclass(frozen=True)
class Contender:
    """A strategy and its options."""

    name: str
    options: Mapping[str, Any]

    def make(self, space: SearchSpace, seed: int, trials: int) -> Strategy:
        """A new one.

        Raises:
            UserError: unknown, or it does not fit a table.
        """
        constructor = registry.load("strategy", self.name)
        return registry.make_strategy(constructor, self.name, space, seed=seed, trials=trials, given=self.options)


@dataclass(frozen=True)
class Curve:
    """What one search found.

    Attributes:
        valid: the regret of the recommended candidate in the objective, after each number of evaluations.
        test: the same in the reported column; empty without one.
        seconds: spent in proposing and learning.
        proposals: how many evaluations there were; fewer than asked for where nothing was left to propose.
    """

    valid: np.ndarray
    test: np.ndarray
    seconds: float
    proposals: int


class _TimedStrategy(Strategy):
    """A strategy and the seconds spent in it."""

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy
        self.seconds = 0.0

    def ask(self, number: int) -> Proposal | None:
        began = time.perf_counter()
        proposal = self._strategy.ask(number)
        self.seconds += time.perf_counter() - began
        return proposal

    def tell(self, trial: Trial) -> None:
        began = time.perf_counter()
        self._strategy.tell(trial)
        self.seconds += time.perf_counter() - began

    def recommend(self) -> int | None:
        return self._strategy.recommend()


class Benchmark:
    """A question to a table, ready to be searched many times."""

    def __init__(self, question: Question, budget: int) -> None:
        from evaluators.table import TableEvaluator
        from search_spaces.table import TableSpace

        table = question.table
        self.budget = budget
        self.space = TableSpace(table.decisions, table.ordered, None if table.complete else table.rows)
        self._rows = {row: number for number, row in enumerate(table.rows)}
        self._objective = Objective(question.objective, question.direction)
        self._evaluator = TableEvaluator(self._objective, self._find_row, question.observed)
        self._valid = question.regrets(question.objective)
        self._test = None if question.report is None else question.regrets(question.report)

    def _find_row(self, genotype: Any) -> int:
        return self._rows[self.space.row(genotype)]

    def run(self, contender: Contender, seed: int, at: Sequence[int]) -> Curve:
        """One search, its recommendation scored after each of these numbers of evaluations.

        While nothing has succeeded the regret is that of the worst row.
        """
        from nas.executors.inline import Inline

        strategy = _TimedStrategy(contender.make(self.space, seed, self.budget))
        search = Search(self.space, strategy, (self._objective,), InMemory(), seed=seed, limits=Limits(self.budget))
        found: list[int | None] = []
        waiting = list(at)

        def score(trial: Trial) -> None:
            while waiting and len(search.ended) == waiting[0]:
                waiting.pop(0)
                best = search.best
                found.append(None if best is None else self._find_row(best.genotype))

        Inline().run(search, self._evaluator, score)
        if waiting:  # nothing was left to propose
            best = search.best
            found += [None if best is None else self._find_row(best.genotype)] * len(waiting)
        test = np.array([]) if self._test is None else _list_regrets(self._test, found)
        return Curve(_list_regrets(self._valid, found), test, strategy.seconds, len(search.ended))


def _list_regrets(regrets: np.ndarray, rows: Sequence[int | None]) -> np.ndarray:
    return np.array([regrets.max() if row is None else regrets[row] for row in rows])


_benchmark: Benchmark | None = None  # a worker process's own


def _prepare(question: Question, budget: int) -> None:
    global _benchmark
    _benchmark = Benchmark(question, budget)


def _work(contender: Contender, seeds: Sequence[int], at: Sequence[int]) -> list[Curve]:
    assert _benchmark is not None
    return [_benchmark.run(contender, seed, at) for seed in seeds]


def measure(
    question: Question,
    contenders: Sequence[Contender],
    *,
    budget: int = 300,
    seeds: int = 100,
    first_seed: int = 0,
    at: Sequence[int] | None = None,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda searches: None,
) -> dict[str, list[Curve]]:
    """The curves of every contender, one a seed, by name; the same whatever the number of workers.

    Args:
        at: after which numbers of evaluations to score, in increasing order; by default `checkpoints(budget)`.
        workers: processes; by default as many as there are cores.
        progress: is told how many more searches are done.

    Raises:
        UserError: a strategy that does not fit a table, or an option it does not take.
    """
    at = tuple(at or checkpoints(budget))
    here = Benchmark(question, budget)
    for contender in contenders:
        contender.make(here.space, first_seed, budget)  # refused before anything runs
    workers = workers or count_cores()
    every = range(first_seed, first_seed + seeds)
    chunk = max(1, min(10, seeds // (4 * workers)))
    jobs = [(c, every[i : i + chunk]) for c in contenders for i in range(0, seeds, chunk)]
    results: dict[tuple[str, int], list[Curve]] = {}
    if workers == 1:
        for contender, part in jobs:
            results[contender.name, part[0]] = [here.run(contender, seed, at) for seed in part]
            progress(len(part))
    else:
        with set_environment(_ONE_THREAD), _make_pool(question, budget, workers) as pool:
            futures: dict[Future[list[Curve]], tuple[str, range]] = {
                pool.submit(_work, contender, part, at): (contender.name, part) for contender, part in jobs
            }
            try:
                for future in as_completed(futures):
                    name, part = futures[future]
                    results[name, part[0]] = future.result()
                    progress(len(part))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return {
        c.name: [curve for i in range(0, seeds, chunk) for curve in results[c.name, every[i]]] for c in contenders
    }  # fmt: skip


def checkpoints(budget: int) -> tuple[int, ...]:
    """The numbers of evaluations after which regret is reported: the usual ones, and the last."""
    return (*(number for number in CHECKPOINTS if number < budget), budget)


def _make_pool(question: Question, budget: int, workers: int) -> ProcessPoolExecutor:
    # spawned, not forked: a fork of a process that has PyTorch's or a BLAS's threads may hang
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare, initargs=(question, budget))


@dataclass(frozen=True)
class Summary:
    """A contender's searches together: at each number of evaluations the mean regret and its standard error."""

    seeds: int
    valid_regret: dict[int, tuple[float, float]]
    test_regret: dict[int, tuple[float, float]]
    worst_valid_regret: dict[int, float]
    ms_per_proposal: float


def summarise(curves: Sequence[Curve], at: Sequence[int]) -> Summary:
    """Means over seeds."""
    valid = np.array([curve.valid for curve in curves])
    test = np.array([curve.test for curve in curves])
    proposals = sum(curve.proposals for curve in curves)
    return Summary(
        len(curves),
        _average(valid, at),
        _average(test, at) if test.size else {},
        {number: float(worst) for number, worst in zip(at, valid.max(0), strict=True)},
        1000 * sum(curve.seconds for curve in curves) / max(1, proposals),
    )


def _average(values: np.ndarray, at: Sequence[int]) -> dict[int, tuple[float, float]]:
    error = values.std(0, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.zeros(len(at))
    pairs = zip(at, values.mean(0), error, strict=True)
    return {number: (float(mean), float(deviation)) for number, mean, deviation in pairs}
