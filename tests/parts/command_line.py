"""The command line in a process of its own and in this one, and options that make a search quick."""

import os
import subprocess
import sys

from nas.cli import run as nas

SHORT = ["--epochs", "1", "--train-size", "64"]
QUICK = [*SHORT, "--pin", "network=fully_connected", "--pin", "hidden_width=64",
         "--restrict", "decoder_hidden_width=64", "--pin", "batch_size=32"]  # fmt: skip
"""To check what is pinned takes most of a second: where nothing is to be trained, SHORT will do."""


def process(*arguments, cwd, **options):
    program = [sys.executable, "-c", "from nas.cli import main; main()", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        program, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **options
    )


def finished(*arguments, cwd):
    ran = process(*arguments, cwd=cwd)
    out, err = ran.communicate(timeout=300)
    return ran.returncode, out, err


def said(capture, *arguments):
    """A command's exit code, and what it wrote to the standard output and error; imports are not paid for again."""
    capture.readouterr()
    code = nas(list(arguments))
    return code, *capture.readouterr()


def refused(capture, *arguments):
    """The one line by which a command is refused, besides which it says nothing."""
    code, out, err = said(capture, *arguments)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1, err
    return err
