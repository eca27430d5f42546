"""Finds which channels of a module's layers depend on each other, by tracing one forward pass.

The dependency graph of structured pruning (DepGraph: Fang et al. 2023, section 3) for what the models here consist of.
Every channel of a layer's weights has a label. Every activation has a tensor of labels of its own shape, which say
which channel each of its values belongs to. Functions that only move values (reshaping, concatenation, slicing, pixel
shuffle) are run on the labels as well, so that they need no rules. Functions that combine values elementwise couple the
labels of their arguments. The arguments of an unknown function are fixed: they keep all their channels.

Maps are (N, C, H, W), sequences (N, C, T) and vectors (N, C); channels of anything else are fixed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

Axis = tuple[str, int]
"""A dimension of a parameter or buffer, by the tensor's name."""
_CONSTANT, _FIXED = 0, 1  # the labels of values without a channel, and of channels that are all kept

_MOVES = {
    "flatten", "unflatten", "reshape", "view", "permute", "transpose", "contiguous", "chunk", "split", "cat", "expand",
    "squeeze", "unsqueeze", "pixel_shuffle", "pixel_unshuffle", "getitem",
}  # fmt: skip
_UNARY = {
    "relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh", "hardtanh", "softplus", "relu6", "hardswish",
    "mish", "selu", "clamp", "square", "sqrt", "rsqrt", "exp", "neg", "abs", "dropout", "dropout2d", "float", "clone",
    "detach", "identity",
}  # fmt: skip
_ELEMENTWISE = {
    "add", "radd", "iadd", "sub", "rsub", "isub", "mul", "rmul", "imul", "div", "rdiv", "idiv", "truediv", "rtruediv",
    "itruediv", "true_divide", "maximum", "minimum",
}  # fmt: skip
_CHANNELWISE = {
    "interpolate", "upsample", "avg_pool1d", "avg_pool2d", "max_pool1d", "max_pool2d", "max_pool1d_with_indices",
    "max_pool2d_with_indices", "adaptive_avg_pool2d", "adaptive_max_pool2d",
}  # fmt: skip
_READS_VALUES = {"item", "tolist", "bool", "float", "int", "index", "numpy", "equal", "allclose"}


def trace_channels(model: nn.Module, calls: Mapping[str, tuple[Tensor, ...]]) -> Tracer:
    """Trace calls of parts of a model, by their paths; the model is in evaluation mode on the CPU."""
    tracer = Tracer(model)
    handles = [
        module.register_forward_hook(lambda _, inputs, output, name=name: tracer.record_call(name, inputs, output))
        for name, module in model.named_modules()
    ]
    try:
        with torch.no_grad():
            for path, inputs in calls.items():
                tracer.watch(model.get_submodule(path), inputs)
    finally:
        for handle in handles:
            handle.remove()
    return tracer


class ForceDouble(TorchFunctionMode):
    """Turns a module's conversions to float into conversions to double, so that it runs on doubles."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the function."""
        return (Tensor.double if func is Tensor.float else func)(*args, **(kwargs or {}))


class Tracer(TorchFunctionMode):
    """Labels the results of the functions that a model calls.

    Attributes:
        axes: the labels of the channels along a dimension of a tensor, (size,) each.
        consumed: the axes that are summed over: inputs of convolutions and linear layers.
        grouped: for every group normalisation, the labels of the channels of each group, (groups, channels).
        modules: the inputs and the output of each module, by its path.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        tensors = (*model.named_parameters(), *model.named_buffers())
        self._names = {id(tensor): name for name, tensor in tensors}
        self._labels: dict[int, Tensor] = {}
        self._alive: list[Any] = []  # so that an id is of one tensor
        self._edges: list[np.ndarray] = []
        self._count = 2
        self.axes: dict[Axis, np.ndarray] = {}
        self.consumed: set[Axis] = set()
        self.grouped: list[np.ndarray] = []
        self.modules: dict[str, tuple[tuple[Tensor, ...], Tensor]] = {}

    def watch(self, part: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Call a part of the model, whose inputs and outputs keep their size."""
        inputs = tuple(tensor.clone() for tensor in inputs)  # a new tensor, without labels of an earlier call
        self._alive.append(inputs)
        for tensor in inputs:
            self._labels[id(tensor)] = torch.full(tensor.shape, _FIXED, dtype=torch.float64)
        with ForceDouble(), self:
            outputs = part(*inputs)
        for tensor in tree_leaves(outputs):
            if isinstance(tensor, Tensor):
                self.fix(self.labels(tensor))

    def record_call(self, name: str, inputs: tuple[Any, ...], output: Any) -> None:
        """Record a call of a module; nothing is computed here, because it would be traced."""
        if isinstance(output, Tensor):
            self.modules[name] = (tuple(tensor for tensor in inputs if isinstance(tensor, Tensor)), output)

    # -- labels

    def axis(self, name: str, dimension: int, size: int) -> np.ndarray:
        """Give the labels along a dimension of a tensor of the model."""
        if (name, dimension) not in self.axes:
            self.axes[name, dimension] = np.arange(self._count, self._count + size)
            self._count += size
        return self.axes[name, dimension]

    def labels(self, tensor: Tensor) -> Tensor:
        """Give the labels of a tensor's values, in its shape.

        The channels of the model's own tensors are dimension 0 of (C,), and dimension 1 of (1, C, H, W).
        """
        if id(tensor) in self._labels:
            return self._labels[id(tensor)]
        name = self._names.get(id(tensor))
        made = torch.full(tensor.shape, _FIXED, dtype=torch.float64)
        if name is not None:
            along = {1: 0, 4: 1}.get(tensor.dim()) if tensor.dim() == 1 or tensor.shape[0] == 1 else None
            if along is None:
                for dimension, size in enumerate(tensor.shape):
                    self.fix(self.axis(name, dimension, size))
            elif tensor.shape[along] == 1:
                made.fill_(_CONSTANT)
            else:
                own = torch.from_numpy(self.axis(name, along, tensor.shape[along]).astype(float))
                made = own.view([-1 if d == along else 1 for d in range(tensor.dim())]).expand(tensor.shape).clone()
        return made

    def channels(self, labels: Tensor) -> np.ndarray:
        """Give the label of every channel (C,) of maps or vectors, and couple the labels within a channel."""
        rows = labels.transpose(0, 1).flatten(1).numpy()
        first = rows.max(axis=1).astype(int)
        self.couple(np.broadcast_to(first[:, None], rows.shape), rows)
        return np.where(first == _CONSTANT, _FIXED, first)

    def couple(self, first: np.ndarray, second: np.ndarray) -> None:
        """Couple the labels of the same values, whose channels are then kept or removed together."""
        pairs = np.stack([np.ravel(first), np.ravel(second)]).astype(int)
        pairs = pairs[:, (pairs[0] != pairs[1]) & (pairs.min(axis=0) != _CONSTANT)]
        if pairs.size:
            self._edges.append(np.unique(pairs, axis=1))

    def fix(self, labels: Tensor | np.ndarray) -> None:
        """Keep all channels with these labels."""
        own = np.unique(np.asarray(labels))
        self.couple(np.full(own.shape, _FIXED), own)

    def components(self) -> tuple[Callable[[np.ndarray], np.ndarray], int]:
        """Give a function from labels to the numbers of their sets of coupled channels, and the fixed set's number."""
        from scipy.sparse import coo_matrix  # slow to import, and most runs do not prune
        from scipy.sparse.csgraph import connected_components

        edges = np.concatenate(self._edges, axis=1) if self._edges else np.zeros((2, 0), int)
        graph = coo_matrix((np.ones(edges.shape[1]), (edges[0], edges[1])), shape=(self._count, self._count))
        _, component = connected_components(graph, directed=False)
        return lambda labels: component[np.asarray(labels).astype(int)], int(component[_FIXED])

    # -- functions

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the function, and label its results."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        name = getattr(func, "__name__", "").strip("_")
        if not made:
            if name in _READS_VALUES:
                self._fix_all(given)
            return result
        self._alive.append((made, given))
        if len(given) == 1 and name in _ELEMENTWISE and id(given[0]) in self._names:
            self._names[id(made[0])] = self._names[id(given[0])]  # a parameter times a number: equalised layers
            return result
        labels = self._label_result(name, args, kwargs, given, made)
        if labels is None:
            self._fix_all(given)
            labels = [torch.full(tensor.shape, _FIXED, dtype=torch.float64) for tensor in made]
        for tensor, own in zip(made, labels, strict=True):
            if tensor.dim() == 4:
                self.channels(own)
            self._labels[id(tensor)] = own
        return result

    def _fix_all(self, tensors: Sequence[Tensor]) -> None:
        for tensor in tensors:
            self.fix(self.labels(tensor))

    def _label_result(
        self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], given: list[Tensor], made: list[Tensor]
    ) -> list[Tensor] | None:
        """Give the labels of a function's results; None if the function is unknown."""
        if name == "getitem" and len(given) > 1:  # what an index picks is not known
            return None
        if name in _MOVES or (name == "pad" and not kwargs.get("value") and len(args) < 4):
            return self._move_labels(name, args, kwargs, made)
        if name in _UNARY and len(given) == 1:
            return [self.labels(given[0])]
        if name in _ELEMENTWISE:
            return self._combine_labels(given, made[0])
        if name in _CHANNELWISE or (name in ("mean", "sum") and _reduces_positions(args, kwargs)):
            maps = given[0].dim() in (3, 4) and made[0].shape[:2] == given[0].shape[:2]
            return [_spread_labels(self.channels(self.labels(given[0])), tensor) for tensor in made] if maps else None
        rule = _LAYERS.get(name)
        return None if rule is None else rule(self, args, kwargs, made[0])

    def _move_labels(
        self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], made: list[Tensor]
    ) -> list[Tensor] | None:
        def look_up(leaf: Any) -> Any:
            return self.labels(leaf) if isinstance(leaf, Tensor) else leaf

        own = {"getitem": Tensor.__getitem__, "pad": nn.functional.pad, "cat": torch.cat}
        functional: Any = own.get(name) or getattr(nn.functional, name, None) or getattr(Tensor, name)
        moved = tree_leaves(functional(*tree_map(look_up, args), **tree_map(look_up, dict(kwargs))))
        return [leaf.clone() for leaf in moved] if len(moved) == len(made) else None

    def _combine_labels(self, given: list[Tensor], made: Tensor) -> list[Tensor] | None:
        total = torch.zeros(made.shape, dtype=torch.float64)
        for tensor in given:
            own = self.labels(tensor).expand(made.shape)
            self.couple(total.numpy(), own.numpy())
            total = torch.where(total == _CONSTANT, own, total)
        return [total]

    def name(self, tensor: Tensor) -> str | None:
        """Give the name of a tensor of the model, also of one that was multiplied by a number."""
        return self._names.get(id(tensor))

    def along(self, tensor: Tensor | None, dimension: int, channels: np.ndarray) -> bool:
        """Couple a dimension of a tensor with channels; return False if the tensor is not one of the model's."""
        if tensor is None:
            return True
        name = self.name(tensor)
        if name is None:
            return False
        self.couple(self.axis(name, dimension, tensor.shape[dimension]), channels)
        return True


def _reduces_positions(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    over = kwargs.get("dim", args[1] if len(args) > 1 else None)
    return over in ((2, 3), [2, 3], (-2, -1), [-2, -1], (-1, -2), [-1, -2])


def _spread_labels(channels: np.ndarray, tensor: Tensor) -> Tensor:
    """Expand the labels of channels (C,) to maps or vectors of C channels."""
    own = torch.from_numpy(np.asarray(channels, float))
    return own.view(1, -1, *[1] * (tensor.dim() - 2)).expand(tensor.shape).clone()


def _bind_arguments(names: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {**dict(zip(names.split(), args, strict=False)), **kwargs}


def _convolution(tracer: Tracer, args: Any, kwargs: Any, made: Tensor, transposed: bool = False) -> list[Tensor] | None:
    order = "output_padding groups dilation" if transposed else "dilation groups"
    bound = _bind_arguments(f"input weight bias stride padding {order}", args, kwargs)
    weight, bias, groups = bound["weight"], bound.get("bias"), bound.get("groups", 1)
    name = tracer.name(weight)
    if name is None or made.dim() not in (3, 4):
        return None
    outputs, inputs = (1, 0) if transposed else (0, 1)
    entering = tracer.channels(tracer.labels(bound["input"]))
    if groups == 1:
        tracer.along(weight, inputs, entering)
        tracer.consumed.add((name, inputs))
        leaving = tracer.axis(name, outputs, weight.shape[outputs])
    elif groups == len(entering) == made.shape[1]:  # each channel by itself
        tracer.along(weight, 0, entering)
        leaving = entering
    else:
        return None
    return [_spread_labels(leaving, made)] if tracer.along(bias, 0, leaving) else None


def _linear(tracer: Tracer, args: Any, kwargs: Any, made: Tensor) -> list[Tensor] | None:
    bound = _bind_arguments("input weight bias", args, kwargs)
    weight, name = bound["weight"], tracer.name(bound["weight"])
    if name is None or made.dim() != 2:
        return None
    tracer.along(weight, 1, tracer.channels(tracer.labels(bound["input"])))
    tracer.consumed.add((name, 1))
    leaving = tracer.axis(name, 0, weight.shape[0])
    return [_spread_labels(leaving, made)] if tracer.along(bound.get("bias"), 0, leaving) else None


def _normalisation(tracer: Tracer, args: Any, kwargs: Any, made: Tensor) -> list[Tensor] | None:
    bound = _bind_arguments("input running_mean running_var weight bias", args, kwargs)
    if made.dim() not in (2, 3, 4):
        return None
    channels = tracer.channels(tracer.labels(bound["input"]))
    known = [tracer.along(bound.get(n), 0, channels) for n in ("running_mean", "running_var", "weight", "bias")]
    return [_spread_labels(channels, made)] if all(known) else None


def _group_normalisation(tracer: Tracer, args: Any, kwargs: Any, made: Tensor) -> list[Tensor] | None:
    bound = _bind_arguments("input num_groups weight bias", args, kwargs)
    if made.dim() not in (2, 3, 4):
        return None
    channels = tracer.channels(tracer.labels(bound["input"]))
    tracer.grouped.append(channels.reshape(bound["num_groups"], -1))
    known = [tracer.along(bound.get(name), 0, channels) for name in ("weight", "bias")]
    return [_spread_labels(channels, made)] if all(known) else None


def _embedding(tracer: Tracer, args: Any, kwargs: Any, made: Tensor) -> list[Tensor] | None:
    weight = _bind_arguments("input weight", args, kwargs)["weight"]
    name = tracer.name(weight)
    return None if name is None or made.dim() != 2 else [_spread_labels(tracer.axis(name, 1, weight.shape[1]), made)]


_LAYERS: dict[str, Callable[[Tracer, Any, Any, Tensor], list[Tensor] | None]] = {
    **dict.fromkeys(("conv1d", "conv2d"), _convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d"), functools.partial(_convolution, transposed=True)),
    "linear": _linear,
    "batch_norm": _normalisation,
    "instance_norm": _normalisation,
    "group_norm": _group_normalisation,
    "embedding": _embedding,
}
