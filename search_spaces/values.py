"""The values of choices: which is usual, which is meant, and which is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from nas.core.space import Choice, Decision, Generator, Value
from search_spaces.memory import Values

T = TypeVar("T")


def choose_usual(choice: Choice, values: tuple[Value, ...]) -> Value | None:
    """The usual value among those that are left: itself, or the nearest if the values have an order."""
    if choice.usual is None or choice.usual in values:
        return choice.usual
    if not choice.ordered:
        return None
    wanted = choice.values.index(choice.usual)
    return min(values, key=lambda value: abs(choice.values.index(value) - wanted))


def draw_other_value(decision: Decision, generator: Generator) -> Value:
    """A value that the decision could have had instead; half the time a neighbour of an ordered one's."""
    values = decision.choice.values
    index = values.index(decision.value)
    if decision.choice.ordered and generator.random() < 0.5:
        near = [i for i in (index - 1, index + 1) if 0 <= i < len(values)]
        return values[draw(near, generator)]
    return values[draw([i for i in range(len(values)) if i != index], generator)]


def draw(options: Sequence[T], generator: Generator) -> T:
    """One of the options, each as likely."""
    return options[int(generator.integers(len(options)))]


def contains(values: Values, value: object) -> bool:
    """Membership that tells 1 from True and from 1.0's text: a genotype's text must not change its type."""
    for candidate in values:  # noqa: SIM110 - asked at every choice, and twice as fast as any()
        if candidate is value or (type(candidate) is type(value) and candidate == value):
            return True
    return False


def means(given: object, value: Value) -> bool:
    """Whether what a user wrote, perhaps as text, stands for this value: ``1e-3`` for 0.001."""
    if isinstance(value, (bool, str)):
        return str(given).lower() == str(value).lower()
    try:
        return float(str(given)) == float(value)
    except ValueError:
        return False


def join(values: Values) -> str:
    """The values as a user reads them."""
    return ", ".join(map(str, values))
