"""Recalibrates the batch normalisation of one candidate of a supernet."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from evaluators.models import BATCH_NORMALISATIONS


def recalibrate(network: nn.Module, batches: Iterable[tuple[Tensor, ...]]) -> None:
    """Give every batch normalisation the mean statistics of these batches, in place, and set evaluation mode.

    The running statistics of a supernet mix all candidates, so that a single candidate scores worse with them than its
    weights can do (Guo et al. 2020). Weights do not change.

    Args:
        batches: the arguments of each forward pass. Layers normalise a batch by its own statistics, and end with the
            means of all batches' means and unbiased variances.
    """
    network.eval()
    for module in network.modules():
        if isinstance(module, BATCH_NORMALISATIONS):
            where = next(network.parameters()).device
            module.track_running_stats, module.momentum = True, None  # no momentum: the mean of all batches
            module.running_mean = torch.zeros(module.num_features, device=where)
            module.running_var = torch.ones(module.num_features, device=where)
            module.num_batches_tracked = torch.zeros((), dtype=torch.long, device=where)
            module.train()
    with torch.no_grad():
        for batch in batches:
            network(*batch)
    network.eval()
