"""Finds the channels of a model that can be removed or doubled, and makes the model with the chosen channels.

Channels that are coupled across layers, by residual sums or depthwise convolutions, are chosen together (the groups of
DepGraph: Fang et al. 2023). The result consists of the same module classes with other sizes, so that it is exported
like any other model.

A module class that is not torch's, and whose constructor takes whole numbers, says which of these are numbers of
channels by an attribute: ``channel_arguments = (("channels", "input"),)``. ``input`` and ``output`` stand for the
channels of its first argument and of its output, ``style`` for those of its second argument, the name of a tensor of
the module for those of the tensor, and ``kept`` for those of its first argument, of which none is removed then. If a
class has no such attribute, no channels of its inputs, outputs and tensors are removed.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from evaluators.pruning.dependency_graph import Axis, ForceDouble, Tracer, trace_channels
from nas.core.errors import CandidateFailure

Sizes = dict[str, dict[str, Any]]
"""By a module's path, the arguments of its constructor that differ from those of the genotype's model."""

_CONVOLUTION = (("in_channels", "input"), ("out_channels", "output"))
_TORCH_ARGUMENTS: dict[type[nn.Module], tuple[tuple[str, str], ...]] = {
    nn.Conv1d: _CONVOLUTION,
    nn.Conv2d: _CONVOLUTION,
    nn.ConvTranspose1d: _CONVOLUTION,
    nn.ConvTranspose2d: _CONVOLUTION,
    nn.Linear: (("in_features", "input"), ("out_features", "output")),
    nn.BatchNorm1d: (("num_features", "input"),),
    nn.BatchNorm2d: (("num_features", "input"),),
    nn.InstanceNorm2d: (("num_features", "input"),),
    nn.GroupNorm: (("num_channels", "input"),),
    nn.Embedding: (("embedding_dim", "output"),),
    nn.Unflatten: (("unflattened_size", "output"),),
}


class NothingToPrune(CandidateFailure):
    """No channel of the model can be removed; the message says why."""


@dataclass(frozen=True)
class Channels:
    """The channels of a model, numbered from 0 over all groups; -1 stands for channels that are always kept.

    Attributes:
        groups: the numbers of each group's channels in their order. A group is named by the path of the first layer
            that gives its channels.
        axes: the channel of each index along a dimension of a tensor.
        consumed: the axes that are summed over: inputs of convolutions and of linear layers.
        blocks: by a group's name, if it has group normalisations, which group of these each channel is in.
        arguments: by a module's path and the name of an argument, the channels that the argument counts.
    """

    groups: Mapping[str, np.ndarray]
    axes: Mapping[Axis, np.ndarray]
    consumed: frozenset[Axis]
    blocks: Mapping[str, np.ndarray]
    arguments: Mapping[tuple[str, str], np.ndarray]

    def counts(self, kept: Mapping[str, Sequence[int]]) -> np.ndarray:
        """Count how often each channel is chosen, (channels,), given indices in groups; other groups are kept whole.

        Raises:
            ValueError: there are no indices, they do not rise, or they divide a group normalisation unevenly.
        """
        counts = np.ones(1 + max((int(own.max()) for own in self.groups.values()), default=-1), int)
        for name, indices in kept.items():
            own = self.groups[name]
            if not len(indices) or (np.diff(indices) < 0).any():
                raise ValueError(f"{name}: needs indices of channels, in their order")
            counts[own] = np.bincount(np.asarray(indices), minlength=len(own))
            if name in self.blocks:
                sizes = np.bincount(self.blocks[name], weights=counts[own])
                if len(set(sizes[sizes > 0])) > 1:
                    raise ValueError(f"{name}: its group normalisation needs as many channels in each group")
        return counts


def find_channels(model: nn.Module, calls: Mapping[str, tuple[Tensor, ...]]) -> Channels:
    """Find the channels of the parts of a model that `calls` names by path, each with an example of its inputs.

    The inputs and outputs of these parts keep their size. The result is verified: with every channel doubled, and the
    weights that consume it halved, the model must compute the same.

    Raises:
        NothingToPrune: no channel can be removed, or the parts are not understood.
    """
    model = copy.deepcopy(model).cpu().double().eval()
    calls = {path: tuple(_as_double(tensor[:1].cpu()) for tensor in inputs) for path, inputs in calls.items()}
    tracer = trace_channels(model, calls)
    for path in _find_unknown_modules(model, tracer):
        inputs, output = tracer.modules[path]
        for tensor in (*inputs, output):
            tracer.fix(tracer.labels(tensor))
        for name, _ in (own for own in tracer.axes if own[0].startswith(f"{path}." if path else "")):
            for dimension in [d for n, d in tracer.axes if n == name]:
                tracer.fix(tracer.axes[name, dimension])
    counted = _label_arguments(model, tracer)
    channels = _group_channels(tracer, counted)
    if not channels.groups:
        raise NothingToPrune("no layer has channels that can be removed")
    _verify(model, channels, calls)
    return channels


def _as_double(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def _is_custom(module: nn.Module) -> bool:
    return type(module).__module__.split(".")[0] != "torch"


def _find_unknown_modules(model: nn.Module, tracer: Tracer) -> list[str]:
    """Find the modules that take whole numbers and do not say which of these are numbers of channels."""
    found = []
    for path in tracer.modules:
        module = model.get_submodule(path)
        if not _is_custom(module) or hasattr(type(module), "channel_arguments"):
            continue
        parameters = inspect.signature(type(module).__init__).parameters
        values = [getattr(module, name, None) for name in parameters]
        if any(isinstance(value, int) and not isinstance(value, bool) for value in values):
            found.append(path)
    return found


def _label_arguments(model: nn.Module, tracer: Tracer) -> dict[tuple[str, str], np.ndarray]:
    """Give the labels of the channels that arguments of modules count."""
    counted = {}
    for path, (inputs, output) in tracer.modules.items():
        module = model.get_submodule(path)
        arguments = (
            getattr(type(module), "channel_arguments", ())
            if _is_custom(module)
            else _TORCH_ARGUMENTS.get(type(module), ())
        )
        places = {"input": inputs[:1], "kept": inputs[:1], "style": inputs[1:2], "output": (output,)}
        for name, place in arguments:
            for tensor in places[place] if place in places else (getattr(module, place),):
                if place == "kept":
                    tracer.fix(tracer.labels(tensor))
                elif tensor.dim() in (2, 4) or (tensor.dim() == 3 and not isinstance(module, nn.Linear)):
                    counted[path, name] = tracer.channels(tracer.labels(tensor))
    return counted


def _group_channels(tracer: Tracer, counted: Mapping[tuple[str, str], np.ndarray]) -> Channels:
    """Group channels by the tensors that have them; keep those that divide a group normalisation unevenly."""
    while True:
        component, fixed = tracer.components()
        axes = {axis: component(labels) for axis, labels in tracer.axes.items()}
        uses: dict[int, dict[Axis, int]] = {}
        for axis, own in axes.items():
            for one, count in zip(*np.unique(own, return_counts=True), strict=True):
                uses.setdefault(int(one), {})[axis] = int(count)
        members: dict[tuple[tuple[Axis, int], ...], list[int]] = {}
        for one, use in uses.items():
            if one != fixed:
                members.setdefault(tuple(use.items()), []).append(one)
        groups = {_group_name(use): np.array(own) for use, own in members.items()}
        blocks, uneven = _find_blocks(tracer, component, groups, fixed)
        if not uneven:
            break
        for labels in uneven:
            tracer.fix(labels)
    number = {one: i for i, one in enumerate(one for own in groups.values() for one in own)}

    def numbered(own: np.ndarray) -> np.ndarray:
        return np.array([number.get(int(one), -1) for one in own])

    return Channels(
        {name: numbered(own) for name, own in groups.items()},
        {axis: made for axis, own in axes.items() if ((made := numbered(own)) >= 0).any()},
        frozenset(tracer.consumed),
        blocks,
        {place: numbered(component(labels)) for place, labels in counted.items()},
    )


def _group_name(use: tuple[tuple[Axis, int], ...]) -> str:
    (tensor, _), _ = use[0]
    return tensor.rpartition(".")[0] + ("" if tensor.endswith(".weight") else f":{tensor.rpartition('.')[2]}")


def _find_blocks(
    tracer: Tracer, component: Any, groups: Mapping[str, np.ndarray], fixed: int
) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
    """Find the groups of group normalisations of every group, and the labels of groups whose normalisations differ."""
    blocks: dict[str, np.ndarray] = {}
    uneven = []
    for labels in tracer.grouped:
        own = component(labels)
        if len(own) == 1 or (own == fixed).all():
            continue  # one group may have any number of channels
        place = {int(one): i for i, row in enumerate(own) for one in row}
        name = next((name for name, members in groups.items() if set(members) == set(place)), None)
        whole = name is not None and len(place) == own.size
        found = np.array([place[int(one)] for one in groups[name]]) if whole and name is not None else None
        if found is None or name is None or not np.array_equal(blocks.setdefault(name, found), found):
            uneven.append(labels)
    return blocks, uneven


def select_channels(model: nn.Module, channels: Channels, kept: Mapping[str, Sequence[int]]) -> nn.Module:
    """Copy a model with some of its channels, given by their indices in groups, in their order.

    A subset of the indices prunes. An index that occurs k times gives k copies of the channel, and 1/k of the weights
    that consume it: Net2WiderNet (Chen et al. 2016, section 2.2) without noise. The copy then computes the same, except
    that group normalisation needs all channels equally often.

    Raises:
        ValueError: see Channels.counts.
    """
    counts = channels.counts(kept)
    made = copy.deepcopy(model)
    for path, arguments in find_sizes(model, channels, kept).items():
        _set_arguments(made.get_submodule(path), arguments)
    tensors = {name: tensor for name, tensor in (*made.named_parameters(), *made.named_buffers())}
    for (name, dimension), own in channels.axes.items():
        index, divisor = _expand_indices(own, counts)
        tensor = tensors[name].detach().index_select(dimension, index.to(tensors[name].device))
        if (name, dimension) in channels.consumed:
            shape = [-1 if d == dimension else 1 for d in range(tensor.dim())]
            tensor = tensor / divisor.to(tensor).view(shape)
        tensors[name] = _replace_tensor(made, name, tensor)
    return made


def find_sizes(model: nn.Module, channels: Channels, kept: Mapping[str, Sequence[int]]) -> Sizes:
    """Find the arguments of modules that change with a choice of channels."""
    counts = channels.counts(kept)
    sizes: Sizes = {}
    for (path, name), own in channels.arguments.items():
        module, size = model.get_submodule(path), int(np.where(own < 0, 1, counts[own]).sum())
        before = getattr(module, name)
        whole = isinstance(before, tuple)  # a shape, whose first number it is
        if (before[0] if whole else before) == size:
            continue
        changed: dict[str, Any] = {name: [size, *before[1:]] if whole else size}
        if name == "in_channels" and module.groups != 1:
            changed["groups"] = size
        if isinstance(module, nn.GroupNorm) and module.num_groups > 1:
            in_each = np.where(own < 0, 1, counts[own]).reshape(module.num_groups, -1).sum(1)
            changed["num_groups"] = int((in_each > 0).sum())
        sizes.setdefault(path, {}).update(changed)
    return sizes


def resize_model(model: nn.Module, sizes: Sizes, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Change a model's sizes in place, and load tensors of these sizes.

    Raises:
        RuntimeError: names or sizes of the tensors are not the model's.
    """
    for path, arguments in sizes.items():
        _set_arguments(model.get_submodule(path), arguments)
        module = model.get_submodule(path)
        prefix = f"{path}." if path else ""
        own = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
        for name, tensor in own:
            if prefix + name in tensors and tensor.shape != tensors[prefix + name].shape:
                _replace_tensor(model, prefix + name, tensors[prefix + name].clone())
    model.load_state_dict(dict(tensors))
    return model


def _set_arguments(module: nn.Module, arguments: Mapping[str, Any]) -> None:
    for name, value in arguments.items():
        setattr(module, name, tuple(value) if isinstance(value, list) else value)


def _expand_indices(own: np.ndarray, counts: np.ndarray) -> tuple[Tensor, Tensor]:
    """Give the chosen indices of an axis, and how often each is chosen; a channel's run of indices stays together."""
    ends = [*(np.flatnonzero(np.diff(own)) + 1), len(own)]
    chosen: list[int] = []
    begin = 0
    for end in ends:
        times = 1 if own[begin] < 0 else int(counts[own[begin]])
        chosen += [*range(begin, end)] * times
        begin = end
    index = np.array(chosen, int)
    return torch.from_numpy(index), torch.from_numpy(np.where(own[index] < 0, 1, counts[own[index]]))


def _replace_tensor(model: nn.Module, name: str, tensor: Tensor) -> Tensor:
    """Replace a tensor of a model by another one."""
    path, _, last = name.rpartition(".")
    module = model.get_submodule(path)
    before = getattr(module, last)
    made = nn.Parameter(tensor, before.requires_grad) if isinstance(before, nn.Parameter) else tensor
    setattr(module, last, made)
    return made


@torch.no_grad()
def _verify(model: nn.Module, channels: Channels, calls: Mapping[str, tuple[Tensor, ...]]) -> None:
    """Verify that the model computes the same with every channel doubled."""
    try:
        every = {name: np.repeat(np.arange(len(own)), 2).tolist() for name, own in channels.groups.items()}
        twice = select_channels(model, channels, every)
        for path, inputs in calls.items():
            with ForceDouble():
                outputs = [tree_leaves(one.get_submodule(path)(*inputs)) for one in (model, twice)]
            for wanted, found in zip(*outputs, strict=True):
                difference = float((wanted - found).abs().max()) if wanted.shape == found.shape else float("inf")
                if not difference <= 1e-6 * max(1.0, float(wanted.abs().max())):
                    raise NothingToPrune(f"with every channel twice, the {path or 'model'} gives something else")
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        first = str(error).splitlines()[0] if str(error) else ""
        raise NothingToPrune(f"its channels are not understood ({type(error).__name__}: {first})") from error
