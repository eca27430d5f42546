"""How long a model takes for one example, so that what is measured at different moments of a busy machine compares."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from evaluators.models import seed_global_generators
from nas.core.threads import use_threads

EXAMPLES, THREADS = 1, 1
"""Of how many examples a latency is, and with how many threads of the CPU."""
_WARM_UP = 3  # runs in which memory is allocated and kernels are chosen
_LEAST, _SECONDS = 20, 0.5  # how many runs there are at least, and for how long there are more

Calls = Sequence[tuple[nn.Module, tuple[Tensor, ...]]]
"""The parts of a model in evaluation mode, one after another, with an example of the inputs of each on one device."""


def measure_latency(model: Calls, device: torch.device) -> float:
    """Measure how long a model takes, in milliseconds: the least of its runs.

    On a CPU it is the time of the processor for one thread, as other programs that have the core meanwhile do not
    belong to it.
    """
    (times,) = _time_in_turns([model], device)
    return min(times)


def measure_relative_latency(model: Calls, reference: Calls, device: torch.device) -> float:
    """Measure how many times as long as another a model takes: the median of runs in turns.

    What slows a machine for a while slows both, so their ratio lasts (docs/cost-limits.md).
    """
    own, others = _time_in_turns([model, reference], device)
    return statistics.median(one / other for one, other in zip(own, others, strict=True))


def _time_in_turns(models: Sequence[Calls], device: torch.device) -> list[list[float]]:
    """The milliseconds of every run of each model; generators stay as they are, whatever the modules draw."""
    found: list[list[float]] = [[] for _ in models]
    with torch.no_grad(), use_threads(THREADS), seed_global_generators(0, device):
        for model in models:
            for _ in range(_WARM_UP):
                _time(model, device)
        end = time.perf_counter() + _SECONDS
        while len(found[0]) < _LEAST or time.perf_counter() < end:
            for model, times in zip(models, found, strict=True):
                times.append(_time(model, device))
    return found


def _time(model: Calls, device: torch.device) -> float:
    began = _read_clock(device)
    for part, inputs in model:
        part(*inputs)
    return 1000 * (_read_clock(device) - began)


def _read_clock(device: torch.device) -> float:
    """The seconds of this thread on the CPU; of another device those of the wall, once it has nothing left to do."""
    if device.type == "cpu":
        return time.thread_time()
    torch.accelerator.synchronize(device)
    return time.perf_counter()
