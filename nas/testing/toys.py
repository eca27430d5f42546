"""Small real implementations to test others with: a space, evaluators that fail or are slow, failures."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import psutil

from nas.core.errors import Collapsed, Diverged, InvalidGenotype, OutOfMemory
from nas.core.evaluator import Evaluator
from nas.core.genotype import Genotype
from nas.core.job import TrainSupernet
from nas.core.metric import Metric, metrics_by_name
from nas.core.space import Choose, SearchSpace, Shape, Value
from nas.core.strategy import Strategy
from nas.core.supernet import Alphas, Derived, SupernetPlan, perturbed
from nas.core.trial import Measurement, Objective, Outcome, OutcomeKind, Proposal, Trial
from search_spaces.choices import Asker, ChoiceSpace

if TYPE_CHECKING:
    from torch import nn

LOSS = Objective("loss", "minimize")


class ToySpace(ChoiceSpace):
    """Eight letters, a depth, and a rate that arises only when the first letter is not ``a``."""

    name = "toy"
    task = "autoencoder"

    def decide(self, ask: Asker) -> None:
        """Ask for every choice."""
        letters = [ask.operation(f"letter{i}", "abcde") for i in range(8)]
        ask.structure("depth", (1, 2, 3, 4), ordered=True)
        ask.input("source", 3)
        if letters[0] != "a":
            ask.hyperparameter("rate", (0.1, 0.2, 0.4, 0.8), ordered=True)

    def build(self, genotype: Genotype, shape: Shape) -> nn.Module:
        """As many convolutions as it is deep."""
        from torch import nn  # in here: workers that evaluate toys are to be there soon

        self.validate(genotype)
        depth = int(genotype.content["depth"])
        return nn.Sequential(*(nn.Conv2d(shape[0], shape[0], 3, padding=1) for _ in range(depth)))

    def describe(self, genotype: Genotype, shape: Shape) -> str:
        """The letters."""
        return "".join(str(genotype.content[f"letter{i}"]) for i in range(8))


class RelaxableToySpace(ToySpace):
    """The same with a supernet: a row of mixed letters, each letter a convolution. The rest is the base's."""

    def base(self, choose: Choose) -> Genotype:
        """Any genotype can be relaxed, as long as a letter is free."""
        genotype = self.grow(choose)
        if not any(len(values) > 1 for values in self.letters(genotype).values()):
            raise InvalidGenotype("letter0", "no letter is free")
        return genotype

    def letters(self, genotype: Genotype) -> dict[str, tuple[Value, ...]]:
        """What each letter may be."""
        return {d.choice.site: d.choice.values for d in self.trace(genotype) if d.choice.role == "operation"}

    def relax(self, genotype: Genotype, shape: Shape, plan: SupernetPlan) -> nn.Module:
        """The mixed letters one after the other."""
        from nas.testing.mixed_letters import MixedLetters

        return MixedLetters({site: tuple(map(str, v)) for site, v in self.letters(genotype).items()}, shape[0])

    def derive(self, genotype: Genotype, alphas: Alphas, max_skips: int | None = None) -> Derived:
        """The strongest letters; no letter is a skip."""
        strongest = {site: max(weights, key=weights.__getitem__) for site, weights in alphas.items()}
        lowest = self._restrictions.get("rate", (0.1,))[0]
        rate = {} if strongest["letter0"] == "a" else {"rate": genotype.content.get("rate", lowest)}
        rest = {site: value for site, value in genotype.content.items() if site != "rate"}
        return Derived(Genotype.of(self.name, self.version, {**rest, **strongest, **rate}), 0)


def toy_supernet(trial: Trial, space: RelaxableToySpace) -> tuple[Measurement, ...]:
    """What training a toy supernet would find: noise around the best letters, less after every epoch."""
    assert isinstance(trial.job, TrainSupernet)
    plan = trial.job.plan
    generator = np.random.default_rng(trial.seed)
    noise = {
        site: {str(letter): float(generator.normal()) for letter in letters}
        for site, letters in space.letters(trial.genotype).items()
    }
    measurements = []
    epochs, _ = plan.completed(20, "softmax").schedule
    for epoch in range(1, epochs + 1):
        trust = 2 * epoch / epochs
        alphas = {
            site: {letter: value + trust * (letter == "abcdeabc"[int(site[-1])]) for letter, value in row.items()}
            for site, row in noise.items()
        }
        derived = [space.derive(trial.genotype, alphas).genotype]
        if epoch == epochs:
            derived += [
                space.derive(trial.genotype, perturbed(alphas, generator)).genotype for _ in range(plan.samples)
            ]
        measurements.append(Measurement(epoch, {"loss": 10.0}, derived=tuple(derived)))
    return tuple(measurements)


def toy_loss(genotype: Genotype) -> float:
    """A landscape that can be climbed step by step: the letters that differ from ``abcdeabc``, and the depth."""
    it = genotype.content
    wrong = sum(it[f"letter{i}"] != "abcdeabc"[i] for i in range(8))
    return float(wrong) + 0.1 * abs(int(it["depth"]) - 3) + 0.05 * int(it["source"]) + 0.01 * float(it.get("rate", 0))


class ToyEvaluator(Evaluator):
    """Gives `toy_loss`, approached over the epochs; fails where it is told to.

    Args:
        failing: trial numbers, and what their evaluation raises after its first epoch.
    """

    def __init__(self, space: SearchSpace, *, epochs: int = 2, failing: Mapping[int, Exception] | None = None) -> None:
        self.space, self.epochs, self.failing = space, epochs, dict(failing or {})

    metrics = metrics_by_name(Metric("loss", "minimize"))

    def evaluate(self, trial: Trial) -> Iterator[Measurement]:
        """A measurement an epoch."""
        final = toy_loss(trial.genotype)
        for epoch in range(1, self.epochs + 1):
            yield Measurement(epoch, {"loss": final + 1.0 / epoch - 1.0 / self.epochs})
            if trial.number in self.failing:
                raise self.failing[trial.number]


Death = Literal["kill", "exits once", "hang", "memory", "nan"]
"""What a candidate does after its first epoch: kill its process, end it the first time it is evaluated, go on for
ever, ask for more memory than there is, or lose its numbers."""


class DeadlyEvaluator(ToyEvaluator):
    """Candidates that take their process with them.

    Args:
        folder: where every evaluation leaves a file ``number-seed-attempt``.
        deaths: trial numbers, and what happens to them.
    """

    def __init__(self, space: SearchSpace, folder: Path, deaths: Mapping[int, Death]) -> None:
        super().__init__(space)
        self.folder, self.deaths = folder, dict(deaths)

    def evaluate(self, trial: Trial) -> Iterator[Measurement]:
        """A measurement an epoch, as long as it lives."""
        earlier = len(list(self.folder.glob(f"{trial.number}-*")))
        (self.folder / f"{trial.number}-{trial.seed}-{earlier}").touch()
        for measurement in super().evaluate(trial):
            yield measurement
            death = self.deaths.get(trial.number)
            if death == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            elif death == "exits once" and not earlier:
                os._exit(1)
            elif death == "hang":
                while True:
                    time.sleep(0.01)
            elif death == "memory":
                _more_than_there_is()
            elif death == "nan":
                yield Measurement(2, {"loss": float("nan")})


def _more_than_there_is() -> None:
    used, (soft, hard) = psutil.Process().memory_info().vms, resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, hard))
    try:
        bytearray(2**28)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


class MeetingEvaluator(ToyEvaluator):
    """Trials 0 and 1 wait for each other: they must run at once, or fail."""

    def __init__(self, space: SearchSpace, folder: Path) -> None:
        super().__init__(space)
        self.folder = folder

    def evaluate(self, trial: Trial) -> Iterator[Measurement]:
        """A measurement an epoch, when the other is there."""
        if trial.number in (0, 1):
            (self.folder / str(trial.number)).touch()
            end = time.monotonic() + 60
            while not (self.folder / str(1 - trial.number)).exists():
                assert time.monotonic() < end
                time.sleep(0.01)
        yield from super().evaluate(trial)


def every_failure() -> dict[int, Exception]:
    """One of each way in which a candidate fails."""
    return {
        1: Diverged("the loss is nan in epoch 1, step 3"),
        2: OutOfMemory("CUDA out of memory"),
        4: RuntimeError("shapes do not fit"),
        5: ZeroDivisionError("division by zero"),
        6: MemoryError(),
        7: Collapsed("modes is 2 of 10, under 5"),
    }


def ended(trial: Trial, loss: float | None) -> Trial:
    """The trial as one that ended with this loss, or failed if None; a supernet as one that was trained."""
    if loss is None:
        return Trial(trial.number, trial.proposal, trial.seed, (), Outcome("diverged", "nan"), (float("inf"),))
    if isinstance(trial.job, TrainSupernet):
        return replace(
            trial,
            measurements=toy_supernet(trial, RelaxableToySpace()),
            outcome=Outcome("supernet"),
            losses=(float("inf"),),
        )
    return curved(trial, [loss], "complete")


def curved(trial: Trial | int, losses: Sequence[float], kind: OutcomeKind | None = None) -> Trial:
    """The trial, or one of this number, with a loss after every epoch; it still runs where `kind` is None."""
    if isinstance(trial, int):
        trial = Trial(trial, Proposal(ToySpace().grow(lambda choice: choice.values[0])), seed=0)
    measurements = tuple(Measurement(epoch, {"loss": loss}) for epoch, loss in enumerate(losses, 1))
    outcome = None if kind is None else Outcome(kind, "" if kind == "complete" else kind)
    last = losses[-1] if outcome is not None and outcome.scored else float("inf")
    return replace(
        trial,
        measurements=measurements,
        outcome=outcome,
        losses=() if kind is None else (last,),
        curve=dict(enumerate(losses, 1)),
    )


def asked_and_told(strategy: Strategy, trials: int, loss: Callable[[Genotype], float | None] = toy_loss) -> list[Trial]:
    """That many trials, each proposed by the strategy and told to it before the next; see `ended` for `loss`."""
    history: list[Trial] = []
    for number in range(trials):
        proposal = strategy.ask(number)
        assert proposal is not None
        history.append(ended(Trial(number, proposal, 0), loss(proposal.genotype)))
        strategy.tell(history[-1])
    return history
