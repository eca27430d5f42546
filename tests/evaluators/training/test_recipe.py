"""What training shows a model, at which rate it learns, and what it is scored on."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load

from evaluators.autoencoder.bounds import as_autoencoder
from evaluators.autoencoder.families import training_loss
from evaluators.autoencoder.task import AutoencoderTask
from evaluators.metrics.cost import PeakMemory
from evaluators.training.augmentations import AUGMENTATIONS
from evaluators.training.optimisers import OPTIMISERS
from evaluators.training.schedules import SCHEDULES
from nas.core.trial import Proposal, Trial
from nas.data.dataset import Split, as_float
from search_spaces.autoencoder.space import AutoencoderSpace
from tests.parts.autoencoders import autoencoder_training

SPACE = AutoencoderSpace().conditioned(None)


def genotype_with(**decisions):
    small = {"network": "fully_connected", "hidden_width": 64, "latent": 8, "batch_size": 16, "optimiser": "adam"}
    wanted = small | decisions
    return SPACE.grow(lambda choice: wanted.get(choice.site, choice.usual))


def shown_in_training(genotype, data, epochs=1):
    model, shown = SPACE.build(genotype, data.shape), []
    model.encoder.register_forward_hook(lambda module, inputs, output: shown.append(inputs[0]))
    training = autoencoder_training(model, SPACE.hyperparameters(genotype), epochs, seed=0)
    for _ in range(epochs):
        training.epoch(data.train, PeakMemory(torch.device("cpu")))
    return shown


def test_the_score_is_that_of_the_validation_part(tiny):
    genotype = genotype_with()
    data = replace(tiny, validation=Split(tiny.validation.examples // 2), test=Split(tiny.test.examples // 4))
    *_, last = AutoencoderTask.make_evaluator(SPACE, data, epochs=2).evaluate(Trial(0, Proposal(genotype), 1))
    model = SPACE.build(genotype, data.shape).eval()
    model.load_state_dict(load(last.artifacts["weights.safetensors"]))
    images = as_float(data.validation.examples)
    with torch.no_grad():
        assert last.metrics["mse"] == pytest.approx((model(images) - images).square().mean().item(), rel=1e-4)


class Echo(torch.nn.Module):
    """An autoencoder that gives back what it sees."""

    variational = False
    output = decoder = torch.nn.Identity()

    def encode(self, images):
        return images


def test_denoising_compares_what_is_made_of_noisy_images_with_the_clean_ones():
    images, generator = torch.full((50, 1, 20, 20), 0.5), torch.Generator().manual_seed(0)
    assert training_loss(as_autoencoder(Echo()), images, {"loss": "mse"}, 0.0, generator).item() == 0
    loss = training_loss(as_autoencoder(Echo()), images, {"loss": "mse", "noise_variance": 0.1}, 0.0, generator)
    assert loss.item() == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize("family", ["plain", "denoising"])
def test_denoising_models_alone_are_shown_noise(tiny, family):
    shown = shown_in_training(genotype_with(family=family, noise_variance=0.3), tiny)
    noisy = {bool((images < 0).any() and (images > 1).any()) for images in shown}
    assert noisy == {family == "denoising"}


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
def test_the_learning_rate_follows_its_schedule_step_by_step(tiny, monkeypatch, schedule):
    rates = []

    class Recorded(torch.optim.SGD):
        def step(self, closure=None):
            rates.append([group["lr"] for group in self.param_groups])
            return super().step(closure)

    monkeypatch.setitem(OPTIMISERS, "adam", Recorded)
    shown_in_training(genotype_with(schedule=schedule, learning_rate=0.008), tiny, epochs=3)
    steps = 3 * (len(tiny.train) // 16)
    assert rates == [[pytest.approx(0.008 * SCHEDULES[schedule](step / steps))] for step in range(steps)]


@pytest.mark.parametrize(
    ("augmentation", "expected"),
    [
        ("none", {"kept"}),
        ("flip", {"kept", "mirrored"}),
        ("shift", {"kept", "moved"}),
        ("shift_half", {"kept", "moved"}),
        ("flip_shift_half", {"kept", "mirrored", "moved"}),
    ],
)
def test_the_model_is_shown_augmented_images(tiny, augmentation, expected):
    images = as_float(tiny.train.examples)
    kept, mirrored = images.tolist(), images.flip(3).tolist()
    shown = torch.cat(shown_in_training(genotype_with(augmentation=augmentation), tiny)).tolist()
    found = {"kept" if image in kept else "mirrored" if image in mirrored else "moved" for image in shown}
    assert found == expected


def test_of_halves_about_every_second_image_is_moved():
    images = torch.rand(400, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    shown = AUGMENTATIONS["shift_half"](images, torch.Generator().manual_seed(1))
    # of those that are moved one in 25 is moved by nothing
    assert (shown == images).all((1, 2, 3)).float().mean() == pytest.approx(0.52, abs=0.06)
