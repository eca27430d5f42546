"""Data sets of Hugging Face's library, made here: images, tables and arrays."""

import numpy as np
import pytest
import torch
from PIL import Image

from nas.core.errors import UserError
from nas.data.loading import load_data
from nas.data.mapped import LIMIT, find_mapping
from tests.parts.data import keys, one_line

datasets = pytest.importorskip("datasets", reason="needs pip install 'nas-generative[hf]'")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("NAS_DATA_DIR", str(tmp_path / "kept"))


def pictures(count, first=0, size=(6, 5), mode="L"):
    return [Image.new(mode, size, (first + i) if mode == "L" else (first + i, 2, 3)) for i in range(count)]


def image_set(count, first=0, **how):
    kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])}
    rows = {"image": pictures(count, first, **how), "label": [i % 2 for i in range(count)]}
    return datasets.Dataset.from_dict(rows, features=datasets.Features(kinds))


def test_images_and_class_labels(tmp_path):
    image_set(40).save_to_disk(tmp_path / "d")
    data = load_data(f"hf:{tmp_path / 'd'}")
    assert (data.kind, data.shape, data.classes) == ("image", (1, 5, 6), ("cat", "dog"))
    shade = torch.cat([part.examples[:, 0, 0, 0] for part in (data.train, data.validation, data.test)])
    labels = torch.cat([part.labels for part in (data.train, data.validation, data.test)])
    assert sorted(shade.tolist()) == list(range(40))
    assert torch.equal(shade % 2, labels.to(torch.uint8))
    assert data.notes == ()


def test_splits_become_parts_and_a_note_says_which(tmp_path):
    parts = {"train": image_set(30), "validation": image_set(10, 50), "test": image_set(12, 100), "extra": image_set(2)}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "d")
    data = load_data(f"hf:{tmp_path / 'd'}")
    assert keys(data.test) == {(100 + i,) * 30 for i in range(12)}
    assert keys(data.train) | keys(data.validation) == {(i,) * 30 for i in [*range(30), *range(50, 60)]}
    assert data.notes == (
        "training and validation part are taken from train and validation; test part: test",
        "splits not read: extra",
    )
    del parts["test"]
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "no_test")
    assert keys(load_data(f"hf:{tmp_path / 'no_test'}").test) == {(50 + i,) * 30 for i in range(10)}
    alone = load_data(f"hf:{tmp_path / 'd'}::validation")
    assert keys(alone.train) | keys(alone.validation) | keys(alone.test) == keys(data.train) & keys(alone.train) | {
        (i,) * 30 for i in range(50, 60)
    }
    with pytest.raises(UserError, match=r"'vali'.*did you mean 'validation'"):
        load_data(f"hf:{tmp_path / 'd'}::vali")


def test_pictures_are_read_as_those_of_folders_are(tmp_path):
    """Upright, on white, of any size; what cannot be read is counted, in whichever part it is."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    cells = []
    for i in range(24):
        exif = Image.Exif()
        exif[0x0112] = 6
        path = folder / f"{i:02d}.png"
        Image.new("RGBA", (20 + i, 12), (200, i, 0, 0 if i % 3 else 255)).save(path, exif=exif)
        cells.append({"bytes": path.read_bytes(), "path": None})
    kinds = datasets.Features({"photo": datasets.Image()})
    datasets.Dataset.from_dict({"photo": cells}, features=kinds).save_to_disk(tmp_path / "d")
    ours, theirs = (load_data(name, image_size=16) for name in (f"hf:{tmp_path / 'd'}", f"folder:{folder}"))
    assert ours.fingerprint == theirs.fingerprint
    assert ours.notes == theirs.notes
    assert ours.pictures == theirs.pictures
    cells[3], cells[22] = {"bytes": b"no picture", "path": None}, None
    whole = datasets.Dataset.from_dict({"photo": cells}, features=kinds)
    datasets.DatasetDict(train=whole.select(range(14)), test=whole.select(range(14, 24))).save_to_disk(tmp_path / "bad")
    bad = load_data(f"hf:{tmp_path / 'bad'}")
    assert len(bad.train) + len(bad.validation) == 13
    assert len(bad.test) == 9
    assert any("2 pictures could not be read" in note for note in bad.notes)
    with pytest.raises(UserError, match=r"--strict.*row 3 of photo"):
        load_data(f"hf:{tmp_path / 'bad'}", strict=True)


def test_many_images_stay_on_disk(tmp_path, monkeypatch):
    datasets.DatasetDict(train=image_set(40), test=image_set(10, 100)).save_to_disk(tmp_path / "d")
    inside = load_data(f"hf:{tmp_path / 'd'}")
    monkeypatch.setenv(LIMIT, "100")
    for _ in range(2):
        outside = load_data(f"hf:{tmp_path / 'd'}")
        assert outside.fingerprint == inside.fingerprint
        assert all(find_mapping(part.examples) is not None for part in (outside.train, outside.test))
        assert torch.equal(outside.test.labels, inside.test.labels)


def test_rows_are_a_table(tmp_path):
    generator = np.random.default_rng(0)
    rows = {
        "width": generator.normal(size=40),
        "colour": ["red", "blue"] * 20,
        "shape": [0, 2] * 20,
        "kind": [0, 1] * 20,
        "patient": [i // 4 for i in range(40)],
    }
    kinds = datasets.Features(
        {
            "width": datasets.Value("float64"),
            "colour": datasets.Value("string"),
            "shape": datasets.ClassLabel(names=["round", "flat", "long"]),
            "kind": datasets.ClassLabel(names=["0", "1"]),
            "patient": datasets.Value("int64"),
        }
    )
    whole = datasets.Dataset.from_dict(rows, features=kinds)
    datasets.DatasetDict(train=whole.select(range(28)), test=whole.select(range(28, 40))).save_to_disk(tmp_path / "d")
    data = load_data(f"hf:{tmp_path / 'd'}", label="kind", group="patient")
    assert [(one.name, one.values) for one in data.columns] == [
        ("width", ()),
        ("colour", ("blue", "red")),
        ("shape", ("round", "long")),
    ]
    assert data.classes == ("0", "1")
    assert len(data.test) == 12
    assert len(data.train) % 4 == 0
    whole.to_parquet(tmp_path / "t.parquet")
    alone = load_data(f"hf:{tmp_path / 't.parquet'}", columns=["width", "colour"])
    assert alone.shape == (3,)


def test_lists_and_arrays_of_numbers_are_arrays(tmp_path):
    numbers = np.random.default_rng(0).random((40, 4, 6)).astype(np.float32)
    kinds = datasets.Features(
        {
            "grid": datasets.Array2D((4, 6), "float32"),
            "row": datasets.Sequence(datasets.Value("float32")),
            "name": datasets.Value("string"),
        }
    )
    rows = {"grid": numbers, "row": numbers[:, 0].tolist(), "name": [f"n{i % 3}" for i in range(40)]}
    whole = datasets.Dataset.from_dict(rows, features=kinds)
    datasets.DatasetDict(train=whole.select(range(30)), test=whole.select(range(30, 40))).save_to_disk(tmp_path / "d")
    images = load_data(f"hf:{tmp_path / 'd'}", columns=["grid"], label="name")
    assert (images.kind, images.classes) == ("image", ("n0", "n1", "n2"))
    assert np.array_equal(images.test.examples[:, 0], numbers[30:])
    assert images.test.labels.tolist() == [i % 3 for i in range(30, 40)]
    assert images.notes[-1] == "columns not read: row"
    assert load_data(f"hf:{tmp_path / 'd'}", columns="grid", kind="sequence").shape == (4, 6)
    vectors = load_data(f"hf:{tmp_path / 'd'}", drop=["grid"])
    assert np.array_equal(vectors.test.examples, numbers[30:, 0])
    with pytest.raises(UserError, match=r"--columns 'grid,row'.*several columns of arrays"):
        load_data(f"hf:{tmp_path / 'd'}")
    ragged = datasets.Dataset.from_dict({"row": [[1.0] * (2 + i % 2) for i in range(40)]})
    ragged.save_to_disk(tmp_path / "ragged")
    with pytest.raises(UserError, match="those of row differ in shape") as error:
        load_data(f"hf:{tmp_path / 'ragged'}")
    one_line(error)


def test_what_cannot_be_used_is_one_line(tmp_path):
    whole = image_set(20)
    two = whole.add_column("second", [1] * 20).cast_column("second", datasets.ClassLabel(names=["x", "y"]))
    two.save_to_disk(tmp_path / "two")
    with pytest.raises(UserError, match=r"--label.*several.*label, second or none") as error:
        load_data(f"hf:{tmp_path / 'two'}")
    one_line(error)
    assert load_data(f"hf:{tmp_path / 'two'}", label="none").train.labels is None
    assert load_data(f"hf:{tmp_path / 'two'}", label="second").classes == ("x", "y")
    whole.map(lambda row: {"label": -1}).save_to_disk(tmp_path / "untold")
    for name, options, wrong in (
        (tmp_path / "none", {}, "hf:"),
        (tmp_path / "untold", {}, "row 0 of the data, in the training part, has none"),
        (tmp_path / "two", {"label": "third"}, "--label 'third'"),
        (tmp_path / "two", {"columns": "third"}, "--columns 'third'"),
        (tmp_path / "two", {"label": "label", "kind": "sequence"}, "--kind"),
        (f"{tmp_path / 'two'}:large", {}, "has no configurations"),
    ):
        with pytest.raises(UserError, match=wrong) as error:
            load_data(f"hf:{name}", **options)
        one_line(error)


def test_what_would_be_unpickled_is_refused(tmp_path):
    (tmp_path / "data.pkl").write_bytes(b"")
    with pytest.raises(UserError) as error:
        load_data(f"hf:{tmp_path / 'data.pkl'}")
    assert "pkl" in one_line(error)
    (tmp_path / "d.pandas").write_bytes(b"")
    with pytest.raises(UserError, match="would be read by pandas"):
        load_data(f"hf:{tmp_path / 'd.pandas'}")
