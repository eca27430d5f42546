"""Drawings of cells: every link and node is there, nothing lies on top of another."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from nas import registry
from nas.core.space import Drawable, sample
from nas.report.graphs import draw_graph, draw_graphs_alone
from search_spaces.neat_network.space import NetworkSpace


def list_boxes(drawn):
    found = re.findall(r'<rect class="[^"]+" x="([-\d.]+)" y="([-\d.]+)" width="([\d.]+)"', drawn)
    return [tuple(map(float, box)) for box in found]


def test_a_cell_is_drawn_from_its_input_down():
    drawn = draw_graph("cell", [("input", "node 1", "conv_3x3"), ("input", "node 1", "skip"), ("node 1", "output", "")])
    assert drawn.count("<rect") == 4
    assert drawn.count("<circle") == 1
    assert "conv 3×3" in drawn
    assert "cell: input to node 1 by conv 3×3; input to node 1 by skip; node 1 to output" in drawn
    heights = [float(y) for y in re.findall(r'<text x="[^"]+" y="([\d.]+)"', drawn)]
    assert heights == sorted(heights)


def test_a_cell_of_nothing_is_the_identity():
    assert "input to output, unchanged" in draw_graph("cell", [])


def test_names_are_escaped():
    assert "<b>" not in draw_graph("<b>", [("input", "output", "<b>")])


def test_graphs_of_a_file_of_their_own_stand_beside_and_below_each_other_with_their_style():
    wide = [("input", "output", f"operation_{n}") for n in range(5)]
    drawn = draw_graphs_alone({"first_cell": [("input", "output", "<b>")], "second": wide, "third": wide})
    root = ElementTree.fromstring(drawn)  # well-formed, with an XML namespace, as a browser wants it of a file
    assert b"<b>" not in drawn
    space = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{space}svg"
    names = [text.text for text in root.iter(f"{space}text") if text.get("class") == "name"]
    assert names == ["first cell", "second", "third"]
    assert "var(--accent)" in root.find(f"{space}style").text
    assert "--accent: #" in root.find(f"{space}style").text
    places = [tuple(map(float, re.findall(r"[\d.]+", g.get("transform")))) for g in root.findall(f"{space}g")]
    assert places[0] == (0, 0)
    assert places[1][0] > 0
    assert places[1][1] == 0
    assert places[2][0] == 0
    assert places[2][1] > 0
    inner = [
        (x, y, svg)
        for (x, y), group in zip(places, root.findall(f"{space}g"), strict=True)
        for svg in group.iter(f"{space}svg")
    ]
    assert all(x + float(svg.get("width")) <= float(root.get("width")) for x, _, svg in inner)


@pytest.mark.parametrize("name", ["adversarialnas", "autoencoder", "autogan", "cyclegan", "gan"])
def test_boxes_of_every_space_do_not_cover_each_other(name):
    space, graphs = registry.load("space", name)(), []
    assert isinstance(space, Drawable)
    for seed in range(25):
        graphs += space.graphs(sample(space, np.random.default_rng(seed))).values()
    assert graphs
    for links in graphs:
        boxes = list_boxes(draw_graph("cell", links))
        for i, (x, y, width) in enumerate(boxes):
            assert x >= 0
            assert not any(y == v and x < u + w and u < x + width for u, v, w in boxes[i + 1 :])


def test_an_evolved_network_is_drawn_with_its_weights():
    space, generator = NetworkSpace(2, 1), np.random.default_rng(0)
    genotype = sample(space, generator)
    for _ in range(60):
        genotype, _ = space.mutate(genotype, generator)
    drawn = draw_graph("network", space.graphs(genotype)["network"])
    assert all(f">{node}</text>" in drawn for node in ("x0", "x1", "bias", "y0"))
