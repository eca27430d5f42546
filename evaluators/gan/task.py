"""GANs: what is special about training and scoring pairs of a generator and a discriminator."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from evaluators.adversarial.snapshots import Snapshots
from evaluators.adversarial.task import DEVIATION, EPOCHS, REAL, AdversarialTask
from evaluators.features.extractor import FeatureExtractor, load_extractor
from evaluators.gan.bilevel import sample_generator_inputs
from evaluators.gan.sampling import Noise, measure_cost, run_pair, sample_grid, sample_images
from evaluators.gan.supernet import PairSupernet
from evaluators.gan.training import RECIPE, GanTraining, as_gan, sample_noise, select_conditions
from evaluators.metrics.cost import PeakMemory
from evaluators.metrics.samples import Reference, data_deviation, make_reference, score_samples
from evaluators.pruning.pruning import LATENCY_BATCH, Calls
from evaluators.supernets.paths import require_weight_sharing
from evaluators.training.selection import Scored, Scores
from nas.core.evaluator import Assumption, Deliverable
from nas.core.genotype import Genotype
from nas.core.metric import Metric, metrics_by_name
from nas.core.space import SearchSpace
from nas.core.supernet import Path, SupernetPlan
from nas.core.trial import Measurement, Trial
from nas.data.dataset import Dataset, Split

_OF_LABELS = ("modes", "label_entropy")
_WIDEST_ON_CPU = 64
_USUAL_UPDATES = 800
_CALIBRATION = 16  # batches that recalibrate the batch normalisation of a candidate
_EXAMPLES = 16  # inputs of a deliverable


class GanTask(AdversarialTask):
    """Trains pairs of a generator and a discriminator; see evaluators.gan.training.GanModel for what a pair is.

    The moving average of the generator is scored, and kept, with the same noise after every epoch.

    The metrics compare samples with the images of evaluators.metrics.samples.make_reference: ``fid``, beside it
    ``real_fid``, that of as many images of the data; ``kid``, ``density``, ``coverage``, ``sliced_wasserstein``,
    ``sample_deviation`` and, if the data has labels, ``modes`` and ``label_entropy``. What they depend on is saved as
    ``protocol.json``. ``epoch_fid`` is the FID of the last epoch, ``kept_epoch`` the epoch of the snapshot. The cost is
    that of the generator.

    ``samples.png`` shows what the snapshot makes of fixed noise, with a row for each class if the generator is
    conditional on labels. ``training.gif`` shows what the average makes of the same noise after every epoch.
    """

    name = "gan"
    data_kinds = ("image",)
    recipe: ClassVar[Mapping[str, Any]] = RECIPE
    quality = metrics_by_name(
        Metric("fid", "minimize"),
        REAL,
        Metric("kid", "minimize"),
        Metric("density", None),  # 1 is expected of equal distributions
        Metric("coverage", "maximize"),
        Metric("modes", "maximize", "classes"),
        Metric("label_entropy", "maximize", "nats"),
        Metric("sliced_wasserstein", "minimize"),
        DEVIATION,
        *EPOCHS.values(),
    )
    picture = "samples.png"

    def __init__(self, space: SearchSpace, data: Dataset, device: str = "cpu", *, features: str = "auto") -> None:
        super().__init__(space, data, device, features=features)
        self.supernet_epochs = self.usual_epochs(data)

    @classmethod
    def usual_epochs(cls, data: Dataset, epoch_size: int | None = None) -> int:
        """Give as many epochs as have 800 updates; after fewer, a good GAN still looks like a collapsed one."""
        count = min(len(data.train), epoch_size or len(data.train))
        return -(-_USUAL_UPDATES // max(1, count // int(RECIPE["batch_size"])))

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The metrics that the data allows: those of labels need labels. The default is the FID."""
        labelled = self.data.train.labels is not None
        return {name: metric for name, metric in super().metrics.items() if labelled or name not in _OF_LABELS}

    def assumptions(self, objective: str) -> list[Assumption]:
        """Restrict the space so that objectives make sense, and models fit a CPU."""
        needed = [Assumption("condition", ("none",), "a generator that must be told a label is another product")]
        if self.device.type == "cpu":
            reason = "on a CPU wider ones take minutes an epoch"
            narrow = tuple(range(1, _WIDEST_ON_CPU + 1))
            needed += [Assumption(f"{name}_width", narrow, reason) for name in ("generator", "discriminator")]
        return needed

    def protocol(self, part: Literal["validation", "test"]) -> dict[str, str | int | float]:
        """Give what the scores depend on besides the generator."""
        return self._select_reference(part).protocol.as_dict()

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
        """Score samples of the generator `evaluated`; see evaluators.metrics.samples."""
        gan, noise, reference = as_gan(model), Noise(hyperparameters, seed, self.device), self._select_reference(part)
        told: Split = self.data.validation if part == "validation" else self.data.normal_test
        samples = sample_images(gan, evaluated, noise, told, reference.samples)
        return Scores(score_samples(samples, self._extractor, reference), sample_grid(gan, evaluated, noise, told))

    # -- the model

    def prepare(self) -> None:
        """Make the reference that samples are compared with, and its extractor."""
        _ = self._reference, self._deviation

    def evaluated_part(self, model: nn.Module) -> nn.Module:
        """Give the generator."""
        return as_gan(model).generator

    def run(self, model: nn.Module) -> None:
        """Pass two codes through generator and discriminator."""
        run_pair(model, part=self.data.train, device=self.device)

    def cost(self, model: nn.Module) -> dict[str, float]:
        """Count the cost of the generator, for one image."""
        return measure_cost(as_gan(model), self.data.train, self.device)

    def prunable_parts(self, model: nn.Module) -> Calls:
        """Give the generator; the discriminator is not delivered, and must go on judging."""
        gan, examples = as_gan(model), self.data.train.take(torch.arange(min(LATENCY_BATCH, len(self.data.train))))
        noise = torch.randn((len(examples), gan.latent), generator=torch.Generator().manual_seed(0))
        return {"generator": (noise, *select_conditions(gan, examples))}

    # -- the training

    def begin_training(
        self, model: nn.Module, hyperparameters: Mapping[str, Any], epochs: int, seed: int
    ) -> GanTraining:
        """Train the generator against the discriminator."""
        return GanTraining(model, hyperparameters, epochs, seed)

    def begin_snapshots(self, epochs: int, *, to_the_end: bool) -> Snapshots:
        """Compare with the deviation and the classes of the data."""
        reference = self._reference
        return Snapshots(epochs, reference.samples, self._deviation, reference.classes, to_the_end=to_the_end)

    # -- supernets

    def path_within(self, path: Path) -> Path:
        """Give the generator's choices; the names of a pair's choices begin with those of its halves."""
        return {name: held for name, held in path.items() if name.startswith("generator")}

    def calibration_batches(self, model: nn.Module, hyperparameters: Mapping[str, Any]) -> list[tuple[Tensor, ...]]:
        """Draw noise, always the same, and conditions of images of the data."""
        return sample_generator_inputs(as_gan(model), hyperparameters, self.train_data, 0, _CALIBRATION)

    def train_supernet(self, trial: Trial, plan: SupernetPlan) -> Iterator[Measurement]:
        """Train the supernet around the trial's pair; see evaluators.gan.supernet.PairSupernet.measurements.

        Raises:
            UserError: the space has no supernets, or the plan is of second order.
            Collapsed: the supernet has collapsed four times.
            Diverged: a loss, a log-weight or a score is not finite.
        """
        space, base = require_weight_sharing(self.space), trial.genotype
        plan = plan.completed(self.supernet_epochs, "gumbel_softmax")
        return PairSupernet(
            space, base, plan, self.hyperparameters(base), self.data.shape, self.train_data, trial.seed, self.score,
            self._deviation,
        ).measurements()  # fmt: skip

    # -- delivery

    def deliverables(self, genotype: Genotype, model: nn.Module) -> dict[str, Deliverable]:
        """Deliver the generator with noise for 16 samples, and the discriminator with images of the test part."""
        gan, chosen = as_gan(model), self.hyperparameters(genotype)
        examples = self.data.test.take(torch.arange(min(_EXAMPLES, len(self.data.test))))
        noise = sample_noise(chosen, len(examples), gan.latent, torch.Generator().manual_seed(0), torch.device("cpu"))
        told = dict(zip(("condition",), select_conditions(gan, examples), strict=False))
        settings = {
            "latent": gan.latent,
            "noise": chosen["noise"],
            "noise_scale": chosen["noise_scale"],
            "condition": gan.condition,
            "classes": self.data.classes,
        }
        return {
            "generator": Deliverable(gan.generator, {"noise": noise, **told}, ("images",), "generator", settings),
            "discriminator": Deliverable(
                gan.discriminator,
                {"images": examples.examples, **told},
                ("scores",),
                "discriminator",
                settings,
                self.data.pictures,
            ),
        }

    # -- made once, when first needed

    def load_extractors(self) -> None:
        """Load the extractor."""
        _ = self._extractor

    @functools.cached_property
    def _extractor(self) -> FeatureExtractor:
        return load_extractor(self.data, kind=self._features, device=self.device)

    @functools.cached_property
    def _reference(self) -> Reference:
        return make_reference(self.data, self._extractor)

    @functools.cached_property
    def _test(self) -> Reference:
        return make_reference(self.data, self._extractor, part="test")

    @functools.cached_property
    def _deviation(self) -> float:
        return data_deviation(self.data)

    def _select_reference(self, part: Scored) -> Reference:
        return self._reference if part == "validation" else self._test
