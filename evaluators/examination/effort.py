"""How much an examination looks at."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

_SHARE = 4e9
"""Multiply-adds that a quick examination spends on each of four things: about a second of a core."""
_PERTURBED = 6  # passes of an example that is perturbed quickly
QUICK_SAMPLES = 50
"""Codes of an example that its likelihood is bounded by at most in a quick examination."""


@dataclass(frozen=True)
class Effort:
    """How many examples an examination looks at, at most, and what it leaves out.

    Attributes:
        tested: of the test part.
        fitted: of the training part, by probes, neighbours, forests, components.
        changed: of the test part, for robustness.
        bounded: whose likelihood is bounded with the usual number of samples; with more it is that of all.
        transferred: of the test part, for classifiers of few labels.
        judged: of the test part, normal or not.
        quick: nothing is drawn, images are neither turned nor scaled, and of likelihoods even more samples are of few.
        until: when it has to be over, by `time.monotonic`; what would take longer is left out. None for any time.
    """

    tested: int = 10_000
    fitted: int = 5_000
    changed: int = 1_000
    bounded: int = 1_000
    transferred: int = 2_000
    judged: int = 5_000
    quick: bool = False
    until: float | None = None


def plan_quick(multiply_adds: float, bound_samples: int, until: float | None) -> Effort:
    """Plan an examination of some seconds, by what a pass of an example costs, which is the same on every machine."""
    passes = _SHARE / max(1.0, multiply_adds)

    def fit(fewest: int, most: int, each: float = 1.0) -> int:
        return int(min(most, max(fewest, passes / each)))

    some = fit(100, 1_000)
    return Effort(
        tested=some,
        fitted=fit(200, 1_000),
        changed=fit(20, 200, _PERTURBED),
        bounded=fit(10, 100, bound_samples / 2),  # they are decoded alone, which is half of a pass
        transferred=some,
        judged=some,
        quick=True,
        until=until,
    )


@dataclass
class Deadline:
    """Says which uses there is time for, by how long the first took.

    Attributes:
        effort: see Effort.
        pass_seconds: of one example; 0 before it is known.
        slowness: how many times as long as its processor's time something takes here, where others want that too.
        left_out: the uses that there was no time for.
    """

    effort: Effort
    pass_seconds: float = 0.0
    slowness: float = 1.0
    left_out: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def watch(self, passes: int) -> Iterator[None]:
        """Learn from something that passes so many examples."""
        began, worked = time.monotonic(), time.process_time()
        yield
        seconds = time.monotonic() - began
        self.pass_seconds = seconds / passes
        self.slowness = max(1.0, seconds / max(0.01, time.process_time() - worked))

    def fits(self, use: str, passes: int, seconds: float) -> bool:
        """Whether there is time for a use of so many passes of an example, and so many seconds besides."""
        until = self.effort.until
        if until is None or time.monotonic() + passes * self.pass_seconds + self.slowness * seconds < until:
            return True
        self.left_out.append(use)
        return False
