"""Scores translations between two domains: they should look like the target's images, and lead back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from evaluators.features.extractor import FeatureExtractor, hash_tensors
from evaluators.metrics.samples import count_samples, data_deviation, make_reference, score_samples
from nas.data.dataset import Dataset, Split, as_float
from nas.data.pairs import DomainPair

Translate = Callable[[Tensor], Tensor]
"""Images (N, C, H, W) in [0, 1] to images of the same shape and range."""

OF_CLASSES = ("modes", "label_entropy", "label_agreement")
"""The scores that need labels of the same classes in both domains."""


class Target:
    """A domain, and images of the other domain whose translations should look like its own.

    The images that are translated are drawn once, with a fixed seed, from one part of the other domain, as many as
    evaluators.metrics.samples.count_samples says of both. Translations are compared with the images of
    evaluators.metrics.samples.make_reference.

    Args:
        own: the domain.
        other: the domain that is translated.
        extractor: of `own`.

    Attributes:
        sources: the images that are translated.
        classes: how many classes the domain has; 0 if the other domain has no labels of the same classes, or the
            extractor does not know them.
        protocol: what the scores depend on.
    """

    def __init__(
        self, own: Dataset, other: Dataset, extractor: FeatureExtractor, part: Literal["validation", "test"]
    ) -> None:
        there = getattr(other, part)
        count = count_samples(own, other)
        self.reference = make_reference(own, extractor, part=part, samples=count)
        order = np.random.default_rng(0xC1C).permutation(len(there))[:count]
        self.sources: Split = there.take(torch.from_numpy(order))
        same = own.classes == other.classes and self.sources.labels is not None
        self.classes = self.reference.classes if same else 0
        self._extractor = extractor
        self._deviation = max(data_deviation(own), 1e-12)

    @property
    def protocol(self) -> dict[str, str | int | float]:
        """The protocol of the reference, and the hash of the images that are translated."""
        return self.reference.protocol.as_dict() | {"sources_sha256": hash_tensors({"images": self.sources.examples})}

    def scores(self, translations: Tensor) -> dict[str, float]:
        """Compute the scores of the sources' translations, in their order, as evaluators.metrics.samples does, but

        ``sample_deviation`` is in units of that of the domain's own images; ``modes`` and ``label_entropy`` are there
        where both domains have labels of the same classes, and with them ``label_agreement``, the share of translations
        that the domain's classifier gives the label of what they were made from.

        Raises:
            Diverged: a translation is not finite.
        """
        scores = score_samples(translations, self._extractor, self.reference)
        scores["sample_deviation"] /= self._deviation
        if not self.classes:
            return {name: value for name, value in scores.items() if name not in OF_CLASSES}
        logits, labels = self._extractor.logits(translations), self.sources.labels
        assert logits is not None
        assert labels is not None
        agree = logits.argmax(1).cpu() == labels.cpu()
        return scores | {"label_agreement": float(agree.double().mean())}


def make_targets(
    data: DomainPair, extractors: tuple[FeatureExtractor, FeatureExtractor], part: Literal["validation", "test"]
) -> tuple[Target, Target]:
    """Make targets of A and of B, whose extractors are given in this order."""
    return Target(data.a, data.b, extractors[0], part), Target(data.b, data.a, extractors[1], part)


def join_protocols(targets: tuple[Target, Target]) -> dict[str, str | int | float]:
    """Join the protocols of both directions."""
    return {
        f"{domain} {name}": value
        for domain, target in zip("ab", targets, strict=True)
        for name, value in target.protocol.items()
    }


def score_translations(targets: tuple[Target, Target], a_to_b: Translate, b_to_a: Translate) -> dict[str, float]:
    """Compute all scores of both directions.

    ``fid``, ``real_fid`` and ``label_agreement`` are the means over both targets; ``coverage``, ``sample_deviation``,
    ``modes`` and ``label_entropy`` the lesser of both; ``fid_a``, ``kid_a``, ``coverage_a`` are of translations into A,
    and so on.
    ``cycle_error`` is the mean absolute difference, in the units of pixels, of images and their translations there and
    back, ``identity_error`` that of images and what the translator into their own domain makes of them; both are means
    over both domains.

    Raises:
        Diverged: a translation is not finite.
    """
    target_a, target_b = targets
    images_a, images_b = as_float(target_b.sources.examples), as_float(target_a.sources.examples)
    fake_b, fake_a = a_to_b(images_a), b_to_a(images_b)
    into_a, into_b = target_a.scores(fake_a), target_b.scores(fake_b)
    both = into_a.keys() & into_b.keys()
    means, lesser = ("fid", "real_fid", "label_agreement"), ("coverage", "sample_deviation", "modes", "label_entropy")
    scores: dict[str, float] = {name: (into_a[name] + into_b[name]) / 2 for name in means if name in both}
    scores["cycle_error"] = (_difference(b_to_a(fake_b), images_a) + _difference(a_to_b(fake_a), images_b)) / 2
    scores["identity_error"] = (_difference(a_to_b(images_b), images_b) + _difference(b_to_a(images_a), images_a)) / 2
    for name in ("fid", "kid", "coverage"):
        scores |= {f"{name}_a": into_a[name], f"{name}_b": into_b[name]}
    scores |= {name: min(into_a[name], into_b[name]) for name in lesser if name in both}
    return scores


def _difference(found: Tensor, wanted: Tensor) -> float:
    return float((found.cpu() - wanted.cpu()).abs().double().mean())
