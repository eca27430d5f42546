"""The numbers that a training computes with."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from nas.core.evaluator import Precision


def lower_precision(device: torch.device, precision: Precision) -> torch.autocast:
    """Compute a context's matrix products and convolutions in this precision, by PyTorch's autocast.

    Casts of weights are not kept: an update of a GAN trains a half between two uses of it, and what was cast without
    a gradient must not be used with one.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False)


def full_precision(device: torch.device) -> torch.autocast:
    """Compute a context in the precision of the tensors themselves, within one of `lower_precision` too."""
    return torch.autocast(device.type, enabled=False)


def returning_float(network: nn.Module) -> Callable[..., Tensor]:
    """Give a network's function, with outputs in float32: losses and images do without bfloat16's eight bits."""
    return lambda *inputs: network(*inputs).float()
