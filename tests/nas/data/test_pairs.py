"""Two sets of images as one pair: made of one set without sharing an image, of one shape, and refused in one line."""

import numpy as np
import pytest
import torch
from PIL import Image

from nas.core.errors import UserError
from nas.data.catalogue import absolute_name, describe_data_set, shorten_name, strip_transformations
from nas.data.dataset import Split
from nas.data.loading import load_arrays, load_data
from nas.data.pairs import load_pair, make_pair
from nas.data.source import UnsplitData
from nas.data.sources import digits
from nas.data.sources.transformations import TRANSFORMATIONS, transform_images


def images_of(data):
    return torch.cat([data.train.examples, data.validation.examples, data.test.examples])


def as_bytes(images):
    return {image.contiguous().numpy().tobytes() for image in images}


def test_a_set_and_its_transformation_share_no_image():
    pair = load_pair("digits", "inverted:digits")
    a, b = images_of(pair.a), images_of(pair.b)
    assert len(a) == 899
    assert len(b) == 898
    pool = digits.load_digits().pool.examples
    assert as_bytes(a) == as_bytes(pool[::2])
    assert as_bytes(255 - b) == as_bytes(pool[1::2])
    assert len(as_bytes(a) & as_bytes(255 - b)) <= 1  # one digit is in the set twice
    assert pair.a.shape == pair.b.shape == (1, 8, 8)
    assert any("every second image" in note for note in pair.notes)
    assert pair.a.train.labels is not None
    assert pair.a.classes == pair.b.classes


def test_each_image_keeps_its_label():
    pool = digits.load_digits().pool
    labels = {image.numpy().tobytes(): int(label) for image, label in zip(pool.examples, pool.labels, strict=True)}
    b = load_pair("digits", "rotated:digits").b
    for image, label in zip(b.train.examples, b.train.labels, strict=True):
        assert labels[image.rot90(-1, (1, 2)).contiguous().numpy().tobytes()] == label


def test_sets_of_their_own_are_whole_and_a_transformation_alone_as_well():
    assert len(images_of(load_data("inverted:digits"))) == 1797
    again = load_data("inverted:inverted:digits")
    assert torch.equal(again.train.examples, load_data("digits").train.examples)
    assert strip_transformations("edges:inverted:npz:a:b") == "npz:a:b"


def test_binarised_values_are_drawn_once_with_themselves_as_probabilities():
    apply = TRANSFORMATIONS["binarised"].apply
    shades = torch.tensor([0, 51, 204, 255], dtype=torch.uint8).expand(4000, 1, 2, 4).contiguous()
    found = apply(shades)
    assert found.dtype == torch.uint8
    assert found.unique().tolist() == [0, 255]
    assert found.float().mean((0, 1, 2)).div(255).tolist() == pytest.approx([0, 0.2, 0.8, 1], abs=0.02)
    assert torch.equal(found, apply(shades))
    assert torch.equal(apply(found), found)
    assert torch.equal(apply(shades / 255) * 255, found.float())
    data = load_data("binarised:digits")
    assert data.train.examples.float().unique().tolist() in ([0, 1], [0, 255])
    assert "drawn as 0 or 1" in data.notes[-1]


def test_transformations_in_numbers():
    step = torch.zeros(1, 1, 5, 6, dtype=torch.uint8)
    step[..., 3:] = 200
    edges = TRANSFORMATIONS["edges"].apply(step)
    assert edges.dtype == torch.uint8
    assert edges[0, 0].tolist() == [[0, 0, 200, 200, 0, 0]] * 5  # the four weights of a side are divided by four
    grey = torch.full((2, 3, 4, 4), 0.5)
    assert TRANSFORMATIONS["edges"].apply(grey).abs().max() < 1e-6
    turned = TRANSFORMATIONS["rotated"].apply(step)
    assert turned.shape == (1, 1, 6, 5)
    assert turned[0, 0, :3].min() == 200  # what was right is up
    assert TRANSFORMATIONS["inverted"].apply(step).unique().tolist() == [55, 255]
    assert TRANSFORMATIONS["inverted"].apply(grey).unique().tolist() == [0.5]
    source = transform_images(UnsplitData(Split(step), Split(step[:, :, :4])), TRANSFORMATIONS["inverted"])
    assert source.test.examples.shape == (1, 1, 4, 6)
    assert source.notes == ("what is dark is bright",)


def folder_of(path, count, side, mode="L"):
    path.mkdir()
    generator = np.random.default_rng(count)
    for number in range(count):
        shape = (side, side) if mode == "L" else (side, side, 3)
        Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8)).save(path / f"{number}.png")
    return f"folder:{path}"


def test_folders_of_other_sizes_meet_at_one_and_grey_becomes_colour(tmp_path):
    a, b = folder_of(tmp_path / "a", 30, 12), folder_of(tmp_path / "b", 40, 10, "RGB")
    with pytest.raises(
        UserError, match=r"--dataset-b .*images of 3 x 12 x 12 and of 3 x 10 x 10 are not of one shape.*--image-size S"
    ):
        load_pair(a, b)
    pair = load_pair(a, b, image_size=8)
    assert pair.shape == (3, 8, 8)
    assert torch.equal(pair.a.train.examples[:, 0], pair.a.train.examples[:, 2])
    assert "A: grey images became colour, as those of the other domain are" in pair.notes
    assert pair.counts.startswith("A 21 to train, 3 to validate, 6 to test; B ")
    assert pair.condition is None


def test_what_is_wrong_with_the_second_set_is_said_of_its_option(tmp_path):
    few = folder_of(tmp_path / "few", 12, 8)
    for b, message in (
        ("digitz", "--dataset-b 'digitz': unknown, did you mean 'digits'"),
        (f"folder:{tmp_path / 'none'}", "--dataset-b 'folder:.*does not exist"),
        ("inverted:", "--dataset-b 'inverted:': names no data set; allowed: inverted:NAME"),
        (few, "--dataset-b 'folder:.*: is split into .* 1 to validate, .*; allowed: more images"),
    ):
        with pytest.raises(UserError, match=message):
            load_pair("digits", b)
    with pytest.raises(UserError, match="--dataset 'digitz'"):
        load_pair("digitz", "digits")
    with pytest.raises(UserError, match=r"--dataset 'folder:.*more images"):
        load_pair(few, "digits")
    with pytest.raises(UserError, match="--train-size 800"):
        load_pair("digits", "inverted:digits", train_size=800)


def test_given_data_makes_a_pair_as_well():
    images = digits.load_digits().pool.examples[:, 0].numpy()
    colour = np.repeat(images[600:, ..., None], 3, axis=3)
    pair = make_pair(load_arrays({"x_train": images[:600]}), load_arrays({"x_train": colour}))
    assert pair.shape == (3, 8, 8)
    assert len(pair.b.train) > len(pair.a.train)


def test_names_for_readers_and_for_records(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shorten_name("edges:npz:/some/where/mnist.npz") == "edges:npz:mnist.npz"
    assert shorten_name("inverted:digits") == "inverted:digits"
    assert absolute_name("edges:folder:a") == f"edges:folder:{tmp_path / 'a'}"
    assert absolute_name("inverted:digits") == "inverted:digits"
    assert "every second image" in describe_data_set("edges:mnist")
