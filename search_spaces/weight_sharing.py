"""Spaces made of choices whose candidates are paths through supernets: what all of them do alike."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Self

from nas.core.errors import InvalidGenotype
from nas.core.genotype import Genotype
from nas.core.space import Choice, Choose, Value
from nas.core.supernet import Alphas, Derived
from search_spaces.choices import ChoiceSpace

Preference = Value | Callable[[tuple[Value, ...]], Value]
"""What a base takes where the space allows it: a value, or what chooses one of a choice's values, such as `max`."""


class WeightSharingSpace(ChoiceSpace):
    """A choice space with supernets, which leave some of its decisions open; see nas.core.supernet.SharesWeights.

    A subclass writes `is_relaxed` and `derive_decisions`, and of SharesWeights `base`, `relax` and `path`.

    Attributes:
        required: what some decisions of a base must be.
    """

    required: Mapping[str, Value] = {}

    @abc.abstractmethod
    def is_relaxed(self, choice: Choice) -> bool:
        """Whether supernets leave this choice open."""

    @abc.abstractmethod
    def derive_decisions(self, base: Genotype, alphas: Alphas, max_skips: int | None) -> tuple[dict[str, Value], int]:
        """The relaxed decisions that alphas stand for, and the skips of the cell with the most, without the guard."""

    def grow_base(self, choose: Choose, preferred: Mapping[str, Preference]) -> Genotype:
        """A genotype grown by `choose`, but for what is `required` and `preferred`, by site.

        Raises:
            InvalidGenotype: the space, as it is restricted, does not allow what is required.
        """
        wanted = {**preferred, **self.required}

        def answer(choice: Choice) -> Value:
            value = wanted.get(choice.site)
            if callable(value):
                return value(choice.values)
            return value if value in choice.values else choose(choice)

        genotype = self.grow(answer)
        for site, needed in self.required.items():
            if genotype.content[site] != needed:
                raise InvalidGenotype(site, f"is {genotype.content[site]!r}, a supernet needs {needed!r}")
        return genotype

    def derive(self, genotype: Genotype, alphas: Alphas, max_skips: int | None = None) -> Derived:
        """The base with the relaxed decisions that the alphas stand for; see Relaxable.derive."""
        decided, skips = self.derive_decisions(genotype, alphas, max_skips)
        derived = Genotype.of(self.name, self.version, {**genotype.content, **decided})
        self.validate(derived)
        return Derived(derived, skips)

    def paths(self, base: Genotype) -> Self:
        """This space with all but the relaxed decisions as the base has them; see SharesWeights.paths."""
        fixed = {d.choice.site: (d.value,) for d in self.trace(base) if not self.is_relaxed(d.choice)}
        return self.restrict(fixed, "--weight-sharing")
