"""A network's layers in the order in which they are built, in words, for a drawing of its stages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch import nn

_MOST_BLOCKS = 40
_ENTERED = 3  # modules within modules until one is a block of its own


@dataclass(frozen=True)
class Block:
    """A layer with what follows it and has no weights of its own size: normalisation, activation, reshaping.

    Attributes:
        count: how many alike follow each other.
    """

    title: str
    notes: tuple[str, ...]
    parameters: int
    count: int = 1


@dataclass(frozen=True)
class Part:
    """A part of a network, such as an encoder; `left_out` of its blocks are not listed."""

    name: str
    blocks: tuple[Block, ...]
    parameters: int
    left_out: int = 0


def list_parts(model: nn.Module) -> list[Part]:
    """List the parts of a network that have weights: its children's names, or the network itself if it is a row."""
    children = dict(model.named_children())
    trained = {name: child for name, child in children.items() if _count(child)}
    if not trained:
        return []
    if len(trained) == 1 or isinstance(model, (nn.Sequential, nn.ModuleList)) or all(n.isdigit() for n in trained):
        return [_make_part("network", model)]
    return [_make_part(name.replace("_", " "), child) for name, child in trained.items()]


def _make_part(name: str, module: nn.Module) -> Part:
    blocks = _fold([*_list_blocks(module)])
    return Part(name, tuple(blocks[:_MOST_BLOCKS]), _count(module), max(0, len(blocks) - _MOST_BLOCKS))


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _list_blocks(module: nn.Module) -> Iterator[Block]:
    pending: Block | None = None
    for layer in _list_layers(module, _ENTERED):
        words = _describe(layer)
        if words is None:
            continue
        title, opens = words
        if opens or pending is None:
            if pending is not None:
                yield pending
            pending = Block(title, (), _count(layer))
        else:
            pending = replace(pending, notes=(*pending.notes, title), parameters=pending.parameters + _count(layer))
    if pending is not None:
        yield pending


def _list_layers(module: nn.Module, depth: int) -> Iterator[nn.Module]:
    """List layers; what is neither a row nor near the top is one layer, as a cell is."""
    children = list(module.children())
    if not children:
        yield module
    elif isinstance(module, (nn.Sequential, nn.ModuleList)):
        for child in children:
            yield from _list_layers(child, depth)
    elif depth > 0 and type(module).__name__ not in ("Cell", "Residual", "UpCell", "StyleBlock"):
        for child in children:
            yield from _list_layers(child, depth - 1)
    else:
        yield module


def _describe(layer: nn.Module) -> tuple[str, bool] | None:
    """Say what a layer is, and whether a block begins with it; None of what does nothing."""
    name = type(layer).__name__
    if isinstance(layer, nn.Identity):
        return None
    if isinstance(layer, nn.modules.conv._ConvNd):
        kind = "transposed conv" if "Transpose" in name else "conv"
        grouped = "depthwise " if layer.groups == layer.in_channels > 1 else ""
        size = "×".join(str(side) for side in layer.kernel_size)
        stride = max(layer.stride)
        how = "" if stride == 1 else f", {'×' if 'Transpose' in name else '1/'}{stride} size"
        return f"{grouped}{kind} {size}, {layer.in_channels} → {layer.out_channels}{how}", True
    if isinstance(layer, nn.Linear):
        return f"linear, {layer.in_features:,} → {layer.out_features:,}", True
    if isinstance(layer, nn.RNNBase):
        return f"{name}, {layer.input_size} → {layer.hidden_size}", True
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    known = {"Si LU": "SiLU", "Re LU": "ReLU", "Leaky Re LU": "leaky ReLU"}
    words = known.get(words, words if words.isupper() else words.replace("Norm2d", "norm").replace("Norm1d", "norm"))
    words = re.sub(r"(\w)norm\b", r"\1 norm", words)
    plain = not list(layer.children()) and layer.__class__.__module__.startswith("torch.")
    return (words if words in known.values() else words[0].upper() + words[1:].lower() if words.istitle() else words), (
        not plain and _count(layer) > 0
    )


def _fold(blocks: list[Block]) -> list[Block]:
    folded: list[Block] = []
    for block in blocks:
        if folded and replace(folded[-1], count=1) == block:
            folded[-1] = replace(folded[-1], count=folded[-1].count + 1)
        else:
            folded.append(block)
    return folded
