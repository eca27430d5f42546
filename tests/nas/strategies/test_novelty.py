"""Nothing is proposed twice, unless that is asked for."""

import numpy as np

from nas.core.trial import Proposal
from nas.strategies.mutation import propose_random
from nas.strategies.novelty import Seen
from nas.testing.toys import ToySpace

SMALL = ToySpace().restrict({"letter*": ("a",), "depth": (1, 2, 3), "source": (0,)})


def test_the_first_new_draw_is_taken_until_there_is_none():
    seen, generator = Seen(SMALL), np.random.default_rng(0)
    found = [seen.remember(seen.first_new(lambda: propose_random(SMALL, generator))) for _ in range(4)]
    assert {proposal.genotype.content["depth"] for proposal in found[:3]} == {1, 2, 3}
    assert found[3] is None
    assert seen.count == 3


def test_where_duplicates_are_wanted_nothing_counts_as_seen():
    seen = Seen(SMALL, duplicates=True)
    proposal = propose_random(SMALL, np.random.default_rng(0))
    assert seen.remember(seen.first_new(lambda: proposal)) is proposal
    assert proposal.genotype not in seen
    assert seen.first_new(lambda: proposal) is proposal
    assert seen.count == 1


def test_a_walk_leads_on_to_something_new_and_counts_its_mutations():
    space, generator = ToySpace(), np.random.default_rng(0)
    seen, start = Seen(space), Proposal(propose_random(space, generator).genotype, (7,))
    counted, silent = (seen.walk_on(start, space, generator, mutations) for mutations in (1, None))
    assert counted.genotype != start.genotype
    assert (counted.parents, counted.origin) == ((7,), "2 mutations")
    assert silent.origin == "further mutations, on to something new"
    everything = Seen(SMALL)
    for depth in (1, 2, 3):
        everything.add(SMALL.grow(lambda choice, depth=depth: depth))
    known = Proposal(SMALL.grow(lambda choice: 1))
    assert everything.walk_on(known, SMALL, generator) is None
