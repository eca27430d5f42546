"""The decisions of a space are folded where their names differ in numbers alone, and parts where they are the same."""

from nas.cli.space_tree import fold_choices, list_choices
from nas.core.space import Choice


def choose(site, *values, role="operation"):
    return Choice(site, values, role)


CHOICES = [
    choose("size", 1, 2, role="structure"),
    choose("a_cell.node1.op", "x", "y"),
    choose("a_cell.node2.op", "y", "x", "z"),
    choose("b_cell.node1.op", "x", "y"),
    choose("stage0.kind", "x"),
    choose("stage1.kind", "x"),
    choose("b_cell.node2.op", "y", "x", "z"),
    choose("c_cell.1-2.1.kept", 0, 1),
    choose("c_cell.1.kept", 0, 1),
]


def test_what_repeats_is_folded_and_cells_come_last():
    assert "\n".join(fold_choices(CHOICES)).splitlines() == [
        "  size: 1, 2 [structure]",
        "  a_cell and b_cell",
        "    .node*.op: y, x, z [operation] (2 of them)",
        "  stage*",
        "    .kind: x [operation] (2 of them)",
        "  c_cell",
        "    .*.kept: 0, 1 [operation] (2 of them)",
    ]


def test_every_choice_has_its_line_where_all_are_asked_for():
    assert list_choices(CHOICES)[1] == "  a_cell.node1.op: x, y [operation]"
    assert len(list_choices(CHOICES)) == len(CHOICES)
