"""Graphs of cells, drawn as SVG from their inputs down to their outputs.

Layers by the longest path from an input, an order within layers that has few crossings (barycentres, Sugiyama, Tagawa &
Toda 1981), and places that pull each vertex towards its neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from nas.core.space import Link
from nas.report.page import read_style
from nas.report.words import name_operation

_ROW, _GAP, _LETTER, _MARGIN = 58, 18, 7.0, 8
_SWEEPS = 8
_MOST_LABELS = 40
_SHEET, _CAPTION = 900, 28
"""The greatest width of a row of graphs in a picture of their own, and the height of a graph's name."""
_PLAIN = ("skip", "")
"""What a link holds that only passes on what it gets."""


@dataclass
class _Vertex:
    text: str
    kind: str  # end, operation, skip, sum, dot (of one that arrives), bend
    layer: int = 0
    x: float = 0.0
    before: list[_Vertex] = field(default_factory=list)
    after: list[_Vertex] = field(default_factory=list)

    @property
    def width(self) -> float:
        if self.kind in ("bend", "dot"):
            return 8
        return 22 if self.kind == "sum" else len(self.text) * _LETTER + 20


def draw_graph(name: str, links: Sequence[Link]) -> Markup:
    """Draw a graph, for a page with its style; its text alternative lists its links."""
    return _draw(name, links)[0]


def draw_graphs_alone(graphs: Mapping[str, Sequence[Link]]) -> bytes:
    """Draw graphs, each under its name, as a file of SVG that has its style with it."""
    parts, right, across, down, row = [], 0.0, 0.0, 0.0, 0.0
    for name, links in graphs.items():
        title = name.replace("_", " ")
        drawn, width, height = _draw(title, links)
        width = max(width, len(title) * _LETTER + 2 * _MARGIN)
        if across and across + width > _SHEET:
            across, down, row = 0.0, down + row + _GAP, 0.0
        text = Markup('<text class="name" x="{}" y="18">{}</text><g transform="translate(0,{})">{}</g>')
        moved = Markup('<g transform="translate({:.1f},{:.1f})">').format(across, down)
        parts.append(moved + text.format(_MARGIN, title, _CAPTION, drawn) + Markup("</g>"))
        right, row = max(right, across + width), max(row, _CAPTION + height)
        across += width + 2 * _GAP
    opened = Markup('<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}">{}{}</svg>')
    rules = read_style("light", "graph") + "svg { font-family: system-ui, sans-serif } .name { font-weight: 600 }"
    parts = [Markup("<style>{}</style>").format(Markup(rules)), *parts]  # noqa: S704 - files of this package
    paper = Markup('<rect width="100%" height="100%" fill="var(--paper)"/>')
    drawn = opened.format(paper, Markup("").join(parts), w=math.ceil(right), h=math.ceil(down + row))
    return drawn.encode()


def _draw(name: str, links: Sequence[Link]) -> tuple[Markup, float, float]:
    """The drawing, its width and its height."""
    vertices = _make_vertices(links or [("input", "output", "skip")])
    layers = _arrange(vertices)
    _place(layers)
    right = max(v.x + v.width / 2 for layer in layers for v in layer)
    width, height = right + _MARGIN, _ROW * (len(layers) - 1) + 40
    parts = [_draw_edge(vertex, after) for layer in layers for vertex in layer for after in vertex.after]
    parts += [_draw_vertex(vertex) for layer in layers for vertex in layer if vertex.kind != "bend"]
    said = "; ".join(
        f"{source} to {target}" + (f" by {name_operation(held)}" if held else "") for source, target, held in links
    )
    shown = Markup('<svg class="graph" width="{w}" height="{h}" viewBox="0 0 {w} {h}" role="img" aria-label="{t}">')
    opened = shown.format(w=round(width), h=height, t=f"{name}: {said or 'input to output, unchanged'}")
    return opened + Markup("").join(parts) + Markup("</svg>"), width, height


def _make_vertices(links: Sequence[Link]) -> list[_Vertex]:
    left = {source for source, _, _ in links}
    nodes: dict[str, _Vertex] = {}
    vertices: list[_Vertex] = []
    for node in dict.fromkeys(end for link in links for end in link[:2]):
        entering = sum(target == node for _, target, _ in links)
        plain = entering and node in left and node.startswith(("node ", "large ", "h"))
        kind = "end" if not plain else "sum" if entering > 1 else "dot"
        nodes[node] = _Vertex({"sum": "+", "dot": ""}.get(kind, node), kind)
        vertices.append(nodes[node])
    labelled = len(links) <= _MOST_LABELS
    for source, target, held in links:
        if held and labelled:
            middle = _Vertex(name_operation(held), "skip" if held in _PLAIN else "operation")
            vertices.append(middle)
            _join(nodes[source], middle)
            _join(middle, nodes[target])
        else:
            _join(nodes[source], nodes[target])
    return vertices


def _join(source: _Vertex, target: _Vertex) -> None:
    source.after.append(target)
    target.before.append(source)


def _arrange(vertices: list[_Vertex]) -> list[list[_Vertex]]:
    """Put vertices into layers, with bends where an edge passes a layer, and order each layer."""
    _find_layers(vertices)
    vertices += [bend for vertex in list(vertices) for bend in _bend_edges(vertex)]
    last = max(vertex.layer for vertex in vertices)
    layers = [[vertex for vertex in vertices if vertex.layer == number] for number in range(last + 1)]
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for number in range(1, last + 1) if down else range(last - 1, -1, -1):
            _order_layer(layers[number], layers[number - 1 if down else number + 1], down=down)
    return layers


def _find_layers(vertices: list[_Vertex]) -> None:
    waiting = {id(vertex): len(vertex.before) for vertex in vertices}
    ready = [vertex for vertex in vertices if not vertex.before]
    while ready:
        vertex = ready.pop()
        for after in vertex.after:
            after.layer = max(after.layer, vertex.layer + 1)
            waiting[id(after)] -= 1
            if not waiting[id(after)]:
                ready.append(after)
    last = max(vertex.layer for vertex in vertices)
    for vertex in vertices:
        if not vertex.after:
            vertex.layer = last


def _bend_edges(vertex: _Vertex) -> list[_Vertex]:
    """Lead the edges that leave a vertex through a bend in each layer that they pass; gives the bends."""
    bends = []
    for place, after in enumerate(vertex.after):
        source = vertex
        for layer in range(vertex.layer + 1, after.layer):
            bend = _Vertex("", "bend", layer, before=[source])
            bends.append(bend)
            if source is vertex:
                vertex.after[place] = bend
            else:
                source.after.append(bend)
            source = bend
        if source is not vertex:
            source.after.append(after)
            after.before[after.before.index(vertex)] = source
    return bends


def _order_layer(layer: list[_Vertex], neighbours: list[_Vertex], *, down: bool) -> None:
    places = {id(vertex): number for number, vertex in enumerate(neighbours)}
    own = {id(vertex): number for number, vertex in enumerate(layer)}

    def find_barycentre(vertex: _Vertex) -> float:
        near = [places[id(other)] for other in (vertex.before if down else vertex.after)]
        return sum(near) / len(near) if near else own[id(vertex)]

    layer.sort(key=find_barycentre)


def _place(layers: list[list[_Vertex]]) -> None:
    """Give every vertex its x: near its neighbours, with a gap between those of a layer, beginning at the margin."""
    for layer in layers:
        x = 0.0
        for vertex in layer:
            vertex.x = x + vertex.width / 2
            x += vertex.width + _GAP
        for vertex in layer:
            vertex.x -= (x - _GAP) / 2
    for _ in range(24):
        for layer in (*layers, *reversed(layers)):
            wanted = []
            for vertex in layer:
                near = vertex.before + vertex.after
                wanted.append(sum(other.x for other in near) / len(near) if near else vertex.x)
            _spread(layer, wanted)
    left = min(vertex.x - vertex.width / 2 for layer in layers for vertex in layer)
    for layer in layers:
        for vertex in layer:
            vertex.x = round(vertex.x - left + _MARGIN, 1)


def _spread(layer: list[_Vertex], wanted: list[float]) -> None:
    """Put a layer's vertices at their wanted places, or as near as their gaps allow: groups that touch move as one."""
    groups: list[tuple[list[_Vertex], list[float], float]] = []  # members, offsets from the first, first's place
    for vertex, place in zip(layer, wanted, strict=True):
        groups.append(([vertex], [0.0], place))
        while len(groups) > 1:
            (members, offsets, first), (others, further, second) = groups[-2:]
            gap = (members[-1].width + others[0].width) / 2 + _GAP
            if first + offsets[-1] + gap <= second:
                break
            shift = offsets[-1] + gap
            both = offsets + [shift + offset for offset in further]
            count = len(both)
            mean = (first * len(offsets) + (second - shift) * len(further)) / count
            groups[-2:] = [(members + others, both, mean)]
    for members, offsets, first in groups:
        for vertex, offset in zip(members, offsets, strict=True):
            vertex.x = first + offset


def _draw_edge(source: _Vertex, target: _Vertex) -> Markup:
    top, bottom = _height(source) + _half(source), _height(target) - _half(target)
    bend = (bottom - top) / 2
    drawn = f"M{source.x},{top}C{source.x},{top + bend} {target.x},{bottom - bend} {target.x},{bottom}"
    return Markup('<path class="edge" d="{}"/>').format(drawn)


def _height(vertex: _Vertex) -> float:
    return vertex.layer * _ROW + 20


def _half(vertex: _Vertex) -> float:
    return {"bend": 0.0, "sum": 11.0, "dot": 4.0}.get(vertex.kind, 14.0)


def _draw_vertex(vertex: _Vertex) -> Markup:
    y = _height(vertex)
    if vertex.kind in ("sum", "dot"):
        shape = Markup('<circle class="vertex {}" cx="{}" cy="{}" r="{}"/>').format(
            vertex.kind, vertex.x, y, _half(vertex)
        )
    else:
        place = vertex.x - vertex.width / 2, y - 14, vertex.width, 14 if vertex.kind == "end" else 5
        shape = Markup('<rect class="vertex {}" x="{}" y="{}" width="{}" height="28" rx="{}"/>').format(
            vertex.kind, *place
        )
    text = Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(vertex.x, y + 4, vertex.text)
    return shape + text
