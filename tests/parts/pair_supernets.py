"""A small supernet of pairs, with scores that are made up."""

import torch

from evaluators.gan.supernet import PairSupernet
from evaluators.gan.training import RECIPE
from evaluators.metrics.cost import PeakMemory
from evaluators.training import selection as found
from nas.core.supernet import SupernetPlan
from nas.data.dataset import Split
from search_spaces.adversarialnas.space import AdversarialNasSpace
from search_spaces.gan.space import GanSpace

MEMORY = PeakMemory(torch.device("cpu"))
SPACE = GanSpace().conditioned(None)
SPACE._restrictions = {  # at once: to check each takes long
    "generator_cell.nodes": (1,), "discriminator_cell.nodes": (2,), "generator_width": (16,),
    "discriminator_width": (16,), "generator_stages": (1,), "discriminator_stages": (1,), "latent": (16,),
    **{f"{half}_cell.node{node}.operation{slot}": (*(["none"] if slot else []), "skip", "conv_3x3", "average_pool_3x3")
       for half in ("generator", "discriminator") for node in (1, 2) for slot in (0, 1)},
}  # fmt: skip
BASE = SPACE.base(lambda choice: choice.values[0] if choice.usual is None else choice.usual)
PART = Split(torch.rand(96, 1, 8, 8, generator=torch.Generator().manual_seed(0)))


def numbers(parameters):
    return [parameter.detach().clone() for parameter in parameters]


def same(before, after):
    return all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


class Narrow(AdversarialNasSpace):
    """The published space, hardly as wide."""

    latent, generator_channels, discriminator_channels = 12, 8, 8


class Scores:
    """Of generators: FIDs that follow from what they are."""

    def __init__(self):
        self.fids = {}

    def __call__(self, model, generator, hyperparameters, seed):
        assert not generator.training
        path = str(generator.architecture._path)
        self.fids.setdefault(path, 100.0 - len(self.fids) % 7)
        return found.Scores({"fid": self.fids[path], "sample_deviation": 1.0}, [torch.zeros(1, 1, 8, 8)])


def supernet(epochs=3, seed=1, **options):
    plan = SupernetPlan(epochs, **{"relaxation": "gumbel_softmax", "learning_rate": 0.05, "samples": 4} | options)
    return PairSupernet(SPACE, BASE, plan, RECIPE | SPACE.hyperparameters(BASE), (1, 8, 8), PART, seed, Scores(), 1.0)
