"""The evaluator of autoencoders as a class of its own, for tests that change what it does."""

from torch import nn

from evaluators.autoencoder.bounds import as_autoencoder
from evaluators.autoencoder.families import training_loss
from evaluators.autoencoder.task import AutoencoderTask
from evaluators.training.single_network import SingleNetworkTraining
from evaluators.training_evaluator import TrainingEvaluator
from search_spaces.autoencoder.modules import VariationalAutoencoder


class AutoencoderEvaluator(TrainingEvaluator):
    """What AutoencoderTask.make_evaluator gives."""

    def __init__(self, space, data, *, epochs, device="cpu", grow=False):
        super().__init__(AutoencoderTask(space, data, device), epochs=epochs, grow=grow)


def autoencoder_loss(model, batch, *given):
    """The loss of the model's family; see AutoencoderTask.loss."""
    return training_loss(as_autoencoder(model), batch.examples, *given)


def autoencoder_training(model, hyperparameters, epochs, seed):
    """The training of a model by the loss of its family."""
    return SingleNetworkTraining(model, autoencoder_loss, hyperparameters, epochs, seed)


class Bare(VariationalAutoencoder):
    """A variational autoencoder without an encoder, a decoder and an output, which a subclass gives as it likes."""

    def __init__(self):
        nn.Module.__init__(self)
