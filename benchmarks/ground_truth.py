"""Random autoencoders trained in full: the truth that accelerations of a search are compared with.

    python benchmarks/ground_truth.py truth.json --dataset npz:mnist.npz --trials 60 --epochs 12 --train-size 8000

The candidates are drawn uniformly from the convolutional part of the space (plain autoencoders, one size of code) and
trained one after the other on one thread, none stopped early. It is a run of random search, in `--runs-dir`: killed at
any moment, the same command goes on. The file has every candidate's genotype, seed, outcome, and its metrics after
every epoch, among them the seconds since its training began.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

import nas
from nas.core.trial import Trial
from nas.run import Run
from nas.study import write_atomically


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--train-size", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--restrict", action="append", default=[], metavar="NAME=A,B", help="narrow the space further")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--name", help="of the run; by default that of the output")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    run = trained(arguments, arguments.name or f"truth-{arguments.output.stem}")
    write_atomically(arguments.output, json.dumps(document(run), indent=1).encode())
    values = [trial.metrics[run.objective.name] for trial in run.ranked()]
    best, worst = values[0], values[-1]
    print(f"{len(values)} of {len(run.trials)} trained to the end; {run.objective.name} {best:.5g} to {worst:.5g}")


def trained(arguments: argparse.Namespace, name: str) -> Run:
    """The run of all candidates, begun or gone on with."""
    asked: dict[str, Any] = {
        "pin": {"network": "convolutional", "family": "plain"},
        "restrict": {n: values.split(",") for n, _, values in (text.partition("=") for text in arguments.restrict)},
        "epochs": arguments.epochs,
        "train_size": arguments.train_size,
        "seed": arguments.seed,
    }
    path = arguments.runs_dir / name
    if not path.exists():
        return nas.search(
            data=arguments.dataset, strategy="random", trials=arguments.trials, early_stopping="none", keep_weights=1,
            runs_dir=arguments.runs_dir, name=name, **asked,
        )  # fmt: skip
    begun = nas.open_run(path).config
    for option in ("epochs", "train_size", "seed"):
        if getattr(begun, option) != asked[option]:
            raise SystemExit(f"{path} was begun with {option} {getattr(begun, option)}; give another --name")
    return nas.resume(path, trials=max(arguments.trials, len(nas.open_run(path).trials)))


def document(run: Run) -> dict[str, Any]:
    """What is known of every candidate."""
    return {
        "dataset": run.data_name,
        "train_size": run.config.train_size,
        "epochs": run.config.epochs,
        "seed": run.config.seed,
        "objective": run.objective.name,
        "direction": run.objective.direction,
        "environment": json.loads((run.path / "environment.json").read_text()),
        "candidates": [candidate(run, trial) for trial in run.trials if trial.outcome is not None],
    }


def candidate(run: Run, trial: Trial) -> dict[str, Any]:
    """One of them."""
    assert trial.outcome is not None
    return {
        "number": trial.number,
        "genotype": json.loads(trial.genotype.text),
        "description": run.candidate(trial.number).description,
        "seed": trial.seed,
        "outcome": trial.outcome.kind,
        "reason": trial.outcome.reason,
        "epochs": [{"epoch": m.epoch, **m.metrics} for m in trial.measurements],
    }


if __name__ == "__main__":
    main()
