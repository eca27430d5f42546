"""All uses of a trained autoencoder, one after another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from evaluators.examination.anomalies import examine_anomalies
from evaluators.examination.codebook import examine_codebook
from evaluators.examination.disentanglement import examine_factors
from evaluators.examination.effort import Deadline, Effort
from evaluators.examination.embedding import EMBEDDED, draw_codes
from evaluators.examination.latent import examine_codes
from evaluators.examination.likelihood import examine_activity, examine_likelihood
from evaluators.examination.reconstruction import examine_reconstruction
from evaluators.examination.robustness import examine_robustness
from evaluators.examination.subject import Subject, as_rows, choose_some
from evaluators.examination.transfer import examine_transfer
from evaluators.examination.traversal import draw_traversals
from nas.core.evaluator import BOUND_SAMPLES, Examination
from nas.data.dataset import Dataset, Split

_BESIDES = 0.4
"""Seconds that a use takes besides the model's passes, of classifiers three times as many."""


def examine_uses(
    subject: Subject, data: Dataset, seed: int, *, bound_samples: int, effort: Effort | None = None
) -> Examination:
    """Judge a trained model on the test part by everything that autoencoders are used for.

    Where the data have `normal` labels, all but anomaly detection and the plot of codes looks at these alone.

    Args:
        bound_samples: codes of an example that its likelihood is bounded by.
        effort: how much is looked at; by default all that evaluators.examination.effort.Effort says.
    """
    effort = effort or Effort()
    seed %= 2**32  # what scikit-learn takes
    deadline = Deadline(effort)
    whole, test = data.test, choose_some(data.normal_test, effort.tested, seed)
    if not len(test):
        return Examination(remarks=("the test part has no normal examples: nothing can be judged",))
    train = choose_some(data.train, effort.fitted, seed)
    few = choose_some(test, effort.changed, seed)
    with deadline.watch(len(test)):
        uses = {"reconstruction": examine_reconstruction(subject, test)}
    bounded = len(test) if bound_samples > BOUND_SAMPLES and not effort.quick else min(len(test), effort.bounded)
    if subject.bound is not None and deadline.fits("likelihood", bounded * bound_samples + len(test), 0.0):
        found = examine_likelihood(subject, choose_some(test, bounded, seed), bound_samples)
        uses["likelihood"] = _join(found, examine_activity(subject, test))
    if subject.count_uses is not None:
        uses["codebook"] = examine_codebook(subject, test)
    unlabelled = train.labels is None or test.labels is None
    if unlabelled or deadline.fits("labels", len(train) + 2 * len(test), 3 * _BESIDES):
        uses |= _examine_labels(subject, train, test, effort, seed)
    if (
        train.factors is not None
        and test.factors is not None
        and deadline.fits("disentanglement", len(train) + len(test), train.factors.shape[1] * _BESIDES)
    ):
        codes, test_codes = subject.codes(train.examples), subject.codes(test.examples)
        found = examine_factors(codes, train.factors.numpy(), test_codes, test.factors.numpy(), seed)
        uses["disentanglement"] = found
    if data.normal and deadline.fits("anomaly detection", 6 * effort.judged, _BESIDES):
        uses["anomaly detection"] = _examine_anomalies(subject, data, train, effort, seed)
    if deadline.fits("robustness", 6 * len(few), _BESIDES):
        uses["robustness"] = examine_robustness(subject, few, train, seed, quick=effort.quick)
    remarks = _describe_subsets(data, test, train, few)
    if not data.normal:
        why = "it was trained on all labels" if data.classes else "the data have no labels"
        remarks.append(f"no anomaly detection: {why} (nas search --normal LABEL)")
    if deadline.left_out:
        remarks.append(f"no time was left for {', '.join(deadline.left_out)}")
    if not effort.quick:
        shown = choose_some(whole, EMBEDDED, seed)
        labels = None if shown.labels is None else shown.labels.numpy()
        uses["codes"] = draw_codes(subject.codes(shown.examples), labels, data.classes, seed)
        if data.kind == "image":
            uses["traversals"] = draw_traversals(subject, few)
    found = merge_uses(uses)
    return replace(found, remarks=(*found.remarks, *remarks))


def merge_uses(uses: Mapping[str, Examination]) -> Examination:
    """Merge the examinations of several uses, under their names, into one."""
    joined = _join(*uses.values())
    return replace(joined, uses={use: tuple(found.metrics) for use, found in uses.items() if found.metrics})


def _join(*found: Examination) -> Examination:
    metrics = {name: value for one in found for name, value in one.metrics.items()}
    pictures = {name: picture for one in found for name, picture in one.pictures.items()}
    return Examination(metrics, pictures, tuple(remark for one in found for remark in one.remarks))


def _examine_labels(subject: Subject, train: Split, test: Split, effort: Effort, seed: int) -> dict[str, Examination]:
    """Examine what codes say of labels, where both parts have some."""
    use = "labels"
    if train.labels is None or test.labels is None:
        return {use: Examination(remarks=("no labels: no probe, neighbours, clusters and transfer",))}
    labels, test_labels = train.labels.numpy(), test.labels.numpy()
    if len(np.unique(labels)) < 2 or len(np.unique(test_labels)) < 2:
        return {use: Examination(remarks=("one label only: no probe, neighbours, clusters and transfer",))}
    codes, test_codes = subject.codes(train.examples), subject.codes(test.examples)
    some = choose_some(test, effort.transferred, seed)
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


def _examine_anomalies(subject: Subject, data: Dataset, train: Split, effort: Effort, seed: int) -> Examination:
    part = choose_some(data.test, effort.judged, seed)
    if part.labels is None or not (anomalous := ~data.find_normal(part).numpy()).any() or anomalous.all():
        return Examination(remarks=("no anomaly detection: the test part has no labels, or not both kinds",))
    latent = subject.codes(train.examples[:1]).shape[1]
    return examine_anomalies(subject, train, part, anomalous, latent, seed, pictured=not effort.quick)


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
    some = "" if len(test) == (count := len(data.normal_test)) else f" of {count:,}"
    said.append(f"measured on {len(test):,}{some} {of}")
    if len(few) < len(test):
        said.append(f"robustness is of {len(few):,} {of}")
    return said
