"""What the sample metrics say of real images that were damaged in known ways.

    python benchmarks/sample_calibration.py DATASET [--train-size N] [--features KIND] [--seed S]

Prints a table for docs/metrics.md. The damaged images are of the test part, which neither the extractor nor the
reference has seen; where it has fewer images than the protocol wants, the protocol takes as many.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch
from damaged_images import damaged

from evaluators.features.extractor import load_extractor
from evaluators.metrics.samples import make_reference, score_samples
from nas.data.loading import load_data

SHOWN = {
    "fid": ".2f", "kid": ".3f", "density": ".2f", "coverage": ".2f", "modes": ".0f", "label_entropy": ".2f",
    "sliced_wasserstein": ".4f", "sample_deviation": ".3f",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--train-size", type=int)
    parser.add_argument("--features", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = load_data(given.dataset, train_size=given.train_size, seed=given.seed)
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        extractor = load_extractor(data, directory=Path(folder), kind=given.features)
        print(f"{extractor.name}: accuracy {extractor.accuracy:.3f}, {time.process_time() - started:.1f} CPU seconds")
    reference = make_reference(data, extractor)
    print(reference.protocol, "\n")
    print("| images |", " | ".join(SHOWN), "|")
    print("|---" * (len(SHOWN) + 1) + "|")
    for name, samples in damaged(data.test, reference.samples).items():
        started = time.process_time()
        scores = score_samples(samples, extractor, reference)
        spent = time.process_time() - started
        cells = [format(scores[metric], form) if metric in scores else "" for metric, form in SHOWN.items()]
        print(f"| {name} |", " | ".join(cells), "|", flush=True)
    print(f"\n{spent:.1f} CPU seconds for one row")


if __name__ == "__main__":
    main()
