"""NEAT in its original form on the exclusive or, beside the paper's numbers: ``python -m benchmarks.neat_xor``."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence

from examples.xor import LogicEvaluator
from nas.core.record import InMemory
from nas.core.search import Limits, Search
from nas.core.trial import Trial
from nas.executors.inline import Inline
from nas.strategies.neat import Neat
from search_spaces.neat_network.space import NetworkSpace

POPULATION = 150
MOST = 30_000
# Stanley & Miikkulainen 2002, section 4.1: 100 runs
PAPER = {"generations": 32.0, "evaluations": 4755.0, "deviation": 2553.0, "worst": 13459.0, "hidden nodes": 2.35}


class UntilSolved:
    """Ends a search once a trial has solved its problem."""

    trial: Trial | None = None

    def __call__(self, trial: Trial) -> None:
        if trial.metrics.get("solved"):
            self.trial = trial

    def reached(self) -> bool:
        return self.trial is not None


def solve(seed: int) -> tuple[int, int, int] | None:
    """Generations, evaluations and hidden nodes until the exclusive or is solved; None if it is not."""
    space, solved = NetworkSpace(), UntilSolved()
    strategy = Neat(space, seed=seed, trials=MOST, population=POPULATION)
    search = Search(
        space,
        strategy,
        (LogicEvaluator.metrics["fitness"].objective,),
        InMemory(),
        seed=seed,
        limits=Limits(MOST, over=solved.reached),
    )
    Inline().run(search, LogicEvaluator(space), solved)
    if solved.trial is None:
        return None
    return strategy.generation + 1, len(search.ended), len(space.read(solved.trial.genotype).splits)


def summary(runs: Sequence[tuple[int, int, int]]) -> dict[str, float]:
    generations, evaluations, hidden = zip(*runs, strict=True)
    return {
        "generations": statistics.mean(generations),
        "evaluations": statistics.mean(evaluations),
        "deviation": statistics.pstdev(evaluations),
        "worst": max(evaluations),
        "hidden nodes": statistics.mean(hidden),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    runs = parser.parse_args().runs
    began = time.process_time()
    results = [solve(seed) for seed in range(runs)]
    seconds = time.process_time() - began
    solved = [result for result in results if result is not None]
    print(f"solved {len(solved)} of {runs} runs in {seconds:.0f} s of one core")
    print(f"{'':14}{'ours':>10}{'paper':>10}")
    for name, value in summary(solved).items():
        print(f"{name:14}{value:10.2f}{PAPER[name]:10.2f}")


if __name__ == "__main__":
    main()
