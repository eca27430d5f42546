"""What a space has asked and decided before, so that it need not be found out again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nas.core.genotype import canonical_text
from nas.core.space import Choice, Decision, Role, Value

Values = Iterable[Value]
Free = dict[Role, dict[int, list[Decision]]]
"""Decisions by their role and level, both sorted."""
Written = tuple[Decision, str]
"""A decision, and what it is in a genotype's text."""
MOST_TRACES = 4_096
_MOST_FREE = 256


class Asked:
    """A choice as the program asks for it, and as it is narrowed; with all that can be decided."""

    __slots__ = ("asked", "choice", "decisions", "only", "source")

    def __init__(self, asked: Choice, narrowed: Choice, source: Values) -> None:
        self.asked, self.choice, self.source = asked, narrowed, source
        self.only = len(narrowed.values) == 1
        site = canonical_text(asked.site)
        self.decisions: dict[tuple[type, Value], Written] = {
            (type(value), value): (Decision(narrowed, value), f"{site}:{canonical_text(value)}")
            for value in narrowed.values
        }

    def is_same(self, values: Values, role: Role, ordered: bool, usual: Value | None, level: int) -> bool:
        """Whether the program asks as it did before."""
        one = self.asked
        return (
            ((values is self.source and type(values) is tuple) or one.values == tuple(values))
            and one.usual == usual
            and one.role == role
            and one.ordered == ordered
            and one.level == level
        )


class Memory:
    """What a space has met, under the restrictions that it has: to ask for everything anew takes long."""

    def __init__(self, restrictions: Mapping[str, tuple[Value, ...]]) -> None:
        self.restrictions = restrictions
        self.asked: dict[str, Asked] = {}
        self.traces: dict[str, tuple[Decision, ...]] = {}  # of genotypes, by their texts
        self._free: dict[str, tuple[dict[str, Value], Free]] = {}

    def remember(self, text: str, decisions: tuple[Decision, ...]) -> None:
        """Remember a genotype's decisions, and forget all others where there are very many."""
        if len(self.traces) >= MOST_TRACES:
            self.traces.clear()
        self.traces[text] = decisions

    def list_free(self, text: str, decisions: tuple[Decision, ...]) -> tuple[dict[str, Value], Free]:
        """A genotype's values by site, and those of its decisions that may change."""
        if text not in self._free:
            free = [d for d in decisions if len(d.choice.values) > 1]
            found: Free = {}
            for role, level in sorted({(d.choice.role, d.choice.level) for d in free}):
                own = [d for d in free if (d.choice.role, d.choice.level) == (role, level)]
                found.setdefault(role, {})[level] = own
            if len(self._free) >= _MOST_FREE:
                self._free.clear()
            self._free[text] = {d.choice.site: d.value for d in decisions}, found
        return self._free[text]
