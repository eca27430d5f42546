import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import nn

from evaluators.adversarial.diff_augment import POLICIES
from evaluators.adversarial.losses import ADVERSARIAL_LOSSES
from evaluators.gan.training import GanTraining, sample_noise
from evaluators.metrics.cost import PeakMemory
from evaluators.training.moving_average import MovingAverage
from nas.core.errors import Diverged, UserError
from nas.core.space import Condition
from nas.data.dataset import Split
from nas.testing.spaces import disturb_global_generators
from tests.parts.gan import USUAL, TinyGan
from tests.parts.training import (
    check_that_global_generators_are_left_alone_and_do_not_matter,
    check_that_other_hyperparameters_go_on_from_a_state,
    numbers,
    same,
)

CPU = torch.device("cpu")
MEMORY = PeakMemory(CPU)


def data(count=200, vectors=False):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 3, (count,), generator=generator)
    return Split(images, labels, torch.rand(count, 5, generator=generator) if vectors else None)


def training(epochs=2, seed=1, condition=None, layout=torch.contiguous_format, noisy=True, **changed):
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = TinyGan((1, 8, 8), condition, noisy=noisy).to(memory_format=layout)
    return GanTraining(model, USUAL | changed, epochs, seed)


EVERYTHING = {
    "loss": "wasserstein_gradient_penalty", "gradient_penalty": 10.0, "r1": 0.1, "noise": "uniform",
    "discriminator_steps": 2, "instance_noise": 0.1, "instance_noise_decay": 1.0, "diff_augment": "all",
    "batch_size": 32, "optimiser": "rmsprop", "schedule": "linear",
}  # fmt: skip
RELATIVISTIC = {"loss": "relativistic", "r1": 0.1, "r2": 0.1}


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    "changed", [{}, EVERYTHING, EVERYTHING | RELATIVISTIC], ids=["usual", "everything", "relativistic"]
)
def test_what_is_restored_goes_on_to_the_same_numbers(layout, changed):
    """Two epochs are one, its state through a file, a new object, and another; to the last bit."""
    whole = training(2, layout=layout, **changed)
    disturb_global_generators(1)
    whole.epoch(data(), MEMORY)
    tensors, about = whole.state()
    file, text = save(tensors), json.dumps(about)
    whole.epoch(data(), MEMORY)
    assert not same(tensors, numbers(whole))

    disturb_global_generators(2)
    with torch.random.fork_rng():
        torch.manual_seed(123)
        model = TinyGan((1, 8, 8), noisy=True).to(memory_format=layout)
    again = GanTraining(model, USUAL | changed, 2, 1)
    again.restore((load(file), json.loads(text)))
    assert same(numbers(again), tensors)
    again.epoch(data(), MEMORY)
    assert same(numbers(again), numbers(whole))
    assert again.state()[1] == whole.state()[1]


def test_other_hyperparameters_go_on_from_a_state():
    check_that_other_hyperparameters_go_on_from_a_state(training, lambda one: one.epoch(data(), MEMORY))


def test_global_generators_are_left_alone_and_do_not_matter():
    check_that_global_generators_are_left_alone_and_do_not_matter(training, lambda one: one.epoch(data(), MEMORY))


def rates(one):
    return [optimiser.param_groups[0]["lr"] for optimiser in one.optimisers.values()]


def rates_of_epochs(one, epochs):
    """The rate of both optimisers in the last update of each epoch."""
    found = []
    for _ in range(epochs):
        one.epoch(data(256), MEMORY)
        found.append(rates(one))
    return found


def test_a_linear_schedule_brings_both_rates_to_nothing_and_a_constant_one_leaves_them():
    factors = [1 - (epoch + 3 / 4) / 4 for epoch in range(4)]  # of four updates each
    one = training(4, schedule="linear", generator_learning_rate=0.0004)
    assert rates_of_epochs(one, 4) == [pytest.approx([0.0004 * f, 0.0016 * f]) for f in factors]
    assert rates_of_epochs(training(4), 2) == [[0.0016, 0.0016]] * 2


def test_a_rate_that_settles_falls_from_then_on():
    one = training(4, settles_from=0.5)
    factors = [1.0, 1.0, 2 * (1 - 2.75 / 4), 2 * (1 - 3.75 / 4)]
    assert rates_of_epochs(one, 4) == [pytest.approx([0.0016 * f] * 2) for f in factors]


def test_rmsprop_has_no_momentum_and_averages_squares_by_beta2():
    with pytest.raises(KeyError, match="beta1"):
        GanTraining(TinyGan((1, 8, 8)), {k: v for k, v in USUAL.items() if k != "beta1"}, 1, 0)
    decided = {k: v for k, v in USUAL.items() if k != "beta1"} | {"optimiser": "rmsprop", "beta2": 0.9}
    one = GanTraining(TinyGan((1, 8, 8)), decided, 1, 0)
    before = numbers(one)
    one.epoch(data(), MEMORY)
    assert not same(before, numbers(one))
    for optimiser in one.optimisers.values():
        assert isinstance(optimiser, torch.optim.RMSprop)
        assert {key: optimiser.defaults[key] for key in ("alpha", "momentum")} == {"alpha": 0.9, "momentum": 0}


@pytest.mark.parametrize(("size", "rounds"), [(64, 1), (64, 3), (16, 2)])
@pytest.mark.parametrize("count", [20, 64, 200])
def test_an_epoch_is_a_number_of_generator_updates_whatever_the_discriminators(rounds, count, size):
    one = training(1, discriminator_steps=rounds, batch_size=size)
    judged, steps = [], {"generator": 0, "discriminator": 0}
    one.model.discriminator.register_forward_pre_hook(lambda module, inputs: judged.append(inputs[0].detach()))
    for name, optimiser in (("generator", one.generator_optimiser), ("discriminator", one.discriminator_optimiser)):
        optimiser.register_step_post_hook(lambda *_, name=name: steps.__setitem__(name, steps[name] + 1))
    one.epoch(data(count), MEMORY)
    updates = max(1, count // size)
    assert steps == {"generator": updates, "discriminator": updates * rounds}
    assert {len(batch) for batch in judged} == {min(size, count)}
    seen = torch.cat(judged[0 : 2 * rounds : 2])  # real batches of the first update: each image once a pass
    assert len(judged) == updates * (2 * rounds + 1)
    if count == size == 64:
        images = data(count).examples / 255
        for part in seen.split(64):
            torch.testing.assert_close(part.flatten(1).sum(0), images.flatten(1).sum(0), rtol=1e-4, atol=1e-4)


def test_the_generators_step_leaves_the_discriminator_and_the_other_way_round():
    one = training(1)
    networks = {"generator": one.model.generator, "discriminator": one.model.discriminator}
    for name, other in (("generator", "discriminator"), ("discriminator", "generator")):
        before = {}

        def remember(*_, other=other, before=before):
            before.update({k: v.detach().clone() for k, v in networks[other].named_parameters()})

        def compare(*_, other=other, before=before):
            assert all(torch.equal(v, before[k]) for k, v in networks[other].named_parameters())

        one.optimisers[f"{name}_optimiser"].register_step_pre_hook(remember)
        one.optimisers[f"{name}_optimiser"].register_step_post_hook(compare)
    one.epoch(data(), MEMORY)
    assert all(parameter.requires_grad for parameter in one.model.discriminator.parameters())


CONDITIONS = st.sampled_from((None, Condition("label", 3), Condition("vector", 5)))


OF_LOSSES = {
    "wasserstein_clipping": {"clip": 0.03},
    "wasserstein_gradient_penalty": {"gradient_penalty": 10.0},
    "relativistic": {"r2": 0.1},
}


@settings(max_examples=25, deadline=None)
@given(
    CONDITIONS,
    st.sampled_from(sorted(ADVERSARIAL_LOSSES)),
    st.sampled_from((0.0, 0.1)),
    st.sampled_from(sorted(POLICIES)),
    st.sampled_from((0.0, 0.1)),
    st.sampled_from(("normal", "uniform")),
    st.sampled_from(("none", "one_sided", "two_sided")),
    st.sampled_from((0.0, 0.999)),
)
def test_every_way_to_train_trains(condition, loss, r1, policy, instance_noise, noise, smoothing, ema):
    extra = {"instance_noise_decay": 0.5} if instance_noise else {}
    extra |= OF_LOSSES.get(loss, {})
    extra |= {"smoothing": 0.1} if smoothing != "none" else {}
    one = training(
        1, condition=condition, loss=loss, r1=r1, diff_augment=policy, instance_noise=instance_noise, noise=noise,
        label_smoothing=smoothing, ema=ema, **extra,
    )  # fmt: skip
    before = {name: value.clone() for name, value in numbers(one).items()}
    one.epoch(data(130, vectors=True), MEMORY)
    after = numbers(one)
    assert all(torch.isfinite(value).all() for value in after.values())
    for network in ("generator", "discriminator", "average"):
        assert any(not torch.equal(before[name], after[name]) for name in before if name.startswith(network))
    if "clip" in extra:
        assert max(p.abs().max() for p in one.model.discriminator.parameters()) <= 0.03 + 1e-9


def test_a_condition_that_the_data_lacks_is_said():
    with pytest.raises(UserError, match="vector"):
        training(1, condition=Condition("vector", 5)).epoch(data(), MEMORY)


def test_parts_of_a_split_keep_what_belongs_to_each_image():
    split = data(6, vectors=True)
    part = split.take(torch.tensor([4, 1])).to(CPU)
    assert torch.equal(part.examples, split.examples[[4, 1]])
    assert torch.equal(part.labels, split.labels[[4, 1]])
    assert torch.equal(part.vectors, split.vectors[[4, 1]])
    assert data(6).take(torch.tensor([0])).vectors is None


def test_real_images_and_fakes_are_told_the_datas_own_conditions():
    one = training(1, condition=Condition("label", 3), noisy=False)
    told = []
    one.model.discriminator.register_forward_pre_hook(lambda module, inputs: told.append(inputs[1]))
    split = data(64)
    one.epoch(split, MEMORY)
    for labels in told:
        assert torch.equal(labels.bincount(minlength=3), split.labels.bincount(minlength=3))


def test_relativistic_pairs_share_their_condition():
    """In the discriminator's steps as in the generator's, which judges generated images and then the same real ones."""
    one = training(1, condition=Condition("label", 3), noisy=False, **RELATIVISTIC)
    judged = []
    one.model.discriminator.register_forward_pre_hook(lambda module, inputs: judged.append(inputs))
    one.epoch(data(64), MEMORY)
    (real, told), (_, told_of_fakes), (fake, *_), (again, told_again) = judged
    assert len(judged) == 4
    assert torch.equal(told, told_of_fakes)
    assert torch.equal(real, again)
    assert torch.equal(told, told_again)
    assert fake.requires_grad
    assert not torch.equal(fake, again)


def test_a_relativistic_pair_learns_the_brightness_of_its_images():
    bright = Split(torch.full((256, 1, 8, 8), 0.9) + 0.05 * torch.rand(256, 1, 8, 8, generator=torch.Generator()))
    one = training(30, noisy=False, **RELATIVISTIC)

    def distance():
        with torch.no_grad():
            made = one.average.network.eval()(torch.randn(200, 6, generator=torch.Generator().manual_seed(0)))
        return (made - bright.examples.mean()).abs().mean().item()

    before = distance()
    for _ in range(30):
        one.epoch(bright, MEMORY)
    assert distance() < before / 5
    assert all(torch.isfinite(value).all() for value in numbers(one).values())


def test_divergence_is_said():
    one = training(1, generator_learning_rate=1e30, discriminator_learning_rate=1e30, loss="maximum_likelihood")
    with pytest.raises(Diverged, match="epoch 1"):
        one.epoch(data(640), MEMORY)


def test_instance_noise_falls_linearly_to_nothing():
    one = training(4, instance_noise=0.2, instance_noise_decay=0.5)
    found = []
    for epoch in range(4):
        found += [one._instance_noise(epoch / 4), one._instance_noise((epoch + 0.5) / 4)]
    assert found == pytest.approx([0.2, 0.15, 0.1, 0.05, 0, 0, 0, 0])
    grey = Split(torch.full((64, 1, 8, 8), 0.5))
    seen = []
    noisy = training(1, instance_noise=0.2, instance_noise_decay=1.0)
    noisy.model.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    noisy.epoch(grey, MEMORY)
    assert seen[0].std().item() == pytest.approx(0.2, rel=0.05)


def test_batch_normalisation_has_the_momentum_that_was_decided():
    one = training(1, batch_norm_momentum=0.3)
    norms = [m for m in one.model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert [norm.momentum for norm in norms] == [0.3, 0.3]


@pytest.mark.parametrize("kind", ["normal", "uniform"])
@pytest.mark.parametrize("scale", [0.5, 1.4])
def test_both_kinds_of_noise_have_the_scale_as_their_deviation(kind, scale):
    noise = sample_noise({"noise": kind, "noise_scale": scale}, 20_000, 3, torch.Generator().manual_seed(0), CPU)
    assert noise.shape == (20_000, 3)
    assert noise.std().item() == pytest.approx(scale, rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=0.02)
    if kind == "uniform":
        assert noise.abs().max() <= 3**0.5 * scale


class Counting(nn.Module):
    """One weight, a batch normalisation and a counter."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.norm = nn.BatchNorm1d(1)
        self.register_buffer("calls", torch.tensor(0))
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x):
        self.calls += 1
        self.seen = self.seen + 1  # a buffer that is replaced, not changed in place
        return self.norm(x) + self.weight


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.999])
def test_the_average_is_its_closed_form_buffers_included(decay):
    network = Counting()
    average = MovingAverage(network, decay)
    weight = mean = seen = 0.0
    for update in range(1, 30):
        network(torch.full((4, 1), float(update)) + torch.arange(4.0)[:, None])
        with torch.no_grad():
            network.weight.fill_(update**0.5)
        average.update()
        d = min(decay, update / (9 + update))
        weight = d * weight + (1 - d) * update**0.5
        mean = d * mean + (1 - d) * network.norm.running_mean.item()
        seen = d * seen + (1 - d) * update
    averaged = average.network
    assert averaged.weight.item() == pytest.approx(weight, rel=1e-5)
    assert averaged.norm.running_mean.item() == pytest.approx(mean, rel=1e-5)
    assert averaged.seen.item() == pytest.approx(seen, rel=1e-5)
    assert averaged.calls.item() == averaged.norm.num_batches_tracked.item() == 29
    assert averaged.calls.dtype == torch.int64
    assert not averaged.training
    assert not averaged.weight.requires_grad
    if decay == 0:
        assert torch.equal(averaged.norm.running_var, network.norm.running_var)


def test_an_average_without_decay_is_the_network_itself():
    one = training(1, ema=0.0)
    one.epoch(data(), MEMORY)
    average, own = one.average.network.state_dict(), one.model.generator.state_dict()
    assert all(torch.equal(average[name], own[name]) for name in own)
