"""The command line in a process of its own, and options that make a search quick."""

import os
import subprocess
import sys

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
