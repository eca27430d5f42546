"""The best GAN found by a search against the usual DCGAN, both trained for as many updates and scored alike.

    python benchmarks/gan_search.py --dataset npz:mnist.npz
    python benchmarks/gan_search.py --dataset npz:cifar10.npz

For each seed: a search of 24 trials of 5 epochs (780 updates of the generator, with 10,000 images); its best, trained
anew for 10 epochs (1,560 updates); the usual DCGAN (batch normalisation, 64 base channels, Adam 2e-4 with beta1 0.5,
non-saturating, no average), trained for 10 epochs; the scores of both on the test part; one line of JSON a seed. Of
both the snapshot with the least validation FID is kept. Scores compare within a seed alone: the extractor is trained
on the seed's training part.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from pairs import several

import nas
from evaluators.gan.task import GanTask
from nas.core.genotype import Genotype
from nas.core.space import Choice, SearchSpace, Value
from nas.core.trial import Proposal, Trial
from nas.study.run import Run
from search_spaces.gan.space import GanSpace

SCORES = ("fid", "kid", "density", "coverage", "modes")
DCGAN = {  # where the space's usual pair is another
    "generator_width": 64,
    "discriminator_width": 64,
    "generator_learning_rate": 0.0002,
    "discriminator_learning_rate": 0.0002,
    "ema": 0.0,
}


def trained(run: Run, space: SearchSpace, genotype: Genotype, epochs: int, picture: Path) -> dict[str, Any]:
    """What a genotype, trained anew, scores on the test part."""
    from safetensors.torch import load

    data = run.parts.data
    evaluator = GanTask.make_evaluator(space, data, epochs=epochs, device=run.parts.device)
    *_, last = evaluator.evaluate(Trial(0, Proposal(genotype), run.config.seed))
    picture.write_bytes(last.artifacts["samples.png"])
    model = space.build(genotype, data.shape)
    model.load_state_dict(load(last.artifacts["weights.safetensors"]))
    tested = evaluator.test(genotype, model, run.config.seed)
    return {
        **{name: round(tested[name], 4) for name in SCORES if name in tested},
        "validation_fid": round(last.metrics["fid"], 3),
        "kept_epoch": int(last.metrics["kept_epoch"]),
        "parameters": int(last.metrics["parameters"]),
        "seconds": round(last.metrics["seconds"]),
        "architecture": space.describe(genotype, data.shape),
    }


def usual(choice: Choice) -> Value:
    """The decisions of DCGAN."""
    return DCGAN.get(choice.site, choice.values[0] if choice.usual is None else choice.usual)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--strategy", default="evolution")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--retrain", type=int, default=10)
    parser.add_argument("--train-size", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--restrict", action="append", type=several, default=[], metavar="NAME=A,B", help="narrow it")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    for seed in (int(text) for text in given.seeds.split(",")):
        began = time.perf_counter()
        run = nas.search(
            "gan",
            given.dataset,
            given.strategy,
            given.trials,
            restrict=dict(given.restrict),
            epochs=given.epochs,
            early_stopping="none",  # the figures in docs/benchmarks.md are of whole trainings
            train_size=given.train_size,
            seed=seed,
            runs_dir=given.runs_dir,
        )
        searched = time.perf_counter() - began
        found = trained(run, run.space, run.best.genotype, given.retrain, run.path / "found.png")
        print(json.dumps({"seed": seed, "found": found}), file=sys.stderr, flush=True)
        whole = GanSpace().conditioned(run.parts.data.condition)
        dcgan = trained(run, whole, whole.grow(usual), given.retrain, run.path / "dcgan.png")
        result = {
            "seed": seed,
            "ratio": round(found["fid"] / dcgan["fid"], 3),
            "dcgan": dcgan,
            "found": found,
            "trial": run.best.number,
            "search_seconds": round(searched),
            "outcomes": run.counts(),
        }
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
