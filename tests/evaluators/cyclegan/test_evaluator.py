"""What a CycleGAN's translators are scored by, and which of them are kept."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load
from torch import nn

import evaluators.cyclegan.task
from evaluators.cyclegan.task import CycleGanTask
from evaluators.cyclegan.training import CycleGanTraining
from evaluators.metrics.cost import PeakMemory
from evaluators.metrics.samples import score_samples
from evaluators.metrics.translations import OF_CLASSES, join_protocols, score_translations
from nas import registry
from nas.core.errors import Collapsed, Diverged
from nas.core.space import sample
from nas.core.trial import Proposal, Trial
from nas.testing import EvaluatorContract
from tests.parts.cyclegan import USUAL, TinyCycleGan, TinyCycleGanSpace, little_digits
from tests.parts.extractors import quick_extractors

SPACE = TinyCycleGanSpace().restrict({"generator.width": (8,)})


@pytest.fixture(scope="module", autouse=True)
def quick_features():
    """Extractors that are trained for a moment."""
    with quick_extractors(classifier=3_000, self_supervised=500):
        yield


@pytest.fixture(scope="module")
def pair():
    return little_digits()


def drawn(**pins):
    return sample(SPACE.restrict({site: (value,) for site, value in pins.items()}), np.random.default_rng(0))


PLAIN, NOISY = drawn(dropout=0.0, loss="least_squares"), drawn(dropout=0.1, loss="hinge")


@pytest.mark.usefixtures("lenient")
class TestCycleGanEvaluator(EvaluatorContract):
    def make(self, epochs):
        return CycleGanTask.make_evaluator(SPACE, little_digits(), epochs=epochs)

    def genotypes(self):
        return [NOISY]


def measured(data, genotype=PLAIN, epochs=2, space=SPACE, seed=1):
    return list(CycleGanTask.make_evaluator(space, data, epochs=epochs).evaluate(Trial(0, Proposal(genotype), seed)))


def unchanged(images):
    return images


def inverted(images):
    return 1 - images


def test_perfect_translators_score_as_real_images_and_doing_nothing_does_not(pair):
    targets = CycleGanTask.make_evaluator(SPACE, pair, epochs=1).task._targets
    perfect, nothing = (
        score_translations(targets, inverted, inverted),
        score_translations(targets, unchanged, unchanged),
    )
    for name in ("fid", "fid_a", "fid_b"):
        assert 3 * perfect[name] < nothing[name]
    assert perfect["fid"] == pytest.approx((perfect["fid_a"] + perfect["fid_b"]) / 2)
    assert perfect["cycle_error"] == pytest.approx(0, abs=1e-6)
    assert nothing["cycle_error"] == nothing["identity_error"] == 0
    images = [target.sources.examples.float() / 255 for target in targets]
    off = sum((1 - 2 * part).abs().mean().item() for part in images) / 2
    assert perfect["identity_error"] == pytest.approx(off, rel=1e-5)
    assert perfect["label_agreement"] > 0.7 > nothing["label_agreement"]
    assert perfect["modes"] > nothing["modes"]
    assert perfect["sample_deviation"] == pytest.approx(1, abs=0.1)  # in units of the data's own
    assert perfect["coverage"] == min(perfect["coverage_a"], perfect["coverage_b"])


@pytest.mark.slow
def test_a_moment_of_training_finds_the_inversion():
    """From unpaired images alone, and image by image: digits stay what they are."""
    data = little_digits(480)
    evaluator = CycleGanTask.make_evaluator(SPACE, data, epochs=1)
    nothing = score_translations(evaluator.task._targets, unchanged, unchanged)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = TinyCycleGan(data.shape, dropout=0.0)
    changed = {"identity_weight": 0.0, "batch": 4, "generator_learning_rate": 0.005, "linear_decay": False}
    training = CycleGanTraining(model, USUAL | changed, 1, 1)
    training.epoch((data.a.train, data.b.train), PeakMemory(torch.device("cpu")))
    found = score_translations(evaluator.task._targets, *evaluator.task._translate(training.average.network))
    assert 4 * found["fid_a"] < nothing["fid_a"]
    assert 4 * found["fid_b"] < nothing["fid_b"]
    assert found["label_agreement"] > 0.6  # by chance a tenth
    assert found["cycle_error"] < 0.1


def test_a_direction_that_makes_one_image_shows_in_the_lesser_of_both(pair):
    targets = CycleGanTask.make_evaluator(SPACE, pair, epochs=1).task._targets

    def constant(images):
        return torch.full_like(images, 0.5)

    scores = score_translations(targets, constant, inverted)
    assert scores["sample_deviation"] == 0
    assert scores["fid_b"] > scores["fid_a"]


def test_what_is_translated_is_of_the_validation_part_and_in_the_end_of_the_test_part(pair):
    evaluator = CycleGanTask.make_evaluator(SPACE, pair, epochs=1)
    for targets, part in ((evaluator.task._targets, "validation"), (evaluator.task._test_targets, "test")):
        for target, other in zip(targets, (pair.b, pair.a), strict=True):
            mine = {image.numpy().tobytes() for image in target.sources.examples}
            assert mine <= {image.numpy().tobytes() for image in getattr(other, part).examples}
            assert len(target.sources) == target.reference.samples
    protocol = join_protocols(evaluator.task._targets)
    assert protocol["a sources_sha256"] != protocol["b sources_sha256"]
    assert protocol["a extractor_sha256"] != protocol["b extractor_sha256"]
    assert protocol["a part"] == "validation"
    assert evaluator.protocol("test")["b part"] == "test"


@pytest.mark.usefixtures("lenient")
def test_the_best_snapshot_is_kept_and_its_weights_score_the_same(pair, monkeypatch):
    """The second of three epochs is made the best; the weights are the averages of then."""
    falsified, true = iter([50.0, 5.0, 9.0]), {}

    def scores(*args):
        found, number = score_translations(*args), next(falsified)
        true[number] = found
        return found | {"fid": number}

    monkeypatch.setattr(evaluators.cyclegan.task, "score_translations", scores)
    measurements = measured(pair, NOISY, epochs=3)
    monkeypatch.undo()
    assert [m.metrics["fid"] for m in measurements] == [50, 5, 5]
    assert [m.metrics["epoch_fid"] for m in measurements] == [50, 5, 9]
    assert [m.metrics["kept_epoch"] for m in measurements] == [1, 2, 2]
    assert measurements[1].artifacts["translations.png"] == measurements[2].artifacts["translations.png"]
    assert ["weights.safetensors" in m.artifacts for m in measurements] == [False, False, True]
    evaluator = CycleGanTask.make_evaluator(SPACE, pair, epochs=3)
    model = SPACE.build(NOISY, pair.shape)
    model.load_state_dict(load(measurements[-1].artifacts["weights.safetensors"]))
    with torch.no_grad():
        again = score_translations(evaluator.task._targets, model.eval().a_to_b, model.b_to_a)
    for name, value in true[5.0].items():
        assert again[name] == pytest.approx(value, rel=1e-3, abs=1e-6), name
    tested = evaluator.test(NOISY, model, 1)
    assert set(tested) == set(again)
    assert tested["fid"] != again["fid"]


@pytest.mark.usefixtures("lenient")
def test_pictures_costs_and_objectives(pair):
    last = measured(pair)[-1]
    tile = 8 * 4 + 2  # 8 pixels, enlarged by 4, and a border
    with Image.open(io.BytesIO(last.artifacts["translations.png"])) as picture:
        assert picture.size == (8 * tile, 6 * tile)
        shown = np.asarray(picture.convert("L"), dtype=float) / 255
    for row, domain in ((0, pair.a), (3, pair.b)):  # below each original what it became, and what that became
        original = domain.validation.examples[0, 0].float() / 255
        corner = shown[row * tile + 1 : row * tile + 33 : 4, 1:33:4]
        assert np.abs(corner - original.numpy()).max() < 0.01
    with Image.open(io.BytesIO(last.artifacts["training.gif"])) as picture:
        assert picture.n_frames == 2
    model = SPACE.build(PLAIN, pair.shape)
    halves = (model.a_to_b, model.b_to_a)
    assert last.metrics["parameters"] == sum(p.numel() for half in halves for p in half.parameters())
    assert last.metrics["multiply_adds"] == 2 * (8 * 9 * 64 + 8 * 9 * 64)
    assert json.loads(last.artifacts["protocol.json"])["b samples"] == len(pair.a.validation)
    evaluator = CycleGanTask.make_evaluator(SPACE, pair, epochs=1)
    assert set(last.metrics) == set(evaluator.metrics) - CycleGanTask.on_demand


@pytest.mark.usefixtures("lenient")
def test_without_labels_nothing_is_said_of_classes():
    data = little_digits(100, labels=False)
    evaluator = CycleGanTask.make_evaluator(SPACE, data, epochs=1)
    assert not set(OF_CLASSES) & set(evaluator.objectives)
    assert set(measured(data, epochs=1)[-1].metrics) == set(evaluator.metrics) - CycleGanTask.on_demand


def test_domains_of_other_classes_have_no_modes_in_common(pair):
    other = replace(pair.b, classes=tuple("abcdefghij"))
    data = replace(pair, b=other)
    evaluator = CycleGanTask.make_evaluator(SPACE, data, epochs=1)
    assert not set(OF_CLASSES) & set(evaluator.objectives)
    assert not set(OF_CLASSES) & set(score_translations(evaluator.task._targets, inverted, inverted))


class Constant(TinyCycleGanSpace):
    """Translators that ignore what they translate."""

    def build(self, genotype, shape):
        model = super().build(genotype, shape)
        for layer in model.a_to_b.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.data.zero_()
                layer.weight.requires_grad_(False)
        return model


def test_a_translator_that_ignores_its_input_has_collapsed_and_is_shown(pair, monkeypatch):
    monkeypatch.setattr("evaluators.adversarial.snapshots._LEAST_UPDATES", 10)
    measurements = []

    def consume():
        trial = Trial(0, Proposal(PLAIN), 1)
        for measurement in CycleGanTask.make_evaluator(Constant(), pair, epochs=4).evaluate(trial):
            measurements.append(measurement)

    with pytest.raises(Collapsed, match=r"sample_deviation .* is under 0\.25, 25% of the data's"):
        consume()
    assert {"translations.png", "training.gif"} <= set(measurements[-1].artifacts)
    assert "weights.safetensors" not in measurements[-1].artifacts


def test_divergence_is_said(pair):
    class Exploding(TinyCycleGanSpace):
        def hyperparameters(self, genotype):
            return {**super().hyperparameters(genotype), "generator_learning_rate": 1e30}

    with pytest.raises(Diverged):
        measured(pair, space=Exploding())


def test_what_a_cyclegan_hands_over(pair):
    evaluator = CycleGanTask.make_evaluator(SPACE, pair, epochs=1)
    model = SPACE.build(PLAIN, pair.shape)
    parts = evaluator.deliverables(PLAIN, model)
    assert list(parts) == ["a_to_b", "b_to_a"]
    assert parts["a_to_b"].module is model.a_to_b
    assert parts["b_to_a"].settings["source"] == "inverted:digits"
    assert torch.equal(parts["b_to_a"].inputs["images"], pair.b.test.examples[:16])


def test_what_is_assumed_and_registered(pair):
    evaluator = CycleGanTask.make_evaluator(SPACE, pair, epochs=1)
    needed = {assumption.site: max(assumption.values) for assumption in evaluator.assumptions("fid")}
    assert needed["generator.width"] == needed["backward_discriminator.width"] == 16
    assert next(iter(evaluator.objectives)) == "fid"
    assert evaluator.delivers
    assert registry.load("evaluator", "cyclegan") is CycleGanTask
    assert CycleGanTask.usual_epochs(pair) == 75  # of 160 images


def test_what_is_scored_is_the_average_of_the_translators(pair, monkeypatch):
    """What is scored is the average: score_samples sees the images that the kept weights make."""
    seen = []
    monkeypatch.setattr(
        "evaluators.metrics.translations.score_samples",
        lambda samples, *rest: seen.append(samples) or score_samples(samples, *rest),
    )
    trainings = []
    epoch = CycleGanTraining.epoch
    monkeypatch.setattr(CycleGanTraining, "epoch", lambda self, *args: trainings.append(self) or epoch(self, *args))
    monkeypatch.setattr("evaluators.adversarial.collapse.LEAST_DEVIATION", 0.0)
    monkeypatch.setattr("evaluators.adversarial.collapse.LEAST_MODES", 0.0)
    measured(pair, epochs=1)
    average = trainings[0].average.network
    images = pair.b.validation.examples[:1].float() / 255
    with torch.no_grad():
        wanted = average["b_to_a"](images)
    assert any(torch.allclose(wanted[0], sample, atol=1e-5) for sample in seen[0])
