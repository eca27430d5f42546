"""Every way to make trials cheaper, and those pairs that compose, on candidates whose truth is known.

    python benchmarks/ground_truth.py truth.json --dataset npz:mnist.npz --train-size 2000
    python benchmarks/accelerations.py truth.json --dataset npz:mnist.npz --train-size 2000

Each way is a search of the product's own with the same candidates, and with the same seeds wherever trials have the
same numbers. One line of JSON a way, as soon as it has ended:

    cheaper           epochs and seconds of training of all candidates in full, over those of this way, the supernet's
                      own and those of the finalists included
    tau               Kendall's rank correlation of its ranking with the truth: trained to the end before stopped early
                      before scored by shared weights, each of them by its losses
    winner            the true rank of the candidate that it recommends, and by how much its true loss is above the best

Killed at any moment, the same command goes on. `--grow` and `--weight-sharing inherit` refuse each other, and so do
both kinds of weight sharing; early stopping of a supernet's few finalists is no way of its own. Candidates `--at-large`
are no paths of one supernet. `--way 'other seeds'`, all trained in full with other seeds and on another part of the
data, shows what is chance in the truth itself; it takes as long as the truth did.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ground_truth import arguments_of, trained
from scipy.stats import kendalltau

from nas.core.genotype import Genotype
from nas.core.job import ScoreWithSupernet, TrainSupernet
from nas.study.run import Run, sort_trials

SHORT, SHORTER = 3, 6  # parts of the truth's epochs
OTHER_SEEDS = "other seeds"
LONGER = 7  # times the truth's epochs: with the finalists a fifth of what 60 candidates take
FINALISTS = 5


def ways(epochs: int) -> dict[str, dict[str, Any]]:
    """Options of `nas.search` by what the way is called."""
    short, shorter = epochs // SHORT, epochs // SHORTER
    shared: dict[str, Any] = {"weight_sharing": "supernet", "set": {"finalists": FINALISTS}}
    longer = {**shared, "set": {"finalists": FINALISTS, "supernet_epochs": LONGER * epochs}}
    stopped: dict[str, Any] = {"early_stopping": "asha"}
    return {
        f"{shorter} epochs": {"epochs": shorter},
        f"{shorter} epochs, inherit": {"epochs": shorter, "weight_sharing": "inherit"},
        "asha": stopped,
        f"{short} epochs": {"epochs": short},
        f"{short} epochs, inherit": {"epochs": short, "weight_sharing": "inherit"},
        "supernet": shared,
        f"supernet, {LONGER * epochs} epochs": longer,
        f"{short} epochs, asha": {"epochs": short, **stopped},
        f"{short} epochs, inherit, asha": {"epochs": short, "weight_sharing": "inherit", **stopped},
        f"{short} epochs, grow": {"epochs": short, "grow": True},
        f"{short} epochs, grow, asha": {"epochs": short, "grow": True, **stopped},
        f"{shorter} epochs, grow": {"epochs": shorter, "grow": True},
    }


def figures(run: Run, truth: Mapping[str, Any]) -> dict[str, Any]:
    """What is reported of a way."""
    candidates = [candidate for candidate in truth["candidates"] if candidate["outcome"] == "complete"]
    final = {Genotype.parse(json.dumps(c["genotype"])): c["epochs"][-1][truth["objective"]] for c in candidates}
    trials = [trial for trial in run.trials if trial.outcome is not None and not isinstance(trial.job, TrainSupernet)]
    ranked: list[Genotype] = []
    for shared in (False, True):  # finalists before all others
        for trial in sort_trials([trial for trial in trials if (isinstance(trial.job, ScoreWithSupernet)) is shared]):
            if trial.genotype in final and trial.genotype not in ranked:
                ranked.append(trial.genotype)
    winner = run.best.genotype
    order = sorted(final, key=lambda genotype: final[genotype])
    tau = kendalltau(range(len(ranked)), [final[genotype] for genotype in ranked]).statistic
    epochs = sum(len(candidate["epochs"]) for candidate in candidates)
    seconds = sum(candidate["epochs"][-1]["seconds"] for candidate in candidates)
    own = [trial for trial in run.trials if trial.measurements]
    return {
        "candidates": len(ranked),
        "cheaper_in_epochs": epochs / sum(len(t.measurements) for t in own if not isinstance(t.job, ScoreWithSupernet)),
        "cheaper_in_seconds": seconds / sum(trial.measurements[-1].metrics["seconds"] for trial in own),
        "tau": float(tau),
        "winner_rank": order.index(winner) + 1,
        "winner_above": final[winner] / final[order[0]] - 1,
    }


def main() -> None:
    parser = arguments_of(__doc__)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--way", action="append", help="one of those that are run by default")
    given = parser.parse_args()
    torch.set_num_threads(1)
    truth = json.loads(given.truth.read_text())
    known = ways(given.epochs)
    possible = [name for name, way in known.items() if not (given.at_large and way.get("weight_sharing") == "supernet")]
    known[OTHER_SEEDS] = {"seed": given.seed + 1}
    for name in given.way or possible:
        of_supernet = 1 + FINALISTS if known[name].get("weight_sharing") == "supernet" else 0
        folder = f"{given.truth.stem}-{name.replace(', ', '-').replace(' ', '-')}"
        run = trained(given, folder, of_supernet, **known[name])
        found = {name: round(value, 3) for name, value in figures(run, truth).items()}
        print(json.dumps({"way": name, **found}), flush=True)


if __name__ == "__main__":
    main()
