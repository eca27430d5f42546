"""What the core does without: Ray, ONNX and the dashboard may be missing."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import json, sys

hidden = ("ray", "onnx", "onnxruntime", "onnxscript", "optuna_dashboard")
sys.modules.update(dict.fromkeys(hidden))  # None: as if they were not installed

from nas.cli import run

quick = ["--trials", "2", "--epochs", "1", "--train-size", "64", "--finalists", "0", "--name", "here", "--pin",
         "network=fully_connected", "--pin", "hidden_width=64", "--restrict", "decoder_hidden_width=64"]
codes = [
    run(["search", *quick]),
    run(["export", "here", "--output", "again"]),
    run(["export", "here", "--format", "python,onnx", "--output", "not"]),
    run(["search", *quick[:-2], "--workers", "2"]),
    run(["dashboard"]),
]
print(json.dumps([codes, [name for name in hidden if sys.modules[name]]]))
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bare")
    ended = subprocess.run([sys.executable, "-c", PROGRAM], cwd=folder, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    return folder, ended.stderr.splitlines(), *json.loads(ended.stdout.splitlines()[-1])


def test_an_inline_search_is_delivered_without_onnx_and_says_so(session):
    folder, err, codes, imported = session
    assert (codes[:2], imported) == ([0, 0], [])
    for made in (folder / "runs" / "here" / "best", folder / "again"):
        assert (made / "model.py").is_file()
        assert (made / "model.pt2").is_file()
        assert not (made / "model.onnx").exists()
        assert "model.onnx" not in (made / "README.md").read_text()
    said = [line for line in err if "no model.onnx is written without onnx and onnxruntime and onnxscript" in line]
    assert len(said) == 2
    assert said[0].endswith("pip install onnx onnxruntime onnxscript")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (2, ("--format 'onnx': onnx and", "allowed: python, program; or first: pip install onnx onnxruntime")),
        (3, ("--executor 'ray': ray is not installed", "inline; or first: pip install 'ray[default,tune]'")),
        (4, ("nas 'dashboard': optuna_dashboard is not installed", "or first: pip install optuna-dashboard")),
    ],
)
def test_what_needs_a_missing_package_names_it_in_one_line(session, number, words):
    folder, err, codes, _ = session
    assert codes[number] == 2
    assert len([line for line in err if all(word in line for word in words)]) == 1
    assert not (folder / "not").exists()
    assert [path.name for path in (folder / "runs").iterdir() if not path.name.startswith(".")] == ["here"]
