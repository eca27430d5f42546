"""Trains autoencoders and measures them after every epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from evaluators.autoencoder.losses import as_autoencoder
from evaluators.autoencoder.scores import scores_of
from evaluators.autoencoder.supernet import supernet_measurements
from evaluators.autoencoder.training import AutoencoderTraining
from evaluators.candidates import Candidates
from evaluators.gan.bilevel import CALIBRATION, candidate_of
from evaluators.metrics.cost import PeakMemory, Spent, multiply_adds, parameters
from evaluators.networks import as_safetensors, weights_of, within_memory
from evaluators.pruning.pruning import LATENCY_BATCH, Calls, epochs_of
from evaluators.supernets.one_shot import (
    AutoencoderPaths,
    PathScoring,
    scored_path,
    shares_weights,
    start_of_path,
    supernet_of,
    trained_paths,
)
from evaluators.training.checkpoint import Part, going_on, identity, last_epoch, packed
from evaluators.training.growth import Growth, blocks_of
from nas.core.errors import Diverged
from nas.core.evaluator import CHECKPOINT, WEIGHTS, Assumption, Deliverable
from nas.core.job import PruneChannels, ScoreWithSupernet, TrainPortion, TrainSupernet
from nas.core.trial import Measurement, Objective, Trial
from nas.data.dataset import Dataset, as_float

if TYPE_CHECKING:
    from nas.core.genotype import Genotype
    from nas.core.space import SearchSpace

OBJECTIVES = {
    name: Objective(name, "maximize" if name in ("psnr", "ssim", "elbo", "log_likelihood") else "minimize")
    for name in (
        "mse",
        "psnr",
        "ssim",
        "denoising_mse",
        "elbo",
        "log_likelihood",
        "kl",
        "parameters",
        "multiply_adds",
        "seconds",
        "peak_memory_mb",
    )
}
_LIKELIHOODS = ("elbo", "log_likelihood", "kl")
_WIDEST_ON_CPU = 32
_SUPERNET_EPOCHS = 20
_SAME_NOISE = 0  # the seed of what paths are scored with, whichever trial scores them


class AutoencoderEvaluator:
    """Trains a genotype of a space of autoencoders for a fixed number of epochs.

    The space's models have an ``encoder``, a ``decoder``, an ``output`` that turns what the decoder gives into
    images, and ``variational``; variational ones have ``posterior``. See search_spaces.autoencoder.modules.

    Metrics, of the validation part: ``mse``, ``psnr`` (dB) and ``ssim`` of the reconstructions; for denoising
    families ``denoising_mse``, from an input with noise; for variational ones ``elbo`` and its two parts,
    ``log_likelihood`` and ``kl`` (nats an image, one sample of the code an image); ``parameters``,
    ``multiply_adds`` (an image), ``seconds`` (of training and scoring so far) and ``peak_memory_mb``. Of a trial with a
    start also those of evaluators.inheritance.transfer.begin_from.

    Args:
        grow: networks are smaller at first, see evaluators.training.growth.Growth; measurements then bring its metrics
            as well.
    """

    inherits = True

    def __init__(
        self, space: SearchSpace, data: Dataset, *, epochs: int, device: str = "cpu", grow: bool = False
    ) -> None:
        self.space, self.data, self.epochs, self.device = space, data, epochs, torch.device(device)
        self._grow = grow
        self._candidates = Candidates(space, data.shape, self.device, self._passed, self._to_prune)
        self._train = data.train.to(self.device)
        self._validation = as_float(data.validation.examples.to(self.device))

    @property
    def objectives(self) -> Mapping[str, Objective]:
        """Every metric above; the default is the mean squared error."""
        return OBJECTIVES

    def assumptions(self, objective: str) -> list[Assumption]:
        """What an objective needs to make sense."""
        values = math.prod(self.data.shape)
        latent = max((size for size in (2, 4, 8, 16, 32) if size <= values // 4), default=2)
        needed = []
        if objective in ("mse", "psnr", "ssim", "denoising_mse"):
            reason = f"a larger code would win {objective} trivially"
            needed.append(Assumption("latent", (latent,), reason))
        if self.device.type == "cpu":
            reason = "on a CPU wider ones take minutes a trial"
            narrow = tuple(range(1, _WIDEST_ON_CPU + 1))
            needed += [Assumption(site, narrow, reason) for site in ("width", "decoder_width")]
        if objective == "denoising_mse":
            needed.append(Assumption("family", ("denoising",), "only it is trained on noise"))
            needed.append(Assumption("noise_variance", (0.03,), "less noise would win denoising_mse trivially"))
        if objective in _LIKELIHOODS:
            needed.append(Assumption("family", ("variational",), f"only it has {objective}"))
            needed.append(Assumption("loss", ("bce",), "nats of different likelihoods do not compare"))
        return needed

    def evaluate(self, trial: Trial) -> Iterator[Measurement]:
        """One measurement after every epoch, with a picture; the last brings the weights as well.

        Raises:
            Diverged: the loss or a metric is not finite.
            OutOfMemory: the allocator gave up.
        """
        if isinstance(trial.job, TrainSupernet):
            return self.train_supernet(trial)
        of = self._evaluate_path if isinstance(trial.job, ScoreWithSupernet) else self._evaluate
        return within_memory(of(trial), self.device)

    def train(self, trial: Trial, checkpoint: bytes | None = None, *, every: int = 1) -> Iterator[Measurement]:
        """As `evaluate`, with checkpoints to go on from; see nas.core.evaluator.Continuable.

        Raises:
            UserError: the checkpoint is damaged, or of another training.
            Diverged, OutOfMemory: as in `evaluate`.
        """
        return within_memory(self._evaluate(trial, checkpoint, every), self.device)

    def train_supernet(self, trial: Trial) -> Iterator[Measurement]:
        """One measurement after every epoch, with a picture and the alphas of all epochs so far as ``alphas.json``.

        Metrics: those of quality, of the mixture or of the strongest operations where single ones are drawn;
        ``training_loss`` and ``validation_loss`` on the halves of the training part; ``skips`` of the derived cell
        that has the most of them, ``entropy`` of an edge (nats, the mean); and what it costs. After two epochs in a
        row with more skips than the plan's ``max_skips``, the training ends.

        Of a supernet that is trained by paths: the metrics of the base's path, and what it costs.

        Raises:
            UserError: the evaluator's space has no supernets.
            Diverged, OutOfMemory: as in `evaluate`.
        """
        assert isinstance(trial.job, TrainSupernet)
        by_gradient = trial.job.plan.paths is None
        return within_memory((self._train_supernet if by_gradient else self._train_paths)(trial), self.device)

    def prune(self, trial: Trial) -> Iterator[Measurement]:
        """As `evaluate`, of a trained model with fewer channels in encoder and decoder; see nas.core.evaluator.Prunes.

        Metrics besides: ``latency_ms`` and ``unpruned_latency_ms`` of a batch; see
        evaluators.pruning.pruning.latencies.

        Raises:
            CandidateFailure: nothing can be removed, or the weights to start from were not kept.
            Diverged, OutOfMemory: as in `evaluate`.
        """
        return within_memory(self._evaluate(trial), self.device)

    def check_prunable(self, genotype: Genotype) -> None:
        """Refuse a genotype of whose models no channels can be removed; see nas.core.evaluator.Prunes."""
        self._candidates.check_prunable(genotype)

    def _to_prune(self, model: nn.Module) -> Calls:
        """Each by itself: codes keep their size."""
        images = self._validation[:LATENCY_BATCH].cpu()
        with torch.no_grad():
            codes = as_autoencoder(model.eval()).encode(images)
        return {"encoder": (images,), "decoder": (codes,)}

    def _evaluate(
        self, trial: Trial, checkpoint: bytes | None = None, every: int | None = None
    ) -> Iterator[Measurement]:
        own = identity("autoencoder", trial, self.epochs, self.data, device=self.device.type)  # generators differ
        hyperparameters = self.space.hyperparameters(trial.genotype)
        epochs = epochs_of(trial, self.epochs, len(self.data.train), int(hyperparameters["batch_size"]))
        kept, last = going_on(trial, own, checkpoint), last_epoch(trial, epochs)
        portion = isinstance(trial.job, TrainPortion)
        spent = Spent()
        with spent:
            made = self._candidates.made(trial)
            model, memory = made.model, PeakMemory(self.device)
            cost = {**made.cost, **self._cost(model)}
            # a pruned version trains at its own rates: half of them left errors 1% to 11% larger (docs/design.md)
            training = AutoencoderTraining(model, hyperparameters, epochs, trial.seed)
            if self._grow and not isinstance(trial.job, PruneChannels):
                training.growth = Growth(model, blocks_of(model, self._passed), epochs)
        parts: dict[str, Part] = {"training": training, "spent": spent}
        for name, state in kept.items():
            parts[name].restore(state)
        for epoch in range(training.epochs_done + 1, last + 1):
            with spent:
                training.epoch(self._train, memory)
                metrics, picture = scores_of(model, self._validation, training.hyperparameters, trial.seed, memory)
                for name, value in metrics.items():
                    if not math.isfinite(value):
                        raise Diverged(f"{name} is {value} after epoch {epoch}")
                artifacts = {"reconstructions.png": picture}
                if epoch == last:
                    artifacts[WEIGHTS] = as_safetensors(model.state_dict(), made.texts)
            metrics |= cost | spent.metrics(memory)
            if training.growth is not None:
                metrics |= training.growth.metrics(epoch)
            if (every is not None and epoch % every == 0) or (epoch == last and (portion or every is not None)):
                artifacts[CHECKPOINT] = packed(own, parts)
            yield Measurement(epoch, metrics, artifacts)

    def _train_supernet(self, trial: Trial) -> Iterator[Measurement]:
        assert isinstance(trial.job, TrainSupernet)
        plan = trial.job.plan.completed(_SUPERNET_EPOCHS, "softmax")
        yield from supernet_measurements(self.space, trial, plan, self._train, self._validation)

    def _train_paths(self, trial: Trial) -> Iterator[Measurement]:
        assert isinstance(trial.job, TrainSupernet)
        base, asked = trial.genotype, trial.job.plan
        space, plan = shares_weights(self.space), asked.completed(_SUPERNET_EPOCHS, "gumbel")
        model = supernet_of(space, base, self.data.shape, trial.seed, self.device, trial.start)
        training, memory = AutoencoderPaths(model, space, trial, plan), PeakMemory(self.device)

        def epoch() -> None:
            training.epoch(self._train, memory)

        scoring = self._scoring(model, self.space.hyperparameters(base))
        yield from trained_paths(base, training.epochs, epoch, scoring, lambda: weights_of(model), memory)

    def _evaluate_path(self, trial: Trial) -> Iterator[Measurement]:
        start, space, memory = start_of_path(trial), shares_weights(self.space), PeakMemory(self.device)
        model = supernet_of(space, start.genotype, self.data.shape, trial.seed, self.device, start)
        yield from scored_path(trial.genotype, self._scoring(model, self.space.hyperparameters(trial.genotype)), memory)

    def _scoring(self, supernet: nn.Module, hyperparameters: Mapping[str, Any]) -> PathScoring:
        """How the paths of a supernet are scored: all with the same noise."""
        space, size = shares_weights(self.space), int(hyperparameters["batch_size"])
        parts = torch.split(self._train.examples, size)[:CALIBRATION]
        few = [(as_float(images),) for images in parts]

        def score(candidate: nn.Module) -> tuple[dict[str, float], dict[str, bytes]]:
            metrics, picture = scores_of(candidate, self._validation, hyperparameters, _SAME_NOISE)
            return metrics, {"reconstructions.png": picture}

        def cost(genotype: Genotype) -> dict[str, float]:
            return self._cost(self._candidates.build(genotype))

        return PathScoring(lambda genotype: candidate_of(supernet, space.path(genotype), few), score, cost)

    def _cost(self, model: nn.Module) -> dict[str, float]:
        made = multiply_adds(model, self._validation[:1])
        return {"parameters": float(parameters(model)), "multiply_adds": float(made)}

    def test(self, genotype: Genotype, model: nn.Module, seed: int) -> dict[str, float]:
        """The metrics of quality on the test part, which no search has seen."""
        images = as_float(self.data.test.examples.to(self.device))
        metrics, _ = scores_of(model.to(self.device), images, self.space.hyperparameters(genotype), seed)
        return metrics

    def deliverables(self, genotype: Genotype, model: nn.Module) -> dict[str, Deliverable]:
        """The autoencoder, shown on the first 16 images of the test part."""
        inputs = {"images": self.data.test.examples[:16]}
        return {"autoencoder": Deliverable(model, inputs, "reconstructions", "autoencoder")}

    def _passed(self, model: nn.Module) -> None:
        model(self._validation[:2])
