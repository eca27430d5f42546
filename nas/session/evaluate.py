"""``nas evaluate``: a trained model judged by what its kind is used for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nas.core.errors import UserError
from nas.core.evaluator import BOUND_SAMPLES, Examination
from nas.session.assembly import assemble
from nas.session.data import check_same_data
from nas.session.delivery import write_report
from nas.session.given import NO_OBJECTS, Given
from nas.study.configuration import find_space_version, load_assumptions, load_config
from nas.study.files import write_atomically
from nas.study.parts import Parts
from nas.study.remote.working_copy import copy_back
from nas.study.run import Run
from nas.study.study import Study


def evaluate_trial(
    path: Path,
    trial: int | None = None,
    *,
    bound_samples: int = BOUND_SAMPLES,
    given: Given = NO_OBJECTS,
    loaded: Parts | None = None,
) -> tuple[Run, int, Examination]:
    """Judge a trial's model, write down what was found, and give the run, the trial's number and the examination.

    ``evaluation.json`` and the pictures are in the run's `evaluation_folder`, the numbers and the remarks also in the
    study, and the report is drawn again.

    Args:
        trial: its number; by default that of the best.
        bound_samples: codes of an example that its likelihood is bounded by, of variational models.
        loaded: the run's parts, where this process has them already.

    Raises:
        UserError: a run of other models, a trial without weights, or a run that is in use.
    """
    if isinstance(bound_samples, bool) or not isinstance(bound_samples, int) or bound_samples < 1:
        raise UserError("--bound-samples", bound_samples, "a whole number from 1")
    config = load_config(path)
    study = Study.reopen(path)
    try:
        parts = loaded or assemble(config, given, load_assumptions(study), find_space_version(study))
        check_same_data(path, config, parts.data, study.notes.get("data"))
        run = Run(study, config, parts)
        if not parts.evaluator.examines:
            why = f"--space {config.space} makes models whose uses are not measured"
            raise UserError("RUN", str(path), "runs of autoencoders", why=why)
        candidate = run.candidate(trial)
        found = parts.evaluator.examine(candidate.genotype, candidate.model(), config.seed, bound_samples=bound_samples)
        _record(run, candidate.number, bound_samples, found)
    finally:
        study.close()
    copy_back(path)
    return run, candidate.number, found


def make_document(run: Run, number: int, found: Examination, bound_samples: int) -> dict[str, Any]:
    """What ``evaluation.json`` says."""
    data = run.parts.data
    return {
        "run": run.path.name,
        "trial": number,
        "data": run.data_name,
        "fingerprint": data.fingerprint,
        "bound_samples": bound_samples,
        "metrics": dict(found.metrics),
        "uses": {use: list(names) for use, names in found.uses.items()},
        "remarks": list(found.remarks),
        "pictures": sorted(found.pictures),
    }


def _record(run: Run, number: int, bound_samples: int, found: Examination) -> None:
    """Write what was found into the run's folder and its study; what an earlier evaluation left there goes."""
    folder, document = run.evaluation_folder(number), make_document(run, number, found, bound_samples)
    for name, picture in found.pictures.items():
        write_atomically(folder / name, picture)
    write_atomically(folder / "evaluation.json", (json.dumps(document, indent=2) + "\n").encode())
    for earlier in folder.glob("*.png"):
        if earlier.name not in found.pictures:
            earlier.unlink()
    noted = dict(run.study.notes.get("evaluations", {}))
    kept = ("bound_samples", "metrics", "uses", "remarks", "pictures")
    run.study.note("evaluations", {**noted, str(number): {name: document[name] for name in kept}})
    write_report(run)
