"""A child's network begins from its parent's tensors, wherever they stand for the same."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from safetensors.torch import load
from torch import Tensor, nn

from evaluators.meanings import Labels, Meaning, Meanings, is_depthwise, meanings
from evaluators.networks import global_randomness
from nas.core.space import SearchSpace, Shape
from nas.core.trial import Start

Run = Callable[[nn.Module], object]
"""Passes a batch through all parts of a model."""


@dataclass(frozen=True)
class Inherited:
    """What a network has from another.

    Attributes:
        whole, part: shares of its parameters, from tensors taken as they are and from parts of tensors.
        tensors: the names of the tensors with something inherited, buffers included, and where it is from.
    """

    whole: float
    part: float
    tensors: Mapping[str, str]

    @property
    def share(self) -> float:
        """The share of its parameters that comes from the other, 0 to 1."""
        return self.whole + self.part


def begin_from(
    start: Start | None, model: nn.Module, space: SearchSpace, shape: Shape, run: Run, device: torch.device
) -> dict[str, float]:
    """Give the model what it can have of the trial that it starts from; nothing of none.

    Returns: the metrics ``inherited``, the share of the model's parameters, and ``inherited_from``, the trial's number.

    Raises:
        RuntimeError: the tensors are not those of the start's genotype.
    """
    if start is None:
        return {}
    with global_randomness(0, device):
        parent = space.build(start.genotype, shape).to(device)
        parent.load_state_dict(load(start.tensors))
        found = inherit(model, parent, run)
    return {"inherited": found.share, "inherited_from": float(start.number)}


@torch.no_grad()
def inherit(child: nn.Module, parent: nn.Module, run: Run) -> Inherited:
    """Overwrite the child's tensors, in place, with what the parent's have at places that stand for the same.

    **Which layer is which** follows from the trees of both networks. Parts with names belong together by name, parts in
    a row by the alignment, in their order, in which most is inherited (Needleman & Wunsch 1970). Only layers of one
    class, stride and kind are paired, whose outputs have one height and width; of a graph only edges of one kind
    between nodes that belong together.

    **Which number is which** is said by evaluators.meanings. What a wider layer has beyond its parent's channels is
    new; and where a layer takes such new channels in, or its kernel is larger, it has zeros for them. So a child that
    is only wider, in any of its layers, or has larger kernels, computes what its parent does, if its normalisation is
    by channel: Net2WiderNet (Chen, Goodfellow & Shlens 2016, section 2.3) with zeros (Wei et al. 2016) in place of
    copies, which would need noise to part. A narrower child has its parent's first channels. An edge that is new beside
    others in a graph's node begins at zero, if its activation lets it learn from there: a child with only such edges
    more computes what its parent does as well (the aim of Net2DeeperNet, section 2.4).
    """
    both = _Both(_Model(child, meanings(child, run)), _Model(parent, meanings(parent, run)))
    pairs = both.pairs("", "").layers
    counts = {True: 0, False: 0}
    names: dict[str, str] = {}
    total = max(1, sum(parameter.numel() for parameter in child.parameters()))
    parameters = {name for name, _ in child.named_parameters()}
    for own, other in pairs:
        for name in both.child.own_tensors(own):
            places = both.places(own, other, name)
            if places is None:
                continue
            new, old = both.child.tensors[_join(own, name)], both.parent.tensors[_join(other, name)]
            taken = _take(new, old, places, both.child.meanings.tensors.get(_join(own, name)))
            names[_join(own, name)] = _join(other, name)
            if _join(own, name) in parameters:
                counts[taken == new.numel()] += taken
    for edge in _new_edges(child, {own for own, _ in pairs}):
        _begin_at_zero(edge)
    return Inherited(counts[True] / total, counts[False] / total, names)


Places = tuple[tuple[list[int], list[int]], ...]
"""For each dimension, places in the child's tensor and those in the parent's that stand for the same."""


def _take(new: Tensor, old: Tensor, places: Places, meaning: Meaning | None) -> int:
    """Copy what stands for the same, with zeros for inputs that are new; gives how many numbers are the parent's."""
    block = old
    for dimension, (_, theirs) in enumerate(places):
        block = block.index_select(dimension, torch.tensor(theirs, device=old.device))
    if meaning is not None and new.dim() > 1:
        ours = torch.tensor(places[meaning.output][0], device=new.device)
        new.index_fill_(meaning.output, ours, 0)
    if not places:
        new.copy_(block)
    else:
        new[torch.meshgrid(*(torch.tensor(ours, device=new.device) for ours, _ in places), indexing="ij")] = block
    return block.numel()


@dataclass(frozen=True)
class _Pairs:
    """Layers that belong together, by their names; the score is 1 for each that is inherited whole."""

    score: float = 0.0
    layers: tuple[tuple[str, str], ...] = ()

    def __add__(self, other: _Pairs) -> _Pairs:
        return _Pairs(self.score + other.score, self.layers + other.layers)


_NONE = _Pairs()
_ANY_NODE = 1e-6  # what two nodes score that have nothing to inherit, such as pooling alone
_GRAPHS = {"nodes": ("inputs", "operations", 1), "cells": ("sources", "skips", 0)}
"""Rows of nodes: which attribute says where a node's edges come from, which holds them, what the first node is called.

See search_spaces.cells.modules.Cell and search_spaces.gan.modules.UpCells."""


class _Model:
    """A network, its parts by name."""

    def __init__(self, module: nn.Module, found: Meanings) -> None:
        self.modules = dict(module.named_modules())
        self.tensors = dict(module.state_dict(keep_vars=True))
        self.meanings = found

    def own_tensors(self, name: str) -> list[str]:
        """The names of the tensors of a module itself, not those of its parts."""
        module = self.modules[name]
        own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        return [tensor for tensor, _ in own if _join(name, tensor) in self.tensors]

    def parts(self, name: str) -> list[str]:
        return [child for child, _ in self.modules[name].named_children()]


class _Both:
    """Two networks, aligned."""

    def __init__(self, child: _Model, parent: _Model) -> None:
        self.child, self.parent = child, parent
        self.pairs = functools.cache(self._pairs)
        self._common = functools.cache(_common)

    def _pairs(self, own: str, other: str) -> _Pairs:
        """What belongs together of two modules, themselves included."""
        if own and not self._alike(own, other):
            return _NONE
        found = self._layer(own, other)
        mine, theirs = self.child.parts(own), self.parent.parts(other)
        if isinstance(self.child.modules[own], (nn.Sequential, nn.ModuleList)):
            return found + self._in_order(own, other, mine, theirs)
        for part in mine:
            if part in theirs:
                graph = part in _GRAPHS and self._is_graph(own, part) and self._is_graph(other, part, of_parent=True)
                pair = _join(own, part), _join(other, part)
                found += self._graph(*pair, part) if graph else self.pairs(*pair)
        return found

    def _alike(self, own: str, other: str) -> bool:
        """Whether two modules could be one: class, stride, kind of convolution, and the size of what they give."""
        child, parent = self.child.modules[own], self.parent.modules[other]
        if type(child) is not type(parent) or getattr(child, "stride", None) != getattr(parent, "stride", None):
            return False
        sizes = self.child.meanings.sizes.get(own), self.parent.meanings.sizes.get(other)
        return is_depthwise(child) == is_depthwise(parent) and (None in sizes or sizes[0] == sizes[1])

    def _layer(self, own: str, other: str) -> _Pairs:
        """The pair of both, if a tensor of the one has something for the other; for a bias alone there is none."""
        score = weight = 0.0
        if "weight" in self.child.own_tensors(own) and self.places(own, other, "weight") is None:
            return _NONE
        for name in self.child.own_tensors(own):
            places = self.places(own, other, name)
            size = self.child.tensors[_join(own, name)].numel()
            weight += size
            if places is not None:
                taken = 1.0
                for mine, _ in places:
                    taken *= len(mine)
                score += 2 * size * taken / (size + self.parent.tensors[_join(other, name)].numel())
        return _Pairs(score / weight, ((own, other),)) if score else _NONE

    def places(self, own: str, other: str, name: str) -> Places | None:
        """Where two tensors stand for the same; None if nowhere."""
        mine, theirs = _join(own, name), _join(other, name)
        new, old = self.child.tensors[mine], self.parent.tensors.get(theirs)
        if old is None or new.dim() != old.dim():
            return None
        meant, was = self.child.meanings.tensors.get(mine), self.parent.meanings.tensors.get(theirs)
        if meant is None or was is None:
            if meant is not was or new.shape != old.shape:
                return None
            return tuple((list(range(side)), list(range(side))) for side in new.shape)
        found = tuple(itertools.starmap(self._common, zip(meant.labels, was.labels, strict=True)))
        return found if all(ours for ours, _ in found) else None

    def _in_order(
        self,
        own: str,
        other: str,
        mine: Sequence[str],
        theirs: Sequence[str],
        allowed: Callable[[int, int], bool] = lambda i, j: True,
    ) -> _Pairs:
        """Of parts in a row, the alignment of greatest score; see `_aligned`."""
        steps = self._aligned(own, other, mine, theirs, allowed)
        return sum((self.pairs(_join(own, mine[i]), _join(other, theirs[j])) for i, j in steps), _NONE)

    def _aligned(
        self,
        own: str,
        other: str,
        mine: Sequence[str],
        theirs: Sequence[str],
        allowed: Callable[[int, int], bool],
        least: float = 0.0,
    ) -> list[tuple[int, int]]:
        """The places, in order, of parts that belong together (Needleman & Wunsch 1970, without a cost of gaps).

        Parts that are alike score as much as is inherited, and `least`.
        """

        def score(i: int, j: int) -> float:
            pair = _join(own, mine[i]), _join(other, theirs[j])
            return self.pairs(*pair).score + least if allowed(i, j) and self._alike(*pair) else 0.0

        best = [[0.0] * (len(theirs) + 1) for _ in range(len(mine) + 1)]
        for i, j in itertools.product(reversed(range(len(mine))), reversed(range(len(theirs)))):
            best[i][j] = max(best[i + 1][j], best[i][j + 1], best[i + 1][j + 1] + score(i, j))
        steps, i, j = [], 0, 0
        while i < len(mine) and j < len(theirs):
            if score(i, j) > 0 and best[i][j] == best[i + 1][j + 1] + score(i, j):
                steps.append((i, j))
                i, j = i + 1, j + 1
            elif best[i][j] == best[i][j + 1]:
                j += 1
            else:
                i += 1
        return steps

    # -- graphs: nodes in a row, joined by edges

    def _is_graph(self, name: str, part: str, of_parent: bool = False) -> bool:
        sources, edges, _ = _GRAPHS[part]
        nodes = (self.parent if of_parent else self.child).modules[_join(name, part)].children()
        return all(isinstance(getattr(node, edges, None), nn.ModuleList) and hasattr(node, sources) for node in nodes)

    def _graph(self, own: str, other: str, kind: str) -> _Pairs:
        """Nodes in order, and of two nodes the edges that come from nodes that belong together."""
        sources, edges, first = _GRAPHS[kind]
        mine, theirs = self.child.parts(own), self.parent.parts(other)
        steps = self._aligned(own, other, mine, theirs, lambda i, j: True, _ANY_NODE)
        belongs = {i + first: j + first for i, j in steps} | ({0: 0} if first else {})
        found = _NONE
        for i, j in steps:
            node, its = _join(own, mine[i]), _join(other, theirs[j])
            ours, from_theirs = (getattr(m.modules[n], sources) for m, n in ((self.child, node), (self.parent, its)))
            found += self._layer(node, its)
            for part in self.child.parts(node):
                pair = _join(node, part), _join(its, part)
                if part == edges:
                    found += self._edges(*pair, ours, from_theirs, belongs)
                elif part in self.parent.parts(its):
                    found += self.pairs(*pair)
        return found

    def _edges(
        self, own: str, other: str, mine: Sequence[int], theirs: Sequence[int], belongs: Mapping[int, int]
    ) -> _Pairs:
        parts = self.child.parts(own), self.parent.parts(other)

        def allowed(i: int, j: int) -> bool:
            of_one = [_kind(m.modules[_join(n, str(k))]) for m, n, k in ((self.child, own, i), (self.parent, other, j))]
            return belongs.get(mine[i]) == theirs[j] and of_one[0] == of_one[1]

        return self._in_order(own, other, *parts, allowed)


def _new_edges(child: nn.Module, inherited: set[str]) -> list[nn.Module]:
    """The edges with nothing inherited, in graphs that have inherited, beside others that have or are identities."""
    found = []
    for path, module in child.named_modules():
        for row, (_, edges, first) in _GRAPHS.items():
            nodes = getattr(module, row, None)
            if not isinstance(nodes, nn.ModuleList) or not _under(_join(path, row), inherited):
                continue
            for place, node in nodes.named_children():
                parts = getattr(node, edges, None)
                if not isinstance(parts, nn.ModuleList):
                    continue
                prefix = _join(path, f"{row}.{place}.{edges}")
                has = {name: _under(f"{prefix}.{name}", inherited) for name, _ in parts.named_children()}
                kept = any(has[name] or isinstance(part, nn.Identity) for name, part in parts.named_children())
                if kept or not first:  # what a cell takes from earlier ones is always beside its own
                    found += [part for name, part in parts.named_children() if not has[name]]
    return found


def _under(path: str, names: set[str]) -> bool:
    return any(name == path or name.startswith(f"{path}.") for name in names)


def _begin_at_zero(edge: nn.Module) -> None:
    """Make an edge give zeros by its last layer with weights, if what follows lets that learn from there."""
    layers = [layer for layer in edge.modules() if not list(layer.children())]
    scaled = [place for place, layer in enumerate(layers) if getattr(layer, "weight", None) is not None]
    if not isinstance(edge, nn.Sequential) or not scaled:
        return
    with torch.enable_grad():
        zero = torch.zeros(1, requires_grad=True)
        given = zero
        for layer in layers[scaled[-1] + 1 :]:
            given = layer(given)
        if given.item() != 0 or torch.autograd.grad(given, zero)[0].item() == 0:  # as of ReLU: PyTorch's is 0 at 0
            return
    for parameter in layers[scaled[-1]].parameters():
        parameter.zero_()


def _kind(operation: nn.Module) -> tuple[str, ...]:
    """What an operation does, but for the sizes of its kernels: its convolutions; of a graph, that it is one."""
    if any(isinstance(getattr(operation, row, None), nn.ModuleList) for row in _GRAPHS):
        return (type(operation).__name__,)
    layers = [layer for layer in operation.modules() if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))]
    return tuple(f"{type(layer).__name__} {is_depthwise(layer)}" for layer in layers) or (type(operation).__name__,)


def _common(mine: Labels, theirs: Labels) -> tuple[list[int], list[int]]:
    """Where both have the same labels."""
    if mine == theirs:
        return list(range(len(mine))), list(range(len(mine)))
    where = {label: place for place, label in enumerate(theirs)}
    both = [(place, where[label]) for place, label in enumerate(mine) if label in where]
    return [ours for ours, _ in both], [other for _, other in both]


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
