"""Trains small networks whose last hidden layer describes the images of one data set.

The same data gives the same network: every draw comes from a fixed seed, and training runs on one thread of the CPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluators.training.augmentations import AUGMENTATIONS
from evaluators.training.optimisers import OPTIMISERS, set_learning_rate
from evaluators.training.schedules import SCHEDULES
from nas.core.space import Shape
from nas.core.threads import use_threads
from nas.data.dataset import Split, as_float, batches

FEATURES = 64


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; another recipe makes another extractor.

    Attributes:
        kind: ``classifier`` or ``self_supervised``.
        images, passes: a training sees `images` images, but each one at most `passes` times. A larger data set is
            seen once, up to 2 * `images` images of it.
        version: is raised whenever the code below changes what a training gives.
    """

    kind: str
    images: int
    passes: int
    batch: int
    learning_rate: float
    features: int = FEATURES
    seed: int = 0
    version: int = 1

    def as_dict(self) -> dict[str, str | int | float]:
        """Plain values by name."""
        return asdict(self)


RECIPES = {
    "classifier": Recipe("classifier", images=24_000, passes=12, batch=64, learning_rate=0.002),
    "self_supervised": Recipe("self_supervised", images=12_000, passes=8, batch=128, learning_rate=0.002),
}


class FeatureNetwork(nn.Module):
    """Three convolutions, a hidden layer of 64 rectified features, and a linear head; for any size from 4 x 4.

    The first convolution's stride brings large images down to about 32 pixels a side, so that the cost of an
    image does not grow with them. Features are divided by one number (`finish`).
    """

    mean: Tensor
    deviation: Tensor
    scale: Tensor

    def __init__(self, shape: Shape, outputs: int) -> None:
        super().__init__()
        channels, height, width = shape
        stride = max(1, round(min(height, width) / 32))
        layers: list[nn.Module] = []
        for number, wide in enumerate((16, 32, 64)):
            step = stride if number == 0 else 1
            layers += [nn.Conv2d(channels, wide, step + 2, step, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]
            channels, height, width = wide, (height - step) // step + 1, (width - step) // step + 1
            if min(height, width) >= 8:
                layers.append(nn.MaxPool2d(2))
                height, width = height // 2, width // 2
        rest = (min(height, 7), min(width, 7))
        layers += [nn.AdaptiveAvgPool2d(rest), nn.Flatten(), nn.Linear(channels * rest[0] * rest[1], FEATURES)]
        self.trunk = nn.Sequential(*layers, nn.ReLU())
        self.head = nn.Linear(FEATURES, outputs)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))
        self.register_buffer("scale", torch.ones(()))

    def hidden(self, images: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1] to (N, 64), before it is scaled."""
        hidden: Tensor = self.trunk((images - self.mean) / self.deviation)
        return hidden

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1] to the features (N, 64)."""
        return self.hidden(images) / self.scale

    def logits(self, features: Tensor) -> Tensor:
        """Features (N, 64) to the head's outputs (N, K)."""
        logits: Tensor = self.head(features * self.scale)
        return logits

    @torch.no_grad()
    def begin(self, images: Tensor) -> None:
        """Take the mean and the standard deviation of the images' pixels for the input's normalisation."""
        pixels = torch.cat([as_float(images[part]).flatten() for part in batches(images[:1000])]).double()
        self.mean.fill_(pixels.mean())
        self.deviation.fill_(max(float(pixels.std()), 1e-3))

    @torch.no_grad()
    def finish(self, images: Tensor) -> None:
        """Choose the scale by which the features of these images have the variance 1 on average.

        So the FID of any data set has one unit (64 is the distance of one image repeated, if it lies at the mean),
        and the kernel of the KID is neither constant nor a pure cube.
        """
        hidden = torch.cat([self.hidden(as_float(images[part])) for part in batches(images)]).double()
        variance = float(hidden.var(0, correction=0).mean())
        if not math.isfinite(variance):
            raise RuntimeError("the training of the feature extractor diverged")
        self.scale.fill_(math.sqrt(variance) if variance > 0 else 1.0)


def train_network(recipe: Recipe, train: Split, held_out: Split, classes: int) -> tuple[FeatureNetwork, float]:
    """Train a network for images like these; return it in evaluation mode on the CPU, with its held-out accuracy.

    The accuracy is the share of labels, or of rotations for ``self_supervised``, that are predicted correctly.
    """
    train, held_out = train.to(torch.device("cpu")), held_out.to(torch.device("cpu"))
    shape: Shape = tuple(train.examples.shape[1:])
    # the extractor must not depend on how many threads there are, as sums over several do
    with torch.random.fork_rng(devices=[]), use_threads(1):
        torch.manual_seed(recipe.seed)
        network = FeatureNetwork(shape, classes if recipe.kind == "classifier" else _ROTATIONS)
        network.to(memory_format=torch.channels_last)
        network.begin(train.examples)
        task = Labels(network) if recipe.kind == "classifier" else Views(network)
        optimiser = OPTIMISERS["adamw"](task.parameters(), lr=recipe.learning_rate, weight_decay=0.01)
        generator = torch.Generator().manual_seed(recipe.seed)
        count = max(min(recipe.images, recipe.passes * len(train)), min(len(train), 2 * recipe.images))
        batch = min(recipe.batch, len(train))
        steps = max(1, count // batch)
        for step, indices in enumerate(_batches(len(train), batch, steps, generator)):
            set_learning_rate(optimiser, recipe.learning_rate * SCHEDULES["one_cycle"](step / steps))
            loss = task.loss(train.take(indices), generator)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimiser.step()
        network.eval().requires_grad_(False)
        network.finish(train.examples[:5000])
        accuracy = task.accuracy(held_out)
    return network, accuracy


def _batches(count: int, size: int, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Draw the indices of `steps` full batches; each pass over the data has a new order."""
    while True:
        order = torch.randperm(count, generator=generator)
        for start in range(0, count - size + 1, size):
            if steps == 0:
                return
            steps -= 1
            yield order[start : start + size]


def _add_noise(images: Tensor, generator: torch.Generator) -> Tensor:
    """Add normal noise to images, with a standard deviation of up to 0.2 that is drawn for each image.

    A network that has only seen clean images finds faint noise worse than a class that is missing.
    """
    deviation = 0.2 * torch.rand((len(images), 1, 1, 1), generator=generator)
    return (images + deviation * torch.randn(images.shape, generator=generator)).clamp(0, 1)


class Labels(nn.Module):
    """A task for a network: predict the label of an image that was shifted a little and is noisy.

    Without the shift, a network memorises small data sets: the features of training images then differ from all others.
    """

    def __init__(self, network: FeatureNetwork) -> None:
        super().__init__()
        self.network = network

    def loss(self, batch: Split, generator: torch.Generator) -> Tensor:
        """Compute the cross-entropy."""
        assert batch.labels is not None
        images = _add_noise(AUGMENTATIONS["shift"](as_float(batch.examples), generator), generator)
        return F.cross_entropy(self.network.head(self.network.hidden(images)), batch.labels)

    @torch.no_grad()
    def accuracy(self, part: Split) -> float:
        """Compute the share of labels that are predicted correctly."""
        assert part.labels is not None
        predicted = [self.network.logits(self.network(as_float(part.examples[s]))) for s in batches(part.examples)]
        return float((torch.cat(predicted).argmax(1) == part.labels).double().mean())


_ROTATIONS = 4
_TEMPERATURE = 0.2


class Views(nn.Module):
    """A task for a network: recognise an image in another view of it, and tell by how much it was turned.

    The first is SimCLR's loss (Chen et al. 2020, equation 1, temperature 0.2) through a projection of two layers;
    the second RotNet's (Gidaris et al. 2018), of half a batch, with weight 1/2. The second alone is blind
    to missing classes. Views are never blurred, because features must notice blur.
    """

    def __init__(self, network: FeatureNetwork) -> None:
        super().__init__()
        self.network = network
        self.projection = nn.Sequential(nn.Linear(FEATURES, FEATURES), nn.ReLU(), nn.Linear(FEATURES, 32))

    def loss(self, batch: Split, generator: torch.Generator) -> Tensor:
        """Compute the sum of both losses."""
        images = as_float(batch.examples)
        turned, turns = rotate_images(images[: max(1, len(images) // 2)], generator)
        hidden = self.network.hidden(
            torch.cat([augment_view(images, generator), augment_view(images, generator), turned])
        )
        of_views, of_turned = hidden[: 2 * len(images)], hidden[2 * len(images) :]
        rotation = F.cross_entropy(self.network.head(of_turned), turns)
        return contrastive_loss(self.projection(of_views), _TEMPERATURE) + 0.5 * rotation

    @torch.no_grad()
    def accuracy(self, part: Split) -> float:
        """Compute the share of rotations that are predicted correctly."""
        generator = torch.Generator().manual_seed(0)
        right = 0
        for indices in batches(part.examples):
            turned, turns = rotate_images(as_float(part.examples[indices]), generator)
            right += int((self.network.logits(self.network(turned)).argmax(1) == turns).sum())
        return right / len(part)


def contrastive_loss(projections: Tensor, temperature: float) -> Tensor:
    """Compute the normalised temperature-scaled cross-entropy of (2N, P); rows i and N + i are views of one image."""
    unit = F.normalize(projections, dim=1)
    similarities = (unit @ unit.T / temperature).fill_diagonal_(-1e9)  # not among the others
    partner = torch.arange(len(unit)).roll(len(unit) // 2)
    return F.cross_entropy(similarities, partner)


def rotate_images(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Turn each image (N, C, H, W) by a random number of right angles; return the images and these numbers, (N,).

    Images that are not square are turned by none or two, so that they keep their shape.
    """
    square = images.shape[2] == images.shape[3]
    turns = torch.randint(4, (len(images),), generator=generator)
    if not square:
        turns = turns // 2 * 2
    result = images.clone()
    for number in torch.unique(turns).tolist():
        chosen = turns == number
        result[chosen] = torch.rot90(images[chosen], number, (2, 3))
    return result, turns


def augment_view(images: Tensor, generator: torch.Generator) -> Tensor:
    """Make another view of each image (N, C, H, W).

    It is turned by up to 15 degrees, scaled and sheared by up to 15%, moved by up to a tenth of a side, up to 20%
    brighter or darker, and noisy; the border is repeated where the image does not reach.
    """

    def uniform(most: float, *size: int) -> Tensor:
        return most * (2 * torch.rand((len(images), *size), generator=generator) - 1)

    angle, scale, shear = uniform(math.radians(15)), 1 + uniform(0.15), uniform(0.15)
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    rows = torch.stack([cosine, shear - sine, sine, cosine], dim=1).view(-1, 2, 2)
    affine = torch.cat([rows, uniform(0.2, 2, 1)], dim=2)  # grids reach from -1 to 1: a side is 2
    grid = F.affine_grid(affine, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return _add_noise((moved * (1 + uniform(0.2, 1, 1, 1))).clamp(0, 1), generator)
