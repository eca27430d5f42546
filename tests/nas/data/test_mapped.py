"""Examples that do not fit into memory: they are read from files, and everything is as if they did."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from nas.core.errors import UserError
from nas.core.process import count_free_memory
from nas.data import mapped
from nas.data.dataset import Split
from nas.data.loading import load_arrays, load_data
from nas.data.mapped import LIMIT, allocate, find_mapping, memory_limit
from nas.data.pairs import load_pair
from nas.data.splitting import standardise_data
from tests.parts.data import one_line, unique_images

PARTS = ("train", "validation", "test")


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """Where downloads are kept, with a limit that every set is above."""
    monkeypatch.setenv("NAS_DATA_DIR", str(tmp_path / "kept"))
    monkeypatch.setenv(LIMIT, "100")
    return tmp_path / "kept"


def load_both_ways(monkeypatch, load):
    """The data in memory, and mapped."""
    monkeypatch.setenv(LIMIT, "1G")
    inside = load()
    monkeypatch.setenv(LIMIT, "100")
    return inside, load()


def check_same(inside, outside):
    assert outside.fingerprint == inside.fingerprint
    assert (outside.classes, outside.columns, outside.shape) == (inside.classes, inside.columns, inside.shape)
    for name in PARTS:
        one, other = getattr(inside, name), getattr(outside, name)
        assert find_mapping(one.examples) is None
        assert find_mapping(other.examples) is not None
        assert np.array_equal(one.examples, other.examples, equal_nan=True)
        assert one.labels is None or torch.equal(one.labels, other.labels)
    assert [note for note in outside.notes if "on disk" not in note] == list(inside.notes)
    assert any("stay on disk" in note for note in outside.notes)


IMAGES = unique_images(60)
LABELS = np.arange(60) % 3
ARRAYS = {
    "bytes": IMAGES,
    "grey_last": np.repeat(IMAGES[..., None], 3, axis=3),
    "deep": IMAGES.astype(np.uint16) * 16,
    "fractions": (IMAGES / 255).astype(np.float32),
    "doubles": IMAGES / 255,
    "big_endian": (IMAGES / 255).astype(">f4"),
    "columns_first": np.asfortranarray(IMAGES),
    "vectors": IMAGES.reshape(60, -1).astype(np.float32),
    "flags": IMAGES > 7,
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_in_files_are_the_same_mapped(name, tmp_path, directory, monkeypatch):
    array = ARRAYS[name]
    np.save(tmp_path / "x.npy", array)
    np.savez(tmp_path / "stored.npz", x_train=array, y_train=LABELS)
    np.savez_compressed(tmp_path / "packed.npz", x_train=array, y_train=LABELS, x_test=array[:20], y_test=LABELS[:20])
    for file in ("npy:x.npy", "npz:stored.npz", "npz:packed.npz"):
        kind, _, path = file.partition(":")
        check_same(*load_both_ways(monkeypatch, lambda: load_data(f"{kind}:{tmp_path / path}")))  # noqa: B023


def test_what_needs_no_conversion_is_read_from_the_file_itself(tmp_path, directory):
    """The test part is not put into another order, so it stays where it lies: an export sees the same bytes."""
    np.savez(tmp_path / "d.npz", x_train=IMAGES, x_test=IMAGES[:20])
    np.savez_compressed(tmp_path / "packed.npz", x_train=IMAGES, x_test=IMAGES[:20])
    found = find_mapping(load_data(f"npz:{tmp_path / 'd.npz'}").test.examples)
    assert found.path == tmp_path / "d.npz"
    assert found.offset > 0
    assert find_mapping(load_data(f"npz:{tmp_path / 'packed.npz'}").test.examples).path.is_relative_to(directory)


def test_mapped_examples_that_are_written_to_leave_the_users_file_as_it_was(tmp_path, directory):
    np.savez(tmp_path / "d.npz", x_train=IMAGES, x_test=IMAGES[:20])
    before = (tmp_path / "d.npz").read_bytes()
    load_data(f"npz:{tmp_path / 'd.npz'}").test.examples.zero_()
    assert (tmp_path / "d.npz").read_bytes() == before


@pytest.mark.parametrize(
    "reading", [{"image_size": 8}, {"channels": "RGB"}, {"normal": ["1", "2"]}, {"train_size": 20}]
)
def test_options_are_the_same_mapped(reading, tmp_path, directory, monkeypatch):
    np.savez(tmp_path / "d.npz", x_train=IMAGES, y_train=LABELS)
    check_same(*load_both_ways(monkeypatch, lambda: load_data(f"npz:{tmp_path / 'd.npz'}", seed=3, **reading)))


def test_vectors_and_sequences_are_standardised_alike(tmp_path, directory, monkeypatch):
    rows = np.random.default_rng(0).normal(3, 5, (50, 2, 30)).astype(np.float32)
    rows[3, 1, 4] = np.nan
    np.save(tmp_path / "x.npy", rows)
    check_same(
        *load_both_ways(monkeypatch, lambda: standardise_data(load_data(f"npy:{tmp_path / 'x.npy'}", kind="sequence")))
    )


def test_arrays_that_the_user_has_mapped_are_not_copied(tmp_path, directory, monkeypatch):
    np.save(tmp_path / "x.npy", IMAGES)
    check_same(*load_both_ways(monkeypatch, lambda: load_arrays(np.load(tmp_path / "x.npy", mmap_mode="r")[10:])))


@pytest.mark.parametrize("word", ["inverted", "rotated", "edges"])
def test_transformed_images_are_the_same_mapped(word, tmp_path, directory, monkeypatch):
    np.save(tmp_path / "x.npy", np.repeat(IMAGES[:, None], 4, axis=1))
    check_same(*load_both_ways(monkeypatch, lambda: load_data(f"{word}:npy:{tmp_path / 'x.npy'}")))


def test_both_sets_of_a_pair_are_mapped(tmp_path, directory):
    np.save(tmp_path / "a.npy", IMAGES)
    np.save(tmp_path / "b.npy", np.repeat(IMAGES[:, None], 3, axis=1))
    pair = load_pair(f"npy:{tmp_path / 'a.npy'}", f"npy:{tmp_path / 'b.npy'}")
    assert all(find_mapping(part.train.examples) is not None for part in pair.domains)
    assert torch.equal(pair.a.train.examples[:, 0], pair.a.train.examples[:, 2])


def test_a_part_crosses_processes_as_the_name_of_its_file(tmp_path, directory):
    np.save(tmp_path / "x.npy", np.zeros((2000, 20, 20), np.uint8))
    part = load_data(f"npy:{tmp_path / 'x.npy'}").train
    sent = pickle.dumps(part.take(slice(3, 9)))
    assert len(sent) < 2000
    script = "import pickle, sys; print(pickle.load(sys.stdin.buffer).examples.shape)"
    got = subprocess.run([sys.executable, "-c", script], input=sent, capture_output=True, check=True)
    assert b"[6, 1, 20, 20]" in got.stdout
    assert torch.equal(pickle.loads(pickle.dumps(part)).examples, part.examples)


def test_a_machine_without_the_file_says_so(tmp_path, directory):
    sent = pickle.dumps(Split(allocate((30, 30), torch.uint8, directory)))
    with pytest.raises(FileNotFoundError, match="is not on this machine: --data-dir may name a disk"):
        pickle.loads(sent)


def test_files_go_with_who_used_them(directory):
    scratch = directory / "scratch"
    examples = allocate((50, 30), torch.uint8, directory).fill_(7)
    view = examples[10:20]
    del examples
    (folder,) = (path for path in scratch.iterdir() if path.is_dir())
    assert len(list(folder.iterdir())) == 1
    assert view.sum() == 7 * 300
    del view
    assert list(folder.iterdir()) == []


def test_what_a_killed_process_left_is_cleared_away_and_nothing_else(directory):
    script = "from nas.data.mapped import *; t = allocate((50, 30), torch.uint8, Path({!r})); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", script.format(str(directory))], check=False)
    (left,) = (directory / "scratch").glob("*.lock")
    assert list(left.with_suffix("").iterdir())
    here = allocate((50, 30), torch.uint8, directory).fill_(7)
    assert not left.exists()
    assert not left.with_suffix("").exists()
    mapped._Scratch(directory)  # as another process does it
    assert find_mapping(here).path.exists()


def test_the_limit_is_a_quarter_of_what_is_free_or_what_is_said(monkeypatch):
    monkeypatch.delenv(LIMIT, raising=False)
    assert 0 < memory_limit() <= count_free_memory() / 3
    for text, size in (("1000", 1000), ("3k", 3072), ("2GB", 2 * 2**30)):
        monkeypatch.setenv(LIMIT, text)
        assert memory_limit() == size
    monkeypatch.setenv(LIMIT, "much")
    with pytest.raises(UserError, match=r"NAS_MEMORY_LIMIT 'much'.*500M or 2G"):
        memory_limit()


def test_no_room_on_the_disk_is_one_line(directory, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(UserError, match=r"nor can they be written there .No space left") as error:
        allocate((50, 30), torch.uint8, directory)
    assert "--data-dir" in one_line(error)
    assert [path for path in (directory / "scratch").rglob("*") if path.is_file() and "lock" not in path.name] == []


def test_damaged_files_are_refused_mapped_as_well(tmp_path, directory):
    np.save(tmp_path / "x.npy", IMAGES)
    whole = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(whole[:-100])
    np.savez(tmp_path / "o.npz", x_train=np.array([{}] * 500, dtype=object))
    np.savez_compressed(tmp_path / "p.npz", x_train=IMAGES)
    packed = bytearray((tmp_path / "p.npz").read_bytes())
    packed[200:230] = bytes(30)
    (tmp_path / "p.npz").write_bytes(packed)
    for name in ("npy:x.npy", "npz:o.npz", "npz:p.npz"):
        kind, _, file = name.partition(":")
        with pytest.raises(UserError) as error:
            load_data(f"{kind}:{tmp_path / file}")
        assert "--dataset" in one_line(error)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.sampled_from([np.uint8, np.uint16, np.int64, np.float32, np.float64, np.bool_]),
    numbers=arrays_of.arrays(
        np.int64,
        st.tuples(st.integers(10, 14), st.integers(4, 6), st.integers(4, 6)),
        elements=st.integers(0, 1) | st.integers(0, 255),
    ),
)
def test_any_array_is_the_same_mapped(kind, numbers, tmp_path_factory):
    array = numbers.astype(kind)
    folder = tmp_path_factory.mktemp("any")
    np.save(folder / "x.npy", array)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("NAS_DATA_DIR", str(folder))
        inside, outside = load_both_ways(monkeypatch, lambda: load_data(f"npy:{folder / 'x.npy'}"))
        assert torch.equal(inside.train.examples, outside.train.examples)
        assert inside.fingerprint == outside.fingerprint
        assert inside.train.examples.dtype in (torch.uint8, torch.float32)


def test_no_mapping_is_remembered_without_its_tensor(directory):
    before = len(mapped._MAPPINGS)
    for _ in range(20):
        allocate((50, 30), torch.uint8, directory)
    assert len(mapped._MAPPINGS) == before
