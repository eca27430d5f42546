"""Does a search for GANs pay? What `nas search` hands over, against hand-made DCGANs that had the same time.

python benchmarks/does_gan_search_pay.py --dataset npz:mnist.npz --minutes 20 --seeds 0

All have the same data and wall-clock time, on one thread, and are scored by the same extractor, reference and number
of samples; of each the snapshot with the least validation FID is tested.

- search: `nas search --space gan --time-limit`, everything included: exploring, finals, test and export.
- hand-made: a DCGAN (Radford et al. 2016: strided convolutions, batch normalisation, non-saturating loss, Adam with
  beta1 .5) with a moving average of the generator and rates that fall to 0 in the second half, with the best of two
  depths and two rates by the validation part. They are tried for a quarter of the time each, which is not counted,
  although a practitioner would have had to share the time among them.

The number is the FID of the test part; the features are those of a classifier of the seed's training part, so that it
compares within a seed alone.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import nas
from evaluators.gan.task import GanTask
from evaluators.pictures import render_rows
from nas.data.dataset import Dataset, as_float
from nas.data.loading import load_data
from search_spaces.gan.space import GanSpace

GRID = [(stages, rate) for stages in (2, 3) for rate in (2e-4, 8e-4)]
BATCH, LOOKS, WIDTH, AVERAGE = 64, 12, 32, 0.99
NOISE = {"noise": "normal", "noise_scale": 1.0}
SHOWN = ("fid", "real_fid", "kid", "coverage", "modes")


class Dcgan(nn.Module):
    """So many strided convolutions, each of which halves the side, rounded up; what that added is cropped again."""

    condition, latent = "none", 100

    def __init__(self, shape: tuple[int, ...], stages: int, width: int = WIDTH) -> None:
        super().__init__()
        channels, side, _ = shape
        widths = [width * 2**stage for stage in range(stages)]
        sides = [math.ceil(side / 2**stage) for stage in range(stages + 1)]
        small = sides[-1]
        up: list[nn.Module] = [nn.Linear(100, widths[-1] * small**2, bias=False)]
        up += [nn.Unflatten(1, (widths[-1], small, small)), nn.BatchNorm2d(widths[-1]), nn.ReLU()]
        for (inputs, outputs), wanted in zip(itertools.pairwise(reversed(widths)), reversed(sides[1:-1]), strict=True):
            up += [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False), Crop(wanted)]
            up += [nn.BatchNorm2d(outputs), nn.ReLU()]
        self.generator = nn.Sequential(*up, nn.ConvTranspose2d(width, channels, 4, 2, 1), Crop(side), nn.Sigmoid())
        down: list[nn.Module] = [nn.Conv2d(channels, width, 3, 2, 1), nn.LeakyReLU(0.2)]
        for inputs, outputs in itertools.pairwise(widths):
            down += [nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]
        self.discriminator = nn.Sequential(*down, nn.Flatten(), nn.Linear(widths[-1] * small**2, 1), nn.Flatten(0))
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.normal_(module.weight, 0.0, 0.02)


class Crop(nn.Module):
    """Leaves so many rows and columns."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) to (N, C, side, side)."""
        return images[..., : self.side, : self.side]


def train_by_hand(task: GanTask, stages: int, rate: float, seconds: float, seed: int) -> tuple[float, nn.Module]:
    """Train for so many seconds, scoring included; return the least validation FID and the pair that has it."""
    torch.manual_seed(seed)
    data, began = task.data, time.monotonic()
    model = Dcgan(data.shape, stages).to(memory_format=torch.channels_last)
    pair = model.generator, model.discriminator
    optimisers = [torch.optim.Adam(part.parameters(), rate, betas=(0.5, 0.999), fused=True) for part in pair]
    average = AveragedModel(model.generator, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE), use_buffers=True)
    real_label, fake_label = torch.ones(BATCH), torch.zeros(BATCH)
    best: tuple[float, nn.Module] = (float("inf"), model)
    updates, looked, images = 0, 0, data.train.examples
    while (spent := time.monotonic() - began) < seconds:
        for chosen in torch.randperm(len(images)).split(BATCH)[:-1]:
            for optimiser in optimisers:
                optimiser.param_groups[0]["lr"] = rate * min(1.0, max(0.0, 2 - 2 * spent / seconds))
            real = as_float(images[chosen])
            fake = model.generator(torch.randn(BATCH, Dcgan.latent))
            model.discriminator.zero_grad()
            F.binary_cross_entropy_with_logits(model.discriminator(real), real_label).backward()
            F.binary_cross_entropy_with_logits(model.discriminator(fake.detach()), fake_label).backward()
            optimisers[1].step()
            model.generator.zero_grad()
            F.binary_cross_entropy_with_logits(model.discriminator(fake), real_label).backward()
            optimisers[0].step()
            average.update_parameters(model.generator)
            updates += 1
            spent = time.monotonic() - began
            if spent >= seconds * (looked + 1) / LOOKS:
                looked += 1
                generator = average.module.eval()
                fid = task.score(model, generator, NOISE, seed).metrics["fid"]
                if fid < best[0]:
                    kept = copy.deepcopy(model)
                    kept.generator = copy.deepcopy(generator)
                    best = fid, kept
            if spent >= seconds:
                break
    print(f"  {stages} stages, rate {rate:g}, {updates} updates: validation FID {best[0]:.3f}", flush=True)
    return best


def tune_by_hand(data: Dataset, seconds: float, seed: int, picture: Path) -> dict[str, Any]:
    """Train the DCGAN with the best of the grid; return its scores on the test part, and what was best."""
    task = GanTask(GanSpace(), data)
    task.prepare()
    found = {options: train_by_hand(task, *options, seconds / 4, seed)[0] for options in GRID}
    options = min(found, key=found.__getitem__)
    _, model = train_by_hand(task, *options, seconds, seed)
    scores = task.score(model, model.generator, NOISE, seed, part="test")
    with torch.no_grad():
        samples = model.generator(torch.randn(100, Dcgan.latent, generator=torch.Generator().manual_seed(seed)))
    picture.write_bytes(render_rows(samples.split(10)))
    return {**{name: scores.metrics[name] for name in SHOWN if name in scores.metrics}, "stages, rate": options}


def main() -> None:
    """Print a row for each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="npz:mnist.npz")
    parser.add_argument("--train-size", type=int)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--only", default="search,hand-made")
    parser.add_argument("--pictures", type=Path, default=Path())
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seconds, wanted = 60 * arguments.minutes, arguments.only.split(",")
    print(f"{arguments.dataset}, {arguments.minutes:g} minutes each")
    for seed in map(int, arguments.seeds.split(",")):
        if "search" in wanted:
            with tempfile.TemporaryDirectory() as folder:
                began = time.monotonic()
                run = nas.search(
                    space="gan", data=arguments.dataset, train_size=arguments.train_size, seed=seed, trials=1_000,
                    device="cpu", time_limit=f"{seconds:.0f}s", runs_dir=Path(folder),
                )  # fmt: skip
                row = {name: round(run.tested[name], 3) for name in SHOWN if name in run.tested}
                print(seed, "search", row, f"{time.monotonic() - began:.0f} s", run.counts(), run.best.description)
        if "hand-made" in wanted:
            data = load_data(arguments.dataset, seed=seed, train_size=arguments.train_size)
            print(
                seed,
                "hand-made",
                tune_by_hand(data, seconds, seed, arguments.pictures / f"dcgan{seed}.png"),
                flush=True,
            )


if __name__ == "__main__":
    main()
