"""``nas search --continue``: a new run in a changed space, for which what an earlier one measured there counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nas.config import RunConfig
from nas.core.errors import InvalidGenotype, UserError
from nas.core.evaluator import WEIGHTS
from nas.core.job import Train
from nas.core.space import SearchSpace
from nas.core.trial import Proposal, Trial
from nas.session.lookup import find_run, open_run
from nas.study.parts import Parts
from nas.study.remote.urls import find_runs_folder
from nas.study.run import Run
from nas.study.study import Study

_PICTURE = "picture.png"
_EFFORT = ("evaluator", "epochs", "candidate_time", "scored_examples", "epoch_size", "features", "precision", "grow")
"""Options that scores depend on: they must be those of the earlier run."""


def make_continued_config(options: Mapping[str, Any]) -> RunConfig:
    """Make the configuration of a run that continues another: the options given, and the others as in that run.

    Pins and restrictions are added to those of the run; of a decision that it restricts itself, the new one counts.

    Args:
        options: ``continue_`` among them.

    Raises:
        UserError: there is no such run, it trains one architecture, or an option is faulty.
    """
    source, runs_dir = options["continue_"], find_runs_folder(options.get("runs_dir", "runs"))
    if not isinstance(source, str):
        raise UserError("--continue", source, "the name or the folder of a run")
    earlier = open_run(find_run(source, runs_dir)).config
    if earlier.genotype is not None:
        raise UserError("--continue", source, "runs that search", why="is a training")
    kept = earlier.model_dump(exclude={"name", "runs_dir", "from_", "first", "known", "warm_start", "proposals"})
    if earlier.candidate_time is not None:
        del kept["epochs"]  # it says how long
    if "strategy" in options:
        del kept["set"]
    if "early_stopping" in options:
        del kept["stop_set"]
    given = RunConfig.checked(dict(options))  # what is faulty is said in the user's words
    decided = {*given.pin, *given.restrict}
    for name in ("pin", "restrict"):
        old = {site: values for site, values in kept[name].items() if site not in decided}
        kept[name] = {**old, **getattr(given, name)}
    merged = {name: {**kept.get(name, {}), **getattr(given, name)} for name in ("set", "stop_set")}
    return RunConfig.checked({**kept, **options, **merged, "pin": kept["pin"], "restrict": kept["restrict"]})


def find_known(config: RunConfig, parts: Parts) -> tuple[Run, list[Trial]]:
    """Find the trials of the run that is continued whose results count in the new one, each genotype once.

    Raises:
        UserError: the data or what scores depend on is not the same, or there are none.
    """
    source = str(config.continue_)
    earlier = open_run(find_run(source, config.runs_dir))
    if (data := earlier.study.notes.get("data")) != parts.data.fingerprint:
        why = f"was searched on other data ({data}; here {parts.data.fingerprint})"
        raise UserError("--continue", source, "runs on the same data; --warm-start takes runs on similar data", why=why)
    for name, own in (("promotion", config.promotion), ("weight_sharing", config.weight_sharing)):
        if own != "none" or getattr(earlier.config, name) != "none":
            why = "results of candidates that are not trained alone do not count elsewhere"
            option = f"--{name.replace('_', '-')}"
            raise UserError("--continue", source, f"runs with {option} none, and none here", why=why)
    recorded, found = earlier.study.notes.get("protocol") or {}, dict(parts.evaluator.protocol("validation"))
    if recorded and recorded != found:
        why = f"its scores are measured otherwise: {recorded}, and here {found}"
        raise UserError("--continue", source, "runs whose scores are measured alike", why=why)
    names = [objective.name for objective in parts.objectives]
    known: dict[str, Trial] = {}
    for trial in earlier.trials:
        trained = isinstance(trial.job, Train) and trial.outcome is not None and trial.outcome.scored
        if trained and all(name in trial.metrics for name in names) and _is_in(trial, parts.space):
            known.setdefault(trial.genotype.text, trial)
    if not known:
        raise UserError("--continue", source, "runs with results in the new space", why="no trial of it is in there")
    if config.trials <= len(known):
        why = f"{len(known)} results of {earlier.path.name} count already"
        raise UserError("--trials", config.trials, f"more than {len(known)}", why=why)
    return earlier, list(known.values())


def _is_in(trial: Trial, space: SearchSpace) -> bool:
    try:
        space.validate(trial.genotype)
    except InvalidGenotype:
        return False
    return True


def note_known(config: RunConfig, earlier: Run, known: Sequence[Trial]) -> RunConfig:
    """Give the configuration with the genotypes of the known results, which come first."""
    first = {_describe(trial, earlier): trial.genotype.text for trial in known}
    return config.model_copy(update={"first": first, "known": len(known), "continue_": None})


def refuse_other_effort(config: RunConfig, earlier: Run) -> None:
    """Refuse to rank results with those of other trainings.

    Raises:
        UserError: naming the option that is another.
    """
    for name in _EFFORT:
        own, theirs = getattr(config, name), getattr(earlier.config, name)
        if own != theirs:
            why = "results of other trainings do not compare"
            raise UserError(f"--{name.replace('_', '-')}", own, f"{theirs}, as in {earlier.path.name}", why=why)


def record_known(study: Study, earlier: Run, known: Sequence[Trial], parts: Parts) -> None:
    """Write known results down as the first trials of a new run, with copies of their weights and pictures."""
    if (reference := earlier.study.notes.get("latency_reference")) is not None:
        study.note("latency_reference", reference)  # so that latencies go on in the same unit
    for number, trial in enumerate(known):
        begun = Trial(number, Proposal(trial.genotype, origin=_describe(trial, earlier)), trial.seed)
        study.record_ask(begun, 2 * number)
        files: dict[str, bytes] = {}
        if (weights := earlier.study.weights_path(trial.number)).is_file():
            files[WEIGHTS] = weights.read_bytes()
        if (picture := earlier.study.picture(trial.number)) is not None:
            files[_PICTURE] = picture
        for measurement in trial.measurements:
            last = measurement is trial.measurements[-1]
            study.record_measurement(begun, replace(measurement, artifacts=files if last else {}))
        losses = tuple(objective.loss(trial.metrics[objective.name]) for objective in parts.objectives)
        ended = replace(begun, measurements=trial.measurements, outcome=trial.outcome, losses=losses)
        study.record_tell(ended, 2 * number + 1)


def _describe(trial: Trial, earlier: Run) -> str:
    return f"trial {trial.number} of {earlier.path.name}"
