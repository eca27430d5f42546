"""What is written down of a training and continued from it, to the same numbers."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import nn

from evaluators.adversarial.snapshots import Snapshot, Snapshots
from evaluators.metrics.cost import PeakMemory
from evaluators.pictures import Film
from evaluators.training.checkpoint import copy_to_cpu, flatten_optimiser_state, load_optimiser_state
from evaluators.training.optimisers import OPTIMISERS
from nas.core.errors import UserError
from nas.core.trial import Measurement
from nas.data.dataset import Split
from nas.session.checkpoint import CHECKPOINT_FILE, TrainingProgress
from nas.testing.spaces import disturb_global_generators
from tests.parts.autoencoders import autoencoder_training

CPU = torch.device("cpu")
MEMORY = PeakMemory(CPU)


# -- what is continued


def mixed():
    """Weights of every kind that optimisers tell apart, in the layout that evaluators train in."""
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 6, 3, groups=6), nn.Flatten(),
        nn.Linear(6 * 36, 5),
    )  # fmt: skip
    return layers.to(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_state_of_every_optimiser_is_continued(name):
    """Three steps, its moments through a file to a new optimiser, and three more: as six in one go, to the last bit."""
    images = torch.randn(8, 2, 8, 8, generator=torch.Generator().manual_seed(1)).to(memory_format=torch.channels_last)

    def steps(model, optimiser, count, begin):
        for step in range(begin, begin + count):
            for group in optimiser.param_groups:
                group["lr"] = 0.01 / (1 + step)
            optimiser.zero_grad()
            (model(images) - step).square().mean().backward()
            optimiser.step()

    whole, again = mixed(), mixed()
    optimiser = OPTIMISERS[name](whole.parameters(), lr=0.01, weight_decay=0.01)
    steps(whole, optimiser, 3, 0)
    file, weights = save(copy_to_cpu(flatten_optimiser_state(optimiser))), save(copy_to_cpu(whole.state_dict()))
    steps(whole, optimiser, 3, 3)

    other = OPTIMISERS[name](again.parameters(), lr=0.01, weight_decay=0.01)
    again.load_state_dict(load(weights))
    load_optimiser_state(other, load(file))
    steps(again, other, 3, 3)
    for (key, tensor), continued in zip(whole.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(tensor, continued), key
    for key, tensor in flatten_optimiser_state(optimiser).items():
        assert torch.equal(tensor, flatten_optimiser_state(other)[key]), key


class Dropping(nn.Module):
    """An autoencoder with dropout, which draws from PyTorch's global generators."""

    variational = False
    output = nn.Identity()

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Dropout(0.5))
        self.decoder = nn.Sequential(nn.Linear(16, 64), nn.Unflatten(1, (1, 8, 8)))

    def encode(self, images):
        return self.encoder(images)

    def forward(self, images):
        return self.decoder(self.encoder(images))


CHOSEN = {
    "optimiser": "muon", "learning_rate": 0.01, "weight_decay": 0.01, "schedule": "one_cycle", "batch_size": 16,
    "augmentation": "shift", "loss": "mse", "noise_variance": 0.1,
}  # fmt: skip


def test_an_autoencoder_with_dropout_and_noise_is_continued_whatever_else_was_drawn():
    def training():
        torch.manual_seed(3)
        return autoencoder_training(Dropping(), CHOSEN, 3, seed=5)

    data = Split(torch.rand(80, 1, 8, 8, generator=torch.Generator().manual_seed(0)))
    whole = training()
    states = []
    for epoch in range(3):
        disturb_global_generators(epoch)
        whole.epoch(data, MEMORY)
        states.append((save(whole.state()[0]), json.dumps(whole.state()[1])))
    again = training()
    again.restore((load(states[0][0]), json.loads(states[0][1])))
    for state in states[1:]:
        disturb_global_generators(9)
        again.epoch(data, MEMORY)
        assert save(again.state()[0]) == state[0]
        assert json.dumps(again.state()[1]) == state[1]


def snapshot(epoch, fid):
    scores = {"fid": fid, "sample_deviation": 0.2, "coverage": 0.5}
    return Snapshot(epoch, scores, f"picture {epoch}".encode(), f"tensors {epoch}".encode())


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(1, 100), min_size=1, max_size=12), st.data())
def test_snapshots_are_continued_and_run_to_the_end_where_they_are_asked_to(fids, data):
    epochs, cut = 12, data.draw(st.integers(1, len(fids)))
    whole, begun, again = (Snapshots(epochs, 100, 0.25, 0) for _ in range(3))
    patient = Snapshots(epochs, 100, 0.25, 0, to_the_end=True)
    for epoch, fid in enumerate(fids, start=1):
        whole.add(snapshot(epoch, fid), 100 * epoch)
        patient.add(snapshot(epoch, fid), 100 * epoch)
        if epoch <= cut:
            begun.add(snapshot(epoch, fid), 100 * epoch)
        if epoch == cut:
            tensors, numbers = begun.state()
            again.restore((load(save(dict(tensors))), json.loads(json.dumps(numbers))))
        if epoch > cut:
            again.add(snapshot(epoch, fid), 100 * epoch)
    assert again.best == whole.best == patient.best
    assert again.ended == whole.ended
    assert again.state()[1] == whole.state()[1]
    assert patient.ended == (len(fids) == epochs)


def test_a_film_of_known_length_keeps_what_is_shown_and_is_continued():
    generator = torch.Generator().manual_seed(0)
    rows = [[torch.rand(2, 1, 8, 8, generator=generator)] for _ in range(70)]
    films = [Film(), Film(70), Film(70)]
    for epoch, row in enumerate(rows, start=1):
        for film in films:
            film.add(epoch, row)
        if epoch == 40:
            tensors, numbers = films[2].state()
            films[2] = Film(70)
            films[2].restore((load(save(dict(tensors))), numbers))
    assert len(films[0].state()[0]) == 70
    assert len(films[1].state()[0]) == 30
    assert len({film.picture() for film in films}) == 1


# -- what is on disk


REACHED = TrainingProgress(
    (Measurement(1, {"loss": 0.1}), Measurement(2, {"loss": np.float32(0.5)})),
    {"a.png": b"\x89PNG", "b.json": b"{}"},
    b"01" * 99,
)


def test_what_is_reached_is_the_same_from_disk(tmp_path):
    REACHED.write(tmp_path / CHECKPOINT_FILE)
    assert TrainingProgress.read(tmp_path / CHECKPOINT_FILE) == REACHED
    assert [m.artifacts for m in REACHED.replay()] == [{}, REACHED.artifacts]
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT_FILE]
    assert TrainingProgress.read(tmp_path / "none") == TrainingProgress()


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_damaged_file_is_one_line_wherever_it_is_damaged(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.zip"
    REACHED.write(path)
    whole = path.read_bytes()
    if data.draw(st.booleans()):
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    else:
        place = data.draw(st.integers(0, len(whole) - 1))
        path.write_bytes(whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 255))]) + whole[place + 1 :])
    try:
        assert TrainingProgress.read(path) == REACHED  # dates and the like are damaged: nothing that is used
    except UserError as error:
        said = str(error)
        assert ("is damaged" in said, said.count("\n")) == (True, 0)
