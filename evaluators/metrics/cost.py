"""The cost of a model and of its training: parameters, multiply-adds, memory and time."""

from __future__ import annotations

import ctypes
import math
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import psutil
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

_Size = tuple[int, ...]
_C_LIBRARY = ctypes.CDLL(None) if sys.platform.startswith("linux") else None


def count_parameters(model: nn.Module) -> int:
    """Count the numbers that are trained."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def count_multiply_adds(model: nn.Module, *inputs: Tensor) -> int:
    """Count the multiply-adds of matrix products and convolutions for the first example of a batch.

    PyTorch's own counter gives floating point operations, two for each multiply-add. The model is left in the
    mode it was in.
    """
    training, trained = model.training, [weight for weight in model.parameters() if weight.requires_grad]
    model.eval().requires_grad_(False)  # else the counter looks for the gradient functions of views of weights in vain
    counts = {torch.ops.aten.mkldnn_rnn_layer: _count_recurrent}  # the CPU's LSTM, which PyTorch does not count
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=counts) as counter:
        model(*(batch[:1] for batch in inputs))
    model.train(training)
    for weight in trained:
        weight.requires_grad_(True)
    return int(counter.get_total_flops() // 2)


def estimate_training_memory(model: nn.Module, run: Callable[[], None], examples: int, batch: int) -> float:
    """Estimate the memory of a training, in units of 10^6 bytes, from what autograd keeps of a pass forward.

    It is that of a batch, in proportion, and of weights, their gradients and Adam's two moments; what operations need
    for a moment, PyTorch itself and the data are not in it.

    Args:
        run: passes a few examples through all of the model.
        examples: how many these are.
        batch: how many there are in a training's batch.
    """
    weights = {weight.data_ptr() for weight in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor.nelement() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run()
    state = sum(4 * weight.nelement() * weight.element_size() for weight in model.parameters())
    return (state + sum(kept.values()) * batch / examples) / 1e6


def _count_recurrent(given: _Size, weight: _Size, recurrent_weight: _Size, *rest: Any, **options: Any) -> int:
    """Count the floating point operations of a layer: inputs (T, N, F), weights (G, F) and (G, H) of its gates."""
    return 2 * given[0] * given[1] * (math.prod(weight) + math.prod(recurrent_weight))


class PeakMemory:
    """Measures the most memory that was in use, in bytes, whenever `look` was called.

    On a CUDA device: the allocator's own peak since construction. On Apple's: what is allocated at each `look`. On the
    CPU: the resident memory of the whole process at each `look`; look after the forward pass, when the activations are
    alive. What earlier work has freed is given back first where the C library can (glibc), so that it does not count.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._process, self._peak = device, psutil.Process(), 0
        if device.type == "cuda":
            torch.cuda.init()  # type: ignore[no-untyped-call]
            torch.cuda.reset_peak_memory_stats(device)
        elif (trim := getattr(_C_LIBRARY, "malloc_trim", None)) is not None:
            trim(0)
        self.look()

    def look(self) -> None:
        """Measure the memory in use now; a CUDA device keeps its peak itself."""
        if self._device.type == "mps":
            self._peak = max(self._peak, torch.mps.current_allocated_memory())
        elif self._device.type != "cuda":
            self._peak = max(self._peak, self._process.memory_info().rss)

    @property
    def megabytes(self) -> float:
        """The peak so far, in units of 10^6 bytes."""
        if self._device.type == "cuda":
            self._peak = torch.cuda.max_memory_allocated(self._device)
        return self._peak / 1e6


class Stopwatch:
    """Measures the time and memory of a training, over all its sessions; as a context manager it adds time."""

    def __init__(self) -> None:
        self._seconds = self._megabytes = 0.0

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._seconds += time.perf_counter() - self._started

    @property
    def seconds(self) -> float:
        """How many have been measured so far."""
        return self._seconds

    def metrics(self, memory: PeakMemory) -> dict[str, float]:
        """Give ``seconds`` and ``peak_memory_mb``, with the memory of this session."""
        self._megabytes = max(self._megabytes, memory.megabytes)
        return {"seconds": self._seconds, "peak_memory_mb": self._megabytes}

    def state(self) -> tuple[Mapping[str, Tensor], Mapping[str, Any]]:
        """Give everything to continue from."""
        return {}, {"seconds": self._seconds, "megabytes": self._megabytes}

    def restore(self, state: tuple[Mapping[str, Tensor], Mapping[str, Any]]) -> None:
        """Continue from what `state` gave."""
        _, numbers = state
        self._seconds, self._megabytes = numbers["seconds"], numbers["megabytes"]
