"""The laws of search spaces."""

from __future__ import annotations

import atexit
import functools
import inspect
import itertools
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nas.core.errors import InvalidGenotype
from nas.core.genotype import Genotype
from nas.core.space import Evolvable, Regularisable, Restrictable, SearchSpace, Shape, Traceable, drawing, sample
from nas.core.supernet import Relaxable, SharesWeights, SupernetPlan, perturbed


def disturb_global_generators(seed: int) -> None:
    """Seed those of random, NumPy and PyTorch, on which no proposal, genotype or measurement may depend."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def global_generators() -> tuple[object, ...]:
    """The states of those of random, NumPy and PyTorch, to be compared."""
    numpys = np.random.get_state(legacy=False)["state"]
    return random.getstate(), numpys["key"].tolist(), numpys["pos"], torch.get_rng_state().tolist()


_PROGRAM = """
import importlib, json, operator, sys, traceback
for line in sys.stdin:
    module, name, method = json.loads(line)
    try:
        suite = operator.attrgetter(name)(importlib.import_module(module))
        answer = ["made", getattr(suite(), method)()]
    except Exception:
        answer = ["raised", traceback.format_exc()]
    print("\\n@" + json.dumps(answer), flush=True)
"""


@functools.cache
def _another_process(root: str) -> subprocess.Popen[str]:
    """A process where strings hash otherwise; one for all suites of a folder, since to import PyTorch takes seconds."""
    hash_seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join([*sys.path, root])}
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(process.communicate)  # its input is closed, so it ends
    return process


def from_another_process(suite: type, method: str) -> list[str]:
    """What `method` of a new instance of this test class gives in a process where strings hash otherwise."""
    root = str(Path(inspect.getfile(suite)).parents[suite.__module__.count(".")])
    process = _another_process(root)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps([suite.__module__, suite.__qualname__, method]) + "\n")
    process.stdin.flush()
    answer = next((line for line in process.stdout if line.startswith("@")), None)
    if answer is None:
        _another_process.cache_clear()
        pytest.fail(f"{suite.__module__}.{suite.__qualname__} ends the other process: exit code {process.wait()}")
    kind, made = json.loads(answer[1:])
    if kind == "raised":
        pytest.fail(f"{suite.__module__}.{suite.__qualname__} does not run in another process:\n{made}")
    return list(made)


class SpaceContract:
    """Subclass it and give `make`; `shapes` are those that genotypes are built for, none if it builds nothing.

    `check` says what a built model must do: here, as autoencoders, give images of the shape of its input.

    The class is imported by its name in another process as well, so `make` needs nothing but itself.
    """

    genotypes = 200
    built = 12
    shapes: tuple[Shape, ...] = ((1, 8, 8),)

    def make(self) -> SearchSpace:
        """A new space."""
        raise NotImplementedError

    @pytest.fixture
    def space(self) -> SearchSpace:
        """A new space."""
        return self.make()

    @pytest.fixture
    def drawn(self, space: SearchSpace) -> list[Genotype]:
        """Genotypes drawn at random."""
        generator = np.random.default_rng(1)
        return [sample(space, generator) for _ in range(self.genotypes)]

    def _make_texts(self) -> list[str]:
        space, generator = self.make(), np.random.default_rng(1)
        drawn = [sample(space, generator) for _ in range(20)]
        made = [genotype.text for genotype in drawn]
        if isinstance(space, Evolvable):
            for first, second in itertools.pairwise(drawn):
                mutant, change = space.mutate(first, generator)
                made += [mutant.text, change, space.crossover(first, second, generator).text]
        return made

    def check(self, model: nn.Module, shape: Shape, whole: bool = True) -> None:
        """Fail unless the model is what the space promises for images of this shape.

        Args:
            whole: whether all of its parameters have a part in what it computes.
        """
        with torch.no_grad():
            assert model.eval()(torch.rand(2, *shape)).shape == (2, *shape)

    def _assert_builds(self, space: SearchSpace, genotype: Genotype) -> None:
        for shape in self.shapes:
            self.check(space.build(genotype, shape), shape)
            assert "\n" not in space.describe(genotype, shape)

    def test_json_round_trip_is_the_identity(self, drawn: list[Genotype]) -> None:
        for genotype in drawn:
            again = Genotype.parse(json.dumps(json.loads(genotype.text), indent=3))
            assert again == genotype
            assert hash(again) == hash(genotype)
            assert again.id == genotype.id

    def test_what_is_sampled_validates(self, space: SearchSpace, drawn: list[Genotype]) -> None:
        for genotype in drawn:
            space.validate(genotype)

    def test_growing_by_the_trace_gives_the_genotype_back(self, space: SearchSpace, drawn: list[Genotype]) -> None:
        if not isinstance(space, Traceable):
            pytest.skip("the space is not traceable")
        for genotype in drawn:
            answers = {d.choice.site: d.value for d in space.trace(genotype)}
            assert space.grow(lambda choice, answers=answers: answers[choice.site]) == genotype  # type: ignore[misc]

    def test_mutants_validate_and_differ(self, space: SearchSpace, drawn: list[Genotype]) -> None:
        if not isinstance(space, Evolvable):
            pytest.skip("the space is not evolvable")
        generator = np.random.default_rng(2)
        for genotype in drawn:
            mutant, change = space.mutate(genotype, generator)
            space.validate(mutant)
            assert mutant != genotype
            assert change

    def test_crossovers_validate(self, space: SearchSpace, drawn: list[Genotype]) -> None:
        if not isinstance(space, Evolvable):
            pytest.skip("the space is not evolvable")
        generator = np.random.default_rng(3)
        for first, second in itertools.pairwise(drawn):
            space.validate(space.crossover(first, second, generator))
            assert space.crossover(first, first, generator) == first

    def test_mutants_and_crossovers_build(self, space: SearchSpace, drawn: list[Genotype]) -> None:
        if not isinstance(space, Evolvable):
            pytest.skip("the space is not evolvable")
        generator = np.random.default_rng(5)
        for first, second in itertools.pairwise(drawn[: self.built + 1]):
            self._assert_builds(space, space.mutate(first, generator)[0])
            self._assert_builds(space, space.crossover(first, second, generator))

    def test_mutants_and_crossovers_keep_to_the_restrictions(self, space: SearchSpace, drawn: list[Genotype]) -> None:
        if not (isinstance(space, Restrictable) and isinstance(space, Evolvable)):
            pytest.skip("the space is not evolvable or cannot be narrowed")
        content, choices = drawn[0].content, space.choices()
        smaller = space.restrict({site: (content[site], choices[site].values[-1]) for site in content})
        assert isinstance(smaller, Evolvable)
        generator = np.random.default_rng(6)
        members = [sample(smaller, generator) for _ in range(self.genotypes)]
        for first, second in itertools.pairwise(members):
            smaller.validate(smaller.mutate(first, generator)[0])
            smaller.validate(smaller.crossover(first, second, generator))

    def test_regularised_genotypes_validate_and_have_the_same_weights(
        self, space: SearchSpace, drawn: list[Genotype]
    ) -> None:
        if not isinstance(space, Regularisable):
            pytest.skip("the space knows no regularisation")
        for genotype in drawn[: self.built]:
            shapes = [
                {name: value.shape for name, value in space.build(one, self.shapes[0]).state_dict().items()}
                for one in (genotype, *space.regularise(genotype))
                if self.shapes
            ]
            assert all(found == shapes[0] for found in shapes)
            for other in space.regularise(genotype):
                space.validate(other)
                assert other != genotype

    def test_equal_generators_give_equal_genotypes_whatever_the_global_ones(self) -> None:
        made = []
        for seed in (1, 2):
            disturb_global_generators(seed)
            before = global_generators()
            made.append(self._make_texts())
            assert global_generators() == before
        assert made[0] == made[1]

    def test_equal_generators_give_equal_genotypes_in_another_process(self) -> None:
        assert from_another_process(type(self), "_make_texts") == self._make_texts()

    def test_a_foreign_or_damaged_genotype_is_refused_with_the_path(
        self, space: SearchSpace, drawn: list[Genotype]
    ) -> None:
        genotype = drawn[0]
        with pytest.raises(InvalidGenotype, match="other"):
            space.validate(Genotype.of("other", space.version, genotype.content))
        with pytest.raises(InvalidGenotype, match="version"):
            space.validate(Genotype.of(space.name, space.version + 1, genotype.content))
        for site in genotype.content:
            rest = {name: value for name, value in genotype.content.items() if name != site}
            with pytest.raises(InvalidGenotype, match=site.replace(".", r"\.")):
                space.validate(Genotype.of(space.name, space.version, rest))

    def test_what_validates_builds_for_every_shape(self, space: SearchSpace, drawn: list[Genotype]) -> None:
        for genotype in drawn[: self.built]:
            self._assert_builds(space, genotype)

    def test_building_twice_with_one_seed_gives_the_same_weights(
        self, space: SearchSpace, drawn: list[Genotype]
    ) -> None:
        if not self.shapes:
            pytest.skip("the space builds nothing")
        weights = []
        for _ in range(2):
            torch.manual_seed(5)
            weights.append(space.build(drawn[0], self.shapes[0]).state_dict())
        assert weights[0].keys() == weights[1].keys()
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])

    def test_what_a_supernet_stands_for_is_of_the_space_and_builds(self, space: SearchSpace) -> None:
        if not isinstance(space, Relaxable) or not self.shapes:
            pytest.skip("the space has no supernets")
        generator = np.random.default_rng(7)
        try:
            base = space.base(drawing(generator, 0.75))
        except InvalidGenotype as error:
            pytest.skip(f"the space has no supernets for this data: {error}")
        space.validate(base)
        supernet = space.relax(base, self.shapes[0], SupernetPlan(1))
        architecture: Any = supernet.architecture
        alphas = perturbed(architecture.alphas(), generator)
        derived, guarded = space.derive(base, alphas), space.derive(base, alphas, max_skips=0)
        assert derived == space.derive(base, alphas)
        assert derived.skips == guarded.skips
        space.validate(derived.genotype)
        self._assert_builds(space, guarded.genotype)
        if isinstance(space, SharesWeights):  # a path of the supernet is a model as its candidate is
            architecture.follow(space.path(derived.genotype))
            self.check(supernet, self.shapes[0], whole=False)
            paths, shared = space.paths(base), space.relax(base, self.shapes[0], SupernetPlan(1, paths=()))
            paths.validate(derived.genotype)
            followed: Any = shared.architecture
            for _ in range(10):
                candidate = sample(paths, generator)
                space.validate(candidate)
                followed.follow(space.path(candidate))  # raises where the supernet has no such path
            self.check(shared, self.shapes[0], whole=False)

    def test_restricted_to_one_value_a_decision_is_no_longer_asked_for(
        self, space: SearchSpace, drawn: list[Genotype]
    ) -> None:
        if not isinstance(space, Restrictable):
            pytest.skip("the space cannot be narrowed")
        always = sorted(set.intersection(*(set(genotype.content) for genotype in drawn)))
        choice = max((space.choices()[site] for site in always), key=lambda choice: len(choice.values))
        site = choice.site
        smaller = space.restrict({site: (choice.values[-1],)})
        asked: set[str] = set()
        generator = np.random.default_rng(4)

        def answer(choice):  # type: ignore[no-untyped-def]
            asked.add(choice.site)
            return choice.values[int(generator.integers(len(choice.values)))]

        for _ in range(20):
            genotype = smaller.grow(answer)
            assert genotype.content[site] == choice.values[-1]
            space.validate(genotype)
        assert site not in asked
        assert smaller.size() < space.size()
