"""A child's network begins from its parent's tensors, wherever they stand for the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from safetensors.torch import load
from torch import Tensor, nn

from evaluators.inheritance.alignment import GRAPHS, Alignment, Network, Places, join_names
from evaluators.inheritance.tensor_axes import TensorAxes, label_axes
from evaluators.models import seed_global_generators
from nas.core.space import SearchSpace, Shape
from nas.core.trial import Start

Run = Callable[[nn.Module], object]
"""Passes a batch through all parts of a model."""


@dataclass(frozen=True)
class Inheritance:
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


def inherit_from_trial(
    start: Start | None, model: nn.Module, space: SearchSpace, shape: Shape, run: Run, device: torch.device
) -> dict[str, float]:
    """Give the model what it can have of the trial that it starts from; nothing of none.

    Returns: the metrics ``inherited``, the share of the model's parameters, and ``inherited_from``, the trial's number.

    Raises:
        RuntimeError: the tensors are not those of the start's genotype.
    """
    if start is None:
        return {}
    with seed_global_generators(0, device):
        parent = space.build(start.genotype, shape).to(device)
        parent.load_state_dict(load(start.tensors))
        found = inherit_weights(model, parent, run)
    return {"inherited": found.share, "inherited_from": float(start.number)}


@torch.no_grad()
def inherit_weights(child: nn.Module, parent: nn.Module, run: Run) -> Inheritance:
    """Overwrite the child's tensors, in place, with what the parent's have at places that stand for the same.

    **Which layer is which** follows from the trees of both networks. Parts with names belong together by name, parts in
    a row by the alignment, in their order, in which most is inherited (Needleman & Wunsch 1970). Only layers of one
    class, stride and kind are paired, whose outputs have one height and width; of a graph only edges of one kind
    between nodes that belong together.

    **Which number is which** is said by evaluators.inheritance.tensor_axes. What a wider layer has beyond its parent's
    channels is new; and where a layer takes such new channels in, or its kernel is larger, it has zeros for them. So a
    child that is only wider, in any of its layers, or has larger kernels, computes what its parent does, if its
    normalisation is
    by channel: Net2WiderNet (Chen, Goodfellow & Shlens 2016, section 2.3) with zeros (Wei et al. 2016) in place of
    copies, which would need noise to part. A narrower child has its parent's first channels. An edge that is new beside
    others in a graph's node begins at zero, if its activation lets it learn from there: a child with only such edges
    more computes what its parent does as well (the aim of Net2DeeperNet, section 2.4).
    """
    both = Alignment(Network(child, label_axes(child, run)), Network(parent, label_axes(parent, run)))
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
            new, old = both.child.tensors[join_names(own, name)], both.parent.tensors[join_names(other, name)]
            taken = _copy_block(new, old, places, both.child.axes.tensors.get(join_names(own, name)))
            names[join_names(own, name)] = join_names(other, name)
            if join_names(own, name) in parameters:
                counts[taken == new.numel()] += taken
    for edge in _find_new_edges(child, {own for own, _ in pairs}):
        _zero_edge(edge)
    return Inheritance(counts[True] / total, counts[False] / total, names)


def _copy_block(new: Tensor, old: Tensor, places: Places, axes: TensorAxes | None) -> int:
    """Copy what stands for the same, with zeros for inputs that are new; gives how many numbers are the parent's."""
    block = old
    for dimension, (_, theirs) in enumerate(places):
        block = block.index_select(dimension, torch.tensor(theirs, device=old.device))
    if axes is not None and new.dim() > 1:
        ours = torch.tensor(places[axes.output][0], device=new.device)
        new.index_fill_(axes.output, ours, 0)
    if not places:
        new.copy_(block)
    else:
        new[torch.meshgrid(*(torch.tensor(ours, device=new.device) for ours, _ in places), indexing="ij")] = block
    return block.numel()


def _find_new_edges(child: nn.Module, inherited: set[str]) -> list[nn.Module]:
    """The edges with nothing inherited, in graphs that have inherited, beside others that have or are identities."""
    found = []
    for path, module in child.named_modules():
        for row, (_, edges, first) in GRAPHS.items():
            nodes = getattr(module, row, None)
            if not isinstance(nodes, nn.ModuleList) or not _is_within(join_names(path, row), inherited):
                continue
            for place, node in nodes.named_children():
                parts = getattr(node, edges, None)
                if not isinstance(parts, nn.ModuleList):
                    continue
                prefix = join_names(path, f"{row}.{place}.{edges}")
                has = {name: _is_within(f"{prefix}.{name}", inherited) for name, _ in parts.named_children()}
                kept = any(has[name] or isinstance(part, nn.Identity) for name, part in parts.named_children())
                if kept or not first:  # what a cell takes from earlier ones is always beside its own
                    found += [part for name, part in parts.named_children() if not has[name]]
    return found


def _is_within(path: str, names: set[str]) -> bool:
    return any(name == path or name.startswith(f"{path}.") for name in names)


def _zero_edge(edge: nn.Module) -> None:
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
