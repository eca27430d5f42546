"""Samples of a generator, always from the same noise: to be scored and to be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from evaluators.gan.training import GanModel, as_gan, sample_noise, select_conditions
from evaluators.metrics.cost import count_multiply_adds, count_parameters
from evaluators.models import seed_global_generators
from nas.data.dataset import Split

_AT_ONCE = 250  # images that are generated in one batch
_GRID = 8  # columns of a picture, and rows unless each class has one
_MOST_CLASSES = 10


@dataclass(frozen=True)
class Noise:
    """Where samples get their noise from.

    Attributes:
        hyperparameters: see evaluators.gan.training.sample_noise.
        seed: of the noise, of the conditions and of what a generator draws by itself.
        device: of the generator.
    """

    hyperparameters: Mapping[str, Any]
    seed: int
    device: torch.device


def sample_images(model: GanModel, generator: nn.Module, noise: Noise, part: Split, count: int) -> Tensor:
    """Sample images (count, C, H, W); the conditions of a conditional generator are drawn from a part of the data."""
    random = torch.Generator(noise.device).manual_seed(noise.seed)
    codes = sample_noise(noise.hyperparameters, count, model.latent, random, noise.device)
    told = [values.to(noise.device) for values in select_conditions(model, part)]
    if told:
        places = torch.randint(len(part), (count,), generator=random, device=noise.device)
        told = [values[places] for values in told]
    return _generate(generator, codes, told, noise)


def sample_grid(model: GanModel, generator: nn.Module, noise: Noise, part: Split) -> list[Tensor]:
    """Sample rows of images for a picture, one row a class if the generator is conditional on labels."""
    random = torch.Generator(noise.device).manual_seed(noise.seed)
    told = []
    if model.condition == "none":
        codes = sample_noise(noise.hyperparameters, _GRID * _GRID, model.latent, random, noise.device)
    else:
        (conditions,) = select_conditions(model, part)
        conditions = torch.unique(conditions)[:_MOST_CLASSES] if model.condition == "label" else conditions[:_GRID]
        row = sample_noise(noise.hyperparameters, _GRID, model.latent, random, noise.device)
        codes = row.repeat(len(conditions), 1)
        told = [conditions.to(noise.device).repeat_interleave(_GRID, dim=0)]
    return list(torch.split(_generate(generator, codes, told, noise), _GRID))


def measure_cost(model: GanModel, part: Split, device: torch.device) -> dict[str, float]:
    """The generator's ``parameters`` and its ``multiply_adds`` for one image."""
    codes = torch.zeros((1, model.latent), device=device)
    told = [values.to(device) for values in select_conditions(model, part, slice(1))]
    with seed_global_generators(0, device):
        made = count_multiply_adds(model.generator, codes, *told)
    return {"parameters": float(count_parameters(model.generator)), "multiply_adds": float(made)}


def run_pair(model: nn.Module, part: Split, device: torch.device) -> None:
    """Pass two codes through the generator and the discriminator, with the conditions of the part's first images."""
    gan = as_gan(model)
    told = [values.to(device) for values in select_conditions(gan, part, slice(2))]
    gan.discriminator(gan.generator(torch.zeros((2, gan.latent), device=device), *told), *told)


@torch.no_grad()
def _generate(generator: nn.Module, codes: Tensor, told: list[Tensor], noise: Noise) -> Tensor:
    batches = zip(*(torch.split(values, _AT_ONCE) for values in (codes, *told)), strict=True)
    with seed_global_generators(noise.seed, noise.device):  # generators may have noise of their own
        return torch.cat([generator(*batch) for batch in batches])
