"""A search as a job of a Ray cluster.

On the head of a cluster, from the folder with this file and the parts of your own (docs/cluster.md):

ray job submit --address http://127.0.0.1:8265 --working-dir . -- \
    python ray_job.py --address auto --runs-dir /shared/runs

Without --address it starts Ray on this machine for the search alone.
"""

from __future__ import annotations

import argparse

import nas


def main() -> None:
    """Search with workers; the strategy, the record and the export stay in this process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", help="auto, in a job; without it this machine alone")
    parser.add_argument("--runs-dir", default="runs", help="an absolute path or a URL, which outlives the job")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--workers", type=int, help="by default as many as there is room for")
    given = parser.parse_args()
    run = nas.search(
        data="digits", trials=given.trials, epochs=given.epochs, executor="ray", address=given.address,
        workers=given.workers, runs_dir=given.runs_dir, name="job",
    )  # fmt: skip
    print(run.best.description, run.path)


if __name__ == "__main__":
    main()
