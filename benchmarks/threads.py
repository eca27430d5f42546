"""What a second thread is worth to a candidate, and what it is worth to have two candidates side by side instead.

    python benchmarks/threads.py
    python benchmarks/threads.py --busy

Trains the usual autoencoder on random images: with one thread, with one on each core, and with one thread in as many
processes as there are cores. Prints one line of JSON for each size: millions of multiply-adds of a batch's forward
pass, and milliseconds of an update, of half of one for two processes. ``--busy`` keeps one core busy meanwhile. Threads
that wait for one another spin unless OMP_WAIT_POLICY is PASSIVE, as it is for ``nas search``.
"""

from __future__ import annotations

import argparse
import functools
import json
import multiprocessing
from itertools import repeat
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

import torch

from evaluators.autoencoder.task import AutoencoderTask
from evaluators.metrics.cost import PeakMemory
from evaluators.training.pace import time_updates
from nas.core.process import count_cores
from nas.data.dataset import Dataset, Split
from nas.strategies.usual_first import find_usual
from search_spaces.autoencoder.space import AutoencoderSpace


def count_updates(shape: tuple[int, ...], threads: int, rounds: int, together: Barrier) -> tuple[float, float]:
    """Multiply-adds of a batch's forward pass, and updates in a second: the median of some rounds."""
    torch.set_num_threads(threads)
    images = torch.randint(0, 256, (4_000, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    part, space = Split(images), AutoencoderSpace()
    task, usual = AutoencoderTask(space, Dataset("random", part, part, part)), find_usual(space, 0)
    assert usual is not None
    model, hyperparameters = space.build(usual, shape), task.hyperparameters(usual)
    batch, memory, rates = task.batch_size(hyperparameters), PeakMemory(task.device), []
    for _ in range(1 + rounds):
        training = task.begin_training(model, hyperparameters, 10, 0)
        seconds, _ = time_updates(training, functools.partial(task.train_epoch, training, memory), batch)
        rates.append(1 / (batch * seconds))
        if len(rates) == 1:
            together.wait()
    return batch * task.cost(model)["multiply_adds"], sorted(rates[1:])[rounds // 2]


def _measure(connection: Connection, *given: Any) -> None:
    connection.send(count_updates(*given))


def count_side_by_side(shape: tuple[int, ...], threads: int, processes: int, rounds: int) -> tuple[float, float]:
    """As `count_updates`, the updates of all of so many processes, which train at the same time."""
    context = multiprocessing.get_context("spawn")
    together, ends = context.Barrier(processes), []
    for _ in range(processes):
        here, there = context.Pipe()
        context.Process(target=_measure, args=(there, shape, threads, rounds, together)).start()
        ends.append(here)
    found = [end.recv() for end in ends]
    return found[0][0], sum(rate for _, rate in found)


def _spin() -> None:
    for _ in repeat(None):
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", action="store_true", help="Another program keeps a core busy.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", default="1x8x8,1x28x28,3x32x32")
    given = parser.parse_args()
    cores = count_cores()
    busy = multiprocessing.get_context("spawn").Process(target=_spin, daemon=True)
    if given.busy:
        busy.start()
    for size in given.sizes.split(","):
        shape = tuple(int(side) for side in size.split("x"))
        ways = {"one_thread": (1, 1), "all_threads": (cores, 1), "side_by_side": (1, cores)}
        found = {name: count_side_by_side(shape, *way, given.rounds) for name, way in ways.items()}
        work = found["one_thread"][0] / 1e6
        milliseconds = {name: round(1000 / rate, 2) for name, (_, rate) in found.items()}
        print(json.dumps({"size": size, "millions": work, **milliseconds}), flush=True)
    if given.busy:
        busy.terminate()


if __name__ == "__main__":
    main()
