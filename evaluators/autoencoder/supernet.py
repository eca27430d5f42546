"""The course of one supernet of autoencoders, whose operations a gradient chooses among."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from torch import Tensor

from evaluators.autoencoder.scores import scores_of
from evaluators.metrics.cost import PeakMemory, parameters
from evaluators.networks import initialised
from evaluators.supernets.bilevel import SupernetTraining, drawn_from
from nas.core.errors import UserError
from nas.core.space import SearchSpace
from nas.core.supernet import Relaxable, SupernetPlan, entropy
from nas.core.trial import Measurement, Trial
from nas.data.dataset import Split

_COLLAPSED = 2  # epochs in a row with too many skips: among alphas that are nearly equal one alone is chance


def supernet_measurements(
    space: SearchSpace, trial: Trial, plan: SupernetPlan, train: Split, validation: Tensor
) -> Iterator[Measurement]:
    """One measurement after every epoch; see evaluators.autoencoder.evaluator.AutoencoderEvaluator.train_supernet.

    Args:
        trial: its genotype is the supernet's base.
        plan: complete.
        train: its halves train the weights and the alphas.
        validation: images (N, C, H, W) from 0 to 1, on the device on which the supernet trains.

    Raises:
        UserError: the space has no supernets.
        Diverged: a loss or a log-weight is not finite.
    """
    started = time.perf_counter()
    epochs, warm_up = plan.schedule
    base = trial.genotype
    if not isinstance(space, Relaxable):
        raise UserError("--space", space.name, "a space that has supernets")
    _, channels, height, width = validation.shape
    shape = (channels, height, width)
    model = initialised(lambda: space.relax(base, shape, plan), trial.seed, validation.device)
    memory = PeakMemory(validation.device)
    cost = {"parameters": float(parameters(model))}
    training = SupernetTraining(model, plan, space.hyperparameters(base), train, trial.seed)
    history = []
    in_a_row = 0
    for epoch in range(1, epochs + 1):
        losses = training.epoch(memory)
        metrics, picture = scores_of(model, validation, training.hyperparameters, trial.seed, memory)
        alphas = training.architecture.alphas()
        history.append({"epoch": epoch, "alphas": alphas})
        found = space.derive(base, alphas, plan.max_skips)
        meant = epoch > warm_up  # before, the alphas are what they were at the beginning
        collapsing = meant and plan.max_skips is not None and found.skips > plan.max_skips
        in_a_row = in_a_row + 1 if collapsing else 0
        last = epoch == epochs or in_a_row == _COLLAPSED
        derived = [found.genotype] if meant else []
        if last:
            derived += drawn_from(space, base, alphas, plan, trial.seed)
        rest = {
            "skips": float(found.skips),
            "entropy": entropy(alphas),
            "seconds": time.perf_counter() - started,
            "peak_memory_mb": memory.megabytes,
        }
        files = {"reconstructions.png": picture, "alphas.json": json.dumps(history).encode()}
        yield Measurement(epoch, metrics | losses | cost | rest, files, tuple(derived))
        if last:
            return
