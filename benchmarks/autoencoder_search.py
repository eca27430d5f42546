"""The best autoencoder found by a search against the usual hand-made one, retrained just as long.

    python benchmarks/autoencoder_search.py --dataset npz:mnist.npz --latent 32
    python benchmarks/autoencoder_search.py --dataset npz:cifar10.npz --latent 128

For each seed: a search of 24 trials of 3 epochs on 8,000 images; its best, trained anew for 10 epochs; the
baseline, trained for 10 epochs; test mean squared errors and their ratio, one line of JSON a seed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from pairs import several
from torch import nn

import nas
from evaluators.autoencoder.task import AutoencoderTask
from nas.core.evaluator import Evaluator
from nas.core.trial import Trial
from nas.data.dataset import Dataset, as_float


def baseline(shape: tuple[int, int, int], latent: int) -> nn.Module:
    """Two strided 3x3 convolutions of 32 and 64 channels, linear to the code and back, two transposed ones."""
    channels, height, width = shape
    spot = (64, height // 4, width // 4)
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 64, 3, 2, 1), nn.BatchNorm2d(64), nn.ReLU(),
        nn.Flatten(), nn.Linear(math.prod(spot), latent),
        nn.Linear(latent, math.prod(spot)), nn.ReLU(), nn.Unflatten(1, spot),
        nn.ConvTranspose2d(64, 32, 3, 2, 1, 1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.ConvTranspose2d(32, channels, 3, 2, 1, 1), nn.Sigmoid(),
    )  # fmt: skip


def train_baseline(data: Dataset, latent: int, epochs: int, seed: int) -> float:
    """The test error of the baseline: Adam 1e-3, batches of 128."""
    torch.manual_seed(seed)
    model = baseline(data.shape, latent)
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(epochs):
        model.train()
        for batch in torch.randperm(len(data.train)).split(128):
            images = as_float(data.train.examples[batch])
            optimiser.zero_grad()
            F.mse_loss(model(images), images).backward()
            optimiser.step()
    model.eval()
    images = as_float(data.test.examples)
    with torch.no_grad():
        return float(torch.cat([(model(batch) - batch) ** 2 for batch in images.split(500)]).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--latent", type=int, default=32)
    parser.add_argument("--strategy", default="evolution")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--retrain", type=int, default=10)
    parser.add_argument("--train-size", type=int, default=8000)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--restrict", action="append", type=several, default=[], metavar="NAME=A,B", help="narrow more")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for seed in (int(text) for text in arguments.seeds.split(",")):
        began = time.perf_counter()
        run = nas.search(
            data=arguments.dataset,
            strategy=arguments.strategy,
            trials=arguments.trials,
            epochs=arguments.epochs,
            train_size=arguments.train_size,
            pin={"latent": arguments.latent, "family": "plain", "network": "convolutional"},
            restrict={
                "encoder_cell.nodes": [1, 2],
                "decoder_cell.nodes": [1, 2],
                "batch_size": [16, 32, 64],
                **dict(arguments.restrict),
            },
            seed=seed,
            runs_dir=arguments.runs_dir,
        )
        searched = time.perf_counter() - began
        parts, best = run.parts, run.best
        evaluator = AutoencoderTask.make_evaluator(
            parts.space, parts.data, epochs=arguments.retrain, device=parts.device
        )
        found = retrained(evaluator, dataclasses.replace(best.trial, measurements=(), outcome=None, losses=()))
        usual = train_baseline(parts.data, arguments.latent, arguments.retrain, seed)
        result = {
            "seed": seed,
            "baseline_test_mse": round(usual, 6),
            "found_test_mse": round(found, 6),
            "ratio": round(found / usual, 3),
            "searched_seconds": round(searched),
            "trial": best.number,
            "validation_mse_in_search": round(best.metrics["mse"], 6),
            "parameters": int(best.metrics["parameters"]),
            "multiply_adds": int(best.metrics["multiply_adds"]),
            "architecture": best.description,
        }
        print(json.dumps(result), flush=True)


def retrained(evaluator: Evaluator, trial: Trial) -> float:
    """The test error of a trial's genotype, trained anew for the evaluator's epochs."""
    from safetensors.torch import load

    *_, last = evaluator.evaluate(trial)
    model = evaluator.space.build(trial.genotype, evaluator.data.shape)
    model.load_state_dict(load(last.artifacts["weights.safetensors"]))
    return evaluator.test(trial.genotype, model, trial.seed)["mse"]


if __name__ == "__main__":
    main()
