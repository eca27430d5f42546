"""Autoencoders: what is special about training and scoring them."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from evaluators.adversarial.task import REAL
from evaluators.autoencoder.baselines import score_linearly
from evaluators.autoencoder.bounds import (
    AutoencoderModel,
    as_autoencoder,
    draw_prior,
    fit_decoder_variance,
    name_likelihood,
    remove_critic,
)
from evaluators.autoencoder.delivery import deliver_autoencoder
from evaluators.autoencoder.families import training_loss
from evaluators.autoencoder.scores import score_reconstructions
from evaluators.autoencoder.uses import METRICS as USES
from evaluators.autoencoder.uses import explain_lacks, measure_uses
from evaluators.metrics.cost import PeakMemory
from evaluators.metrics.exact import as_double
from evaluators.pruning.pruning import LATENCY_BATCH, Calls
from evaluators.task import CALIBRATION, Task
from evaluators.training.selection import Scored, Scores
from nas.core.errors import UserError
from nas.core.evaluator import BOUND_SAMPLES, Assumption, Deliverable, Examination
from nas.core.genotype import Genotype
from nas.core.metric import Metric, metrics_by_name
from nas.core.space import SearchSpace
from nas.core.supernet import SupernetPlan
from nas.core.trial import Measurement, Trial
from nas.data.columns import find_places
from nas.data.dataset import Dataset, Split, as_float, batches

_OF_IMAGES = ("psnr", "ssim", "sample_fid", "real_fid")
_BOUNDS = ("elbo", "log_likelihood", "iwae_bound")
_WIDEST_ON_CPU = 32
_RANKING_IMAGES = 10_000
_FITTED_IMAGES = 1_000  # of the training part, that say how sure a decoder is
_FEWEST_TO_COMPARE = 100  # images; an FID of fewer says little


class AutoencoderTask(Task):
    """Trains autoencoders on images, vectors or sequences, and scores reconstructions.

    The space's models have an ``encoder``, a ``decoder``, an ``output`` that turns what the decoder gives into
    images, and ``variational``; see evaluators.autoencoder.bounds.AutoencoderModel.

    Of vectors, rows of a table, numbers have squared errors, and words cross-entropies or a categorical likelihood;
    what is missing has no say; all of a sequence is numbers. Their metrics are those that need no picture.

    Metrics: ``mse``, ``psnr`` and ``ssim`` of the reconstructions; for denoising families ``denoising_mse``, from a
    corrupted input; for masked ones ``masked_mse``, of what is hidden from them; for variational ones, those of
    categories and importance-weighted ones among them, ``elbo`` and its two parts, ``log_likelihood`` and ``kl``, and
    ``iwae_bound``: nats an image, from 4 samples of its code, the mean over 2,000 images at most. They are of
    densities, or of probabilities where every value of the data is 0 or 1, or where the likelihood is of 8-bit values,
    which compare with each other alone: what a Bernoulli likelihood has made of grey
    values is scored by the continuous one. The Gaussian has, on whatever part, the variance that is optimal for 1,000
    training images, so that ``elbo`` bounds the density of a part that has no say in it. ``log_likelihood`` is an
    objective although larger codes raise it: pin ``latent`` to compare codes of one size. Of vector quantised ones
    ``codebook_perplexity``: exp of the entropy of what their codes consist of.

    Of evaluators.autoencoder.uses those that are `measured`, which objectives are.

    On a test part of 100 images or more those whose prior can be sampled also have ``sample_fid``, of such samples, and
    beside it ``real_fid``; see evaluators.metrics.samples.make_reference.
    """

    name = "autoencoder"
    data_kinds = ("image", "vector", "sequence")
    standardises = True
    trains_on_some_labels = True
    quality = metrics_by_name(
        Metric("mse", "minimize"),
        Metric("psnr", "maximize", "dB"),
        Metric("ssim", "maximize"),
        Metric("denoising_mse", "minimize"),
        Metric("masked_mse", "minimize"),
        Metric("elbo", "maximize", "nats"),
        Metric("log_likelihood", "maximize", "nats"),
        Metric("iwae_bound", "maximize", "nats"),
        Metric("kl", "minimize", "nats", caveat="codes that ignore the image have the least"),
        Metric("accuracy", "maximize"),
        Metric("codebook_perplexity", "maximize", caveat="codes that ignore the image may use all of a codebook"),
        Metric("sample_fid", "minimize", caveat="is measured on the test part alone, as it takes too long for epochs"),
        REAL,
        *USES.values(),
    )
    on_demand = Task.on_demand | frozenset(USES)
    picture = "reconstructions.png"
    program = "autoencoder"
    examines = True

    def __init__(self, space: SearchSpace, data: Dataset, device: str = "cpu", measured: tuple[str, ...] = ()) -> None:
        super().__init__(space, data, device)
        self._measured = measured

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The metrics on this data: only images have those that need pictures, and there may be no labels."""
        absent = set(() if self._pictured else _OF_IMAGES)
        absent |= set(("accuracy",) if self.data.validation.labels is None else ())
        found = {name: one for name, one in super().metrics.items() if name not in absent}
        lacks = {name: replace(found[name], caveat=why) for name, why in explain_lacks(self.data).items()}
        return {**found, **lacks}

    @classmethod
    def usual_epochs(cls, data: Dataset, epoch_size: int | None = None) -> int:
        """As many as show a network 10,000 images: enough to tell which ones learn."""
        count = len(data.train)
        return -(-_RANKING_IMAGES // min(count, epoch_size or count))

    def assumptions(self, objective: str) -> list[Assumption]:
        """Restrict the space so that an objective makes sense, and models fit a CPU."""
        values = math.prod(self.data.shape)
        latent = max((size for size in (2, 4, 8, 16, 32) if size <= values // 4), default=2)
        needed = []
        if objective in ("mse", "psnr", "ssim", "denoising_mse", "masked_mse", "probe_accuracy"):
            reason = f"with larger codes {objective} is always better"
            needed.append(Assumption("latent", (latent,), reason))
        if objective in ("mse", "psnr", "ssim"):
            reason = f"the others give up some {objective}, to draw new examples or for other uses"
            needed.append(Assumption("family", ("plain", "denoising"), reason))
        if self.device.type == "cpu":
            reason = "wider networks take minutes a trial on a CPU"
            narrow = tuple(range(1, _WIDEST_ON_CPU + 1))
            needed += [Assumption(site, narrow, reason) for site in ("width", "decoder_width")]
        if objective == "denoising_mse":
            needed.append(Assumption("family", ("denoising",), "only it is trained on noise"))
            needed.append(Assumption("corruption", ("gaussian",), "errors under other corruptions do not compare"))
            needed.append(Assumption("noise_variance", (0.03,), "with less noise denoising_mse is always better"))
        if objective == "masked_mse":
            needed.append(Assumption("family", ("masked",), "only it is trained on what is hidden"))
            needed.append(Assumption("masked_share", (0.5,), "less would be easier to guess"))
            needed.append(Assumption("patches_a_side", (7,), "smaller ones would be easier to guess"))
        if objective == "accuracy":
            needed.append(Assumption("family", ("semi_supervised",), "only it has a classifier"))
        if objective in _BOUNDS:
            needed.append(Assumption("family", ("variational",), f"usual of those that have {objective}"))
            kind, reason = "gaussian", "grey values have no Bernoulli one, and the continuous has no bound at 0 and 1"
            if self._binary:
                kind, reason = "bernoulli", "all values are 0 or 1, and densities do not compare with probabilities"
            needed.append(Assumption("likelihood", (kind,), reason))
        return needed

    def hyperparameters(self, genotype: Genotype) -> Mapping[str, Any]:
        """Those that the space has decided, and the ``family``, where that is a decision, as losses depend on it."""
        family = genotype.content.get("family")
        return {**super().hyperparameters(genotype), **({} if family is None else {"family": family})}

    def loss(
        self,
        model: nn.Module,
        batch: Split,
        hyperparameters: Mapping[str, Any],
        progress: float,
        generator: torch.Generator,
    ) -> Tensor:
        """Compute the loss of the model's family; see evaluators.autoencoder.families.LOSSES."""
        model_of_batch = self._view(model, batch.seen_labels)
        return training_loss(model_of_batch, batch.examples, hyperparameters, progress, generator)

    def score(
        self,
        model: nn.Module,
        evaluated: nn.Module,
        hyperparameters: Mapping[str, Any],
        seed: int,
        *,
        part: Scored = "validation",
        memory: PeakMemory | None = None,
    ) -> Scores:
        """Score reconstructions of a part, and of the test part samples as well; see evaluators.autoencoder.scores."""
        split = self._part(part)
        images = self._validation if part == "validation" else as_float(split.examples)
        autoencoder = self._view(evaluated.eval(), split.labels)
        variance = None
        if autoencoder.variational:
            hyperparameters = {**hyperparameters, "likelihood": self._choose_density(hyperparameters)}
            if hyperparameters["likelihood"] == "gaussian":
                fitted = self.train_data.take(slice(_FITTED_IMAGES))
                codes, told = torch.Generator(self.device), self._view(evaluated, fitted.labels)
                variance = fit_decoder_variance(told, as_float(fitted.examples), codes.manual_seed(seed))
        found = score_reconstructions(autoencoder, images, hyperparameters, seed, memory, variance)
        if self._measured and part != "seen":
            found = Scores({**found.metrics, **self._measure_uses(autoencoder, part)}, found.rows)
        few = min(len(images), len(self.data.validation)) < _FEWEST_TO_COMPARE
        if part != "test" or few or not (autoencoder.samples_prior and self._pictured):
            return found
        return Scores({**found.metrics, **self._score_samples(evaluated, seed)}, found.rows)

    def _measure_uses(self, autoencoder: AutoencoderModel, part: Literal["validation", "test"]) -> dict[str, float]:
        normal, anomalies = self._part(part), self.data.validation_anomalies
        if part == "test":
            anomalies = self.data.test_anomalies
        elif self.scored_examples is not None and anomalies is not None:
            anomalies = anomalies.take(slice(self.scored_examples))
        return measure_uses(self._measured, autoencoder, self.train_data, normal, anomalies)

    def _choose_density(self, hyperparameters: Mapping[str, Any]) -> str:
        """Choose the likelihood that a variational model is scored with: its own, unless that is none of the data.

        Genotypes of earlier versions, which say ``loss`` instead, keep the scores that their runs began with.
        """
        kind = name_likelihood(hyperparameters)
        grey = kind == "bernoulli" and "likelihood" in hyperparameters and not self._binary
        return "continuous_bernoulli" if grey else kind

    def _score_samples(self, model: nn.Module, seed: int) -> dict[str, float]:
        """Compute ``sample_fid`` and ``real_fid``, on the test part."""
        from evaluators.features.extractor import load_extractor
        from evaluators.metrics.samples import frechet_distance, make_reference

        extractor = load_extractor(self.data, device=self.device)
        reference = make_reference(self.data, extractor, part="test")
        images = as_float(self._part("test").examples[: reference.samples])
        samples = draw_prior(as_autoencoder(model), images, torch.Generator(self.device).manual_seed(seed))
        fid = frechet_distance(reference.features, as_double(extractor.features(samples)))
        assert reference.real_fid is not None
        return {"sample_fid": fid, "real_fid": reference.real_fid}

    def _view(self, model: nn.Module, labels: Tensor | None = None) -> AutoencoderModel:
        return as_autoencoder(model, self._words, labels)

    @functools.cached_property
    def _words(self) -> tuple[slice, ...]:
        """The places of each column of words in a vector."""
        every = zip(self.data.columns, find_places(self.data.columns), strict=True)
        return tuple(place for column, place in every if column.values)

    @property
    def _pictured(self) -> bool:
        return bool(self.data.kind == "image")

    @functools.cached_property
    def _validation(self) -> Tensor:
        return as_float(self._part("validation").examples)

    @functools.cached_property
    def _binary(self) -> bool:
        """Whether every value of the data is 0 or 1."""
        parts = (part.examples for part in (self.data.train, self.data.validation, self.data.test))
        some = (as_float(examples[rows]) for examples in parts for rows in batches(examples))
        return all(bool(((values == 0) | (values == 1)).all()) for values in some)

    def baselines(self, genotype: Genotype) -> dict[str, dict[str, float]]:
        """Score principal components with a code of the genotype's size on the test part."""
        size = min(int(genotype.content["latent"]), math.prod(self.data.shape)) if "latent" in genotype.content else 0
        if not size:
            return {}
        scores = score_linearly(self.data, size, aurocs="anomaly_auroc" in self._measured)
        return {f"PCA with {size} components": scores}

    def examine(
        self,
        genotype: Genotype,
        model: nn.Module,
        seed: int,
        *,
        bound_samples: int = BOUND_SAMPLES,
        quick: bool = False,
        until: float | None = None,
    ) -> Examination:
        """Judge a trained autoencoder by what it is used for; see evaluators.examination."""
        from evaluators.autoencoder.examination import make_subject  # scikit-learn takes seconds to import
        from evaluators.examination.effort import plan_quick
        from evaluators.examination.examination import examine_uses

        hyperparameters, autoencoder = self.hyperparameters(genotype), self._view(model)
        likelihood = self._choose_density(hyperparameters) if autoencoder.variational else ""
        fitted = as_float(self.train_data.examples[:_FITTED_IMAGES])
        subject = make_subject(autoencoder, hyperparameters, likelihood, fitted, self.device, seed)
        effort = plan_quick(self.cost(model)["multiply_adds"], bound_samples, until) if quick else None
        return examine_uses(subject, self.data, seed, bound_samples=bound_samples, effort=effort)

    def count_parameters(self, model: nn.Module) -> int:
        """Count the parameters without those of a critic."""
        return super().count_parameters(remove_critic(model))

    def cost(self, model: nn.Module) -> dict[str, float]:
        """``parameters`` and ``multiply_adds`` of what is delivered: without a critic."""
        return super().cost(remove_critic(model))

    def train_supernet(self, trial: Trial, plan: SupernetPlan) -> Iterator[Measurement]:
        """Train the supernet around the trial's genotype; see evaluators.task.Task.train_supernet.

        Raises:
            UserError: a contractive loss, which is of slopes itself, would be differentiated three times.
        """
        if plan.order == 2 and "contraction_weight" in self.hyperparameters(trial.genotype):
            why = "batch normalisation has no third derivatives, which contractive autoencoders need"
            raise UserError("--set order", 2, "1", why=why)
        return super().train_supernet(trial, plan)

    def prunable_parts(self, model: nn.Module) -> Calls:
        """Give encoder and decoder, which are pruned separately, so that codes keep their size."""
        images, *labels = self.example_inputs(model, LATENCY_BATCH)
        autoencoder = self._view(model.eval(), *labels)
        with torch.no_grad():
            calls: Calls = {"encoder": (autoencoder.tell(images),), "decoder": (autoencoder.encode(images),)}
        return {**calls, "classifier": (images,)} if autoencoder.finds_classes else calls

    def example_inputs(self, model: nn.Module, count: int) -> tuple[Tensor, ...]:
        """Examples, and for a model that is told them their classes; see Task.example_inputs."""
        return self._add_labels(model, self.data.validation.take(slice(count)).to(torch.device("cpu")))

    def calibration_batches(self, model: nn.Module, hyperparameters: Mapping[str, Any]) -> Iterable[tuple[Tensor, ...]]:
        """Examples with what a model is told of them; see Task.calibration_batches."""
        size = self.batch_size(hyperparameters)
        starts = range(0, min(len(self.train_data), CALIBRATION * size), size)
        return [self._add_labels(model, self.train_data.take(slice(start, start + size))) for start in starts]

    def _add_labels(self, model: nn.Module, split: Split) -> tuple[Tensor, ...]:
        """The arguments of a model's call: examples, and for one that is told them their classes."""
        told = as_autoencoder(model).told and split.labels is not None
        return (as_float(split.examples), *((split.labels,) if told else ()))

    def deliverables(self, genotype: Genotype, model: nn.Module) -> dict[str, Deliverable]:
        """Deliver the autoencoder and what else its family can do; see evaluators.autoencoder.delivery."""
        return deliver_autoencoder(self._view(remove_critic(model)), self.data)
