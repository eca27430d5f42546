"""Random autoencoders trained in full: the truth that accelerations of a search are compared with.

    python benchmarks/ground_truth.py truth.json --dataset npz:mnist.npz --trials 60 --epochs 12 --train-size 2000

All candidates are paths of one supernet: their cells differ, all else is as usual or as `--pin` says. `--at-large`
draws everything that is not pinned, as a search does; no supernet holds these. The first third is drawn uniformly, and
each of the others is a mutant of any before it, so that there are children and parents. They are trained one after the
other on one thread, none stopped early. It is a run of a search, in `--runs-dir`: killed at any moment, the same
command goes on. The file has every candidate's genotype, seed, outcome, and its metrics after every epoch, among them
the seconds since its training began.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from pairs import pair

import nas
from nas.core.space import Evolvable, SearchSpace, drawing, generator_for, sample
from nas.core.strategy import RecommendsBestSeen
from nas.core.supernet import SharesWeights
from nas.core.trial import Proposal, Trial
from nas.strategies.novelty import Seen
from nas.study.files import write_atomically
from nas.study.run import Run


class FamilyTree(RecommendsBestSeen):
    """The same genotypes for every way to train them: roots, then mutants of any that came before.

    Args:
        size: how many; a third of them are roots.
        at_large: they differ in all that the space leaves open, else in what the paths of one supernet differ in.
    """

    descends = True

    def __init__(self, space: SearchSpace, *, seed: int, trials: int, size: int = 60, at_large: bool = False) -> None:
        within = space
        if not at_large:
            if not isinstance(space, SharesWeights):
                raise SystemExit(f"the space {space.name} has no supernets")
            within = space.paths(space.base(drawing(generator_for(0, 0, 2), 1.0)))
        assert isinstance(within, Evolvable)
        self._family: list[tuple[Proposal, int | None]] = []  # with the place of its parent
        self._numbers: list[int] = []
        seen, generator = Seen(space), generator_for(0, 0)
        while len(self._family) < size:
            parent = None
            if len(self._family) < size // 3:
                proposal = Proposal(sample(within, generator), origin="root")
            else:
                parent = int(generator.integers(len(self._family)))
                mutant, how = within.mutate(self._family[parent][0].genotype, generator)
                proposal = Proposal(mutant, origin=how)
            if proposal.genotype not in seen:
                seen.add(proposal.genotype)
                self._family.append((proposal, parent))

    def ask(self, number: int) -> Proposal | None:
        """The next of the family; None after the last."""
        if len(self._numbers) == len(self._family):
            return None
        proposal, parent = self._family[len(self._numbers)]
        self._numbers.append(number)
        parents = () if parent is None else (self._numbers[parent],)
        return Proposal(proposal.genotype, parents, proposal.origin)


def arguments_of(description: str | None) -> argparse.ArgumentParser:
    """Which candidates, on what data; the same for the truth and for what is compared with it."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--trials", type=int, default=60, help="how many candidates")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--train-size", type=int)
    parser.add_argument("--at-large", action="store_true", help="they differ in all that is not pinned")
    parser.add_argument("--pin", action="append", type=pair, default=[], metavar="NAME=VALUE", help="what all have")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    return parser


def trained(given: argparse.Namespace, name: str, more_trials: int = 0, **how: Any) -> Run:
    """The run of all candidates in one way, begun or gone on with.

    Args:
        more_trials: that are not candidates themselves.
        how: the options of `nas.search` that are this way.
    """
    path, trials = given.runs_dir / name, given.trials + more_trials
    pinned = {"network": "convolutional", "latent": 16}
    if not given.at_large:
        pinned |= {"family": "plain", "cells": "edge", "decoder": "searched"}
        pinned |= {"width": 8, "decoder_width": 8, "batch_size": 64}
    cells = {f"{half}_cell.nodes": [1, 2] for half in ("encoder", "decoder")}
    asked: dict[str, Any] = {
        "epochs": given.epochs,
        "train_size": given.train_size,
        "seed": given.seed,
        "pin": pinned | dict(given.pin),
        "restrict": {} if given.at_large else cells,
        "early_stopping": "none",
    }
    asked |= how
    asked["set"] = {"size": given.trials, "at_large": given.at_large} | asked.get("set", {})
    if not path.exists():
        return nas.search(
            data=given.dataset, strategy=FamilyTree, trials=trials, runs_dir=given.runs_dir, name=name, **asked
        )
    begun = nas.open_run(path).config
    for option in ("epochs", "train_size", "seed", "pin", "restrict"):
        if getattr(begun, option) != asked[option]:
            raise SystemExit(f"{path} was begun with {option} {getattr(begun, option)}; give another --runs-dir")
    return nas.resume(path, trials=trials, strategy=FamilyTree)


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


def main() -> None:
    parser = arguments_of(__doc__)
    parser.add_argument("output", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    run = trained(given, f"truth-{given.output.stem}")
    write_atomically(given.output, json.dumps(document(run), indent=1).encode())
    values = [trial.metrics[run.objective.name] for trial in run.ranked()]
    best, worst = values[0], values[-1]
    print(f"{len(values)} of {len(run.trials)} trained to the end; {run.objective.name} {best:.5g} to {worst:.5g}")


if __name__ == "__main__":
    main()
