"""Which channels belong together, and models with fewer or more of them."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from torch import nn

from evaluators.models import serialise_tensors
from evaluators.pruning.channels import NothingToPrune, find_channels, find_sizes, select_channels
from evaluators.pruning.pruning import (
    choose_channels,
    count_epochs,
    count_kept,
    load_pruned_model,
    score_channels,
    write_sizes,
)
from nas.core.job import PruneChannels
from nas.core.space import Condition, sample
from nas.core.trial import Proposal, Trial
from nas.export.python_source import print_source
from search_spaces.adversarialnas.space import AdversarialNasSpace
from search_spaces.autoencoder.space import AutoencoderSpace
from search_spaces.autogan.space import AutoganSpace
from search_spaces.cyclegan.space import CycleGanSpace
from search_spaces.gan.space import GanSpace
from search_spaces.operations.modules import Crop


def narrow(space, **pins):
    choices = space.choices()
    chosen = {
        site: tuple(value for value in choice.values if value in (8, 16, 24, 64, 1, 2))
        for site, choice in choices.items()
        if site.rpartition(".")[2].endswith(("width", "stages", "blocks", "latent", "depth"))
    }
    return space.restrict({**{site: values for site, values in chosen.items() if values}, **pins})


class NarrowAutogan(AutoganSpace):
    generator_channels = discriminator_channels = 16


class NarrowAdversarialNas(AdversarialNasSpace):
    generator_channels = discriminator_channels = 16


SPACES = {
    "autoencoder": narrow(AutoencoderSpace().conditioned(None)),
    "gan": narrow(GanSpace()).conditioned(None),
    "conditional gan": narrow(GanSpace()).conditioned(Condition("label", 3)),
    "autogan": NarrowAutogan(),
    "adversarialnas": NarrowAdversarialNas(),
    "cyclegan": narrow(CycleGanSpace()),
}


def calls_of(model, shape):
    """What is pruned of a space's models."""
    images = torch.rand(2, *shape)
    if hasattr(model, "encoder"):
        return {"encoder": (images,), "decoder": (model.eval().encode(images),)}
    if hasattr(model, "a_to_b"):
        return {"a_to_b": (images,), "b_to_a": (images,)}
    told = () if model.condition == "none" else (torch.tensor([0, 2]),)
    return {"generator": (torch.randn(2, model.latent), *told)}


def randomised(model):
    """The model with statistics and scales that are not those of a new one."""
    for module in model.modules():
        for name, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
            if name == "running_var":
                tensor.uniform_(0.5, 2.0)
            elif tensor.dim() == 1 and tensor.is_floating_point():
                tensor.normal_(0.0, 0.5)
    return model


def without(model, channels, kept):
    """A copy whose channels that are not kept are zero, as all that makes them is."""
    counts = channels.counts(kept)
    model = copy.deepcopy(model)
    tensors = dict((*model.named_parameters(), *model.named_buffers()))
    for (name, dimension), own in channels.axes.items():
        if (name, dimension) not in channels.consumed and not name.endswith("running_var"):
            dead = torch.from_numpy(np.flatnonzero((own >= 0) & (counts[own] == 0)))
            tensors[name].index_fill_(dimension, dead, 0)
    return model


def of_living(x, groups, weight=None, bias=None, eps=1e-5):
    """Group normalisation by the statistics of channels that are not zero throughout."""
    parts = x.reshape(len(x), groups, -1, *x.shape[2:])
    alive = (parts != 0).flatten(3).any(3, keepdim=True) if x.dim() > 2 else (parts != 0)[..., None]
    flat = parts.flatten(3) if x.dim() > 2 else parts[..., None]
    count = (alive.expand(flat.shape)).sum((2, 3), keepdim=True).clamp(min=1)
    mean = flat.sum((2, 3), keepdim=True) / count
    variance = ((flat - mean).square() * alive).sum((2, 3), keepdim=True) / count
    normal = ((flat - mean) * alive / (variance + eps).sqrt()).reshape(x.shape)
    shape = (1, -1, *[1] * (x.dim() - 2))
    return normal if weight is None else normal * weight.view(shape) + bias.view(shape)


@torch.no_grad()
def check_that_removing_what_is_zero_changes_nothing(model, calls, ratio, generator):
    channels = find_channels(randomised(model), calls)
    scores = copy.deepcopy(model)
    for parameter in scores.parameters():  # any channels may be the weakest
        parameter.copy_(torch.randn(parameter.shape, generator=generator))
    kept = choose_channels(scores, channels, {n: count_kept(len(own), ratio) for n, own in channels.groups.items()})
    if not kept:
        return None
    smaller = select_channels(model, channels, kept)
    silenced = without(model, channels, kept)
    for path, inputs in calls.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(F, "group_norm", of_living)
            wanted = silenced.get_submodule(path)(*inputs)
        found = smaller.get_submodule(path)(*inputs)
        assert found.shape == wanted.shape
        assert torch.allclose(found, wanted, rtol=1e-3, atol=1e-4 * max(1.0, float(wanted.abs().max())))
    before, after = (sum(p.numel() for p in one.parameters()) for one in (model, smaller))
    assert after < before
    return channels, kept, smaller


def leads_nowhere(model, calls):
    """Whether a generator makes one image of all noise: all edges of one of its cells may be empty."""
    (noise,) = calls["generator"]
    images = model.generator(torch.cat([noise, 2 * noise]))
    return torch.equal(images, images[:1].expand_as(images))


@pytest.mark.parametrize("name", SPACES)
@settings(max_examples=5, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(seed=st.integers(0, 2**31), ratio=st.sampled_from([0.3, 0.5, 0.7, 0.9]))
@example(seed=2**31, ratio=0.3)
def test_removing_channels_that_are_zero_changes_nothing(name, seed, ratio):
    """Of any genotype; group normalisation must then look at the living channels alone."""
    space = SPACES[name]
    torch.manual_seed(seed)
    shape = (1, 8, 8) if seed % 2 or name == "adversarialnas" else (3, 9, 7)
    genotype = sample(space, np.random.default_rng(seed))
    model = space.build(genotype, shape).eval()
    calls = calls_of(model, shape)
    if name == "adversarialnas" and leads_nowhere(model, calls):
        with pytest.raises(NothingToPrune):
            find_channels(model, calls)
        return
    made = check_that_removing_what_is_zero_changes_nothing(model, calls, ratio, torch.Generator().manual_seed(seed))
    if made is None:
        return
    channels, kept, smaller = made
    sizes = find_sizes(model, channels, kept)
    again, found = load_pruned_model(
        space.build(genotype, shape), serialise_tensors(smaller.state_dict(), write_sizes(sizes))
    )
    assert found == sizes
    for path, inputs in calls.items():
        assert torch.equal(again.eval().get_submodule(path)(*inputs), smaller.get_submodule(path)(*inputs))
        part = smaller.get_submodule(path)
        printed: dict = {"torch": torch, "nn": nn, "F": F, "Tensor": torch.Tensor}
        exec(print_source(part), printed)
        copied = printed["build"]()
        copied.load_state_dict(part.state_dict())
        assert torch.equal(copied.eval()(*inputs), part(*inputs))


class Block(nn.Module):
    """Two branches added, beside what came in; `combine` is what happens to it all."""

    def __init__(self, combine=lambda x: x):
        super().__init__()
        self.start = nn.Conv2d(1, 4, 3, padding=1)
        self.branch = nn.Conv2d(4, 6, 3, padding=1)
        self.other = nn.Sequential(nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6), nn.Conv2d(6, 6, 3, padding=1, groups=6))
        self.end = nn.Conv2d(10, 2, 1)
        self.combine = combine

    def forward(self, x):
        x = self.start(x).relu()
        return self.end(self.combine(torch.cat([x, self.branch(x) + self.other(x)], dim=1)))


IMAGE = {"": (torch.rand(1, 1, 6, 6),)}


def test_sums_and_depthwise_convolutions_couple_and_concatenations_do_not():
    channels = find_channels(Block(), IMAGE)
    assert {name: len(own) for name, own in channels.groups.items()} == {"start": 4, "branch": 6}
    branch = channels.groups["branch"]
    for axis in (("branch.weight", 0), ("branch.bias", 0), ("other.0.weight", 0), ("other.1.running_mean", 0),
                 ("other.2.weight", 0)):  # fmt: skip
        assert np.array_equal(channels.axes[axis], branch)
    assert np.array_equal(channels.axes["end.weight", 1], [*channels.groups["start"], *branch])
    assert ("end.weight", 0) not in channels.axes  # the output keeps its size
    assert ("start.weight", 1) not in channels.axes
    smaller = select_channels(Block(), channels, {"branch": [1, 5]})
    assert (smaller.other[2].in_channels, smaller.other[2].groups, smaller.end.in_channels) == (2, 2, 6)
    assert smaller.other[1].num_features == 2


@pytest.mark.parametrize(
    "unknown",
    [lambda x: x.softmax(1), lambda x: x.cumsum(1), lambda x: x.flip(1), lambda x: x - x.mean(1, keepdim=True),
     lambda x: x * torch.ones(10, 1, 1), lambda x: x[:, torch.randperm(10)], lambda x: x / x.norm()],
)  # fmt: skip
def test_what_is_not_understood_keeps_its_channels(unknown):
    with pytest.raises(NothingToPrune):
        find_channels(Block(unknown), IMAGE)


def test_what_depends_on_the_number_of_channels_is_found_out():
    def averaged(x):
        return x / x.shape[1]

    with pytest.raises(NothingToPrune, match="every channel twice"):
        find_channels(Block(averaged), IMAGE)


class Wide(nn.Module):
    """Says nothing of its number of channels."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels
        self.layer = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        return self.layer(x)


def test_classes_with_numbers_of_their_own_say_which_are_channels():
    def model():
        return nn.Sequential(nn.Conv2d(1, 4, 1), Wide(4), nn.Conv2d(4, 5, 1), Crop(2, 2), nn.Conv2d(5, 1, 1))

    assert set(find_channels(model(), IMAGE).groups) == {"2"}
    told_class = type("Told", (Wide,), {"channel_arguments": (("channels", "input"),)})
    told = model()
    told[1] = told_class(4)
    channels = find_channels(told, IMAGE)
    assert set(channels.groups) == {"0", "1.layer", "2"}
    assert select_channels(told, channels, {"0": [0]})[1].channels == 1


@pytest.mark.parametrize(
    ("width", "count", "groups", "left"), [(8, 4, 4, 4), (16, 8, 8, 8), (16, 5, 5, 5), (32, 10, 5, 10)]
)
def test_group_normalisation_keeps_groups_of_one_size(width, count, groups, left):
    model = nn.Sequential(nn.Conv2d(1, width, 1), nn.GroupNorm(8, width), nn.Conv2d(width, 1, 1))
    channels = find_channels(model, IMAGE)
    kept = choose_channels(model, channels, {"0": count})
    smaller = select_channels(model, channels, kept)
    assert (smaller[1].num_groups, smaller[1].num_channels) == (groups, left)
    with pytest.raises(ValueError, match="as many channels in each group"):
        select_channels(model, channels, {"0": [0, 1, width - 1]} if width > 8 else {"0": [0, 0, 7]})


def test_the_weakest_channels_are_those_of_the_least_weights():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[4.0], [1.0], [3.0], [2.0]]).expand(4, 3))
        model[2].weight.fill_(0.5)
    channels = find_channels(model, {"": (torch.rand(1, 3),)})
    # magnitudes in units of each layer's mean, the mean of both layers
    assert score_channels(model, channels)["0"] == pytest.approx([(m / 2.5 + 1) / 2 for m in (4, 1, 3, 2)])
    assert choose_channels(model, channels, {"0": 2}) == {"0": [0, 2]}


def test_repeated_channels_leave_the_function_as_it_is():
    """Net2WiderNet, each channel as often as one likes."""
    torch.manual_seed(0)
    with torch.no_grad():
        model = randomised(Block()).eval()
        wider = select_channels(
            model, find_channels(model, IMAGE), {"branch": [0, 0, 0, 1, 2, 3, 3, 4, 5], "start": [0, 1, 1, 2, 3]}
        )
        assert wider.end.in_channels == 14
        assert torch.allclose(wider(*IMAGE[""]), model(*IMAGE[""]), atol=1e-6)


@pytest.mark.parametrize(("count", "ratio", "kept"), [(8, 0.5, 4), (8, 0.7, 3), (10, 0.7, 3), (4, 0.9, 2), (1, 0.9, 1)])
def test_at_least_two_channels_stay(count, ratio, kept):
    assert count_kept(count, ratio) == kept


@pytest.mark.parametrize(
    ("epochs", "updates", "trained"),
    [(20, 8000 // 64, 4), (12, 1150 // 32, 6), (4, 1, 4), (1, 10_000 // 16, 1), (2, 10_000 // 16, 1)],
)
def test_versions_are_fine_tuned_for_a_fifth_of_the_epochs_or_enough_updates(epochs, updates, trained):
    genotype = sample(SPACES["autoencoder"], np.random.default_rng(0))
    assert count_epochs(Trial(1, Proposal(genotype, (0,), job=PruneChannels(0.5)), 0), epochs, updates) == trained
    assert count_epochs(Trial(0, Proposal(genotype), 0), epochs, updates) == epochs
