import math
from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evaluators.adversarial.diff_augment import POLICIES, diff_augment
from evaluators.adversarial.losses import (
    ADVERSARIAL_LOSSES,
    HARD_TARGETS,
    clip_weights,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    smooth_targets,
    zero_centred_penalty,
)
from search_spaces.adversarialnas.space import AdversarialNasSpace
from search_spaces.autogan.space import AutoganSpace
from search_spaces.cyclegan.space import CycleGanSpace
from search_spaces.gan.space import GanSpace
from search_spaces.gan.training import LOSSES, LossTraits

LOGITS = arrays(np.float64, st.integers(1, 5), elements=st.floats(-8, 8))
PAIRS = arrays(np.float64, st.tuples(st.just(2), st.integers(1, 5)), elements=st.floats(-8, 8))
CLASSIFYING = ("minimax", "non_saturating", "maximum_likelihood")
SINGLE = [name for name, loss in ADVERSARIAL_LOSSES.items() if not loss.relativistic]


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_spaces_and_evaluators_say_the_same_of_a_loss(name):
    for trait in fields(LossTraits):
        assert getattr(LOSSES[name], trait.name) == getattr(ADVERSARIAL_LOSSES[name], trait.name), trait.name


@pytest.mark.parametrize("space", [GanSpace, CycleGanSpace, AutoganSpace, AdversarialNasSpace])
def test_every_loss_that_a_space_offers_can_be_trained(space):
    assert set(LOSSES) == set(ADVERSARIAL_LOSSES)
    assert set(space().choices()["loss"].values) <= set(LOSSES)


def judged(kind, real, fake, targets=HARD_TARGETS):
    """What a discriminator minimises given logits."""
    return ADVERSARIAL_LOSSES[kind].discriminator(real, fake, targets)


def fooled(kind, fake, real=None):
    """What a generator minimises given logits."""
    return ADVERSARIAL_LOSSES[kind].generator(fake, real)


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def tensors(*values):
    return [torch.from_numpy(np.asarray(value, dtype=np.float64)) for value in values]


@given(LOGITS, LOGITS)
def test_discriminator_losses_are_their_closed_forms(real, fake):
    classified = -np.log(sigmoid(real)).mean() - np.log(1 - sigmoid(fake)).mean()
    expected = dict.fromkeys(CLASSIFYING, classified) | {
        "least_squares": 0.5 * ((real - 1) ** 2).mean() + 0.5 * (fake**2).mean(),
        "hinge": np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean(),
        "wasserstein_clipping": fake.mean() - real.mean(),
        "wasserstein_gradient_penalty": fake.mean() - real.mean(),
    }
    assert set(expected) == set(SINGLE)
    for kind, value in expected.items():
        assert judged(kind, *tensors(real, fake)).item() == pytest.approx(value, rel=1e-9, abs=1e-9), kind


@given(LOGITS)
def test_generator_losses_are_their_closed_forms(fake):
    real = sigmoid(fake)  # what D takes for real
    expected = {
        "minimax": np.log(1 - real).mean(),
        "non_saturating": -np.log(real).mean(),
        "maximum_likelihood": -(real / (1 - real)).mean(),  # exp(sigmoid^-1(D)) is the odds
        "least_squares": 0.5 * ((fake - 1) ** 2).mean(),
        "hinge": -fake.mean(),
        "wasserstein_clipping": -fake.mean(),
        "wasserstein_gradient_penalty": -fake.mean(),
    }
    assert set(expected) == set(SINGLE)
    for kind, value in expected.items():
        assert fooled(kind, *tensors(fake)).item() == pytest.approx(value, rel=1e-9, abs=1e-9), kind


@given(PAIRS)
def test_the_relativistic_losses_are_those_of_the_paper(logits):
    """-E[log sigmoid(C(x_r) - C(x_f))] and the same with both exchanged (Jolicoeur-Martineau 2018, section 4.1)."""
    real, fake = logits
    value = judged("relativistic", *tensors(real, fake)).item()
    assert value == pytest.approx(-np.log(sigmoid(real - fake)).mean(), rel=1e-9, abs=1e-9)
    value = fooled("relativistic", *tensors(fake, real)).item()
    assert value == pytest.approx(-np.log(sigmoid(fake - real)).mean(), rel=1e-9, abs=1e-9)


def test_the_relativistic_losses_compare_pair_by_pair():
    """By hand: the differences are 0 and log 3, whose sigmoids are 1/2 and 3/4; turned round, 1/2 and 1/4."""
    real, fake = torch.tensor([1.0, math.log(3) - 1]), torch.tensor([1.0, -1.0])
    assert judged("relativistic", real, fake).item() == pytest.approx((math.log(2) + math.log(4 / 3)) / 2)
    assert fooled("relativistic", fake, real).item() == pytest.approx((math.log(2) + math.log(4)) / 2)
    assert judged("relativistic", real + 5, fake + 5).item() == pytest.approx(judged("relativistic", real, fake).item())
    other_way = judged("relativistic", real, fake.flip(0)).item()
    assert other_way != pytest.approx(judged("relativistic", real, fake).item())


@given(LOGITS, LOGITS, st.sampled_from((0.05, 0.1, 0.2)))
def test_smoothed_labels_are_the_targets_of_a_cross_entropy(real, fake, amount):
    def entropy(logits, target):
        return -(target * np.log(sigmoid(logits)) + (1 - target) * np.log(1 - sigmoid(logits))).mean()

    for smoothing, fakes in (("one_sided", 0.0), ("two_sided", amount)):
        targets = smooth_targets(smoothing, amount)
        for kind in CLASSIFYING:
            loss = judged(kind, *tensors(real, fake), targets).item()
            assert loss == pytest.approx(entropy(real, 1 - amount) + entropy(fake, fakes), rel=1e-9)
        squares = judged("least_squares", *tensors(real, fake), targets).item()
        assert squares == pytest.approx(
            0.5 * ((real - 1 + amount) ** 2).mean() + 0.5 * ((fake - fakes) ** 2).mean(), rel=1e-9, abs=1e-12
        )
    assert smooth_targets("none", amount) == (1.0, 0.0)


@pytest.mark.parametrize("kind", CLASSIFYING)
def test_smoothing_moves_the_best_answer_to_the_smoothed_label(kind):
    """Without fakes nearby, the best D is 1 - amount (Salimans et al. 2016, section 3.4)."""
    logit = torch.tensor([math.log(0.9 / 0.1)], dtype=torch.float64, requires_grad=True)
    far = torch.full((1,), -50.0, dtype=torch.float64)
    judged(kind, logit, far, smooth_targets("one_sided", 0.1)).backward()
    assert logit.grad.item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("kind", ["hinge", "wasserstein_clipping", "relativistic"])
def test_losses_without_targets_do_not_depend_on_labels(kind):
    assert not ADVERSARIAL_LOSSES[kind].targets
    real, fake = torch.tensor([0.3, -2.0]), torch.tensor([0.1, 0.7])
    assert judged(kind, real, fake, (0.8, 0.2)) == judged(kind, real, fake)


@pytest.mark.parametrize("kind", sorted(ADVERSARIAL_LOSSES))
def test_generators_want_larger_logits_and_discriminators_smaller_ones(kind):
    fake = torch.full((3,), 0.5, requires_grad=True)
    fooled(kind, fake, torch.zeros(3)).backward()
    assert (fake.grad < 0).all()
    fake.grad = None
    judged(kind, torch.zeros(3), fake).backward()
    assert (fake.grad > 0).all()


def test_minimax_saturates_where_the_others_do_not():
    """Where D is sure, the gradient of log(1 - D) vanishes and that of -log D is -1 (Goodfellow et al. 2014)."""
    for kind, slope in (("minimax", 0.0), ("non_saturating", -1.0), ("maximum_likelihood", 0.0)):
        sure = torch.full((1,), -20.0, requires_grad=True)
        fooled(kind, sure).backward()
        assert sure.grad.item() == pytest.approx(slope, abs=1e-6)


def linear(weights):
    return lambda images: images.flatten(1) @ weights


def test_the_gradient_penalty_of_a_linear_discriminator_is_that_of_its_norm():
    weights = torch.tensor([3.0, 0.0, 0.0, 4.0], requires_grad=True)
    real, fake = torch.rand(6, 1, 2, 2), torch.rand(6, 1, 2, 2)
    penalty = gradient_penalty(linear(weights), real, fake, 10.0, torch.Generator().manual_seed(0))
    assert penalty.item() == pytest.approx(10 * (5 - 1) ** 2)
    penalty.backward()
    # d 10 (|w| - 1)^2 / dw = 20 (|w| - 1) w / |w|
    torch.testing.assert_close(weights.grad, 20 * 4 * weights.detach() / 5)


def test_the_gradient_penalty_looks_at_points_between_the_pairs():
    seen = []

    def quadratic(images):
        seen.append(images.detach())
        return (images**2).flatten(1).sum(dim=1) / 2  # its gradient is the image itself

    real, fake = torch.ones(50, 1, 1, 1), torch.zeros(50, 1, 1, 1)
    penalty = gradient_penalty(quadratic, real, fake, 2.0, torch.Generator().manual_seed(0))
    share = seen[0].flatten()
    assert share.min() >= 0
    assert share.max() <= 1
    assert share.std() > 0.2  # one draw for each pair
    assert penalty.item() == pytest.approx(2 * ((share - 1) ** 2).mean().item(), rel=1e-5)


def test_a_constant_discriminator_is_penalised_without_nan():
    bias = torch.zeros(1, requires_grad=True)
    penalty = gradient_penalty(
        lambda images: images.flatten(1).sum(dim=1) * bias, torch.ones(2, 1, 2, 2), torch.zeros(2, 1, 2, 2), 10.0,
        torch.Generator().manual_seed(0),
    )  # fmt: skip
    penalty.backward()
    assert penalty.item() == pytest.approx(10)
    assert torch.isfinite(bias.grad).all()


def test_the_zero_centred_penalty_is_half_gamma_times_the_squared_gradient():
    weights = torch.tensor([3.0, 0.0, 0.0, 4.0], requires_grad=True)
    images = torch.rand(5, 1, 2, 2, requires_grad=True)
    penalty = zero_centred_penalty(linear(weights)(images), images, 0.1)
    assert penalty.item() == pytest.approx(0.1 / 2 * 25)
    penalty.backward()
    torch.testing.assert_close(weights.grad, 0.1 * weights.detach())


def test_r1_and_r2_are_added_on_real_and_on_generated_images():
    """Of D(x) = |x|^2 a / 2, whose gradient is a x: gamma / 2 a^2 E|x|^2 each, and dR / da = gamma a E|x|^2."""
    real, fake = torch.full((3, 1, 2, 2), 2.0), torch.full((3, 1, 2, 2), 0.5, requires_grad=True)
    slope = torch.tensor(0.7, requires_grad=True)
    loss, random = ADVERSARIAL_LOSSES["relativistic"], torch.Generator()

    def judge(images):
        return slope * images.flatten(1).square().sum(1) / 2

    def derivative(gammas):
        value = discriminator_loss(loss, judge, real, fake, {}, random, gammas=gammas)
        (slopes,) = torch.autograd.grad(value, slope)
        return value.item(), slopes.item()

    bare, bare_slope = derivative((0.0, 0.0))
    for gammas in ((0.1, 0.0), (0.0, 3.0), (0.1, 3.0)):
        squares = gammas[0] * 16 + gammas[1] * 1  # |x|^2 of four pixels each
        value, slopes = derivative(gammas)
        assert value - bare == pytest.approx(squares * 0.7**2 / 2, rel=1e-5)
        assert slopes - bare_slope == pytest.approx(squares * 0.7, rel=1e-5)
    discriminator_loss(loss, judge, real, fake, {}, random, gammas=(0.1, 3.0)).backward()
    assert fake.grad is None  # the discriminator's loss is no matter of the generator
    assert not real.requires_grad


def test_penalties_of_patches_are_those_of_their_mean():
    weights = torch.tensor([[3.0, 1.0], [0.0, 0.0], [0.0, 0.0], [4.0, 3.0]])
    images = torch.rand(5, 1, 2, 2, requires_grad=True)
    penalty = zero_centred_penalty(images.flatten(1) @ weights, images, 2.0)
    assert penalty.item() == pytest.approx(2**2 + 3.5**2)


def test_a_discriminator_that_does_not_look_at_its_images_has_no_zero_centred_penalty():
    bias = torch.zeros(1, requires_grad=True)
    value = discriminator_loss(
        ADVERSARIAL_LOSSES["relativistic"], lambda images: bias.expand(len(images)), torch.rand(2, 1, 2, 2),
        torch.rand(2, 1, 2, 2), {}, torch.Generator(), gammas=(1.0, 1.0),
    )  # fmt: skip
    assert value.item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("kind", sorted(ADVERSARIAL_LOSSES))
def test_a_generators_step_judges_real_images_only_where_it_compares(kind):
    weights = torch.tensor([1.0, -2.0, 0.5, 0.0])
    real, fake = torch.rand(3, 1, 2, 2, requires_grad=True), torch.rand(3, 1, 2, 2, requires_grad=True)
    seen = []

    def judge(images):
        seen.append(images)
        return linear(weights)(images)

    loss = ADVERSARIAL_LOSSES[kind]
    value = generator_loss(loss, judge, real, fake)
    assert [images is fake for images in seen] == ([True, False] if loss.relativistic else [True])
    value.backward()
    assert fake.grad.abs().sum() > 0
    assert real.grad is None
    if loss.relativistic:
        torch.testing.assert_close(value, fooled(kind, linear(weights)(fake), linear(weights)(real)))


def test_clipping_bounds_every_weight_and_leaves_the_small_ones():
    network = torch.nn.Linear(4, 4)
    torch.nn.init.uniform_(network.weight, -1, 1)
    before = network.weight.detach().clone()
    clip_weights(network.parameters(), 0.1)
    torch.testing.assert_close(network.weight.detach(), before.clamp(-0.1, 0.1))


def augmented(images, policy, seed=0):
    return diff_augment(images, policy, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("policy", sorted(POLICIES))
@pytest.mark.parametrize("shape", [(7, 1, 8, 8), (7, 3, 9, 12)])
def test_augmentation_keeps_the_shape_and_passes_gradients_and_obeys_its_generator(policy, shape):
    images = torch.rand(shape, requires_grad=True)
    changed = augmented(images, policy)
    assert changed.shape == images.shape
    assert torch.equal(changed, augmented(images, policy))
    changed.sum().backward()
    assert torch.isfinite(images.grad).all()
    assert images.grad.abs().sum() > 0
    assert torch.equal(changed, images) == (policy == "none")


def test_brightness_saturation_and_contrast_are_the_papers_on_images_from_minus_one_to_one():
    """The paper's formulas on 2x - 1 with the same draws, back in [0, 1]."""
    images = torch.rand(6, 3, 4, 4, dtype=torch.float32)
    generator = torch.Generator().manual_seed(3)
    bright, saturated, contrast = (torch.rand((6, 1, 1, 1), generator=generator) for _ in range(3))
    x = 2 * images - 1
    x = x + (bright - 0.5)
    mean = x.mean(dim=1, keepdim=True)
    x = (x - mean) * (saturated * 2) + mean
    mean = x.mean(dim=[1, 2, 3], keepdim=True)
    x = (x - mean) * (contrast + 0.5) + mean
    torch.testing.assert_close(augmented(images, "colour", 3), (x + 1) / 2)


def test_translation_moves_images_whole_and_brings_in_grey():
    images = torch.rand(60, 2, 16, 16)
    padded = torch.nn.functional.pad(images, (2,) * 4, value=0.5)
    moves = set()
    for index, moved in enumerate(augmented(images, "translation")):
        found = [
            (down, right)
            for down in range(5)
            for right in range(5)
            if torch.allclose(padded[index, :, down : down + 16, right : right + 16], moved, atol=1e-6)
        ]
        assert len(found) == 1
        moves.update(found)
    assert len(moves) > 15  # of 25: an eighth of 16 either way


@pytest.mark.parametrize("side", [8, 28])
def test_cutout_greys_out_a_square_of_half_the_side(side):
    changed = augmented(torch.zeros(200, 1, side, side), "cutout")
    for image in changed[:, 0]:
        hole = image == 0.5
        height, width = hole.any(dim=1).sum().item(), hole.any(dim=0).sum().item()
        assert hole.sum().item() == height * width
        assert side // 4 <= height <= side // 2
        assert side // 4 <= width <= side // 2
    sizes = (changed == 0.5).sum(dim=(1, 2, 3))
    assert sizes.max() == (side // 2) ** 2
    assert len(sizes.unique()) > 3


def test_draws_are_made_for_each_image():
    same = torch.rand(1, 1, 16, 16).repeat(8, 1, 1, 1)
    for policy in ("colour", "translation", "cutout"):
        changed = augmented(same, policy)
        assert len({image.numpy().tobytes() for image in changed}) > 4
    assert math.isclose(augmented(same * 0 + 0.5, "translation").std().item(), 0, abs_tol=1e-7)
