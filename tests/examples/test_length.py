"""What a kind of model of one's own costs in lines."""

import re
from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["image_classifier", "text_classifier"])
def test_space_and_task_take_less_than_a_hundred_lines(name):
    """Blank lines and docstrings included; as many as docs/examples.md says."""
    root = Path(__file__).parents[2]
    lines = (root / "examples" / f"{name}.py").read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(("class ", "OPERATIONS")))
    last = next(i for i, line in enumerate(lines) if line.startswith("if __name__"))
    count = len("\n".join(lines[first:last]).strip().splitlines())
    assert count < 100
    assert re.search(rf"{name}\.py.*\| {count} \|", (root / "docs" / "examples.md").read_text())
