"""A trial of a run as users look at it: what it is, how it was made, and the model that it has trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nas.core.errors import UserError
from nas.core.genotype import Genotype
from nas.core.job import PruneChannels
from nas.core.trial import Trial
from nas.study.pruned_versions import find_unpruned, format_percent

if TYPE_CHECKING:
    from torch import nn

    from nas.study.run import Run


class Candidate:
    """One trial of a run, and what can be made of it."""

    def __init__(self, run: Run, trial: Trial) -> None:
        self.run, self.trial = run, trial

    def __repr__(self) -> str:
        return f"Candidate({str(self.run.path)!r}, trial {self.number})"

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
        job = self.trial.job
        return f"{text}; pruned by {format_percent(job.ratio)}" if isinstance(job, PruneChannels) else text

    @property
    def unpruned(self) -> Candidate:
        """The trial that this is a pruned version of; itself where it is none."""
        trials = self.run.trials
        return Candidate(self.run, trials[find_unpruned(self.trial, trials)])

    @property
    def remarks(self) -> list[str]:
        """What was done to make its training cheaper, in words."""
        remarks = []
        if inherited := describe_inheritance(self.trial, self.run.config.weight_sharing):
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
        if isinstance(self.trial.job, PruneChannels):
            from evaluators.pruning.pruning import load_pruned_model

            return load_pruned_model(model, path.read_bytes())[0].eval()
        model.load_state_dict(load_file(path))
        return model.eval()

    def test(self) -> dict[str, float]:
        """The metrics of quality on the test part."""
        evaluator: Any = self.run.parts.evaluator
        tested: dict[str, float] = evaluator.test(self.genotype, self.model(), self.trial.seed)
        return tested


def describe_inheritance(trial: Trial, sharing: str) -> str:
    """Say in words what a trial of a run has inherited; empty where there is nothing to say."""
    metrics = trial.measurements[0].metrics if trial.measurements else {}
    if "inherited" in metrics:
        return f"{metrics['inherited']:.0%} of the parameters from trial {metrics['inherited_from']:.0f}"
    if sharing == "inherit" and trial.proposal.parents and trial.measurements:
        parents = " or ".join(map(str, trial.proposal.parents))
        return f"nothing: trial {parents} has no weights to begin from, or is the same"
    return ""
