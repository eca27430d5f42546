"""Sample metrics against closed forms and reference libraries, and what they notice of damaged images."""

import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from torch.nn import functional as F
from torchmetrics.image.kid import KernelInceptionDistance

from benchmarks.damaged_images import damaged
from evaluators.features import extractor as extractors
from evaluators.features.extractor import load_extractor
from evaluators.metrics.samples import (
    Reference,
    count_modes,
    density_and_coverage,
    find_confidences,
    find_confident_shares,
    frechet_distance,
    kernel_distance,
    label_entropy,
    make_reference,
    project_images,
    sample_deviation,
    score_samples,
    sliced_wasserstein,
)
from nas.core.errors import Diverged, UserError
from nas.data.dataset import Split, as_float
from nas.data.loading import load_data
from tests.parts.extractors import SHORT, small

MNIST = Path(__file__).parents[4] / "shared/data/mnist.npz"


def normal(count, size, seed, scale=1.0, shift=0.0):
    generator = np.random.default_rng(seed)
    return torch.from_numpy(generator.standard_normal((count, size)) * scale + shift)


# formulas


def test_the_frechet_distance_of_two_gaussians_is_the_closed_form():
    # independent dimensions: the sum of (m - m')^2 + (s - s')^2
    scales, shifts = np.array([1.0, 2.0, 0.5, 3.0]), np.array([0.0, 1.0, -2.0, 0.5])
    real, fake = normal(200_000, 4, 0), normal(200_000, 4, 1, scales, shifts)
    wanted = float((shifts**2).sum() + ((scales - 1) ** 2).sum())
    assert frechet_distance(real, fake) == pytest.approx(wanted, rel=0.01)
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("count", [5, 40, 300])
def test_the_frechet_distance_is_that_of_the_matrix_square_root_even_of_fewer_images_than_features(count):
    mixing = np.random.default_rng(3).standard_normal((16, 16))
    real, fake = normal(200, 16, 0) @ torch.from_numpy(mixing), normal(count, 16, 1, 1.5, 0.3)
    a, b = np.cov(real.numpy().T), np.cov(fake.numpy().T)
    difference = real.numpy().mean(0) - fake.numpy().mean(0)
    root = scipy.linalg.sqrtm(a)
    # tr (A B)^1/2 = tr (A^1/2 B A^1/2)^1/2, whose eigenvalues are those of a symmetric matrix
    eigenvalues = np.linalg.eigvalsh(root @ b @ root).clip(min=0)
    wanted = difference @ difference + np.trace(a) + np.trace(b) - 2 * np.sqrt(eigenvalues).sum()
    assert frechet_distance(real, fake) == pytest.approx(wanted, rel=1e-4)


def test_the_kernel_distance_is_torchmetrics_of_one_subset_and_unbiased():
    real, fake = normal(100, 8, 0), normal(100, 8, 1, 1.2)

    class Given(torch.nn.Module):
        num_features = 8

        def forward(self, features):
            return features

    metric = KernelInceptionDistance(feature=Given(), subsets=1, subset_size=100)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    assert kernel_distance(real, fake) == pytest.approx(float(metric.compute()[0]), rel=1e-5)
    small = [kernel_distance(normal(10, 4, 2 * seed), normal(10, 4, 2 * seed + 1)) for seed in range(400)]
    assert abs(np.mean(small)) < 3 * np.std(small) / math.sqrt(len(small))  # a biased one is far above 0
    assert min(small) < 0


def test_density_and_coverage_have_their_expectations_of_equal_distributions(capsys):
    # Naeem et al. 2020, section 3: density 1, coverage 1 - (M-1)...(M-k) / ((2M-1)...(2M-k))
    count, k = 400, 5
    found = [density_and_coverage(normal(count, 6, 2 * s), normal(count, 6, 2 * s + 1), k) for s in range(2)]
    wanted = 1 - math.prod((count - i) / (2 * count - i) for i in range(1, k + 1))
    assert np.mean([density for density, _ in found]) == pytest.approx(1, abs=0.1)
    assert np.mean([coverage for _, coverage in found]) == pytest.approx(wanted, abs=0.02)
    assert capsys.readouterr().out == ""


def test_density_and_coverage_by_hand():
    real = torch.tensor([[0.0], [1.0], [3.0], [10.0]])  # the nearest are 1, 1, 2 and 7 away
    fake = torch.tensor([[0.5], [0.6], [20.0], [30.0]])
    density, coverage = density_and_coverage(real, fake, 1)
    assert density == pytest.approx(4 / 4)  # each of the first two lies in two balls
    assert coverage == pytest.approx(2 / 4)


def test_the_sliced_wasserstein_distance_is_scipys_along_each_direction():
    real, fake = (normal(50, 12, seed, 1 + seed, seed / 2).float().view(50, 3, 2, 2) for seed in (0, 1))
    vectors = np.random.default_rng([0x5D, 12]).standard_normal((12, 20), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=0)
    first, second = real.flatten(1).numpy(), fake.flatten(1).numpy()
    each = [scipy.stats.wasserstein_distance(first @ v, second @ v) for v in vectors.T]
    assert sliced_wasserstein(project_images(real, 20), project_images(fake, 20)) == pytest.approx(
        np.mean(each), rel=1e-4
    )
    # of images moved by d it is the mean of |d.v| over the sphere: |d| (2 / (pi P))^1/2 for many pixels P
    images = torch.rand(20, 1, 20, 20)
    moved = sliced_wasserstein(project_images(images, 5_000), project_images(images + 0.5, 5_000))
    assert moved == pytest.approx(0.5 * math.sqrt(2 / math.pi), rel=0.03)


def test_modes_and_label_entropy_by_hand():
    certain = 20 * F.one_hot(torch.arange(4).repeat_interleave(torch.tensor([50, 47, 2, 1]))).float()
    confident, shares = torch.full((4,), 0.9), torch.tensor([0.25, 0.25, 0.25, 0.04])
    assert (
        count_modes(certain, confident, shares) == 3
    )  # the third has less than a quarter of its share, the last has it
    assert count_modes(torch.zeros(100, 4), confident, shares) == 0  # no prediction is confident
    assert count_modes(certain, confident, find_confident_shares(certain, confident)) == 4
    assert label_entropy(certain) == pytest.approx(scipy.stats.entropy([50, 47, 2, 1]), rel=1e-4)
    assert label_entropy(torch.zeros(100, 4)) == pytest.approx(math.log(4))


def test_a_class_the_classifier_is_rarely_sure_of_counts_from_its_upper_quartile():
    sure, unsure = torch.tensor([0.99, 0.95, 0.95, 0.95, 0.5]), torch.linspace(0.6, 0.8, 5)
    probabilities = torch.cat([torch.stack([sure, 1 - sure], 1), torch.stack([1 - unsure, unsure], 1)])
    logits = F.pad(probabilities.log(), (0, 1), value=-100)  # a third class that nothing is
    found = find_confidences(logits)
    assert found.tolist() == pytest.approx([0.9, 0.75, 0.9])
    assert find_confident_shares(logits, found).tolist() == pytest.approx([0.4, 0.2, 0])


def test_sample_deviation_by_hand():
    samples = torch.tensor([[0.0, 0.5], [1.0, 0.5]]).view(2, 1, 1, 2)
    assert sample_deviation(samples) == pytest.approx((0.5 + 0) / 2)


# references and protocols


@pytest.fixture(scope="module")
def tiny_scored(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extractors, "RECIPES", SHORT)
        data = small(count=200)
        return data, load_extractor(data, directory=tmp_path_factory.mktemp("features"))


def test_scores_have_their_names_and_repeat(tiny_scored):
    data, extractor = tiny_scored
    reference = make_reference(data, extractor)
    assert reference.protocol.part == "validation"
    assert reference.samples == len(data.validation) == make_reference(data, extractor, part="test").samples
    samples = torch.rand(reference.samples, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    scores = score_samples(samples, extractor, reference)
    named = "fid real_fid kid density coverage modes label_entropy sliced_wasserstein sample_deviation"
    assert set(scores) == set(named.split())
    assert all(type(value) is float and math.isfinite(value) for value in scores.values())
    assert score_samples(samples, extractor, make_reference(data, extractor)) == scores
    one = samples[:1].expand_as(samples)
    collapsed = score_samples(one, extractor, reference)
    assert collapsed["sample_deviation"] == 0
    assert collapsed["coverage"] < 0.2
    with pytest.raises(Diverged, match="not finite"):
        score_samples(samples.log().log(), extractor, reference)
    with pytest.raises(ValueError, match="samples"):
        score_samples(samples[1:], extractor, reference)
    with pytest.raises(ValueError, match="extractor"):
        score_samples(samples, replace(extractor, sha256="0"), reference)


@pytest.mark.usefixtures("short")
def test_without_classes_there_are_no_modes(tmp_path):
    data = small(labels=False)
    extractor = load_extractor(data, directory=tmp_path)
    reference = make_reference(data, extractor)
    scores = score_samples(torch.rand(reference.samples, 1, 8, 8), extractor, reference)
    assert not {"modes", "label_entropy"} & set(scores)
    assert reference.shares is None


def test_the_reference_is_never_the_test_part(tiny_scored):
    data, extractor = tiny_scored
    large = replace(data, validation=data.validation.take(torch.arange(1_000) % len(data.validation)))
    for given in (data, large):
        hidden = replace(given, test=Split(torch.full_like(given.test.examples, 255)))
        assert make_reference(hidden, extractor).protocol == make_reference(given, extractor).protocol
    assert make_reference(large, extractor).protocol.part == "validation"


def test_training_images_that_were_learnt_by_heart_win_nothing_against_other_real_ones():
    data = load_data("digits", split="shuffled")  # the first images are then drawn as others are
    with TemporaryDirectory() as folder:
        extractor = load_extractor(data, directory=Path(folder), kind="classifier")
    reference = make_reference(data, extractor)
    count = reference.samples
    assert count == len(data.validation) == 215
    scores = {part: score_samples(as_float(getattr(data, part).examples[:count]), extractor, reference)["fid"]
              for part in ("train", "test")}  # fmt: skip
    assert scores["train"] > 0.5 * scores["test"]
    assert reference.real_fid == pytest.approx(scores["train"], rel=0.5)
    blurred = score_samples(damaged(data.test, count)["blurred"], extractor, reference)
    assert blurred["fid"] > 3 * blurred["real_fid"]


def test_few_images_to_compare_with_are_warned_of_and_too_few_refused(tiny_scored, caplog):
    data, extractor = tiny_scored
    make_reference(data, extractor)
    assert "its validation part has 24 images, too few" in caplog.text
    with pytest.raises(UserError, match="two or more in each part"):
        make_reference(replace(data, validation=data.validation.take(slice(1))), extractor)


@pytest.mark.usefixtures("short")
def test_protocols_are_equal_if_everything_is(tiny_scored, tmp_path):
    data, extractor = tiny_scored
    images = data.validation.examples
    protocol = Reference(images, extractor).protocol
    assert protocol == Reference(images.clone(), extractor).protocol
    assert json.loads(json.dumps(protocol.as_dict())) == protocol.as_dict()
    other = load_extractor(data, directory=tmp_path, kind="self_supervised")
    others = {
        "reference_size": Reference(images[1:], extractor).protocol,
        "samples": Reference(images, extractor, samples=10).protocol,
        "extractor_sha256": Reference(images, other).protocol,
        "formulas": replace(protocol, formulas="0"),
    }
    for name, different in others.items():
        own, found = protocol.as_dict(), different.as_dict()
        assert name in {key for key in own if own[key] != found[key]}


def test_too_few_images_are_refused(tiny_scored):
    data, extractor = tiny_scored
    with pytest.raises(UserError, match="two images or more"):
        Reference(data.train.examples[:1], extractor)
    with pytest.raises(UserError, match="samples 500"):
        Reference(data.train.examples, extractor, samples=500)


# calibration


def damaged_scores(data, kind, count):
    """The scores of damaged images of the test part, which the extractor has not seen, and its accuracy."""
    with TemporaryDirectory() as folder:
        extractor = load_extractor(data, directory=Path(folder), kind=kind)
    reference = make_reference(data, extractor, samples=count)
    sets = damaged(data.test, count)
    return {name: score_samples(samples, extractor, reference) for name, samples in sets.items()}, extractor.accuracy


def rising(scores, metric, *names):
    """Whether the metric rises from each set to the next."""
    values = [scores[name][metric] for name in names]
    return all(first < second for first, second in pairwise(values))


@pytest.mark.parametrize("kind", ["classifier", pytest.param("self_supervised", marks=pytest.mark.slow)])
def test_damage_to_digits_is_noticed(kind):
    data = load_data("digits")
    scores, accuracy = damaged_scores(data, kind, len(data.validation))
    assert accuracy > (0.95 if kind == "classifier" else 0.7)
    assert rising(scores, "fid", "real", "one class missing", "half of the classes", "blurred")
    assert rising(scores, "fid", "real", "noise .1", "noise .3", "uniform noise")
    assert rising(scores, "coverage", "uniform noise", "half of the classes", "one class missing", "real")
    assert rising(scores, "coverage", "noise .3", "noise .1")
    assert scores["100 repeated"]["coverage"] < 0.95 < scores["real"]["coverage"]
    assert rising(scores, "sliced_wasserstein", "real", "noise .1", "noise .3", "uniform noise")
    assert scores["blurred"]["sample_deviation"] < 0.7 * scores["real"]["sample_deviation"]
    if kind == "classifier":
        found = {name: scores[name]["modes"] for name in ("real", "one class missing", "half of the classes")}
        assert found == {"real": 10, "one class missing": 9, "half of the classes": 5}
        assert rising(scores, "label_entropy", "half of the classes", "one class missing", "real")


@pytest.fixture(scope="module")
def mnist():
    if not MNIST.exists():
        pytest.skip("needs the MNIST archive of the shared data")
    return load_data(f"npz:{MNIST}", train_size=10_000)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["classifier", "self_supervised"])
def test_damage_to_mnist_is_noticed_in_the_order_of_the_table(mnist, kind, monkeypatch):
    # ../shared/facts.md, of another network and 10,000 images: FID real .93, noise .1 7.5, a digit missing 12, 100
    # repeated 25 to 39, noise .3 113, half of the digits 136, blurred 180, uniform noise 785
    recipes = {name: replace(recipe, images=recipe.images // 3) for name, recipe in extractors.RECIPES.items()}
    monkeypatch.setattr(extractors, "RECIPES", recipes)  # a third of the training is enough for the order
    scores, accuracy = damaged_scores(mnist, kind, 1_000)
    assert accuracy > (0.94 if kind == "classifier" else 0.8)
    for large in ("noise .3", "half of the classes", "blurred"):
        assert rising(scores, "fid", "real", "one class missing", "100 repeated", large, "uniform noise")
        assert rising(scores, "fid", "real", "noise .1", "100 repeated", large)
        assert rising(scores, "coverage", "uniform noise", large, "one class missing", "real")
        assert rising(scores, "kid", "real", large, "uniform noise")
    assert scores["one class missing"]["fid"] > 1.4 * scores["real"]["fid"]
    assert scores["noise .1"]["fid"] > 1.4 * scores["real"]["fid"]
    assert rising(scores, "coverage", "100 repeated", "half of the classes", "one class missing")
    assert scores["noise .3"]["density"] < 0.9
    assert rising(
        scores, "sliced_wasserstein", "real", "one class missing", "half of the classes", "blurred", "noise .3"
    )
    assert scores["blurred"]["sample_deviation"] < 0.9 * scores["real"]["sample_deviation"]
    if kind == "classifier":
        assert rising(scores, "fid", "noise .1", "one class missing")
        assert rising(scores, "kid", "real", "one class missing", "half of the classes")
        assert rising(scores, "coverage", "one class missing", "noise .1")
        found = {name: scores[name]["modes"] for name in ("real", "one class missing", "half of the classes")}
        assert found == {"real": 10, "one class missing": 9, "half of the classes": 5}
        assert rising(scores, "label_entropy", "uniform noise", "half of the classes", "one class missing", "real")
