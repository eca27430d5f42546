"""What a training goes on from: the tensors of networks and of optimisers, by name."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def state_tensors(
    networks: Mapping[str, nn.Module], optimisers: Mapping[str, torch.optim.Optimizer]
) -> dict[str, Tensor]:
    """Copies, each with memory of its own: ``NAME.weight`` of a network, ``NAME_optimiser.0.exp_avg`` of an optimiser.

    An optimiser's numbers are those of its parameters, in their order.
    """
    tensors: dict[str, Tensor] = {}
    for name, network in networks.items():
        tensors |= {f"{name}.{key}": value for key, value in network.state_dict().items()}
    for name, optimiser in optimisers.items():
        for index, values in optimiser.state_dict()["state"].items():
            tensors |= {f"{name}_optimiser.{index}.{key}": value for key, value in values.items()}
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }


def restore_tensors(
    tensors: Mapping[str, Tensor],
    networks: Mapping[str, nn.Module],
    optimisers: Mapping[str, torch.optim.Optimizer],
) -> None:
    """Put back, in place, what `state_tensors` gave."""
    for name, network in networks.items():
        network.load_state_dict(under(tensors, name))
    for name, optimiser in optimisers.items():
        parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        moments: dict[int, dict[str, Tensor]] = {}
        for key, tensor in under(tensors, f"{name}_optimiser").items():
            index, _, kind = key.partition(".")
            if kind != "step":  # laid out in memory as its weight is: fused kernels walk both alike
                tensor = torch.empty_like(parameters[int(index)]).copy_(tensor)
            moments.setdefault(int(index), {})[kind] = tensor.detach().clone()
        optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})


def under(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Those whose names begin with ``NAME.``, without it."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
