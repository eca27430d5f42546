"""Copies weights from a parent's network to its child's, wherever their tensors stand for the same."""

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
    """What a network has inherited from another.

    Attributes:
        whole, part: the shares of its parameters that were copied from whole tensors and from parts of tensors.
        tensors: the names of its tensors with inherited numbers, buffers included, and of the tensors these are from.
    """

    whole: float
    part: float
    tensors: Mapping[str, str]

    @property
    def share(self) -> float:
        """The share of the network's parameters that is inherited, 0 to 1."""
        return self.whole + self.part


def inherit_from_trial(
    start: Start | None, model: nn.Module, space: SearchSpace, shape: Shape, run: Run, device: torch.device
) -> dict[str, float]:
    """Let a model inherit weights from the trial that it starts from, if there is one.

    Returns:
        The metrics ``inherited``, the share of the model's parameters, and ``inherited_from``, the trial's number.

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
    """Overwrite the child's tensors, in place, with the parent's numbers at indices that stand for the same.

    **Which layer is which** follows from the trees of modules of both networks. Named parts are paired by name, and
    parts in a sequence by the alignment that inherits most (Needleman & Wunsch 1970). Layers are paired only if they
    agree in class, stride and kind, and their outputs in height and width. Edges of a graph are paired only if they are
    of one kind and their nodes are paired.

    **Which number is which** follows from evaluators.inheritance.tensor_axes. Further channels of a wider layer are
    new. A layer has zeros where it takes in such new channels, or where its kernel is larger. So a child with wider
    layers or larger kernels computes what its parent does, if normalisation is by channel: this is Net2WiderNet (Chen,
    Goodfellow & Shlens 2016, section 2.3) with zeros (Wei et al. 2016) instead of copies, which would need noise to
    become different. A narrower child has its parent's first channels. A new edge beside others in a graph's node
    begins at zero, if its activation lets it learn from there, so that the child still computes what its parent does
    (the aim of Net2DeeperNet, section 2.4).
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
    """Copy the numbers that stand for the same, with zeros for new inputs; return how many were copied."""
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
    """Find the edges without inherited weights beside others that have some or are identities."""
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
                if kept or not first:  # skip connections to earlier cells are never the only input
                    found += [part for name, part in parts.named_children() if not has[name]]
    return found


def _is_within(path: str, names: set[str]) -> bool:
    return any(name == path or name.startswith(f"{path}.") for name in names)


def _zero_edge(edge: nn.Module) -> None:
    """Zero the last layer of an edge that has weights, if the layers after it let it learn from there."""
    layers = [layer for layer in edge.modules() if not list(layer.children())]
    scaled = [place for place, layer in enumerate(layers) if getattr(layer, "weight", None) is not None]
    if not isinstance(edge, nn.Sequential) or not scaled:
        return
    with torch.enable_grad():
        zero = torch.zeros(1, requires_grad=True)
        given = zero
        for layer in layers[scaled[-1] + 1 :]:
            given = layer(given)
        if given.item() != 0 or torch.autograd.grad(given, zero)[0].item() == 0:  # PyTorch's gradient of ReLU is 0 at 0
            return
    for parameter in layers[scaled[-1]].parameters():
        parameter.zero_()
