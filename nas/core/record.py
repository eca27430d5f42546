"""Where a search writes down what happens, and what it reads of earlier sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from nas.core.trial import Measurement, Trial


@dataclass(frozen=True)
class Event:
    """An ask or a tell of an earlier session, which is executed again."""

    number: int
    kind: Literal["ask", "tell"]
    trial: Trial


class Record(Protocol):
    """Where a search writes down what happens: the study of a run, or nowhere.

    ``event`` counts asks and tells together, in the order in which they happen.
    """

    def history(self) -> Sequence[Event]:
        """The asks and tells of earlier sessions in their order; a trial asked and never told is run again."""

    def record_ask(self, trial: Trial, event: int) -> None:
        """Write down that a trial begins."""

    def record_measurement(self, trial: Trial, measurement: Measurement) -> None:
        """Write down what was measured of a running trial."""

    def record_tell(self, trial: Trial, event: int) -> None:
        """Write down that a trial has ended."""

    def record_restart(self, trial: Trial) -> int:
        """Write down that a trial of an earlier session begins again; returns how many times it has by now."""

    def record_retry(self, trial: Trial, reason: str) -> None:
        """Write down that a trial whose worker died begins again; its measurements so far count no more."""


class InMemory:
    """A record that is gone with its process.

    Args:
        history: the asks and tells of earlier sessions.
    """

    def __init__(self, history: Sequence[Event] = ()) -> None:
        self.events = list(history)

    def history(self) -> Sequence[Event]:
        """The asks and tells so far."""
        return tuple(self.events)

    def record_ask(self, trial: Trial, event: int) -> None:
        """Keep the ask."""
        self.events.append(Event(event, "ask", trial))

    def record_measurement(self, trial: Trial, measurement: Measurement) -> None:
        """Keep nothing: the tell brings all measurements."""

    def record_tell(self, trial: Trial, event: int) -> None:
        """Keep the tell."""
        self.events.append(Event(event, "tell", trial))

    def record_restart(self, trial: Trial) -> int:
        """Keep nothing; every restart is the first."""
        return 1

    def record_retry(self, trial: Trial, reason: str) -> None:
        """Keep nothing."""
