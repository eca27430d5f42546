"""GANs: what is special about training and scoring pairs of a generator and a discriminator."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from evaluators.adversarial.selection import KeepBest
from evaluators.adversarial.snapshots import Snapshots
from evaluators.features.extractor import FeatureExtractor, extractor_for
from evaluators.gan.bilevel import batches_to_generate
from evaluators.gan.sampling import Noise, cost_of, drawn, passed, shown
from evaluators.gan.supernet import PairSupernet
from evaluators.gan.training import BATCH, GanTraining, as_gan, conditions_of, noise_like
from evaluators.metrics.cost import PeakMemory
from evaluators.metrics.samples import Reference, reference_of, sample_deviation, sample_scores
from evaluators.pruning.pruning import LATENCY_BATCH, Calls
from evaluators.supernets.one_shot import shares_weights
from evaluators.task import Task
from evaluators.training.selection import Scores, Selection
from nas.core.evaluator import Assumption, Deliverable
from nas.core.genotype import Genotype
from nas.core.metric import Metric, metrics_by_name
from nas.core.space import SearchSpace
from nas.core.supernet import Path, SupernetPlan
from nas.core.trial import Measurement, Trial
from nas.data.dataset import Dataset, Split, as_float

_OF_LABELS = ("modes", "label_entropy")
_WIDEST_ON_CPU = 64
_USUAL_UPDATES = 800
_ENOUGH_FOR_DEVIATION = 5000
_CALIBRATION = 16  # batches that the statistics of a candidate's batch normalisation are of
_EXAMPLES = 16  # of a deliverable


class GanTask(Task):
    """Trains pairs, and keeps the best generator.

    What is scored, and kept, is the moving average of the generator, from the same noise after every epoch. FID jumps
    while a GAN trains; so the metrics are those of the snapshot with the least FID so far, which is also the one whose
    weights the last measurement brings. The space's models are those of evaluators.gan.training.GanModel.

    Metrics, of samples against the images of evaluators.metrics.samples.reference_of: ``fid``, ``kid``, ``density``,
    ``coverage``, ``sliced_wasserstein``, ``sample_deviation`` and, where there are labels, ``modes`` and
    ``label_entropy`` (what they depend on is in ``protocol.json`` among the artifacts); ``epoch_fid`` of this epoch and
    ``kept_epoch``, that of the snapshot. The cost is that of the generator.

    ``samples.png`` shows the kept snapshot from fixed noise, a row for each class if it is told labels, and
    ``training.gif`` the average generator after every epoch from the same noise.

    Args:
        features: which extractor: see evaluators.features.extractor.extractor_for.

    Raises:
        UserError: Inception's weights are asked for and cannot be had.
    """

    name = "gan"
    quality = metrics_by_name(
        Metric("fid", "minimize"),
        Metric("kid", "minimize"),
        Metric("density", "maximize"),
        Metric("coverage", "maximize"),
        Metric("modes", "maximize", "classes"),
        Metric("label_entropy", "maximize", "nats"),
        Metric("sliced_wasserstein", "minimize"),
        Metric("sample_deviation", "maximize"),
        Metric("epoch_fid", "minimize"),
        Metric("kept_epoch", "minimize"),
    )
    picture = "samples.png"
    unsettled = 0.5  # after a third of a search's trainings the best was 1st to 18th of 22 (docs/benchmarks.md)
    pruned_rate = 0.5  # the discriminator is ahead then
    extracts_features = True

    def __init__(self, space: SearchSpace, data: Dataset, device: str = "cpu", *, features: str = "auto") -> None:
        super().__init__(space, data, device)
        self._features, self.supernet_epochs = features, self.usual_epochs(data)
        if features == "inception":  # what has to be downloaded is refused here, before a run begins
            _ = self._extractor

    @classmethod
    def usual_epochs(cls, data: Dataset, epoch_size: int | None = None) -> int:
        """As many as give 800 updates of the generator: after fewer a good GAN still looks like a collapsed one."""
        count = min(len(data.train), epoch_size or len(data.train))
        return -(-_USUAL_UPDATES // max(1, count // BATCH))

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Every metric above that the data has what it takes for; the default is the FID."""
        labelled = self.data.train.labels is not None
        return {name: metric for name, metric in super().metrics.items() if labelled or name not in _OF_LABELS}

    def assumptions(self, objective: str) -> list[Assumption]:
        """What an objective needs to make sense."""
        needed = [Assumption("condition", ("none",), "a generator that must be told a label is another product")]
        if self.device.type == "cpu":
            reason = "on a CPU wider ones take minutes an epoch"
            narrow = tuple(range(1, _WIDEST_ON_CPU + 1))
            needed += [Assumption(f"{name}_width", narrow, reason) for name in ("generator", "discriminator")]
        return needed

    def protocol(self, part: Literal["validation", "test"]) -> dict[str, str | int | float]:
        """What the scores depend on besides the generator."""
        return self._reference_of(part).protocol.as_dict()

    def identity(self) -> Mapping[str, str | int | float]:
        """The protocol: the snapshot that is kept depends on it."""
        return self.protocol("validation")

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
        """Score samples of the generator `evaluated`; see evaluators.metrics.samples."""
        gan, noise, reference = as_gan(model), Noise(hyperparameters, seed, self.device), self._reference_of(part)
        told: Split = self.data.validation if part == "validation" else self.data.test
        samples = drawn(gan, evaluated, noise, told, reference.samples)
        return Scores(sample_scores(samples, self._extractor, reference), shown(gan, evaluated, noise, told))

    # -- the model

    def prepare(self) -> None:
        """Make the reference that samples are compared with, and its extractor."""
        _ = self._reference, self._deviation

    def evaluated_part(self, model: nn.Module) -> nn.Module:
        """The generator."""
        return as_gan(model).generator

    def run(self, model: nn.Module) -> None:
        """Pass two codes through both halves."""
        passed(model, part=self.data.train, device=self.device)

    def cost(self, model: nn.Module) -> dict[str, float]:
        """That of the generator, for one image."""
        return cost_of(as_gan(model), self.data.train, self.device)

    def prunable_parts(self, model: nn.Module) -> Calls:
        """The generator: the discriminator only trains, and it has learned to judge."""
        gan, examples = as_gan(model), self.data.train.take(torch.arange(min(LATENCY_BATCH, len(self.data.train))))
        noise = torch.randn((len(examples), gan.latent), generator=torch.Generator().manual_seed(0))
        conditions = conditions_of(gan, examples)
        return {"generator": (noise,) if conditions is None else (noise, conditions)}

    # -- the training

    def updates_an_epoch(self, hyperparameters: Mapping[str, Any]) -> int:
        """Those of the generator."""
        count = min(len(self.data.train), self.epoch_size or len(self.data.train))
        return max(1, count // BATCH)

    def begin_training(
        self, model: nn.Module, hyperparameters: Mapping[str, Any], epochs: int, seed: int
    ) -> GanTraining:
        """The generator against the discriminator."""
        return GanTraining(model, hyperparameters, epochs, seed)

    def selection(self, epochs: int, *, to_the_end: bool, frames: int | None, final: bool = False) -> Selection:
        """The snapshot of least FID."""
        reference = self._reference
        snapshots = Snapshots(epochs, reference.samples, self._deviation, reference.classes, to_the_end=to_the_end)
        return KeepBest(
            snapshots,
            picture=self.picture,
            protocol=self.protocol("validation"),
            usual=self.usual_epochs(self.data, self.epoch_size),
            frames=frames,
        )

    # -- supernets

    def path_within(self, path: Path) -> Path:
        """The generator's choices: the names of a pair's choices begin with those of its halves."""
        return {name: held for name, held in path.items() if name.startswith("generator")}

    def calibration_batches(self, model: nn.Module, hyperparameters: Mapping[str, Any]) -> list[tuple[Tensor, ...]]:
        """Noise, always the same, and what images of the data are."""
        return batches_to_generate(as_gan(model), hyperparameters, self.train_data, 0, _CALIBRATION)

    def train_supernet(self, trial: Trial, plan: SupernetPlan) -> Iterator[Measurement]:
        """Train the supernet around the trial's pair; see evaluators.gan.supernet.PairSupernet.measurements.

        Raises:
            UserError: the space has no supernets, or the plan is of second order.
            Collapsed: the supernet has collapsed four times.
            Diverged: a loss, a log-weight or a score is not finite.
        """
        space, base = shares_weights(self.space), trial.genotype
        plan = plan.completed(self.supernet_epochs, "gumbel_softmax")
        return PairSupernet(
            space, base, plan, self.data.shape, self.train_data, trial.seed, self.score, self._deviation
        ).measurements()

    # -- delivery

    def deliverables(self, genotype: Genotype, model: nn.Module) -> dict[str, Deliverable]:
        """The generator, with noise for 16 samples; and the discriminator, with the first images of the test part."""
        gan, chosen = as_gan(model), self.space.hyperparameters(genotype)
        examples = self.data.test.take(torch.arange(min(_EXAMPLES, len(self.data.test))))
        noise = noise_like(chosen, len(examples), gan.latent, torch.Generator().manual_seed(0), torch.device("cpu"))
        conditions = conditions_of(gan, examples)
        told = {} if conditions is None else {"condition": conditions}
        settings = {
            "latent": gan.latent,
            "noise": chosen["noise"],
            "noise_scale": chosen["noise_scale"],
            "condition": gan.condition,
            "classes": self.data.classes,
        }
        return {
            "generator": Deliverable(gan.generator, {"noise": noise, **told}, "images", "generator", settings),
            "discriminator": Deliverable(
                gan.discriminator, {"images": examples.examples, **told}, "scores", "discriminator", settings
            ),
        }

    # -- made once, when first needed

    @functools.cached_property
    def _extractor(self) -> FeatureExtractor:
        return extractor_for(self.data, kind=self._features, device=self.device)

    @functools.cached_property
    def _reference(self) -> Reference:
        return reference_of(self.data, self._extractor)

    @functools.cached_property
    def _test(self) -> Reference:
        return Reference(self.data.test.examples, self._extractor, part="test")

    @functools.cached_property
    def _deviation(self) -> float:
        """The standard deviation of a pixel over images of the data, the mean of all pixels."""
        return sample_deviation(as_float(self.data.train.examples[:_ENOUGH_FOR_DEVIATION]))

    def _reference_of(self, part: Literal["validation", "test"]) -> Reference:
        return self._reference if part == "validation" else self._test
