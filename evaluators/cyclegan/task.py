"""CycleGANs: what is special about training and scoring translators between two sets of images."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from evaluators.adversarial.snapshots import Snapshots
from evaluators.adversarial.task import DEVIATION, EPOCHS, REAL, AdversarialTask
from evaluators.cyclegan.training import CycleGanTraining, as_cyclegan, join_translators
from evaluators.features.extractor import FeatureExtractor, choose_kind, load_extractor
from evaluators.metrics.cost import PeakMemory, count_multiply_adds, count_parameters
from evaluators.metrics.translations import (
    OF_CLASSES,
    Target,
    Translate,
    join_protocols,
    make_targets,
    score_translations,
)
from evaluators.pruning.pruning import LATENCY_BATCH, Calls
from evaluators.training.selection import Scored, Scores
from nas.core.evaluator import Assumption, Deliverable
from nas.core.genotype import Genotype
from nas.core.metric import Metric, metrics_by_name
from nas.data.catalogue import shorten_name
from nas.data.dataset import Split, as_float, batches
from nas.data.pairs import DomainPair

_WIDEST_ON_CPU = 16
_USUAL_IMAGES = 12_000
_EXAMPLES = 16  # inputs of a deliverable
_COLUMNS = 8  # of a picture


class CycleGanTask(AdversarialTask):
    """Trains CycleGANs; see evaluators.cyclegan.training.CycleGanModel for what a model has.

    The moving average of the translators is scored, and kept, on the same images after every epoch. Each domain has a
    feature extractor of its own.

    The metrics are of translated images (evaluators.metrics.translations.score_translations): ``fid``, the mean of
    ``fid_a`` and ``fid_b``, and beside it ``real_fid``, that of as many images of the data; ``cycle_error`` and
    ``identity_error``; ``kid_a``, ``kid_b``, ``coverage_a``, ``coverage_b``, ``coverage``, ``sample_deviation`` and, if
    both domains have labels of the same classes, ``modes``, ``label_entropy`` and ``label_agreement``. ``epoch_fid`` is
    the FID of the last epoch, ``kept_epoch`` the epoch of the snapshot. ``parameters`` and ``multiply_adds`` (of an
    image each way) are of both translators.

    ``translations.png`` shows, for the snapshot, images of A, their translations to B, and the way back to A; and the
    same from B. ``training.gif`` shows the same after every epoch.
    """

    name = "cyclegan"
    quality = metrics_by_name(
        *(Metric(name, "minimize") for name in ("fid", "fid_a", "fid_b", "cycle_error", "identity_error")),
        REAL,
        *(Metric(name, "minimize") for name in ("kid_a", "kid_b")),
        *(Metric(name, "maximize") for name in ("coverage_a", "coverage_b", "coverage")),
        Metric("modes", "maximize", "classes"),
        Metric("label_entropy", "maximize", "nats"),
        Metric("label_agreement", "maximize"),
        DEVIATION,
        *EPOCHS.values(),
    )
    picture = "translations.png"
    data_kinds = ("image_pair",)
    recipe: ClassVar[Mapping[str, Any]] = {"optimiser": "adam"}
    grows = False

    @classmethod
    def usual_epochs(cls, data: DomainPair, epoch_size: int | None = None) -> int:
        """Give as many epochs as show the translators 12,000 images of each domain."""
        largest = max(len(data.a.train), len(data.b.train))
        return -(-_USUAL_IMAGES // min(largest, epoch_size or largest))

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The metrics that the data allows: some need labels of the same classes. The default is the mean FID."""
        a, b = self.data.domains
        kinds = {choose_kind(domain) if self._features == "auto" else self._features for domain in (a, b)}
        classified = kinds == {"classifier"} and a.classes == b.classes
        return {name: metric for name, metric in super().metrics.items() if classified or name not in OF_CLASSES}

    def assumptions(self, objective: str) -> list[Assumption]:
        """Restrict the space to models that fit a CPU."""
        if self.device.type != "cpu":
            return []
        narrow, reason = tuple(range(1, _WIDEST_ON_CPU + 1)), "on a CPU wider ones take minutes an epoch"
        halves = [f"{way}{half}" for way in ("", "backward_") for half in ("generator", "discriminator")]
        return [Assumption(f"{half}.width", narrow, reason) for half in halves]

    def protocol(self, part: Literal["validation", "test"]) -> dict[str, str | int | float]:
        """Give what the scores of both directions depend on besides the translators."""
        return join_protocols(self._select_targets(part))

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
        """Score the translations of a part by the translators `evaluated`."""
        scores = score_translations(self._select_targets(part), *self._translate(evaluated))
        return Scores(scores, self._translate_both_ways(evaluated))

    # -- the model

    def prepare(self) -> None:
        """Make the references that translations are compared with, and their extractors."""
        _ = self._targets

    def evaluated_part(self, model: nn.Module) -> nn.Module:
        """Give both translators."""
        return join_translators(as_cyclegan(model))

    def run(self, model: nn.Module) -> None:
        """Pass two images both ways, and through both discriminators."""
        image, cyclegan = torch.zeros((2, *self.data.shape), device=self.device), as_cyclegan(model)
        cyclegan.discriminator_b(cyclegan.a_to_b(image))
        cyclegan.discriminator_a(cyclegan.b_to_a(image))

    def cost(self, model: nn.Module) -> dict[str, float]:
        """Count the cost of both translators, for an image each way."""
        translators = join_translators(as_cyclegan(model)).values()
        image = torch.zeros((1, *self.data.shape), device=self.device)
        return {
            "parameters": float(sum(count_parameters(translator) for translator in translators)),
            "multiply_adds": float(sum(count_multiply_adds(translator, image) for translator in translators)),
        }

    def prunable_parts(self, model: nn.Module) -> Calls:
        """Give the translators; the discriminators are not pruned."""
        a, b = (as_float(domain.validation.examples[:LATENCY_BATCH]) for domain in self.data.domains)
        return {"a_to_b": (a,), "b_to_a": (b,)}

    # -- the training

    @functools.cached_property
    def train_data(self) -> tuple[Split, Split]:
        """Both training parts, on the device."""
        return self.data.a.train.to(self.device), self.data.b.train.to(self.device)

    def changed_for_finals(self, hyperparameters: Mapping[str, Any]) -> dict[str, str | int | float]:
        """A constant rate where it would fall; the translators are averaged anyway."""
        return {"linear_decay": False} if hyperparameters["linear_decay"] else {}

    def batch_size(self, hyperparameters: Mapping[str, Any]) -> int:
        """Give how many images of each domain an update sees."""
        return int(hyperparameters["batch"])

    def count_examples(self) -> int:
        """Count the images of the larger domain."""
        return max(len(domain.train) for domain in self.data.domains)

    def begin_training(
        self, model: nn.Module, hyperparameters: Mapping[str, Any], epochs: int, seed: int
    ) -> CycleGanTraining:
        """Train both translators against a discriminator of each domain."""
        return CycleGanTraining(model, hyperparameters, epochs, seed)

    def begin_snapshots(self, epochs: int, *, to_the_end: bool) -> Snapshots:
        """Compare with a deviation of 1, because those of translations are in units of the data's."""
        samples = sum(target.reference.samples for target in self._targets)  # the noise of a mean of two FIDs
        classes = min(target.classes for target in self._targets)
        return Snapshots(epochs, samples, 1.0, classes, to_the_end=to_the_end)

    # -- delivery

    def deliverables(self, genotype: Genotype, model: nn.Module) -> dict[str, Deliverable]:
        """Deliver the translators, A to B first, each with the first test images of the domain that it translates."""
        translators = join_translators(as_cyclegan(model))
        names = [shorten_name(domain.name) for domain in self.data.domains]
        ways = (("a_to_b", self.data.a, names), ("b_to_a", self.data.b, names[::-1]))
        return {
            way: Deliverable(
                translators[way],
                {"images": domain.test.examples[:_EXAMPLES]},
                ("translations",),
                "translator",
                {"source": source, "target": target, "part": way},
                domain.pictures,
            )
            for way, domain, (source, target) in ways
        }

    # -- made once, when first needed

    def load_extractors(self) -> None:
        """Load the extractors of both domains."""
        _ = self._extractors

    @functools.cached_property
    def _extractors(self) -> tuple[FeatureExtractor, FeatureExtractor]:
        a, b = (load_extractor(domain, kind=self._features, device=self.device) for domain in self.data.domains)
        return a, b

    @functools.cached_property
    def _targets(self) -> tuple[Target, Target]:
        return make_targets(self.data, self._extractors, "validation")

    @functools.cached_property
    def _test_targets(self) -> tuple[Target, Target]:
        return make_targets(self.data, self._extractors, "test")

    # -- of both translators

    def _translate(self, translators: Any) -> tuple[Translate, Translate]:
        """Turn both translators, in evaluation mode, into functions of images on any device."""

        def bind(translator: nn.Module) -> Translate:
            @torch.no_grad()
            def translate(images: Tensor) -> Tensor:
                return torch.cat([translator(images[part].to(self.device)) for part in batches(images)])

            return translate

        return bind(translators["a_to_b"]), bind(translators["b_to_a"])

    def _translate_both_ways(self, translators: nn.Module) -> list[Tensor]:
        """Give rows of images of A, of their translations and of the way back; and the same from B."""
        a_to_b, b_to_a = self._translate(translators)
        images_a, images_b = (as_float(domain.validation.examples[:_COLUMNS]) for domain in self.data.domains)
        fake_b, fake_a = a_to_b(images_a), b_to_a(images_b)
        rows = [images_a, fake_b, b_to_a(fake_b), images_b, fake_a, a_to_b(fake_a)]
        fewest = min(len(row) for row in rows)
        return [row[:fewest].cpu() for row in rows]

    def _select_targets(self, part: Scored) -> tuple[Target, Target]:
        return self._targets if part == "validation" else self._test_targets
