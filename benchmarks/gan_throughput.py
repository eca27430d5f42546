"""Images a second of training a DCGAN: our loop against a plain PyTorch one.

    python benchmarks/gan_throughput.py [--device cuda] [--width 64] [--updates 40] [--repeats 3]

The plain loop is that of PyTorch's DCGAN tutorial, with the same fused Adam and the same moving average (torch's
AveragedModel) and on data that is in memory; both loops train the same networks on the same number of images and take
turns, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from evaluators.gan.training import RECIPE, GanTraining
from evaluators.metrics.cost import PeakMemory
from nas.data.dataset import Split

BATCH = RECIPE["batch_size"]
USUAL = {
    **RECIPE,
    "loss": "non_saturating", "r1": 0.0, "noise": "normal", "noise_scale": 1.0, "discriminator_steps": 1,
    "label_smoothing": "none", "instance_noise": 0.0, "diff_augment": "none", "batch_norm_momentum": 0.1,
    "generator_learning_rate": 0.0002, "discriminator_learning_rate": 0.0002, "beta1": 0.5, "beta2": 0.999,
    "ema": 0.99,
}  # fmt: skip


class Dcgan(nn.Module):
    """Radford et al. 2016 at 28 x 28: two strides of two, batch normalisation, ReLU against leaky ReLU."""

    condition = "none"
    latent = 100

    def __init__(self, width: int) -> None:
        super().__init__()
        self.generator = nn.Sequential(
            nn.Linear(100, 2 * width * 49, bias=False), nn.Unflatten(1, (2 * width, 7, 7)),
            nn.BatchNorm2d(2 * width), nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.ConvTranspose2d(width, 1, 4, 2, 1), nn.Sigmoid(),
        )  # fmt: skip
        self.discriminator = nn.Sequential(
            nn.Conv2d(1, width, 4, 2, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.2),
            nn.Flatten(), nn.Linear(2 * width * 49, 1), nn.Flatten(0),
        )  # fmt: skip


def plain(model: Dcgan, images: torch.Tensor, updates: int) -> None:
    generator, discriminator, device = model.generator, model.discriminator, images.device
    optimisers = [torch.optim.Adam(n.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)
                  for n in (generator, discriminator)]  # fmt: skip
    average = AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(0.99))
    real_label, fake_label = torch.ones(BATCH, device=device), torch.zeros(BATCH, device=device)
    order = torch.randperm(len(images), device=device)
    for step in range(updates):
        start = step * BATCH % (len(images) - BATCH + 1)
        real = images[order[start : start + BATCH]].float() / 255
        discriminator.zero_grad()
        F.binary_cross_entropy_with_logits(discriminator(real), real_label).backward()
        fake = generator(torch.randn(BATCH, 100, device=device))
        F.binary_cross_entropy_with_logits(discriminator(fake.detach()), fake_label).backward()
        optimisers[1].step()
        generator.zero_grad()
        F.binary_cross_entropy_with_logits(discriminator(fake), real_label).backward()
        optimisers[0].step()
        average.update_parameters(generator)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--updates", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    device = torch.device(given.device)
    images = torch.randint(0, 256, (given.updates * BATCH, 1, 28, 28), dtype=torch.uint8, device=device)
    ours = GanTraining(Dcgan(given.width).to(device, memory_format=torch.channels_last), USUAL, 100, 0)
    layouts = {"plain": torch.contiguous_format, "channels last": torch.channels_last}
    theirs = {name: Dcgan(given.width).to(device, memory_format=layout) for name, layout in layouts.items()}
    memory = PeakMemory(device)
    loops = {"ours": lambda: ours.epoch(Split(images), memory)} | {
        f"{name} loop": lambda model=model: plain(model, images, given.updates) for name, model in theirs.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(given.repeats + 1):  # the first warms up
        for name, loop in loops.items():
            began = time.perf_counter()
            loop()
            if device.type == "cuda":
                torch.cuda.synchronize()
            seconds[name].append(time.perf_counter() - began)
    best = {name: statistics.median(given.updates * BATCH / s for s in times[1:]) for name, times in seconds.items()}
    for name, rate in best.items():
        print(f"{name:20} {rate:10.0f} images/s   ours is {best['ours'] / rate:.2f} of it")


if __name__ == "__main__":
    main()
