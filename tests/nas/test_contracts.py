"""The contract suites find what is wrong: each of these breaks one law, and its test fails."""

import json
import random

import numpy as np
import pytest
import torch

from nas.core.errors import InvalidGenotype, UserError
from nas.core.evaluator import CHECKPOINT, Evaluator
from nas.core.genotype import Genotype
from nas.core.job import Train, TrainPortion
from nas.core.space import sample
from nas.core.trial import Measurement, Proposal
from nas.strategies.evolution import Evolution
from nas.strategies.random import Random
from nas.testing import EvaluatorContract, SpaceContract, StrategyContract
from nas.testing.toys import ToyEvaluator, ToySpace


class HashSeeded(StrategyContract):
    def make(self, space, seed, trials):
        return Random(space, seed=hash(("x", str(seed))) % 2**32, trials=trials)


class GloballySeeding(StrategyContract):
    def make(self, space, seed, trials):
        random.seed(seed)
        return Random(space, seed=random.getrandbits(32), trials=trials)


class Drawing(Random):
    """Draws by a global generator; `reseed` may seed it before."""

    def __init__(self, space, *, seed, trials, draw, reseed):
        super().__init__(space, seed=seed, trials=trials)
        self._draw, self._reseed = draw, reseed

    def ask(self, number):
        self._reseed(self._seed + number)
        return Proposal(sample(self._space, np.random.default_rng(self._draw())), origin="random")


class GloballyDrawing(StrategyContract):
    def __init__(self, draw, reseed):
        self._draw, self._reseed = draw, reseed

    def make(self, space, seed, trials):
        return Drawing(space, seed=seed, trials=trials, draw=self._draw, reseed=self._reseed)


class Outer:
    class Right(StrategyContract):
        def make(self, space, seed, trials):
            return Evolution(space, seed=seed, trials=trials)


def test_strategies_that_depend_on_the_hashes_of_strings_are_found():
    Outer.Right().test_the_same_seed_gives_the_same_proposals_in_another_process()
    with pytest.raises(AssertionError):
        HashSeeded().test_the_same_seed_gives_the_same_proposals_in_another_process()


@pytest.mark.parametrize(
    "suite",
    [
        GloballySeeding(),
        GloballyDrawing(lambda: hash(random.getstate()) % 2**32, lambda seed: None),
        GloballyDrawing(lambda: random.getrandbits(32), lambda seed: None),
        GloballyDrawing(lambda: random.getrandbits(32), random.seed),
        GloballyDrawing(lambda: np.random.randint(2**31), lambda seed: None),
        GloballyDrawing(lambda: np.random.randint(2**31), np.random.seed),
        GloballyDrawing(lambda: int(torch.randint(2**31, ())), torch.manual_seed),
    ],
)
def test_strategies_that_use_the_global_generators_are_found(suite):
    with pytest.raises(AssertionError):
        suite.test_the_global_generators_have_no_effect_and_are_left_alone()


class Unbuildable(ToySpace):
    """Mutants and children whose depth is 0 validate, and are built to something else than an image."""

    def __init__(self, broken):
        super().__init__()
        self.broken = broken

    def validate(self, genotype):
        pass

    def _flat(self, genotype):
        return Genotype.of(self.name, self.version, {**genotype.content, "depth": 0})

    def mutate(self, genotype, generator):
        mutant, change = super().mutate(genotype, generator)
        return (self._flat(mutant) if self.broken == "mutate" else mutant), change

    def crossover(self, first, second, generator):
        child = super().crossover(first, second, generator)
        return self._flat(child) if self.broken == "crossover" else child

    def build(self, genotype, shape):
        return super().build(genotype, shape) if genotype.content["depth"] else torch.nn.Flatten()


class Unrestricted(ToySpace):
    """Forgets its restrictions in one of its variations."""

    def __init__(self, broken):
        super().__init__()
        self.broken = broken

    def mutate(self, genotype, generator):
        return (ToySpace() if self.broken == "mutate" else super()).mutate(genotype, generator)

    def crossover(self, first, second, generator):
        if self.broken == "crossover":
            return ToySpace().mutate(first, generator)[0]
        return super().crossover(first, second, generator)


@pytest.mark.parametrize("broken", ["mutate", "crossover"])
@pytest.mark.parametrize(
    ("space", "law"),
    [
        (Unbuildable, "test_mutants_and_crossovers_build"),
        (Unrestricted, "test_mutants_and_crossovers_keep_to_the_restrictions"),
    ],
)
def test_variations_that_leave_the_space_are_found(space, law, broken):
    generator = np.random.default_rng(1)
    drawn = [sample(ToySpace(), generator) for _ in range(20)]
    getattr(SpaceContract(), law)(ToySpace(), drawn)
    with pytest.raises((AssertionError, InvalidGenotype)):
        getattr(SpaceContract(), law)(space(broken), drawn)


class Varying(ToySpace):
    """Varies by a generator of its own."""

    def __init__(self, mutating=None, crossing=None):
        super().__init__()
        self._mutating, self._crossing = mutating, crossing

    def mutate(self, genotype, generator):
        seeded = np.random.default_rng(self._mutating(genotype)) if self._mutating else generator
        return super().mutate(genotype, seeded)

    def crossover(self, first, second, generator):
        seeded = np.random.default_rng(self._crossing(first)) if self._crossing else generator
        return super().crossover(first, second, seeded)


class GloballyMutating(SpaceContract):
    def make(self):
        return Varying(mutating=lambda genotype: random.getrandbits(32))


class GloballyCrossing(SpaceContract):
    def make(self):
        return Varying(crossing=lambda genotype: np.random.randint(2**31))


class GloballySeedingMutation(SpaceContract):
    def make(self):
        return Varying(mutating=lambda genotype: random.seed(5) or random.getrandbits(32))


class HashMutating(SpaceContract):
    def make(self):
        return Varying(mutating=lambda genotype: hash(genotype.text) % 2**32)


class HashCrossing(SpaceContract):
    def make(self):
        return Varying(crossing=lambda genotype: hash(genotype.text) % 2**32)


@pytest.mark.parametrize(
    ("suite", "law"),
    [
        (GloballyMutating, "test_equal_generators_give_equal_genotypes_whatever_the_global_ones"),
        (GloballyCrossing, "test_equal_generators_give_equal_genotypes_whatever_the_global_ones"),
        (GloballySeedingMutation, "test_equal_generators_give_equal_genotypes_whatever_the_global_ones"),
        (HashMutating, "test_equal_generators_give_equal_genotypes_in_another_process"),
        (HashCrossing, "test_equal_generators_give_equal_genotypes_in_another_process"),
    ],
)
def test_variations_that_depend_on_more_than_their_generator_are_found(suite, law):
    with pytest.raises(AssertionError):
        getattr(suite(), law)()


class Weighing(Evaluator):
    """Gives its initial weight, drawn by `weight` from the trial's seed."""

    metrics = ToyEvaluator.metrics

    def __init__(self, weight):
        self._weight = weight

    def evaluate(self, trial):
        yield Measurement(1, {"loss": self._weight(trial.seed)})


class Evaluators(EvaluatorContract):
    epochs = 1

    def __init__(self, weight):
        self._weight = weight

    def make(self, epochs):
        return Weighing(self._weight)

    def genotypes(self):
        return [sample(ToySpace(), np.random.default_rng(0))]


@pytest.mark.parametrize("draw", [lambda: torch.rand(()).item(), random.random, np.random.random])
def test_evaluators_whose_weights_are_not_those_of_the_trials_seed_are_found(draw):
    Evaluators(lambda seed: float(seed)).test_the_same_trial_gives_the_same_numbers()
    with pytest.raises(AssertionError):
        Evaluators(lambda seed: draw()).test_the_same_trial_gives_the_same_numbers()


class Walking(Evaluator):
    """A training whose weight walks at random; `flaw` is what is wrong with how it is continued."""

    metrics = ToyEvaluator.metrics
    jobs = frozenset({Train, TrainPortion})

    def __init__(self, epochs, flaw):
        self.epochs, self.flaw = epochs, flaw

    def evaluate(self, trial):
        for measurement in self.train(trial):
            measurement.artifacts.pop(CHECKPOINT)
            yield measurement

    def train(self, trial, checkpoint=None, *, every=1):
        own = [trial.seed, trial.genotype.id, self.epochs]
        done, weight = self.read(checkpoint, own) if checkpoint is not None else (0, 0.0)
        for epoch in range(done + 1, self.epochs + (self.flaw != "stops early")):
            step = torch.rand(()).item() if self.flaw == "draws globally" else (trial.seed * 7 + epoch * 5) % 11
            weight = 0.5 * weight + step
            files = {"weights.safetensors": str(weight).encode()} if epoch == self.epochs else {}
            if epoch % every == 0 or epoch == self.epochs or self.flaw == "always":
                kept = 0.0 if self.flaw == "forgets" else weight
                files[CHECKPOINT] = json.dumps([own, epoch, kept]).encode()
            yield Measurement(epoch, {"loss": weight, "seconds": float(epoch)}, files)

    def read(self, checkpoint, own):
        try:
            found, epoch, weight = json.loads(checkpoint)
        except ValueError:
            raise UserError("checkpoint", "", "a whole one") from None
        if found != own and self.flaw != "trusts":
            raise UserError("checkpoint", found, str(own))
        return (0 if self.flaw == "begins again" else epoch), weight


class Walks(EvaluatorContract):
    def __init__(self, flaw=""):
        self._flaw = flaw

    def make(self, epochs):
        return Walking(epochs, self._flaw)

    def genotypes(self):
        return [sample(ToySpace(), np.random.default_rng(seed)) for seed in (0, 1)]


@pytest.mark.parametrize(
    ("flaw", "law"),
    [
        ("forgets", "test_whatever_epoch_a_training_is_continued_after_it_is_as_in_one_go"),
        ("draws globally", "test_whatever_epoch_a_training_is_continued_after_it_is_as_in_one_go"),
        ("begins again", "test_whatever_epoch_a_training_is_continued_after_it_is_as_in_one_go"),
        ("stops early", "test_whatever_epoch_a_training_is_continued_after_it_is_as_in_one_go"),
        ("always", "test_checkpoints_come_as_often_as_they_are_asked_for"),
        ("trusts", "test_checkpoints_that_are_damaged_or_of_another_training_are_refused"),
    ],
)
def test_trainings_that_are_not_continued_as_they_were_are_found(flaw, law):
    getattr(Walks(), law)()
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        getattr(Walks(flaw), law)()


def test_a_training_that_begins_as_its_evaluation_is_accepted():
    Walks().test_a_training_in_full_begins_as_an_evaluation()
