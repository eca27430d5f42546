"""Aligns two networks: finds which layers, and which numbers of their tensors, belong together."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from evaluators.inheritance.tensor_axes import CONVOLUTIONS, Labels, ModelAxes, is_depthwise

Places = tuple[tuple[list[int], list[int]], ...]
"""For each dimension, the indices in the child's tensor and those in the parent's that stand for the same."""


@dataclass(frozen=True)
class Pairs:
    """Layers that belong together, by their names; each adds 1 to the score if it is inherited completely."""

    score: float = 0.0
    layers: tuple[tuple[str, str], ...] = ()

    def __add__(self, other: Pairs) -> Pairs:
        return Pairs(self.score + other.score, self.layers + other.layers)


_NONE = Pairs()
_ANY_NODE = 1e-6  # the score of two nodes that have nothing to inherit, such as pooling
GRAPHS = {"nodes": ("inputs", "operations", 1), "cells": ("sources", "skips", 0)}
"""The graphs by the attribute with their nodes: a node's attributes with the sources of its edges and with the edges,
and the number of the first node.

See search_spaces.cells.modules.Cell and search_spaces.gan.modules.UpCells."""


class Network:
    """A network, its modules and tensors by name, and the labels of their axes."""

    def __init__(self, module: nn.Module, found: ModelAxes) -> None:
        self.modules = dict(module.named_modules())
        self.tensors = dict(module.state_dict(keep_vars=True))
        self.axes = found

    def own_tensors(self, name: str) -> list[str]:
        """Give the names of the tensors of a module itself, not of its parts."""
        module = self.modules[name]
        own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        return [tensor for tensor, _ in own if join_names(name, tensor) in self.tensors]

    def parts(self, name: str) -> list[str]:
        """Give the names of a module's direct parts."""
        return [child for child, _ in self.modules[name].named_children()]


class Alignment:
    """The alignment of a child with its parent; see evaluators.inheritance.transfer.inherit_weights for the rules.

    ``pairs(own, other)`` gives the layers that belong together in two modules, by their names; a network's is "".
    """

    def __init__(self, child: Network, parent: Network) -> None:
        self.child, self.parent = child, parent
        self.pairs = functools.cache(self._pairs)
        self._common = functools.cache(_match_labels)

    def _pairs(self, own: str, other: str) -> Pairs:
        """Find the layers that belong together in two modules, which may be layers themselves."""
        if own and not self._is_alike(own, other):
            return _NONE
        mine, theirs = self.child.parts(own), self.parent.parts(other)
        if isinstance(self.child.modules[own], (nn.Sequential, nn.ModuleList)):
            return self._in_order(own, other, mine, theirs)
        found = _NONE
        for part in mine:
            if part in theirs:
                graph = part in GRAPHS and self._is_graph(own, part) and self._is_graph(other, part, of_parent=True)
                pair = join_names(own, part), join_names(other, part)
                found += self._graph(*pair, part) if graph else self.pairs(*pair)
        if mine and not found.layers:  # a wrapper's own tensors belong to the layer in it
            return _NONE
        return found + self._layer(own, other)

    def _is_alike(self, own: str, other: str) -> bool:
        """Whether two modules agree in class, stride, kind of convolution, and size of the output."""
        child, parent = self.child.modules[own], self.parent.modules[other]
        if type(child) is not type(parent) or getattr(child, "stride", None) != getattr(parent, "stride", None):
            return False
        sizes = self.child.axes.sizes.get(own), self.parent.axes.sizes.get(other)
        return is_depthwise(child) == is_depthwise(parent) and (None in sizes or sizes[0] == sizes[1])

    def _layer(self, own: str, other: str) -> Pairs:
        """Pair two modules if one can inherit tensors of the other; what goes with a weight is not enough alone."""
        score = weight = 0.0
        for name in ("weight", "codebook"):
            if name in self.child.own_tensors(own) and self.places(own, other, name) is None:
                return _NONE
        for name in self.child.own_tensors(own):
            places = self.places(own, other, name)
            size = self.child.tensors[join_names(own, name)].numel()
            weight += size
            if places is not None:
                taken = 1.0
                for mine, _ in places:
                    taken *= len(mine)
                score += 2 * size * taken / (size + self.parent.tensors[join_names(other, name)].numel())
        return Pairs(score / weight, ((own, other),)) if score else _NONE

    def places(self, own: str, other: str, name: str) -> Places | None:
        """Find the indices at which two tensors stand for the same; None if there are none."""
        mine, theirs = join_names(own, name), join_names(other, name)
        new, old = self.child.tensors[mine], self.parent.tensors.get(theirs)
        if old is None or new.dim() != old.dim():
            return None
        meant, was = self.child.axes.tensors.get(mine), self.parent.axes.tensors.get(theirs)
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
    ) -> Pairs:
        """Align parts in a sequence; see `_align`."""
        steps = self._align(own, other, mine, theirs, allowed)
        return sum((self.pairs(join_names(own, mine[i]), join_names(other, theirs[j])) for i, j in steps), _NONE)

    def _align(
        self,
        own: str,
        other: str,
        mine: Sequence[str],
        theirs: Sequence[str],
        allowed: Callable[[int, int], bool],
        least: float = 0.0,
    ) -> list[tuple[int, int]]:
        """Find the alignment of greatest score (Needleman & Wunsch 1970, without a cost of gaps), as pairs of indices.

        A pair of parts that are alike scores `least` and as much as is inherited.
        """

        def score(i: int, j: int) -> float:
            pair = join_names(own, mine[i]), join_names(other, theirs[j])
            return self.pairs(*pair).score + least if allowed(i, j) and self._is_alike(*pair) else 0.0

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
        sources, edges, _ = GRAPHS[part]
        nodes = (self.parent if of_parent else self.child).modules[join_names(name, part)].children()
        return all(isinstance(getattr(node, edges, None), nn.ModuleList) and hasattr(node, sources) for node in nodes)

    def _graph(self, own: str, other: str, kind: str) -> Pairs:
        """Align the nodes of two graphs, and then the edges between nodes that belong together."""
        sources, edges, first = GRAPHS[kind]
        mine, theirs = self.child.parts(own), self.parent.parts(other)
        steps = self._align(own, other, mine, theirs, lambda i, j: True, _ANY_NODE)
        belongs = {i + first: j + first for i, j in steps} | ({0: 0} if first else {})
        found = _NONE
        for i, j in steps:
            node, its = join_names(own, mine[i]), join_names(other, theirs[j])
            ours, from_theirs = (getattr(m.modules[n], sources) for m, n in ((self.child, node), (self.parent, its)))
            found += self._layer(node, its)
            for part in self.child.parts(node):
                pair = join_names(node, part), join_names(its, part)
                if part == edges:
                    found += self._edges(*pair, ours, from_theirs, belongs)
                elif part in self.parent.parts(its):
                    found += self.pairs(*pair)
        return found

    def _edges(
        self, own: str, other: str, mine: Sequence[int], theirs: Sequence[int], belongs: Mapping[int, int]
    ) -> Pairs:
        parts = self.child.parts(own), self.parent.parts(other)

        def allowed(i: int, j: int) -> bool:
            edge, its = self.child.modules[join_names(own, str(i))], self.parent.modules[join_names(other, str(j))]
            return belongs.get(mine[i]) == theirs[j] and _describe_operation(edge) == _describe_operation(its)

        return self._in_order(own, other, *parts, allowed)


def _describe_operation(operation: nn.Module) -> tuple[str, ...]:
    """Describe an operation by its convolutions, without the sizes of their kernels, or as a graph."""
    if any(isinstance(getattr(operation, row, None), nn.ModuleList) for row in GRAPHS):
        return (type(operation).__name__,)
    layers = [layer for layer in operation.modules() if isinstance(layer, CONVOLUTIONS)]
    return tuple(f"{type(layer).__name__} {is_depthwise(layer)}" for layer in layers) or (type(operation).__name__,)


def _match_labels(mine: Labels, theirs: Labels) -> tuple[list[int], list[int]]:
    """Find the indices at which both have the same labels."""
    if mine == theirs:
        return list(range(len(mine))), list(range(len(mine)))
    where = {label: place for place, label in enumerate(theirs)}
    both = [(place, where[label]) for place, label in enumerate(mine) if label in where]
    return [ours for ours, _ in both], [other for _, other in both]


def join_names(path: str, name: str) -> str:
    """Join the name of a module, which may be "", and the name of its part."""
    return f"{path}.{name}" if path else name
