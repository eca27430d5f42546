"""What the house promises of itself."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [path for name in ("nas", "search_spaces", "evaluators") for path in (ROOT / name).rglob("*.py")]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_is_a_drawer_and_none_unpickles(path):
    assert path.stem not in {"utils", "common", "helpers", "base", "ray", "misc"}
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"pickle\.loads?\(|torch\.load\(|yaml\.load\(|shell=True|0\.0\.0\.0", text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{path}:{node.lineno} catches everything"
            assert not all(isinstance(item, ast.Pass) for item in node.body), f"{path}:{node.lineno} hides a failure"


def test_the_readme_names_both_commands_in_one_line_each():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    (python3 -m venv .*)$", readme, re.MULTILINE)
    assert len(commands) == 2
    assert commands[0].endswith("nas search")
    assert "pytest" in commands[1]
