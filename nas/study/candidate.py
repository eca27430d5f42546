"""A candidate: one trial of a run, and what can be made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nas.core.errors import UserError
from nas.core.genotype import Genotype
from nas.core.trial import Trial
from nas.session.inheritance import inheritance_of
from nas.session.pruned_versions import origin_of, percent

if TYPE_CHECKING:
    from torch import nn

    from nas.study.run import Run


class Candidate:
    """One trial of a run, and what can be made of it."""

    def __init__(self, run: Run, trial: Trial) -> None:
        self.run, self.trial = run, trial

    @property
    def number(self) -> int:
        """Its number within the run."""
        return self.trial.number

    @property
    def genotype(self) -> Genotype:
        """What it is."""
        return self.trial.genotype

    @property
    def metrics(self) -> Mapping[str, float]:
        """Its metrics on the validation part after its last epoch."""
        return self.trial.metrics

    @property
    def description(self) -> str:
        """One line that says what the architecture is."""
        text = self.run.space.describe(self.genotype, self.run.shape)
        ratio = self.trial.proposal.prune
        return text if ratio is None else f"{text}; pruned by {percent(ratio)}"

    @property
    def unpruned(self) -> Candidate:
        """The trial that this is a pruned version of; itself where it is none."""
        trials = self.run.trials
        return Candidate(self.run, trials[origin_of(self.trial, trials)])

    @property
    def remarks(self) -> list[str]:
        """What was done to make its training cheaper, in words."""
        remarks = []
        if inherited := inheritance_of(self.trial, self.run.config.weight_sharing):
            remarks.append(f"inherited {inherited}")
        if "stages" in self.metrics:
            stages, last = int(self.metrics["stages"]), int(self.metrics["stage"])
            grown = f"in {stages} stages" if last == stages else f"until stage {last} of {stages}"
            remarks.append(f"grown {grown}" if stages > 1 else "not grown: none of its blocks can be left out")
        return remarks

    def model(self) -> nn.Module:
        """The trained module, in evaluation mode.

        Raises:
            UserError: its weights were not kept.
        """
        from safetensors.torch import load_file

        path = self.run.study.weights_path(self.number)
        if not path.is_file():
            kept = [trial.number for trial in self.run.trials if self.run.study.weights_path(trial.number).is_file()]
            raise UserError(
                "--trial",
                self.number,
                ", ".join(map(str, kept)) or "nothing: none were kept",
                why="was stopped early and has no weights" if self.trial.stopped else "has no weights",
            )
        model = self.run.space.build(self.genotype, self.run.shape)
        if self.trial.proposal.prune is not None:
            from evaluators.pruning.pruning import restored

            return restored(model, path.read_bytes())[0].eval()
        model.load_state_dict(load_file(path))
        return model.eval()

    def test(self) -> dict[str, float]:
        """The metrics of quality on the test part."""
        evaluator: Any = self.run.parts.evaluator
        tested: dict[str, float] = evaluator.test(self.genotype, self.model(), self.trial.seed)
        return tested
