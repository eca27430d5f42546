"""The losses in closed form, the buffer's rule, and a training that goes on to the same numbers."""

import json

import pytest
import torch
from safetensors.torch import load, save

from evaluators.adversarial.losses import ADVERSARIAL_LOSSES
from evaluators.cyclegan.image_buffer import ImageBuffer
from evaluators.cyclegan.losses import distance, fooling_loss
from evaluators.cyclegan.training import CycleGanTraining
from evaluators.metrics.cost import PeakMemory
from nas.core.errors import Diverged
from nas.testing.spaces import disturb_global_generators
from tests.parts.cyclegan import USUAL, TinyCycleGan, random_parts
from tests.parts.training import (
    check_that_global_generators_are_left_alone_and_do_not_matter,
    check_that_other_hyperparameters_go_on_from_a_state,
    numbers,
    same,
)

CPU = torch.device("cpu")
MEMORY = PeakMemory(CPU)


def training(epochs=2, seed=1, layout=torch.contiguous_format, **changed):
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = TinyCycleGan((1, 8, 8)).to(memory_format=layout)
    return CycleGanTraining(model, USUAL | changed, epochs, seed)


# -- losses


def test_the_translators_least_squares_are_the_papers_and_not_half_of_them():
    logits, real = torch.tensor([[0.0, 1.0], [3.0, -1.0]]), torch.ones(2, 2)

    def value(loss):
        return fooling_loss(ADVERSARIAL_LOSSES[loss], lambda judged: judged, real, logits).item()

    assert value("least_squares") == pytest.approx((1 + 0 + 4 + 4) / 4)
    assert value("hinge") == pytest.approx(-3 / 4)
    assert value("non_saturating") == pytest.approx(torch.log1p(torch.exp(-logits)).mean().item())
    assert value("wasserstein_gradient_penalty") == pytest.approx(-3 / 4)
    assert value("relativistic") == pytest.approx(torch.log1p(torch.exp(1 - logits)).mean().item())


def test_distances_are_those_of_pixels_between_minus_one_and_one():
    found, wanted = torch.rand(3, 2, 4, 5), torch.rand(3, 2, 4, 5)
    expected = ((2 * found - 1) - (2 * wanted - 1)).abs().mean().item()
    assert distance(found, wanted).item() == pytest.approx(expected, rel=1e-6)


class Affine(torch.nn.Module):
    """Images times a number plus a number."""

    def __init__(self, scale, shift):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(scale))
        self.shift = torch.nn.Parameter(torch.tensor(shift))

    def forward(self, images):
        return self.scale * images + self.shift


class Mean(Affine):
    """One patch: the mean pixel times a number plus a number."""

    def forward(self, images):
        return (self.scale * images + self.shift).mean((1, 2, 3))[:, None]


class Toy(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a_to_b, self.b_to_a = Affine(0.5, 0.25), Affine(1.5, -0.25)
        self.discriminator_a, self.discriminator_b = Mean(2.0, 0.0), Mean(-1.0, 1.0)


@pytest.mark.parametrize("identity", [0.0, 0.5])
def test_the_whole_objective_in_numbers(identity):
    """Equation 3 and section 5.2, of constant images a = 0.5 and b = 1, by hand."""
    toy = CycleGanTraining(Toy(), USUAL | {"identity_weight": identity, "buffer": 0, "linear_decay": False}, 1, 0)
    a, b = torch.full((2, 1, 4, 4), 0.5), torch.full((2, 1, 4, 4), 1.0)
    loss, judged = toy._step(a, b)
    fake_b, fake_a = 0.5 * 0.5 + 0.25, 1.5 * 1 - 0.25  # 0.5 and 1.25
    fooling = ((-fake_b + 1) - 1) ** 2 + (2 * fake_a - 1) ** 2
    cycle = 2 * abs(1.5 * fake_b - 0.25 - 0.5) + 2 * abs(0.5 * fake_a + 0.25 - 1)
    unchanged = 2 * abs(0.5 * 1 + 0.25 - 1) + 2 * abs(1.5 * 0.5 - 0.25 - 0.5)
    assert loss.item() == pytest.approx(fooling + 10 * cycle + 10 * identity * unchanged, rel=1e-5)
    of_a = 0.5 * (2 * 0.5 - 1) ** 2 + 0.5 * (2 * fake_a) ** 2
    of_b = 0.5 * ((-1 + 1) - 1) ** 2 + 0.5 * (-fake_b + 1) ** 2
    assert judged.item() == pytest.approx(of_a + of_b, rel=1e-5)


def test_each_step_moves_what_it_is_of():
    one = training()
    before = {name: tensor.clone() for name, tensor in one.model.state_dict().items()}
    one.epoch(random_parts(16, 16), MEMORY)
    after = one.model.state_dict()
    for part in ("a_to_b", "b_to_a", "discriminator_a", "discriminator_b"):
        weights = [name for name in before if name.startswith(part) and name.endswith("weight")]
        assert all(not torch.equal(before[name], after[name]) for name in weights), part
    assert all(parameter.requires_grad for parameter in one.model.parameters())


# -- the buffer


def test_a_buffer_hands_out_what_is_new_until_it_is_full_and_earlier_images_half_of_the_time():
    buffer, generator = ImageBuffer(50, (1, 1, 1), CPU), torch.Generator().manual_seed(0)
    numbered = torch.arange(20_050.0).view(-1, 1, 1, 1)
    first = torch.cat([buffer.exchange(part, generator) for part in numbered[:50].split(4)])
    assert torch.equal(first, numbered[:50])
    assert buffer.filled == 50
    earlier, ages = 0, []
    for part in numbered[50:].split(4):
        kept = set(buffer.images.flatten().tolist())
        given = buffer.exchange(part, generator).flatten()
        for new, found in zip(part.flatten().tolist(), given.tolist(), strict=True):
            if found != new:
                earlier += 1
                ages.append(new - found)
                assert found in kept  # from before this batch
                assert found not in buffer.images  # its place is taken
                assert new in buffer.images
        assert len(set(buffer.images.flatten().tolist())) == 50
    assert earlier / 20_000 == pytest.approx(0.5, abs=0.015)
    # an image leaves with probability 1/50 for each one that is swapped in: every second
    assert sum(ages[2_000:]) / len(ages[2_000:]) == pytest.approx(100, rel=0.05)


def test_a_batch_that_fills_the_buffer_is_handed_out_as_it_is():
    buffer, generator = ImageBuffer(5, (1, 1, 1), CPU), torch.Generator().manual_seed(0)
    for part in torch.arange(9.0).view(3, 3, 1, 1, 1):
        given = buffer.exchange(part, generator)
        if part[0] < 6:
            assert torch.equal(given, part)
    assert buffer.filled == 5


def test_without_a_buffer_every_image_is_new():
    buffer, images = ImageBuffer(0, (1, 2, 2), CPU), torch.rand(4, 1, 2, 2)
    assert buffer.exchange(images, torch.Generator()) is images


def test_images_in_the_buffer_are_not_those_that_were_handed_out():
    """Whoever gets an image may change it."""
    buffer, images = ImageBuffer(2, (1, 1, 1), CPU), torch.zeros(2, 1, 1, 1)
    given = buffer.exchange(images, torch.Generator())
    given += 1
    assert buffer.images.sum() == 0


# -- epochs


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"loss": "wasserstein_gradient_penalty", "gradient_penalty": 10.0, "buffer": 0, "batch": 4},
        {"loss": "relativistic", "r1": 0.1, "r2": 0.1, "buffer": 0},
    ],
    ids=["usual", "penalty", "relativistic"],
)
def test_what_is_restored_goes_on_to_the_same_numbers(layout, changed):
    """Three epochs are two, their state through a file, a new object, and another; to the last bit."""
    whole = training(3, layout=layout, **changed)
    disturb_global_generators(1)
    for _ in range(2):
        whole.epoch(random_parts(), MEMORY)
    tensors, about = whole.state()
    file, text = save(tensors), json.dumps(about)
    whole.epoch(random_parts(), MEMORY)
    assert not same(tensors, numbers(whole))
    if not changed:
        assert len(tensors["buffer.a"]) == len(tensors["buffer.b"]) == 50  # two epochs of 48 fill them

    disturb_global_generators(2)
    with torch.random.fork_rng():
        torch.manual_seed(123)
        model = TinyCycleGan((1, 8, 8)).to(memory_format=layout)
    again = CycleGanTraining(model, USUAL | changed, 3, 1)
    again.restore((load(file), json.loads(text)))
    assert same(numbers(again), tensors)
    again.epoch(random_parts(), MEMORY)
    assert same(numbers(again), numbers(whole))
    assert again.state()[1] == whole.state()[1]


def test_a_buffer_that_is_not_full_yet_is_restored_as_well():
    one = training(2)
    one.epoch(random_parts(32, 32), MEMORY)
    tensors, about = one.state()
    assert len(tensors["buffer.a"]) == 32
    again = training(2)
    again.restore((tensors, about))
    for each in (one, again):
        each.epoch(random_parts(32, 32), MEMORY)
    assert same(numbers(one), numbers(again))


def test_other_hyperparameters_go_on_from_a_state():
    check_that_other_hyperparameters_go_on_from_a_state(training, lambda one: one.epoch(random_parts(), MEMORY))


def test_global_generators_are_left_alone_and_do_not_matter():
    check_that_global_generators_are_left_alone_and_do_not_matter(
        training, lambda one: one.epoch(random_parts(), MEMORY)
    )


@pytest.mark.parametrize(("first", "second", "batch", "steps"), [(48, 40, 16, 3), (20, 50, 4, 12), (3, 2, 16, 1)])
def test_an_epoch_goes_through_the_larger_part_once(first, second, batch, steps):
    one, seen = training(1, batch=batch), {"a": [], "b": []}
    for name in "ab":
        judge = getattr(one.model, f"discriminator_{name}")
        # twice in a translators' step, then real and translated images
        judge.register_forward_pre_hook(lambda module, inputs, name=name: seen[name].append(inputs[0].detach()))
    a, b = random_parts(first, second)
    one.epoch((a, b), MEMORY)
    assert len(seen["a"]) == len(seen["b"]) == 3 * steps
    assert one.average.updates == steps
    real = torch.cat(seen["b"][1::3])
    known = {tuple(image.flatten().tolist()) for image in b.examples}
    drawn = [tuple((image * 255).round().int().flatten().tolist()) for image in real]
    assert set(drawn) <= known
    if second > first:
        assert len(set(drawn)) == len(drawn)  # no image of the larger part comes twice


def test_divergence_is_said():
    one = training(1, generator_learning_rate=1e30, discriminator_learning_rate=1e30, loss="hinge")
    with pytest.raises(Diverged, match=r"discriminators' .* in epoch 1"):
        one.epoch(random_parts(), MEMORY)
