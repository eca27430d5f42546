"""What the command line says of itself: help, and the catalogue of what there is."""

import os
import subprocess
import sys

import pytest

from nas.cli import run as nas


def test_help_is_quick_and_imports_nothing_heavy():
    program = (
        "import sys\nfrom nas.cli import run\nrun(['--help'])\n"
        "heavy = {'torch', 'optuna', 'ray', 'numpy', 'pydantic', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


@pytest.mark.parametrize(("given", "found"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_threads_that_wait_sleep_unless_the_user_says_otherwise(given, found):
    program = (
        "import atexit, os\nfrom nas.cli import main\n"
        "atexit.register(lambda: print(os.environ['OMP_WAIT_POLICY']))\nmain(['--version'])"
    )
    others = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=others | given
    )
    assert done.stdout.splitlines()[-1] == found


@pytest.mark.parametrize(
    "command",
    [
        "init",
        "search",
        "resume",
        "train",
        "evaluate",
        "list",
        "show",
        "export",
        "spaces",
        "strategies",
        "datasets",
        "dashboard",
        "doctor",
    ],
)
def test_every_command_has_help(command, capsys):
    assert nas([command, "--help"]) == 0
    assert "Usage: nas" in capsys.readouterr().out


def test_the_catalogue(capsys):
    for arguments, words in (
        (["spaces"], ["autoencoder"]),
        (["spaces", "autoencoder", "--shape", "15"], ["latent: 1, 2, 3, 4, 6, 8, 12, 15, 16, 24, 30", "gated"]),
        (["spaces", "autoencoder"], ["latent: 2, 4, 8", "encoder_cell and decoder_cell", "genotypes"]),
        (["spaces", "autoencoder", "--all"], ["encoder_cell.node1.operation0"]),
        (["strategies"], ["evolution", "random"]),
        (["strategies", "evolution"], ["population", "Real", "duplicates"]),
        (["datasets"], ["digits", "celeba", "npz:PATH"]),
        (["datasets", "csv:PATH"], ["label"]),
    ):
        assert nas(arguments) == 0
        out = capsys.readouterr().out
        assert all(word in out for word in words), out


def test_without_a_command_the_help_is_shown(capsys):
    assert nas([]) == 2
    assert "Commands:\n" in capsys.readouterr().err


def test_options_stand_below_headings_the_first_of_which_matter_most(capsys):
    assert nas(["search", "--help"]) == 0
    told = capsys.readouterr().out
    headings = [line for line in told.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings[0] == "What and how long:"
    assert headings[-1] == "Output and help:"
    first, _, _ = told.partition(headings[1])
    assert all(name in first for name in ("--dataset", "--space", "--strategy", "--trials", "--time-limit"))
    assert told.count("--image-size") == 1
    assert nas(["train", "--help"]) == 0
    assert "The data:" in capsys.readouterr().out
