"""What can go wrong, by whose fault it is: the user's, the candidate's, or that of a run on disk."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal


class UserError(Exception):
    """The user asked for something that cannot be done; the message is the one line shown to them.

    Args:
        option: what was given, as the user wrote it: ``--trials``, ``csv:digits.csv``.
        value: the offending value, shown with ``repr``; None for one that is missing.
        allowed: what would have been accepted, as a phrase that follows "allowed:".
        why: what is wrong with the value, where `allowed` alone does not say.
    """

    def __init__(self, option: str, value: object, allowed: str, why: str = "") -> None:
        self.option, self.value, self.allowed, self.why = option, value, allowed, why
        given, wrong = (option, "is missing") if value is None else (f"{option} {value!r}", "is not accepted")
        super().__init__(f"{given}: {why}; allowed: {allowed}" if why else f"{given} {wrong}; allowed: {allowed}")

    def __reduce__(self) -> tuple[type[UserError], tuple[str, object, str, str]]:
        return (type(self), (self.option, self.value, self.allowed, self.why))


class RunInUse(UserError):
    """Another process owns the run's folder."""


class InvalidGenotype(ValueError):
    """A genotype does not belong to its space; the message names the path to the fault."""

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}")

    def __reduce__(self) -> tuple[type[InvalidGenotype], tuple[str, str]]:
        return (type(self), (self.path, self.why))


class CandidateFailure(Exception):
    """A candidate failed by its own doing: the trial has failed, the search goes on."""

    kind: Literal["failed", "diverged", "collapsed", "out_of_memory"] = "failed"


class Diverged(CandidateFailure):
    """The loss or a metric is no longer finite."""

    kind = "diverged"


class Collapsed(CandidateFailure):
    """The generator makes too few different images; the message says which measure fell below which threshold."""

    kind = "collapsed"


class OutOfMemory(CandidateFailure):
    """The candidate did not fit into memory."""

    kind = "out_of_memory"


class ExportMismatch(Exception):
    """An exported model's outputs differ from the trained model's."""


class NotExportable(Exception):
    """A module cannot be printed as source; the message names its path and says why."""


class ReplayMismatch(Exception):
    """Re-executing a run's record gave another genotype than the record holds: it cannot be resumed."""


class NotCopied(Exception):
    """Not everything of a run could be copied to its URL."""

    def __init__(self, url: str, path: Path, why: str) -> None:
        self.url, self.path, self.why = url, path, why
        super().__init__(f"{url} {why}; the whole run is in {path}")

    def __reduce__(self) -> tuple[type[NotCopied], tuple[str, Path, str]]:
        return (type(self), (self.url, self.path, self.why))


class GoneOnElsewhere(NotCopied):
    """Another machine has gone on with the run at the URL: what is there is not overwritten."""


_MOST_NAMES, _NEAREST = 40, 12  # that an error lists; of more names the nearest, or where none is near the shortest


def unknown_name(option: str, value: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not among `known`, with the nearest one suggested."""
    names = sorted(known)
    nearest = difflib.get_close_matches(value, names, n=_NEAREST, cutoff=0.5)
    hint = f"unknown, did you mean {nearest[0]!r}?" if nearest else "unknown"
    shown = names
    if len(names) > _MOST_NAMES:
        shown = sorted(nearest or sorted(names, key=lambda name: (len(name), name))[:_MOST_NAMES])
    others = f" and {len(names) - len(shown)} others" if len(shown) < len(names) else ""
    return UserError(option, value, ", ".join(shown) + others, why=hint)
