"""Models: initialised from a seed, moved to a device, and serialised."""

from __future__ import annotations

import contextlib
import gc
import json
import traceback
from collections.abc import Callable, Iterator, Mapping

import torch
from safetensors.torch import save
from torch import Tensor, nn

from nas.core.errors import OutOfMemory
from nas.core.trial import Measurement

_FULL = (
    "can't allocate memory",
    "MPS backend out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
"""What is part of the messages of errors without a type of their own, where memory gives out."""
BATCH_NORMALISATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def initialise_model(make: Callable[[], nn.Module], seed: int, device: torch.device) -> nn.Module:
    """Call `make` with PyTorch's global generators seeded, and move the model to the device."""
    with seed_global_generators(seed, device):
        model = make()
    return move_to_device(model, device)


def move_to_device(model: nn.Module, device: torch.device) -> nn.Module:
    """Move a model to a device, in the memory format that is fastest."""
    # pooling and depthwise convolutions run up to four times as fast with channels last, nothing slower
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


@contextlib.contextmanager
def seed_global_generators(seed: int, device: torch.device) -> Iterator[None]:
    """Seed PyTorch's global generators, which dropout draws from, for a context; then restore their states."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def translate_memory_errors(measurements: Iterator[Measurement], device: torch.device) -> Iterator[Measurement]:
    """Yield the same measurements, and free at the end what was cached, and what a failure left behind.

    Raises:
        OutOfMemory: an allocation failed.
    """
    full = ""
    try:
        yield from measurements
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and not any(s in str(error) for s in _FULL):
            raise
        full = _first_line(error)
        traceback.clear_frames(error.__traceback__)  # they hold the tensors for which there was no room
    finally:
        if full:
            gc.collect()  # modules and hooks that hold each other
        if device.type == "cuda":
            torch.cuda.empty_cache()
        elif device.type == "mps":
            torch.mps.empty_cache()
    if full:
        raise OutOfMemory(full)


def serialise_model(model: nn.Module) -> bytes:
    """Serialise a model's tensors in the safetensors format."""
    return serialise_tensors(model.state_dict())


def serialise_tensors(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """Serialise tensors and texts in the safetensors format; the same contents always give the same bytes."""
    copies = {  # safetensors refuses tensors that share memory, such as tied weights
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }
    return _sort_metadata(save(copies, metadata={"format": "pt", **(metadata or {})}))


def _sort_metadata(data: bytes) -> bytes:
    """Sort the texts of a safetensors file by name, because the library writes them in a random order."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8 bytes, as the library aligns them
    return len(text).to_bytes(8, "little") + text + data[end:]


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
