"""A table of numbers: what the default search hands over, how soon, and what principal components of the same size are.

python benchmarks/tables.py --rows 10000 --columns 100 --seeds 0

The table is made here: columns that follow from 10 hidden numbers, in part linearly and in part not, with noise of a
tenth of their variance.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

import nas


def make_table(rows: int, columns: int, seed: int) -> np.ndarray:
    """Rows (rows, columns) float32, which lie near a curved surface of ten dimensions."""
    draw = np.random.default_rng(seed)
    hidden = draw.normal(size=(rows, 10))
    bent = np.tanh(0.5 * hidden @ draw.normal(size=(10, 40))) @ draw.normal(size=(40, columns)) * 0.4
    waves = np.sin(0.3 * hidden @ draw.normal(size=(10, columns)))
    whole = bent + waves
    noise = draw.normal(size=whole.shape) * np.sqrt(whole.var(0) / 10)
    return np.asarray(whole + noise, dtype=np.float32)


def main() -> None:
    """Print a row for each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--latent", type=int, help="the size of codes; by default what the search assumes")
    parser.add_argument("--seeds", default="0")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pin = {} if arguments.latent is None else {"latent": arguments.latent}
    for seed in map(int, arguments.seeds.split(",")):
        table, began = make_table(arguments.rows, arguments.columns, seed), time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            run = nas.search(data={"x_train": table}, seed=seed, device="cpu", pin=pin, runs_dir=Path(folder))
            seconds = time.monotonic() - began
            print(f"seed {seed}: {seconds:.0f} s, {run.counts()}, {run.best.description}")
            for line in run.describe_comparison():
                print(f"    {line}", flush=True)


if __name__ == "__main__":
    main()
