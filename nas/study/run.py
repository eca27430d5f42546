"""A run as users look at it: its folder, its configuration, its trials and what can be made of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, ClassVar

from nas import registry
from nas.config import RunConfig
from nas.core.errors import UserError
from nas.core.job import PruneChannels, Train, TrainFinalist, TrainPortion, TrainRung, is_told
from nas.core.pareto import pareto_front, ranking
from nas.core.space import Condition, Conditionable, SearchSpace, Shape, Shapeable
from nas.core.trial import Objective, Trial
from nas.data.catalogue import shorten_name
from nas.study.candidate import Candidate, describe_inheritance
from nas.study.parts import Parts
from nas.study.study import Study

__all__ = ["Candidate", "Run", "describe_inheritance", "sort_trials"]


class Run:
    """A run's folder, its configuration and its trials.

    Attributes:
        draw: what a notebook shows of a run is drawn by; None where nobody has said.
    """

    draw: ClassVar[Callable[[Run], str] | None] = None

    def __init__(
        self, study: Study, config: RunConfig, parts: Parts | None, load_parts: Callable[[Run], Parts] | None = None
    ) -> None:
        self.study, self.config, self._parts, self._load_parts = study, config, parts, load_parts
        self.exhausted = False

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def _repr_html_(self) -> str | None:
        """What a notebook shows of it."""
        return None if Run.draw is None else Run.draw(self)

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.study.path

    @functools.cached_property
    def parts(self) -> Parts:
        """Space, data and evaluator; loaded when first needed."""
        if self._parts is not None:
            return self._parts
        assert self._load_parts is not None, "a run is opened with its parts, or with what loads them"
        return self._load_parts(self)

    @property
    def loaded(self) -> Parts | None:
        """Its parts, if this process has them already."""
        return self._parts

    @property
    def space(self) -> SearchSpace:
        """The space, not narrowed unless the run's parts are loaded: looking at a run needs no data."""
        if self._parts is not None:
            return self._parts.space
        space: SearchSpace = registry.make("space", self.config.space, registry.load("space", self.config.space))
        if isinstance(space, Shapeable) and "shape" in self.study.notes:
            space = space.shaped(self.shape)
        if isinstance(space, Conditionable):
            recorded = self.study.notes.get("condition")
            return space.conditioned(None if recorded is None else Condition(*recorded))
        return space

    @property
    def shape(self) -> Shape:
        """Channels, height and width of its images."""
        recorded = self.study.notes.get("shape")
        return tuple(recorded) if recorded is not None else self.parts.data.shape

    def remember_data(self) -> None:
        """Note what the data is, so that it can be recognised, and looked at no more than needed."""
        self.study.note("data", self.parts.data.fingerprint)
        self.study.note("shape", list(self.parts.data.shape))
        condition = self.parts.data.condition
        self.study.note("condition", None if condition is None else list(astuple(condition)))
        self.study.note("assumptions", [[a.site, list(a.values), a.reason] for a in self.parts.assumptions])

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What is optimised."""
        return self.study.objectives

    @property
    def objective(self) -> Objective:
        """What is optimised before all else: the first objective."""
        return self.objectives[0]

    @property
    def trials(self) -> list[Trial]:
        """Every trial so far, by number; one that runs, or ran when its process was killed, has no outcome."""
        return self.study.trials()

    @property
    def target(self) -> int:
        """How many trials the run was last asked for."""
        return int(self.study.notes.get("trials", self.config.trials))

    def ranked(self) -> list[Trial]:
        """The trials with a score, the best first: by non-dominated front, then by the first objective.

        Those that were stopped early come after all complete ones, of those that were paused at rungs the lowest last.
        """
        return sort_trials(
            [t for t in self.trials if t.outcome is not None and t.outcome.kind in ("complete", "stopped")]
        )

    def contenders(self) -> list[Trial]:
        """The complete trials, the best first; only where nothing is complete, those that came furthest."""
        ranked = self.ranked()
        return [t for t in ranked if (t.stopped, t.reached) == (ranked[0].stopped, ranked[0].reached)]

    def front(self) -> list[Trial]:
        """The contenders that no other dominates, the best in the first objective first."""
        contenders = self.contenders()
        return [contenders[index] for index in pareto_front([trial.losses for trial in contenders])]

    @property
    def best(self) -> Candidate:
        """The best trial.

        Raises:
            UserError: none has succeeded.
        """
        return self.candidate(None)

    def candidate(self, number: int | None) -> Candidate:
        """The trial of this number; by default the contender that the strategy recommends, or the best.

        Raises:
            UserError: there is none.
        """
        trials = self.trials
        ranked = self.ranked()
        if number is None:
            if not ranked:
                raise UserError("RUN", str(self.path), "a run with a trial that succeeded", why="no trial succeeded")
            recommended = self.study.notes.get("recommended")
            ended = sum(trial.outcome is not None for trial in trials)
            if recommended is None or recommended["after"] != ended:  # trials have ended since
                return Candidate(self, ranked[0])
            return Candidate(self, next((t for t in self.contenders() if t.number == recommended["number"]), ranked[0]))
        if not 0 <= number < len(trials):
            raise UserError("--trial", number, f"0 to {len(trials) - 1}" if trials else "nothing: there are no trials")
        return Candidate(self, trials[number])

    @property
    def epochs_run(self) -> int:
        """How many epochs candidates were trained for, of those that have ended."""
        return sum(len(trial.measurements) for trial in self._candidates)

    @property
    def epochs_asked(self) -> int:
        """How many it would have been, had each been trained to its last epoch."""
        jobs, whole = [trial.job for trial in self._candidates if not trial.refused], self.config.epochs or 0
        return sum(len(job.epochs(whole)) if isinstance(job, TrainPortion) else whole * job.counted for job in jobs)

    @property
    def _candidates(self) -> list[Trial]:
        ended = [trial for trial in self.trials if trial.outcome is not None]
        return [trial for trial in ended if isinstance(trial.job, (Train, TrainPortion, TrainRung))]

    def counts(self) -> dict[str, int]:
        """How many trials ended how; one that was promoted counts as it ended further up.

        Promotions, supernets, what was scored with their weights, and versions made of others, where there were any.
        """
        ended = [trial for trial in self.trials if trial.outcome is not None]
        promoted = {t.job.continues for t in ended if isinstance(t.job, TrainRung) and t.job.continues is not None}
        own = [trial for trial in ended if is_told(trial.job) and trial.number not in promoted]
        outcomes = [trial.outcome for trial in own if trial.outcome is not None]
        counts = {
            "complete": sum(o.kind == "complete" for o in outcomes),
            "stopped": sum(o.kind == "stopped" for o in outcomes),
            "failed": sum(o.failed for o in outcomes),
        }
        further = {"refused": sum(trial.refused for trial in own)}
        sharing = {"supernets": "supernet", "shared": "shared"}
        further |= {name: sum(o.kind == kind for o in outcomes) for name, kind in sharing.items()}
        further["pruned_versions"] = sum(isinstance(trial.job, PruneChannels) for trial in ended)
        further["promotions"] = len(promoted)
        further["finals"] = sum(isinstance(trial.job, TrainFinalist) for trial in ended)
        return counts | {name: count for name, count in further.items() if count}

    @property
    def tested(self) -> dict[str, float]:
        """The best trial's metrics on the test part, measured once at the end of the search; empty before."""
        tested = self.study.notes.get("test")
        if tested is None or tested["number"] != self.best.number:
            return {}
        metrics: dict[str, float] = tested["metrics"]
        return metrics

    @property
    def evaluations(self) -> dict[int, dict[str, Any]]:
        """What ``nas evaluate`` found of trials, by their numbers; see nas.session.evaluate.evaluate_trial."""
        noted: dict[str, dict[str, Any]] = self.study.notes.get("evaluations", {})
        return {int(number): noted[number] for number in sorted(noted, key=int)}

    def evaluation_folder(self, number: int) -> Path:
        """Where the results of ``nas evaluate`` for a trial are, if there are any."""
        return self.path / "evaluation" / f"trial-{number:04d}"

    @property
    def compared(self) -> dict[str, Any]:
        """The best beside what was to be beaten; see nas.session.comparison.compare_best. Empty before."""
        compared: dict[str, Any] = self.study.notes.get("compared", {})
        return compared if compared and compared["number"] == self.best.number else {}

    def describe_comparison(self) -> list[str]:
        """Say in sentences whether the search has paid; none before it has ended."""
        compared, name = self.compared, self.objective.name
        sentences = []
        others = [
            f"{other} {scores[name]:.5g}" for other, scores in compared.get("baselines", {}).items() if name in scores
        ]
        if (usual := compared.get("usual")) is not None and name in usual["test"]:
            seconds = "" if usual["seconds"] is None else f" after {usual['seconds']:.3g} s of training"
            others.insert(0, f"the usual genotype {usual['test'][name]:.5g}{seconds} (trial {usual['number']})")
        if others and name in self.tested:
            spent = self.best.metrics.get("seconds")
            had = "" if spent is None else f" after {spent:.3g} s"
            sentences.append(f"{name} on the test part: the best {self.tested[name]:.5g}{had}; {'; '.join(others)}")
            loss = self.objective.loss
            for other, scores in compared.get("baselines", {}).items():
                if name in scores and loss(scores[name]) < loss(self.tested[name]):
                    more = f"give the search more time, or nas train {self.path.name} --epochs N"
                    sentences.append(f"{other} is better than this model: {more}")
        if "changed" in compared:
            changes = ", ".join(f"{site} {before} -> {now}" for site, (before, now) in compared["changed"].items())
            sentences.append(f"in the finals it was regularised, as it learnt its data by heart: {changes}")
        if "found" in compared:
            now = f"trained in full it has {compared['trained']:.0%}"
            if compared["found"] == 1:
                what = "has the usual architecture" if "changed" in compared else "is the usual genotype"
                sentences.append(f"the winner {what}; {now} of the {name} it had as a candidate")
            else:
                share = f"{compared['found']:.0%} of the usual genotype's {name}"
                sentences.append(f"as a candidate the winner had {share}; {now}")
        return sentences

    def describe_latency(self) -> str:
        """Say in a sentence of what latencies are; empty where none is measured."""
        reference = self.study.notes.get("latency_reference")
        if reference is None:
            return ""
        thread = " with one thread" if reference["device"] == "cpu" else ""
        beside = f"in turns with a reference model, which took {reference['ms']:.3g} ms at first"
        return f"latencies are of one example on {reference['device']}{thread}, measured {beside}"

    @property
    def model_folder(self) -> Path | None:
        """Where the exported best model is; None before it has been."""
        folder = self.path / "best"
        return folder if self.finished and folder.is_dir() else None

    @property
    def finished(self) -> bool:
        """Whether the search came to its end, and nothing was begun since."""
        return bool(self.study.notes.get("finished") == sum(self.counts().values()))

    @property
    def data_name(self) -> str:
        """The data set's name, or both sets' names, of a path its last part alone."""
        return " and ".join(shorten_name(name) for name in self.config.data_sets)


def sort_trials(trials: Sequence[Trial]) -> list[Trial]:
    """Sort trials by non-dominated front, then the first objective, then number; stopped ones after all others.

    Of those that were paused at rungs of successive halving, they that came further are before the others.
    """
    by_number = sorted(trials, key=lambda trial: trial.number)
    ranked = [by_number[index] for index in ranking([trial.losses for trial in by_number])]
    return sorted(ranked, key=lambda trial: (trial.stopped, -trial.reached))
