"""Autoencoders: what is special about training and scoring them."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from evaluators.autoencoder.baselines import reconstruct_linearly
from evaluators.autoencoder.losses import as_autoencoder, fit_decoder_variance, training_loss
from evaluators.autoencoder.scores import score_reconstructions
from evaluators.metrics.cost import PeakMemory
from evaluators.metrics.reconstruction import mean_squared_error, psnr
from evaluators.pruning.pruning import LATENCY_BATCH, Calls
from evaluators.task import Task
from evaluators.training.selection import Scores
from nas.core.evaluator import Assumption, Deliverable
from nas.core.genotype import Genotype
from nas.core.metric import Metric, metrics_by_name
from nas.data.dataset import Dataset, Split, as_float

_LIKELIHOODS = ("elbo", "log_likelihood")
_WIDEST_ON_CPU = 32
_RANKING_IMAGES = 10_000
_FITTED_IMAGES = 1_000  # of the training part, that say how sure a decoder is


class AutoencoderTask(Task):
    """Trains autoencoders on images, and scores reconstructions.

    The space's models have an ``encoder``, a ``decoder``, an ``output`` that turns what the decoder gives into
    images, and ``variational``; variational ones have ``posterior``. See search_spaces.autoencoder.modules.

    Metrics: ``mse``, ``psnr`` and ``ssim`` of the reconstructions; for denoising families ``denoising_mse``, from an
    input with noise; for variational ones ``elbo`` and its two parts, ``log_likelihood`` and ``kl`` (nats an image,
    from one sample of its code). The normal likelihood of the loss ``mse`` is scored, on whatever part, with the
    variance that is optimal for 1,000 training images, so that ``elbo`` bounds the density of a part that has no say
    in it. ``log_likelihood`` is an objective although larger codes raise it: pin ``latent`` to compare codes of one
    size.
    """

    name = "autoencoder"
    data_kinds = ("image",)
    quality = metrics_by_name(
        Metric("mse", "minimize"),
        Metric("psnr", "maximize", "dB"),
        Metric("ssim", "maximize"),
        Metric("denoising_mse", "minimize"),
        Metric("elbo", "maximize", "nats"),
        Metric("log_likelihood", "maximize", "nats"),
        Metric("kl", "minimize", "nats", caveat="codes that ignore the image have the least"),
    )
    picture = "reconstructions.png"
    program = "autoencoder"

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

    def loss(
        self,
        model: nn.Module,
        batch: Split,
        hyperparameters: Mapping[str, Any],
        progress: float,
        generator: torch.Generator,
    ) -> Tensor:
        """Compute the loss of the model's family; see evaluators.autoencoder.losses.training_loss."""
        return training_loss(as_autoencoder(model), batch.examples, hyperparameters, progress, generator)

    def score(
        self,
        model: nn.Module,
        evaluated: nn.Module,
        hyperparameters: Mapping[str, Any],
        seed: int,
        *,
        part: Literal["validation", "test"] = "validation",
        memory: PeakMemory | None = None,
    ) -> Scores:
        """Score reconstructions of a part; see evaluators.autoencoder.scores."""
        images = self._validation if part == "validation" else as_float(self.data.test.examples.to(self.device))
        variance = None
        if as_autoencoder(evaluated).variational and hyperparameters["loss"] == "mse":
            fitted, codes = as_float(self.train_data.examples[:_FITTED_IMAGES]), torch.Generator(self.device)
            variance = fit_decoder_variance(as_autoencoder(evaluated.eval()), fitted, codes.manual_seed(seed))
        return score_reconstructions(evaluated, images, hyperparameters, seed, memory, variance)

    @functools.cached_property
    def _validation(self) -> Tensor:
        return as_float(self._part("validation").examples)

    def baselines(self, genotype: Genotype) -> dict[str, dict[str, float]]:
        """Score principal components with a code of the genotype's size on the test part."""
        size = min(int(genotype.content["latent"]), math.prod(self.data.shape)) if "latent" in genotype.content else 0
        if not size:
            return {}
        images = as_float(self.data.test.examples)
        rebuilt = reconstruct_linearly(self.data.train.examples, self.data.test.examples, size)
        scores = {"mse": mean_squared_error(rebuilt, images), "psnr": psnr(rebuilt, images)}
        return {f"PCA with {size} components": scores}

    def prunable_parts(self, model: nn.Module) -> Calls:
        """Give encoder and decoder, which are pruned separately, so that codes keep their size."""
        images = as_float(self.data.validation.examples[:LATENCY_BATCH].cpu())
        with torch.no_grad():
            codes = as_autoencoder(model.eval()).encode(images)
        return {"encoder": (images,), "decoder": (codes,)}

    def deliverables(self, genotype: Genotype, model: nn.Module) -> dict[str, Deliverable]:
        """Deliver the autoencoder, with the first 16 images of the test part."""
        inputs = {"images": self.data.test.examples[:16]}
        return {"autoencoder": Deliverable(model, inputs, ("reconstructions",), "autoencoder")}
