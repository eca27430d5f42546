"""Networks that grow while they are trained: their blocks are switched on one group after the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

_FADING = 0.5  # of an epoch


class Gate:
    """Takes the place of a block's `forward`: its output, or its input, or what lies between both.

    Attributes:
        share: of the block's output; 0 gives the input itself, and nothing of the block is computed.
    """

    def __init__(self, block: nn.Module) -> None:
        self.share, self._forward = 0.0, block.forward
        block.__dict__["forward"] = self  # names of tensors, hooks and the class stay as they are

    def __call__(self, x: Tensor, *rest: Any) -> Tensor:
        """Of an input (N, ...) and whatever else the block takes, a tensor of the same shape."""
        if self.share == 0:
            return x
        output: Tensor = self._forward(x, *rest)
        return output if self.share == 1 else torch.lerp(x, output, self.share)


class Growth:
    """Grows networks: first without their blocks, which are then switched on in the order of their depth.

    A block that is off is the identity. It is faded in, x + share (block(x) - x), over half an epoch in which the
    share rises from 0 to 1, as Karras et al. 2018 (section 2) fade in layers: when it is switched on nothing changes,
    and once it is on nothing is left of the gate. In this half epoch only the new blocks are trained, then all.

    In half of the epochs, rounded down, the network is smaller; so in one alone there is nothing to grow. All parts of
    a model, encoder and decoder, or generator and discriminator, grow together.

    Args:
        model: the network, on its device.
        rows: names of the blocks of each part, in their order; see `find_blocks`.
        epochs: of the whole training.
        copies: averages that follow a part of the model and grow with it, by the name of that part.

    Attributes:
        stages: how many there are; 1 where there is nothing to grow.
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
        """Be as large as after so many epochs; a step in the midst of one is at a fraction."""
        self._time = time
        for start, gates in zip(self._starts, self._gates, strict=True):
            for gate in gates:
                gate.share = min(1.0, max(0.0, (time - start) / _FADING))

    def mask_gradients(self) -> None:
        """Take from all but the new blocks the gradients, if it is their time: an optimiser then leaves them."""
        for start, weights in zip(self._starts, self._weights, strict=True):
            if start <= self._time < start + _FADING:
                new = set(weights)
                for parameter in self._all:
                    if parameter not in new:
                        parameter.grad = None

    def stage(self, epoch: int) -> int:
        """Which stage an epoch belongs to; both count from 1."""
        return 1 + sum(start < epoch for start in self._starts)

    def metrics(self, epoch: int) -> dict[str, float]:
        """``stage`` and ``stages``."""
        return {"stage": float(self.stage(epoch)), "stages": float(self.stages)}


def find_blocks(model: nn.Module, run: Callable[[nn.Module], object]) -> list[list[str]]:
    """The blocks that can be left out, by the part of the model that they belong to and in the order of its depth.

    They are modules of several layers, convolutional or linear ones among them, that are called once and give what has
    the shape of their input; neither the whole that `run` calls, nor edges of graphs, nor blocks within blocks.
    """
    calls: list[nn.Module] = []
    able: dict[nn.Module, bool] = {}
    around: list[nn.Module] = []

    def entered(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        if around:
            calls.append(module)
        around.append(module)

    def left(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        around.pop()
        x = arguments[0] if arguments else None
        able[module] = isinstance(x, Tensor) and isinstance(output, Tensor) and x.shape == output.shape

    hooks = [module.register_forward_pre_hook(entered) for module in model.modules()]
    hooks += [module.register_forward_hook(left) for module in model.modules()]
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
    """Whether it is of several layers, one of them convolutional or linear."""
    layers = [part for part in module.modules() if not list(part.children())]
    return len(layers) > 1 and any(isinstance(part, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)) for part in layers)


def _is_within(name: str, other: str) -> bool:
    return name.startswith(f"{other}.")
