"""The closed lists: known without torch, and named by the spaces that offer a part of them."""

import subprocess
import sys

import pytest

from nas.core.errors import UserError
from search_spaces.adversarialnas import space as adversarialnas
from search_spaces.autogan import space as autogan
from search_spaces.cells.edge import CELL_OPERATIONS
from search_spaces.cells.hierarchical import PRIMITIVES
from search_spaces.operations.names import (
    DOWN_SAMPLINGS,
    NONE,
    NORMALISATIONS,
    OPERATIONS,
    SINGLE_IMAGE_NORMALISATIONS,
    SKIP,
    UP_SAMPLINGS,
    VECTOR_NORMALISATIONS,
    extend_operations,
)


def test_names_are_known_without_torch():
    program = "import sys, search_spaces.operations.names, search_spaces.gan.space; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_spaces_offer_names_that_exist_and_new_ones_only_where_they_are_asked_for():
    assert {*CELL_OPERATIONS, *PRIMITIVES} == set(OPERATIONS) - {"separable_7x7", "dilated_7x7"}
    assert set(adversarialnas.NORMAL) - {NONE} <= set(OPERATIONS)
    assert set(adversarialnas.DOWN) <= {*OPERATIONS, *DOWN_SAMPLINGS}
    assert {*adversarialnas.UP, *autogan.UP} <= set(UP_SAMPLINGS)


def test_normalisations_are_selected_by_what_their_statistics_are_of():
    assert VECTOR_NORMALISATIONS == ("none", "batch", "group", "layer")
    assert SINGLE_IMAGE_NORMALISATIONS == ("none", "group", "layer")
    assert set(NORMALISATIONS) == {*VECTOR_NORMALISATIONS, "instance"}


def test_operations_say_what_they_are():
    assert {name for name, operation in OPERATIONS.items() if operation.pools} == {"average_pool_3x3", "max_pool_3x3"}
    assert [name for name, operation in OPERATIONS.items() if operation.kind == "skip"] == [SKIP]
    assert {name for name, operation in OPERATIONS.items() if operation.dilation == 2} == {
        "dilated_3x3", "dilated_5x5", "dilated_7x7",
    }  # fmt: skip


def test_more_operations_come_after_the_offered_ones_each_once():
    assert extend_operations(("skip", "conv_1x1"), ("dilated_7x7", "skip")) == ("skip", "conv_1x1", "dilated_7x7")
    with pytest.raises(UserError, match=r"more_operations.*'dilated_7x7'"):
        extend_operations(("skip",), ("dilated_7x",))
