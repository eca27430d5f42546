"""What early stopping saves and what it costs, on recorded learning curves.

    python benchmarks/ground_truth.py truth.json ...
    python benchmarks/early_stopping.py truth.json --orders 1000

The candidates of a ground truth come in many random orders, on `--workers` workers, and every rule decides as it would
in a search, from the curves that there are by then. One line a rule, means over the orders:

    epochs, seconds   trained for, of those of all candidates in full
    found             how often the best candidate is trained to its end
    above             by how much the final loss of the best that was trained to its end is above the best of all
    within            how often that is at most 2%
    tau               Kendall's rank correlation of the ranking with that of the final losses: complete trials by
                      their loss, then the stopped ones by theirs
    predictor         the same of the scores that the strategy `predictor` learns from
    told              the same of the losses as they are told to strategies

Before them, the same of the losses after every epoch of trainings in full: what a rule could know at best.
"""

from __future__ import annotations

import argparse
import heapq
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from nas.core.early_stopping import EarlyStopping
from nas.core.genotype import Genotype
from nas.core.trial import Measurement, Objective, Outcome, Proposal, Trial, curve_of
from nas.registry import load, make_early_stopping
from nas.strategies.results import normal_scores
from nas.study.run import sort_trials

RULES = (
    "none", "asha", "asha:reduction=2", "asha:reduction=4", "asha:first=2", "asha:first=2,reduction=2", "asha:first=3",
    "hyperband", "median", "median:warm_up=0", "plateau",
)  # fmt: skip


@dataclass(frozen=True)
class Candidate:
    """What a training in full has found: a trial with its measurements, and when each came, in seconds."""

    trial: Trial
    times: list[float]


def read(path: Path) -> tuple[list[Candidate], Objective, int]:
    """The candidates that were trained to their end, the objective and the epochs."""
    truth = json.loads(path.read_text())
    objective = Objective(truth["objective"], truth["direction"])
    candidates = []
    for one in truth["candidates"]:
        if one["outcome"] != "complete":
            continue
        metrics = [{name: value for name, value in epoch.items() if name != "epoch"} for epoch in one["epochs"]]
        measurements = tuple(Measurement(e["epoch"], m) for e, m in zip(one["epochs"], metrics, strict=True))
        proposal = Proposal(Genotype.parse(json.dumps(one["genotype"])))
        trial = Trial(one["number"], proposal, one["seed"], measurements, curve=curve_of(measurements, objective))
        candidates.append(Candidate(trial, [m["seconds"] for m in metrics]))
    return candidates, objective, truth["epochs"]


def replayed(candidates: list[Candidate], rule: EarlyStopping, workers: int) -> list[Trial]:
    """The trials, numbered as they begin, as they would have ended."""
    waiting = list(enumerate(candidates))[::-1]
    ended: list[Trial] = []
    running: dict[int, Trial] = {}
    events: list[tuple[float, int, int]] = []  # when, which trial, which of its measurements

    def begin(now: float) -> None:
        if waiting:
            number, candidate = waiting.pop()
            running[number] = part(number, candidate, 0)
            heapq.heappush(events, (now + candidate.times[0], number, 1))

    for _ in range(workers):
        begin(0.0)
    while events:
        now, number, done = heapq.heappop(events)
        candidate = candidates[number]
        running[number] = part(number, candidate, done)
        others = [*ended, *(trial for other, trial in running.items() if other != number)]
        stopped = rule.reason_to_stop(running[number], others) is not None
        if not stopped and done < len(candidate.times):
            lasts = candidate.times[done] - candidate.times[done - 1]
            heapq.heappush(events, (now + lasts, number, done + 1))
            continue
        del running[number]
        ended.append(part(number, candidate, done, "stopped" if stopped else "complete"))
        begin(now)
    return ended


def part(number: int, candidate: Candidate, done: int, kind: Any = None) -> Trial:
    """A candidate's trial after so many measurements."""
    whole = candidate.trial
    curve = dict(list(whole.curve.items())[:done])
    losses = () if kind is None else (list(curve.values())[-1],)
    outcome = None if kind is None else Outcome(kind)
    return Trial(number, whole.proposal, whole.seed, whole.measurements[:done], outcome, losses, curve)


def figures(candidates: list[Candidate], ended: list[Trial]) -> dict[str, float]:
    """What is reported of one order."""
    final = np.array([list(candidates[trial.number].trial.curve.values())[-1] for trial in ended])
    complete = [list(trial.curve.values())[-1] for trial in ended if not trial.stopped]
    above = (min(complete) - final.min()) / abs(final.min())
    seconds = sum(candidates[trial.number].times[len(trial.curve) - 1] for trial in ended)
    ranked = {trial.number: place for place, trial in enumerate(sort_trials(ended))}
    return {
        "epochs": sum(len(t.curve) for t in ended) / sum(len(c.times) for c in candidates),
        "seconds": seconds / sum(c.times[-1] for c in candidates),
        "found": float(above == 0),
        "above": above,
        "within": float(above <= 0.02),
        "tau": kendalltau([ranked[trial.number] for trial in ended], final).statistic,
        "predictor": kendalltau(-normal_scores(ended), final).statistic,
        "told": kendalltau([trial.losses[0] for trial in ended], final).statistic,
    }


def foresight(candidates: list[Candidate], epochs: int) -> list[float]:
    """Kendall's tau between the losses after an epoch and the final ones, for every epoch."""
    curves = [candidate.trial.curve for candidate in candidates]
    final = [list(curve.values())[-1] for curve in curves]
    after = [
        [curve.get(epoch, last) for curve, last in zip(curves, final, strict=True)] for epoch in range(1, epochs + 1)
    ]
    return [float(kendalltau(losses, final).statistic) for losses in after]


def rule_of(text: str, objective: Objective, epochs: int) -> Callable[[int], EarlyStopping]:
    """``asha:reduction=4,first=2`` -> what makes the rule for a run's seed."""
    name, _, options = text.partition(":")
    given = dict(pair.split("=") for pair in options.split(",") if pair)
    kind = load("early-stopping", name)
    return lambda seed: make_early_stopping(kind, name, objective, epochs=epochs, seed=seed, given=given)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--rule", action="append", metavar="RULE[:OPTION=VALUE,...]", help="by default several")
    parser.add_argument("--orders", type=int, default=300)
    parser.add_argument("--trials", type=int, help="so many of the candidates in every order (default all)")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    arguments = parser.parse_args()
    candidates, objective, epochs = read(arguments.truth)
    results: dict[str, dict[str, float]] = {}
    for text in arguments.rule or RULES:
        make, found = rule_of(text, objective, epochs), []
        for order in range(arguments.orders):
            places = np.random.default_rng(order).permutation(len(candidates))[: arguments.trials]
            shuffled = [candidates[int(place)] for place in places]
            found.append(figures(shuffled, replayed(shuffled, make(order), arguments.workers)))
        results[text] = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    if arguments.json:
        print(json.dumps(results))
        return
    count = min(len(candidates), arguments.trials or len(candidates))
    print(f"{count} candidates, {epochs} epochs, {arguments.workers} at once, {arguments.orders} orders")
    print(f"tau after every epoch: {' '.join(f'{tau:.2f}' for tau in foresight(candidates, epochs))}")
    print(f"{'':25}" + "".join(f"{name:>11}" for name in next(iter(results.values()))))
    for text, row in results.items():
        cells = [
            f"{value:11.3f}" if "tau" in n or n in ("predictor", "told") else f"{value:11.1%}"
            for n, value in row.items()
        ]
        print(f"{text:25}" + "".join(cells))


if __name__ == "__main__":
    main()
