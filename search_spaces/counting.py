"""How many genotypes a program of choices can make, and which choices can arise, found by growing it many times."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping

from nas.core.space import Choice, Choose, Decision, Value

Grow = Callable[[Choose], tuple[Decision, ...]]
"""Runs the program with the answers of its argument."""

_WALKS = 200
_ROUNDS = 16
_EFFECTIVE = 0.2
_FOUND: dict[Hashable, ArisingChoices] = {}
_MOST_FOUND = 256


class ArisingChoices(Mapping[str, Choice]):
    """Every choice point that can arise, by site, in the order of first arising.

    Found by growing until 300 times in a row show nothing new, which takes up to a second; looking up a site that
    there is grows only until it arises. Each choice takes, by the toss of a coin of fixed seed, the value used least
    so far (so that every value is visited) or any (so that no two decisions stay in step, and what depends on several
    is visited as well).
    """

    def __init__(self, grow: Grow) -> None:
        self._grow = grow
        self._found: dict[str, Choice] = {}
        self._used: dict[tuple[str, Value], int] = {}
        self._random = random.Random(0)  # noqa: S311 - nothing secret, and faster than NumPy's for single numbers
        self._idle = 0  # how many growths in a row have shown nothing new

    def __getitem__(self, site: str) -> Choice:
        while site not in self._found and self._continue():
            pass
        return self._found[site]

    def __iter__(self) -> Iterator[str]:
        while self._continue():
            pass
        return iter(self._found)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _continue(self) -> bool:
        """Grow once more, unless everything is found."""
        if self._idle == 300:
            return False
        before = len(self._found), len(self._used)
        for decision in self._grow(self._visit):
            self._found.setdefault(decision.choice.site, decision.choice)
        self._idle = self._idle + 1 if before == (len(self._found), len(self._used)) else 0
        return True

    def _visit(self, choice: Choice) -> Value:
        site, used, toss = choice.site, self._used, self._random.random
        if toss() < 0.5:
            counts = [used.get((site, value), 0) for value in choice.values]
            value = choice.values[counts.index(min(counts))]
        else:
            value = choice.values[int(toss() * len(choice.values))]
        used[site, value] = used.get((site, value), 0) + 1
        return value


def list_choices(state: Hashable, grow: Grow) -> Mapping[str, Choice]:
    """Give the choices that arise; those of an equal `state`, if it can be compared, are found once."""
    try:
        found = _FOUND.get(state)
    except TypeError:  # something of it cannot be compared
        return ArisingChoices(grow)
    if found is None:
        if len(_FOUND) == _MOST_FOUND:
            _FOUND.clear()
        found = _FOUND[state] = ArisingChoices(grow)
    return found


def estimate_size(grow: Grow) -> float:
    """How many genotypes there are: exact where nothing is conditional, else Knuth's (1975) unbiased estimate.

    A walk's inverse probability is unbiased for any probabilities of the answers, and nearly certain where each
    value is as probable as its share of the genotypes. Those are learned in some rounds first (adaptive importance
    sampling; weights are flattened so far that a fifth of the walks count): walks that draw uniformly hardly ever
    meet the large structures which are nearly all of the genotypes.
    """
    draw = random.Random(0)  # noqa: S311
    shares: dict[str, list[float]] = {}

    def walk() -> tuple[tuple[Decision, ...], float]:
        log_weight = 0.0

        def answer(choice: Choice) -> Value:
            nonlocal log_weight
            share = shares.get(choice.site)
            if share is None:
                log_weight += math.log(len(choice.values))
                return choice.values[int(draw.random() * len(choice.values))]
            index = draw.choices(range(len(share)), share)[0]
            log_weight -= math.log(share[index])
            return choice.values[index]

        decisions = grow(answer)
        return decisions, log_weight

    for _ in range(_ROUNDS):
        walks = [walk() for _ in range(_WALKS)]
        logs = [log_weight for _, log_weight in walks]
        if not shares and max(logs) - min(logs) < 1e-9:
            return float(math.prod(len(decision.choice.values) for decision in walks[0][0]))
        weights, power = _flatten(logs)
        for choice, weighed in _group_by_choice(walks, weights).items():
            shares[choice.site] = _estimate_shares(choice, weighed)
        if power == 1.0:
            break
    found = [math.exp(log_weight) for _, log_weight in (walk() for _ in range(3 * _WALKS))]
    return sum(found) / len(found)


def _group_by_choice(
    walks: list[tuple[tuple[Decision, ...], float]], weights: list[float]
) -> dict[Choice, list[tuple[Value, float]]]:
    found: dict[Choice, list[tuple[Value, float]]] = defaultdict(list)
    for (decisions, _), weight in zip(walks, weights, strict=True):
        for decision in decisions:
            found[decision.choice].append((decision.value, weight))
    return found


def _estimate_shares(choice: Choice, weighed: list[tuple[Value, float]]) -> list[float]:
    """Shares of the values, a tenth uniform, so that none is given up; uniform unless clearly not (chi-squared)."""
    number, total = len(choice.values), sum(weight for _, weight in weighed)
    effective = total**2 / sum(weight**2 for _, weight in weighed)
    shares = [sum(weight for v, weight in weighed if v == value) / total for value in choice.values]
    deviation = effective * sum((share - 1 / number) ** 2 * number for share in shares)
    if deviation < number - 1 + 3 * math.sqrt(2 * (number - 1)):
        return [1 / number] * number
    return [0.9 * share + 0.1 / number for share in shares]


def _flatten(logs: list[float]) -> tuple[list[float], float]:
    """The weights to the highest power, at most 1, at which the effective number of walks is large enough."""
    low, high, power, top = 0.0, 1.0, 1.0, max(logs)
    for _ in range(12):
        weights = [math.exp(power * (log - top)) for log in logs]
        if sum(weights) ** 2 / sum(weight**2 for weight in weights) < _EFFECTIVE * len(weights):
            high = power
        elif power == 1.0:
            return weights, power
        else:
            low = power
        power = (low + high) / 2
    return [math.exp(low * (log - top)) for log in logs], low
