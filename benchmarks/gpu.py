"""What a graphics card is used for: throughput of our trainings, and what they leave of it.

    python benchmarks/gpu.py [--device cuda] [--seconds 3] [--batches 64,512] [--width 64]

Images a second of training a DCGAN (28 x 28) and the usual autoencoder (32 x 32, in colour), by our loop and by a plain
PyTorch loop with the same networks, optimisers, layouts and precision, in float32 and bfloat16; how much of the time
the card computes nothing (torch.profiler); and whether an update waits for the device (torch's synchronisation debug
mode raises where one does). Needs no download and no Ray, and takes about three minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from gan_throughput import USUAL, Dcgan
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from evaluators.autoencoder.task import AutoencoderTask
from evaluators.gan import training as gan
from evaluators.metrics.cost import PeakMemory
from evaluators.training.epochs import Training
from evaluators.training.optimisers import OPTIMISERS
from evaluators.training.precision import lower_precision
from evaluators.training.single_network import SingleNetworkTraining
from nas.core.errors import UserError
from nas.core.evaluator import Precision
from nas.data.dataset import Split, as_float
from nas.session.device import choose_device, choose_precision
from nas.strategies.usual_first import find_usual
from search_spaces.autoencoder.space import AutoencoderSpace

UPDATES = 64  # of an epoch
KERNELS = 30  # updates that are profiled


@dataclass(frozen=True)
class Case:
    """A model in training twice: by our loop, and by a plain one that makes `updates` with the same images."""

    ours: Training
    plain: Callable[[int], None]
    images: torch.Tensor


def make_dcgan(device: torch.device, batch: int, precision: Precision, width: int) -> Case:
    """PyTorch's tutorial, with the moving average and the fused Adam that our loop has."""
    images = torch.randint(0, 256, (UPDATES * batch, 1, 28, 28), dtype=torch.uint8, device=device)
    model = Dcgan(width).to(device, memory_format=torch.channels_last)
    ours = gan.GanTraining(copy.deepcopy(model), USUAL, 1000, 0)
    generator, discriminator = model.generator, model.discriminator
    adams = [
        torch.optim.Adam(n.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True) for n in (generator, discriminator)
    ]
    average = AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(0.99))
    real_label, fake_label = torch.ones(batch, device=device), torch.zeros(batch, device=device)
    cast = lambda: torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")  # noqa: E731
    judge = F.binary_cross_entropy_with_logits

    def train(updates: int) -> None:
        order = torch.randperm(len(images)).to(device)
        for step in range(updates):
            real = as_float(images[order[step * batch : (step + 1) * batch]])
            discriminator.zero_grad(set_to_none=True)
            with cast():
                fake = generator(torch.randn(batch, 100, device=device))
                loss = judge(discriminator(real), real_label) + judge(discriminator(fake.detach()), fake_label)
            loss.backward()
            adams[1].step()
            generator.zero_grad(set_to_none=True)
            with cast():
                loss = judge(discriminator(fake), real_label)
            loss.backward()
            adams[0].step()
            average.update_parameters(generator)

    return Case(ours, train, images)


def make_autoencoder(device: torch.device, batch: int, precision: Precision, width: int) -> Case:
    """The usual genotype, with the same optimiser, loss and rate of learning."""
    images = torch.randint(0, 256, (UPDATES * batch, 3, 32, 32), dtype=torch.uint8, device=device)
    space = AutoencoderSpace().restrict({"width": (width,), "batch_size": (64,)})
    usual = find_usual(space, 0)
    chosen: dict[str, Any] = {**space.hyperparameters(usual), "batch_size": batch, "augmentation": "none"}
    model: Any = space.build(usual, (3, 32, 32)).to(device, memory_format=torch.channels_last)
    loss = AutoencoderTask(space, _Nothing(), str(device)).loss
    ours = SingleNetworkTraining(copy.deepcopy(model), loss, chosen, 1000, 0)
    optimiser = OPTIMISERS[chosen["optimiser"]](
        model.parameters(), lr=chosen["learning_rate"], weight_decay=chosen["weight_decay"]
    )
    noise = torch.Generator(device).manual_seed(0)

    def train(updates: int) -> None:
        model.train()
        order = torch.randperm(len(images)).to(device)
        for step in range(updates):
            seen = Split(as_float(images[order[step * batch : (step + 1) * batch]]))
            optimiser.zero_grad(set_to_none=True)
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                value = loss(model, seen, chosen, 0.5, noise)
            value.backward()
            optimiser.step()

    return Case(ours, train, images)


class _Nothing:
    """No data: the task is asked for its loss alone."""

    shape = (3, 32, 32)


MODELS = {"DCGAN": make_dcgan, "usual autoencoder": make_autoencoder}


@contextlib.contextmanager
def batch_of(size: int) -> Iterator[None]:
    """Let GANs be trained in batches of this size, which is 64 for all of a search."""
    before, gan.BATCH = gan.BATCH, size
    try:
        yield
    finally:
        gan.BATCH = before


def finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def count_updates(train: Callable[[int], None], device: torch.device, seconds: float) -> float:
    """Updates a second, in about so many seconds after a warm-up."""
    train(UPDATES)
    finish(device)
    began, updates = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        train(UPDATES)
        finish(device)
        updates += UPDATES
    return updates / (time.perf_counter() - began)


def measure_idle(train: Callable[[int], None], device: torch.device) -> float:
    """The share of the time in which no kernel runs on the card, 0 to 1."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        began = time.perf_counter()
        train(KERNELS)
        finish(device)
        seconds = time.perf_counter() - began
    spans = sorted((e.time_range.start, e.time_range.end) for e in profiled.events() if e.device_type.name == "CUDA")
    busy, until = 0.0, -np.inf
    for start, end in spans:  # kernels of several streams may overlap
        busy += max(0.0, end - max(start, until))
        until = max(until, end)
    return 1 - busy / 1e6 / seconds


def find_wait(case: Case, device: torch.device) -> str:
    """What of an update waits for the device; empty where nothing does. Losses are looked at outside, once in 32."""
    training, batch = case.ours, torch.arange(min(64, len(case.images)), device=device)
    data = Split(case.images)

    def update() -> None:
        with lower_precision(device, training.precision):
            if isinstance(training, gan.GanTraining):
                training._step(data, batch[None], 0.5)
            elif isinstance(training, SingleNetworkTraining):
                training._update(data.take(batch), 0.5)

    update()
    finish(device)
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        update()
    except RuntimeError as error:
        return str(error).splitlines()[0]
    finally:
        torch.cuda.set_sync_debug_mode(before)
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--batches", default="64,512", type=lambda text: [int(part) for part in text.split(",")])
    parser.add_argument("--width", type=int, default=64)
    given = parser.parse_args()
    try:
        device = torch.device(choose_device(given.device))
    except UserError as error:
        print(f"skipped: {error}")
        return
    if device.type == "cuda":
        print(torch.cuda.get_device_name(device))
    memory = PeakMemory(device)
    print(f"{'':36} {'ours':>10} {'plain':>10} {'ratio':>6} {'idle':>5} {'plain':>5}  waits")
    for name, make in MODELS.items():
        for batch in given.batches:
            for precision in ("fp32", "bf16"):
                label = f"{name}, batches of {batch}, {precision}"
                try:
                    choose_precision(precision, str(device))
                except UserError as error:
                    print(f"{label:36} skipped: {error}")
                    continue
                with batch_of(batch):
                    case = make(device, batch, precision, given.width)
                    case.ours.precision = precision
                    ours = lambda updates, case=case: case.ours.epoch(Split(case.images[: updates * batch]), memory)  # noqa: E731, B023
                    rates = [batch * count_updates(loop, device, given.seconds) for loop in (ours, case.plain)]
                    idle, waits = ["", ""], "not looked for"
                    if device.type == "cuda":
                        idle = [f"{measure_idle(loop, device):.0%}" for loop in (ours, case.plain)]
                        waits = find_wait(case, device) or "nothing"
                found = f"{rates[0]:10.0f} {rates[1]:10.0f} {rates[0] / rates[1]:6.2f}"
                print(f"{label:36} {found} {idle[0]:>5} {idle[1]:>5}  {waits}", flush=True)


if __name__ == "__main__":
    main()
