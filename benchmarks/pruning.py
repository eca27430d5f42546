"""What pruning costs and saves: the best of a small search, its pruned versions, and narrower networks from scratch.

    python benchmarks/pruning.py --trials 6 --epochs 15 --ratios 0.5,0.7

Everything but the cells is pinned to what is usual (convolutional, width 32). One line of JSON each: the best, every
version before and after its fine-tuning, and the best's own cells at smaller widths, trained from scratch for as many
epochs as a version has had in all. Errors are of the test part. Latencies (ms, a batch of 32 images, one thread) are of
the exported ONNX files in turns, medians of 50 runs; kilobytes are those of these files.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import onnxruntime
import torch

import nas
from evaluators.metrics.cost import count_multiply_adds, count_parameters
from evaluators.pruning.pruning import prune_model
from nas.core.genotype import Genotype
from nas.core.job import PruneChannels
from nas.core.trial import Proposal, Start, Trial
from nas.session.delivery import export_model
from nas.study.run import Candidate, Run
from search_spaces.autoencoder.space import AutoencoderSpace

PINNED = ("family", "stages", "normalisation", "activation", "decoder", "width_growth", "down_sampling", "up_sampling",
          "head", "cells", "loss", "output", "optimiser", "learning_rate", "schedule", "batch_size", "augmentation",
          "weight_decay")  # fmt: skip


def searched(arguments: argparse.Namespace, folder: Path) -> Run:
    choices = AutoencoderSpace().choices()
    pins: dict[str, Any] = {site: choices[site].usual for site in PINNED}
    pins |= {"network": "convolutional", "width": arguments.width, "latent": arguments.latent}
    return nas.search(
        data=arguments.dataset, strategy=arguments.strategy, trials=arguments.trials, epochs=arguments.epochs,
        seed=arguments.seed, pin=pins, prune=arguments.ratios, runs_dir=folder, name="run", device="cpu",
        train_size=arguments.train_size,
    )  # fmt: skip


def timed(files: list[Path], images: torch.Tensor) -> list[float]:
    """Median milliseconds of each ONNX file, in turns."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = [onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"]) for file in files]
    times: list[list[float]] = [[] for _ in files]
    for _ in range(50):
        for session, own in zip(sessions, times, strict=True):
            began = time.perf_counter()
            session.run(None, {"images": images.numpy()})
            own.append(1000 * (time.perf_counter() - began))
    return [round(statistics.median(own), 3) for own in times]


def untuned(run: Run, whole: Candidate, ratio: float) -> float:
    """The test error of a version of a model as it is before any fine-tuning."""
    evaluator: Any = run.parts.evaluator
    start = Start(whole.number, whole.genotype, run.study.weights_path(whole.number).read_bytes())
    trial = Trial(0, Proposal(whole.genotype, (whole.number,), job=PruneChannels(ratio)), whole.trial.seed, start=start)
    model = prune_model(
        lambda: evaluator.space.build(whole.genotype, evaluator.data.shape), trial, evaluator.task.prunable_parts
    ).model
    return float(evaluator.test(whole.genotype, model, whole.trial.seed)["mse"])


def from_scratch(whole: Candidate, width: int, epochs: int, folder: Path) -> Run:
    content = {**whole.genotype.content, "width": width}
    genotype = Genotype.of(whole.genotype.space, whole.genotype.version, content)
    return nas.train(
        genotype, epochs, data=whole.run.config.dataset, runs_dir=folder, name=f"width-{width}", device="cpu",
        train_size=whole.run.config.train_size, seed=whole.run.config.seed,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--strategy", default="evolution")
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--ratios", default="0.5,0.7")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--latent", type=int, default=16)
    parser.add_argument("--widths", default="16,8", help="of the networks trained from scratch")
    parser.add_argument("--train-size", type=int)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = searched(arguments, folder)
        versions = [run.candidate(trial.number) for trial in run.trials if not trial.job.counted]
        whole = versions[0].unpruned
        rows: list[tuple[str, Candidate]] = [("whole", whole)]
        rows += [(f"pruned {one.trial.job.ratio:.0%}", one) for one in versions]
        trained = len(whole.trial.measurements) + sum(len(one.trial.measurements) for one in versions)
        for width in map(int, arguments.widths.split(",")):
            rows.append((f"width {width} from scratch", from_scratch(whole, width, trained, folder).candidate(0)))
        files = []
        for place, (_, candidate) in enumerate(rows):
            files.append(export_model(candidate.run, candidate, directory=folder / str(place)) / "model.onnx")
        images = torch.rand(32, *run.shape)
        for (label, candidate), file, latency in zip(rows, files, timed(files, images), strict=True):
            model, ratio = candidate.model(), candidate.trial.job.ratio
            line = {
                "model": label,
                "parameters": count_parameters(model),
                "multiply_adds": count_multiply_adds(model, images),
                "mse": round(candidate.test()["mse"], 5),
                "latency_ms": latency,
                "kilobytes": round(file.stat().st_size / 1000, 1),
                "epochs": len(candidate.trial.measurements),
            }
            if ratio is not None:
                line["mse_before_fine_tuning"] = round(untuned(run, whole, ratio), 5)
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
