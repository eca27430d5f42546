"""Small tables."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from nas.data.columns import Column
from nas.data.dataset import Dataset, Split


def make_mixed_table(rows: int = 300, missing: float = 0.1) -> Dataset:
    """Six numbers of two hidden ones, some of them missing, and a word that says the first one's sign."""
    draw = torch.Generator().manual_seed(0)
    hidden = torch.randn(rows, 2, generator=draw)
    numbers = torch.tanh(hidden @ torch.randn(2, 6, generator=draw))
    words = F.one_hot((hidden[:, 0] > 0).long(), 2).float()
    examples = torch.cat(((numbers - numbers.mean(0)) / numbers.std(0), words), 1)
    examples[:, :6][torch.rand(rows, 6, generator=draw) < missing] = math.nan
    columns = (*(Column(f"x{place}") for place in range(6)), Column("sign", ("minus", "plus")))
    return Dataset("table", *(Split(part) for part in examples.split([rows - 120, 60, 60])), columns=columns)
