"""Optuna's samplers (Akiba, Sano, Yanase, Ohta & Koyama 2019), driven through our loop."""

from __future__ import annotations

import contextlib
import logging
import math
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from nas.core.genotype import Genotype
from nas.core.space import Choice, Generator, Restrictable, SearchSpace, Traceable, Value, generator_for
from nas.core.trial import Proposal, Trial
from nas.strategies.novelty import ProposesNew, Seen
from nas.strategies.option_checks import require, require_at_least, require_probability

if TYPE_CHECKING:
    import optuna
    from optuna.samplers import BaseSampler

_ATTEMPTS = 200  # of which the last hundred are random draws


class Optuna(ProposesNew):
    """Optuna's own choice of a sampler (Akiba et al. 2019): that of `optuna.create_study()`, TPE in Optuna 5.

    The study lives in memory: an ask is an Optuna trial whose suggestions answer the space's choices as they arise,
    a tell gives it the losses. An unordered choice is a categorical parameter; an ordered one is the index of its
    value, so that a geometric grid is a logarithmic scale to the sampler. Failed trials are told as failed, which
    Optuna's samplers overlook. To TPE trials that were stopped early are told as pruned, with their learning curves:
    it takes them for worse than complete ones, those that came further before others. The other samplers overlook
    pruned trials, and TPE cannot weigh them where there are several objectives: they are told the losses.

    Where the sampler repeats itself it is asked again, and then its last suggestion is changed at random, more and
    more, until it is new. Optuna is told what is really evaluated, also of trials that it has not proposed.
    """

    multi_objective = True

    _sampler: str | None = None  # the name of its class in optuna.samplers; None: Optuna chooses
    _weighs_pruned = True  # the sampler learns from what was pruned
    _static = False  # the sampler needs the same parameters in every trial: those of choices that do not arise, too
    _relaxed = False  # an unordered choice is one real number for each of its values, of which the largest wins
    _generational = False  # a trial counts to a generation, which the sampler notes when it samples
    _repeats = 2  # how often the sampler is asked again where it repeats itself

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int,
        trials: int,
        duplicates: Annotated[bool, "evaluate an architecture again that was evaluated before"] = False,
    ) -> None:
        self._create(space, seed, duplicates)

    def _create(self, space: SearchSpace, seed: int, duplicates: bool, **options: Any) -> None:
        self._space, self._seed = space, seed
        self._traceable = space if isinstance(space, Traceable) else None
        self.learns_from_others = self._traceable is not None
        self._silent: Mapping[str, Choice] = {}
        if self._static and isinstance(space, Restrictable):
            self._silent = {site: choice for site, choice in space.choices().items() if len(choice.values) > 1}
        with _silence_optuna():
            self._study = _create_study(1, self._make_sampler(options))
        self._running: dict[int, optuna.Trial] = {}  # by our trials' numbers
        self._exhausted = False
        self._seen = Seen(space, duplicates=duplicates)

    def _make_sampler(self, options: dict[str, Any]) -> BaseSampler | None:
        import optuna

        return None if self._sampler is None else getattr(optuna.samplers, self._sampler)(**options)

    # -- asking

    def ask(self, number: int) -> Proposal | None:
        """What the sampler suggests, if it is new; None, from then on, once nothing new is found."""
        if self._exhausted:
            return None
        generator = generator_for(self._seed, number)
        _reseed(self._study.sampler, generator)
        origin = type(self._study.sampler).__name__
        trial, genotype = self._ask_study()
        for attempt in range(_ATTEMPTS):
            if genotype not in self._seen:
                self._running[number] = trial
                changed = ", changed to be new" if attempt > self._repeats else ""
                return self._seen.remember(Proposal(genotype, origin=origin + changed))
            self._fail(trial.number)
            if attempt >= self._repeats:
                self._change(trial, (attempt - self._repeats + 1) / (_ATTEMPTS / 2), generator)
            trial, genotype = self._ask_study()
        self._fail(trial.number)
        self._exhausted = True
        return None

    def _ask_study(self) -> tuple[optuna.Trial, Genotype]:
        """A new trial of the study, and the genotype that its suggestions make."""
        trial = self._study.ask()
        if self._generational:
            _ = trial.relative_params  # samples, also where all parameters were fixed by `_change`
        genotype = self._space.grow(lambda choice: self._suggest(trial, choice))
        for choice in self._silent.values():
            self._suggest(trial, choice)
        return trial, genotype

    def _suggest(self, trial: optuna.Trial, choice: Choice) -> Value:
        values = choice.values
        if choice.ordered:
            return values[trial.suggest_int(choice.site, 0, len(values) - 1)]
        if not self._relaxed:
            return values[trial.suggest_categorical(choice.site, range(len(values)))]
        scores = [trial.suggest_float(name, 0, 1) for name in _name_scores(choice)]
        return values[int(np.argmax(scores))]

    def _change(self, trial: optuna.Trial, probability: float, generator: Generator) -> None:
        """Let the next trial of the study be this one with each answer drawn anew with some probability."""
        parameters = trial.params

        def redraw(choice: Choice) -> Value:
            index = int(generator.integers(len(choice.values)))
            names = _name_scores(choice) if self._relaxed and not choice.ordered else [choice.site]
            known = all(name in parameters for name in names)
            if known and generator.random() >= probability:
                if len(names) == 1:
                    return choice.values[int(parameters[choice.site])]
                return choice.values[int(np.argmax([parameters[name] for name in names]))]
            if len(names) == 1:
                parameters[choice.site] = index
            else:  # the drawn value takes the largest score
                scores = [parameters.get(name, generator.random()) for name in names]
                largest = int(np.argmax(scores))
                scores[index], scores[largest] = scores[largest], scores[index]
                parameters.update(zip(names, scores, strict=True))
            return choice.values[index]

        self._space.grow(redraw)
        self._study.enqueue_trial(parameters)

    # -- telling

    def tell(self, trial: Trial) -> None:
        """The losses go to Optuna's trial, of a stopped one the curve; a failed trial has none."""
        import optuna

        super().tell(trial)
        losses = trial.losses if self.multi_objective else trial.losses[:1]
        if len(losses) != len(self._study.directions):
            self._recreate_study(len(losses))
        asked = self._running.pop(trial.number) if trial.number in self._running else self._adopt(trial)
        number = asked.number
        if trial.stopped and self._weighs_pruned and len(losses) == 1:
            for epoch, loss in trial.curve.items():
                asked.report(loss, epoch)
            self._study.tell(number, state=optuna.trial.TrialState.PRUNED)
        elif all(math.isfinite(loss) for loss in losses):
            self._study.tell(number, list(losses))
        else:
            self._fail(number)

    def _adopt(self, trial: Trial) -> optuna.Trial:
        """A new trial of the study with the parameters of a genotype that the sampler has not suggested."""
        assert self._traceable is not None
        parameters: dict[str, float] = {}
        for decision in self._traceable.trace(trial.genotype):
            choice, index = decision.choice, decision.choice.values.index(decision.value)
            if self._relaxed and not choice.ordered:
                parameters |= {name: float(i == index) for i, name in enumerate(_name_scores(choice))}
            else:
                parameters[choice.site] = index
        self._study.enqueue_trial(parameters)
        _reseed(self._study.sampler, generator_for(self._seed, trial.number))  # choices that do not arise are sampled
        adopted, genotype = self._ask_study()
        self._seen.add(genotype)
        return adopted

    def _fail(self, number: int) -> None:
        import optuna

        self._study.tell(number, state=optuna.trial.TrialState.FAIL)

    def _recreate_study(self, objectives: int) -> None:
        """The first trial told says how many objectives there are; until then nothing but pending trials is known."""
        trials = self._study.get_trials()
        self._study = _create_study(objectives, self._study.sampler)
        for trial in trials:
            self._study.add_trial(trial)


class TPE(Optuna):
    """Tree-structured Parzen estimator (Bergstra, Bardenet, Bengio & Kegl 2011), of all decisions together."""

    _sampler = "TPESampler"

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int,
        trials: int,
        startup: Annotated[int, "trials drawn at random before the model is used"] = 10,
        candidates: Annotated[int, "draws of the model for good trials, of which the most promising is taken"] = 24,
        multivariate: Annotated[bool, "model the decisions that always arise together rather than one by one"] = True,
        group: Annotated[bool, "model those that arise together under a condition so, too; needs multivariate"] = True,
        liar: Annotated[bool, "take what is running for bad, so that workers try different things"] = True,
        duplicates: Annotated[bool, "evaluate an architecture again that was evaluated before"] = False,
    ) -> None:
        require_at_least(0, startup=startup)
        require_at_least(1, candidates=candidates)
        require(multivariate or not group, "group", group, "false with multivariate=false")
        options = {"n_startup_trials": startup, "n_ei_candidates": candidates, "multivariate": multivariate}
        self._create(space, seed, duplicates, **options, group=group, constant_liar=liar)


class GP(Optuna):
    """Gaussian process with expected improvement (Optuna's GPSampler); slow: tenths of a second a proposal."""

    _sampler = "GPSampler"
    _weighs_pruned = False
    _static = True
    _repeats = 0  # the acquisition's maximum would come again

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int,
        trials: int,
        startup: Annotated[int, "trials drawn at random before the model is used"] = 10,
        deterministic: Annotated[bool, "the same candidate would always get the same loss"] = False,
        duplicates: Annotated[bool, "evaluate an architecture again that was evaluated before"] = False,
    ) -> None:
        require_at_least(1, startup=startup)
        options = {"n_startup_trials": startup, "deterministic_objective": deterministic}
        self._create(space, seed, duplicates, warn_independent_sampling=False, **options)


class CMAES(Optuna):
    """CMA-ES (Hansen & Ostermeier 2001): a normal distribution adapts to what was good; one objective.

    An unordered choice is one dimension for each of its values, of which the largest wins. That makes dozens to
    hundreds of dimensions, whose covariances no run of hundreds of trials could learn: by default the variances alone
    adapt, at the faster rate that this allows (sep-CMA-ES, Ros & Hansen 2008).
    """

    _sampler = "CmaEsSampler"
    multi_objective = _weighs_pruned = False
    _static = _relaxed = _generational = True

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int,
        trials: int,
        population: Annotated[int | None, "candidates a generation; by default 4 + 3 ln(dimensions)"] = None,
        separable: Annotated[bool, "adapt the variances alone, not the covariances"] = True,
        duplicates: Annotated[bool, "evaluate an architecture again that was evaluated before"] = False,
    ) -> None:
        require_at_least(4, population=population)
        options = {"popsize": population, "use_separable_cma": separable}
        self._create(space, seed, duplicates, warn_independent_sampling=False, **options)

    def _make_sampler(self, options: dict[str, Any]) -> BaseSampler | None:
        if len(self._silent) == 1 and all(choice.ordered for choice in self._silent.values()):
            options["use_separable_cma"] = False  # of a single number it has nothing to separate
        return super()._make_sampler(options)


class NSGA2(Optuna):
    """NSGA-II (Deb, Pratap, Agarwal & Meyarivan 2002): an evolution of generations, for several objectives."""

    _sampler = "NSGAIISampler"
    _weighs_pruned = False
    _static = _generational = True

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int,
        trials: int,
        population: Annotated[int | None, "a generation; by default a tenth of the trials, 10 to 50"] = None,
        mutation: Annotated[float | None, "probability to redraw a decision; by default one in all"] = None,
        crossover: Annotated[float, "probability that a child has two parents"] = 0.9,
        duplicates: Annotated[bool, "evaluate an architecture again that was evaluated before"] = False,
    ) -> None:
        population = min(50, max(10, trials // 10)) if population is None else population
        require_at_least(2, population=population)
        require_probability(mutation=mutation, crossover=crossover)
        options = {"population_size": population, "mutation_prob": mutation, "crossover_prob": crossover}
        self._create(space, seed, duplicates, **options)


def _create_study(objectives: int, sampler: BaseSampler | None) -> optuna.Study:
    import optuna

    with _silence_optuna():
        return optuna.create_study(directions=["minimize"] * objectives, sampler=sampler)


@contextlib.contextmanager
def _silence_optuna() -> Iterator[None]:
    """Neither Optuna's message that a study was created nor its warnings of what is experimental."""
    import optuna

    logger = logging.getLogger("optuna")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        logger.setLevel(logging.WARNING)
        try:
            yield
        finally:
            logger.setLevel(level)


def _reseed(sampler: BaseSampler, generator: Generator) -> None:
    """Seed the random states of a sampler and of those within it; `BaseSampler.reseed_rng` would take entropy."""
    from optuna.samplers import BaseSampler

    for part in vars(sampler).values():
        if isinstance(part, BaseSampler):
            _reseed(part, generator)
        elif isinstance(state := getattr(part, "rng", None), np.random.RandomState):
            state.seed(int(generator.integers(2**32)))


def _name_scores(choice: Choice) -> list[str]:
    return [f"{choice.site}:{index}" for index in range(len(choice.values))]
