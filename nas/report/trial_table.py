"""The table of all trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nas.core.trial import Trial
from nas.report.facts import Facts
from nas.report.words import name_metric
from nas.study.run import Candidate

SHOWN = 20
_PICTURES = 2_400_000
"""Characters of pictures that a page may hold: what is worse than what fills it has none."""
_COSTS = ("parameters", "multiply_adds", "seconds")


@dataclass(frozen=True)
class Row:
    """A trial; each of its `cells` is what it is sorted by, and what is shown."""

    number: int
    cells: tuple[tuple[str, str], ...]
    kind: str
    state: str
    description: str
    origin: str
    remarks: tuple[str, ...]
    picture: str


@dataclass(frozen=True)
class TrialTable:
    """All trials that have ended or run, the best first; the first `most` are shown until it is unfolded."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    pictures: bool
    pictures_left_out: int
    most: int = SHOWN


def make_trial_table(facts: Facts) -> TrialTable:
    """Make the table of all: those with a score by rank, then supernets, failures and what runs."""
    ranked = {trial.number for trial in facts.ranked}
    return tabulate(facts, [*facts.ranked, *(trial for trial in facts.trials if trial.number not in ranked)])


def tabulate(facts: Facts, ordered: Sequence[Trial]) -> TrialTable:
    """Make a table of some trials in their order."""
    names = [objective.name for objective in facts.objectives]
    measured = {name for trial in ordered for name in trial.metrics}
    names += [name for name in _COSTS if name not in names and name in measured]
    rows, left, left_out = [], _PICTURES, 0
    for trial in ordered:
        picture = facts.find_picture(trial.number)
        if len(picture) > left:
            picture, left_out = "", left_out + 1
        left -= len(picture)
        rows.append(_make_row(facts, trial, names, picture))
    columns = (*map(name_metric, names), "epochs")
    return TrialTable(columns, tuple(rows), any(row.picture for row in rows), left_out)


def _make_row(facts: Facts, trial: Trial, names: list[str], picture: str) -> Row:
    outcome, scored = trial.outcome, trial.outcome is not None and trial.outcome.scored
    objectives = {objective.name for objective in facts.objectives}
    cells = []
    for name in names:
        value = trial.metrics.get(name, math.nan)
        shown = math.isfinite(value) and (scored or name not in objectives)
        cells.append((repr(float(value)), facts.format(trial, name)) if shown else ("", ""))
    epochs = str(len(trial.measurements))
    remarks = list(Candidate(facts.run, trial).remarks)
    if outcome is None:
        kind, state = "running", "no end yet"
    else:
        kind = "failed" if outcome.failed else outcome.kind
        state = {"stopped": "stopped early", "shared": "shared weights"}.get(kind, outcome.kind.replace("_", " "))
        if trial.stopped:
            remarks.append(f"stopped early by {outcome.reason}")
        elif outcome.reason:
            remarks.append(outcome.reason)
    origin, parents = trial.proposal.origin, trial.proposal.parents
    if parents and str(parents[0]) not in origin:
        origin = f"{origin} of trial {', '.join(map(str, parents))}"
    return Row(
        trial.number, (*cells, (epochs, epochs)), kind, state, facts.describe(trial), origin, tuple(remarks), picture
    )
