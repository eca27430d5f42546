"""A model of the results seen so far proposes what promises the greatest improvement."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterable
from itertools import islice
from typing import Annotated, Any

import numpy as np

from nas.core.errors import UserError
from nas.core.genotype import Genotype
from nas.core.space import Choice, Evolvable, Generator, SearchSpace, Traceable, Value, generator_for, sample
from nas.core.trial import Proposal, Trial
from nas.strategies.encoding import Array, Distances, Encoding
from nas.strategies.expected_improvement import Model
from nas.strategies.gaussian_process import GaussianProcess
from nas.strategies.mutation import EvolvableSpace, propose_random
from nas.strategies.novelty import ProposesNew, Seen
from nas.strategies.option_checks import require, require_at_least, require_probability
from nas.strategies.results import Results, collect_results
from nas.strategies.tournament import loss_then_number

_MOST = 300  # results that the model learns from: its cost grows with their cube
_FIRST_STEPS, _STEPS = 40, 15  # of L-BFGS, where the parameters start anew and where they go on
_PARENTS = 8
_BEAM, _MUTANTS_OF_EACH, _ROUNDS = 4, 20, 2
_NO_NOISE = 1e-4
_BOLD = 40  # results from which on the margin shrinks
_FIRST_LOOK = 20  # results before it is asked whether they are noisy
_REPETITIONS = 3  # evaluations again that tell more about noise than any model
_DIGITS = 6  # of the logarithm of what is promised: equals are equal on every processor, and the first of them is taken
_PROOF = 4.0  # nats by which noise must explain the results better: a likelihood ratio of 55


class Predictor(ProposesNew):
    """Bayesian optimisation with a Gaussian process over the decisions (Kandasamy et al. 2018; White et al. 2021).

    After a few trials spread over the space, a Gaussian process learns from all results which decisions matter,
    alone and together, and how often each operation should be used. It is asked for mutants of the genotypes it holds
    for the best and for random ones; a local search climbs from the most promising; the greatest expected improvement
    over the best predicted mean, by a margin that shrinks as results come in, is proposed. Results are replaced by
    their normal ranks, so that their scale and the depth of failures do not matter; a trial that was stopped early is
    ranked against each other by the losses after the last epoch that both have.

    Results of training are noisy. The recommendation is the trial of the best predicted mean if the results
    themselves say that they are noisy, by a likelihood ratio; else the best seen.
    """

    descends = True
    learns_from_others = True

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int,
        trials: int,
        initial: Annotated[int, "trials before the model's first"] = 10,
        mutants: Annotated[int, "mutants of the best that the model is asked about"] = 100,
        draws: Annotated[int, "random genotypes that the model is asked about"] = 100,
        usual: Annotated[float, "probability that a random genotype's decision is the usual one"] = 0.75,
        margin: Annotated[float, "by how much new candidates should improve, in deviations of the results"] = 1.0,
        repeat_every: Annotated[int, "where results are noisy, one proposal in so many may repeat one; 0: none"] = 3,
    ) -> None:
        if not isinstance(space, Evolvable) or not isinstance(space, Traceable):
            raise UserError("--strategy", "predictor", "spaces that can list and mutate a genotype's decisions")
        require_at_least(2, initial=initial)
        require_at_least(1, mutants=mutants, draws=draws)
        require_at_least(0, repeat_every=repeat_every)
        require_probability(usual=usual)
        require(0 <= margin < float("inf"), "margin", margin, "0 or more")
        self._space: EvolvableSpace = space
        self._seed = seed
        self._initial, self._mutants, self._draws, self._usual = initial, mutants, draws, usual
        self._encoding = Encoding(space)
        self._seen = Seen(space)
        self._told: list[Trial] = []
        self._pending: dict[int, Genotype] = {}
        self._process: GaussianProcess | None = None
        self._fit_at = 0
        self._recommended: tuple[int, int | None] = (0, None)
        self._margin = margin
        self._repeat_every, self._noisy, self._look_at = repeat_every, False, _FIRST_LOOK
        self._since_repeat = 0

    # -- proposing

    def expect(self, genotype: Genotype) -> None:
        """The first of its trials that are spread over the space is this one."""
        self._seen.add(genotype)

    def ask(self, number: int) -> Proposal | None:
        """One of the first trials, spread over the space; then the candidate of greatest expected improvement."""
        generator = generator_for(self._seed, number)
        successes = sum(trial.losses[0] != float("inf") for trial in self._told)
        if self._seen.count < self._initial or successes < 2:
            proposal = self._seen.first_new(lambda: self._propose_spread(generator))
        else:
            with _thread_pools().limit(limits=1):
                proposal = self._propose_promising(generator)
        if proposal is None:
            proposal = self._seen.first_new(lambda: propose_random(self._space, generator))
        if proposal is not None:
            self._since_repeat = 0 if proposal.genotype in self._seen else self._since_repeat + 1
            self._pending[number] = proposal.genotype
        return self._seen.remember(proposal)

    def _propose_spread(self, generator: Generator) -> Proposal:
        """Each value of a decision about equally often among the first trials (a Latin hypercube), or the usual."""
        place = self._seen.count % self._initial
        first = self._seen.count == 0 and self._usual > 0

        def choose(choice: Choice) -> Value:
            if choice.usual is not None and (first or generator.random() < self._usual):
                return choice.usual
            column = generator_for(self._seed, zlib.crc32(choice.site.encode()))
            order = column.permutation(np.resize(column.permutation(len(choice.values)), self._initial))
            if generator.random() < 0.1:  # or a second draw could give nothing else
                return choice.values[int(generator.integers(len(choice.values)))]
            return choice.values[int(order[place])]

        return Proposal(self._space.grow(choose), origin="random")

    def _propose_promising(self, generator: Generator) -> Proposal | None:
        model = self._learn_model()
        candidates: dict[str, tuple[Proposal, float]] = {}  # what was seen before among them: telling takes longer
        margin = self._margin * min(1.0, _BOLD / len(self._told))

        def consider(proposals: list[Proposal]) -> None:
            new = {p.genotype.text: p for p in proposals if p.genotype.text not in candidates}
            if new:
                values = model.improvement([proposal.genotype for proposal in new.values()], margin).round(_DIGITS)
                candidates.update(zip(new, zip(new.values(), values.tolist(), strict=True), strict=True))

        results = model.results
        parents = np.argsort(-model.means, kind="stable")[:_PARENTS]
        mutants = []
        for _ in range(self._mutants):
            index = int(parents[int(generator.integers(len(parents)))])
            mutants.append(self._propose_mutant(results.genotypes[index], results.numbers[index], generator))
        drawn = []
        for draw in range(self._draws):
            genotype = sample(self._space, generator, self._usual if draw % 2 else 0.0)
            drawn.append(Proposal(genotype, origin="random, of greatest expected improvement"))
        consider(mutants + drawn)
        ranked = self._rank_new(candidates.values())
        for _ in range(_ROUNDS):
            before = ranked[:1]
            consider(
                [self._propose_mutant(p.genotype, p, generator) for p, _ in ranked for _ in range(_MUTANTS_OF_EACH)]
            )
            ranked = self._rank_new(candidates.values())
            if not before or ranked[0][1] <= before[0][1]:
                break
        best = ranked[0][0] if ranked else None
        if model.noisy and self._since_repeat >= self._repeat_every - 1:
            values = model.improvement_again()
            values[[genotype in self._pending.values() for genotype in results.genotypes]] = -np.inf
            index = int(values.argmax())
            if best is None or values[index] > model.improvement([best.genotype])[0]:
                again = "again, because results are noisy"
                return Proposal(results.genotypes[index], (results.numbers[index],), again)
        return best

    def _rank_new(self, candidates: Iterable[tuple[Proposal, float]]) -> list[tuple[Proposal, float]]:
        """The most promising of those that were not proposed before."""
        ranked = sorted(candidates, key=lambda item: -item[1])
        return list(islice((one for one in ranked if one[0].genotype not in self._seen), _BEAM))

    def _propose_mutant(self, genotype: Genotype, origin: int | Proposal, generator: Generator) -> Proposal:
        mutant, change = self._space.mutate(genotype, generator)
        if isinstance(origin, Proposal):
            return Proposal(mutant, origin.parents, f"{origin.origin.partition(';')[0]}; then {change}")
        return Proposal(mutant, (origin,), f"mutation: {change}")

    # -- learning

    def _learn_model(self) -> Model:
        """The model after all that was told; pending trials are believed to turn out as predicted."""
        results = collect_results(self._select_trials())
        known = results.genotypes
        self._encoding.learn([*known, *self._pending.values()])
        reference = self._encoding.reference(known)
        distances = reference.compare_rows(reference.rows)
        self._fit(distances, results)
        process = self._process
        assert process is not None
        noise_share = results.noise_share(process.noise)
        own = (1 - noise_share) * process.noise if self._noisy else 0.0
        shares = results.unexplained_shares(noise_share)
        kernel = process.covariances(distances)
        process.condition(kernel, results.scores, shares)
        means, deviations = process.predict(kernel, own, known=True)
        if self._pending:
            # believed to turn out as predicted (Ginsbourger et al. 2010), so that several asks differ
            every = [*known, *self._pending.values()]
            believed, _ = process.predict(process.covariances(reference.compare(every[len(known) :])))
            reference = self._encoding.reference(every)
            kernel = process.covariances(reference.compare_rows(reference.rows))
            process.condition(kernel, np.append(results.scores, believed), np.append(shares, np.ones(len(believed))))
            means, deviations = process.predict(kernel[: len(known)], own, known=True)

        def predict(genotypes: list[Genotype]) -> tuple[Array, Array]:
            return process.predict(process.covariances(reference.compare(genotypes)), own)

        return Model(results, self._noisy, noise_share * process.noise, means, deviations, predict)

    def _fit(self, distances: Distances, results: Results) -> None:
        number = len(self._told)
        if self._process is None or not self._process.fits(distances):
            self._process = GaussianProcess.of(distances)
            steps, self._fit_at = _FIRST_STEPS, number
        else:
            steps = _STEPS
        if number >= self._fit_at:
            shares = results.unexplained_shares(results.noise_share(self._process.noise))
            self._process.fit(distances, results.scores, steps, shares=shares)
            self._fit_at = number + max(1, number // 15)
        if self._repeat_every and number >= self._look_at:
            self._noisy = self._is_noisy(distances, results)
            self._look_at = number + max(5, number // 5)

    def _is_noisy(self, distances: Distances, results: Results) -> bool:
        """What evaluations of the same genotype say; before there are any, a ratio of likelihoods."""
        if results.repeated >= _REPETITIONS:
            return results.spread > _NO_NOISE * results.repeated
        _, with_noise = self._fit_again(distances, results)
        exact = self._copy_process(distances)
        return exact.fit(distances, results.scores, _FIRST_STEPS, noise=_NO_NOISE) - with_noise >= _PROOF

    def _copy_process(self, distances: Distances) -> GaussianProcess:
        """A process of its own that begins with the parameters of the last, where it can."""
        process = GaussianProcess.of(distances)
        if self._process is not None and self._process.fits(distances):
            process.parameters = self._process.parameters.copy()
        return process

    def _fit_again(self, distances: Distances, results: Results) -> tuple[GaussianProcess, float]:
        """Such a process, fitted, and what `GaussianProcess.fit` gives."""
        process = self._copy_process(distances)
        shares = results.unexplained_shares(results.noise_share(process.noise))
        return process, process.fit(distances, results.scores, _STEPS, shares=shares)

    def _select_trials(self) -> list[Trial]:
        """The trials that the model learns from: all, or the best and the latest of very many."""
        if len(self._told) <= _MOST:
            return self._told
        ranked = sorted(self._told, key=loss_then_number)
        chosen = {trial.number: trial for trial in [*ranked[: _MOST // 2], *self._told[-(_MOST // 2) :]]}
        return list(chosen.values())

    def tell(self, trial: Trial) -> None:
        """Learn from it at the next ask."""
        self._pending.pop(trial.number, None)
        self._told.append(trial)
        super().tell(trial)

    def revise(self, trial: Trial) -> None:
        """The longer training replaces the shorter one: it is compared with others after the epochs that both have."""
        places = (place for place, told in enumerate(self._told) if told.number == trial.number)
        self._told[next(places)] = trial

    # -- recommending

    def recommend(self) -> int | None:
        """The trial of the best predicted mean if results are noisy, else the best seen."""
        successes = [trial for trial in self._select_trials() if trial.losses[0] != float("inf")]
        if len(successes) < max(self._initial, 3) or super().recommend() is None:
            return super().recommend()
        if self._recommended[0] != len(self._told):
            with _thread_pools().limit(limits=1):
                self._recommended = (len(self._told), self._most_promising())
        return self._recommended[1]

    def _most_promising(self) -> int | None:
        """The best predicted of what was evaluated; what a genotype's own results say of it counts."""
        results = collect_results(self._select_trials())
        known = results.genotypes
        self._encoding.learn(known)
        reference = self._encoding.reference(known)
        distances = reference.compare_rows(reference.rows)
        if not self._is_noisy(distances, results):
            return super().recommend()
        process, _ = self._fit_again(distances, results)
        noise_share = results.noise_share(process.noise)
        kernel = process.covariances(distances)
        process.condition(kernel, results.scores, results.unexplained_shares(noise_share))
        means, _ = process.predict(kernel, (1 - noise_share) * process.noise, known=True)
        nothing = {trial.number for trial in self._told if trial.losses[0] == float("inf") or trial.stopped}
        means[[number in nothing for number in results.numbers]] = -np.inf
        return results.numbers[int(means.argmax())]


@functools.cache
def _thread_pools() -> Any:
    """Small matrices are computed sooner by one thread, and give the same numbers however many there are."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
