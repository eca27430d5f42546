"""A CycleGAN between scikit-learn's digits and what they become when they are inverted, turned, or reduced to edges.

    python benchmarks/cyclegan_digits.py [--change inverted] [--epochs 20] [--seeds 1] [--pin NAME=VALUE ...]

The sets are unpaired: A has every second digit and B what becomes of the others. Scored on the test parts are the
trained translators, those that do nothing, and, where it can be undone, the change itself, which the translators should
find. Without --pin the usual genotype is trained, with the width that a search on a CPU assumes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from pairs import pair
from safetensors.torch import load

from evaluators.cyclegan.task import CycleGanTask
from evaluators.metrics.translations import score_translations
from nas.core.trial import Proposal, Trial
from nas.data.pairs import load_pair
from nas.data.sources.transformations import TRANSFORMATIONS
from search_spaces.cyclegan.space import CycleGanSpace

SCORES = ("fid", "fid_a", "fid_b", "coverage", "modes", "label_agreement", "cycle_error", "identity_error")
UNDONE = {"inverted": TRANSFORMATIONS["inverted"].apply, "rotated": lambda images: images.rot90(-1, (2, 3))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--change", choices=sorted(TRANSFORMATIONS), default="inverted")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--pin", action="append", type=pair, default=[], metavar="NAME=VALUE")
    parser.add_argument("--picture", type=Path, help="where to draw the translations of the last seed")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = load_pair("digits", f"{arguments.change}:digits")
    space = CycleGanSpace()
    evaluator = CycleGanTask.make_evaluator(space, data, epochs=arguments.epochs)
    choices = space.choices()
    narrow = {a.site: tuple(v for v in choices[a.site].values if v in a.values) for a in evaluator.assumptions("fid")}
    space = space.restrict(narrow).restrict({name: (value,) for name, value in arguments.pin})
    genotype = space.grow(lambda choice: choice.values[0] if choice.usual is None else choice.usual)
    evaluator = CycleGanTask.make_evaluator(space, data, epochs=arguments.epochs)
    print(space.describe(genotype, data.shape))
    targets = evaluator.task._test_targets
    report("nothing", score_translations(targets, lambda images: images, lambda images: images))
    if arguments.change in UNDONE:
        true = score_translations(targets, TRANSFORMATIONS[arguments.change].apply, UNDONE[arguments.change])
        report("the change", true)
    for seed in range(arguments.seeds):
        *_, last = evaluator.evaluate(Trial(0, Proposal(genotype), seed))
        model = space.build(genotype, data.shape)
        model.load_state_dict(load(last.artifacts["weights.safetensors"]))
        found = evaluator.test(genotype, model, seed)
        more = {"seconds": last.metrics["seconds"], "kept epoch": last.metrics["kept_epoch"]}
        report(f"trained, seed {seed}", found | more)
    if arguments.picture is not None:
        arguments.picture.write_bytes(last.artifacts["translations.png"])


def report(name: str, scores: dict[str, float]) -> None:
    shown = {key: round(value, 3) for key, value in scores.items() if key in SCORES or " " in key or key == "seconds"}
    print(f"{name}: {json.dumps(shown)}", flush=True)


if __name__ == "__main__":
    main()
