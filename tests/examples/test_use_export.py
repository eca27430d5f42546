"""An exported model is used without this package: as PyTorch source, in ONNX Runtime, as a program."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import nas
from tests.conftest import SMALL, tiny_data

EXAMPLE = Path(__file__).parents[2] / "examples" / "use_export.py"
PROGRAM = """
import runpy, sys
sys.modules.update(dict.fromkeys(("nas", "search_spaces", "evaluators")))  # as if they were not installed
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.usefixtures("no_report")
def test_all_three_give_the_same(tmp_path):
    run = nas.search(data=tiny_data(), trials=1, epochs=1, finalists=0, pin=SMALL, runs_dir=tmp_path)
    command = [sys.executable, "-c", PROGRAM, str(EXAMPLE), str(run.path / "best")]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    first, *others = ended.stdout.splitlines()
    assert re.fullmatch(r"model.py: \(\d+, 1, 8, 8\) to \(\d+, 1, 8, 8\)", first)
    assert [line.split(":")[0] for line in others] == ["model.onnx", "model.pt2"]
    assert all(float(re.search(r"by (\S+) at most", line)[1]) < 1e-4 for line in others)
