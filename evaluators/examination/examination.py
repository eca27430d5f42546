"""All uses of a trained autoencoder, one after another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from evaluators.examination.anomalies import examine_anomalies
from evaluators.examination.codebook import examine_codebook
from evaluators.examination.embedding import EMBEDDED, draw_codes
from evaluators.examination.latent import FITTED, examine_codes
from evaluators.examination.likelihood import examine_activity, examine_likelihood
from evaluators.examination.reconstruction import examine_reconstruction
from evaluators.examination.robustness import examine_robustness
from evaluators.examination.subject import Subject, as_rows, choose_some
from evaluators.examination.transfer import examine_transfer
from evaluators.examination.traversal import draw_traversals
from nas.core.evaluator import Examination
from nas.data.dataset import Dataset, Split

_TESTED = 10_000
_TESTED_QUICKLY = 2_000
_CHANGED = 1_000  # examples that robustness is of: each is reconstructed sixteen times
_TRANSFERRED = 2_000
_JUDGED = 5_000  # examples that are normal or not


def examine_uses(subject: Subject, data: Dataset, seed: int, *, bound_samples: int, quick: bool) -> Examination:
    """Judge a trained model on the test part by everything that autoencoders are used for.

    Where the data have `normal` labels, all but anomaly detection and the plot of codes looks at these alone.

    Args:
        bound_samples: codes of an example that its likelihood is bounded by.
        quick: look at no more than 2,000 examples, and draw no t-SNE.
    """
    seed %= 2**32  # what scikit-learn takes
    whole, test = data.test, choose_some(_keep_normal(data, data.test), _TESTED_QUICKLY if quick else _TESTED, seed)
    if not len(test):
        return Examination(remarks=("the test part has no normal examples: nothing can be judged",))
    train = choose_some(data.train, FITTED, seed)
    few = choose_some(test, _CHANGED, seed)
    uses = {"reconstruction": examine_reconstruction(subject, test)}
    if subject.bound is not None:
        found = examine_likelihood(subject, test, bound_samples, seed)
        uses["likelihood"] = _join(found, examine_activity(subject, test))
    if subject.count_uses is not None:
        uses["codebook"] = examine_codebook(subject, test)
    uses |= _examine_labels(subject, train, test, seed)
    uses["robustness"] = examine_robustness(subject, few, train, seed)
    uses["anomaly detection"] = _examine_anomalies(subject, data, train, seed, quick=quick)
    shown = choose_some(whole, EMBEDDED, seed)
    labels = None if shown.labels is None else shown.labels.numpy()
    uses["codes"] = draw_codes(subject.codes(shown.examples), labels, data.classes, seed, quick=quick)
    if data.kind == "image":
        uses["traversals"] = draw_traversals(subject, few)
    subsets = _describe_subsets(data, test, train, few)
    found = merge_uses(uses)
    return replace(found, remarks=(*found.remarks, *subsets))


def merge_uses(uses: Mapping[str, Examination]) -> Examination:
    """Merge the examinations of several uses, under their names, into one."""
    joined = _join(*uses.values())
    return replace(joined, uses={use: tuple(found.metrics) for use, found in uses.items() if found.metrics})


def _join(*found: Examination) -> Examination:
    metrics = {name: value for one in found for name, value in one.metrics.items()}
    pictures = {name: picture for one in found for name, picture in one.pictures.items()}
    return Examination(metrics, pictures, tuple(remark for one in found for remark in one.remarks))


def _keep_normal(data: Dataset, part: Split) -> Split:
    anomalous = _find_anomalies(data, part)
    return part if anomalous is None else part.take(torch.from_numpy(~anomalous))


def _find_anomalies(data: Dataset, part: Split) -> np.ndarray | None:
    """Find which examples are anomalies, (N,) bool; None where nothing is known of that."""
    if not data.normal or part.labels is None:
        return None
    known = np.array([name in data.normal for name in data.classes])
    anomalies: np.ndarray = ~known[part.labels.numpy()]
    return anomalies


def _examine_labels(subject: Subject, train: Split, test: Split, seed: int) -> dict[str, Examination]:
    """Examine what codes say of labels, where both parts have some."""
    use = "labels"
    if train.labels is None or test.labels is None:
        return {use: Examination(remarks=("no labels: no probe, neighbours, clusters and transfer",))}
    labels, test_labels = train.labels.numpy(), test.labels.numpy()
    if len(np.unique(labels)) < 2 or len(np.unique(test_labels)) < 2:
        return {use: Examination(remarks=("one label only: no probe, neighbours, clusters and transfer",))}
    codes, test_codes = subject.codes(train.examples), subject.codes(test.examples)
    some = choose_some(test, _TRANSFERRED, seed)
    assert some.labels is not None
    return {
        use: examine_codes(codes, labels, test_codes, test_labels, seed),
        "few labels": examine_transfer(
            codes,
            as_rows(train.examples, train.examples),
            labels,
            subject.codes(some.examples),
            as_rows(some.examples, train.examples),
            some.labels.numpy(),
            seed,
        ),
    }


def _examine_anomalies(subject: Subject, data: Dataset, train: Split, seed: int, *, quick: bool) -> Examination:
    part = choose_some(data.test, _TESTED_QUICKLY if quick else _JUDGED, seed)
    anomalous = _find_anomalies(data, part)
    if not data.normal:
        why = "it was trained on all labels" if data.classes else "the data have no labels"
        return Examination(remarks=(f"no anomaly detection: {why} (nas search --normal LABEL)",))
    if anomalous is None or not anomalous.any() or anomalous.all():
        return Examination(remarks=("no anomaly detection: the test part has no labels, or not both kinds",))
    latent = subject.codes(train.examples[:1]).shape[1]
    return examine_anomalies(subject, train, part, anomalous, latent, seed)


def _describe_subsets(data: Dataset, test: Split, train: Split, few: Split) -> list[str]:
    """Say which parts of the data stand for all, a sentence each."""
    said = []
    if len(train) < len(data.train):
        said.append(f"probes, neighbours, forest and components know {len(train):,} of {len(data.train):,} "
                    "training examples")  # fmt: skip
    of = "test examples"
    if data.normal and data.test.labels is not None:
        of = f"normal {of}"
        said.append("all but anomaly detection and the plot of codes is of normal examples alone")
    if len(test) < (count := len(_keep_normal(data, data.test))):
        said.append(f"measured on {len(test):,} of {count:,} {of}")
    if len(few) < len(test):
        said.append(f"robustness is of {len(few):,} {of}")
    return said
