"""Spaces made of choices: sampling, mutation, crossover, restriction and size, derived from one program."""

from __future__ import annotations

import abc
import copy
import fnmatch
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, cast

from nas.core.errors import InvalidGenotype, UserError, unknown_name
from nas.core.genotype import Genotype
from nas.core.space import Choice, Choose, Condition, Decision, Generator, Role, Shape, Value, check_arising
from search_spaces import counting
from search_spaces.memory import Asked, Memory, Values, Written
from search_spaces.values import choose_usual, contains, draw, draw_other_value, join, means

if TYPE_CHECKING:
    from torch import nn


_USUALLY = 0.75  # a decision that arises by a mutation is the usual one


def is_within(site: str, *names: str) -> bool:
    """Whether a site was asked for within one of these names; see Asker.within."""
    return site.startswith(tuple([f"{name}." for name in names]))


def select_within(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The decisions that were asked for within `name`, by their sites there: the inverse of Asker.within."""
    return {site.removeprefix(f"{name}."): value for site, value in content.items() if is_within(site, name)}


class Asker:
    """Puts a space's questions to whoever answers them, under a common prefix of their sites."""

    def __init__(self, answer: Callable[..., Value], prefix: str = "", level: int = 0) -> None:
        self._answer, self._prefix, self._level = answer, prefix, level

    def within(self, name: str, level: int = 0) -> Asker:
        """The same, with sites ``name.site``; `level` is that of a hierarchy of motifs."""
        return Asker(self._answer, f"{self._prefix}{name}.", level)

    def choose(self, site: str, values: Values, role: Role, ordered: bool = False, usual: Value | None = None) -> Any:
        """A decision of any role."""
        return self._answer(self._prefix + site, values, role, ordered, usual, self._level)

    def operation(self, site: str, values: Iterable[str], usual: str | None = None) -> str:
        """Which operation an edge holds."""
        return str(self._answer(self._prefix + site, values, "operation", False, usual, self._level))

    def input(self, site: str, nodes: int) -> int:
        """Which of the `nodes` earlier nodes an edge comes from; usually the one before."""
        return int(self._answer(self._prefix + site, range(nodes), "input", False, nodes - 1, self._level))

    def structure(self, site: str, values: Values, ordered: bool = False, usual: Value | None = None) -> Any:
        """A decision about the network around the cells."""
        return self._answer(self._prefix + site, values, "structure", ordered, usual, self._level)

    def hyperparameter(self, site: str, values: Values, ordered: bool = False, usual: Value | None = None) -> Any:
        """A decision about the training."""
        return self._answer(self._prefix + site, values, "hyperparameter", ordered, usual, self._level)


class ChoiceSpace(abc.ABC):
    """A space whose genotype is the record of its choices: ``{site: value}``.

    A subclass writes `decide`, which asks for every choice in turn, conditional ones only when they arise, and
    `build`. A site must have the same values wherever it arises.

    Attributes:
        version: raised whenever the program asks otherwise than before; see `of_version`.
        prefers_usual: the version since which what arises by a mutation is mostly the usual.
        readable: earlier versions whose programs `decide` still is where `version` says so: their genotypes are read,
            trained and exported as they are, and their runs go on.
        renamed: what decisions were called in earlier versions, by their sites now; see nas.core.space.Renaming.
        task: the kind of model that it makes, by its task's name.
        data_kinds: the kinds of data that its models are made for.
        regularisers: the decisions about training that say how much it is kept from learning its data by heart, by
            their sites; see nas.core.space.Regularisable.
        condition: what the data tell of an example, such as its label, if that is known yet; see Conditionable.
        shape: of an example, if that is known yet; see Shapeable.
    """

    name: str
    version: int = 1
    readable: tuple[int, ...] = ()
    prefers_usual: int = 0
    renamed: Mapping[str, str] = {}
    regularisers: tuple[str, ...] = ()
    task: str
    data_kinds: tuple[str, ...] = ("image",)
    condition: Condition | None = None
    shape: Shape | None = None
    _memory: Memory | None = None

    def __init__(self) -> None:
        self._restrictions: dict[str, tuple[Value, ...]] = {}
        self._arising: Mapping[str, Choice] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_memory"}  # copies begin with none

    @abc.abstractmethod
    def decide(self, ask: Asker) -> None:
        """Ask for every choice."""

    @abc.abstractmethod
    def build(self, genotype: Genotype, shape: Shape) -> nn.Module:
        """The model, with new weights, for examples (N, *shape)."""

    def describe(self, genotype: Genotype, shape: Shape) -> str:
        """One line that tells a person what the architecture is: by default its decisions but those about training."""
        decided = (d for d in self.trace(genotype) if d.choice.role != "hyperparameter")
        return ", ".join(f"{d.choice.site.replace('_', ' ')} {d.value}" for d in decided)

    def conditioned(self, condition: Condition | None) -> Self:
        """The same space, restrictions included, with models for data of this condition."""
        space = copy.copy(self)
        space.condition, space._arising = condition, None  # and, as it is a copy, no memory
        return space

    def shaped(self, shape: Shape) -> Self:
        """The same space, restrictions included, with models for examples of this shape; see Shapeable."""
        space = copy.copy(self)
        space.shape, space._arising = shape, None
        return space

    def of_version(self, version: int) -> Self:
        """The same space, restrictions included, as it was in an earlier version; see nas.core.space.Versioned."""
        if version == self.version:
            return self
        if version not in self.readable:
            raise self._name_other(self.name, version)
        space = copy.copy(self)
        space.version, space._arising = version, None
        return space

    def _name_other(self, space: str, version: int) -> InvalidGenotype:
        return InvalidGenotype("genotype", f"is of {space} version {version}, not {self.name} version {self.version}")

    # -- growing and its inverse

    def _recall(self) -> Memory:
        if self._memory is None or self._memory.restrictions is not self._restrictions:
            self._memory = Memory(self._restrictions)
        return self._memory

    def _decide(self, choose: Choose) -> dict[str, Written]:
        """Run the program; give the decisions by site."""
        made: dict[str, Written] = {}
        asked = self._recall().asked

        def answer(site: str, values: Values, role: Role, ordered: bool, usual: Value | None, level: int) -> Value:
            if site in made:
                raise AssertionError(f"{self.name} asks for {site} twice")
            known = asked.get(site)
            if known is None or not known.is_same(values, role, ordered, usual, level):
                choice = Choice(site, tuple(values), role, ordered, usual, level)
                known = asked[site] = Asked(choice, self._narrow(choice), values)
            choice = known.choice
            value = choice.values[0] if known.only else choose(choice)
            try:
                decision, _ = made[site] = known.decisions[type(value), value]
            except (KeyError, TypeError):  # not one of the values, or nothing that could be one
                raise InvalidGenotype(site, f"{value!r} is not one of {join(choice.values)}") from None
            return decision.value

        self.decide(Asker(answer))
        return made

    def _decisions(self, choose: Choose) -> tuple[Decision, ...]:
        """Run the program; choices narrowed to one value are not asked for."""
        return tuple([decision for decision, _ in self._decide(choose).values()])

    def grow(self, choose: Choose) -> Genotype:
        """The genotype that `choose` answers; see SearchSpace.grow."""
        made = self._decide(choose)
        ordered = [(site, *made[site]) for site in sorted(made)]
        content = {site: decision.value for site, decision, _ in ordered}
        genotype = Genotype.written(self.name, self.version, content, ",".join([text for *_, text in ordered]))
        self._recall().remember(genotype.text, tuple([decision for decision, _ in made.values()]))
        return genotype

    def trace(self, genotype: Genotype) -> tuple[Decision, ...]:
        """Every decision of a genotype in order.

        Raises:
            InvalidGenotype: it is of another space or version, or lacks, exceeds or mistakes a decision.
        """
        memory = self._recall()
        if (known := memory.traces.get(genotype.text)) is not None:
            return known
        if genotype.space != self.name:
            raise self._name_other(genotype.space, genotype.version)
        content = genotype.content

        def recorded(choice: Choice) -> Value:
            if choice.site not in content:
                raise InvalidGenotype(choice.site, "is not decided")
            return cast(Value, content[choice.site])

        decisions = self.of_version(genotype.version)._decisions(recorded)
        for decision in decisions:  # those with one value were not asked for
            site = decision.choice.site
            if not contains((decision.value,), recorded(decision.choice)):
                raise InvalidGenotype(site, f"{content[site]!r} is not {decision.value!r}")
        extra = set(content) - {decision.choice.site for decision in decisions}
        if extra:
            raise InvalidGenotype(min(extra), "does not arise with the other decisions")
        memory.remember(genotype.text, decisions)
        return decisions

    def validate(self, genotype: Genotype) -> None:
        """Raise InvalidGenotype unless the genotype is one of this space, restrictions included."""
        self.trace(genotype)

    def hyperparameters(self, genotype: Genotype) -> Mapping[str, Value]:
        """The decisions about training, by site."""
        return {d.choice.site: d.value for d in self.trace(genotype) if d.choice.role == "hyperparameter"}

    # -- variation

    def mutate(self, genotype: Genotype, generator: Generator) -> tuple[Genotype, str]:
        """Change one decision; what then arises anew is mostly the usual, and else drawn at random.

        The kind of mutation (operation, input, structure, hyperparameter) is drawn first and the decision
        second, as Real et al. 2019 (section 3.2) draw between an operation and a hidden-state mutation; so the
        many edges of cells do not crowd out the rest. In a hierarchy of motifs the level is drawn before the
        decision (Liu et al. 2018, section 3.1). An ordered decision moves to a neighbouring value with
        probability one half.
        """
        decided, free = self._recall().list_free(genotype.text, self.trace(genotype))
        if not free:
            return genotype, "nothing is free to change"
        role = draw(list(free), generator)
        levels = free[role]
        level = draw(list(levels), generator) if len(levels) > 1 else next(iter(levels))
        chosen = draw(levels[level], generator)
        value = draw_other_value(chosen, generator)
        answers = {**decided, chosen.choice.site: value}

        def answer(choice: Choice) -> Value:
            if choice.site in answers:
                return answers[choice.site]
            # runs of earlier versions are gone on with as they began
            if choice.usual is not None and self.version >= self.prefers_usual and generator.random() < _USUALLY:
                return choice.usual
            return draw(choice.values, generator)

        return self.grow(answer), f"{role} {chosen.choice.site}: {chosen.value} -> {value}"

    def crossover(self, first: Genotype, second: Genotype, generator: Generator) -> Genotype:
        """Uniform crossover: each decision comes from either parent, where that parent has made it."""
        parents = [{d.choice.site: d.value for d in self.trace(parent)} for parent in (first, second)]

        def inherit(choice: Choice) -> Value:
            return draw([p[choice.site] for p in parents if choice.site in p] or choice.values, generator)

        return self.grow(inherit)

    def regularise(self, genotype: Genotype) -> tuple[Genotype, ...]:
        """The same architecture with more regularisation, a decision at a time; see Regularisable.regularise.

        Of a decision with an order, as a weight decay, the largest value that is allowed; of others every other one.
        """
        decided = {d.choice.site: d for d in self.trace(genotype)}
        found: list[Genotype] = []
        for site in self.regularisers:
            if (decision := decided.get(site)) is None:
                continue
            values = decision.choice.values[-1:] if decision.choice.ordered else decision.choice.values
            answers = {name: made.value for name, made in decided.items()}
            for value in values:
                if value != decision.value:
                    found.append(self.grow(lambda choice, changed={**answers, site: value}: changed[choice.site]))  # type: ignore[misc]
        return tuple(found)

    # -- restriction

    def restrict(self, restrictions: Mapping[str, tuple[Value, ...]], option: str = "--restrict") -> Self:
        """This space with fewer values; see Restrictable.restrict."""
        known = self.choices()
        narrowed = dict(self._restrictions)
        for pattern, values in restrictions.items():
            sites = [pattern] if pattern in known else fnmatch.filter(known, pattern)
            if not sites:
                every = self._with_restrictions({}).choices()
                if not fnmatch.filter(every, pattern):
                    raise unknown_name(option, pattern, every)
                check_arising(known, [pattern], option, "never arises in the space as it is restricted")
            for site in sites:
                allowed = known[site].values
                unknown = [value for value in values if not any(means(value, v) for v in allowed)]
                if unknown or not values:
                    wrong = join(unknown) if unknown else "nothing"
                    raise UserError(option, f"{site}={wrong}", join(allowed))
                narrowed[site] = tuple(v for v in allowed if any(means(value, v) for value in values))
        smaller = self._with_restrictions(narrowed)
        check_arising(smaller.choices(), restrictions, option, "never arises together with the other restrictions")
        return smaller

    def _with_restrictions(self, restrictions: Mapping[str, tuple[Value, ...]]) -> Self:
        space = copy.copy(self)
        space._restrictions, space._arising = dict(restrictions), None
        return space

    def _narrow(self, choice: Choice) -> Choice:
        allowed = self._restrictions.get(choice.site)
        if allowed is None:
            return choice
        values = tuple(value for value in choice.values if value in allowed)
        return replace(choice, values=values, usual=choose_usual(choice, values))

    def choices(self) -> Mapping[str, Choice]:
        """Every choice point that can arise, by site; see search_spaces.counting.ArisingChoices."""
        if self._arising is None:
            left_out = ("_arising", "_restrictions", "_memory")
            own = {name: value for name, value in vars(self).items() if name not in left_out}
            state = (type(self), tuple(own.items()), tuple(self._restrictions.items()))  # all that they can depend on
            self._arising = counting.list_choices(state, self._decisions)
        return self._arising

    def size(self) -> float:
        """How many genotypes there are, an estimate where choices are conditional; see search_spaces.counting."""
        return counting.estimate_size(self._decisions)
