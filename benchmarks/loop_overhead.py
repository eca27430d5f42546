"""What the loop adds to a trial: everything but training and scoring, written to a real run's folder.

    python benchmarks/loop_overhead.py

The evaluator measures nothing and brings what a real one brings: five epochs with ten metrics and a picture each,
and a megabyte of weights. Milliseconds a trial, for 100 trials of evolution on the autoencoder space.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from evaluators.autoencoder.task import AutoencoderTask
from nas.core.evaluator import Evaluator
from nas.core.metric import COST
from nas.core.search import Limits, Search
from nas.core.trial import Measurement, Trial
from nas.executors.inline import Inline
from nas.strategies.evolution import Evolution
from nas.study.study import Study
from search_spaces.autoencoder.space import AutoencoderSpace


class Instant(Evaluator):
    """An evaluator that takes no time."""

    metrics = AutoencoderTask.quality | COST

    def evaluate(self, trial: Trial) -> Iterator[Measurement]:
        value = float(np.random.default_rng(trial.seed).random())
        metrics = dict.fromkeys(self.metrics, value)
        for epoch in range(1, 6):
            artifacts = {"reconstructions.png": b"\x89PNG" + bytes(5000)}
            if epoch == 5:
                artifacts["weights.safetensors"] = bytes(1_000_000)
            yield Measurement(epoch, metrics, artifacts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100)
    trials = parser.parse_args().trials
    space, objectives = AutoencoderSpace(), (AutoencoderTask.quality["mse"].objective,)
    with tempfile.TemporaryDirectory() as folder:
        study = Study.create(Path(folder) / "run", space, objectives, {})
        strategy = Evolution(space, seed=0, trials=trials)
        search = Search(space, strategy, objectives, study, seed=0, limits=Limits(trials))
        times: list[float] = []
        last = time.perf_counter()

        def ended(trial: Trial) -> None:
            nonlocal last
            now = time.perf_counter()
            times.append(now - last)
            last = now

        Inline().run(search, Instant(), ended)
        study.close()
    milliseconds = 1000 * np.array(times)
    print(f"{milliseconds.mean():.1f} ms a trial (median {np.median(milliseconds):.1f}, last ten "
          f"{milliseconds[-10:].mean():.1f}) over {trials} trials")  # fmt: skip


if __name__ == "__main__":
    main()
