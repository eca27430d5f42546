import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from evaluators import sizes
from evaluators.catalogue import data_directory, data_set_names, describe_data_set
from evaluators.data import from_arrays, load_data
from nas.core.errors import UserError


def unique_images(count, side=6):
    """Images that are all different, so that an image in two parts would be found."""
    images = np.zeros((count, side, side), dtype=np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.arange(count) % 256, np.arange(count) // 256
    return images


def keys(part):
    return {tuple(image.flatten().tolist()) for image in part.images}


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


def test_digits_need_nothing():
    data = load_data("digits")
    assert data.shape == (1, 8, 8)
    assert (len(data.train), len(data.validation), len(data.test)) == (1223, 215, 359)
    assert data.train.images.dtype == torch.uint8
    assert data.train.images.max() == 255
    assert len(data.classes) == 10


def test_parts_do_not_overlap_and_the_seed_decides_them():
    arrays = {"x_train": unique_images(400)}
    data, again, other = (from_arrays(arrays, seed=seed) for seed in (0, 0, 1))
    parts = [keys(part) for part in (data.train, data.validation, data.test)]
    assert sum(len(part) for part in parts) == len(set.union(*parts)) == 400
    assert torch.equal(data.train.images, again.train.images)
    assert not torch.equal(data.train.images, other.train.images)


def test_the_test_part_does_not_depend_on_the_size_of_the_training_part():
    arrays = {"x_train": unique_images(400)}
    small, whole = from_arrays(arrays, train_size=40), from_arrays(arrays)
    assert torch.equal(small.test.images, whole.test.images)
    assert (len(small.train), len(small.validation)) == (40, 10)
    assert not keys(small.train) & keys(small.validation)


def test_an_own_test_part_is_kept():
    data = from_arrays({"x_train": unique_images(100), "x_test": unique_images(30), "y_train": np.arange(100) % 3})
    assert len(data.test) == 30
    assert data.classes == ("0", "1", "2")


@pytest.mark.parametrize("size", [0, 1, 69, 101])
def test_too_large_a_training_part_is_refused(size):
    with pytest.raises(UserError, match="--train-size") as error:
        from_arrays({"x_train": unique_images(100)}, train_size=size)
    assert "2 to 68" in one_line(error)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y_train": np.zeros(9)}, "no x_train"),
        ({"x_train": np.zeros((20, 5, 5), np.int64)}, "x_train is int64"),
        ({"x_train": np.zeros((20, 5, 5, 2), np.uint8)}, r"shape \(20, 5, 5, 2\)"),
        ({"x_train": np.full((20, 5, 5), 3.0)}, "from 3 to 3"),
        ({"x_train": np.full((20, 5, 5), np.nan)}, "nan"),
        ({"x_train": np.zeros((20, 5, 5), np.uint8), "y_train": np.zeros(19, int)}, "20 whole numbers in y_train"),
        ({"x_train": np.zeros((20, 5, 5), np.uint8), "x_test": np.zeros((4, 6, 6), np.uint8)}, "differ"),
        ({"x_train": np.zeros((9, 5, 5), np.uint8)}, "has 9"),
        ({"x_train": np.zeros((20, 3, 5), np.uint8)}, "3 x 5"),
        ({"x_train": np.zeros((0, 5, 5), np.uint8)}, "empty"),
    ],
)
def test_arrays_that_are_no_images_are_refused(arrays, message):
    with pytest.raises(UserError, match=message) as error:
        from_arrays(arrays)
    one_line(error)


def test_floats_stay_floats_and_colour_goes_first(tmp_path):
    images = np.random.default_rng(0).random((20, 5, 7, 3))
    np.savez(tmp_path / "d.npz", x_train=images)
    data = load_data(f"npz:{tmp_path / 'd.npz'}")
    assert data.shape == (3, 5, 7)
    assert data.train.images.dtype == torch.float32


def test_npz_is_never_unpickled(tmp_path):
    np.savez(tmp_path / "d.npz", x_train=np.array([{"a": 1}], dtype=object))
    with pytest.raises(UserError, match="unpickling"):
        load_data(f"npz:{tmp_path / 'd.npz'}")


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04broken"])
def test_a_broken_npz_is_refused(tmp_path, content):
    (tmp_path / "d.npz").write_bytes(content)
    with pytest.raises(UserError, match="npz"):
        load_data(f"npz:{tmp_path / 'd.npz'}")


def write_csv(path, rows):
    path.write_text("\n".join(rows) + "\n")
    return f"csv:{path}"


@pytest.mark.parametrize("header", [[], ["label," + ",".join(f"pixel{i}" for i in range(16))]])
def test_csv_as_mnist_is_spread(tmp_path, header):
    rows = [f"{i % 3}," + ",".join(str((i * 7 + j) % 256) for j in range(16)) for i in range(40)]
    data = load_data(write_csv(tmp_path / "d.csv", header + rows))
    assert data.shape == (1, 4, 4)
    assert len(data.train) + len(data.validation) + len(data.test) == 40
    assert data.classes == ("0", "1", "2")
    wanted = {tuple((i * 7 + j) % 256 for j in range(16)) for i in range(40)}
    assert keys(data.train) | keys(data.validation) | keys(data.test) == wanted


def test_csv_in_colour_with_words_and_fractions(tmp_path):
    rows = [f"{'cat' if i % 2 else 'dog'}," + ",".join(f"{(i + j) % 10 / 10}" for j in range(75)) for i in range(20)]
    data = load_data(write_csv(tmp_path / "d.csv", rows))
    assert data.shape == (3, 5, 5)
    assert data.classes == ("cat", "dog")
    assert data.train.images.dtype == torch.float32


GOOD = "1," + ",".join(["5"] * 16)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1," + ",".join(["5"] * 15), "row 13 has 16 columns where the first row has 17"),
        ("1,x," + ",".join(["5"] * 15), "row 13 holds 'x' in column 2"),
        ("1,nan," + ",".join(["5"] * 15), "row 13 holds 'nan'"),
        ("1,300," + ",".join(["5"] * 15), "row 13 holds 300"),
        ("1,-1," + ",".join(["5"] * 15), "row 13 holds -1"),
    ],
)
def test_a_faulty_row_is_named(tmp_path, row, message):
    with pytest.raises(UserError, match=message) as error:
        load_data(write_csv(tmp_path / "d.csv", [GOOD] * 12 + [row] + [GOOD] * 3))
    one_line(error)


def test_csv_without_a_square_or_a_row_or_a_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="5 pixels"):
        load_data(write_csv(tmp_path / "d.csv", ["1,1,2,3,4,5"] * 20))
    with pytest.raises(UserError, match="holds no row"):
        load_data(write_csv(tmp_path / "e.csv", [""]))
    with pytest.raises(UserError, match="does not exist"):
        load_data(f"csv:{tmp_path / 'none.csv'}")


def picture(path, mode="RGB", size=(10, 10), value=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    fill = value if mode in ("L", "I;16") else (value, 50, 0, 255)[: len(Image.new(mode, (1, 1)).getbands())]
    Image.new(mode, size, fill).save(path)


def test_a_folder_of_equal_pictures_is_kept_as_it_is(tmp_path):
    for i in range(12):
        picture(tmp_path / f"class{i % 2}" / f"{i}.png", size=(10, 6), value=i * 10)
    data = load_data(f"folder:{tmp_path}")
    assert data.shape == (3, 6, 10)
    assert data.classes == ("class0", "class1")
    assert data.notes == ()


def test_pictures_of_many_sizes_cover_the_target(tmp_path):
    for i in range(12):
        picture(tmp_path / f"{i}.png", "L", size=(80 + i, 100))
    data = load_data(f"folder:{tmp_path}")
    assert data.shape == (1, 64, 64)
    assert "64 x 64" in data.notes[0]
    assert load_data(f"folder:{tmp_path}", image_size=16).shape == (1, 16, 16)
    assert data.train.labels is None


def test_corrupt_pictures_are_counted_or_refused(tmp_path):
    for i in range(12):
        picture(tmp_path / f"{i}.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    whole = (tmp_path / "3.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    data = load_data(f"folder:{tmp_path}")
    assert "2 pictures could not be read" in data.notes[0]
    assert len(data.train) + len(data.validation) + len(data.test) == 12
    with pytest.raises(UserError, match=r"--strict.*bad\.png"):
        load_data(f"folder:{tmp_path}", strict=True)


def test_transparent_and_deep_pictures(tmp_path):
    for i in range(11):
        picture(tmp_path / f"{i}.png", "RGBA")
    data = load_data(f"folder:{tmp_path}")
    assert data.train.images[0, :, 0, 0].tolist() == [100, 50, 0]
    deep = tmp_path / "deep"
    for i in range(11):
        deep.mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8), 0x8000, np.uint16)).save(deep / f"{i}.png")
    assert load_data(f"folder:{deep}").train.images.unique().tolist() == [128]


def test_no_folder_no_pictures_only_corrupt_ones(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        load_data(f"folder:{tmp_path / 'none'}")
    with pytest.raises(UserError, match="holds no picture"):
        load_data(f"folder:{tmp_path}")
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(UserError, match="none of its 1 pictures"):
        load_data(f"folder:{tmp_path}")
    with pytest.raises(UserError, match="is a file"):
        load_data(f"folder:{tmp_path / 'a.png'}")


@pytest.mark.parametrize("name", ["mnits", "folder:", "csv:", "tensor:x"])
def test_unknown_names_are_refused(name):
    with pytest.raises(UserError, match="--dataset"):
        load_data(name)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "kmnist", "cifar10", "cifar100", "stl10"])
def test_offline_it_says_which_file_to_put_where(name, tmp_path, monkeypatch):
    import urllib.error
    import urllib.request

    def refuse(*args, **kwargs):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(UserError, match="cannot be downloaded or read") as error:
        load_data(name, data_dir=tmp_path)
    assert str(tmp_path) in one_line(error)
    assert ".gz" in str(error.value)


def mnist_files(folder):
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 30), ("t10k", 12)):
        images = unique_images(count, 28)
        header = (0x803).to_bytes(4, "big") + b"".join(n.to_bytes(4, "big") for n in images.shape)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        labels = (0x801).to_bytes(4, "big") + count.to_bytes(4, "big") + bytes(i % 10 for i in range(count))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(labels)


def test_mnist_from_files_in_the_cache_folder(tmp_path):
    mnist_files(tmp_path)
    data = load_data("mnist", data_dir=tmp_path, image_size=14)
    assert [name.partition(" ")[0] for name in data.classes] == [str(digit) for digit in range(10)]
    assert data.shape == (1, 14, 14)
    assert len(data.test) == 12
    assert "14 x 14" in data.notes[-1]


def test_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("NAS_DATA_DIR", str(tmp_path))
    assert data_directory(None) == tmp_path
    assert data_directory(tmp_path / "x") == tmp_path / "x"


def test_tensors_and_pictures_are_resized_by_one_rule():
    pixels = np.random.default_rng(0).integers(0, 255, (9, 12), dtype=np.uint8)
    by_picture = torch.from_numpy(np.array(sizes.covering(Image.fromarray(pixels), 6))).float()
    by_tensor = sizes.resized(torch.from_numpy(pixels)[None, None], 6)[0, 0].float()
    assert (by_picture - by_tensor).abs().max() <= 2


def test_every_data_set_is_explained():
    for name in data_set_names():
        text = describe_data_set(name)
        assert text.startswith(name)
        assert "never sees the test part" in text


def test_labels_are_indices_into_the_classes():
    labels = np.where(np.arange(100) % 2, 5, -7)
    data = from_arrays({"x_train": unique_images(100), "y_train": labels, "x_test": unique_images(9)})
    assert data.classes == ("-7", "5")
    assert data.train.labels.unique().tolist() == [0, 1]
    assert data.train.labels.tolist() == [int(image[0, 0, 0]) % 2 for image in data.train.images]
    assert data.test.labels is None


def test_deep_and_float_pictures_among_coloured_ones(tmp_path):
    for i in range(11):
        picture(tmp_path / f"{i}.png")
    Image.fromarray(np.full((10, 10), 0x8000, np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(np.full((10, 10), 0.2, np.float32)).save(tmp_path / "float.tif")
    Image.fromarray(np.full((10, 10), 7.0, np.float32)).save(tmp_path / "unknown-range.tif")
    data = load_data(f"folder:{tmp_path}")
    pixels = keys(data.train) | keys(data.validation) | keys(data.test)
    assert {tuple([128] * 300), tuple([51] * 300)} < pixels
    assert data.notes == ("1 picture could not be read and was skipped",)


def test_a_long_strip_does_not_fill_the_memory(tmp_path, monkeypatch):
    largest = []
    resize = Image.Image.resize

    def watched(picture, size, *args, **kwargs):
        largest.append(max(*size, *picture.size))
        return resize(picture, size, *args, **kwargs)

    monkeypatch.setattr(Image.Image, "resize", watched)
    for i in range(12):
        picture(tmp_path / f"{i}.png", "L", size=(3, 9000))
    assert load_data(f"folder:{tmp_path}").shape == (1, 64, 64)
    assert max(largest) == 64


def test_floats_stay_in_range_when_resized():
    for side in (5, 23, 39):
        assert float(sizes.resized(torch.ones(1, 1, side, side + 3), 16).max()) <= 1


@pytest.mark.parametrize("kind", ["folder", "csv", "npz"])
@pytest.mark.parametrize("path", ["a" * 5000, "~nobody-of-this-name/x", "a\0b", "not/there"])
def test_a_path_that_cannot_be_is_refused(kind, path):
    with pytest.raises(UserError, match="--dataset") as error:
        load_data(f"{kind}:{path}")
    one_line(error)


@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_a_folder_where_a_file_should_be_is_refused(kind, tmp_path):
    with pytest.raises(UserError, match="Is a directory"):
        load_data(f"{kind}:{tmp_path}")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("," + ",".join(["5"] * 16), "row 13 has no label"),
        ("1", "row 13 has 1 columns where the first row has 17"),
        ('1,"5,5', "row 13 has"),
        ("1,1_0," + ",".join(["5"] * 15), "row 13 holds '1_0' in column 2, which is not a number"),
        ("1,1e39," + ",".join(["5"] * 15), "row 13 holds 1e[+]39"),
        ("1," + "5" * 200_000 + "," + ",".join(["5"] * 15), "row 13 holds '555"),
        ('1,"' + "5" * 200_000 + '",' + ",".join(["5"] * 15), "row 13"),
    ],
)
def test_odd_rows_are_named_too(tmp_path, row, message):
    with pytest.raises(UserError, match=message) as error:
        load_data(write_csv(tmp_path / "d.csv", [GOOD] * 12 + [row] + [GOOD] * 3))
    assert len(one_line(error)) < 500


def test_a_label_with_a_comma_and_one_that_is_nearly_a_number(tmp_path):
    pixels = ",".join(["5"] * 16)
    rows = [f'"a,b",{pixels}', f"nan,{pixels}", f'"3","5",{",".join(["5"] * 15)}'] * 5
    data = load_data(write_csv(tmp_path / "d.csv", rows))
    assert data.classes == ("3", "a,b", "nan")


def test_an_archive_of_something_else_is_refused(tmp_path):
    np.save(tmp_path / "single.npy", np.zeros((20, 5, 5)))
    with zipfile.ZipFile(tmp_path / "bytes.npz", "w") as archive:
        archive.writestr("x_train", b"hello")
    whole = tmp_path / "whole.npz"
    np.savez_compressed(whole, x_train=np.random.default_rng(0).random((20, 5, 5)))
    with pytest.raises(UserError, match="holds a single array"):
        load_data(f"npz:{tmp_path / 'single.npy'}")
    with pytest.raises(UserError, match="x_train is no array"):
        load_data(f"npz:{tmp_path / 'bytes.npz'}")
    content = whole.read_bytes()
    generator = np.random.default_rng(0)
    said = []
    for _ in range(100):  # a damaged byte is refused in one line, or does no harm
        damaged = bytearray(content)
        damaged[int(generator.integers(len(content)))] ^= int(generator.integers(1, 256))
        whole.write_bytes(bytes(damaged))
        try:
            load_data(f"npz:{whole}")
        except UserError as error:
            said.append(str(error))
    assert len(said) > 50
    assert not any("\n" in line for line in said)


class Pretended:
    """What torchvision's classes look like from outside, without their files."""

    def __init__(self, root, *, train=None, split=None, download):
        assert download
        self.count = 30 if train or split == "train" else 12
        self.labels = np.arange(self.count) % 3

    @property
    def data(self):
        return np.zeros((self.count, 3, 8, 8), np.uint8)

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return Image.new("RGB", (178, 218), (index, 0, 0)), torch.zeros(40)


def test_torchvision_sets_without_class_names(monkeypatch, tmp_path):
    import torchvision.datasets

    monkeypatch.setattr(torchvision.datasets, "SVHN", Pretended)
    monkeypatch.setattr(torchvision.datasets, "CelebA", Pretended)
    data = load_data("svhn", data_dir=tmp_path)
    assert data.shape == (3, 8, 8)
    assert data.classes == ("0", "1", "2")
    faces = load_data("celeba", data_dir=tmp_path)
    assert faces.shape == (3, 64, 64)
    assert faces.classes == ()
    assert faces.train.labels is None
    assert sorted(int(image[0, 0, 0]) for image in faces.test.images) == list(range(12))


@pytest.mark.parametrize("content", [b"", b"junkjunkjunk", b"\x00\x00\x08\x03\x00"])
def test_a_damaged_download_is_refused(tmp_path, content):
    mnist_files(tmp_path)
    (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(UserError, match="cannot be downloaded or read") as error:
        load_data("mnist", data_dir=tmp_path)
    one_line(error)
