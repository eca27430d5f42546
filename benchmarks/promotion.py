"""Promotion against early stopping at equal cost: what searches with the same epochs of training find.

    python benchmarks/promotion.py --epochs 12 --trials 16 --seeds 0,1,2,3

For each seed a search with early stopping is run to its end, and then one with each rule of promotion until as many
epochs have been trained. One line of JSON a search: how many candidates it has tried, the loss of its best as it would
be handed over, and that of its best's genotype once it is trained anew, as finalists are, for as many epochs as all
others. At last a line for each rule: both losses in units of those with early stopping, in the geometric mean over the
seeds.

    python benchmarks/promotion.py --scores 1,2,4 --candidates 20

How to score at a rung. Random candidates are trained in full with their own schedules, and are scored after the epochs
of each rung in four ways: in the midst of that schedule (`own`), with a constant rate and averaged weights
(`averaged`), the same after a branch of half as many epochs more, one at least, in which the rate falls to nothing
(`decayed`), and with a schedule of their own that ends there (`whole`). Of each way the rank correlation with the end
of the training in full, and how many of the best third are in the best third at the rung. At last the loss at the last
rung in units of that of the training in full.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from pairs import pair
from scipy.stats import spearmanr

from evaluators import training_evaluator
from nas.config import RunConfig
from nas.core.errors import CandidateFailure
from nas.core.evaluator import CHECKPOINT
from nas.core.genotype import Genotype
from nas.core.job import Train, TrainFinalist, TrainRung
from nas.core.search import Search
from nas.core.space import generator_for, sample
from nas.core.trial import Measurement, Proposal, Start, Trial
from nas.session.assembly import assemble
from nas.session.start import start_run
from nas.study.parts import Parts
from nas.study.run import Run

SMALL = {"batch_size": [32, 64, 128], "stages": [1, 2], "hidden_width": [64, 128, 256]}
PINNED = {"family": "plain", "decoder": "mirrored", "cells": "edge", "encoder_cell.nodes": 1, "width": 8}
"""So that a candidate takes seconds."""


class Budget:
    """Ends a session once it has trained so many epochs."""

    def __init__(self, epochs: float) -> None:
        self._left = epochs
        self.run: Run | None = None

    def begin(self, run: Run, search: Search) -> None:
        self.run = run

    def show_measurement(self, trial: Trial, measurement: Measurement) -> None:
        pass

    def show_trial(self, trial: Trial) -> None:
        self._left -= len(trial.measurements)
        if self._left <= 0:
            raise KeyboardInterrupt


def make_config(given: argparse.Namespace, **options: Any) -> RunConfig:
    common = {
        "dataset": given.dataset, "strategy": given.strategy, "epochs": given.epochs, "finalists": 0, "device": "cpu",
        "train_size": given.train_size, "restrict": SMALL, "pin": PINNED | dict(given.pin),
    }  # fmt: skip
    return RunConfig.checked(common | options)


def train_anew(parts: Parts, genotype: Genotype, epochs: int) -> float:
    """The loss of a genotype that is trained as a finalist is, and comes to its end."""
    job = TrainRung(0, 1, 2, 0, epochs, epochs)
    *_, last = parts.evaluator.evaluate(Trial(0, Proposal(genotype, job=job), 12345))
    return last.metrics["mse"]


def compare_rules(given: argparse.Namespace) -> None:
    found: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in map(int, given.seeds.split(",")):
            budget = math.inf
            for way in ("stopping", *given.rules.split(",")):
                rules = {"early_stopping": "asha"} if way == "stopping" else {"promotion": way}
                trials = given.trials if way == "stopping" else 20 * given.trials
                watched = Budget(budget)
                options = {"seed": seed, "trials": trials, "runs_dir": Path(folder), "name": f"{seed}-{way}", **rules}
                if given.strategy == "evolution":  # it is sized by the trials, of which some are never reached
                    options["set"] = {"population": max(4, given.trials // 4)}
                try:
                    run = start_run(make_config(given, **options), progress=watched)
                except KeyboardInterrupt:
                    assert watched.run is not None
                    run = watched.run
                budget = min(budget, run.epochs_run)
                best = run.best
                anew = train_anew(run.parts, best.genotype, given.epochs)
                found.setdefault(way, []).append((best.metrics["mse"], anew))
                tried = sum(trial.job.counted for trial in run.trials)
                line = {"seed": seed, "rule": way, "epochs": run.epochs_run, "candidates": tried}
                print(json.dumps({**line, "best": best.metrics["mse"], "anew": anew}), flush=True)
    whole = np.log(np.array(found["stopping"]))
    for way, losses in found.items():
        best, anew = np.exp((np.log(np.array(losses)) - whole).mean(axis=0))
        print(json.dumps({"rule": way, "best": round(float(best), 3), "anew": round(float(anew), 3)}))


def score_candidate(parts: Parts, briefly: dict[int, Parts], genotype: Genotype, rungs: list[int]) -> dict[str, Any]:
    """Its losses at each rung in each way, and that after a training in full with its own schedule."""
    evaluator, seed = parts.evaluator, 7
    curve = [m.metrics["mse"] for m in evaluator.evaluate(Trial(0, Proposal(genotype, job=Train()), seed))]
    losses: dict[str, Any] = {"end": curve[-1], "own": [curve[rung - 1] for rung in rungs]}
    losses["whole"] = [
        [m.metrics["mse"] for m in briefly[rung].evaluator.evaluate(Trial(0, Proposal(genotype), seed))][-1]
        for rung in rungs
    ]
    losses |= {"averaged": [], "decayed": []}
    before, start = 0, None
    for rung in rungs:
        job = TrainFinalist(0, 0, 0, before, rung - before, parts.epochs, continues=None if start is None else 0)
        *_, last = evaluator.evaluate(Trial(0, Proposal(genotype, job=job), seed, start=start))
        losses["averaged"].append(last.metrics["mse"])
        before, start = rung, Start(0, genotype, last.artifacts[CHECKPOINT])
        more = max(1, rung // 2)
        branch = TrainFinalist(0, 0, 1, rung, more, rung + more, settles=True, continues=0)
        with patch.object(training_evaluator, "SETTLING", 1.0):  # all of the branch
            *_, last = evaluator.evaluate(Trial(0, Proposal(genotype, job=branch), seed, start=start))
        losses["decayed"].append(last.metrics["mse"])
    job = TrainFinalist(0, 0, 0, before, parts.epochs - before, parts.epochs, settles=True, continues=0)
    *_, last = evaluator.evaluate(Trial(0, Proposal(genotype, job=job), seed, start=start))
    return losses | {"settled": last.metrics["mse"]}


def compare_scores(given: argparse.Namespace) -> None:
    rungs = [int(rung) for rung in given.scores.split(",")]
    parts = assemble(make_config(given))
    briefly = {rung: assemble(make_config(given, epochs=rung)) for rung in rungs}
    found: list[dict[str, Any]] = []
    drawn = 0
    while len(found) < given.candidates:
        drawn += 1
        genotype = sample(parts.space, generator_for(5, drawn), usual=0.6)
        try:
            found.append(score_candidate(parts, briefly, genotype, rungs))
        except CandidateFailure:
            continue
        print(json.dumps(found[-1]), flush=True)
    end = np.array([losses["end"] for losses in found])
    third = len(found) // 3
    for way in ("own", "averaged", "decayed", "whole"):
        for place, rung in enumerate(rungs):
            there = np.array([losses[way][place] for losses in found])
            kept = set(there.argsort()[:third].tolist()) & set(end.argsort()[:third].tolist())
            line = {"scored": way, "epochs": rung, "of": given.epochs, "correlation": spearmanr(there, end)[0]}
            print(json.dumps({**line, "best third": len(kept) / third}))
    settled = np.array([losses["settled"] for losses in found])
    print(json.dumps({"settled": float(np.exp(np.log(settled / end).mean()))}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--strategy", default="evolution")
    parser.add_argument("--trials", type=int, default=16, help="of the search with early stopping")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--train-size", type=int, default=1000)
    parser.add_argument("--pin", action="append", type=pair, default=[], metavar="NAME=VALUE")
    parser.add_argument("--rules", default="asha,hyperband")
    parser.add_argument("--seeds", default="0,1,2,3")
    parser.add_argument("--scores", metavar="EPOCHS", help="compare ways to score at these rungs: 1,2,4")
    parser.add_argument("--candidates", type=int, default=20)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.scores:
        compare_scores(given)
    else:
        compare_rules(given)


if __name__ == "__main__":
    main()
