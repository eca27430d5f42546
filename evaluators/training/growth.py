"""Networks that grow while they are trained: groups of blocks are switched on one after the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

_FADING = 0.5  # of an epoch
_WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.Linear)


class Gate:
    """Replaces a block's `forward`: it gives the block's output, its input, or an interpolation of both.

    Attributes:
        share: the weight of the block's output; with 0 the block is not computed.
    """

    def __init__(self, block: nn.Module) -> None:
        self.share, self._forward = 0.0, block.forward
        block.__dict__["forward"] = self  # names of tensors, hooks and the class stay as they are

    def __call__(self, x: Tensor, *rest: Any) -> Tensor:
        """Map an input (N, ...), and whatever else the block takes, to a tensor of the same shape."""
        if self.share == 0:
            return x
        output: Tensor = self._forward(x, *rest)
        return output if self.share == 1 else torch.lerp(x, output.to(x.dtype), self.share)


class Growth:
    """Grows networks: first without their blocks, which are then switched on in the order of their depth.

    A block that is off is the identity. It is faded in, x + share (block(x) - x), over half an epoch in which the share
    rises from 0 to 1, as Karras et al. 2018 (section 2) fade in layers. So the model's function does not jump when a
    block is switched on. In this half epoch only the new blocks are trained, then all.

    The network is smaller during half of the epochs, rounded down; so a training of one epoch does not grow. All parts
    of a model, encoder and decoder, or generator and discriminator, grow together.

    Args:
        model: the network, on its device.
        rows: the names of the blocks of each part, in the order of their depth; see `find_blocks`.
        epochs: of the whole training.
        copies: moving averages of parts of the model, which grow with them, by the name of the part.

    Attributes:
        stages: how many sizes the network has; 1 if it does not grow.
    """

    def __init__(
        self,
        model: nn.Module,
        rows: Iterable[Sequence[str]],
        epochs: int,
        copies: Mapping[str, nn.Module] | None = None,
    ) -> None:
        rows = list(rows)
        smaller = epochs // 2
        groups = min(smaller, max(map(len, rows), default=0))
        self.stages = groups + 1
        self._starts = [math.floor((group + 1) * smaller / groups) for group in range(groups)]
        self._gates: list[list[Gate]] = [[] for _ in range(groups)]
        self._weights: list[list[nn.Parameter]] = [[] for _ in range(groups)]
        self._all = list(model.parameters())
        self._time = 0.0
        for row in rows if groups else ():
            for place, name in enumerate(row):
                group = place * groups // len(row)
                block = model.get_submodule(name)
                self._gates[group].append(Gate(block))
                self._weights[group] += block.parameters()
                for part, copy in (copies or {}).items():
                    if name.startswith(f"{part}."):
                        self._gates[group].append(Gate(copy.get_submodule(name.removeprefix(f"{part}."))))

    def set_time(self, time: float) -> None:
        """Give the network the size that it has after `time` epochs, which may be a fraction."""
        self._time = time
        for start, gates in zip(self._starts, self._gates, strict=True):
            for gate in gates:
                gate.share = min(1.0, max(0.0, (time - start) / _FADING))

    def mask_gradients(self) -> None:
        """Drop the gradients of all but the new blocks while these fade in, so that no other weights are updated."""
        for start, weights in zip(self._starts, self._weights, strict=True):
            if start <= self._time < start + _FADING:
                new = set(weights)
                for parameter in self._all:
                    if parameter not in new:
                        parameter.grad = None

    def stage(self, epoch: int) -> int:
        """Find the stage that an epoch belongs to; both count from 1."""
        return 1 + sum(start < epoch for start in self._starts)

    def metrics(self, epoch: int) -> dict[str, float]:
        """Give ``stage`` and ``stages`` as metrics."""
        return {"stage": float(self.stage(epoch)), "stages": float(self.stages)}


def find_blocks(model: nn.Module, run: Callable[[nn.Module], object]) -> list[list[str]]:
    """Find the blocks that can be left out: a row of names for each part of the model, in the order of depth.

    A block is a module of several layers, of which one is convolutional or linear. It is called once, and its output
    has the shape of its input. The whole model, edges of graphs, and blocks within blocks are no blocks.

    Args:
        run: passes a batch through all parts of the model.
    """
    calls: list[nn.Module] = []
    able: dict[nn.Module, bool] = {}
    around: list[nn.Module] = []

    def enter(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        if around:
            calls.append(module)
        around.append(module)

    def leave(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        around.pop()
        x = arguments[0] if arguments else None
        able[module] = isinstance(x, Tensor) and isinstance(output, Tensor) and x.shape == output.shape

    hooks = [module.register_forward_pre_hook(enter) for module in model.modules()]
    hooks += [module.register_forward_hook(leave) for module in model.modules()]
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            run(model)
    finally:
        for hook in hooks:
            hook.remove()
        model.train(training)
    names = {module: name for name, module in model.named_modules()}
    edges = tuple(f"{names[m]}.{row}." for m in model.modules() for row in ("operations", "skips") if hasattr(m, row))
    found = [
        names[module]
        for module in calls
        if able[module] and calls.count(module) == 1 and _has_layers(module) and not names[module].startswith(edges)
    ]
    rows = [name for name in found if type(model.get_submodule(name)) is nn.Sequential]
    found = [name for name in found if name not in rows or not any(_is_within(other, name) for other in found)]
    found = [name for name in found if not any(_is_within(name, other) for other in found)]
    parts = dict.fromkeys(name.partition(".")[0] for name in found)
    return [[name for name in found if name.partition(".")[0] == part] for part in parts]


def _has_layers(module: nn.Module) -> bool:
    """Whether a module has several layers, of which one is convolutional or linear."""
    layers = [part for part in module.modules() if not list(part.children())]
    return len(layers) > 1 and any(isinstance(part, _WEIGHTED) for part in layers)


def _is_within(name: str, other: str) -> bool:
    return name.startswith(f"{other}.")
