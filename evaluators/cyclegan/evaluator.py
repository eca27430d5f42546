"""Trains CycleGANs and measures their translators after every epoch."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from evaluators.adversarial.epochs import Begun, Look, course
from evaluators.adversarial.snapshots import Snapshots
from evaluators.candidates import Candidates
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
from evaluators.networks import within_memory
from evaluators.pruning.pruning import LATENCY_BATCH, Calls, epochs_of, slower_if_pruned
from evaluators.training.checkpoint import identity
from nas.core.evaluator import Assumption, Deliverable
from nas.core.trial import Measurement, Objective, Trial
from nas.data.catalogue import shorten_name
from nas.data.dataset import Split, as_float, batches

if TYPE_CHECKING:
    from nas.core.genotype import Genotype
    from nas.core.space import SearchSpace
    from nas.data.pairs import DomainPair

_LARGE = ("coverage_a", "coverage_b", "coverage", *OF_CLASSES, "sample_deviation")
OBJECTIVES = {
    name: Objective(name, "maximize" if name in _LARGE else "minimize")
    for name in (
        "fid", "fid_a", "fid_b", "cycle_error", "identity_error", "kid_a", "kid_b", *_LARGE, "epoch_fid", "kept_epoch",
        "parameters", "multiply_adds", "seconds", "peak_memory_mb",
    )
}  # fmt: skip
_WIDEST_ON_CPU = 16
_USUAL_IMAGES = 12_000
_EXAMPLES = 16  # of a deliverable
_COLUMNS = 8


class CycleGanEvaluator:
    """Trains a genotype of a space of CycleGANs for a fixed number of epochs, and keeps its best translators.

    What is scored, and kept, is the moving average of the translators, on the same images after every epoch; the
    metrics are those of the snapshot with the least mean FID so far, whose weights the last measurement brings. The
    space's models are those of evaluators.cyclegan.training.CycleGanModel.

    Metrics, of translated validation images (evaluators.metrics.translations.translation_scores): ``fid``, the mean of
    ``fid_a`` and ``fid_b``; ``cycle_error`` and ``identity_error``; ``kid_a``, ``kid_b``, ``coverage_a``,
    ``coverage_b``, ``coverage``, ``sample_deviation`` and, where both domains have labels of the same classes,
    ``modes``, ``label_entropy`` and ``label_agreement``. ``epoch_fid`` is of this epoch and ``kept_epoch`` the
    snapshot's. ``parameters`` and ``multiply_adds`` (an image each way) are of both translators. Of a trial with a
    start also those of evaluators.inheritance.transfer.begin_from.

    Args:
        features: which extractors: see evaluators.features.extractor.extractor_for; each domain has its own.

    Raises:
        UserError: Inception's weights are asked for and cannot be had.
    """

    domains = 2
    inherits = True
    unsettled = 0.5  # as of GANs

    def __init__(
        self, space: SearchSpace, data: DomainPair, *, epochs: int, device: str = "cpu", features: str = "auto"
    ) -> None:
        self.space, self.data, self.epochs, self.device = space, data, epochs, torch.device(device)
        self._features = features
        self._candidates = Candidates(space, data.shape, self.device, self._passed, self._to_prune)
        if features == "inception":  # what has to be downloaded is refused here, before a run begins
            _ = self._extractors

    @staticmethod
    def usual_epochs(data: DomainPair) -> int:
        """As many as show the translators 12,000 images of each domain."""
        return -(-_USUAL_IMAGES // max(len(data.a.train), len(data.b.train)))

    @property
    def objectives(self) -> Mapping[str, Objective]:
        """Every metric above; the default is the mean FID."""
        a, b = self.data.domains
        kinds = {usual_kind(domain) if self._features == "auto" else self._features for domain in (a, b)}
        classified = kinds == {"classifier"} and a.classes == b.classes
        return {name: OBJECTIVES[name] for name in OBJECTIVES if classified or name not in OF_CLASSES}

    def assumptions(self, objective: str) -> list[Assumption]:
        """What keeps a search within reach."""
        if self.device.type != "cpu":
            return []
        narrow, reason = tuple(range(1, _WIDEST_ON_CPU + 1)), "on a CPU wider ones take minutes an epoch"
        halves = [f"{way}{half}" for way in ("", "backward_") for half in ("generator", "discriminator")]
        return [Assumption(f"{half}.width", narrow, reason) for half in halves]

    def evaluate(self, trial: Trial) -> Iterator[Measurement]:
        """One measurement after every epoch, with a picture; the last brings the kept weights as well.

        There are fewer than were asked for where nothing is to be hoped for any more: see
        evaluators.adversarial.snapshots.

        ``translations.png`` shows, for the kept snapshot, images of A, what they become in B and then in A again, and
        the same from B; ``training.gif`` the same after every epoch.

        Raises:
            Diverged: a loss, a translation or a score is not finite.
            Collapsed: the training is over and the kept snapshot makes too few different images; see
                evaluators.adversarial.collapse. The last measurement before shows it.
            OutOfMemory: the allocator gave up.
        """
        return within_memory(self._evaluate(trial), self.device)

    def train(self, trial: Trial, checkpoint: bytes | None = None, *, every: int = 1) -> Iterator[Measurement]:
        """As `evaluate`, but to the last epoch, with checkpoints to go on from; see nas.core.evaluator.Continuable.

        Raises:
            UserError: the checkpoint is damaged, or of another training or protocol.
            Diverged, Collapsed, OutOfMemory: as in `evaluate`.
        """
        return within_memory(self._evaluate(trial, checkpoint, every), self.device)

    def prune(self, trial: Trial) -> Iterator[Measurement]:
        """As `evaluate`, of a trained model whose translators have fewer channels; see nas.core.evaluator.Prunes.

        The discriminators stay as they are. Metrics besides: ``latency_ms`` and ``unpruned_latency_ms`` of a batch
        each way; see evaluators.pruning.pruning.latencies.

        Raises:
            CandidateFailure: nothing can be removed, or the weights to start from were not kept.
            Diverged, Collapsed, OutOfMemory: as in `evaluate`.
        """
        return within_memory(self._evaluate(trial), self.device)

    def check_prunable(self, genotype: Genotype) -> None:
        """Refuse a genotype of whose translators no channels can be removed; see nas.core.evaluator.Prunes."""
        self._candidates.check_prunable(genotype)

    def _to_prune(self, model: nn.Module) -> Calls:
        a, b = (as_float(domain.validation.examples[:LATENCY_BATCH]) for domain in self.data.domains)
        return {"a_to_b": (a,), "b_to_a": (b,)}

    def _evaluate(
        self, trial: Trial, checkpoint: bytes | None = None, every: int | None = None
    ) -> Iterator[Measurement]:
        targets, data = self._targets, self._train  # what is made once for all trials is not the candidate's time
        hyperparameters = slower_if_pruned(trial, self.space.hyperparameters(trial.genotype))
        images = max(len(domain.train) for domain in self.data.domains)
        epochs = epochs_of(trial, self.epochs, images, hyperparameters["batch"])
        protocol = self.protocol("validation")

        def begin() -> Begun:
            made = self._candidates.made(trial)
            model = made.model
            memory = PeakMemory(self.device)
            training = CycleGanTraining(model, hyperparameters, epochs, trial.seed)
            translators = training.average.network

            def look() -> Look:
                scores = translation_scores(targets, *self._translate(translators))
                tensors = {**model.state_dict(), **translators.state_dict()}
                return Look(scores, self._shown(translators), tensors, made.texts)

            cost = {**self._cost(translators_of(as_cyclegan(model))), **made.cost}
            return Begun(training, lambda: training.epoch(*data, memory), look, memory, cost)

        samples = sum(target.reference.samples for target in targets)  # the mean of two FIDs has the noise of so many
        classes = min(target.classes for target in targets)
        # deviations are in units of the data's
        in_full = every is not None or trial.proposal.portion is not None
        snapshots = Snapshots(epochs, samples, 1.0, classes, to_the_end=in_full)
        own = identity("cyclegan", trial, epochs, self.data, **protocol)
        yield from course(
            trial,
            begin,
            snapshots,
            own,
            picture="translations.png",
            protocol=protocol,
            usual=self.usual_epochs(self.data),
            checkpoint=checkpoint,
            every=every,
        )

    def test(self, genotype: Genotype, model: nn.Module, seed: int) -> dict[str, float]:
        """The scores of the translated test parts, which no search has seen."""
        translators = translators_of(as_cyclegan(model.to(self.device).eval()))
        return translation_scores(self._test_targets, *self._translate(translators))

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

    def protocol(self, part: Literal["validation", "test"]) -> dict[str, str | int | float]:
        """What the scores of both directions depend on; see nas.core.evaluator.WithProtocol."""
        return pair_protocol(self._targets if part == "validation" else self._test_targets)

    # -- made once, when first needed

    @functools.cached_property
    def _train(self) -> tuple[Split, Split]:
        return self.data.a.train.to(self.device), self.data.b.train.to(self.device)

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

    def _passed(self, model: nn.Module) -> None:
        image, cyclegan = torch.zeros((2, *self.data.shape), device=self.device), as_cyclegan(model)
        cyclegan.discriminator_b(cyclegan.a_to_b(image))
        cyclegan.discriminator_a(cyclegan.b_to_a(image))

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

    def _cost(self, translators: Any) -> dict[str, float]:
        image = torch.zeros((1, *self.data.shape), device=self.device)
        return {
            "parameters": float(sum(parameters(translator) for translator in translators.values())),
            "multiply_adds": float(sum(multiply_adds(translator, image) for translator in translators.values())),
        }
