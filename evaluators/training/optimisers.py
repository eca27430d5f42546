"""Optimisers by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from evaluators.training.muon import Muon


def _adam(kind: Callable[..., torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    def make(parameters: Iterable[nn.Parameter], **options: Any) -> torch.optim.Optimizer:
        return kind(parameters, fused=True, **options)  # one kernel a step, on CPU and CUDA alike

    return make


OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": _adam(torch.optim.Adam),
    "adamw": _adam(torch.optim.AdamW),
    "nadam": torch.optim.NAdam,
    "rmsprop": torch.optim.RMSprop,
    "muon": Muon,
}


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Let all parameters of an optimiser have this learning rate from the next step on."""
    for group in optimiser.param_groups:
        group["lr"] = rate
