"""A model of one's own: image classifiers, of which the size of the input is searched as well.

python examples/image_classifier.py
nas search --space examples.image_classifier:Classifiers --dataset digits --strategy reinforce
nas search --space examples.image_classifier:Classifiers --objective accuracy --objective multiply_adds --prune 0.5
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

import nas
from evaluators.task import Task
from nas.core.genotype import Genotype
from nas.core.metric import Metric, metrics_by_name
from nas.core.space import Shape
from nas.data.dataset import Split
from search_spaces.choices import Asker, ChoiceSpace

OPERATIONS: dict[str, Callable[[int, int], nn.Module]] = {
    "conv_3x3": lambda inputs, outputs: nn.Conv2d(inputs, outputs, 3, padding=1),
    "conv_5x5": lambda inputs, outputs: nn.Conv2d(inputs, outputs, 5, padding=2),
    "dilated_3x3": lambda inputs, outputs: nn.Conv2d(inputs, outputs, 3, padding=2, dilation=2),
    "separable_5x5": lambda inputs, outputs: nn.Sequential(
        nn.Conv2d(inputs, inputs, 5, padding=2, groups=inputs), nn.Conv2d(inputs, outputs, 1)
    ),
}
"""What a layer can be, of the numbers of channels that it takes and gives."""


class Classifiers(ChoiceSpace):
    """Images are resized, then pass through layers of convolution, each half as large as the one before."""

    name = "image-classifiers"
    task = "examples.image_classifier:ClassifierTask"  # what its models are trained for

    def decide(self, ask: Asker) -> None:
        """Ask for every choice; a later one may depend on an earlier one, as layers do on their number."""
        ask.structure("input_size", (4, 6, 8, 12, 16, 24, 32), ordered=True, usual=8)
        ask.structure("width", (8, 16, 32, 64), ordered=True, usual=16)
        for number in range(1, 1 + ask.structure("layers", (1, 2, 3, 4), ordered=True, usual=2)):
            ask.operation(f"layer{number}", OPERATIONS, usual="conv_3x3")
        ask.hyperparameter("learning_rate", (3e-4, 1e-3, 3e-3, 1e-2), ordered=True, usual=3e-3)
        ask.hyperparameter("batch_size", (16, 32, 64), ordered=True, usual=32)
        ask.hyperparameter("augmentation", ("none", "shift"), usual="none")
        ask.hyperparameter("label_smoothing", (0.0, 0.05, 0.1), ordered=True, usual=0.0)

    def build(self, genotype: Genotype, shape: Shape) -> nn.Module:
        """The model that a genotype is, for images (N, *shape); `condition` is what the data tell of an image."""
        chosen, channels = genotype.content, shape[0]
        side, width = chosen["input_size"], chosen["width"]
        layers: list[nn.Module] = [nn.Upsample(size=(side, side), mode="bilinear")]  # it makes smaller as well
        for number in range(1, 1 + chosen["layers"]):
            layers += [OPERATIONS[chosen[f"layer{number}"]](channels, width), nn.BatchNorm2d(width), nn.ReLU()]
            if side >= 4:
                layers.append(nn.MaxPool2d(2))
            channels, side = width, side // 2 if side >= 4 else side
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, self.condition.size))


class ClassifierTask(Task):
    """How classifiers are trained and what is measured of them; what they cost is measured of every model."""

    name = "image-classifier"
    told = "label"  # data without labels are refused
    outputs = ("scores",)
    quality = metrics_by_name(Metric("accuracy", "maximize"), Metric("cross_entropy", "minimize", "nats"))

    def loss(self, model: nn.Module, batch: Split, hyperparameters: Any, progress: float, generator: Any) -> Tensor:
        smoothing = hyperparameters["label_smoothing"]
        return F.cross_entropy(model(batch.examples), batch.labels, label_smoothing=smoothing)

    def measure(self, outputs: Tensor, split: Split) -> dict[str, float]:
        right = outputs.argmax(1) == split.labels
        return {"accuracy": right.float().mean().item(), "cross_entropy": F.cross_entropy(outputs, split.labels).item()}


if __name__ == "__main__":
    run = nas.search(
        "examples.image_classifier:Classifiers", "digits", trials=12, epochs=5
    )  # nas show finds it by name
    print(run.best.description, run.tested)
