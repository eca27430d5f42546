"""A kind of model for rows of tables: linear classifiers, to which what is missing is zero."""

import torch.nn.functional as F
from torch import nn

from evaluators.task import Task
from nas.core.metric import Metric, metrics_by_name
from search_spaces.choices import ChoiceSpace


class RowClassifiers(ChoiceSpace):
    """Linear classifiers of vectors."""

    name, task, data_kinds = "row-classifiers", "tests.parts.rows:RowTask", ("vector",)

    def decide(self, ask):
        ask.hyperparameter("learning_rate", (1e-2, 3e-2, 1e-1), ordered=True, usual=1e-1)

    def build(self, genotype, shape):
        return nn.Sequential(nn.Linear(shape[0], self.condition.size))


class RowTask(Task):
    """The class of a row."""

    name, told, outputs = "row-classifier", "label", ("scores",)
    quality = metrics_by_name(Metric("accuracy", "maximize"))

    def loss(self, model, batch, hyperparameters, progress, generator):
        return F.cross_entropy(model(batch.examples.nan_to_num()), batch.labels)

    def measure(self, outputs, split):
        return {"accuracy": (outputs.nan_to_num().argmax(1) == split.labels).float().mean().item()}
