"""Whole searches with and without early stopping, with the same seeds: what is found, and for how many epochs.

    python benchmarks/early_stopped_search.py --epochs 12 --seeds 0,1,2,3,4

One line of JSON a seed and rule, and at last one a rule, over the seeds: the epochs and seconds of training of those of
the search without early stopping, and by how much the best loss is above its best (geometric mean, and how often at
most 2%). What a strategy proposes depends on what it is told, so the candidates differ after the first ones, and a
seed says little: the share of chance is what `--again` shows, searches without early stopping with other seeds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from pairs import pair

import nas
from nas.study.run import Run

OTHERS = 1000
"""What is added to a seed for another search without early stopping."""


def figures(run: Run) -> dict[str, float]:
    """What a search has found and taken."""
    ends = [trial.measurements[-1] for trial in run.trials if trial.measurements]
    return {
        "best": run.best.trial.metrics[run.objective.name],
        "epochs": run.epochs_run,
        "seconds": sum(end.metrics.get("seconds", 0.0) for end in ends),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--strategy", default="evolution")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--train-size", type=int)
    parser.add_argument("--pin", action="append", type=pair, default=[], metavar="NAME=VALUE")
    parser.add_argument("--rules", default="asha", help="to compare with no early stopping")
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--again", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    ways = ["none", *given.rules.split(",")] + ["again"] * given.again
    found: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder:
        for seed in map(int, given.seeds.split(",")):
            for way in ways:
                run = nas.search(
                    data=given.dataset, strategy=given.strategy, trials=given.trials, epochs=given.epochs,
                    train_size=given.train_size, pin=dict(given.pin), device="cpu", runs_dir=Path(folder),
                    seed=seed + OTHERS * (way == "again"), early_stopping="none" if way == "again" else way,
                    name=f"{seed}-{way}",
                )  # fmt: skip
                found[way].append(figures(run))
                print(json.dumps({"seed": seed, "early_stopping": way, **found[way][-1]}), flush=True)
    for way in ways[1:]:
        above = np.array([own["best"] / whole["best"] for own, whole in zip(found[way], found["none"], strict=True)])
        shares = {
            name: sum(own[name] for own in found[way]) / sum(whole[name] for whole in found["none"])
            for name in ("epochs", "seconds")
        }
        mean = float(np.exp(np.log(above).mean()) - 1)
        rounded = {name: round(value, 3) for name, value in {**shares, "above": mean}.items()}
        print(json.dumps({"early_stopping": way, **rounded, "within": round(float((above <= 1.02).mean()), 3)}))


if __name__ == "__main__":
    main()
