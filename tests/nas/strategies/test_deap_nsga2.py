"""NSGA-II on DEAP's operators, with two objectives; the laws of every strategy are tested with the others."""

import random
import subprocess
import sys

import numpy as np
import pytest

from nas.core.errors import UserError
from nas.core.pareto import non_dominated_sort, pareto_front
from nas.core.space import sample
from nas.core.trial import Measurement, Outcome, Trial
from nas.strategies.deap_nsga2 import DeapNSGA2
from nas.testing.toys import ToySpace, toy_loss


def two_losses(genotype):
    """How far from the toy's optimum, and how many letters are not ``a``: at the optimum six, so they conflict."""
    return toy_loss(genotype), float(sum(genotype.content[f"letter{i}"] != "a" for i in range(8)))


def told(number, proposal, losses):
    if losses is None:
        infinite = (float("inf"), float("inf"))
        return Trial(number, proposal, 0, (), Outcome("diverged", "nan"), infinite)
    metrics = {"loss": losses[0], "letters": losses[1]}
    return Trial(number, proposal, 0, (Measurement(1, metrics),), Outcome("complete"), losses)


def run(strategy, trials, failing=()):
    history = []
    for number in range(trials):
        proposal = strategy.ask(number)
        trial = told(number, proposal, None if number in failing else two_losses(proposal.genotype))
        strategy.tell(trial)
        history.append(trial)
    return history


def volume(points, reference=(9.0, 9.0)):
    """The area that a front dominates, up to a reference point; more is better."""
    area, ceiling = 0.0, reference[1]
    for x, y in (points[index] for index in pareto_front(points)):
        if x < reference[0] and y < ceiling:
            area += (reference[0] - x) * (ceiling - y)
            ceiling = y
    return area


def test_its_front_dominates_more_than_random_searchs():
    found, drawn = [], []
    for seed in range(5):
        found.append(volume([trial.losses for trial in run(DeapNSGA2(ToySpace(), seed=seed, trials=150), 150)]))
        generator = np.random.default_rng(seed)
        drawn.append(volume([two_losses(sample(ToySpace(), generator)) for _ in range(150)]))
    assert min(found) > max(drawn)
    assert np.mean(found) > np.mean(drawn) + 8


def test_the_hall_of_fame_is_the_front_and_its_best_is_recommended():
    strategy = DeapNSGA2(ToySpace(), seed=1, trials=120)
    history = run(strategy, 120, failing=(2, 30, 31))
    losses = [trial.losses for trial in history]
    front = [losses[index] for index in pareto_front(losses)]
    assert [losses[number] for number in strategy.front] == sorted(set(front))
    best = min(history, key=lambda trial: (trial.losses, trial.number))
    assert strategy.recommend() == strategy.front[0] == best.number


def test_the_population_keeps_the_first_fronts():
    strategy = DeapNSGA2(ToySpace(), seed=2, trials=100, population=20)
    history = run(strategy, 60)
    members = {member.trial.number for member in strategy._population}
    assert len(members) == 20
    # elitist: each step drops one of the last front, so the first front stays while there is room for it
    losses = [trial.losses for trial in history]
    first = non_dominated_sort(losses)[0]
    assert len(members & set(first)) == min(20, len(first))


def test_children_have_parents_of_the_population():
    strategy = DeapNSGA2(ToySpace(), seed=3, trials=100, population=10)
    origins = set()
    for number in range(80):
        members = {member.trial.number for member in strategy._population}
        proposal = strategy.ask(number)
        if number < 10:
            assert proposal.origin == "random"
        else:
            assert set(proposal.parents) <= members
            assert len(set(proposal.parents)) == len(proposal.parents)
            origins.add((len(proposal.parents), proposal.origin.partition(":")[0]))
        strategy.tell(told(number, proposal, two_losses(proposal.genotype)))
    assert {(2, "crossover and mutation"), (1, "mutation")} <= origins
    alone = run(DeapNSGA2(ToySpace(), seed=3, trials=60, population=10, crossover=0.0), 60)
    assert all(len(trial.proposal.parents) == 1 for trial in alone[10:])


def test_asked_ahead_and_told_late_it_repeats_nothing_and_replays():
    events = []
    strategy = DeapNSGA2(ToySpace(), seed=4, trials=80)
    running = []
    for number in range(80):
        proposal = strategy.ask(number)
        events.append(("ask", number, proposal))
        running.append(number)
        if len(running) == 7:
            late = running.pop(3)
            trial = told(late, events_of(events, late), two_losses(events_of(events, late).genotype))
            events.append(("tell", late, trial))
            strategy.tell(trial)
    proposals = [what for kind, _, what in events if kind == "ask"]
    assert len({proposal.genotype for proposal in proposals}) == 80
    again = DeapNSGA2(ToySpace(), seed=4, trials=80)
    for kind, number, what in events:
        random.seed(number)
        before = random.getstate()
        if kind == "ask":
            assert again.ask(number) == what
        else:
            again.tell(what)
        assert random.getstate() == before
    assert again.front == strategy.front


def events_of(events, number):
    return next(what for kind, of, what in events if kind == "ask" and of == number)


def test_where_nearly_all_fail_it_goes_on_drawing():
    strategy = DeapNSGA2(ToySpace(), seed=5, trials=40)
    history = run(strategy, 40, failing=tuple(number for number in range(40) if number % 13))
    assert [trial.number for trial in history if trial.number in strategy.front]
    assert all(not trial.proposal.parents for trial in history)


@pytest.mark.parametrize("options", [{"population": 3}, {"crossover": 1.5}, {"usual": -0.1}])
def test_impossible_options_are_refused(options):
    with pytest.raises(UserError, match="--set"):
        DeapNSGA2(ToySpace(), seed=0, trials=10, **options)


def test_deap_is_imported_only_when_it_is_used():
    program = (
        "import sys\nfrom nas import registry\nregistry.load('strategy', 'deap-nsga2')\nsys.exit('deap' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
