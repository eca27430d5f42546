"""DARTS against random sampling and evolution on the same cells, at equal epochs of training.

    python benchmarks/darts_against_sampling.py --dataset digits --seeds 0,1,2 --budget 100 --epochs 4

Everything but the cells is pinned to what is usual. The budget counts passes over the training part: those of the
supernet, whose weights and alphas see one half each in a pass, and those of every candidate. (A supernet's pass
computes all operations of every edge, so it takes longer; the seconds are given as well.) The best of each search,
by its validation error, is tested: one line of JSON a seed and strategy.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

import nas
from nas.study.run import Run
from search_spaces.autoencoder.space import AutoencoderSpace


def pinned(latent: int, width: int, nodes: int) -> dict[str, Any]:
    """The usual value of every decision but those of the cell."""
    pins: dict[str, Any] = {"network": "convolutional", "latent": latent, "width": width}
    choices = AutoencoderSpace().choices()
    for site in ("family", "stages", "normalisation", "activation", "decoder", "width_growth", "down_sampling",
                 "up_sampling", "head", "loss", "output", "optimiser", "learning_rate", "schedule", "batch_size",
                 "augmentation", "weight_decay"):  # fmt: skip
        pins[site] = choices[site].usual
    return pins | {"encoder_cell.nodes": nodes}


def searched(strategy: str, trials: int, seed: int, options: dict[str, Any], arguments: argparse.Namespace) -> Run:
    """One search, without the export."""
    return nas.search(
        data=arguments.dataset, strategy=strategy, trials=trials, epochs=arguments.epochs, seed=seed, set=options,
        early_stopping="none",
        train_size=arguments.train_size, pin=pinned(arguments.latent, arguments.width, arguments.nodes),
        runs_dir=arguments.runs_dir, device=arguments.device,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--budget", type=int, default=100, help="epochs of training for each search")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of each candidate")
    parser.add_argument("--supernet-epochs", type=int, default=20)
    parser.add_argument("--darts", action="append", default=[], metavar="OPTION=VALUE", help="options of darts")
    parser.add_argument("--strategies", default="darts,random,evolution")
    parser.add_argument("--latent", type=int, default=16)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--train-size", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    options = {"supernet_epochs": arguments.supernet_epochs}
    options |= dict(text.split("=", 1) for text in arguments.darts)
    for seed in (int(text) for text in arguments.seeds.split(",")):
        for strategy in arguments.strategies.split(","):
            mine = options if strategy == "darts" else {}
            candidates = (arguments.budget - (arguments.supernet_epochs if mine else 0)) // arguments.epochs
            began = time.perf_counter()
            run = searched(strategy, candidates + bool(mine), seed, mine, arguments)
            losses = [t.metrics["mse"] for t in run.trials if t.outcome is not None and t.outcome.scored]
            result = {
                "seed": seed,
                "strategy": strategy,
                "candidates": len(losses),
                "test_mse": round(run.tested["mse"], 6),
                "validation_mse": round(min(losses), 6),
                "first": round(losses[0], 6),
                "mean": round(sum(losses) / len(losses), 6),
                "best_trial": run.best.number,
                "seconds": round(time.perf_counter() - began),
                "architecture": run.best.description,
            }
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
