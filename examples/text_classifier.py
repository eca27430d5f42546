"""A model of one's own with two heads: topic and mood of a sentence, of which some classes are rare.

python examples/text_classifier.py
nas search --space examples.text_classifier:TextClassifiers --dataset examples.text_classifier:sentences
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import f1_score
from torch import Tensor, nn

import nas
from evaluators.task import Task
from nas.core.genotype import Genotype
from nas.core.metric import Metric, metrics_by_name
from nas.core.space import Shape
from nas.data.dataset import Split
from nas.data.source import UnsplitData
from search_spaces.choices import Asker, ChoiceSpace

TOPICS = {"sport": ("match", "goal", "coach"), "film": ("actor", "scene", "plot"), "food": ("soup", "cook", "salt")}
MOODS = {"good": ("great", "fine", "lovely"), "bad": ("awful", "poor", "dull")}
VOCABULARY = ("not", "the", "a", "is", "was", "so", *sum((*TOPICS.values(), *MOODS.values()), ()))


def sentences(count: int = 1500, length: int = 8, seed: int = 0) -> UnsplitData:
    """Sentences (N, 1, T) of word numbers, and of each its topic and mood as a vector (N, 2); "not dull" is good."""
    draw, number = np.random.default_rng(seed), {word: place for place, word in enumerate(VOCABULARY)}
    told = np.stack([draw.choice(3, count, p=(0.8, 0.15, 0.05)), draw.choice(2, count, p=(0.85, 0.15))], axis=1)
    words = draw.integers(1, 6, (count, length))
    for row, (topic, mood) in zip(words, told, strict=True):
        denied, place = draw.random() < 0.5, draw.integers(2, length)
        row[place - 1] = number["not"] if denied else row[place - 1]
        row[place] = number[draw.choice([*MOODS.values()][1 - mood if denied else mood])]
        row[(place + draw.integers(1, length - 1)) % length] = number[draw.choice([*TOPICS.values()][topic])]
    examples, vectors = torch.from_numpy(words[:, None]).float(), torch.from_numpy(told).float()
    return UnsplitData(Split(examples, vectors=vectors))


class Recurrent(nn.Module):
    """A module of one's own can be exported if it keeps its arguments under their names and uses torch alone."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.transpose(1, 2))[0].transpose(1, 2)


class TwoHeads(nn.Module):
    """Scores of topics (N, 3) and of moods (N, 2), of one encoding."""

    def __init__(self, embedding: nn.Module, encoder: nn.Module, topic: nn.Module, mood: nn.Module) -> None:
        super().__init__()
        self.embedding, self.encoder, self.topic, self.mood = embedding, encoder, topic, mood

    def forward(self, words: Tensor) -> tuple[Tensor, Tensor]:
        code = self.encoder(self.embedding(words[:, 0].long()).transpose(1, 2))
        return self.topic(code), self.mood(code)


class TextClassifiers(ChoiceSpace):
    """Words are embedded and encoded; training decides how rare classes count, and what is frozen at first."""

    name, task, data_kinds = "text-classifiers", "examples.text_classifier:TextTask", ("sequence",)

    def decide(self, ask: Asker) -> None:
        ask.operation("encoder", ("bag", "convolution", "recurrent"), usual="convolution")
        ask.structure("width", (8, 16, 32, 64), ordered=True, usual=32)
        ask.structure("depth", (1, 2, 3), ordered=True, usual=1)
        ask.hyperparameter("learning_rate", (1e-3, 3e-3, 1e-2, 3e-2), ordered=True, usual=1e-2)
        ask.hyperparameter("rare_classes", ("plain", "weighted", "focal"), usual="weighted")
        frozen = ask.hyperparameter("frozen", ("nothing", "embedding", "embedding_and_encoder"), usual="nothing")
        if frozen != "nothing":
            ask.hyperparameter("frozen_share", (0.1, 0.25, 0.5), ordered=True)  # of the training, at its beginning

    def build(self, genotype: Genotype, shape: Shape) -> nn.Module:
        kind, width, depth = (genotype.content[name] for name in ("encoder", "width", "depth"))
        layers: list[nn.Module] = []
        if kind == "recurrent":
            layers = [Recurrent(nn.GRU(width, width, depth, batch_first=True))]
        for _ in range(depth if kind != "recurrent" else 0):
            layers += [nn.Conv1d(width, width, 3 if kind == "convolution" else 1, padding="same"), nn.ReLU()]
        code = (nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(width, 2 * width), nn.ReLU())
        heads = (nn.Linear(2 * width, len(classes)) for classes in (TOPICS, MOODS))
        return TwoHeads(nn.Embedding(len(VOCABULARY), width), nn.Sequential(*layers, *code), *heads)


class TextTask(Task):
    """Both heads are trained at once, and scored by the F1 that counts each class alike."""

    name, told, outputs = "text-classifier", "vector", ("topic", "mood")
    quality = metrics_by_name(*(Metric(f1, "maximize") for f1 in ("macro_f1", "topic_f1", "mood_f1")))

    def loss(self, model: nn.Module, batch: Split, hyperparameters: Any, progress: float, generator: Any) -> Tensor:
        frozen = hyperparameters["frozen"] if progress < hyperparameters.get("frozen_share", 0) else "nothing"
        model.embedding.requires_grad_(frozen == "nothing")
        model.encoder.requires_grad_(frozen != "embedding_and_encoder")
        total = torch.zeros((), device=self.device)
        for head, scores in enumerate(model(batch.examples)):
            wanted, trained_on = batch.vectors[:, head].long(), self.train_data.vectors[:, head].long()
            each = F.cross_entropy(scores, wanted, reduction="none")
            if hyperparameters["rare_classes"] == "focal":  # Lin et al. 2017, equation 4
                each = each * (1 - torch.exp(-each)) ** 2
            elif hyperparameters["rare_classes"] == "weighted":  # every class counts alike
                each = each * (len(trained_on) / scores.shape[1] / torch.bincount(trained_on))[wanted]
            total = total + each.mean()
        return total

    def measure(self, outputs: tuple[Tensor, Tensor], split: Split) -> dict[str, float]:
        guesses = [scores.argmax(1).cpu() for scores in outputs]
        topic, mood = (f1_score(split.vectors[:, i].cpu(), guesses[i], average="macro") for i in (0, 1))
        return {"macro_f1": (topic + mood) / 2, "topic_f1": topic, "mood_f1": mood}


if __name__ == "__main__":
    run = nas.search(
        "examples.text_classifier:TextClassifiers", "examples.text_classifier:sentences", trials=12, epochs=5
    )
    print(run.best.description, run.tested)
