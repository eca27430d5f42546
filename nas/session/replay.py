"""``nas replay``: a trial of a run is trained again from its record, and the numbers are compared."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nas.core.errors import InvalidGenotype, UserError
from nas.core.evaluator import CHECKPOINT, Evaluator
from nas.core.job import PruneChannels, ScoreWithSupernet, Train, TrainFinalist, TrainPortion, TrainRung, TrainSupernet
from nas.core.metric import is_of_the_machine
from nas.core.trial import Measurement, Outcome, Start, Trial
from nas.executors.evaluation import EvaluationEnd, advance
from nas.session.assembly import assemble
from nas.session.cost_limits import calibrate_latency
from nas.session.environment import Change, describe_environment, keep_threads, list_changes, read_environment
from nas.session.given import NO_OBJECTS, Given
from nas.session.restrictions import load_space
from nas.session.warm_start import load_start
from nas.study.configuration import find_space_version, load_assumptions, load_config
from nas.study.parts import Parts
from nas.study.run import Run
from nas.study.study import Study

Show = Callable[[Trial, Measurement], None]


@dataclass(frozen=True)
class Difference:
    """A metric after the last epoch that both trainings have, as it was recorded and as it is here.

    Attributes:
        here: None where it is not measured any more.
    """

    name: str
    then: float
    here: float | None

    @property
    def relative(self) -> float | None:
        """By how much it is another, as a share of what it was; None where that was 0, or nothing is measured here."""
        return None if self.here is None or self.then == 0 else (self.here - self.then) / abs(self.then)


@dataclass(frozen=True)
class Replay:
    """What came of training a trial again.

    Attributes:
        run, number: the trial.
        trained: the numbers of the trials that were trained again, those that it goes on with first.
        epochs: how many, of all of them.
        first: the trial and the epoch of the first number that is another; None where all are the same.
        metrics: those that were compared, after the last epoch.
        left_out: the names of metrics of time and memory, which are not compared.
        ended: how the trial ended then and here.
        changes: what is not as it was when the run began.
    """

    run: Run
    number: int
    trained: tuple[int, ...]
    epochs: int
    first: tuple[int, int] | None
    metrics: tuple[Difference, ...]
    left_out: tuple[str, ...]
    ended: tuple[Outcome, Outcome]
    changes: tuple[Change, ...]

    @property
    def same(self) -> bool:
        """Whether every number is the same, to the last bit, and the trial ended alike."""
        then, here = self.ended
        return self.first is None and then.kind == here.kind

    def make_document(self) -> dict[str, Any]:
        """What ``nas replay --json`` prints."""
        return {
            "run": str(self.run.path),
            "trial": self.number,
            "same": self.same,
            "trained": list(self.trained),
            "epochs": self.epochs,
            "first_difference": None if self.first is None else dict(zip(("trial", "epoch"), self.first, strict=True)),
            "metrics": {
                one.name: {"then": one.then, "here": one.here, "relative": one.relative} for one in self.metrics
            },
            "not_compared": list(self.left_out),
            "outcome": dict(zip(("then", "here"), (one.kind for one in self.ended), strict=True)),
            "changes": {one.name: {"then": one.then, "here": one.here} for one in self.changes},
        }


def replay_trial(
    path: Path,
    trial: int | None = None,
    *,
    given: Given = NO_OBJECTS,
    loaded: Parts | None = None,
    show: Show = lambda trial, measurement: None,
) -> Replay:
    """Train a trial again as it is recorded, in the present environment, and compare; nothing of the run is changed.

    A trial that goes on with another's training is trained from the beginning of that. What began with weights that
    are kept begins with them again. Epochs that were as long as a clock allowed are as long as they were.

    Args:
        trial: its number; by default that of the best.
        loaded: the run's parts, where this process has them already.
        show: is called after every epoch.

    Raises:
        UserError: no such trial, it was not trained or has not ended, or what it needs is no longer there.
    """
    config, study = load_config(path), Study.read(path)
    parts = loaded or assemble(config, given, load_assumptions(study), find_space_version(study))
    run = Run(study, config, parts)
    chosen = run.candidate(trial).trial
    if chosen.outcome is None or chosen.refused:
        why = "has not ended yet" if chosen.outcome is None else f"was not trained: {chosen.outcome.reason}"
        raise UserError("TRIAL", chosen.number, "trials that were evaluated to their end", why=why)
    try:
        parts.space.validate(chosen.genotype)
    except InvalidGenotype as error:
        fits = "the data and the space that the run began with"
        raise UserError("RUN", str(path), fits, why=f"trial {chosen.number} is no candidate here: {error}") from None
    chain = _list_chain(chosen, run.trials)
    threads = (config.cpus_per_trial or 1) if parts.executor.isolated else None
    if "latency_reference" in study.notes:
        calibrate_latency(run)
    with keep_threads(path, parts.evaluator, threads):
        found = _train_chain(chain, run, show)
        changes = _find_changes(run, given, threads)
    numbers = [(part, done) for part, (done, _) in zip(chain, found, strict=True)]
    left_out = dict.fromkeys(name for name in chosen.metrics if is_of_the_machine(name, parts.evaluator.metrics))
    return Replay(
        run, chosen.number, tuple(part.number for part in chain),
        sum(len(done) for done, _ in found),
        _find_first_difference(numbers, parts.evaluator),
        _compare_last(chosen, found[-1][0], parts.evaluator),
        tuple(left_out),
        (chosen.outcome, found[-1][1]),
        tuple(changes),
    )  # fmt: skip


def _find_source(trial: Trial) -> int | None:
    """The number of the trial whose training this one goes on with; None where it begins its own."""
    match trial.job:
        case TrainPortion(continues=source) | TrainFinalist(continues=source) | TrainRung(continues=source):
            return source
        case Train() | TrainSupernet() | ScoreWithSupernet() | PruneChannels():
            return None


def _list_chain(trial: Trial, trials: Sequence[Trial]) -> list[Trial]:
    """A trial, and before it those whose training it goes on with, from the beginning."""
    chain = [trial]
    while (source := _find_source(chain[0])) is not None:
        chain.insert(0, trials[source])
    return chain


def _train_chain(chain: Sequence[Trial], run: Run, show: Show) -> list[tuple[list[Measurement], Outcome]]:
    """What is measured of each part of a training, and how it ends; nothing more after a part that fails."""
    found: list[tuple[list[Measurement], Outcome]] = []
    start: Start | None = None
    for part in chain:
        if start is None:
            start = _load_kept(part, run)
        done, outcome = _train_part(replace(part, start=start), run, show)
        found.append((done, outcome))
        checkpoint = done[-1].artifacts.get(CHECKPOINT) if done else None
        if part is not chain[-1] and (checkpoint is None or not outcome.scored):
            reason = f" ({outcome.reason})" if outcome.reason else ""
            why = (
                f"goes on with trial {part.number}, which ends as {outcome.kind} here{reason} and leaves no checkpoint"
            )
            raise UserError("TRIAL", chain[-1].number, "trials whose beginning can be trained here", why=why)
        start = None if checkpoint is None else Start(part.number, part.genotype, checkpoint)
    return found


def _load_kept(trial: Trial, run: Run) -> Start | None:
    """The weights that a trial began with, if it did.

    Raises:
        UserError: they were not kept.
    """
    match trial.job:
        case Train() | TrainPortion() | TrainFinalist() | TrainRung():
            number = trial.measurements[0].metrics.get("inherited_from") if trial.measurements else None
            if number is None:
                return None
            source = int(number)
        case PruneChannels():
            source = trial.proposal.parents[0]
        case TrainSupernet() | ScoreWithSupernet():
            return load_start(trial, run.trials, run.study, None)
    path = run.study.weights_path(source)
    if not path.is_file():
        why = f"began with the weights of trial {source}, which are no longer there"
        raise UserError("TRIAL", trial.number, "trials that began with weights that are kept", why=why)
    return Start(source, run.trials[source].genotype, path.read_bytes())


def _train_part(trial: Trial, run: Run, show: Show) -> tuple[list[Measurement], Outcome]:
    """What is measured of a trial, and how it ends; one that was stopped early is stopped after the same epoch."""
    assert trial.outcome is not None
    done: list[Measurement] = []
    with contextlib.closing(_begin(trial, run)) as measurements:
        while not (trial.stopped and len(done) == len(trial.measurements)):
            found = advance(measurements)
            if isinstance(found, EvaluationEnd):
                outcome = found.outcome
                kind = trial.job.completion if outcome.kind == "complete" else outcome.kind
                return done, replace(outcome, kind=kind)
            done.append(found)
            show(trial, found)
    return done, trial.outcome


def _begin(trial: Trial, run: Run) -> Generator[Measurement, None, None]:
    evaluator, in_full = run.parts.evaluator, run.config.genotype is not None
    yield from evaluator.train(trial) if in_full else evaluator.evaluate(trial)


def _compare(then: Measurement, here: Measurement | None, evaluator: Evaluator) -> tuple[Difference, ...]:
    metrics = {} if here is None else here.metrics
    return tuple(
        Difference(name, value, metrics.get(name))
        for name, value in then.metrics.items()
        if not is_of_the_machine(name, evaluator.metrics)
    )


def _compare_last(trial: Trial, done: Sequence[Measurement], evaluator: Evaluator) -> tuple[Difference, ...]:
    last = min(len(trial.measurements), len(done))
    return _compare(trial.measurements[last - 1], done[last - 1], evaluator) if last else ()


def _find_first_difference(
    parts: Sequence[tuple[Trial, Sequence[Measurement]]], evaluator: Evaluator
) -> tuple[int, int] | None:
    """The trial and the epoch of the first number that is another, or that is there only once."""
    for trial, done in parts:
        for index, then in enumerate(trial.measurements):
            here = done[index] if index < len(done) else None
            compared = _compare(then, here, evaluator)
            if any(one.then != one.here for one in compared) or (here and here.derived != then.derived):
                return trial.number, then.epoch
        if len(done) > len(trial.measurements):
            return trial.number, done[len(trial.measurements)].epoch
    return None


def _find_changes(run: Run, given: Given, threads: int | None) -> list[Change]:
    """What is not as it was when the run began: the environment, the data, the space, what scores depend on."""
    parts, notes = run.parts, run.study.notes
    then = read_environment(run.path)
    if threads is not None:
        then["threads"] = threads
    then |= {"data": notes.get("data"), "space version": find_space_version(run.study)}
    here: dict[str, Any] = describe_environment(parts.device, parts.evaluator)
    here |= {"data": parts.data.fingerprint, "space version": load_space(run.config, given).version}
    recorded: Mapping[str, Any] = notes.get("protocol") or {}
    protocol: Mapping[str, Any] = parts.evaluator.protocol("validation")
    scored = [{f"{name} of the scores": value for name, value in one.items()} for one in (recorded, protocol)]
    return [*list_changes(then, here), *list_changes({"protocol": scored[0]}, {"protocol": scored[1]})]
