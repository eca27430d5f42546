"""Recordings, cut into windows: whatever `wave` writes is read again, and windows of one recording stay together."""

import io
import itertools
import wave

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.core.errors import UserError
from nas.data.loading import load_data
from nas.data.sources.wav import read_recording
from tests.parts.data import one_line
from tests.parts.recordings import write_recording


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(1, 4), channels=st.integers(1, 3), steps=st.integers(0, 50), rate=st.integers(1, 192_000),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_what_is_written_is_read(tmp_path_factory, size, channels, steps, rate, seed):
    path, half = tmp_path_factory.mktemp("wav") / "a.wav", 2 ** (8 * size - 1)
    numbers = np.random.default_rng(seed).integers(-half, half, (steps, channels))
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, size, rate, steps, "NONE", ""))
        whole = [int(number) + (128 if size == 1 else 0) for number in numbers.ravel()]
        file.writeframes(b"".join(number.to_bytes(size, "little", signed=size > 1) for number in whole))
    samples, found = read_recording(path)
    assert found == rate
    assert samples.dtype == np.float32
    assert np.array_equal(samples, (numbers.T / half).astype(np.float32))


def recordings(folder, counts, subfolders=False, window=16, channels=1):
    """Recordings whose samples all say which one they are, and in their last bits which window."""
    for number, count in enumerate(counts):
        steps = np.arange(count * window + 3) // window
        path = folder / f"class{number % 2}" / f"{number:02}.wav" if subfolders else folder / f"{number:02}.wav"
        write_recording(path, np.tile((number + 1) * 100 + steps, (channels, 1)) / 2**15)
    return f"wav:{folder}"


def read_numbers(part):
    values = (part.examples * 2**15).round().long()
    assert (values == values[:, :1, :1]).all()  # a window is of one recording and one time
    return [divmod(int(value), 100) for value in values[:, 0, 0]]


def test_windows_of_one_recording_stay_in_one_part_and_subfolders_are_classes(tmp_path):
    data = load_data(recordings(tmp_path, [5, 3, 4, 6, 5, 2, 7, 5, 4, 3, 5, 6], subfolders=True), window=16)
    assert (data.kind, data.shape, data.classes) == ("sequence", (1, 16), ("class0", "class1"))
    assert data.notes == (
        "12 recordings at 8000 Hz, cut into 55 windows of 16 samples", "windows of one recording stay in one part",
    )  # fmt: skip
    found = {name: read_numbers(getattr(data, name)) for name in ("train", "validation", "test")}
    assert sorted(itertools.chain(*found.values())) == sorted(
        (number + 1, step) for number, count in enumerate([5, 3, 4, 6, 5, 2, 7, 5, 4, 3, 5, 6]) for step in range(count)
    )
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not {number for number, _ in found[one]} & {number for number, _ in found[other]}
    assert data.train.labels.tolist() == [(number - 1) % 2 for number, _ in found["train"]]


def test_of_one_recording_stretches_stay_together(tmp_path):
    data = load_data(recordings(tmp_path, [60], channels=2), window=16)
    assert data.shape == (2, 16)
    assert data.train.labels is None
    assert "windows of one stretch of a recording, of 10, stay in one part" in data.notes
    parts = [{step // 6 for _, step in read_numbers(part)} for part in (data.train, data.validation, data.test)]
    assert sum(map(len, parts)) == 10
    assert set.union(*parts) == set(range(10))


def test_short_and_damaged_recordings_are_counted_and_others_refused(tmp_path):
    name = recordings(tmp_path, [4] * 12)
    write_recording(tmp_path / "short.wav", np.zeros((1, 5)))
    (tmp_path / "bad.wav").write_bytes(b"RIFF, but no sound")
    data = load_data(name, window=16)
    assert data.notes[1:3] == (
        "1 recording shorter than a window left out",
        "1 recording could not be read and left out",
    )
    with pytest.raises(UserError, match=r"--strict.*bad\.wav"):
        load_data(name, window=16, strict=True)
    with pytest.raises(UserError, match=r"--window 4096: all are shorter than a window"):
        load_data(name, window=4096)
    write_recording(tmp_path / "stereo.wav", np.zeros((2, 40)))
    with pytest.raises(
        UserError, match=r"00\.wav has 1 channel, stereo\.wav has 2; allowed: .* one number of channels"
    ):
        load_data(name, window=16)


def test_the_usual_window_and_rates_that_differ(tmp_path):
    for number in range(12):
        write_recording(tmp_path / f"{number}.wav", np.zeros((1, 2048)), rate=8000 + 1000 * (number % 2))
    data = load_data(f"wav:{tmp_path}")
    assert data.shape == (1, 1024)
    assert data.notes[0] == "12 recordings at 8000 to 9000 Hz, not resampled, cut into 24 windows of 1024 samples"


def test_what_is_no_folder_of_recordings_is_refused_in_a_line(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    for name, message in (
        (f"wav:{tmp_path}", "holds no recording"),
        (f"wav:{tmp_path / 'a.txt'}", "is a file"),
        (f"wav:{tmp_path / 'none'}", "does not exist"),
    ):
        with pytest.raises(UserError, match=message) as error:
            load_data(name)
        one_line(error)
    for options, message in (
        ({"window": 5}, "--window 5: digits holds no recordings"),
        ({"kind": "image"}, "--kind 'image'"),
    ):
        with pytest.raises(UserError, match=message) as error:
            load_data("digits", **options)
        one_line(error)


def test_damaged_bytes_are_refused_in_a_line_or_harmless(tmp_path):
    buffer, said = io.BytesIO(), []
    write_recording(buffer, np.zeros((1, 20)))
    for place in range(0, 60, 3):
        content = bytearray(buffer.getvalue())
        content[place] ^= 0x5A
        for kept in (content, content[: len(content) - place]):
            (tmp_path / "a.wav").write_bytes(bytes(kept))
            try:
                samples, _ = read_recording(tmp_path / "a.wav")
            except ValueError as error:
                said.append(str(error))
            else:
                assert np.isfinite(samples).all()
    assert len(said) > 5
    assert not any("\n" in line for line in said)


def test_arrays_are_sequences_where_that_is_asked_for(tmp_path):
    numbers = np.random.default_rng(0).normal(size=(30, 2, 7)).astype(np.float32) * 5
    numbers[3, 0, 2] = np.nan
    np.save(tmp_path / "a.npy", numbers)
    np.save(tmp_path / "flat.npy", numbers[:, 1])
    np.savez(tmp_path / "a.npz", x_train=numbers, y_train=np.arange(30) % 2)
    data = load_data(f"npy:{tmp_path / 'a.npy'}", kind="sequence")
    assert (data.kind, data.shape) == ("sequence", (2, 7))
    assert torch.cat([p.examples for p in (data.train, data.validation, data.test)]).isnan().sum() == 1
    assert load_data(f"npz:{tmp_path / 'a.npz'}", kind="sequence").fingerprint != ""
    flat = load_data(f"npy:{tmp_path / 'flat.npy'}", kind="sequence")
    assert (flat.kind, flat.shape) == ("sequence", (1, 7))
    assert load_data(f"npy:{tmp_path / 'flat.npy'}", kind="vector").kind == "vector"
    for name, kind, message in (
        ("a", "auto", "holds values from"),
        ("a", "vector", r"has the shape \(30, 2, 7\); allowed: the array for --kind vector \(N, D\)"),
        ("flat", "image", r"has the shape \(30, 7\); allowed: the array for --kind image \(N, H, W\)"),
    ):
        with pytest.raises(UserError, match=message) as error:
            load_data(f"npy:{tmp_path / f'{name}.npy'}", kind=kind)
        one_line(error)
    np.save(tmp_path / "inf.npy", np.full((30, 5), np.inf))
    with pytest.raises(UserError, match="holds infinite numbers"):
        load_data(f"npy:{tmp_path / 'inf.npy'}", kind="sequence")
