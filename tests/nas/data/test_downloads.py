"""Data sets of torchvision: downloaded, or put into the cache folder."""

import numpy as np
import pytest
import torch
from PIL import Image

from nas.core.errors import UserError
from nas.data.catalogue import data_directory
from nas.data.loading import load_data
from tests.parts.data import one_line, unique_images


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
    assert sorted(int(image[0, 0, 0]) for image in faces.test.examples) == list(range(12))


@pytest.mark.parametrize("content", [b"", b"junkjunkjunk", b"\x00\x00\x08\x03\x00"])
def test_a_damaged_download_is_refused(tmp_path, content):
    mnist_files(tmp_path)
    (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(UserError, match="cannot be downloaded or read") as error:
        load_data("mnist", data_dir=tmp_path)
    one_line(error)
