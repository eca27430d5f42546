"""Training, validation and test part: disjoint, decided by the seed, of any kind of data."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.core.errors import UserError
from nas.core.space import Condition
from nas.data.dataset import Split
from nas.data.loading import load_arrays
from nas.data.source import UnsplitData
from nas.data.splitting import hide_labels, keep_normal, split_data, standardise_data
from tests.parts.data import keys, one_line, unique_images


def test_parts_do_not_overlap_and_the_seed_decides_them():
    arrays = {"x_train": unique_images(400)}
    data, again, other = (load_arrays(arrays, seed=seed) for seed in (0, 0, 1))
    parts = [keys(part) for part in (data.train, data.validation, data.test)]
    assert sum(len(part) for part in parts) == len(set.union(*parts)) == 400
    assert torch.equal(data.train.examples, again.train.examples)
    assert not torch.equal(data.train.examples, other.train.examples)


def test_the_test_part_does_not_depend_on_the_size_of_the_training_part():
    arrays = {"x_train": unique_images(400)}
    small, whole = load_arrays(arrays, train_size=40), load_arrays(arrays)
    assert torch.equal(small.test.examples, whole.test.examples)
    assert (len(small.train), len(small.validation)) == (40, 10)
    assert not keys(small.train) & keys(small.validation)


def test_the_test_part_does_not_depend_on_the_seed_and_other_parts_hold_none_of_it():
    arrays = {"x_train": unique_images(400)}
    zero, one, two = (load_arrays(arrays, seed=seed) for seed in (0, 1, 2))
    assert torch.equal(zero.test.examples, one.test.examples)
    for other in (one, two):
        assert keys(zero.test).isdisjoint(keys(other.train) | keys(other.validation))
        assert len(keys(other.train) | keys(other.validation) | keys(other.test)) == 400
    assert keys(zero.validation) != keys(one.validation) != keys(two.validation)


@pytest.mark.parametrize("seed", [0, 3])
def test_one_seed_for_all_parts_splits_as_it_did_before_the_test_part_had_its_own(seed):
    images = unique_images(400)
    order = np.random.default_rng([seed, 0xDA7A]).permutation(400)
    data = load_arrays({"x_train": images}, seed=seed, test_seed=seed)
    before = {"test": order[:80], "validation": order[80:128], "train": order[128:]}
    for name, rows in before.items():
        assert torch.equal(getattr(data, name).examples, torch.from_numpy(images[rows]).reshape(-1, *data.shape))


def test_an_own_test_part_is_kept():
    data = load_arrays({"x_train": unique_images(100), "x_test": unique_images(30), "y_train": np.arange(100) % 3})
    assert len(data.test) == 30
    assert data.classes == ("0", "1", "2")


@pytest.mark.parametrize("size", [0, 1, 69, 101])
def test_too_large_a_training_part_is_refused(size):
    with pytest.raises(UserError, match="--train-size") as error:
        load_arrays({"x_train": unique_images(100)}, train_size=size)
    assert "2 to 68" in one_line(error)


def test_vectors_and_sequences_are_split_as_images_are():
    images = unique_images(100)
    parts = load_arrays({"x_train": images}, seed=3)
    for shape in ((36,), (4, 9), (1, 2)):  # short sequences are no small images
        pool = Split.from_arrays(images.reshape(100, 36)[:, : np.prod(shape)].reshape(100, *shape).astype(np.float32))
        data = split_data("numbers", UnsplitData(pool), seed=3, train_size=None)
        assert data.shape == shape
        for part, images_of_part in ((data.train, parts.train), (data.validation, parts.validation)):
            first = images_of_part.examples.flatten(1)[:, : np.prod(shape)]
            assert torch.equal(part.examples.flatten(1), first.float())


@pytest.mark.parametrize(
    ("shape", "allowed"),
    [((9, 4), "10 vectors or more"), ((9, 4, 5), "10 sequences or more"), ((9, 1, 4, 4), "10 images or more"),
     ((20, 1, 4, 3), "images of 4 x 4 or more")],
)  # fmt: skip
def test_too_little_data_is_refused_in_its_own_words(shape, allowed):
    with pytest.raises(UserError, match=allowed) as error:
        split_data("few", UnsplitData(Split(torch.zeros(shape))), seed=0, train_size=None)
    one_line(error)


def test_every_part_has_its_share_of_each_class():
    labels = np.repeat([0, 1, 2], [300, 90, 10])
    arrays = {"x_train": unique_images(400), "y_train": labels}
    for options in ({}, {"seed": 3}, {"seed": 3, "test_seed": 3}, {"train_size": 80}):
        data = load_arrays(arrays, **options)
        for part in (data.train, data.validation, data.test):
            shares = part.labels.bincount(minlength=3) / len(part) - torch.tensor([0.75, 0.225, 0.025])
            assert (shares.abs() * len(part)).max() <= 1.5
        parts = [keys(part) for part in (data.train, data.validation, data.test)]
        assert sum(map(len, parts)) == len(set.union(*parts))
    plain = load_arrays(arrays, split="shuffled")
    assert torch.equal(plain.train.examples, load_arrays({"x_train": arrays["x_train"]}).train.examples)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=10, max_size=120), st.integers(0, 99), st.integers(0, 99))
def test_a_stratified_split_has_the_sizes_of_a_shuffled_one_and_every_example_once(labels, seed, test_seed):
    arrays = {"x_train": unique_images(len(labels)), "y_train": np.array(labels)}
    stratified, shuffled = (
        load_arrays(arrays, seed=seed, test_seed=test_seed, split=split) for split in ("stratified", "shuffled")
    )
    assert stratified.counts == shuffled.counts
    parts = (stratified.train, stratified.validation, stratified.test)
    assert set.union(*map(keys, parts)) == set(map(lambda image: tuple(image.flatten().tolist()), arrays["x_train"]))
    share = np.bincount(labels, minlength=7) * (len(stratified.test) / len(labels))
    found = stratified.test.labels.bincount(minlength=len(stratified.classes)).numpy()
    assert np.abs(found - share[[int(name) for name in stratified.classes]]).max() < 2


def labelled(count=400, test=False):
    arrays = {"x_train": unique_images(count), "y_train": np.arange(count) % 4}
    return {**arrays, "x_test": unique_images(40), "y_test": np.arange(40) % 4} if test else arrays


@pytest.mark.parametrize("own_test", [False, True])
def test_training_and_validation_keep_normal_labels_alone_and_the_test_part_is_as_ever(own_test):
    whole = load_arrays(labelled(test=own_test))
    normal = load_arrays(labelled(test=own_test), normal=["3", "1"])
    assert normal.normal == ("1", "3")
    assert whole.normal == ()
    assert torch.equal(normal.test.examples, whole.test.examples)
    assert set(normal.test.labels.tolist()) == {0, 1, 2, 3}
    kept = [set(part.labels.tolist()) for part in (normal.train, normal.validation)]
    assert kept == [{1, 3}, {1, 3}]
    assert not keys(normal.train) & keys(normal.validation)
    assert "labelled 1 or 3 alone" in normal.notes[-1]


def test_split_data_is_filtered_once_however_often_it_is_asked_for():
    once = keep_normal(load_arrays(labelled()), ["2"])
    twice = keep_normal(once, ["2"])
    assert set(once.train.labels.tolist()) == set(once.validation.labels.tolist()) == {2}
    assert set(once.test.labels.tolist()) == {0, 1, 2, 3}
    assert (once.fingerprint, once.notes) == (twice.fingerprint, twice.notes)


@pytest.mark.parametrize(
    ("arrays", "normal", "message"),
    [
        ({"x_train": unique_images(100)}, ["1"], "has no labels"),
        (labelled(), ["4"], "--normal '4': unknown"),
        (labelled(), ["0", "1", "2", "3"], "not all"),
        ({"x_train": unique_images(100), "y_train": np.arange(100) // 95}, ["1"], "10 examples or more"),
    ],
)
def test_normal_labels_that_cannot_be_are_refused(arrays, normal, message):
    with pytest.raises(UserError, match=message) as error:
        load_arrays(arrays, normal=normal)
    one_line(error)


def test_groups_stay_together_and_parts_are_as_near_to_their_sizes_as_groups_allow():
    groups = torch.tensor([0] * 50 + [1] * 30 + [2] * 3 + [3] * 10 + [4] * 7)
    pool = Split(torch.arange(100.0)[:, None])
    for seed in range(8):
        data = split_data("rows", UnsplitData(pool, groups=groups), seed=seed, train_size=None)
        parts = [part.examples.flatten().long() for part in (data.train, data.validation, data.test)]
        found = [set(groups[part].tolist()) for part in parts]
        assert sum(map(len, found)) == len(set.union(*found)) == 5
        assert torch.equal(torch.cat(parts).sort().values, torch.arange(100))
        with_test = UnsplitData(pool, test=pool, groups=groups)
        data = split_data("rows", with_test, seed=seed, train_size=None)
        train, validation = (
            set(groups[part.examples.flatten().long()].tolist()) for part in (data.train, data.validation)
        )
        assert not train & validation
        assert len(data.test) == 100


@pytest.mark.parametrize(("test", "fewest"), [(None, 3), (Split(torch.zeros(5, 1)), 2)])
def test_fewer_groups_than_parts_are_refused(test, fewest):
    data = UnsplitData(Split(torch.zeros(20, 1)), test, groups=torch.arange(20) % (fewest - 1))
    with pytest.raises(
        UserError, match=f"has {fewest - 1}; allowed: {fewest} groups or more, one for each part"
    ) as error:
        split_data("rows", data, seed=0, train_size=None)
    one_line(error)


def test_groups_stay_together_in_labelled_data_too_and_normal_labels_are_spread_evenly():
    labels, groups = torch.arange(100) % 2, torch.arange(100) // 10
    pool = Split(torch.arange(100.0)[:, None], labels)
    data, shuffled = (
        split_data("rows", UnsplitData(pool, classes=("a", "b"), groups=groups), seed=1, train_size=None, split=split)
        for split in ("stratified", "shuffled")
    )
    assert data.fingerprint == shuffled.fingerprint
    parts = [set(groups[part.examples.flatten().long()].tolist()) for part in (data.train, data.validation, data.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 10
    arrays = {"x_train": unique_images(400), "y_train": np.repeat([0, 1, 2], [200, 150, 50])}
    normal = load_arrays(arrays, normal=["0", "2"])
    for part, (zeros, twos) in ((normal.train, (136, 34)), (normal.validation, (24, 6))):
        assert np.abs(part.labels.bincount().numpy() - [zeros, 0, twos]).max() <= 1


@pytest.mark.parametrize("own_test", [False, True])
def test_anomalies_to_validate_with_are_in_no_part_and_no_more_than_the_normal_ones(own_test):
    whole, normal = (load_arrays(labelled(test=own_test), normal=labels) for labels in ((), ["3", "1"]))
    held = normal.validation_anomalies
    assert whole.validation_anomalies is None
    assert set(held.labels.tolist()) == {0, 2}
    assert len(held) == len(normal.validation)
    unseen = keys(normal.train) | keys(normal.validation) | (set() if own_test else keys(normal.test))
    assert not keys(held) & unseen
    assert set(normal.normal_test.labels.tolist()) == {1, 3}
    assert whole.normal_test is whole.test
    split = keep_normal(whole, ["3", "1"])
    assert set(split.validation_anomalies.labels.tolist()) == {0, 2}
    assert keys(split.validation_anomalies) <= keys(whole.validation)
    assert torch.equal(
        keep_normal(split, ["1", "3"]).validation_anomalies.examples, split.validation_anomalies.examples
    )


def test_anomalies_to_validate_with_are_standardised_by_the_training_part():
    labels, pool = torch.arange(200) % 2, torch.arange(200.0)[:, None].repeat(1, 2)
    data = split_data(
        "rows", UnsplitData(Split(pool, labels), classes=("a", "b")), seed=0, train_size=None, normal=["a"]
    )
    scaled = standardise_data(data)
    back = scaled.validation_anomalies.examples * scaled.columns[0].deviation + scaled.columns[0].mean
    assert torch.allclose(back, data.validation_anomalies.examples, atol=1e-3)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_labels_are_hidden_of_every_class_alike_by_the_seed(share):
    labels = torch.arange(400) % 3
    labels[:2] = 3
    data = UnsplitData(Split(torch.rand(400, 5), labels), classes=("a", "b", "c", "d"))

    def split(seed, labelled):
        return split_data("some", data, seed=seed, train_size=None, labelled=labelled)

    whole, some = split(0, 1.0), split(0, share)
    assert whole.train.labelled is None
    assert whole.condition == Condition("label", 4)
    assert torch.equal(whole.train.labels, some.train.labels)
    seen = some.train.labelled
    for label in some.train.labels.unique():
        own = seen[some.train.labels == label]
        assert own.sum() == max(1, round(share * len(own)))
    assert some.condition.share == pytest.approx(share, abs=0.02)
    assert torch.equal(some.train.seen_labels, torch.where(seen, some.train.labels, -1))
    assert torch.equal(some.train.take(slice(9)).labelled, seen[:9])
    assert torch.equal(split(0, share).train.labelled, seen)
    assert not torch.equal(hide_labels(whole, share, 1).train.labelled, seen)
    assert some.validation.labelled is None
    assert any(note.startswith(f"{int(seen.sum())} of {len(seen)} labels") for note in some.notes)


def test_labels_that_are_not_there_cannot_be_hidden():
    with pytest.raises(UserError, match=r"--labelled 0.1: some has no labels; allowed: 1, or data with labels"):
        split_data("some", UnsplitData(Split(torch.rand(40, 5))), seed=0, train_size=None, labelled=0.1)
