"""Trains GANs and measures their generators after every epoch."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from evaluators.adversarial.epochs import Begun, Look, course
from evaluators.adversarial.snapshots import Snapshots
from evaluators.candidates import Candidates
from evaluators.features.extractor import FeatureExtractor, extractor_for
from evaluators.gan.bilevel import CALIBRATION, batches_to_generate, candidate_of
from evaluators.gan.sampling import Noise, cost_of, drawn, passed, shown
from evaluators.gan.supernet import PairSupernet, Scoring
from evaluators.gan.training import BATCH, GanModel, GanTraining, as_gan, conditions_of, noise_like
from evaluators.metrics.cost import PeakMemory
from evaluators.metrics.samples import Reference, reference_of, sample_deviation, sample_scores
from evaluators.networks import as_safetensors, within_memory
from evaluators.pictures import picture_of_rows
from evaluators.pruning.pruning import LATENCY_BATCH, Calls, epochs_of, slower_if_pruned
from evaluators.supernets.one_shot import (
    GanPaths,
    PathScoring,
    scored_path,
    shares_weights,
    start_of_path,
    supernet_of,
    trained_paths,
)
from evaluators.training.checkpoint import identity
from evaluators.training.growth import Growth, blocks_of
from nas.core.evaluator import Assumption, Deliverable
from nas.core.job import PruneChannels, ScoreWithSupernet, TrainPortion, TrainSupernet
from nas.core.trial import Measurement, Objective, Trial
from nas.data.dataset import Dataset, Split, as_float

if TYPE_CHECKING:
    from nas.core.genotype import Genotype
    from nas.core.space import SearchSpace

OBJECTIVES = {
    name: Objective(name, "maximize" if name in ("density", "coverage", "modes", "label_entropy") else "minimize")
    for name in (
        "fid",
        "kid",
        "density",
        "coverage",
        "modes",
        "label_entropy",
        "sliced_wasserstein",
        "sample_deviation",
        "epoch_fid",
        "kept_epoch",
        "parameters",
        "multiply_adds",
        "seconds",
        "peak_memory_mb",
    )
} | {"sample_deviation": Objective("sample_deviation", "maximize")}
_OF_LABELS = ("modes", "label_entropy")
_WIDEST_ON_CPU = 64
_USUAL_UPDATES = 800
_ENOUGH_FOR_DEVIATION = 5000
_EXAMPLES = 16  # of a deliverable


class GanEvaluator:
    """Trains a genotype of a space of GANs for a fixed number of epochs, and keeps its best generator.

    What is scored, and kept, is the moving average of the generator, from the same noise after every epoch. FID jumps
    while a GAN trains; so the metrics are those of the snapshot with the least FID so far, which is also the one whose
    weights the last measurement brings. The space's models are those of evaluators.gan.training.GanModel.

    Metrics, of samples against the images of evaluators.metrics.samples.reference_of: ``fid``, ``kid``, ``density``,
    ``coverage``, ``sliced_wasserstein``, ``sample_deviation`` and, where there are labels, ``modes`` and
    ``label_entropy`` (what they depend on is in ``protocol.json`` among the artifacts); ``epoch_fid`` of this epoch and
    ``kept_epoch``, that of the snapshot; ``parameters`` and ``multiply_adds`` (an image) of the generator, ``seconds``
    (of training and scoring so far) and ``peak_memory_mb``. Of a trial with a start also those of
    evaluators.inheritance.transfer.begin_from; then the average generator begins as the other does.

    Args:
        features: which extractor: see evaluators.features.extractor.extractor_for.
        grow: pairs are smaller at first, see evaluators.training.growth.Growth; measurements then bring its metrics as
            well, and the snapshot that is kept is of an epoch in which the pair has grown.

    Raises:
        UserError: Inception's weights are asked for and cannot be had.
    """

    inherits = True
    unsettled = 0.5  # after a third of a search's trainings the best was 1st to 18th of 22 (docs/benchmarks.md)

    def __init__(
        self,
        space: SearchSpace,
        data: Dataset,
        *,
        epochs: int,
        device: str = "cpu",
        features: str = "auto",
        grow: bool = False,
    ) -> None:
        self.space, self.data, self.epochs, self.device = space, data, epochs, torch.device(device)
        self._features, self._grow = features, grow
        self._candidates = Candidates(space, data.shape, self.device, self._passed, self._to_prune)
        if features == "inception":  # what has to be downloaded is refused here, before a run begins
            _ = self._extractor

    @staticmethod
    def usual_epochs(data: Dataset) -> int:
        """As many as give 800 updates of the generator: after fewer a good GAN still looks like a collapsed one."""
        return -(-_USUAL_UPDATES // max(1, len(data.train) // BATCH))

    @property
    def objectives(self) -> Mapping[str, Objective]:
        """Every metric above; the default is the FID."""
        labelled = self.data.train.labels is not None
        return {name: OBJECTIVES[name] for name in OBJECTIVES if labelled or name not in _OF_LABELS}

    def assumptions(self, objective: str) -> list[Assumption]:
        """What an objective needs to make sense."""
        needed = [Assumption("condition", ("none",), "a generator that must be told a label is another product")]
        if self.device.type == "cpu":
            reason = "on a CPU wider ones take minutes an epoch"
            narrow = tuple(range(1, _WIDEST_ON_CPU + 1))
            needed += [Assumption(f"{name}_width", narrow, reason) for name in ("generator", "discriminator")]
        return needed

    def evaluate(self, trial: Trial) -> Iterator[Measurement]:
        """One measurement after every epoch, with a picture; the last brings the kept weights as well.

        There are fewer than were asked for where nothing is to be hoped for any more: see
        evaluators.adversarial.snapshots.

        ``samples.png`` shows the kept snapshot from fixed noise, a row for each class if it is told labels, and
        ``training.gif`` the average generator after every epoch from the same noise.

        Raises:
            Diverged: a loss, a sample or a score is not finite.
            Collapsed: the training is over and the kept snapshot makes too few different images; see
                evaluators.adversarial.collapse. The last measurement before shows it.
            OutOfMemory: the allocator gave up.
        """
        if isinstance(trial.job, TrainSupernet):
            return self.train_supernet(trial)
        of = self._evaluate_path if isinstance(trial.job, ScoreWithSupernet) else self._evaluate
        return within_memory(of(trial), self.device)

    def train(self, trial: Trial, checkpoint: bytes | None = None, *, every: int = 1) -> Iterator[Measurement]:
        """As `evaluate`, but to the last epoch, with checkpoints to go on from; see nas.core.evaluator.Continuable.

        Raises:
            UserError: the checkpoint is damaged, or of another training or protocol.
            Diverged, Collapsed, OutOfMemory: as in `evaluate`.
        """
        return within_memory(self._evaluate(trial, checkpoint, every), self.device)

    def train_supernet(self, trial: Trial) -> Iterator[Measurement]:
        """One measurement after every epoch, with a picture and the alphas of all epochs so far as ``alphas.json``.

        Metrics: the scores of the strongest pair's generator with the weights of the supernet's average, its batch
        normalisation recalibrated; ``mixture_deviation``, the deviation of the images that all operations make
        together; the mean losses of both halves on the weights' images and on the alphas'; ``skips`` of the derived
        cell that has the most of them, ``entropy`` of an edge (nats, the mean), ``resets``, how often the supernet has
        collapsed and begun anew, and what it costs. The last brings the derived pairs, after the strongest those of
        least FID with the supernet's weights first, and these FIDs as ``paths.json``.

        Of a supernet that is trained by paths: the scores of the base's path, and what it costs.

        Raises:
            UserError: the evaluator's space has no supernets, or the plan is of second order.
            Collapsed: the supernet has collapsed four times.
            Diverged, OutOfMemory: as in `evaluate`.
        """
        assert isinstance(trial.job, TrainSupernet)
        by_gradient = trial.job.plan.paths is None
        return within_memory((self._train_supernet if by_gradient else self._train_paths)(trial), self.device)

    def _train_supernet(self, trial: Trial) -> Iterator[Measurement]:
        assert isinstance(trial.job, TrainSupernet)
        space, base, plan, seed = shares_weights(self.space), trial.genotype, trial.job.plan, trial.seed
        noise = Noise(self.space.hyperparameters(base), seed, self.device)
        part, reference = self.data.validation, self._reference

        def scores(model: GanModel, generator: nn.Module) -> dict[str, float]:
            return self._scores(model, generator, noise, part, reference)

        def picture(model: GanModel, generator: nn.Module) -> bytes:
            return picture_of_rows(shown(model, generator, noise, part))

        plan = plan.completed(self.usual_epochs(self.data), "gumbel_softmax")
        scoring = Scoring(scores, picture, self._deviation)
        yield from PairSupernet(space, base, plan, self.data.shape, self._train, seed, scoring).measurements()

    def _train_paths(self, trial: Trial) -> Iterator[Measurement]:
        assert isinstance(trial.job, TrainSupernet)
        base, asked = trial.genotype, trial.job.plan
        space, plan = shares_weights(self.space), asked.completed(self.usual_epochs(self.data), "gumbel")
        model = supernet_of(space, base, self.data.shape, trial.seed, self.device, trial.start)
        training, memory = GanPaths(model, space, trial, plan), PeakMemory(self.device)
        generator = training.average.network

        def epoch() -> None:
            training.epoch(self._train, memory)

        def weights() -> bytes:
            return as_safetensors(_weights(model, generator))

        scoring = self._path_scoring(training.model, generator, training.hyperparameters)
        yield from trained_paths(base, training.epochs, epoch, scoring, weights, memory)

    def _evaluate_path(self, trial: Trial) -> Iterator[Measurement]:
        start, space, memory = start_of_path(trial), shares_weights(self.space), PeakMemory(self.device)
        model = as_gan(supernet_of(space, start.genotype, self.data.shape, trial.seed, self.device, start))
        scoring = self._path_scoring(model, model.generator, self.space.hyperparameters(trial.genotype))
        yield from scored_path(trial.genotype, scoring, memory)

    def _path_scoring(self, gan: GanModel, generator: nn.Module, hyperparameters: Mapping[str, Any]) -> PathScoring:
        """How the paths of a supernet's generator are scored: all with the same noise."""
        space, noise, part = shares_weights(self.space), Noise(hyperparameters, 0, self.device), self.data.validation
        reference = self._reference
        batches = batches_to_generate(gan, hyperparameters, self._train, 0, CALIBRATION)

        def candidate(genotype: Genotype) -> nn.Module:
            path = {name: held for name, held in space.path(genotype).items() if name.startswith("generator")}
            return candidate_of(generator, path, batches)

        def score(candidate: nn.Module) -> tuple[dict[str, float], dict[str, bytes]]:
            rows = shown(gan, candidate, noise, part)
            return self._scores(gan, candidate, noise, part, reference), {"samples.png": picture_of_rows(rows)}

        def cost(genotype: Genotype) -> dict[str, float]:
            own = as_gan(self._candidates.build(genotype))
            return cost_of(own, own.generator, self.data.train, self.device)

        return PathScoring(candidate, score, cost)

    def prune(self, trial: Trial) -> Iterator[Measurement]:
        """As `evaluate`, of a trained pair whose generator has fewer channels; see nas.core.evaluator.Prunes.

        The discriminator stays as it is: it only trains, and it has learned to judge. Metrics besides: ``latency_ms``
        and ``unpruned_latency_ms`` of a batch; see evaluators.pruning.pruning.latencies.

        Raises:
            CandidateFailure: nothing can be removed, or the weights to start from were not kept.
            Diverged, Collapsed, OutOfMemory: as in `evaluate`.
        """
        return within_memory(self._evaluate(trial), self.device)

    def check_prunable(self, genotype: Genotype) -> None:
        """Refuse a genotype of whose generators no channels can be removed; see nas.core.evaluator.Prunes."""
        self._candidates.check_prunable(genotype)

    def _to_prune(self, model: nn.Module) -> Calls:
        gan, examples = as_gan(model), self.data.train.take(torch.arange(min(LATENCY_BATCH, len(self.data.train))))
        noise = torch.randn((len(examples), gan.latent), generator=torch.Generator().manual_seed(0))
        conditions = conditions_of(gan, examples)
        return {"generator": (noise,) if conditions is None else (noise, conditions)}

    def _evaluate(
        self, trial: Trial, checkpoint: bytes | None = None, every: int | None = None
    ) -> Iterator[Measurement]:
        reference = self._reference  # what is made once for all trials is not the candidate's time
        hyperparameters = slower_if_pruned(trial, self.space.hyperparameters(trial.genotype))
        epochs = epochs_of(trial, self.epochs, len(self.data.train), BATCH)
        protocol = self.protocol("validation")

        def begin() -> Begun:
            made = self._candidates.made(trial)
            model = made.model
            memory = PeakMemory(self.device)
            training = GanTraining(model, hyperparameters, epochs, trial.seed)
            gan, generator, part = training.model, training.average.network, self.data.validation
            noise = Noise(training.hyperparameters, trial.seed, self.device)

            def look() -> Look:
                scores = self._scores(gan, generator, noise, part, reference)
                return Look(scores, shown(gan, generator, noise, part), _weights(model, generator), made.texts)

            cost = {**cost_of(gan, generator, self.data.train, self.device), **made.cost}
            if self._grow and not isinstance(trial.job, PruneChannels):  # what it costs is that of the whole
                training.growth = Growth(model, blocks_of(model, self._passed), epochs, {"generator": generator})
            return Begun(training, lambda: training.epoch(self._train, memory), look, memory, cost, training.growth)

        # whether a portion ends early is the strategy's to say
        in_full, classes = every is not None or isinstance(trial.job, TrainPortion), _classes(reference)
        snapshots = Snapshots(epochs, reference.samples, self._deviation, classes, to_the_end=in_full)
        own = identity("gan", trial, epochs, self.data, **protocol)
        yield from course(
            trial,
            begin,
            snapshots,
            own,
            picture="samples.png",
            protocol=protocol,
            usual=self.usual_epochs(self.data),
            checkpoint=checkpoint,
            every=every,
        )

    def test(self, genotype: Genotype, model: nn.Module, seed: int) -> dict[str, float]:
        """The scores of samples against the test part, which no search has seen."""
        gan = as_gan(model.to(self.device).eval())
        noise = Noise(self.space.hyperparameters(genotype), seed, self.device)
        return self._scores(gan, gan.generator, noise, self.data.test, self._test)

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

    def protocol(self, part: Literal["validation", "test"]) -> dict[str, str | int | float]:
        """What the scores depend on; see nas.core.evaluator.WithProtocol."""
        return (self._reference if part == "validation" else self._test).protocol.as_dict()

    # -- made once, when first needed

    @functools.cached_property
    def _train(self) -> Split:
        return self.data.train.to(self.device)

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

    def _passed(self, model: nn.Module) -> None:
        passed(model, part=self.data.train, device=self.device)

    def _scores(
        self, model: GanModel, generator: nn.Module, noise: Noise, part: Split, reference: Reference
    ) -> dict[str, float]:
        samples = drawn(model, generator, noise, part, reference.samples)
        return sample_scores(samples, self._extractor, reference)


def _classes(reference: Reference) -> int:
    """How many modes the reference itself hits: the most that can be."""
    return 0 if reference.shares is None else int((reference.shares > 0).sum())


def _weights(model: nn.Module, generator: nn.Module) -> dict[str, Tensor]:
    """The model's tensors, but the generator's from its average."""
    averaged = {f"generator.{name}": tensor for name, tensor in generator.state_dict().items()}
    return {**model.state_dict(), **averaged}
