"""All uses at once, on data of every shape, and what is left out is said."""

import io
import math
import time

import numpy as np
import pytest
import torch
from PIL import Image

from evaluators.examination import examination as uses
from evaluators.examination import subject as subjects
from evaluators.examination.effort import Effort, plan_quick
from evaluators.examination.embedding import draw_codes
from evaluators.examination.examination import examine_uses
from evaluators.examination.reconstruction import examine_reconstruction
from evaluators.examination.subject import as_rows, choose_some, squared_errors
from evaluators.examination.traversal import draw_traversals
from nas.data.dataset import Dataset, Split
from nas.data.splitting import keep_normal
from tests.parts.examinations import flatten, numbered, split


def made(shape, labelled=True, normal=(), missing=False, count=240):
    """Examples that depend on their labels, a third of them the test part."""
    labels = numbered(count)
    generator = np.random.default_rng(0)
    examples = 0.2 * labels.reshape(-1, *[1] * len(shape)) + generator.uniform(0, 0.2, (count, *shape))
    if missing:
        examples[generator.random(examples.shape) < 0.1] = np.nan
    parts = []
    for rows in (slice(0, 120), slice(120, 160), slice(160, None)):
        parts.append(split(examples[rows], labels[rows] if labelled else None))
    return keep_normal(Dataset("made", *parts, tuple("0123") if labelled else ()), normal)


QUICK = Effort(quick=True)


@pytest.fixture(autouse=True)
def _few_drawn(monkeypatch):
    """Few codes are drawn, as t-SNE takes most of the time here."""
    monkeypatch.setattr(uses, "EMBEDDED", 40)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 7), (12,), (2, 9)])
def test_data_of_every_shape_is_judged(shape):
    missing = len(shape) < 3
    model = filled(shape) if missing else flatten(shape, 6)
    found = examine_uses(model, made(shape, missing=missing), 0, bound_samples=3)
    assert all(math.isfinite(value) for value in found.metrics.values())
    assert found.metrics["probe_accuracy"] > 0.8
    assert sorted(name for names in found.uses.values() for name in names) == sorted(found.metrics)
    images = {"denoised.png", "traversals.png", "interpolations.png"} if len(shape) == 3 else set()
    assert set(found.pictures) == {"codes.png", "robustness.png"} | images
    for picture in found.pictures.values():
        Image.open(io.BytesIO(picture)).verify()
    assert ("psnr" in found.metrics) == (len(shape) == 3)
    assert any(remark.startswith("no anomaly detection: it was trained on all labels") for remark in found.remarks)
    assert "elbo" not in found.metrics


def filled(shape):
    """A model that takes a missing value for 0."""
    plain = flatten(shape, 6)
    return subjects.Subject(
        lambda examples: plain.encode(examples.nan_to_num()),
        plain.decode,
        lambda examples: plain.reconstruct(examples.nan_to_num()),
    )


def test_the_same_seed_finds_the_same():
    few = Effort(changed=20, quick=True)
    found = [examine_uses(flatten((12,), 4), made((12,)), seed, bound_samples=3, effort=few) for seed in (7, 7, 2**60)]
    assert found[0] == found[1]
    assert found[0].metrics != found[2].metrics
    assert "robustness is of 20 test examples" in found[0].remarks


def test_without_labels_there_is_no_probe_and_with_normal_ones_anomalies_are_judged():
    found = examine_uses(flatten((12,), 4), made((12,), labelled=False), 0, bound_samples=3, effort=QUICK)
    assert "no labels: no probe, neighbours, clusters and transfer" in found.remarks
    assert any("the data have no labels" in remark for remark in found.remarks)
    assert "probe_accuracy" not in found.metrics
    found = examine_uses(flatten((12,), 4), made((12,), normal=["0"]), 0, bound_samples=3, effort=QUICK)
    assert "one label only: no probe, neighbours, clusters and transfer" in found.remarks
    assert found.metrics["anomaly_auroc"] > 0.99  # only the normal are near 0, which it gives for what it does not code
    part = made((12,), normal=["0"]).test
    normal = part.take(part.labels == 0)
    assert found.metrics["mse"] == examine_reconstruction(flatten((12,), 4), normal).metrics["mse"]


def test_reconstructions_are_measured_as_they_should_be():
    examples = torch.tensor([[0.0, 1.0], [0.5, torch.nan]])
    subject = subjects.Subject(lambda x: x, lambda x: x, lambda x: torch.full_like(x, 0.25))
    found = examine_reconstruction(subject, Split(examples)).metrics
    assert found["mse"] == pytest.approx(((0.25**2 + 0.75**2) / 2 + 0.25**2) / 2)
    entropies = [-math.log(0.75), -math.log(0.25), -0.5 * (math.log(0.25) + math.log(0.75))]
    assert found["bce"] == pytest.approx(sum(entropies) / 3)
    assert "bce" not in examine_reconstruction(subject, Split(examples - 1)).metrics
    assert torch.equal(squared_errors(torch.zeros(1, 2), torch.full((1, 2), torch.nan)), torch.zeros(1).double())


def test_missing_values_become_the_training_parts_means():
    train = torch.tensor([[1.0, torch.nan], [3.0, torch.nan]])
    assert as_rows(torch.tensor([[torch.nan, torch.nan], [5.0, 6.0]]), train).tolist() == [[2, 0], [5, 6]]


def test_a_choice_of_examples_is_of_all_labels_however_they_are_sorted_and_small_where_they_are_large(monkeypatch):
    part = split(np.zeros((1000, 4)), np.arange(1000) // 100)
    some = choose_some(part, 100, 0)
    assert len(some) == 100
    assert len(np.unique(some.labels)) == 10
    assert choose_some(part, 1000, 0) is part
    monkeypatch.setattr(subjects, "_MOST_VALUES", 40)
    assert len(choose_some(part, 100, 0)) == 10


def test_codes_are_drawn_by_t_sne_and_codes_that_are_the_same_not_at_all():
    codes, labels = np.random.default_rng(0).standard_normal((30, 5)), np.arange(30) % 3
    few, enough = (draw_codes(codes[:count], labels[:count], "abc", 0) for count in (9, 30))
    widths = [Image.open(io.BytesIO(found.pictures["codes.png"])).width for found in (few, enough)]
    assert widths[1] > 1.8 * widths[0]
    assert draw_codes(codes[:, :1], None, (), 0).pictures
    assert draw_codes(codes, np.arange(30), tuple(map(str, range(30))), 0).pictures
    same = draw_codes(np.zeros((30, 5)), labels, "abc", 0)
    assert not same.pictures
    assert same.remarks == ("all codes are the same: there is nothing to draw",)


def test_a_quick_examination_draws_nothing_and_says_what_it_is_of():
    effort = Effort(tested=30, fitted=50, changed=10, quick=True)
    found = examine_uses(flatten((1, 8, 8), 6), made((1, 8, 8)), 0, bound_samples=3, effort=effort)
    assert not found.pictures
    assert list(found.uses) == ["reconstruction", "labels", "few labels", "robustness"]
    assert "psnr_at_noise_0.1" in found.metrics
    assert "psnr_at_scale_0.8" not in found.metrics
    assert {"measured on 30 of 80 test examples", "robustness is of 10 test examples"} <= {*found.remarks}


@pytest.mark.parametrize(
    ("effort", "samples", "bounded"),
    [(Effort(bounded=50), 50, 50), (Effort(bounded=50), 51, 80), (Effort(bounded=50, quick=True), 51, 50)],
)
def test_many_samples_are_of_all_examples_unless_it_shall_be_quick(effort, samples, bounded, monkeypatch):
    monkeypatch.setattr(uses, "EMBEDDED", 5)
    asked = []

    def bound(examples, samples):
        asked.append((len(examples), samples))
        return torch.zeros(3, len(examples))

    examine_uses(flatten((12,), 4, bound=bound), made((12,)), 0, bound_samples=samples, effort=effort)
    assert asked == [(bounded, samples)]


def test_what_there_is_no_time_for_is_left_out_and_named():
    slow = subjects.Subject(lambda x: x.flatten(1), lambda x: x, lambda x: x, lambda x, n: torch.zeros(3, len(x)))
    effort = Effort(quick=True, until=time.monotonic() + 0.3)
    found = examine_uses(slow, made((12,)), 0, bound_samples=3, effort=effort)
    assert {"reconstruction"} <= {*found.uses} <= {"reconstruction", "likelihood"}
    assert "no time was left for labels, robustness" in found.remarks


def test_a_quick_examination_looks_at_fewer_examples_the_more_a_pass_of_one_costs():
    cheap, usual, dear = (plan_quick(cost, 50, None) for cost in (1e3, 2e7, 1e12))
    assert (cheap.tested, cheap.fitted, cheap.changed, cheap.bounded) == (1000, 1000, 200, 100)
    assert (usual.tested, usual.fitted, usual.changed, usual.bounded) == (200, 200, 33, 10)
    assert (dear.tested, dear.fitted, dear.changed, dear.bounded) == (100, 200, 20, 10)


def test_interpolations_begin_and_end_with_the_images_between_which_they_are():
    images = torch.rand(4, 1, 8, 8)
    found = draw_traversals(flatten((1, 8, 8)), Split(images))
    drawn = np.asarray(Image.open(io.BytesIO(found.pictures["interpolations.png"])))
    assert drawn.shape == (2 * 34, 9 * 34)  # enlarged four times, with a border
    for row in (0, 1):
        for column, image in ((0, 2 * row), (8, 2 * row + 1)):
            tile = drawn[34 * row + 1 : 34 * row + 33 : 4, 34 * column + 1 : 34 * column + 33 : 4]
            assert np.abs(tile / 255 - images[image, 0].numpy()).max() < 0.01
    assert list(draw_traversals(flatten((1, 8, 8)), Split(images[:1])).pictures) == ["traversals.png"]
