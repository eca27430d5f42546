"""``nas evaluate``, and the end of a search: a trained model judged by what its kind is used for."""

from __future__ import annotations

import json
import time
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
from nas.study.run import Candidate, Run
from nas.study.study import Study

_RESERVE = 2.0  # seconds for what follows: to write it down and to draw the report
_LEAST = 1.0  # seconds that it needs at least
_SUMMARY = {
    "likelihood": {"iwae_bound": "IWAE bound", "elbo": "ELBO", "kl": "KL", "active_units": "active units"},
    "codebook": {"codebook_perplexity": "perplexity"},
    "labels from codes": {
        "probe_accuracy": "linear probe", "knn_accuracy": "5 neighbours", "kmeans_nmi": "NMI of k-means",
        "transfer_accuracy": "probe of 10 labels a class", "transfer_accuracy_raw": "the same on raw values",
    },
    "disentanglement": {"mig": "MIG", "dci_disentanglement": "DCI", "dci_completeness": "completeness"},
    "anomalies, AUROC": {
        "anomaly_auroc": "by error", "anomaly_auroc_bound": "by bound",
        "anomaly_auroc_isolation_forest": "isolation forest", "anomaly_auroc_pca": "PCA",
    },
    "noise of 0.1": {"psnr_at_noise_0.1": "PSNR", "mse_at_noise_0.1": "MSE"},
}  # fmt: skip
"""What a summary says of each use, and in which words."""


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


def evaluate_best(run: Run, best: Candidate, until: float | None) -> None:
    """Judge the winner of a search quickly, unless that has been done, and write down what was found.

    Args:
        until: when the command has to be over, by `time.monotonic`; None for any time. What there is no time for is
            left out, and is not written down where that is all.
    """
    if best.number in run.evaluations:
        return
    until = None if until is None else until - _RESERVE
    if until is not None and time.monotonic() + _LEAST > until:
        return
    found = run.parts.evaluator.examine(best.genotype, best.model(), run.config.seed, quick=True, until=until)
    _record(run, best.number, BOUND_SAMPLES, found, quick=True)


def summarise(run: Run) -> list[str]:
    """Say in a few lines what was found of the best of a run; nothing where it is not judged at all."""
    number, command = run.best.number, f"nas evaluate {run.path.name}:{run.best.number}"
    noted = run.evaluations.get(number)
    if noted is None:
        left = run.config.evaluate and run.parts.evaluator.examines and run.study.weights_path(number).is_file()
        return [f"no time was left to measure what it is good for: {command}"] if left else []

    def find_remarks(*begins: str) -> list[str]:
        return [remark for remark in noted["remarks"] if remark.startswith(begins)]

    metrics, lines = noted["metrics"], []
    for use, names in _SUMMARY.items():
        told = [f"{words} {metrics[name]:.3g}" for name, words in names.items() if name in metrics]
        more = find_remarks("the posterior has collapsed", "iwae_bound is of") if use == "likelihood" else []
        lines += [f"  {use}: {'; '.join([', '.join(told), *more])}"] if told else []
    further = f" (with pictures: {command})" if noted.get("quick") else ""
    return [f"what it is good for, {'; '.join(find_remarks('measured on', 'no time was left'))}{further}", *lines]


def make_document(
    run: Run, number: int, found: Examination, bound_samples: int, *, quick: bool = False
) -> dict[str, Any]:
    """What ``evaluation.json`` says."""
    data = run.parts.data
    return {
        "run": run.path.name,
        "trial": number,
        "data": run.data_name,
        "fingerprint": data.fingerprint,
        "bound_samples": bound_samples,
        "quick": quick,
        "metrics": dict(found.metrics),
        "uses": {use: list(names) for use, names in found.uses.items()},
        "remarks": list(found.remarks),
        "pictures": sorted(found.pictures),
    }


def _record(run: Run, number: int, bound_samples: int, found: Examination, *, quick: bool = False) -> None:
    """Write what was found into the run's folder and its study; what an earlier evaluation left there goes."""
    folder = run.evaluation_folder(number)
    document = make_document(run, number, found, bound_samples, quick=quick)
    for name, picture in found.pictures.items():
        write_atomically(folder / name, picture)
    write_atomically(folder / "evaluation.json", (json.dumps(document, indent=2) + "\n").encode())
    for earlier in folder.glob("*.png"):
        if earlier.name not in found.pictures:
            earlier.unlink()
    noted = dict(run.study.notes.get("evaluations", {}))
    kept = ("bound_samples", "quick", "metrics", "uses", "remarks", "pictures")
    run.study.note("evaluations", {**noted, str(number): {name: document[name] for name in kept}})
    write_report(run)
