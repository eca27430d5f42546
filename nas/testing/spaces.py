"""The laws of search spaces."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from nas.core.errors import InvalidGenotype
from nas.core.genotype import Genotype
from nas.core.space import Evolvable, Restrictable, SearchSpace, Shape, Traceable, sample


class SpaceContract:
    """Subclass it and give `make`; `shapes` are those that genotypes are built for."""

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

    def test_the_same_generator_gives_the_same_genotypes_in_another_process(self, drawn: list[Genotype]) -> None:
        kind = type(self.make())
        program = (
            "import numpy as np; from nas.core.space import sample; import importlib;"
            f"kind = getattr(importlib.import_module({kind.__module__!r}), {kind.__qualname__!r});"
            "generator = np.random.default_rng(1); space = kind();"
            "print(*[sample(space, generator).id for _ in range(5)])"
        )
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert ran.stdout.split() == [genotype.id for genotype in drawn[:5]]

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
        for shape in self.shapes:
            for genotype in drawn[: self.built]:
                model = space.build(genotype, shape)
                with torch.no_grad():
                    assert model.eval()(torch.rand(2, *shape)).shape == (2, *shape)
                assert "\n" not in space.describe(genotype, shape)

    def test_building_twice_with_one_seed_gives_the_same_weights(
        self, space: SearchSpace, drawn: list[Genotype]
    ) -> None:
        weights = []
        for _ in range(2):
            torch.manual_seed(5)
            weights.append(space.build(drawn[0], self.shapes[0]).state_dict())
        assert weights[0].keys() == weights[1].keys()
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])

    def test_restricted_to_one_value_a_decision_is_no_longer_asked_for(
        self, space: SearchSpace, drawn: list[Genotype]
    ) -> None:
        if not isinstance(space, Restrictable):
            pytest.skip("the space cannot be narrowed")
        site, choice = next((s, c) for s, c in space.choices().items() if len(c.values) > 1)
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
