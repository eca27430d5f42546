"""GANs are searched, resumed and exported as autoencoders are."""

import subprocess
import sys

import numpy as np
import pytest

import nas
from nas.core.space import Condition
from nas.data.sources import digits
from nas.session.delivery import export_model

TINY = {
    "generator": "convolutional",
    "discriminator": "convolutional",
    "generator_width": 16,
    "discriminator_width": 16,
    "generator_stages": 1,
    "discriminator_stages": 1,
    "loss": "hinge",
    "condition": "projection",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "evaluators.adversarial.snapshots.find_collapse", lambda *found: None
        )  # a moment's training is all but collapsed
        patch.setattr("evaluators.adversarial.snapshots.find_deviation_collapse", lambda *found: None)
        folder = tmp_path_factory.mktemp("runs")
        yield nas.search(
            data="digits", space="gan", trials=2, epochs=1, train_size=200, pin=TINY, runs_dir=folder, name="told"
        )


@pytest.mark.slow
def test_the_best_is_exported_as_a_generator_that_is_told_labels(run):
    best = run.path / "best"
    draw = [sys.executable, str(best / "model.py"), "--samples", "9", "--label", "3", "--output", str(best / "x.png")]
    ran = subprocess.run(draw, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    card = (best / "README.md").read_text()
    assert "extractor\\_sha256" in card  # what the scores depend on
    (best / "x.png").unlink()


@pytest.mark.slow
def test_the_discriminator_is_exported_where_it_is_asked_for(run):
    folder = export_model(run, part="discriminator", formats=("python",))
    assert folder == run.path / "best-discriminator"
    assert "ConvTranspose2d" not in (folder / "model.py").read_text()
    with pytest.raises(nas.UserError, match=r"--part 'critic': unknown.*allowed: discriminator, generator"):
        export_model(run, part="critic")


@pytest.mark.slow
def test_scores_of_another_protocol_are_not_ranked_with_those_there_are(run, monkeypatch):
    kept = run.study.notes["protocol"]
    assert kept["samples"] > 40
    other = {**kept, "extractor_sha256": "00"}
    monkeypatch.setattr("evaluators.gan.task.GanTask.protocol", lambda self, part: other)
    with pytest.raises(nas.UserError, match=r"their extractor_sha256 was [0-9a-f]+ and is 00 here"):
        nas.resume(run, trials=3)
    assert len(nas.open_run(run.path).trials) == 2


@pytest.mark.slow
def test_a_run_is_looked_at_and_resumed_without_its_parts(run):
    opened = nas.open_run(run.path)
    assert opened.space.build(opened.best.genotype, opened.shape).condition == "label"
    assert opened.best.metrics["fid"] == min(trial.metrics["fid"] for trial in run.trials)
    before = [trial.genotype for trial in run.trials]
    resumed = nas.resume(run, trials=3)
    assert [trial.genotype for trial in resumed.trials][:2] == before
    assert len(resumed.trials) == 3
    kept = [path.read_bytes() for path in (run.path / "artifacts").iterdir() if path.is_file()]
    assert sum(b'"extractor_sha256"' in file for file in kept) == 3  # the protocol of every trial's scores


def test_data_that_says_nothing_of_its_images_has_no_conditions(tmp_path):
    arrays = {"x_train": digits.load_digits().pool.examples[:200, 0].numpy()}
    with pytest.raises(nas.UserError, match="condition 'projection': the data has neither labels nor vectors"):
        nas.search(data=arrays, space="gan", trials=1, pin={"condition": "projection"}, runs_dir=tmp_path)


def test_vectors_of_an_archive_are_conditions(tmp_path):
    from nas.data.loading import load_arrays

    images = digits.load_digits().pool.examples[:100, 0].numpy()
    vectors = np.random.default_rng(0).normal(size=(100, 5))
    data = load_arrays({"x_train": images, "c_train": vectors})
    assert data.condition == Condition("vector", 5)
    rows = {
        image.numpy().tobytes(): vector for image, vector in zip(data.train.examples, data.train.vectors, strict=True)
    }
    for image, vector in zip(images, vectors, strict=True):
        found = rows.get(image[None].tobytes())
        assert found is None or np.allclose(found, vector, atol=1e-6)  # each image keeps its own
    assert len(rows) >= 60
    for wrong in (vectors[:50], vectors[:, 0], vectors.astype(int), np.full_like(vectors, np.nan)):
        with pytest.raises(nas.UserError, match="c_train"):
            load_arrays({"x_train": images, "c_train": wrong})
