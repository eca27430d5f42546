"""Does a search pay? What `nas search` hands over, against hand-made autoencoders that had the same time.

python benchmarks/does_search_pay.py --dataset digits --minutes 4 --seeds 0,1,2

All have the same data, code size and wall-clock time, on one thread:

- search: `nas search --time-limit`, everything included: exploring, finals, test and export.
- usual: the usual genotype alone, for all of the time, trained as the winner of finals is.
- hand-made: a convolutional autoencoder as in DCGAN (strided convolutions, batch normalisation, ReLU) by Adam and a
  cosine over all of the time, with the best of two batch sizes and two rates by the validation part. They are tried for
  a quarter of the time each, which is not counted, although a practitioner would have had to share the time among them.

The number is the mean squared error of the test part.
"""

from __future__ import annotations

import argparse
import itertools
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load
from torch import Tensor, nn

import nas
from evaluators.autoencoder.task import AutoencoderTask
from nas.core.evaluator import WEIGHTS
from nas.core.job import TrainFinalist
from nas.core.trial import Proposal, Trial
from nas.data.dataset import Dataset, as_float
from nas.data.loading import load_data
from nas.strategies.usual_first import find_usual
from search_spaces.autoencoder.space import AutoencoderSpace

EPOCHS, SCORED = 24, 1_000  # of the usual genotype: after so many epochs it is scored on so many examples
GRID = [(batch, rate) for batch in (32, 128) for rate in (1e-3, 3e-3)]


class HandMade(nn.Module):
    """Two or three strided convolutions down to a code, and back."""

    def __init__(self, shape: tuple[int, ...], latent: int, width: int = 32) -> None:
        super().__init__()
        channels, side, _ = shape
        stages = 3 if side >= 32 else 2
        widths = [channels, *(width * 2**stage for stage in range(stages))]
        left = math.ceil(side / 2**stages)
        down: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(widths):
            down += [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.BatchNorm2d(outputs), nn.ReLU()]
        up: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(reversed(widths)):
            up.append(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1))
            up += [nn.BatchNorm2d(outputs), nn.ReLU()] if outputs != channels else [nn.Sigmoid()]
        size = widths[-1] * left**2
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(size, latent))
        self.decoder = nn.Sequential(nn.Linear(latent, size), nn.Unflatten(1, (widths[-1], left, left)), *up)
        self.side = side

    def forward(self, images: Tensor) -> Tensor:
        """Images to images."""
        rebuilt: Tensor = self.decoder(self.encoder(images))
        return rebuilt[..., : self.side, : self.side]


@torch.no_grad()
def measure(model: nn.Module, images: Tensor) -> float:
    """The mean squared error of a part."""
    model.eval()
    errors = [((model(part) - part) ** 2).sum() for part in as_float(images).split(500)]
    return float(torch.stack(errors).sum()) / images.numel()


def train_by_hand(data: Dataset, latent: int, seconds: float, batch: int, rate: float, seed: int) -> nn.Module:
    """Train the hand-made model for so many seconds; the cosine is over the time."""
    torch.manual_seed(seed)
    model = HandMade(data.shape, latent).to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(model.parameters(), rate, fused=True)
    images, began = data.train.examples, time.monotonic()
    while (spent := time.monotonic() - began) < seconds:
        model.train()
        for chosen in torch.randperm(len(images)).split(min(batch, len(images))):
            spent = min(time.monotonic() - began, seconds)
            for group in optimiser.param_groups:
                group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * spent / seconds))
            part = as_float(images[chosen])
            loss = nn.functional.mse_loss(model(part), part)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if spent >= seconds:
                break
    return model


def tune_by_hand(data: Dataset, latent: int, seconds: float, seed: int) -> tuple[float, tuple[int, float]]:
    """Train the hand-made model with the best of the grid; return its error on the test part, and what was best."""
    errors = {
        options: measure(train_by_hand(data, latent, seconds / 4, *options, seed), data.validation.examples)
        for options in GRID
    }
    best = min(errors, key=errors.__getitem__)
    return measure(train_by_hand(data, latent, seconds, *best, seed), data.test.examples), best


def train_usual(data: Dataset, latent: int, seconds: float, seed: int) -> float:
    """Train the usual genotype as the winner of finals is, for so many seconds, and return its error on the test part.

    It is scored in the time that it has, as finalists are, and tested after that.
    """
    space = AutoencoderSpace().restrict({"latent": (latent,)})
    usual = find_usual(space, seed)
    assert usual is not None
    evaluator: Any = AutoencoderTask.make_evaluator(space, data, epochs=EPOCHS, scored_examples=SCORED)
    began = time.monotonic()
    pace = evaluator.measure_pace(usual, seed)
    left = seconds - (time.monotonic() - began)
    size = max(1, round(left / EPOCHS / pace.trained))
    job = TrainFinalist(0, 0, 0, 0, EPOCHS, EPOCHS, settles=True, seconds=left, epoch_size=size, objective="mse")
    for measurement in evaluator.evaluate(Trial(0, Proposal(usual, job=job), seed)):
        last = measurement
    model = space.build(usual, data.shape)
    model.load_state_dict(load(last.artifacts[WEIGHTS]))
    return float(evaluator.test(usual, model, seed)["mse"])


def main() -> None:
    """Print a row for each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--train-size", type=int)
    parser.add_argument("--latent", type=int, default=32)
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--strategy", default="evolution")
    parser.add_argument("--only", default="search,usual,hand-made")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seconds, wanted = 60 * arguments.minutes, arguments.only.split(",")
    print(f"{arguments.dataset}, latent {arguments.latent}, {arguments.minutes:g} minutes each; test MSE")
    for seed in map(int, arguments.seeds.split(",")):
        data = load_data(arguments.dataset, seed=seed, train_size=arguments.train_size)
        row: dict[str, Any] = {}
        if "search" in wanted:
            with tempfile.TemporaryDirectory() as folder:
                began = time.monotonic()
                run = nas.search(
                    data=arguments.dataset, train_size=arguments.train_size, seed=seed, trials=1_000, device="cpu",
                    strategy=arguments.strategy, pin={"latent": arguments.latent}, time_limit=f"{seconds:.0f}s",
                    runs_dir=Path(folder),
                )  # fmt: skip
                row["search"] = run.tested["mse"]
                row["of it"] = f"{time.monotonic() - began:.0f} s, {run.counts()}, {run.best.description}"
        if "usual" in wanted:
            row["usual"] = train_usual(data, arguments.latent, seconds, seed)
        if "hand-made" in wanted:
            row["hand-made"], row["its batch and rate"] = tune_by_hand(data, arguments.latent, seconds, seed)
        print(seed, {k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}, flush=True)


if __name__ == "__main__":
    main()
