"""Data of every kind: its shape, its fingerprint, and how scoring takes it in pieces."""

import pytest
import torch

from nas.core.errors import UserError
from nas.data.dataset import Dataset, Split, as_float, batches
from nas.data.loading import load_data
from nas.data.pairs import make_pair


def dataset(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Dataset("numbers", *(Split(torch.randn(count, *shape, generator=generator)) for count in (12, 3, 4)))


@pytest.mark.parametrize(("shape", "kind"), [((3, 8, 6), "image"), ((7,), "vector"), ((2, 50), "sequence")])
def test_dimensions_say_the_kind(shape, kind):
    data = dataset(*shape)
    assert (data.kind, data.shape, data.train.kind) == (kind, shape, kind)
    assert data.fingerprint == dataset(*shape).fingerprint != dataset(*shape, seed=1).fingerprint
    assert data.counts == "12 to train, 3 to validate, 4 to test"
    assert make_pair(data, data).kind == f"{kind}_pair"


@pytest.mark.parametrize("shape", [(), (1, 2, 3, 4)])
def test_other_dimensions_are_refused(shape):
    with pytest.raises(UserError, match=r"allowed: images \(N, C, H, W\), vectors \(N, D\) or sequences \(N, C, T\)"):
        _ = dataset(*shape).kind


def test_fingerprints_of_images_stay_what_they_were():
    assert load_data("digits", split="shuffled").fingerprint == "1576e7a2223a39fe"
    edges = load_data("edges:digits", image_size=12, seed=1, test_seed=1, split="shuffled")
    assert edges.fingerprint == "85a182c803d56022"


@pytest.mark.parametrize("shape", [(3, 8, 6), (7,), (2, 50)])
def test_bytes_become_fractions_and_floats_stay(shape):
    whole = torch.arange(5 * torch.Size(shape).numel()).view(5, *shape).to(torch.uint8)
    fractions = as_float(whole)
    assert torch.equal(fractions, whole.float() / 255)
    assert fractions.is_contiguous(memory_format=torch.channels_last if len(shape) == 3 else torch.contiguous_format)
    assert as_float(fractions) is fractions


@pytest.mark.parametrize(
    ("shape", "sizes"), [((7,), [500, 500, 200]), ((4, 1024), [256] * 4 + [176]), ((3, 1024, 1024), [1])]
)
def test_batches_hold_at_most_500_examples_and_a_million_values(shape, sizes):
    examples = torch.zeros(1).expand(sum(sizes), *shape)
    assert [len(examples[part]) for part in batches(examples)] == sizes


def test_parts_are_taken_by_indices_and_by_slices():
    part = Split(torch.arange(12.0).view(6, 2), torch.arange(6), torch.arange(6.0)[:, None])
    for places, wanted in ((torch.tensor([4, 1]), [4, 1]), (slice(1, None, 2), [1, 3, 5])):
        taken = part.take(places)
        assert taken.labels.tolist() == taken.vectors[:, 0].tolist() == (taken.examples[:, 0] / 2).tolist() == wanted


def test_pairs_of_different_kinds_are_refused():
    with pytest.raises(
        UserError, match=r"--dataset-b .*examples of 7 and of 2 x 50 are not of one shape.*two data sets"
    ):
        make_pair(dataset(7), dataset(2, 50))
    with pytest.raises(UserError, match="examples of 1 and of 3 are not of one shape"):
        make_pair(dataset(1), dataset(3))  # vectors are not grey and colour
