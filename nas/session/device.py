"""The device that computes, and the numbers that trainings compute with."""

from __future__ import annotations

from nas.core.errors import UserError
from nas.core.evaluator import Precision


def count_cards() -> int:
    """Count the CUDA devices that PyTorch finds here."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def choose_device(wanted: str) -> str:
    """Choose ``cpu``, ``cuda``, a card such as ``cuda:1``, or ``mps``; ``auto`` is the first card, else the CPU.

    Raises:
        UserError: there is no such device here.
    """
    import torch

    cards = count_cards()
    if wanted == "auto":
        return "cuda" if cards else "cpu"
    if wanted.startswith("cuda"):
        if not cards:
            raise UserError("--device", wanted, "auto, cpu", why="PyTorch finds no CUDA device here")
        if (torch.device(wanted).index or 0) >= cards:
            allowed = ", ".join(f"cuda:{card}" for card in range(cards))
            raise UserError("--device", wanted, allowed, why=f"PyTorch finds {cards} CUDA devices here")
    if wanted == "mps" and not torch.backends.mps.is_available():
        raise UserError("--device", wanted, "auto, cpu", why="PyTorch finds no Apple GPU here")
    return wanted


def choose_precision(wanted: str, device: str) -> Precision:
    """Choose what trainings compute with: ``auto`` is bfloat16 on CUDA devices with units for it, else float32.

    Raises:
        UserError: bfloat16 is asked for, and the device has none.
    """
    import torch

    kind = torch.device(device).type
    if kind == "cuda":
        with torch.cuda.device(device):
            able = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        able = kind == "cpu" or torch.backends.mps.is_macos_or_newer(14, 0)  # CPUs without units for it are slow
    if wanted == "bf16" and not able:
        raise UserError("--precision", wanted, "auto, fp32", why=f"the device {device} has no bfloat16")
    lower = wanted == "bf16" or (wanted == "auto" and kind == "cuda" and able)
    return "bf16" if lower else "fp32"
