"""Arrays as people have them: any layout, range, type and name, read by one rule that the notes tell."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.core.errors import UserError
from nas.data.dataset import as_float
from nas.data.loading import load_arrays, load_data
from nas.data.values import find_value_rule
from tests.parts.data import keys, one_line

SHADES = np.random.default_rng(0).integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)
SHADES[0, 0, 0] = (0, 255, 7)


def everything(data):
    return keys(data.train) | keys(data.validation) | keys(data.test)


PLAIN = everything(load_arrays({"x_train": SHADES}))


@pytest.mark.parametrize("kind", ["int64", "int32", "uint16", "int16", "float64", "float32", "float16"])
def test_shades_are_shades_whatever_type_they_have(kind):
    data = load_arrays({"x_train": SHADES.astype(kind)})
    assert everything(data) == PLAIN
    assert data.train.examples.dtype == torch.uint8
    assert data.notes == ("x_train holds values from 0 to 255: read as shades from 0 to 255",)


def test_channels_may_come_first_and_it_is_said():
    data = load_arrays({"x_train": SHADES.transpose(0, 3, 1, 2), "x_test": SHADES[:12].transpose(0, 3, 1, 2)})
    assert (data.shape, len(data.test)) == ((3, 6, 5), 12)
    assert data.notes == ("x_train read as (N, C, H, W)",)
    assert load_arrays({"x_train": SHADES}).notes == ()


def test_images_of_4_x_4_with_four_channels_are_read_with_channels_last_and_it_is_said():
    images = np.zeros((20, 4, 4, 4), np.uint8)
    images[:, 0, 0, 3] = np.arange(20)
    data = load_arrays({"x_train": images})
    assert data.train.examples[:, 3, 0, 0].max() > 0
    assert data.notes == ("x_train may be (N, H, W, C) or (N, C, H, W): read as the first",)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_one_to_four_channels_are_images_in_both_layouts(channels):
    images = np.random.default_rng(0).random((20, 6, 5, channels), np.float32)
    last, first = (load_arrays({"x_train": each}) for each in (images, images.transpose(0, 3, 1, 2)))
    assert last.shape == (channels, 6, 5)
    assert last.fingerprint == first.fingerprint


def test_minus_one_to_one_is_rescaled_and_it_is_said():
    images = np.linspace(-1, 1, 20 * 25).reshape(20, 5, 5)
    data = load_arrays({"x_train": images})
    values = torch.cat([data.train.examples, data.validation.examples, data.test.examples]).flatten().sort().values
    assert torch.allclose(values, torch.linspace(0, 1, 500), atol=1e-6)
    assert data.notes == ("x_train holds values in [-1, 1]: rescaled to [0, 1]",)


@pytest.mark.parametrize("kind", ["bool", "uint8", "int64"])
def test_a_set_whose_largest_value_is_one_is_black_and_white(kind):
    images = (SHADES > 127).astype(kind)
    data = load_arrays({"x_train": images})
    assert data.train.examples.unique().tolist() == [0, 255]
    assert data.notes == ("x_train holds only 0 and 1: read as black and white",)
    floats = load_arrays({"x_train": images.astype(float)})
    assert torch.equal(floats.train.examples, as_float(data.train.examples))


def test_csv_and_arrays_share_the_rule(tmp_path):
    for images in (np.eye(16, dtype=np.uint8), np.eye(16) * 2 - 1, np.linspace(0, 1, 256).reshape(16, 16)):
        images = images.reshape(16, 4, 4)
        rows = "\n".join("7," + ",".join(map(str, image.flatten())) for image in images)
        (tmp_path / "d.csv").write_text(rows)
        by_csv, by_array = load_data(f"csv:{tmp_path / 'd.csv'}", label="first"), load_arrays(images.copy())
        read = [torch.cat([as_float(p.examples) for p in (d.train, d.validation, d.test)]) for d in (by_csv, by_array)]
        assert torch.allclose(*(values.flatten(1).sum(1).sort().values for values in read), atol=1e-5)
        assert [note.split(" ", 1)[1] for note in by_array.notes] == [note.split(" ", 2)[2] for note in by_csv.notes]


def test_twelve_bits_keep_their_upper_eight():
    images = (SHADES.astype(np.uint16) << 4) | 9
    data = load_arrays({"x_train": images})
    assert everything(data) == PLAIN
    assert data.notes == ("x_train holds values up to 4089: read as 12 bits, of which the upper 8 are kept",)


def test_training_and_test_part_are_scaled_by_one_rule():
    dark, bright = np.full((20, 5, 5), 1, np.int64), np.full((12, 5, 5), 255, np.int64)
    data = load_arrays({"x_train": dark, "x_test": bright})
    assert (data.train.examples.unique().tolist(), data.test.examples.unique().tolist()) == ([1], [255])
    with pytest.raises(UserError, match="x_train and x_test differ in it; allowed: images of one shape and type"):
        load_arrays({"x_train": dark, "x_test": bright / 255})


@pytest.mark.parametrize(
    ("labels", "classes", "note"),
    [
        (np.arange(40) % 3, ("0", "1", "2"), None),
        (np.arange(40) % 3 * 5.0, ("0", "5", "10"), None),
        (np.array(["cat", "dog"])[np.arange(40) % 2], ("cat", "dog"), None),
        (np.array([b"cat", b"dog"])[np.arange(40) % 2], ("cat", "dog"), None),
        (np.array(["cat", "dog"], dtype=object)[np.arange(40) % 2], ("cat", "dog"), None),
        (np.array(["10", "9.0"])[np.arange(40) % 2], ("9", "10"), None),
        (np.arange(40)[:, None] % 2 == 1, ("0", "1"), None),
        (np.eye(4)[np.arange(40) % 3], ("0", "1", "2"), "y_train read as one-hot rows"),
    ],
)
def test_labels_of_any_kind(labels, classes, note):
    images = np.zeros((40, 5, 5), np.uint8)
    images[:, 0, 0] = np.arange(40) + 2
    data = load_arrays({"x_train": images, "y_train": labels})
    assert data.classes == classes
    numbers = (data.train.examples[:, 0, 0, 0].long() - 2) % len(classes)
    swapped = labels.dtype.kind == "U" and classes[0] == "9"  # sorted as numbers
    assert data.train.labels.tolist() == (1 - numbers if swapped else numbers).tolist()
    assert data.notes == ((note,) if note else ())


@pytest.mark.parametrize(
    "labels", [np.full(40, 0.5), np.full(40, np.nan), np.zeros((40, 3)), np.ones((40, 3)), np.zeros(39), np.zeros(())]
)
def test_labels_that_are_none_are_refused(labels):
    with pytest.raises(UserError, match="allowed: 40 whole numbers, words or one-hot rows in y_train") as error:
        load_arrays({"x_train": np.zeros((40, 5, 5), np.uint8), "y_train": labels})
    one_line(error)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("arr_0",), ("arr_0 was read as x_train",)),
        (("faces",), ("faces was read as x_train",)),
        (("X", "y"), ("X was read as x_train", "y was read as y_train")),
        (("images", "labels"), ("images was read as x_train", "labels was read as y_train")),
        (("data", "targets"), ("data was read as x_train", "targets was read as y_train")),
        (("arr_0", "arr_1"), ("arr_0 was read as x_train", "arr_1 was read as y_train")),
        (("x_train", "y_train", "z"), ("z not read",)),
        (("X_train", "Y_train"), ("X_train was read as x_train", "Y_train was read as y_train")),
    ],
)
def test_archives_name_their_arrays_as_people_do(names, said, tmp_path):
    arrays = dict(zip(names, (SHADES, np.arange(40) % 2, np.array([{}], dtype=object)), strict=False))
    np.savez(tmp_path / "d.npz", **arrays)  # what is not read is not unpickled
    data = load_data(f"npz:{tmp_path / 'd.npz'}")
    assert everything(data) == PLAIN
    assert data.notes == said
    assert data.classes == (("0", "1") if len(names) > 1 else ())


def test_an_archive_with_our_names_is_read_by_them_alone(tmp_path):
    np.savez(tmp_path / "d.npz", x_train=SHADES, labels=np.arange(40) % 2)  # was unlabelled before there were others
    data = load_data(f"npz:{tmp_path / 'd.npz'}")
    assert (data.classes, data.notes) == ((), ("labels not read",))


def test_an_archive_without_examples_says_what_it_needs(tmp_path):
    np.savez(tmp_path / "d.npz", this=SHADES, that=SHADES)
    with pytest.raises(UserError, match="has no x_train"):
        load_data(f"npz:{tmp_path / 'd.npz'}")


def test_rows_of_numbers_become_images_of_the_shape_that_is_asked_for(tmp_path):
    rows = SHADES.reshape(40, -1)
    np.save(tmp_path / "rows.npy", rows)
    name = f"npy:{tmp_path / 'rows.npy'}"
    assert load_data(name).kind == "vector"
    assert everything(load_data(name, image_shape="6x5x3")) == PLAIN
    planes = load_data(name, image_shape="3x5x6")
    assert planes.shape == (3, 5, 6)
    assert everything(planes) == set(map(tuple, rows.tolist()))
    with pytest.raises(UserError, match=r"--image-shape '7x5'.*a row has 90 numbers"):
        load_data(name, image_shape="7x5")
    with pytest.raises(UserError, match=r"--label 'last': the data are given as an object"):
        load_arrays(rows, label="last")
    with pytest.raises(UserError, match=r"--image-shape '0x5'.*allowed: HxW, CxHxW"):
        load_data(name, image_shape="0x5")


@pytest.mark.parametrize("wrap", [lambda x, y: x, lambda x, y: (x, y), lambda x, y: {"x": x, "labels": y}])
@pytest.mark.parametrize("kind", [torch.uint8, torch.float32, torch.bfloat16, torch.float64])
def test_tensors_are_taken_alone_in_pairs_and_by_name(wrap, kind):
    x = torch.from_numpy(SHADES.copy()).permute(0, 3, 1, 2)
    x = x if kind == torch.uint8 else (x / 255).to(kind).requires_grad_()
    data = load_arrays(wrap(x, torch.arange(40) % 2))
    assert data.shape == (3, 6, 5)
    assert data.train.examples.dtype == (torch.uint8 if kind == torch.uint8 else torch.float32)
    assert "x_train read as (N, C, H, W)" in data.notes


def test_pairs_to_train_and_to_test_are_taken_and_other_tuples_refused():
    x, y = SHADES, np.arange(40) % 2
    data = load_arrays(((x, y), (x[:12], y[:12])))
    assert (len(data.test), data.test.labels.tolist(), data.classes) == (12, y[:12].tolist(), ("0", "1"))
    for wrong in ((x, y, y), ((x, y, y), (x, y)), ((x, y), x)):
        with pytest.raises(UserError, match=r"data 'a tuple of .*allowed: a pair \(x, y\)") as error:
            load_arrays(wrong)
        one_line(error)
    with pytest.raises(UserError, match=r"data 'x_train'.*allowed: an array or a tensor"):
        load_arrays({"x_train": [[1], [1, 2]]})


NUMBERS = st.one_of(
    st.tuples(st.integers(0, 1), st.integers(0, 255), st.just("int64")),
    st.tuples(st.integers(0, 5), st.integers(0, 65535), st.just("uint16")),
    st.tuples(st.floats(-1, 0), st.floats(0, 1), st.just("float64")),
    st.tuples(st.floats(0, 0.5), st.floats(0.5, 1), st.just("float32")),
)


@settings(max_examples=200, deadline=None)
@given(NUMBERS, st.integers(0, 9))
def test_what_is_brighter_stays_at_least_as_bright_and_in_range(ends, seed):
    low, high, kind = ends
    generator = np.random.default_rng(seed)
    values = np.sort((min(low, high) + abs(high - low) * generator.random(50)).astype(kind))
    read = find_value_rule([values]).apply(values)
    assert read.dtype in (np.uint8, np.float32)
    assert (np.diff(read.astype(float)) >= 0).all()
    assert 0 <= read.min() <= read.max() <= (255 if read.dtype == np.uint8 else 1)
    assert len(np.unique(read)) <= len(np.unique(values))


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 12), st.integers(4, 12), st.integers(1, 12), st.sampled_from(["uint8", "int64", "float32", "bool"])
)
def test_any_array_of_four_dimensions_is_images_or_one_line(height, width, channels, kind):
    array = np.ones((12, height, width, channels), kind)
    last, first = (channels <= 4 <= height), (height <= 4 <= channels)
    if not (last or first):
        with pytest.raises(UserError) as error:
            load_arrays(array)
        one_line(error)
    else:
        assert load_arrays(array).shape == ((channels, height, width) if last else (height, width, channels))
