"""CycleGANs: what is special about training and scoring translators between two sets of images."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from evaluators.adversarial.selection import KeepBest
from evaluators.adversarial.snapshots import Snapshots
from evaluators.cyclegan.training import CycleGanTraining, as_cyclegan, translators_of
from evaluators.features.extractor import FeatureExtractor, extractor_for, usual_kind
from evaluators.metrics.cost import PeakMemory, multiply_adds, parameters
from evaluators.metrics.translations import (
    OF_CLASSES,
    Target,
    Translate,
    pair_protocol,
    targets_of,
    translation_scores,
)
from evaluators.pruning.pruning import LATENCY_BATCH, Calls
from evaluators.task import Task
from evaluators.training.selection import Scores, Selection
from nas.core.evaluator import Assumption, Deliverable
from nas.core.genotype import Genotype
from nas.core.metric import Metric, metrics_by_name
from nas.core.space import SearchSpace
from nas.data.catalogue import shorten_name
from nas.data.dataset import Split, as_float, batches
from nas.data.pairs import DomainPair

_WIDEST_ON_CPU = 16
_USUAL_IMAGES = 12_000
_EXAMPLES = 16  # of a deliverable
_COLUMNS = 8


class CycleGanTask(Task):
    """Trains CycleGANs, and keeps the best translators.

    What is scored, and kept, is the moving average of the translators, on the same images after every epoch; the
    metrics are those of the snapshot with the least mean FID so far, whose weights the last measurement brings. The
    space's models are those of evaluators.cyclegan.training.CycleGanModel.

    Metrics, of translated images (evaluators.metrics.translations.translation_scores): ``fid``, the mean of ``fid_a``
    and ``fid_b``; ``cycle_error`` and ``identity_error``; ``kid_a``, ``kid_b``, ``coverage_a``, ``coverage_b``,
    ``coverage``, ``sample_deviation`` and, where both domains have labels of the same classes, ``modes``,
    ``label_entropy`` and ``label_agreement``. ``epoch_fid`` is of this epoch and ``kept_epoch`` the snapshot's.
    ``parameters`` and ``multiply_adds`` (an image each way) are of both translators.

    ``translations.png`` shows, for the kept snapshot, images of A, what they become in B and then in A again, and the
    same from B; ``training.gif`` the same after every epoch.

    Args:
        features: which extractors: see evaluators.features.extractor.extractor_for; each domain has its own.

    Raises:
        UserError: Inception's weights are asked for and cannot be had.
    """

    name = "cyclegan"
    quality = metrics_by_name(
        *(Metric(name, "minimize") for name in ("fid", "fid_a", "fid_b", "cycle_error", "identity_error")),
        *(Metric(name, "minimize") for name in ("kid_a", "kid_b")),
        *(Metric(name, "maximize") for name in ("coverage_a", "coverage_b", "coverage")),
        Metric("modes", "maximize", "classes"),
        Metric("label_entropy", "maximize", "nats"),
        Metric("label_agreement", "maximize"),
        Metric("sample_deviation", "maximize"),
        Metric("epoch_fid", "minimize"),
        Metric("kept_epoch", "minimize"),
    )
    picture = "translations.png"
    data_kinds = ("image_pair",)
    unsettled = 0.5  # as of GANs
    pruned_rate = 0.5
    grows = False
    extracts_features = True

    def __init__(self, space: SearchSpace, data: DomainPair, device: str = "cpu", *, features: str = "auto") -> None:
        super().__init__(space, data, device)
        self._features = features
        if features == "inception":  # what has to be downloaded is refused here, before a run begins
            _ = self._extractors

    @classmethod
    def usual_epochs(cls, data: DomainPair, epoch_size: int | None = None) -> int:
        """As many as show the translators 12,000 images of each domain."""
        largest = max(len(data.a.train), len(data.b.train))
        return -(-_USUAL_IMAGES // min(largest, epoch_size or largest))

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Every metric above that the data has what it takes for; the default is the mean FID."""
        a, b = self.data.domains
        kinds = {usual_kind(domain) if self._features == "auto" else self._features for domain in (a, b)}
        classified = kinds == {"classifier"} and a.classes == b.classes
        return {name: metric for name, metric in super().metrics.items() if classified or name not in OF_CLASSES}

    def assumptions(self, objective: str) -> list[Assumption]:
        """What keeps a search within reach."""
        if self.device.type != "cpu":
            return []
        narrow, reason = tuple(range(1, _WIDEST_ON_CPU + 1)), "on a CPU wider ones take minutes an epoch"
        halves = [f"{way}{half}" for way in ("", "backward_") for half in ("generator", "discriminator")]
        return [Assumption(f"{half}.width", narrow, reason) for half in halves]

    def protocol(self, part: Literal["validation", "test"]) -> dict[str, str | int | float]:
        """What the scores of both directions depend on besides the translators."""
        return pair_protocol(self._targets_of(part))

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
        """Score what the translators `evaluated` make of a part."""
        scores = translation_scores(self._targets_of(part), *self._translate(evaluated))
        return Scores(scores, self._shown(evaluated))

    # -- the model

    def prepare(self) -> None:
        """Make the references that translations are compared with, and their extractors."""
        _ = self._targets

    def evaluated_part(self, model: nn.Module) -> nn.Module:
        """Both translators."""
        return translators_of(as_cyclegan(model))

    def run(self, model: nn.Module) -> None:
        """Pass two images both ways, and through what judges them."""
        image, cyclegan = torch.zeros((2, *self.data.shape), device=self.device), as_cyclegan(model)
        cyclegan.discriminator_b(cyclegan.a_to_b(image))
        cyclegan.discriminator_a(cyclegan.b_to_a(image))

    def cost(self, model: nn.Module) -> dict[str, float]:
        """That of both translators, for an image each way."""
        translators = translators_of(as_cyclegan(model)).values()
        image = torch.zeros((1, *self.data.shape), device=self.device)
        return {
            "parameters": float(sum(parameters(translator) for translator in translators)),
            "multiply_adds": float(sum(multiply_adds(translator, image) for translator in translators)),
        }

    def prunable_parts(self, model: nn.Module) -> Calls:
        """The translators; the discriminators stay as they are."""
        a, b = (as_float(domain.validation.examples[:LATENCY_BATCH]) for domain in self.data.domains)
        return {"a_to_b": (a,), "b_to_a": (b,)}

    # -- the training

    @functools.cached_property
    def train_data(self) -> tuple[Split, Split]:
        """Both training parts, on the device."""
        return self.data.a.train.to(self.device), self.data.b.train.to(self.device)

    def updates_an_epoch(self, hyperparameters: Mapping[str, Any]) -> int:
        """As many as there are whole batches in the larger part."""
        images = max(len(domain.train) for domain in self.data.domains)
        images = min(images, self.epoch_size or images)
        return images // min(int(hyperparameters["batch"]), images)

    def begin_training(
        self, model: nn.Module, hyperparameters: Mapping[str, Any], epochs: int, seed: int
    ) -> CycleGanTraining:
        """Both translators against a discriminator of each domain."""
        return CycleGanTraining(model, hyperparameters, epochs, seed)

    def selection(self, epochs: int, *, to_the_end: bool, frames: int | None, final: bool = False) -> Selection:
        """The snapshot of least mean FID."""
        targets = self._targets
        samples = sum(target.reference.samples for target in targets)  # the mean of two FIDs has the noise of so many
        classes = min(target.classes for target in targets)
        return KeepBest(
            Snapshots(epochs, samples, 1.0, classes, to_the_end=to_the_end),  # deviations are in units of the data's
            picture=self.picture,
            protocol=self.protocol("validation"),
            usual=self.usual_epochs(self.data, self.epoch_size),
            frames=frames,
        )

    # -- delivery

    def deliverables(self, genotype: Genotype, model: nn.Module) -> dict[str, Deliverable]:
        """The translators, A to B first, each with the first images of the test part of what it translates."""
        translators = translators_of(as_cyclegan(model))
        names = [shorten_name(domain.name) for domain in self.data.domains]
        ways = (("a_to_b", self.data.a, names), ("b_to_a", self.data.b, names[::-1]))
        return {
            way: Deliverable(
                translators[way],
                {"images": domain.test.examples[:_EXAMPLES]},
                "translations",
                "translator",
                {"source": source, "target": target, "part": way},
            )
            for way, domain, (source, target) in ways
        }

    # -- made once, when first needed

    @functools.cached_property
    def _extractors(self) -> tuple[FeatureExtractor, FeatureExtractor]:
        a, b = (extractor_for(domain, kind=self._features, device=self.device) for domain in self.data.domains)
        return a, b

    @functools.cached_property
    def _targets(self) -> tuple[Target, Target]:
        return targets_of(self.data, self._extractors, "validation")

    @functools.cached_property
    def _test_targets(self) -> tuple[Target, Target]:
        return targets_of(self.data, self._extractors, "test")

    # -- of both translators

    def _translate(self, translators: Any) -> tuple[Translate, Translate]:
        """Both translators, in evaluation mode, as functions of images on any device."""

        def of(translator: nn.Module) -> Translate:
            @torch.no_grad()
            def translate(images: Tensor) -> Tensor:
                return torch.cat([translator(images[part].to(self.device)) for part in batches(images)])

            return translate

        return of(translators["a_to_b"]), of(translators["b_to_a"])

    def _shown(self, translators: nn.Module) -> list[Tensor]:
        """Rows of images of A, of their translations and of the way back, and the same from B."""
        a_to_b, b_to_a = self._translate(translators)
        images_a, images_b = (as_float(domain.validation.examples[:_COLUMNS]) for domain in self.data.domains)
        fake_b, fake_a = a_to_b(images_a), b_to_a(images_b)
        rows = [images_a, fake_b, b_to_a(fake_b), images_b, fake_a, a_to_b(fake_a)]
        fewest = min(len(row) for row in rows)
        return [row[:fewest].cpu() for row in rows]

    def _targets_of(self, part: Literal["validation", "test"]) -> tuple[Target, Target]:
        return self._targets if part == "validation" else self._test_targets
