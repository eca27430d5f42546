"""A child that begins from its parent's weights against one from scratch: errors, and how well they rank.

    python benchmarks/weight_sharing.py --dataset digits --parents 3 --children 4 --full 8

Parents are random autoencoders trained in full, and children their mutations, all trained with the usual
hyperparameters. Every child is trained in full from scratch, which is the truth, for 1, 2 and 4 epochs from scratch,
and for one epoch from its parent's tensors: as `--weight-sharing inherit` does, and for comparison from those alone
that have the same name and shape. Also grown for as many epochs as in full. One line of JSON a child, then one a way:
the mean error over that of the truth, Kendall's tau of its ranking with the truth's (over all children, and the mean
over those of one parent), and seconds a child.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from unittest import mock

import numpy as np
import torch
from scipy.stats import kendalltau
from torch import nn

from evaluators.autoencoder.task import AutoencoderTask
from evaluators.inheritance import transfer as sharing
from evaluators.inheritance.transfer import Inheritance
from nas.core.genotype import Genotype
from nas.core.space import generator_for, sample
from nas.core.trial import Measurement, Proposal, Start, Trial
from nas.data.dataset import Dataset
from nas.data.loading import load_data
from search_spaces.autoencoder.space import AutoencoderSpace


@torch.no_grad()
def by_name(child: nn.Module, parent: nn.Module, run: Callable[[nn.Module], object]) -> Inheritance:
    """Tensors of the same name and shape, whatever they stand for."""
    old, new = parent.state_dict(), child.state_dict()
    same = {name: name for name, tensor in new.items() if name in old and old[name].shape == tensor.shape}
    for name in same:
        new[name].copy_(old[name])
    total = sum(parameter.numel() for parameter in child.parameters())
    return Inheritance(sum(p.numel() for name, p in child.named_parameters() if name in same) / total, 0.0, same)


def space_of(latent: int, widest: int) -> AutoencoderSpace:
    """Convolutional autoencoders of one or two stages and small edge cells, whose training is decided."""
    space = AutoencoderSpace().restrict({"family": ("plain",)})
    usual = {name: (c.usual,) for name, c in space.choices().items() if c.role == "hyperparameter" and c.usual}
    pins = {"network": ("convolutional",), "latent": (latent,), "augmentation": ("none",)}
    small = {"stages": (1, 2), "cells": ("edge",), "encoder_cell.nodes": (1, 2), "decoder_cell.nodes": (1, 2)}
    narrow = {name: tuple(w for w in (8, 16, 24, 32) if w <= widest) for name in ("width", "decoder_width")}
    return space.restrict({**usual, **pins, **small, **narrow})


def trained(
    space: AutoencoderSpace, data: Dataset, genotype: Genotype, epochs: int, seed: int, **how: object
) -> Measurement:
    start, grow = how.get("start"), bool(how.get("grow", False))
    assert start is None or isinstance(start, Start)
    evaluator = AutoencoderTask.make_evaluator(space, data, epochs=epochs, grow=grow)
    *_, last = evaluator.evaluate(Trial(0, Proposal(genotype), seed, start=start))
    return last


def pairs(space: AutoencoderSpace, parents: int, children: int, seed: int) -> Iterator[tuple[Genotype, list[Genotype]]]:
    """Random genotypes near the usual one, and different mutants of each."""
    for number in range(parents):
        generator = generator_for(seed, number)
        parent = sample(space, generator, usual=0.7)
        mutants: dict[str, Genotype] = {}
        while len(mutants) < children:
            mutant, _ = space.mutate(parent, generator)
            if space.canonical_form(mutant) != space.canonical_form(parent):
                mutants[space.canonical_form(mutant)] = mutant
        yield parent, list(mutants.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--train-size", type=int)
    parser.add_argument("--latent", type=int, default=16)
    parser.add_argument("--widest", type=int, default=16)
    parser.add_argument("--parents", type=int, default=3)
    parser.add_argument("--children", type=int, default=4)
    parser.add_argument("--full", type=int, default=8, help="epochs of the truth")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = load_data(arguments.dataset, seed=arguments.seed, train_size=arguments.train_size)
    space, full = space_of(arguments.latent, arguments.widest), arguments.full
    errors: dict[str, list[list[float]]] = {}
    seconds: dict[str, list[float]] = {}
    for number, (parent, mutants) in enumerate(pairs(space, arguments.parents, arguments.children, arguments.seed)):
        whole = trained(space, data, parent, full, seed=number)
        start = Start(number, parent, whole.artifacts["weights.safetensors"])
        for child_number, child in enumerate(mutants):
            found = {f"scratch {e}": trained(space, data, child, e, seed=100 + child_number) for e in (1, 2, 4, full)}
            found["inherit 1"] = trained(space, data, child, 1, seed=100 + child_number, start=start)
            with mock.patch.object(sharing, "inherit_weights", by_name):
                found["by name 1"] = trained(space, data, child, 1, seed=100 + child_number, start=start)
            found[f"grow {full}"] = trained(space, data, child, full, seed=100 + child_number, grow=True)
            for way, last in found.items():
                errors.setdefault(way, [[] for _ in range(arguments.parents)])[number].append(last.metrics["mse"])
                seconds.setdefault(way, []).append(last.metrics["seconds"])
            shares = {way: round(found[f"{way} 1"].metrics["inherited"], 3) for way in ("inherit", "by name")}
            result = {way: round(last.metrics["mse"], 5) for way, last in found.items()}
            print(json.dumps({"parent": number, "parent_mse": round(whole.metrics["mse"], 5), **result, **shares}),
                  flush=True)  # fmt: skip
    truth = np.array(errors[f"scratch {full}"])  # (parents, children)
    for way, rows in errors.items():
        values = np.array(rows)
        ratio = np.mean(values / truth)
        tau = kendalltau(values.ravel(), truth.ravel()).statistic
        within = np.mean([kendalltau(*both).statistic for both in zip(values, truth, strict=True)])
        print(json.dumps({"way": way, "error": round(float(ratio), 3), "tau": round(float(tau), 3),
                          "tau_within": round(float(within), 3), "seconds": round(float(np.mean(seconds[way])), 2)}),
              flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
