"""The evaluator of GANs: what it measures, keeps and shows, and which candidates have collapsed."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load

import evaluators.gan.task
import evaluators.pictures
from evaluators.gan.task import GanTask
from evaluators.gan.training import GanTraining
from evaluators.metrics.cost import PeakMemory
from evaluators.metrics.samples import score_samples
from evaluators.pictures import draw_rows, render_gif
from nas import registry
from nas.config import RunConfig
from nas.core.errors import Collapsed, Diverged, OutOfMemory
from nas.core.evaluator import CHECKPOINT
from nas.core.space import Condition, sample
from nas.core.trial import Proposal, Trial
from nas.data.dataset import Split
from nas.data.source import UnsplitData
from nas.data.sources import digits
from nas.data.splitting import split_data
from nas.session.assembly import assemble
from nas.session.given import Given
from nas.testing import EvaluatorContract
from tests.parts.extractors import quick_extractors
from tests.parts.gan import USUAL, TinyGan, TinyGanSpace

SPACE = TinyGanSpace().restrict({"generator_width": (8,), "latent": (6,)})
TOLD = SPACE.conditioned(Condition("label", 10))


@pytest.fixture(scope="module", autouse=True)
def quick_features():
    """Few samples, and extractors that are trained for a moment."""
    with quick_extractors(samples=200, classifier=10_000, self_supervised=3_000):
        yield


@pytest.fixture(scope="module")
def some_digits():
    return little()


def little():
    return split_data("digits", digits.load_digits(), seed=0, train_size=640)


def drawn(space=SPACE, **pins):
    return sample(space.restrict({site: (value,) for site, value in pins.items()}), np.random.default_rng(0))


PLAIN = drawn(style_noise=False, loss="hinge")
NOISY = drawn(style_noise=True, loss="non_saturating")
LABELLED = drawn(TOLD, condition="label", style_noise=False, loss="hinge")


@pytest.mark.usefixtures("lenient")
class TestGanEvaluator(EvaluatorContract):
    def make(self, epochs):
        return GanTask.make_evaluator(TOLD, little(), epochs=epochs)

    def genotypes(self):
        return [NOISY, LABELLED]


class RelativisticSpace(TinyGanSpace):
    name = "tiny-relativistic-gan"
    usual = USUAL | {"loss": "relativistic", "r1": 0.1, "r2": 0.1}


RELATIVISTIC = RelativisticSpace().restrict({"generator_width": (8,), "latent": (6,), "loss": ("relativistic",)})


@pytest.mark.usefixtures("lenient")
class TestGanEvaluatorOfARelativisticLoss(EvaluatorContract):
    def make(self, epochs):
        return GanTask.make_evaluator(RELATIVISTIC, little(), epochs=epochs)

    def genotypes(self):
        return [drawn(RELATIVISTIC)]


def measured(data, genotype=PLAIN, epochs=3, space=TOLD, seed=1, **options):
    return list(
        GanTask.make_evaluator(space, data, epochs=epochs, **options).evaluate(Trial(0, Proposal(genotype), seed))
    )


@pytest.mark.usefixtures("lenient")
def test_the_best_snapshot_is_kept_and_its_weights_score_the_same(some_digits, monkeypatch):
    """The second of four epochs is made the best: its metrics stay, and the weights are the average's of then."""
    falsified = iter([50.0, 5.0, 9.0, 7.0])
    true = {}

    def scores(*args):
        found = score_samples(*args)
        number = next(falsified)
        true[number] = found
        return found | {"fid": number}

    monkeypatch.setattr(evaluators.gan.task, "score_samples", scores)
    measurements = measured(some_digits, epochs=4)
    monkeypatch.undo()
    assert [m.metrics["fid"] for m in measurements] == [50, 5, 5, 5]
    assert [m.metrics["epoch_fid"] for m in measurements] == [50, 5, 9, 7]
    assert [m.metrics["kept_epoch"] for m in measurements] == [1, 2, 2, 2]
    assert all(m.metrics["kid"] == true[5.0]["kid"] for m in measurements[1:])
    assert measurements[1].artifacts["samples.png"] == measurements[3].artifacts["samples.png"]
    assert ["weights.safetensors" in m.artifacts for m in measurements] == [False, False, False, True]

    evaluator = GanTask.make_evaluator(TOLD, some_digits, epochs=4)
    model = TOLD.build(PLAIN, some_digits.shape)
    model.load_state_dict(load(measurements[-1].artifacts["weights.safetensors"]))
    gan = model.eval()
    again = evaluator.task.score(gan, gan.generator, TOLD.hyperparameters(PLAIN), 1).metrics
    for name, value in true[5.0].items():
        assert again[name] == pytest.approx(value, rel=1e-3, abs=1e-6), name
    tested = evaluator.test(PLAIN, model, 1)
    assert set(tested) == set(again)
    assert tested["fid"] != again["fid"]


@pytest.mark.usefixtures("lenient")
def test_what_is_scored_is_the_average_and_not_the_generator_itself(some_digits, monkeypatch):
    trainings = []
    epoch = GanTraining.epoch

    def spied(self, *args):
        trainings.append(self)
        epoch(self, *args)

    monkeypatch.setattr(GanTraining, "epoch", spied)
    measurements = measured(some_digits, epochs=1)
    weights = load(measurements[-1].artifacts["weights.safetensors"])
    training = trainings[0]
    for prefix, network in (("generator", training.average.network), ("discriminator", training.model.discriminator)):
        state = network.state_dict()
        assert {name for name in weights if name.startswith(prefix)} == {f"{prefix}.{name}" for name in state}
        assert all(torch.equal(weights[f"{prefix}.{name}"], value) for name, value in state.items())
    own = training.model.generator.state_dict()
    assert any(not torch.equal(weights[f"generator.{name}"], value) for name, value in own.items())


@pytest.mark.usefixtures("lenient")
def test_pictures_protocol_and_progress(some_digits):
    unconditional, labelled = (measured(some_digits, genotype)[-1].artifacts for genotype in (PLAIN, LABELLED))
    tile = 8 * 4 + 2  # 8 pixels, enlarged by 4, and a border
    for artifacts, rows in ((unconditional, 8), (labelled, 10)):
        with Image.open(io.BytesIO(artifacts["samples.png"])) as picture:
            assert picture.size == (8 * tile, rows * tile)
        with Image.open(io.BytesIO(artifacts["training.gif"])) as picture:
            assert picture.n_frames == 3
            assert picture.size == (8 * 26, rows * 26)  # enlarged by 3
        protocol = json.loads(artifacts["protocol.json"])
        assert protocol["samples"] == len(some_digits.validation) == 160
        assert len(protocol["extractor_sha256"]) == 64


def test_animated_pictures_are_in_colour_and_not_too_long():
    frames = [
        draw_rows([torch.rand(3, 3, 9, 7, generator=torch.Generator().manual_seed(n))] * 2, 24) for n in range(70)
    ]
    kept = [frames[index] for index in evaluators.pictures._spread_indices(len(frames))]
    assert len(kept) == 30
    assert (kept[0], kept[-1]) == (frames[0], frames[-1])
    with Image.open(io.BytesIO(render_gif(kept))) as picture:
        assert picture.n_frames == 30
        assert picture.size == frames[0].size == (3 * (7 * 4 + 2), 2 * (9 * 4 + 2))
        picture.seek(29)
        assert picture.info["duration"] == 1500
        differences = np.abs(np.asarray(picture.convert("RGB"), dtype=float) - np.asarray(frames[-1], dtype=float))
        assert differences.mean() < 8  # of 256: a palette


@pytest.mark.usefixtures("lenient")
def test_costs_are_the_generators_alone(some_digits):
    metrics = measured(some_digits, epochs=1)[-1].metrics
    generator = TOLD.build(PLAIN, some_digits.shape).generator
    assert metrics["parameters"] == sum(p.numel() for p in generator.parameters())
    linear, up = 6 * 8 * 16, 8 * 1 * 16 * 16  # the transposed convolution touches 16 pixels for each of 16
    assert metrics["multiply_adds"] == linear + up


class Constant(TinyGanSpace):
    """Generators that ignore their noise."""

    def build(self, genotype, shape):
        model = super().build(genotype, shape)
        model.generator.network.linear.weight.data.zero_()
        model.generator.network.linear.weight.requires_grad_(False)
        return model


def run(evaluator, genotype=PLAIN):
    """What was measured, and why it then ended."""
    measurements = []

    def consume():
        for measurement in evaluator.evaluate(Trial(0, Proposal(genotype), 1)):
            measurements.append(measurement)

    with pytest.raises(Collapsed) as caught:
        consume()
    return measurements, str(caught.value)


def test_a_generator_that_ignores_its_noise_has_collapsed_and_is_shown(some_digits, monkeypatch):
    monkeypatch.setattr("evaluators.adversarial.snapshots._LEAST_UPDATES", 40)
    measurements, reason = run(GanTask.make_evaluator(Constant(), some_digits, epochs=9))
    assert "sample_deviation" in reason
    assert "25%" in reason
    assert "after 50 updates in 5 epochs; it may be too young to tell: 80 epochs are usual" in reason
    assert [m.epoch for m in measurements] == [1, 2, 3, 4, 5]  # two in a row after the first third
    assert {"samples.png", "training.gif"} <= set(measurements[-1].artifacts)
    assert "weights.safetensors" not in measurements[-1].artifacts


def test_a_generator_of_few_updates_is_not_refused_and_brings_its_weights(some_digits):
    """40 updates are too few to tell; the FID says well enough that it is no good yet."""
    *_, last = GanTask.make_evaluator(Constant(), some_digits, epochs=4).evaluate(Trial(0, Proposal(PLAIN), 1))
    assert last.epoch == 4
    assert "weights.safetensors" in last.artifacts


def test_a_training_in_full_goes_on_though_images_are_alike_and_says_so_at_its_end_however_often_it_is_continued(
    some_digits, monkeypatch
):
    """A search would have given up; the patience and the rule for images that are alike are tested for Snapshots."""
    monkeypatch.setattr("evaluators.adversarial.snapshots._LEAST_UPDATES", 30)
    monkeypatch.setattr("evaluators.adversarial.snapshots.find_deviation_collapse", lambda *found: "all alike")
    monkeypatch.setattr("evaluators.adversarial.snapshots.find_collapse", lambda *found: "all alike")
    trial = Trial(0, Proposal(PLAIN), 1)
    found = {}
    for method in ("evaluate", "train"):
        measurements = getattr(GanTask.make_evaluator(TOLD, some_digits, epochs=6), method)(trial)
        found[method] = [next(measurements) for _ in range(4 if method == "evaluate" else 6)]
        with pytest.raises(Collapsed, match=f"all alike, after {'40' if method == 'evaluate' else '60'} updates"):
            next(measurements)
    last = found["train"][-1].artifacts
    assert "weights.safetensors" not in last
    with pytest.raises(Collapsed, match="all alike, after 60 updates in 6 epochs"):
        list(GanTask.make_evaluator(TOLD, some_digits, epochs=6).train(trial, last[CHECKPOINT]))


def test_too_few_modes_are_a_collapse_at_the_end(some_digits, monkeypatch):
    def scores(*args):
        return score_samples(*args) | {"sample_deviation": 1.0, "modes": 1.0, "label_entropy": 0.1}

    monkeypatch.setattr(evaluators.gan.task, "score_samples", scores)
    monkeypatch.setattr("evaluators.adversarial.snapshots._LEAST_UPDATES", 30)
    measurements, reason = run(GanTask.make_evaluator(SPACE, some_digits, epochs=3))
    assert len(measurements) == 3
    assert "modes 1 is under 50% of the 10 classes" in reason


@pytest.mark.usefixtures("lenient")
def test_without_labels_nothing_is_said_of_modes(some_digits):
    source = digits.load_digits().pool.examples[:200]
    data = split_data("plain", UnsplitData(Split(source)), seed=0, train_size=None)
    evaluator = GanTask.make_evaluator(SPACE, data, epochs=1)
    assert not {"modes", "label_entropy"} & set(evaluator.objectives)
    assert set(measured(data, epochs=1, space=SPACE)[-1].metrics) == set(evaluator.metrics) - GanTask.on_demand


def test_what_is_told_is_what_is_made(some_digits):
    """After a short training a classifier of the data agrees with the label that was asked for."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = TinyGan(some_digits.shape, Condition("label", 10), width=16)
    rates = {"generator_learning_rate": 0.004, "discriminator_learning_rate": 0.004}
    training = GanTraining(model, USUAL | rates, 10, 1)
    for _ in range(10):
        training.epoch(some_digits.train, PeakMemory(torch.device("cpu")))
    asked = torch.arange(10).repeat(30)
    noise = torch.randn(300, 6, generator=torch.Generator().manual_seed(0))
    extractor = GanTask.make_evaluator(TOLD, some_digits, epochs=1).task._extractor
    found = extractor.logits(training.average.network(noise, asked).detach()).argmax(dim=1)
    assert (found == asked).float().mean().item() > 0.5  # by chance a tenth


def test_divergence_is_said(some_digits):
    class Exploding(TinyGanSpace):
        def hyperparameters(self, genotype):
            return {**super().hyperparameters(genotype), "generator_learning_rate": 1e30}

    with pytest.raises(Diverged):
        measured(some_digits, space=Exploding())


def test_memory_that_gives_out_is_said(some_digits, monkeypatch):
    def full(*args, **kwargs):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    monkeypatch.setattr(GanTraining, "epoch", full)
    with pytest.raises(OutOfMemory, match="allocate"):
        measured(some_digits)


def test_assumptions_leave_out_labels_and_width(some_digits):
    evaluator = GanTask.make_evaluator(TOLD, some_digits, epochs=1)
    needed = {assumption.site: assumption.values for assumption in evaluator.assumptions("fid")}
    assert needed["condition"] == ("none",)
    assert max(needed["generator_width"]) == max(needed["discriminator_width"]) == 64
    assert next(iter(evaluator.objectives)) == "fid"
    assert evaluator.delivers
    assert registry.load("evaluator", "gan") is GanTask


def test_without_a_word_of_epochs_there_are_enough_updates(some_digits):
    assert GanTask.usual_epochs(some_digits) == 80  # of ten updates
    for asked, epochs in ((None, 80), (3, 3)):
        config = RunConfig.checked({"evaluator": "gan", "epochs": asked, "device": "cpu"})
        parts = assemble(config, Given(space=SPACE, data=some_digits))
        assert (parts.epochs, parts.evaluator.epochs) == (epochs, epochs)
        assert isinstance(parts.evaluator.task, GanTask)


@pytest.mark.usefixtures("lenient")
def test_a_pair_that_grows_keeps_a_snapshot_of_the_whole(some_digits, monkeypatch):
    """The first two of four epochs are of smaller pairs: their better scores do not count."""
    falsified = iter([1.0, 2.0, 7.0, 9.0])
    monkeypatch.setattr(
        evaluators.gan.task, "score_samples", lambda *args: score_samples(*args) | {"fid": next(falsified)}
    )
    space = registry.load("space", "gan")().conditioned(None)
    wanted = {"generator": "cells", "generator_stages": 2, "generator_width": 16, "latent": 16, "spectral_norm": True}
    genotype = space.grow(
        lambda choice: wanted.get(choice.site, choice.values[0] if choice.usual is None else choice.usual)
    )
    found = measured(some_digits, genotype, epochs=4, space=space, grow=True)
    monkeypatch.undo()
    assert [(m.metrics["stage"], m.metrics["fid"], m.metrics["kept_epoch"]) for m in found] == [
        (1, 1, 1), (2, 2, 2), (3, 7, 3), (3, 7, 3),
    ]  # fmt: skip
    model = space.build(genotype, some_digits.shape).eval()
    model.load_state_dict(load(found[-1].artifacts["weights.safetensors"]))
    evaluator = GanTask.make_evaluator(space, some_digits, epochs=4)
    scores = evaluator.task.score(model, model.generator, space.hyperparameters(genotype), 1).metrics
    assert scores["kid"] == pytest.approx(found[-1].metrics["kid"], rel=1e-3)
