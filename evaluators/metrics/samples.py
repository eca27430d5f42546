"""Scores samples: distances between samples and a fixed reference, and what the samples lack.

Scores also depend on the extractor, the number of samples, and the images that these are compared with. All of it is a
`Protocol`, and scores of different protocols are never ranked together; see nas.session.
"""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from evaluators.features.extractor import FeatureExtractor, hash_tensors
from evaluators.metrics.exact import as_double
from nas.core.errors import Diverged, UserError
from nas.data.dataset import Dataset, as_float, batches

FORMULAS = "2"
"""The version of this module's formulas: it is raised whenever a change gives the same samples another score."""

log = logging.getLogger(__name__)

_MOST_SAMPLES = 2_000
_MOST_REFERENCE = 10_000
_FEW = 100
_NEIGHBOURS = 5
_CONFIDENT = 0.9
_HIT = 0.25
_DIRECTIONS = 256
_ENOUGH_FOR_DEVIATION = 5_000


@dataclass(frozen=True)
class Protocol:
    """Everything that a score depends on besides the samples.

    Attributes:
        extractor, extractor_sha256: the extractor's name and the hash of its tensors.
        resize: what is done to an image before the extractor sees it.
        part: the data's part, or parts, that the reference was taken from.
        reference_sha256, reference_size: the reference's images, and how many they are (for the FID).
        samples: how many samples are scored; as many of the reference's images serve all scores but the FID.
        neighbours: k of density and coverage.
        confidence: the probability from which on a prediction counts for the modes; see `find_confidences`.
        hit: the fraction of its share among the reference that makes a class hit.
        directions: how many projections the sliced Wasserstein distance averages over.
        formulas: the version of this module's formulas.
    """

    extractor: str
    extractor_sha256: str
    resize: str
    part: str
    reference_sha256: str
    reference_size: int
    samples: int
    neighbours: int
    confidence: float = _CONFIDENT
    hit: float = _HIT
    directions: int = _DIRECTIONS
    formulas: str = FORMULAS

    def as_dict(self) -> dict[str, str | int | float]:
        """Plain values by name, for records."""
        return asdict(self)


class Reference:
    """The images that samples are compared with, and their features, which are computed once.

    At most 10,000 of the images are kept. They are drawn with a fixed seed, because data may be sorted. If there are no
    more images than features (64; Inception has 2,048), the covariances are singular: the FID is still defined, and
    still ranks what is measured alike, but its bias is large.

    Attributes:
        samples: how many samples `score_samples` takes.
        real_fid: the FID of `real`, which is about the least that samples can have; None without them.
        protocol: what the scores depend on.
        confidences, shares: what `count_modes` compares with, (K,) each; None where the extractor has no classes.

    Args:
        images: (N, C, H, W), uint8 or float32 in [0, 1]; at least two.
        part: what the images are, for the protocol: ``validation``.
        samples: how many samples to score, at most the images kept; None for 2,000, or as many as there are images.
        real: other images of the data (N, C, H, W), as many as samples are scored.

    Raises:
        UserError: fewer than two images, or more samples than images.
    """

    def __init__(
        self,
        images: Tensor,
        extractor: FeatureExtractor,
        *,
        part: str = "validation",
        samples: int | None = None,
        real: Tensor | None = None,
    ) -> None:
        if len(images) < 2:
            raise UserError("--dataset", part, "two images or more to compare with", why=f"has {len(images)}")
        order = np.random.default_rng(0xF1D).permutation(len(images))[:_MOST_REFERENCE]
        kept = images[torch.from_numpy(order).to(images.device)].cpu()
        self.samples = min(_MOST_SAMPLES, len(kept)) if samples is None else samples
        if not 2 <= self.samples <= len(kept):
            raise UserError("samples", samples, f"2 to {len(kept)}, the images there are to compare with")
        self.features = as_double(extractor.features(kept))
        self.real_fid: float | None = None
        if real is not None:
            self.real_fid = frechet_distance(self.features, as_double(extractor.features(real)))
        self.projections = project_images(kept[: self.samples], _DIRECTIONS)
        self.protocol = Protocol(
            extractor.name,
            extractor.sha256,
            extractor.resize,
            part,
            hash_tensors({"images": kept}),
            len(kept),
            self.samples,
            min(_NEIGHBOURS, self.samples - 1),
        )
        logits = extractor.classify(self.features)
        self.confidences: Tensor | None = None
        self.shares: Tensor | None = None
        if logits is not None:
            self.confidences = find_confidences(logits)
            self.shares = find_confident_shares(logits, self.confidences)

    @property
    def classes(self) -> int:
        """How many modes the reference itself hits, the most that can be; 0 where the extractor knows no classes."""
        return 0 if self.shares is None else int((self.shares > 0).sum())


def make_reference(
    data: Dataset,
    extractor: FeatureExtractor,
    *,
    part: Literal["validation", "test"] = "validation",
    samples: int | None = None,
) -> Reference:
    """Make the reference of a search, the validation part; or of the final test, the normal examples of the test part.

    Never the training part: a generator that has learnt it by heart would win. Training images, as many as samples are
    scored, say what FID the data itself has: that of few images is biased upwards, by as much for samples as for them.

    Args:
        samples: how many samples to score; None for `count_samples`.

    Raises:
        UserError: see `count_samples` and `Reference`.
    """
    count = count_samples(data) if samples is None else samples
    images = (data.validation if part == "validation" else data.normal_test).examples
    if len(images) < _FEW:
        log.warning("%s: its %s part has %d images, too few for an FID to say much", data.name, part, len(images))
    order = np.random.default_rng(0x5EA1).permutation(len(data.train))[:count]
    real = data.train.take(torch.from_numpy(order).to(data.train.examples.device)).examples
    return Reference(images, extractor, part=part, samples=count, real=real)


def count_samples(*sets: Dataset) -> int:
    """Count the samples to score: 2,000, or as many as the least validation or test part has images.

    They are as many for both parts, so that the bias of the FID is as large for both.

    Raises:
        UserError: there are fewer than two.
    """
    for data in sets:
        if min(len(data.validation), len(data.normal_test)) < 2:
            why = f"is split into {data.counts}"
            raise UserError("--dataset", data.name, f"more {data.kind}s: two or more in each part", why=why)
    return min(_MOST_SAMPLES, *(len(part) for data in sets for part in (data.validation, data.normal_test)))


def score_samples(samples: Tensor, extractor: FeatureExtractor, reference: Reference) -> dict[str, float]:
    """Compute all scores of samples (N, C, H, W) float32 in [0, 1], N being the reference's `samples`.

    ``fid``, ``kid``, ``density``, ``coverage``, ``sliced_wasserstein`` and ``sample_deviation`` (both in the units
    of pixels); ``modes`` and ``label_entropy`` (nats) where the extractor has classes; ``real_fid`` where the reference
    has it, which is the same for all samples. See the functions below.

    Raises:
        Diverged: a sample is not finite.
        ValueError: another number of samples, or another extractor than the reference's.
    """
    if len(samples) != reference.samples:
        raise ValueError(f"{len(samples)} samples, but the protocol has {reference.samples}")
    if extractor.sha256 != reference.protocol.extractor_sha256:
        raise ValueError(f"the extractor is {extractor.sha256[:10]}, but the reference was made with another")
    if not bool(torch.isfinite(samples).all()):
        raise Diverged("samples hold values that are not finite")
    protocol = reference.protocol
    features = as_double(extractor.features(samples))
    alike = reference.features[: len(samples)]
    density, coverage = density_and_coverage(alike, features, protocol.neighbours)
    real = {} if reference.real_fid is None else {"real_fid": reference.real_fid}
    scores = {
        "fid": frechet_distance(reference.features, features),
        **real,
        "kid": kernel_distance(alike, features),
        "density": density,
        "coverage": coverage,
        "sliced_wasserstein": sliced_wasserstein(reference.projections, project_images(samples, protocol.directions)),
        "sample_deviation": sample_deviation(samples),
    }
    logits = extractor.classify(features)
    if logits is not None and reference.confidences is not None and reference.shares is not None:
        scores["modes"] = float(count_modes(logits, reference.confidences, reference.shares))
        scores["label_entropy"] = label_entropy(logits)
    return scores


class _PassThrough(nn.Module):
    """Replaces the network that torchmetrics expects, because the features are there already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        """Give the features (N, D) as they are."""
        return features


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """Compute the Fréchet distance (Heusel et al. 2017, equation 6) of features (M, D) and (N, D), by torchmetrics.

    |m - m'|^2 + Tr(C + C' - 2 (C C')^(1/2)), at least 0; less is better.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(feature=_PassThrough(real.shape[1])).to(real.device)
    metric.update(real.double(), real=True)
    metric.update(fake.double(), real=False)
    return max(0.0, float(metric.compute()))  # rounding can leave it at -1e-12


def kernel_distance(real: Tensor, fake: Tensor) -> float:
    """Compute the unbiased squared MMD with the kernel (x.y / D + 1)^3 of features (N, D) twice, by torchmetrics.

    Bińkowski et al. 2018, equation 4, of all images at once instead of the mean over random subsets, so that
    nothing is drawn. Its expectation is 0 for equal distributions whatever N is; it can be negative; less is better.
    """
    from torchmetrics.image.kid import poly_mmd

    return float(poly_mmd(real.double(), fake.double()))


def density_and_coverage(real: Tensor, fake: Tensor, neighbours: int) -> tuple[float, float]:
    """Compute density and coverage (Naeem et al. 2020, section 3) of features (N, D) twice, by prdc.

    Density: how many of the reference's balls of k neighbours hold a sample, in units of k; 1 is expected of equal
    distributions. Coverage: the fraction of the reference's balls that hold a sample; more is better.
    """
    from prdc import compute_prdc

    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), warnings.catch_warnings():
        # it prints the two sizes, and scikit-learn warns of the threads that it starts
        warnings.filterwarnings("ignore", ".*sklearn.utils.parallel", UserWarning)
        found = compute_prdc(real.cpu().numpy(), fake.cpu().numpy(), neighbours)
    return float(found["density"]), float(found["coverage"])


def find_confidences(logits: Tensor) -> Tensor:
    """Find the probability from which on a class counts as predicted, (K,), given the reference's logits (N, K).

    It is 0.9 or, if the classifier is rarely as sure of a class, the upper quartile of its probability among the images
    of the reference that it predicts to be of that class. Otherwise there would be few modes to hit on photographs.
    """
    probabilities, labels = as_double(logits).softmax(1).max(1)
    each = [probabilities[labels == label] for label in range(logits.shape[1])]
    return torch.stack([x.quantile(0.75).clamp(max=_CONFIDENT) if len(x) else x.new_tensor(_CONFIDENT) for x in each])


def find_confident_shares(logits: Tensor, confident: Tensor) -> Tensor:
    """Compute the share of images with logits (N, K) that is predicted as each class with confidence (K,): (K,)."""
    probabilities, labels = as_double(logits).softmax(1).max(1)
    counted = labels[probabilities >= confident[labels]]
    return as_double(torch.bincount(counted, minlength=logits.shape[1])) / len(logits)


def count_modes(logits: Tensor, confident: Tensor, shares: Tensor) -> int:
    """Count the classes that samples hit, given their logits (N, K) and the reference's confidences and shares, (K,).

    A class is hit if the samples' share of confident predictions of it is at least a quarter of the reference's. With a
    lower share, a missing class is not noticed if others are taken for it: the classifier of 10,000 CIFAR-10 images is
    right in half of the cases.
    """
    found = find_confident_shares(logits, confident)
    return int(((found > 0) & (shares > 0) & (found >= _HIT * shares)).sum())


def label_entropy(logits: Tensor) -> float:
    """Compute the entropy of the mean predicted distribution of labels, in nats, of (N, K) logits: at most ln K."""
    mean = as_double(logits).softmax(1).mean(0)
    return float(torch.special.entr(mean).sum())


def project_images(images: Tensor, directions: int) -> Tensor:
    """Project images (N, C, H, W) on random unit vectors of a fixed seed, sorted over the images: (N, directions)."""
    size = images[:1].numel()
    generator = np.random.default_rng([0x5D, size])
    vectors = torch.from_numpy(generator.standard_normal((size, directions), dtype=np.float32))
    vectors /= vectors.norm(dim=0)
    along = torch.cat([as_float(images[part].detach().cpu()).flatten(1) @ vectors for part in batches(images)])
    return torch.sort(along, dim=0).values


def sliced_wasserstein(real: Tensor, fake: Tensor) -> float:
    """Compute the mean 1-Wasserstein distance over directions, of two sets of projections (N, directions).

    Rabin et al. 2011, of whole images. Less is better. In units of pixels, but a direction of many pixels sees
    little of each: a change by d of all pixels counts about 0.8 d.
    """
    return float(torch.mean(torch.abs(real - fake)))


def sample_deviation(samples: Tensor) -> float:
    """Compute the standard deviation across samples (N, C, H, W), the mean over channels and pixels."""
    return float(as_double(samples.std(0, correction=0)).mean())


def data_deviation(data: Dataset) -> float:
    """Compute the `sample_deviation` of the training part's images, of which the first 5,000 are enough."""
    return sample_deviation(as_float(data.train.examples[:_ENOUGH_FOR_DEVIATION]))
