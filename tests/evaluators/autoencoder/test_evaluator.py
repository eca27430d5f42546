import math

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load

from evaluators.autoencoder.bounds import as_autoencoder, fit_decoder_variance
from evaluators.autoencoder.corruption import add_noise
from evaluators.autoencoder.families import training_loss
from evaluators.autoencoder.scores import score_reconstructions
from evaluators.autoencoder.task import AutoencoderTask
from evaluators.metrics.cost import PeakMemory
from evaluators.pictures import render_rows
from evaluators.training.augmentations import AUGMENTATIONS
from evaluators.training.optimisers import OPTIMISERS
from evaluators.training.schedules import SCHEDULES
from evaluators.training.single_network import SingleNetworkTraining
from nas.core.errors import Diverged, OutOfMemory
from nas.core.job import TrainFinalist
from nas.core.space import sample
from nas.core.trial import Proposal, Trial
from nas.data.dataset import as_float
from nas.data.sources import digits
from nas.data.splitting import split_data
from nas.testing import EvaluatorContract
from search_spaces.autoencoder.space import LIKELIHOODS, AutoencoderSpace
from tests.conftest import tiny_data
from tests.parts.autoencoders import Bare, autoencoder_training

SPACE = (
    AutoencoderSpace()
    .conditioned(None)
    .restrict(
        {
            "latent": (8,),
            "width": (8,),
            "hidden_width": (64,),
            "decoder_width": (8,),
            "batch_size": (16,),
            "stages": (1, 2),
        }
    )
)


def drawn(seed=0, **pins):
    space = SPACE.restrict({site: (value,) for site, value in pins.items()}) if pins else SPACE
    return sample(space, np.random.default_rng(seed))


class TestAutoencoderEvaluator(EvaluatorContract):
    def make(self, epochs):
        return AutoencoderTask.make_evaluator(SPACE, tiny_data(), epochs=epochs)

    def genotypes(self):
        return [drawn(1, family=family, network=network)
                for family in ("plain", "denoising", "variational")
                for network in ("convolutional", "fully_connected")]  # fmt: skip


def evaluated(genotype, data, epochs=2, seed=1):
    *_, last = AutoencoderTask.make_evaluator(SPACE, data, epochs=epochs).evaluate(Trial(0, Proposal(genotype), seed))
    return last


def test_training_improves(tiny):
    good = {"family": "plain", "loss": "bce", "normalisation": "batch", "optimiser": "adam", "learning_rate": 0.004}
    genotype = drawn(0, network="fully_connected", schedule="one_cycle", **good)
    assert evaluated(genotype, tiny, 30).metrics["mse"] < 0.5 * evaluated(genotype, tiny, 1).metrics["mse"]


def test_families_bring_their_metrics(tiny):
    assert "elbo" not in evaluated(drawn(family="plain"), tiny).metrics
    assert "denoising_mse" in evaluated(drawn(family="denoising"), tiny).metrics
    for likelihood in LIKELIHOODS:
        metrics = evaluated(drawn(family="variational", likelihood=likelihood), tiny).metrics
        assert metrics["elbo"] == pytest.approx(metrics["log_likelihood"] - metrics["kl"], rel=1e-5)
        assert metrics["kl"] >= 0
        assert metrics["iwae_bound"] > metrics["elbo"]


def test_the_last_measurement_brings_weights_that_score_the_same(tiny):
    genotype = drawn(3, network="convolutional", family="plain")
    evaluator = AutoencoderTask.make_evaluator(SPACE, tiny, epochs=2)
    *_, last = evaluator.evaluate(Trial(0, Proposal(genotype), 1))
    model = SPACE.build(genotype, tiny.shape)
    model.load_state_dict(load(last.artifacts["weights.safetensors"]))
    again = score_reconstructions(
        as_autoencoder(model.eval()), evaluator.task._validation, SPACE.hyperparameters(genotype), 1
    ).metrics
    assert again["mse"] == pytest.approx(last.metrics["mse"], rel=1e-4)
    assert set(evaluator.test(genotype, model, 1)) == {"mse", "psnr", "ssim"}


def test_divergence_is_said(tiny):
    class Exploding(AutoencoderSpace):
        def hyperparameters(self, genotype):
            return {**super().hyperparameters(genotype), "learning_rate": 1e30, "optimiser": "rmsprop"}

    genotype = drawn(0, family="plain", network="fully_connected", normalisation="none", loss="mse", output="linear")
    with pytest.raises(Diverged, match="epoch"):
        list(AutoencoderTask.make_evaluator(Exploding(), tiny, epochs=5).evaluate(Trial(0, Proposal(genotype), 1)))


def test_memory_that_gives_out_is_said(tiny, monkeypatch):
    def full(*args, **kwargs):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    monkeypatch.setattr(SingleNetworkTraining, "epoch", full)
    with pytest.raises(OutOfMemory, match="allocate"):
        list(AutoencoderTask.make_evaluator(SPACE, tiny, epochs=1).evaluate(Trial(0, Proposal(drawn()), 1)))


class Half(Bare):
    """A variational model of two pixels with a known posterior."""

    output = torch.nn.Sigmoid()

    def posterior(self, images):
        return torch.full((len(images), 3), 2.0), torch.zeros(len(images), 3)

    def decoder(self, code):
        return torch.zeros(len(code), 1, 1, 2)


def test_the_variational_loss_is_summed_over_pixels_and_latents_and_averaged_over_the_batch():
    hyperparameters = {"likelihood": "bernoulli", "beta": 4.0, "kl_warm_up": 0.2}
    generator = torch.Generator().manual_seed(0)
    for batch in (1, 5):
        images = torch.ones(batch, 1, 1, 2)
        loss = training_loss(as_autoencoder(Half()), images, hyperparameters, 1.0, generator)
        assert loss.item() == pytest.approx(2 * math.log(2) + 4 * 0.5 * 3 * 4)
        warming = training_loss(as_autoencoder(Half()), images, hyperparameters, 0.1, generator)
        assert warming.item() == pytest.approx(2 * math.log(2) + 2 * 0.5 * 3 * 4)


def test_a_variational_autoencoder_with_gaussian_pixels_learns_digits_and_its_codes_do_not_collapse():
    data = split_data("digits", digits.load_digits(), seed=0, train_size=None)
    pins = {"network": "fully_connected", "normalisation": "batch", "optimiser": "adam", "learning_rate": 0.002}
    pins |= {"output": "sigmoid", "capacity": "off", "free_bits": "off", "beta": 1.0, "kl_warm_up": 0.1}
    genotype = drawn(0, family="variational", likelihood="gaussian", **pins)
    metrics = evaluated(genotype, data, 15).metrics
    images = as_float(data.validation.examples)
    assert metrics["mse"] < 0.5 * float(images.var(0, correction=0).mean())
    assert metrics["kl"] > 4
    assert metrics["elbo"] > -32 * math.log(2 * math.pi * math.e * float(images.var()))  # of one normal pixel for all


def test_the_variance_of_a_score_is_that_of_the_training_part(tiny):
    genotype = drawn(family="variational", likelihood="gaussian")
    task = AutoencoderTask(SPACE, tiny)
    model, chosen = SPACE.build(genotype, tiny.shape).eval(), SPACE.hyperparameters(genotype)
    variance = fit_decoder_variance(
        as_autoencoder(model), as_float(tiny.train.examples), torch.Generator().manual_seed(3)
    )
    for part in ("validation", "test"):
        images = as_float(getattr(tiny, part).examples)
        wanted = score_reconstructions(
            as_autoencoder(model.eval()), images, chosen, 3, decoder_variance=variance
        ).metrics
        assert task.score(model, model, chosen, 3, part=part).metrics == wanted


def test_noise_has_the_variance_that_is_asked_for():
    noisy = add_noise(torch.zeros(50, 1, 20, 20), 0.1, torch.Generator().manual_seed(0))
    assert noisy.var().item() == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_stay_between_nothing_and_the_learning_rate(name):
    factors = [SCHEDULES[name](step / 100) for step in range(100)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert max(factors) == pytest.approx(1)
    assert name == "constant" or factors[-1] <= 0.0201


def test_every_optimiser_and_schedule_of_the_space_exists():
    choices = AutoencoderSpace().conditioned(None).choices()
    assert set(choices["optimiser"].values) == set(OPTIMISERS)
    assert set(choices["schedule"].values) <= set(SCHEDULES)
    assert set(choices["augmentation"].values) == set(AUGMENTATIONS)


@pytest.mark.parametrize("shape", [(40, 1, 8, 8), (40, 3, 20, 5)])
def test_augmented_images_are_mirrored_or_moved_whole(shape):
    images = torch.rand(shape)
    generator = torch.Generator().manual_seed(0)
    assert torch.equal(AUGMENTATIONS["none"](images, generator), images)
    flipped = AUGMENTATIONS["flip"](images, generator)
    kept = [torch.equal(a, b) for a, b in zip(flipped, images, strict=True)]
    mirrored = [torch.equal(a, b.flip(2)) for a, b in zip(flipped, images, strict=True)]
    assert all(one != other for one, other in zip(kept, mirrored, strict=True))
    assert 8 < sum(kept) < 32
    most = max(1, min(shape[2:]) // 8)
    padded = torch.nn.functional.pad(images, (most,) * 4, mode="replicate")
    moves = set()
    for padded_image, shifted in zip(padded, AUGMENTATIONS["shift"](images, generator), strict=True):
        found = [
            (down, right)
            for down in range(2 * most + 1)
            for right in range(2 * most + 1)
            if torch.equal(padded_image[:, down : down + shape[2], right : right + shape[3]], shifted)
        ]
        assert len(found) == 1
        moves.update(found)
    assert len(moves) > most


def test_an_epoch_shows_every_image_but_the_rest_of_the_last_batch(tiny):
    genotype = drawn(0, family="plain", network="fully_connected")
    model = SPACE.build(genotype, tiny.shape)
    seen = []
    model.encoder.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    training = autoencoder_training(model, SPACE.hyperparameters(genotype), 1, 0)
    training.epoch(tiny.train, PeakMemory(torch.device("cpu")))
    assert seen == [16] * (len(tiny.train) // 16)


def test_assumptions_pin_the_latent_below_the_size_of_the_image(tiny):
    evaluator = AutoencoderTask.make_evaluator(SPACE, tiny, epochs=1)
    needed = {assumption.site: assumption.values for assumption in evaluator.assumptions("mse")}
    assert needed["latent"] == (16,)
    large = AutoencoderTask.make_evaluator(SPACE, tiny_data(side=28, count=20), epochs=1)
    assert {a.site: a.values for a in large.assumptions("mse")}["latent"] == (32,)


def test_pictures_are_png_of_the_rows(tmp_path):
    (tmp_path / "p.png").write_bytes(render_rows([torch.rand(5, 3, 8, 8)] * 2))
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.size == (5 * 34, 2 * 34)
        assert picture.mode == "RGB"


def test_finalists_say_how_much_worse_they_are_on_what_they_were_not_trained_on():
    data = tiny_data()
    evaluator = AutoencoderTask.make_evaluator(SPACE, data, epochs=1)
    genotype = drawn(1, family="plain", network="convolutional", augmentation="none", optimiser="adam")
    job = TrainFinalist(0, 0, 0, 0, 3, 3, objective="psnr")
    first, *_, last = evaluator.evaluate(Trial(0, Proposal(genotype, job=job), 7))
    assert "overfitting" not in first.metrics  # it is measured once
    model = SPACE.build(genotype, data.shape)
    model.load_state_dict(load(last.artifacts["weights.safetensors"]))
    assert last.metrics["kept_epoch"] == 3

    def measure(part):
        images = as_float(part.examples)
        return score_reconstructions(as_autoencoder(model.eval()), images, {}, 0).metrics["psnr"]

    kept, seen = measure(data.validation), measure(data.train.take(slice(len(data.validation))))
    assert last.metrics["overfitting"] == pytest.approx((seen - kept) / seen, abs=1e-4)
    assert evaluator.metrics["overfitting"].caveat
