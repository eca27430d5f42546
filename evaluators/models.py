"""A candidate's network: made from a seed, kept within memory, and written down."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping

import torch
from safetensors.torch import save
from torch import Tensor, nn

from nas.core.errors import OutOfMemory
from nas.core.trial import Measurement

BATCH_NORMALISATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def initialise_model(make: Callable[[], nn.Module], seed: int, device: torch.device) -> nn.Module:
    """What `make` makes with PyTorch's global generators seeded, on the device; they are left as they were."""
    with seed_global_generators(seed, device):
        model = make()
    return move_to_device(model, device)


def move_to_device(model: nn.Module, device: torch.device) -> nn.Module:
    """The model there, laid out for speed."""
    # pooling and depthwise convolutions run up to four times as fast with channels last, nothing slower
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


@contextlib.contextmanager
def seed_global_generators(seed: int, device: torch.device) -> Iterator[None]:
    """Seeds PyTorch's global generators, which dropout and the like draw from, and gives them back as they were."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def translate_memory_errors(measurements: Iterator[Measurement], device: torch.device) -> Iterator[Measurement]:
    """The same measurements; what was allocated is given back at their end.

    Raises:
        OutOfMemory: the allocator gave up.
    """
    try:
        yield from measurements
    except (torch.cuda.OutOfMemoryError, MemoryError) as error:
        raise OutOfMemory(_first_line(error)) from error
    except RuntimeError as error:
        if "can't allocate memory" in str(error):
            raise OutOfMemory(_first_line(error)) from error
        raise
    finally:
        if device.type == "cuda":
            torch.cuda.empty_cache()


def serialise_model(model: nn.Module) -> bytes:
    """The model's tensors in the safetensors format."""
    return serialise_tensors(model.state_dict())


def serialise_tensors(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """Tensors by name in the safetensors format, and texts beside them: the same bytes for the same contents."""
    copies = {  # safetensors takes no two names for one memory, as tied weights have
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }
    return _sort_metadata(save(copies, metadata={"format": "pt", **(metadata or {})}))


def _sort_metadata(data: bytes) -> bytes:
    """The same file with its texts in the order of their names: the library's is another every time."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors begin where 8 divides, as the library has them
    return len(text).to_bytes(8, "little") + text + data[end:]


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
