"""Small real implementations to test others with: a space, evaluators that fail or are slow, failures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import nn

from nas.core.errors import Diverged, OutOfMemory
from nas.core.genotype import Genotype
from nas.core.space import SearchSpace, Shape
from nas.core.trial import Measurement, Objective, Outcome, Trial
from search_spaces.choices import Asker, ChoiceSpace

LOSS = Objective("loss", "minimize")


class ToySpace(ChoiceSpace):
    """Eight letters, a depth, and a rate that arises only when the first letter is not ``a``."""

    name = "toy"

    def decide(self, ask: Asker) -> None:
        """Ask for every choice."""
        letters = [ask.operation(f"letter{i}", "abcde") for i in range(8)]
        ask.structure("depth", (1, 2, 3, 4), ordered=True)
        ask.input("source", 3)
        if letters[0] != "a":
            ask.hyperparameter("rate", (0.1, 0.2, 0.4, 0.8), ordered=True)

    def build(self, genotype: Genotype, shape: Shape) -> nn.Module:
        """As many convolutions as it is deep."""
        self.validate(genotype)
        depth = int(genotype.content["depth"])
        return nn.Sequential(*(nn.Conv2d(shape[0], shape[0], 3, padding=1) for _ in range(depth)))

    def describe(self, genotype: Genotype, shape: Shape) -> str:
        """The letters."""
        return "".join(str(genotype.content[f"letter{i}"]) for i in range(8))


def toy_loss(genotype: Genotype) -> float:
    """A landscape that can be climbed step by step: the letters that differ from ``abcdeabc``, and the depth."""
    it = genotype.content
    wrong = sum(it[f"letter{i}"] != "abcdeabc"[i] for i in range(8))
    return float(wrong) + 0.1 * abs(int(it["depth"]) - 3) + 0.05 * int(it["source"]) + 0.01 * float(it.get("rate", 0))


class ToyEvaluator:
    """Gives `toy_loss`, approached over the epochs; fails where it is told to.

    Args:
        failing: trial numbers, and what their evaluation raises after its first epoch.
    """

    def __init__(self, space: SearchSpace, *, epochs: int = 2, failing: Mapping[int, Exception] | None = None) -> None:
        self.space, self.epochs, self.failing = space, epochs, dict(failing or {})

    @property
    def objectives(self) -> Mapping[str, Objective]:
        """The loss."""
        return {"loss": LOSS}

    def evaluate(self, trial: Trial) -> Iterator[Measurement]:
        """A measurement an epoch."""
        final = toy_loss(trial.genotype)
        for epoch in range(1, self.epochs + 1):
            yield Measurement(epoch, {"loss": final + 1.0 / epoch - 1.0 / self.epochs})
            if trial.number in self.failing:
                raise self.failing[trial.number]


def every_failure() -> dict[int, Exception]:
    """One of each way in which a candidate fails."""
    return {
        1: Diverged("the loss is nan in epoch 1, step 3"),
        2: OutOfMemory("CUDA out of memory"),
        4: RuntimeError("shapes do not fit"),
        5: ZeroDivisionError("division by zero"),
        6: MemoryError(),
    }


def ended(trial: Trial, loss: float | None) -> Trial:
    """The trial as one that ended with this loss, or failed if None."""
    if loss is None:
        return Trial(trial.number, trial.proposal, trial.seed, (), Outcome("diverged", "nan"), (float("inf"),))
    measurements = (Measurement(1, {"loss": loss}),)
    return Trial(trial.number, trial.proposal, trial.seed, measurements, Outcome("complete"), (loss,))
