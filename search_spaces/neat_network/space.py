"""Networks whose weights evolve with their topology, as NEAT had them (Stanley & Miikkulainen 2002, sections 2 and 3).

A genotype holds connection genes, ``["x0>y0", weight, enabled]``, the oldest first, and node genes,
``"h5d0c91a2": [source, target, n]``: the connection that the node split, and how often that had been split in this
network before. The node's name is the hash of these three. So innovations have names that follow from the structure:
the same split has the same name in every network, run and process, and genotypes are plain text. In the paper a
global counter numbers the innovations of a generation in the order in which they happen; the same structure found
again in a later generation gets another number there, and here it does not. (Without ages, excess genes are not told
from disjoint ones.)

A node's place lies between the places of the connection that it split, where exactly says its name. Connections lead
from lower to higher places only: neither mutation nor crossover can make a cycle, and networks are feedforward.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas.core.errors import InvalidGenotype
from nas.core.genotype import Genotype
from nas.core.space import Choice, Choose, Generator, Link, Shape, Value

if TYPE_CHECKING:
    from torch import nn

Connection = tuple[float, bool]
"""Weight, and whether it is enabled."""

_INITIAL = tuple(round(-1 + step / 500, 3) for step in range(1001))
# section 4.1: a node, a link, weights
_PROBABILITIES, _PERTURB = (0.03, 0.05, 0.8), 0.9
_STAY_DISABLED = 0.75
_STEEPNESS = 4.9
_DEEPEST = 1e-9
_SMALL, _PASSED_OVER = 15, 0.3
_BIAS = "bias"
_REMEMBERED = 4096


@dataclass(frozen=True)
class Network:
    """A genotype read: connections by innovation, and the place of every node, inputs at 0 and outputs at 1."""

    connections: Mapping[str, Connection]
    splits: Mapping[str, tuple[str, str, int]]
    places: Mapping[str, float]


class NetworkSpace:
    """Feedforward networks with `inputs`, a bias and `outputs`; sampled ones are minimal: inputs joined to outputs.

    Evolvable and Genetic; made for `nas.strategies.neat`, whose numbers these mutations' probabilities are: each
    weight is perturbed (90%) or drawn anew (10%) in 80% of the mutants; a link is added in 5%, a node in 3%.

    Args:
        reach: weights are perturbed by at most this, and new ones are at most this; the authors' program has 2.5.
    """

    name = "network"
    version = 1
    task = ""
    data_kinds = ("vector",)

    def __init__(self, inputs: int = 2, outputs: int = 1, *, reach: float = 2.5) -> None:
        self.inputs = (_BIAS, *(f"x{i}" for i in range(inputs)))
        self.outputs = tuple(f"y{i}" for i in range(outputs))
        self.reach = reach
        self._ends = dict.fromkeys(self.inputs, 0.0) | dict.fromkeys(self.outputs, 1.0)
        self._known: dict[str, Network] = {}  # what was written or read of late: reading costs most of all here

    # -- a genotype and what it says

    def grow(self, choose: Choose) -> Genotype:
        """A network without hidden nodes: asks for the weight of each connection, of a grid from -1 to 1."""
        connections: dict[str, Connection] = {}
        for innovation in (f"{source}>{target}" for source in self.inputs for target in self.outputs):
            weight = choose(Choice(innovation, _INITIAL, "hyperparameter", ordered=True))
            if not isinstance(weight, float) or weight not in _INITIAL:
                raise InvalidGenotype(innovation, f"{weight!r} is not on the grid from -1 to 1")
            connections[innovation] = (weight, True)
        return self._write(Network(connections, {}, self._ends))

    def _write(self, network: Network) -> Genotype:
        connections = [(innovation, *gene) for innovation, gene in network.connections.items()]
        content = {"connections": connections, "nodes": network.splits}
        genotype = Genotype.of(self.name, self.version, content)
        self._remember(genotype, network)
        return genotype

    def _remember(self, genotype: Genotype, network: Network) -> None:
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[genotype.text] = network

    def read(self, genotype: Genotype) -> Network:
        """The connections and nodes.

        Raises:
            InvalidGenotype: not a network of this space.
        """
        network = self._known.get(genotype.text)
        if network is None:
            network = self._parse(genotype)
            self._remember(genotype, network)
        return network

    def _parse(self, genotype: Genotype) -> Network:
        if (genotype.space, genotype.version) != (self.name, self.version):
            it = f"{genotype.space} version {genotype.version}"
            raise InvalidGenotype("genotype", f"is of {it}, not {self.name} version {self.version}")
        content = genotype.content
        for key, kind in (("connections", list), ("nodes", dict)):
            if not isinstance(content.get(key), kind):
                raise InvalidGenotype(key, "must be a list" if kind is list else "must be an object")
        if len(content) > 2:
            raise InvalidGenotype(min(set(content) - {"connections", "nodes"}), "is not part of a network")
        splits, places = {}, dict(self._ends)
        for name, split in content["nodes"].items():
            if not isinstance(split, list) or [type(part) for part in split] != [str, str, int]:
                raise InvalidGenotype(f"nodes.{name}", "must be [source, target, number]")
            splits[name] = (split[0], split[1], split[2])
        for name in splits:
            _place(name, splits, places)
        connections: dict[str, Connection] = {}
        for index, gene in enumerate(content["connections"]):
            where = f"connections.{index}"
            if not isinstance(gene, list) or [type(part) for part in gene] != [str, float, bool]:
                raise InvalidGenotype(where, "must be [innovation, weight, enabled]")
            innovation, weight, enabled = gene
            source, target = _read_ends(innovation)
            if source not in places or target not in places or places[source] >= places[target]:
                raise InvalidGenotype(where, f"{innovation} does not lead from an earlier node to a later one")
            if innovation in connections or not math.isfinite(weight):
                raise InvalidGenotype(where, f"{innovation} is there twice or has no finite weight")
            connections[innovation] = (weight, enabled)
        return Network(connections, splits, places)

    def validate(self, genotype: Genotype) -> None:
        """Raise InvalidGenotype, naming the path to the fault, unless it is a network of this space."""
        self.read(genotype)

    def genes(self, genotype: Genotype) -> Mapping[str, float]:
        """The weight of every connection, disabled ones included, by innovation."""
        return {innovation: weight for innovation, (weight, _) in self.read(genotype).connections.items()}

    def hyperparameters(self, genotype: Genotype) -> Mapping[str, Value]:
        """None: these networks are not trained."""
        return {}

    # -- variation

    def mutate(self, genotype: Genotype, generator: Generator) -> tuple[Genotype, str]:
        """A node, else a link, else weights (section 3.1), each with its probability, until one of them happens.

        As in the authors' program a mutant's structure changes or its weights: a new structure computes nearly
        what its parent does.
        """
        network = self.read(genotype)
        while True:
            node, link, weights = (generator.random(3) < _PROBABILITIES).tolist()
            mutant, change = None, ""
            if node:
                mutant, change = _add_node(network, generator), "node"
            elif link:
                mutant, change = _add_link(network, generator), "link"
            elif weights:
                mutant, change = self._perturb_weights(network, generator), "weights"
            if mutant is not None:
                return self._write(mutant), change

    def _perturb_weights(self, network: Network, generator: Generator) -> Network:
        draws = generator.random((2, len(network.connections))).tolist()
        connections = {}
        for (innovation, (weight, enabled)), kind, size in zip(network.connections.items(), *draws, strict=True):
            moved = self.reach * (2 * size - 1)
            connections[innovation] = (round(weight + moved if kind < _PERTURB else moved, 4), enabled)
        return Network(connections, network.splits, network.places)

    def crossover(self, first: Genotype, second: Genotype, generator: Generator) -> Genotype:
        """Section 3.2: matching genes of either parent, disjoint and excess ones of the first, the fitter.

        A gene that is disabled in either parent is disabled in the child with probability 75%, else enabled.
        """
        fitter, other = self.read(first), self.read(second)
        if first == second:
            return first
        connections = dict(fitter.connections)
        draws = generator.random((2, len(connections))).tolist()
        for (innovation, (weight, enabled)), coin, disabled in zip([*connections.items()], *draws, strict=True):
            matching = other.connections.get(innovation)
            if matching is not None and coin < 0.5:
                weight = matching[0]
            if not enabled or (matching is not None and not matching[1]):
                enabled = disabled >= _STAY_DISABLED
            connections[innovation] = (weight, enabled)
        return self._write(Network(connections, fitter.splits, fitter.places))

    # -- what a network computes

    def function(self, genotype: Genotype) -> Callable[[Sequence[Sequence[float]]], list[list[float]]]:
        """What it computes, of rows of inputs (without the bias), to rows of outputs in (0, 1).

        Hidden and output nodes apply the steepened sigmoid 1 / (1 + exp(-4.9 x)) of section 4.1.
        """
        network = self.read(genotype)
        arriving: dict[str, list[tuple[str, float]]] = {}
        for innovation, (weight, enabled) in network.connections.items():
            if enabled:
                source, target = _read_ends(innovation)
                arriving.setdefault(target, []).append((source, weight))
        order = sorted((node for node in network.places if node not in self.inputs), key=network.places.__getitem__)
        steps = [(node, arriving.get(node, [])) for node in order]
        half, tanh = _STEEPNESS / 2, math.tanh

        def compute(rows: Sequence[Sequence[float]]) -> list[list[float]]:
            results = []
            for row in rows:
                values = dict(zip(self.inputs, (1.0, *row), strict=True))
                for node, edges in steps:
                    total = 0.0
                    for source, weight in edges:
                        total += weight * values[source]
                    values[node] = 0.5 + 0.5 * tanh(half * total)  # the sigmoid, without overflow
                results.append([values[output] for output in self.outputs])
            return results

        return compute

    def build(self, genotype: Genotype, shape: Shape) -> nn.Module:
        """The same as a module: (N, *shape), with as many values as there are inputs, to (N, outputs)."""
        from search_spaces.neat_network.modules import EvolvedNetwork

        network = self.read(genotype)
        hidden = sorted(network.splits, key=network.places.__getitem__)
        row = {node: i for i, node in enumerate((*self.inputs, *hidden, *self.outputs))}
        weights = [[0.0] * (len(self.inputs) + step) for step in range(len(hidden) + len(self.outputs))]
        for innovation, (weight, enabled) in network.connections.items():
            source, target = _read_ends(innovation)
            if enabled:
                weights[row[target] - len(self.inputs)][row[source]] = weight
        return EvolvedNetwork(weights, len(self.outputs), _STEEPNESS)

    def graphs(self, genotype: Genotype) -> dict[str, list[Link]]:
        """The enabled connections with their weights; see nas.core.space.Drawable."""
        enabled = [(name, weight) for name, (weight, on) in self.read(genotype).connections.items() if on]
        return {"network": [(*_read_ends(name), f"{weight:.2g}") for name, weight in enabled]}

    def describe(self, genotype: Genotype, shape: Shape) -> str:
        """How many hidden nodes and enabled connections."""
        network = self.read(genotype)
        enabled = sum(on for _, on in network.connections.values())
        return f"{len(network.splits)} hidden nodes, {enabled} of {len(network.connections)} connections enabled"


def _read_ends(innovation: str) -> tuple[str, str]:
    """The source and the target in a connection's name."""
    source, _, target = innovation.partition(">")
    return source, target


@functools.lru_cache(maxsize=65536)
def _name_node(source: str, target: str, number: int) -> str:
    return "h" + hashlib.sha256(f"{source}>{target}/{number}".encode()).hexdigest()[:8]


def _place(name: str, splits: Mapping[str, tuple[str, str, int]], places: dict[str, float]) -> float:
    """Between the ends of the connection that the node split; fills `places`.

    Raises:
        InvalidGenotype: the node is not named for what it splits, or splits what is not there.
    """
    if name in places:
        return places[name]
    if name not in splits:
        raise InvalidGenotype("nodes", f"{name} is not a node")
    source, target, number = splits[name]
    if name != _name_node(source, target, number):  # so no node can be its own ancestor
        raise InvalidGenotype(f"nodes.{name}", "is not named for what it splits")
    low, high = _place(source, splits, places), _place(target, splits, places)
    if high - low <= _DEEPEST:
        raise InvalidGenotype(f"nodes.{name}", "splits what does not lead from an earlier node to a later one")
    # nodes at one place could not be linked: the name moves them apart
    places[name] = low + (high - low) * (0.25 + 0.5 * int(name[1:], 16) / 2**32)
    return places[name]


def _add_node(network: Network, generator: Generator) -> Network | None:
    """A connection is disabled; weight 1 leads to the new node, the old weight leads on.

    Which one, the paper does not say. In the authors' program the bias's connections are not split, and in a small
    network older ones are preferred, which "encourages splitting to distribute evenly": each is passed over with
    probability .3, perhaps all of them. Without that the exclusive or takes twice as many generations.
    """
    places = network.places
    named = [(innovation, *_read_ends(innovation)) for innovation, (_, on) in network.connections.items() if on]
    splittable = [(n, s, t) for n, s, t in named if s != _BIAS and places[t] - places[s] > _DEEPEST]
    if not splittable:
        return None
    few = len(network.connections) < _SMALL
    index = int(generator.geometric(1 - _PASSED_OVER)) - 1 if few else int(generator.integers(len(splittable)))
    if index >= len(splittable):
        return None
    innovation, source, target = splittable[index]
    before = sum((split[0], split[1]) == (source, target) for split in network.splits.values())
    name = _name_node(source, target, before)
    weight, _ = network.connections[innovation]
    new = {innovation: (weight, False), f"{source}>{name}": (1.0, True), f"{name}>{target}": (weight, True)}
    connections = {**network.connections, **new}
    splits = dict(network.splits) | {name: (source, target, before)}
    places = dict(places)
    _place(name, splits, places)
    return Network(connections, splits, places)


def _add_link(network: Network, generator: Generator) -> Network | None:
    """Two nodes that no gene joins are joined, with a random weight."""
    places = network.places
    # sorted: a network that was read has its nodes in the text's order, one that was made in the order of their making
    free = sorted(
        f"{source}>{target}"
        for source, low in places.items()
        for target, high in places.items()
        if low < high and f"{source}>{target}" not in network.connections
    )
    if not free:
        return None
    weight = round(2 * float(generator.random()) - 1, 4)
    connections = dict(network.connections) | {free[int(generator.integers(len(free)))]: (weight, True)}
    return Network(connections, network.splits, places)
