"""Archives of arrays: never unpickled, and refused in one line where they are damaged."""

import zipfile

import numpy as np
import pytest
import torch

from nas.core.errors import UserError
from nas.data.loading import load_data


def test_floats_stay_floats_and_colour_goes_first(tmp_path):
    images = np.random.default_rng(0).random((20, 5, 7, 3))
    np.savez(tmp_path / "d.npz", x_train=images)
    data = load_data(f"npz:{tmp_path / 'd.npz'}")
    assert data.shape == (3, 5, 7)
    assert data.train.examples.dtype == torch.float32


def test_npz_is_never_unpickled(tmp_path):
    np.savez(tmp_path / "d.npz", x_train=np.array([{"a": 1}], dtype=object))
    with pytest.raises(UserError, match="unpickling"):
        load_data(f"npz:{tmp_path / 'd.npz'}")


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04broken"])
def test_a_broken_npz_is_refused(tmp_path, content):
    (tmp_path / "d.npz").write_bytes(content)
    with pytest.raises(UserError, match="npz"):
        load_data(f"npz:{tmp_path / 'd.npz'}")


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
