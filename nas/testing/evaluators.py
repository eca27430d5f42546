"""The laws of evaluators."""

from __future__ import annotations

import math

import pytest
import torch

from nas.core.evaluator import Evaluator
from nas.core.genotype import Genotype
from nas.core.trial import Measurement, Proposal, Trial
from nas.testing.spaces import disturb_global_generators


class EvaluatorContract:
    """Subclass it and give `make` and `genotypes`."""

    epochs = 2
    timings = ("seconds", "peak_memory_mb")

    def make(self, epochs: int) -> Evaluator:
        """A new evaluator on little data."""
        raise NotImplementedError

    def genotypes(self) -> list[Genotype]:
        """Genotypes of every kind that it can evaluate."""
        raise NotImplementedError

    def _measured(self, genotype: Genotype, seed: int = 1) -> list[Measurement]:
        return list(self.make(self.epochs).evaluate(Trial(0, Proposal(genotype), seed)))

    def test_a_measurement_arrives_after_every_epoch(self) -> None:
        for genotype in self.genotypes():
            measurements = self._measured(genotype)
            assert [measurement.epoch for measurement in measurements] == list(range(1, self.epochs + 1))

    def test_every_metric_is_finite_and_the_default_objective_is_among_them(self) -> None:
        evaluator = self.make(self.epochs)
        default = next(iter(evaluator.objectives))
        for genotype in self.genotypes():
            for measurement in evaluator.evaluate(Trial(0, Proposal(genotype), 1)):
                assert default in measurement.metrics
                assert all(math.isfinite(value) for value in measurement.metrics.values())
                assert set(measurement.metrics) <= set(evaluator.objectives)

    def test_the_same_trial_gives_the_same_numbers(self) -> None:
        for genotype in self.genotypes():
            runs = []
            for global_seed in (1, 2):
                disturb_global_generators(global_seed)
                runs.append(self._measured(genotype))
            for first, second in zip(*runs, strict=True):
                same = set(first.metrics) - set(self.timings)
                assert {name: first.metrics[name] for name in same} == {name: second.metrics[name] for name in same}
                assert first.artifacts == second.artifacts

    def test_stopping_between_two_epochs_leaves_nothing_behind(self) -> None:
        genotype = self.genotypes()[0]
        torch.manual_seed(0)
        before = torch.get_rng_state()
        measurements = self.make(self.epochs).evaluate(Trial(0, Proposal(genotype), 1))
        next(measurements)
        measurements.close()  # type: ignore[attr-defined]
        assert torch.equal(before, torch.get_rng_state())
        assert torch.is_grad_enabled()

    def test_another_seed_gives_other_numbers(self) -> None:
        default = next(iter(self.make(1).objectives))
        genotype = self.genotypes()[0]
        values = {self._measured(genotype, seed)[-1].metrics[default] for seed in (1, 2)}
        if len(values) == 1:
            pytest.fail("the seed has no effect")
