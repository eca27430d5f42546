"""Where the best comes from: its parents, theirs, and what each child changed."""

from __future__ import annotations

from dataclasses import dataclass

from nas.core.job import TrainFinalist
from nas.core.trial import Trial
from nas.report.facts import Facts
from nas.report.words import name_operation

_MOST_CHANGES = 8


@dataclass(frozen=True)
class Step:
    """A trial in the line of the best.

    Attributes:
        made: how it was made, in words.
        changes: decisions that differ from the parent's: their site, before and after; "" where it did not arise.
        more: how many further changes are not listed.
        score: of the first objective; empty where it has none.
        gain: how the score differs from the parent's: better, worse or equal; empty where either has none.
        other: the number of a second parent.
    """

    trial: Trial
    made: str
    changes: tuple[tuple[str, str, str], ...]
    more: int
    score: str
    gain: str
    other: int | None


def trace_lineage(facts: Facts) -> list[Step]:
    """The line of the best from its first ancestor on; empty where it has no parent.

    Of two parents the better is followed. Parts of the finals are one step, the last of them.
    """
    if facts.best is None or not facts.best.proposal.parents:
        return []
    line = [facts.best]
    while parents := [facts.by_number[n] for n in line[-1].proposal.parents if n in facts.by_number]:
        child, parent = line[-1], min(parents, key=lambda trial: (trial.losses or (float("inf"),), trial.number))
        if isinstance(child.job, TrainFinalist) and isinstance(parent.job, TrainFinalist):
            line[-1] = child  # the parent is an earlier part of the same training
            grand = [facts.by_number[n] for n in parent.proposal.parents if n in facts.by_number]
            while grand and isinstance(grand[0].job, TrainFinalist):
                grand = [facts.by_number[n] for n in grand[0].proposal.parents if n in facts.by_number]
            if not grand:
                break
            parent = grand[0]
        line.append(parent)
    line.reverse()
    return [_make_step(facts, trial, parent) for parent, trial in zip([None, *line], line, strict=False)]


def _make_step(facts: Facts, trial: Trial, parent: Trial | None) -> Step:
    changes: list[tuple[str, str, str]] = []
    if parent is not None and facts.decisions:
        before, after = facts.decisions[parent.number], facts.decisions[trial.number]
        sites = dict.fromkeys([*after, *before])
        changes = [(s, _say(before.get(s)), _say(after.get(s))) for s in sites if before.get(s) != after.get(s)]
    final = isinstance(trial.job, TrainFinalist)
    gain = ""
    if parent is not None and trial.losses and parent.losses and max(trial.losses[0], parent.losses[0]) < float("inf"):
        difference = trial.losses[0] - parent.losses[0]
        gain = "better" if difference < 0 else "worse" if difference > 0 else "equal"
    others = [number for number in trial.proposal.parents if parent is None or number != parent.number]
    return Step(
        trial,
        "trained in full, in the finals" if final else _say_origin(trial, bool(changes)),
        tuple(changes[:_MOST_CHANGES]),
        max(0, len(changes) - _MOST_CHANGES),
        facts.format(trial, facts.objective.name),
        gain,
        None if final or not others or parent is None else others[0],
    )


def _say_origin(trial: Trial, listed: bool) -> str:
    """How it was made; what was changed is not said twice."""
    origin = trial.proposal.origin or "proposed"
    return origin.partition(":")[0] if listed else origin


def _say(value: object) -> str:
    return "" if value is None else name_operation(str(value))
