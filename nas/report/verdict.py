"""Whether a search has paid: its best beside the usual genotype, and beside what is simpler than any model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nas.report.facts import Facts
from nas.report.words import format_number, format_seconds, name_metric


@dataclass(frozen=True)
class Rival:
    """A row of the comparison: who, with which score on the test part, after which training.

    Attributes:
        share: of the longest bar, from 0 to 1.
    """

    name: str
    score: str
    trained: str
    share: float
    best: bool = False


@dataclass(frozen=True)
class Verdict:
    """The answer in a sentence, what it rests on, and what is to be kept in mind of it."""

    sentence: str
    rivals: tuple[Rival, ...]
    notes: tuple[str, ...]


def judge(facts: Facts) -> Verdict | None:
    """Say whether the best of a run beats what was to be beaten, on the test part; None where that was not measured."""
    run, objective = facts.run, facts.objective
    compared, tested = run.compared, run.tested
    if facts.best is None or objective.name not in tested or not compared:
        return None
    own = tested[objective.name]
    rows = [(f"the best, trial {facts.best.number}", own, facts.best.metrics.get("seconds"), True)]
    others: list[tuple[str, float]] = []
    usual = compared.get("usual")
    if usual is not None and objective.name in usual["test"]:
        score = usual["test"][objective.name]
        rows.append((f"the usual genotype, trial {usual['number']}", score, usual["seconds"], False))
        others.append(("the usual genotype", score))
    for name, scores in compared.get("baselines", {}).items():
        if objective.name in scores:
            rows.append((name, scores[objective.name], None, False))
            others.append((name, scores[objective.name]))
    if not others:
        return None
    most = max(abs(score) for _, score, _, _ in rows) or 1.0
    rivals = tuple(
        Rival(name, format_number(score), "" if seconds is None else format_seconds(seconds), abs(score) / most, best)
        for name, score, seconds, best in rows
    )
    worse = [name for name, score in others if objective.loss(own) >= objective.loss(score)]
    metric = name_metric(objective.name)
    comparisons = " and ".join(_compare(own, score, name) for name, score in others)
    answer = "Yes" if not worse else "No" if len(worse) == len(others) else "In part"
    sentence = f"{answer}: its {metric} is {comparisons}."
    if _is_usual(facts):
        sentence = f"Not by its architecture: the usual one has won, trained in full. Its {metric} is {comparisons}."
    return Verdict(sentence, rivals, tuple(_list_notes(facts, metric)))


def _is_usual(facts: Facts) -> bool:
    """Whether the best is the usual genotype: as a candidate it had all of its own loss."""
    compared = facts.run.compared
    return compared.get("found") == 1 and compared.get("usual") is None and "changed" not in compared


def _list_notes(facts: Facts, metric: str) -> Iterator[str]:
    yield "One training each, so a small difference may be luck."
    assert facts.best is not None
    if changed := facts.run.compared.get("changed"):
        changes = ", ".join(f"{site.replace('_', ' ')} {before} → {now}" for site, (before, now) in changed.items())
        yield f"In the finals it was regularised, as it learnt its data by heart: {changes}."
    compared, own = facts.run.compared, facts.best.metrics.get("seconds")
    usual = compared.get("usual") or {}
    if own and usual.get("seconds") and not 0.5 < own / usual["seconds"] < 2:
        spent = f"the best was trained for {format_seconds(own)}, the usual genotype for"
        yield f"They had not the same time: {spent} {format_seconds(usual['seconds'])}."
    if _is_usual(facts):
        yield f"Trained as it is now it has {compared['trained']:.0%} of the {metric} that it had as a candidate."
    elif "found" in compared:
        if "changed" in compared and compared["found"] == 1:
            yield "Its architecture is the usual one: what has paid is how it was trained in the finals."
        found, trained = compared["found"], compared["trained"]
        usual_had = f"that of the usual genotype as a candidate ({metric} on the validation part)"
        yield f"In the search it had {found:.0%} of {usual_had}; trained as it is now it has {trained:.0%}."


def _compare(own: float, other: float, name: str) -> str:
    if other == own:
        return f"that of {name}"
    if other > 0 and own > 0:
        change = own / other - 1
        if change > 1:
            return f"{own / other:.1f} times that of {name}"
        size = f"{abs(change):.0%}" if abs(change) >= 0.01 else f"{abs(change):.1%}"
        return f"{size} {'lower' if change < 0 else 'higher'} than that of {name}"
    return f"{format_number(abs(own - other))} {'lower' if own < other else 'higher'} than that of {name}"
