"""Labels the axes of a model's tensors: channels, positions and offsets of kernels, found by running the model once.

Two tensors of the same shape need not mean the same: 16 channels of 4 x 4 and 64 of 2 x 2 are both 256 numbers to the
next layer. So every index along every dimension of a tensor gets a label, and equal labels mean the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Labels = tuple[Hashable, ...]
"""What each index along a dimension stands for."""

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, *_TRANSPOSED)
_ELEMENTWISE = ("add", "radd", "sub", "rsub", "mul", "rmul")
_NORMALISATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d)


@dataclass(frozen=True)
class TensorAxes:
    """The labels of a tensor's axes.

    Attributes:
        labels: of each dimension.
        output: the dimension of the layer's outputs; the others are its inputs and its kernel's offsets.
    """

    labels: tuple[Labels, ...]
    output: int


@dataclass
class ModelAxes:
    """The labels of a whole model.

    Attributes:
        tensors: the axes of each tensor by its name; unknown ones are missing.
        sizes: height and width of a module's output, steps of a sequence, () for vectors, by the module's name.
    """

    tensors: dict[str, TensorAxes] = field(default_factory=dict)
    sizes: dict[str, tuple[int, ...]] = field(default_factory=dict)


def plain_labels(count: int) -> Labels:
    """Label channels by their index: the first channel is the same in models of any width."""
    return tuple(range(count))


def opaque_labels(count: int) -> Labels:
    """Label channels whose order is not understood: with another number of them, none is the same."""
    return tuple((count, place) for place in range(count))


def label_axes(model: nn.Module, run: Callable[[nn.Module], object]) -> ModelAxes:
    """Label the axes of a model's tensors; `run` passes a batch through all of its parts."""
    tracer = _AxisTracer(model)
    training = model.training
    model.eval()
    hooks = [module.register_forward_pre_hook(tracer.enter) for module in model.modules()]
    hooks += [module.register_forward_hook(tracer.leave) for module in model.modules()]
    try:
        with torch.no_grad(), tracer:
            run(model)
    finally:
        for hook in hooks:
            hook.remove()
        model.train(training)
    return tracer.model_axes()


def is_depthwise(layer: nn.Module) -> bool:
    """Whether a convolution convolves each channel alone."""
    if not isinstance(layer, (nn.Conv1d, nn.Conv2d)):
        return False
    return layer.groups > 1 and layer.groups == layer.in_channels == layer.out_channels


@dataclass(frozen=True)
class _Flow:
    """A tensor between layers: the labels of its channels, and the layer that gave it, if it did so directly."""

    tensor: Tensor  # kept, so that no other tensor gets its id
    labels: Labels
    producer: nn.Module | None


class _AxisTracer(TorchFunctionMode):
    """Follows tensors through a model: by hooks through its layers, and through sums and products between them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._names = {module: name for name, module in model.named_modules()}
        self._flows: dict[int, _Flow] = {}
        self._inputs: dict[nn.Module, Labels] = {}
        self._outputs: dict[nn.Module, Labels] = {}
        self._given: dict[nn.Module, Tensor] = {}
        self._consumed: set[nn.Module] = set()
        self._depth = 0

    def enter(self, module: nn.Module, arguments: tuple[Any, ...]) -> None:
        """Label the inputs of the model by their index."""
        if self._depth == 0:
            for tensor in arguments:
                if isinstance(tensor, Tensor) and tensor.dim() >= 2 and id(tensor) not in self._flows:
                    self._remember(tensor, plain_labels(tensor.shape[1]))
        self._depth += 1

    def leave(self, module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        """Label a module's output."""
        self._depth -= 1
        x, given = next(_find_tensors(arguments), None), list(_find_tensors(output))
        if x is None or not given:
            return
        self._given[module] = given[0]
        layer = _find_layer(module, self._given)
        if layer is None:
            for y in given:
                if id(y) not in self._flows:
                    self._remember(y, opaque_labels(y.shape[1]))
        elif isinstance(layer, (nn.Flatten, nn.Unflatten, nn.PixelShuffle)):
            self._trace_reshape(layer, x, given[0])
        elif isinstance(layer, nn.Linear) and x.dim() > 2:  # its channels are not dimension 1
            self._remember(given[0], opaque_labels(given[0].shape[1]))
        elif isinstance(layer, (*CONVOLUTIONS, nn.Linear)):
            self._trace_weights(layer, x, given[0])
        else:
            self._trace_passing(layer, x, given[0])

    def __torch_function__(
        self, function: Any, types: Any, arguments: tuple[Any, ...] = (), options: dict[str, Any] | None = None
    ) -> Any:
        """Give sums and products the labels of their arguments; other functions between layers are not understood."""
        result = function(*arguments, **(options or {}))
        if getattr(function, "__name__", "").strip("_") in _ELEMENTWISE and isinstance(result, Tensor):
            known = [x for x in _find_tensors(arguments) if id(x) in self._flows and x.shape[1:2] == result.shape[1:2]]
            if known and id(result) not in self._flows:
                labels = [self._consume(x).labels for x in known]
                self._remember(result, labels[0])
        return result

    def _consume(self, x: Tensor) -> _Flow:
        """Give the labels of a layer's input, and note that its producer has been used."""
        flow = self._flows.get(id(x)) or _Flow(x, opaque_labels(x.shape[1]), None)
        if flow.producer is not None:
            self._consumed.add(flow.producer)
        return flow

    def _remember(self, y: Tensor, labels: Labels, producer: nn.Module | None = None) -> None:
        self._flows[id(y)] = _Flow(y, labels, producer)

    def _trace_weights(self, layer: nn.Module, x: Tensor, y: Tensor) -> None:
        self._inputs[layer] = self._consume(x).labels
        if is_depthwise(layer):
            self._outputs[layer] = self._inputs[layer]
            self._consumed.add(layer)
        else:
            self._outputs[layer] = (
                plain_labels(y.shape[1]) if getattr(layer, "groups", 1) == 1 else opaque_labels(y.shape[1])
            )
        self._remember(y, self._outputs[layer], layer)

    def _trace_reshape(self, layer: nn.Module, x: Tensor, y: Tensor) -> None:
        """Label flattening, unflattening and pixel shuffle: channels become channels at positions, or the reverse."""
        flow = self._consume(x)
        if isinstance(layer, nn.Flatten):
            if x.dim() > 2:
                grid = tuple(x.shape[2:])
                places = range(math.prod(grid))
                self._remember(y, tuple((label, place, grid) for label in flow.labels for place in places))
            return
        channels = y.shape[1]
        per_channel = x.shape[1] // channels
        kind = ("shuffled", per_channel) if isinstance(layer, nn.PixelShuffle) else tuple(y.shape[2:])
        if flow.producer is not None:
            labels = tuple((channel, place, kind) for channel in range(channels) for place in range(per_channel))
            self._outputs[flow.producer] = labels
        self._remember(y, plain_labels(channels) if flow.producer is not None else opaque_labels(channels))

    def _trace_passing(self, layer: nn.Module, x: Tensor, y: Tensor) -> None:
        """Label a layer without weights between channels: it keeps them, appends some, or is not understood."""
        flow = self._consume(x)
        self._inputs[layer] = flow.labels
        before, after = x.shape[1], y.shape[1]
        own = next(layer.parameters(), None)
        if id(y) in self._flows:
            return
        if before == after and (own is None or isinstance(layer, _NORMALISATIONS) or own.dim() == 1):
            self._remember(y, flow.labels)
        elif before < after and (own is None or own.shape[0] == before):
            added = tuple(("added", type(layer).__name__, place) for place in range(after - before))
            self._remember(y, flow.labels + added)
        else:
            if flow.producer is not None:
                self._outputs[flow.producer] = opaque_labels(before)
            self._remember(y, opaque_labels(after))

    def model_axes(self) -> ModelAxes:
        """Give the labels of all layers that were run."""
        found = ModelAxes()
        for module, y in self._given.items():
            found.sizes[self._names[module]] = tuple(y.shape[2:])
        for layer, inputs in self._inputs.items():
            outputs = self._outputs.get(layer, inputs)
            if layer in self._outputs and layer not in self._consumed:
                outputs = opaque_labels(len(outputs))  # such as a mean and a variance in one output
            for name, axes in _label_layer(layer, inputs, outputs).items():
                found.tensors[f"{self._names[layer]}.{name}"] = axes
        return found


def _find_tensors(values: Any) -> Iterator[Tensor]:
    """Find maps and vectors among arguments or outputs, also in lists."""
    if isinstance(values, Tensor):
        if values.dim() >= 2:
            yield values
    elif isinstance(values, (tuple, list)):
        for value in values:
            yield from _find_tensors(value)


def _find_layer(module: nn.Module, run: Mapping[nn.Module, Tensor]) -> nn.Module | None:
    """Find the layer that a module is, or whose weights it uses as a wrapper; None for a module of modules."""
    children = list(module.children())
    if not children:
        return module
    inner = children[0]
    wrapped = len(children) == 1 and inner not in run and isinstance(inner, (*CONVOLUTIONS, nn.Linear))
    return inner if wrapped else None


def _label_layer(layer: nn.Module, inputs: Labels, outputs: Labels) -> dict[str, TensorAxes]:
    """Label each tensor of a layer of a known kind."""
    if isinstance(layer, _NORMALISATIONS):
        own = {**dict(layer.named_parameters()), **dict(layer.named_buffers())}
        return {name: TensorAxes((inputs,), 0) for name, tensor in own.items() if tensor.dim() == 1}
    if isinstance(layer, nn.Linear):
        return {"weight": TensorAxes((outputs, inputs), 0), "bias": TensorAxes((outputs,), 0)}
    if not isinstance(layer, CONVOLUTIONS):
        return {}
    kernel = tuple(_label_offsets(layer, axis) for axis in range(len(layer.kernel_size)))
    bias = {"bias": TensorAxes((outputs,), 0)}
    if is_depthwise(layer):
        return {"weight": TensorAxes((outputs, plain_labels(1), *kernel), 0), **bias}
    if layer.groups > 1:
        return bias
    if isinstance(layer, _TRANSPOSED):
        return {"weight": TensorAxes((inputs, outputs, *kernel), 1), **bias}
    return {"weight": TensorAxes((outputs, inputs, *kernel), 0), **bias}


def _label_offsets(layer: nn.modules.conv._ConvNd, axis: int) -> Labels:
    """Label a kernel's offsets by their distance from its middle; an even kernel has none."""
    size, step = layer.kernel_size[axis], layer.dilation[axis]
    if size % 2 == 0 or isinstance(layer, _TRANSPOSED):
        return opaque_labels(size)
    return tuple(step * (place - size // 2) for place in range(size))
