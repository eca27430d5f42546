"""What spaces remember of what they have asked and decided, and that it changes nothing."""

import copy
import pickle

import numpy as np
import pytest

from nas.core.errors import InvalidGenotype
from nas.core.genotype import Genotype
from nas.core.space import Condition, sample
from search_spaces import memory
from search_spaces.autoencoder.space import AutoencoderSpace
from search_spaces.choices import ChoiceSpace
from search_spaces.gan.space import GanSpace


@pytest.mark.parametrize("make", [AutoencoderSpace, lambda: GanSpace().conditioned(Condition("label", 10))])
def test_genotypes_are_written_as_json_writes_them_and_traced_as_by_a_space_that_has_met_nothing(make):
    space, generator = make(), np.random.default_rng(0)
    genotype = sample(space, generator)
    for _ in range(40):
        again = Genotype.of(space.name, space.version, dict(reversed(genotype.content.items())))
        assert again.text == genotype.text
        assert list(again.content.items()) == list(genotype.content.items())
        assert list(map(type, Genotype(genotype.text).content.values())) == list(map(type, genotype.content.values()))
        assert make().trace(Genotype(genotype.text)) == space.trace(genotype)
        other, _ = space.mutate(genotype, np.random.default_rng(1))
        assert make().mutate(Genotype(genotype.text), np.random.default_rng(1))[0] == other
        genotype, _ = space.mutate(genotype, generator)


def test_a_restricted_space_has_met_nothing():
    space = AutoencoderSpace().conditioned(None)
    genotype = space.grow(lambda choice: 8 if choice.site == "latent" else choice.values[0])
    assert space.trace(genotype)
    smaller = space.restrict({"latent": (16,)})
    with pytest.raises(InvalidGenotype, match="latent"):
        smaller.trace(genotype)
    changed = copy.copy(space)
    changed._restrictions = {"latent": (32,)}
    with pytest.raises(InvalidGenotype, match="latent"):
        changed.trace(genotype)
    assert space.trace(genotype)


def test_copies_for_other_processes_bring_no_memory():
    space = AutoencoderSpace().conditioned(None)
    size = len(pickle.dumps(space))
    for seed in range(50):
        sample(space, np.random.default_rng(seed))
    assert len(pickle.dumps(space)) == size
    assert copy.copy(space)._memory is None


class Whimsical(ChoiceSpace):
    """Asks for one site in different ways."""

    name = "whimsical"

    def decide(self, ask):
        several = ask.structure("several", (False, True))
        ask.structure("which", (1, 2, 3) if several else (1, 2), usual=2 if several else 1)

    def build(self, genotype, shape):
        raise NotImplementedError


def test_a_site_that_is_asked_for_otherwise_is_met_anew():
    space, seen = Whimsical(), []
    for several in (True, False, True):
        space.grow(lambda choice, several=several: seen.append(choice) or (several if choice.site == "several" else 1))
    assert [(choice.values, choice.usual) for choice in seen[1::2]] == [((1, 2, 3), 2), ((1, 2), 1), ((1, 2, 3), 2)]
    with pytest.raises(InvalidGenotype, match="which: 3 is not one of 1, 2"):
        space.trace(Genotype.of("whimsical", 1, {"several": False, "which": 3}))
    for faulty in ([1], 1.0, True, None):
        with pytest.raises(InvalidGenotype, match="which"):
            space.trace(Genotype.of("whimsical", 1, {"several": False, "which": faulty}))


def test_what_is_remembered_has_an_end(monkeypatch):
    monkeypatch.setattr(memory, "MOST_TRACES", 5)
    space = AutoencoderSpace().conditioned(None)
    for seed in range(20):
        sample(space, np.random.default_rng(seed))
        assert len(space._recall().traces) <= 5
