"""Trains a supernet of pairs, measures it after every epoch, and restarts it after a collapse."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from evaluators.gan.bilevel import LOSSES, PairSupernetTraining, sample_generator_inputs
from evaluators.gan.collapse_detector import CollapseDetector
from evaluators.metrics.cost import PeakMemory, count_parameters
from evaluators.metrics.exact import score_exactly
from evaluators.metrics.samples import sample_deviation
from evaluators.models import initialise_model
from evaluators.pictures import render_rows
from evaluators.supernets.bilevel import draw_genotypes
from evaluators.supernets.paths import extract_candidate
from evaluators.training.selection import Scores
from nas.core.errors import Collapsed, Diverged
from nas.core.genotype import Genotype
from nas.core.space import Shape, generator_for
from nas.core.supernet import Alphas, SharesWeights, SupernetPlan, entropy
from nas.core.trial import Measurement
from nas.data.dataset import Split

MOST_RESETS = 3
_CALIBRATION = 16  # batches that the statistics of a candidate's batch normalisation are of
_MIXED = 4  # batches of images that all operations of the supernet make together
_RESTART = 3  # the purpose of the random numbers that are the weights after a restart


class PairSupernet:
    """A supernet around a base, and its training through all restarts.

    Args:
        space: a SharesWeights whose supernets are GanModels; see evaluators.gan.bilevel.PairSupernetTraining.
        plan: completed.
        hyperparameters: the base's; see evaluators.gan.training.GanTraining.
        shape: of the images.
        train: the training part, on the device.
        score: scores a generator of the supernet; see evaluators.gan.task.GanTask.score.
        deviation: of the data; see evaluators.adversarial.collapse.
    """

    def __init__(
        self,
        space: SharesWeights,
        base: Genotype,
        plan: SupernetPlan,
        hyperparameters: Mapping[str, Any],
        shape: Shape,
        train: Split,
        seed: int,
        score: Callable[..., Scores],
        deviation: float,
    ) -> None:
        self.space, self.base, self.plan, self.shape = space, base, plan, shape
        self.train, self.seed, self.score, self.deviation = train, seed, score, deviation
        self.hyperparameters = hyperparameters
        self.device = train.examples.device
        self.epochs, self.warm_up = plan.schedule
        self.resets = 0
        self._begin(0)

    def _begin(self, epoch: int, alphas: list[Tensor] | None = None) -> None:
        """Make new weights and optimisers; the alphas are new as well unless they are given."""
        seed = self.seed if alphas is None else int(generator_for(self.seed, self.resets, _RESTART).integers(2**63))
        model = initialise_model(lambda: self.space.relax(self.base, self.shape, self.plan), seed, self.device)
        if alphas is not None:
            with torch.no_grad():
                for row, kept in zip(cast(nn.Module, model.architecture).parameters(), alphas, strict=True):
                    row.copy_(kept)
        self.model = model
        self.training = PairSupernetTraining(
            model, self.plan, self.hyperparameters, len(self.train), self.seed, begun=epoch
        )
        loss, updates = str(self.hyperparameters["loss"]), self.training.updates_an_epoch
        self._watch = CollapseDetector(loss, self.epochs, updates, self.deviation)

    def measurements(self) -> Iterator[Measurement]:
        """Yield a measurement after every epoch, with a picture and the alphas of all epochs as ``alphas.json``.

        The metrics are the scores of the strongest pair's generator, with the weights of the supernet's average and
        recalibrated batch normalisation; ``mixture_deviation``, the deviation of the images that all operations make
        together; the mean losses LOSSES; ``skips``, the most that a derived cell has; ``entropy`` in nats, the mean of
        all edges; ``resets``, how often the supernet has collapsed and was restarted; and the cost. The last
        measurement brings the derived pairs: the strongest, and then the others in the order of their FID with the
        supernet's weights. These FIDs are in ``paths.json``.

        Raises:
            Collapsed: the supernet has collapsed four times.
            Diverged: a loss, a log-weight or a score is not finite.
        """
        started, memory = time.perf_counter(), PeakMemory(self.device)
        cost = {"parameters": float(count_parameters(self.model))}
        history: list[dict[str, object]] = []
        for epoch in range(1, self.epochs + 1):
            self.training.epoch(self.train, memory)
            alphas = self.training.architecture.alphas()
            found = self.space.derive(self.base, alphas, self.plan.max_skips)
            generator = self._candidate(found.genotype)
            found_of = self._scores(generator)
            scores = found_of.metrics
            for name, value in scores.items():
                if not math.isfinite(value):
                    raise Diverged(f"{name} of the strongest pair is {value} after epoch {epoch}")
            row: dict[str, object] = {"epoch": epoch, "alphas": alphas}
            files = {"samples.png": render_rows(found_of.rows)}
            means = dict(zip(LOSSES, self.training.losses.mean(0).tolist(), strict=True))
            deviation = self._deviation()
            reason = self._watch.find_collapse(self.training.losses[:, :2], deviation)
            last = epoch == self.epochs
            derived: tuple[Genotype, ...] = ()
            if last:
                derived, files["paths.json"] = self._derived(found.genotype, alphas)
            if reason is not None:
                row["collapsed"] = reason
                if not last:
                    self._restart(epoch, reason)
            history.append(row)
            rest = {
                "skips": float(found.skips),
                "entropy": entropy(alphas),
                "mixture_deviation": deviation,
                "resets": float(self.resets),
                "seconds": time.perf_counter() - started,
                "peak_memory_mb": memory.megabytes,
            }
            losses = {name: value for name, value in means.items() if not math.isnan(value)}
            files["alphas.json"] = json.dumps(history).encode()
            yield Measurement(epoch, {**scores, **losses, **cost, **rest}, files, derived)

    def _restart(self, epoch: int, reason: str) -> None:
        self.resets += 1
        if self.resets > MOST_RESETS:
            raise Collapsed(f"the supernet has collapsed for the {self.resets}th time, in epoch {epoch}: {reason}")
        rows = cast(nn.Module, self.model.architecture).parameters()
        self._begin(epoch, [row.detach().clone() for row in rows])

    def _derived(self, strongest: Genotype, alphas: Alphas) -> tuple[tuple[Genotype, ...], bytes]:
        """Give the strongest genotype and then draws from the alphas, those of least FID first."""
        draws = draw_genotypes(self.space, self.base, alphas, self.plan, self.seed)
        fids = {g: self._scores(self._candidate(g)).metrics["fid"] for g in (strongest, *draws)}
        ordered = (strongest, *sorted((g for g in draws if g != strongest), key=fids.__getitem__))
        rows = [{"id": genotype.id, "fid": fids[genotype]} for genotype in ordered]
        return ordered, json.dumps(rows).encode()

    def _scores(self, generator: nn.Module) -> Scores:
        with score_exactly(self.device):
            return self.score(self.model, generator, self.hyperparameters, self.seed)

    @torch.no_grad()
    def _deviation(self) -> float:
        """Measure the deviation of images of all operations together; those of one path may be alike by chance."""
        batches = self._batches(_MIXED)
        return sample_deviation(torch.cat([self.training.average.network(*batch) for batch in batches]))

    def _candidate(self, genotype: Genotype) -> nn.Module:
        """Extract a pair's generator, with the weights of the supernet's moving average."""
        # the names of a pair's choices begin with those of its halves
        path = {name: held for name, held in self.space.path(genotype).items() if name.startswith("generator")}
        return extract_candidate(self.training.average.network, path, self._batches(_CALIBRATION))

    def _batches(self, count: int) -> list[tuple[Tensor, ...]]:
        return sample_generator_inputs(self.training.model, self.hyperparameters, self.train, self.seed, count)
