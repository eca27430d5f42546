"""The laws of evaluators."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from nas.core.errors import CandidateFailure, UserError
from nas.core.evaluator import CHECKPOINT, WEIGHTS, Evaluator
from nas.core.genotype import Genotype
from nas.core.job import PruneChannels, TrainPortion, TrainRung
from nas.core.metric import OF_THE_MACHINE
from nas.core.trial import Measurement, Proposal, Start, Trial
from nas.testing.spaces import disturb_global_generators, global_generators


class EvaluatorContract:
    """Subclass it and give `make` and `genotypes`.

    The laws of trainings in full bind evaluators that train portions as well, for `epochs_in_full` epochs.
    """

    epochs = 2
    epochs_in_full = 3
    timings = OF_THE_MACHINE

    def make(self, epochs: int) -> Evaluator:
        """A new evaluator on little data."""
        raise NotImplementedError

    def genotypes(self) -> list[Genotype]:
        """Genotypes of every kind that it can evaluate."""
        raise NotImplementedError

    def _measured(self, genotype: Genotype, seed: int = 1) -> list[Measurement]:
        return list(self.make(self.epochs).evaluate(Trial(0, Proposal(genotype), seed)))

    def _continuable(self, epochs: int) -> Evaluator:
        evaluator = self.make(epochs)
        if TrainPortion not in evaluator.jobs:
            pytest.skip("it continues nothing")
        return evaluator

    def _timeless(self, measurement: Measurement) -> tuple[dict[str, float], dict[str, bytes]]:
        """What must be the same; a checkpoint holds timings."""
        metrics = {name: value for name, value in measurement.metrics.items() if name not in self.timings}
        return metrics, {name: data for name, data in measurement.artifacts.items() if name != CHECKPOINT}

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
                assert set(measurement.metrics) <= set(evaluator.metrics)

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

    def _started(self, genotype: Genotype, start: Genotype) -> list[Measurement]:
        """The measurements of a trial that begins from what an earlier one has left."""
        evaluator = self.make(self.epochs)
        if not evaluator.inherits_weights:
            pytest.skip("it takes no starts")
        weights = self._measured(start, seed=3)[-1].artifacts["weights.safetensors"]
        return list(evaluator.evaluate(Trial(5, Proposal(genotype, (3,)), 1, start=Start(3, start, weights))))

    def test_a_start_of_the_same_genotype_is_inherited_whole(self) -> None:
        genotypes = self.genotypes()[:2]
        for genotype in genotypes:
            measurements, fresh = self._started(genotype, genotype), self._measured(genotype)
            assert [measurement.epoch for measurement in measurements] == list(range(1, self.epochs + 1))
            for measurement, other in zip(measurements, fresh, strict=True):
                assert measurement.metrics["inherited"] == 1
                assert measurement.metrics["inherited_from"] == 3
                assert set(measurement.metrics) == set(other.metrics) | {"inherited", "inherited_from"}
            weights = [run[-1].artifacts["weights.safetensors"] for run in (measurements, fresh)]
            assert weights[0] != weights[1]  # it has made a difference
        again = self._started(genotypes[0], genotypes[0])[-1]
        measured = self._started(genotypes[0], genotypes[0])[-1]
        assert self._timeless(again) == self._timeless(measured)

    def test_a_start_of_any_genotype_gives_what_it_can(self) -> None:
        for child, parent in itertools.pairwise(self.genotypes()[:3]):
            for measurement in self._started(child, parent):
                assert 0 <= measurement.metrics["inherited"] <= 1
                assert all(math.isfinite(value) for value in measurement.metrics.values())

    def test_what_was_trained_can_be_pruned_or_says_why_not(self) -> None:
        """A version has fewer parameters, costs no more, keeps the metrics, and gives the same numbers again."""
        evaluator = self.make(self.epochs)
        if PruneChannels not in evaluator.jobs:
            pytest.skip("it prunes nothing")
        for place, genotype in enumerate(self.genotypes()):
            *_, last = evaluator.evaluate(Trial(0, Proposal(genotype), 1))
            weights = last.artifacts["weights.safetensors"]
            proposal = Proposal(genotype, parents=(0,), job=PruneChannels(0.5))
            trial = Trial(1, proposal, 1, start=Start(0, genotype, weights))
            if self._is_prunable(evaluator, genotype):
                self._assert_smaller(evaluator, trial, last, again=place == 0)
            else:
                with pytest.raises(CandidateFailure, match="channels"):
                    list(evaluator.evaluate(trial))

    def _is_prunable(self, evaluator: Evaluator, genotype: Genotype) -> bool:
        try:
            evaluator.check_prunable(genotype)
        except CandidateFailure:
            return False
        return True

    def _assert_smaller(self, evaluator: Evaluator, trial: Trial, whole: Measurement, again: bool) -> None:
        before = global_generators()
        *_, last = evaluator.evaluate(trial)
        assert global_generators() == before
        assert set(whole.metrics) <= set(last.metrics)
        assert all(math.isfinite(value) for value in last.metrics.values())
        for name in ("parameters", "multiply_adds"):
            assert last.metrics[name] < whole.metrics[name]
        assert len(last.artifacts["weights.safetensors"]) < len(whole.artifacts["weights.safetensors"])
        if again:
            disturb_global_generators(3)
            *_, other = evaluator.evaluate(trial)
            assert self._timeless(other) == self._timeless(last)

    def test_a_version_of_what_was_not_kept_fails(self) -> None:
        evaluator = self.make(self.epochs)
        if PruneChannels not in evaluator.jobs:
            pytest.skip("it prunes nothing")
        with pytest.raises(CandidateFailure, match="weights of trial 4 were not kept"):
            list(evaluator.evaluate(Trial(5, Proposal(self.genotypes()[0], parents=(4,), job=PruneChannels(0.5)), 1)))

    def test_whatever_epoch_a_training_is_continued_after_it_is_as_in_one_go(self) -> None:
        """All metrics and all files are the same to the last bit, the trained weights among them."""
        epochs = self.epochs_in_full
        for genotype in self.genotypes():
            trial = Trial(0, Proposal(genotype), 1)
            disturb_global_generators(1)
            whole = list(self._continuable(epochs).train(trial))
            assert [measurement.epoch for measurement in whole] == list(range(1, epochs + 1))
            assert "weights.safetensors" in whole[-1].artifacts
            for done in range(1, epochs + 1):
                disturb_global_generators(2)
                rest = list(self._continuable(epochs).train(trial, whole[done - 1].artifacts[CHECKPOINT]))
                assert [measurement.epoch for measurement in rest] == list(range(done + 1, epochs + 1))
                for again, measurement in zip(rest, whole[done:], strict=True):
                    assert self._timeless(again) == self._timeless(measurement)
                    assert again.metrics["seconds"] > whole[done - 1].metrics["seconds"]  # of the whole training

    def test_portions_one_after_another_are_a_training_in_full(self) -> None:
        """With one seed and the same hyperparameters to the last bit, the trained weights included."""
        epochs, genotype = self.epochs_in_full, self.genotypes()[0]
        whole = list(self._continuable(epochs).train(Trial(0, Proposal(genotype), 1)))
        start, measured = None, []
        for number in range(2):
            portion = TrainPortion(number, 2, member=0, continues=number - 1 if number else None)
            trial = Trial(number, Proposal(genotype, job=portion), 1, start=start)
            part = list(self._continuable(epochs).evaluate(trial))
            assert [m.epoch for m in part] == list(portion.epochs(epochs))
            assert WEIGHTS in part[-1].artifacts
            start = Start(number, genotype, part[-1].artifacts[CHECKPOINT])
            measured += part
        assert [self._timeless(m)[0] for m in measured] == [self._timeless(m)[0] for m in whole]
        assert self._timeless(measured[-1]) == self._timeless(whole[-1])

    def test_who_pauses_at_a_rung_goes_on_as_if_nothing_had_happened(self) -> None:
        """To the last bit, the trained weights included."""
        epochs, genotype = self.epochs_in_full, self.genotypes()[0]
        evaluator = self._continuable(epochs)
        if TrainRung not in evaluator.jobs:
            pytest.skip("it comes to no rungs")
        straight = TrainRung(0, 0, 2, 0, 2, epochs)
        whole = list(evaluator.evaluate(Trial(0, Proposal(genotype, job=straight), 1)))
        first, second = TrainRung(0, 0, 3, 0, 1, epochs), TrainRung(0, 1, 3, 1, 1, epochs, candidate=0, continues=0)
        paused = list(self._continuable(epochs).evaluate(Trial(0, Proposal(genotype, job=first), 1)))
        start = Start(0, genotype, paused[-1].artifacts[CHECKPOINT])
        further = list(self._continuable(epochs).evaluate(Trial(1, Proposal(genotype, job=second), 1, start=start)))
        assert [m.epoch for m in (*paused, *further)] == [1, 2]
        assert WEIGHTS in paused[-1].artifacts
        assert self._timeless(further[-1]) == self._timeless(whole[-1])
        assert self._timeless(paused[-1])[0] == self._timeless(whole[0])[0]

    def test_a_portion_goes_on_with_what_it_is_given_alone(self) -> None:
        epochs, genotypes = self.epochs_in_full, self.genotypes()
        evaluator = self._continuable(epochs)
        first = Trial(0, Proposal(genotypes[0], job=TrainPortion(0, epochs, 0)), 1)
        checkpoint = list(evaluator.evaluate(first))[-1].artifacts[CHECKPOINT]
        for number, tensors in ((1, None), (2, checkpoint), (1, checkpoint[:-1])):
            start = None if tensors is None else Start(0, genotypes[0], tensors)
            following = Proposal(genotypes[0], job=TrainPortion(number, epochs, 0, continues=0))
            with pytest.raises(UserError, match="checkpoint"):
                list(evaluator.evaluate(Trial(1, following, 2, start=start)))

    def test_a_training_in_full_begins_as_an_evaluation(self) -> None:
        trial = Trial(0, Proposal(self.genotypes()[0]), 1)
        trained = next(self._continuable(self.epochs_in_full).train(trial))
        evaluated = next(self.make(self.epochs_in_full).evaluate(trial))
        assert self._timeless(trained) == self._timeless(evaluated)

    def test_checkpoints_come_as_often_as_they_are_asked_for(self) -> None:
        trial = Trial(0, Proposal(self.genotypes()[0]), 1)
        measurements = self._continuable(self.epochs_in_full).train(trial, every=2)
        found = [measurement.epoch for measurement in measurements if CHECKPOINT in measurement.artifacts]
        assert found == [epoch for epoch in range(1, self.epochs_in_full + 1) if epoch in (2, 4, self.epochs_in_full)]

    def test_checkpoints_that_are_damaged_or_of_another_training_are_refused(self) -> None:
        genotypes, seed, epochs = self.genotypes(), 1, 1
        trial = Trial(0, Proposal(genotypes[0]), seed)
        checkpoint = next(self._continuable(epochs).train(trial)).artifacts[CHECKPOINT]
        refused = [
            (epochs + 1, trial, checkpoint),
            (epochs, Trial(0, Proposal(genotypes[0]), seed + 1), checkpoint),
            *((epochs, Trial(0, Proposal(other), seed), checkpoint) for other in genotypes[1:]),
            *((epochs, trial, checkpoint[:length]) for length in (0, 9, len(checkpoint) // 2, len(checkpoint) - 1)),
        ]
        for epochs_asked, asked, given in refused:
            with pytest.raises(UserError, match="checkpoint"):
                list(self._continuable(epochs_asked).train(asked, given))
