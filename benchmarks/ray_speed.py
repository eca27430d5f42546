"""What a second worker is worth: one search in this process, and the same with workers of Ray's, start-up included.

    python benchmarks/ray_speed.py --dataset npz:mnist.npz

24 convolutional candidates of random search on 8,000 images; both evaluate the same genotypes. Prints one line of
JSON: seconds of both, how many times as fast the workers are, Kendall's tau between both rankings, and with
``--idle`` also what Ray costs a trial whose evaluation does nothing, and what memory a worker takes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import torch
from pairs import pair
from scipy.stats import kendalltau

import nas
from nas.core.record import InMemory
from nas.core.search import Limits, Search
from nas.core.trial import Measurement, Trial
from nas.executors.ray_tune.cluster import session
from nas.executors.ray_tune.executor import RayTune
from nas.strategies.random import Random
from nas.testing.toys import LOSS, ToyEvaluator, ToySpace


class Idle(ToyEvaluator):
    """Does nothing, in a process that has torch."""

    def evaluate(self, trial: Trial) -> Iterator[Measurement]:
        yield Measurement(1, {"loss": float(torch.zeros(()))})


def searched(folder: Path, options: dict[str, Any], **who: Any) -> tuple[float, dict[str, float]]:
    """Seconds of a whole search, and each genotype's error."""
    began = time.perf_counter()
    run = nas.search(strategy="random", runs_dir=folder, **options, **who)
    seconds = time.perf_counter() - began
    return seconds, {trial.genotype.id: trial.metrics["mse"] for trial in run.ranked()}


def idle(workers: int, trials: int) -> dict[str, float]:
    """Seconds that a session takes to begin, those that a trial takes, and megabytes of a worker."""
    memory: list[tuple[int, int]] = []
    times: list[float] = []

    def ended(trial: Trial) -> None:
        times.append(time.perf_counter())
        if len(times) == trials:
            of_ray = [p for p in psutil.Process().children(recursive=True) if p.name().startswith("ray::")]
            memory.extend((p.memory_info().rss, p.memory_full_info().uss) for p in of_ray)  # the largest has torch

    space = ToySpace()
    search = Search(space, Random(space, seed=0, trials=trials), (LOSS,), InMemory(), seed=0, limits=Limits(trials))
    began = time.perf_counter()
    with session(None, cpus=workers, gpus=0):
        begun = time.perf_counter()
        RayTune(workers=workers).run(search, Idle(space), ended)
    settled = times[2 * workers :]  # the workers have begun by then
    return {
        "session_seconds": begun - began,
        "first_trial_seconds": times[0] - begun,
        "seconds_a_trial": (settled[-1] - settled[0]) / (len(settled) - 1),
        "worker_rss_mb": max((rss for rss, _ in memory), default=0) / 2**20,
        "worker_uss_mb": max((uss for _, uss in memory), default=0) / 2**20,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--train-size", type=int, default=8000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--pin", action="append", type=pair, default=[], metavar="NAME=VALUE", help="fix a decision")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of the search in this process")
    parser.add_argument("--idle", type=int, metavar="TRIALS", help="Measure Ray's own cost alone, with so many trials.")
    given = parser.parse_args()
    if given.idle is not None:
        print(json.dumps(idle(given.workers, given.idle)))
        return
    options = {
        "data": given.dataset,
        "trials": given.trials,
        "train_size": given.train_size,
        "epochs": given.epochs,
        "pin": {"network": "convolutional", **dict(given.pin)},
        "early_stopping": "none",
    }
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        alone, here = searched(Path(folder), options, name="alone")
        together, there = searched(Path(folder), options, name="together", workers=given.workers)
    both = sorted(here.keys() & there.keys())
    tau = kendalltau([here[key] for key in both], [there[key] for key in both]).statistic
    document = {
        "workers": given.workers,
        "threads_alone": given.threads,
        "seconds_alone": alone,
        "seconds_together": together,
        "times_as_fast": alone / together,
        "candidates": len(both),
        "kendall_tau": float(tau),
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main()
