"""The networks whose features samples are compared by."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from evaluators.features import extractor as extractors
from evaluators.features.extractor import load_extractor
from evaluators.features.inception import InceptionFeatures
from evaluators.features.training import FeatureNetwork, augment_view, contrastive_loss, rotate_images
from nas.core.errors import UserError
from nas.data.dataset import Split
from nas.data.loading import load_arrays
from tests.parts.extractors import SHORT, small


@pytest.mark.parametrize("kind", ["classifier", "self_supervised"])
@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 5, 9), (1, 28, 28), (3, 64, 48)])
def test_networks_describe_images_of_any_size(kind, shape):
    outputs = 3
    network = FeatureNetwork(shape, outputs).eval()
    features = network(torch.rand(5, *shape))
    assert features.shape == (5, 64)
    assert network.logits(features).shape == (5, outputs)


@pytest.mark.parametrize(("labels", "channels"), [(True, 1), (False, 3)])
@pytest.mark.usefixtures("short")
def test_an_extractor_is_trained_once_and_is_the_same_in_another_folder_with_other_threads(tmp_path, labels, channels):
    data = small(labels, channels=channels)
    torch.manual_seed(5)
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    first = load_extractor(data, directory=tmp_path / "a")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    files = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "a").iterdir()}
    again = load_extractor(data, directory=tmp_path / "a")
    torch.set_num_threads(threads + 1)  # sums over more threads are others
    other = load_extractor(data, directory=tmp_path / "b")
    torch.set_num_threads(threads)
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "a").iterdir()} == files
    assert first.sha256 == again.sha256 == other.sha256
    assert first.accuracy == again.accuracy
    features = first.features(data.validation.examples)
    assert features.shape == (len(data.validation), 64)
    assert features.dtype == torch.float32
    assert torch.equal(features, again.features(data.validation.examples))
    assert first.features(data.train.examples).var(0, correction=0).mean() == pytest.approx(1, rel=1e-3)
    logits = first.logits(data.validation.examples)
    assert first.classes == (("below", "above") if labels else ())
    assert logits is None if not labels else logits.shape == (len(data.validation), 2)
    about = json.loads(next((tmp_path / "a").glob("*.json")).read_text())
    assert about["accuracy"] == first.accuracy
    assert about["sha256"] == first.sha256


@pytest.mark.usefixtures("short")
def test_extractors_are_kept_beside_downloaded_data(tmp_path, monkeypatch):
    monkeypatch.setenv("NAS_DATA_DIR", str(tmp_path))
    load_extractor(small())
    kept = {path.suffix for path in (tmp_path / "features").iterdir()}
    assert {".safetensors", ".json"} <= kept
    assert not any(path.name.startswith(".") for path in (tmp_path / "features").iterdir())


@pytest.mark.usefixtures("short")
def test_other_data_and_other_recipes_have_their_own_files(tmp_path, monkeypatch):
    data = small()
    for labels in (data.train.labels, 1 - data.train.labels):
        load_extractor(replace(data, train=Split(data.train.examples, labels)), directory=tmp_path)
    load_extractor(data, directory=tmp_path, kind="self_supervised")
    monkeypatch.setattr(extractors, "RECIPES", {"classifier": replace(SHORT["classifier"], learning_rate=0.1)})
    load_extractor(data, directory=tmp_path)
    names = {path.name for path in tmp_path.glob("*.safetensors")}
    assert len(names) == 4


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "json", "accuracy", "swapped"])
@pytest.mark.usefixtures("short")
def test_a_damaged_file_is_made_anew_with_a_warning(tmp_path, caplog, damage):
    data = small()
    whole = load_extractor(data, directory=tmp_path).sha256
    tensors, about = next(tmp_path.glob("*.safetensors")), next(tmp_path.glob("*.json"))
    content = bytearray(tensors.read_bytes())
    if damage == "cut":
        tensors.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":  # a bit of a weight: safetensors reads it without complaint
        content[-3] ^= 1
        tensors.write_bytes(content)
    elif damage == "empty":
        tensors.write_bytes(b"")
    elif damage == "json":
        about.write_text("[1")
    elif damage == "accuracy":
        about.write_text(json.dumps({**json.loads(about.read_text()), "accuracy": None}))
    else:
        about.write_text(json.dumps({**json.loads(about.read_text()), "data": "0" * 64}))
    with caplog.at_level(logging.WARNING):
        assert load_extractor(data, directory=tmp_path).sha256 == whole
    assert "damaged and is made anew" in caplog.text
    caplog.clear()
    assert load_extractor(data, directory=tmp_path).sha256 == whole
    assert not caplog.records


@pytest.mark.usefixtures("short")
def test_where_nothing_can_be_kept_it_says_so(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    assert load_extractor(small(), directory=tmp_path / "file").classes
    assert "is not kept" in caplog.text


@pytest.mark.usefixtures("short")
def test_labels_that_are_not_worth_predicting_are_left_alone(tmp_path):
    data = small()
    one_each = replace(data, train=Split(data.train.examples, torch.arange(len(data.train))), classes=("x",) * 500)
    assert load_extractor(one_each, directory=tmp_path).classes == ()
    all_alike = replace(data, train=Split(data.train.examples, torch.zeros(len(data.train), dtype=torch.int64)))
    assert load_extractor(all_alike, directory=tmp_path).classes == ()
    with pytest.raises(UserError, match="--features 'classifier': all images of tiny have one label"):
        load_extractor(all_alike, directory=tmp_path, kind="classifier")
    with pytest.raises(UserError, match="has no labels"):
        load_extractor(small(labels=False), directory=tmp_path, kind="classifier")
    with pytest.raises(UserError, match="did you mean 'inception'"):
        load_extractor(data, directory=tmp_path, kind="incepton")


@pytest.mark.usefixtures("short")
def test_images_that_are_all_equal_still_have_features(tmp_path):
    data = load_arrays({"x_train": np.full((20, 4, 6), 7, np.uint8)})
    extractor = load_extractor(data, directory=tmp_path)
    assert extractor.features(data.train.examples).isfinite().all()


@pytest.mark.usefixtures("short")
def test_images_of_another_shape_are_refused(tmp_path):
    extractor = load_extractor(small(), directory=tmp_path)
    with pytest.raises(ValueError, match=r"\(1, 8, 8\)"):
        extractor.features(torch.rand(2, 1, 9, 9))


def test_inception_without_its_weights_is_refused_in_one_line(tmp_path, monkeypatch):
    import urllib.error
    import urllib.request

    def refuse(*args, **kwargs):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(torch.hub, "urlopen", refuse)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(UserError, match=r"--features 'inception'.*no network") as error:
        load_extractor(small(), kind="inception")
    assert "inception_v3_google" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_inception_takes_its_weights_from_torch_hubs_cache(tmp_path, monkeypatch):
    from torchvision.models import inception_v3

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    file = tmp_path / "checkpoints" / "inception_v3_google-0cc3c7bd.pth"
    file.parent.mkdir()
    torch.save(inception_v3(weights=None, init_weights=False).state_dict(), file)
    extractor = load_extractor(small(), kind="inception")
    assert extractor.features(torch.rand(2, 1, 8, 8)).shape == (2, 2048)
    assert extractor.logits(torch.rand(2, 1, 8, 8)) is None
    assert "299" in extractor.resize
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(UserError, match="cannot be downloaded or read"):
        load_extractor(small(), kind="inception")


def test_the_contrastive_loss_is_the_papers():
    projections = torch.from_numpy(np.random.default_rng(0).standard_normal((8, 5))).float()
    unit = F.normalize(projections, dim=1)
    total = 0.0
    for i in range(8):  # Chen et al. 2020, equation 1 and the mean over both orders of every pair
        others = torch.stack([torch.exp(unit[i] @ unit[k] / 0.5) for k in range(8) if k != i])
        total += float(-torch.log(torch.exp(unit[i] @ unit[(i + 4) % 8] / 0.5) / others.sum()))
    assert float(contrastive_loss(projections, 0.5)) == pytest.approx(total / 8, rel=1e-5)


@pytest.mark.parametrize("shape", [(1, 6, 6), (3, 5, 9)])
def test_views_are_images_and_turns_are_told(shape):
    images = torch.rand(64, *shape, generator=torch.Generator().manual_seed(0))
    turned, turns = rotate_images(images, torch.Generator().manual_seed(1))
    assert set(turns.tolist()) == ({0, 1, 2, 3} if shape[1] == shape[2] else {0, 2})
    for image, result, turn in zip(images, turned, turns.tolist(), strict=True):
        assert torch.equal(torch.rot90(image, turn, (1, 2)), result)
    views = augment_view(images, torch.Generator().manual_seed(2))
    assert views.shape == images.shape
    assert 0 <= float(views.min()) <= float(views.max()) <= 1


def test_inception_sees_transparent_images_on_white_and_two_channels_as_red_and_green():
    network = InceptionFeatures(torch.nn.Flatten())
    colours = torch.rand(2, 3, 5, 5)
    hidden, shown = torch.cat([colours, torch.zeros(2, 1, 5, 5)], 1), torch.cat([colours, torch.ones(2, 1, 5, 5)], 1)
    assert torch.allclose(network(shown), network(colours), atol=1e-5)
    assert torch.allclose(network(hidden), network(torch.ones(2, 3, 5, 5)), atol=1e-5)
    assert torch.allclose(network(colours[:, :2]), network(colours * torch.tensor([1.0, 1, 0]).view(3, 1, 1)))
