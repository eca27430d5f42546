"""The predictor: its Gaussian process, its encoding, and what it proposes and recommends."""

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

from nas.core.errors import UserError
from nas.core.space import sample
from nas.core.trial import Proposal, Trial
from nas.strategies.encoding import Distances, Encoding, Features
from nas.strategies.expected_improvement import log_expected_improvement
from nas.strategies.gaussian_process import GaussianProcess, lay_out
from nas.strategies.predictor import Predictor
from nas.strategies.results import collect_results, normal_scores
from nas.testing import StrategyContract
from nas.testing.toys import ToySpace, asked_and_told, curved, ended, toy_loss
from search_spaces.autoencoder.space import AutoencoderSpace


class TestPredictor(StrategyContract):
    trials, long, short, landscape = 24, 22, 16, (28, 2)

    def make(self, space, seed, trials):
        return Predictor(space, seed=seed, trials=trials)


def distances_of(rows, counts=None):
    differences = (rows[:, None] != rows[None]).astype(float)
    return Distances(
        Features.of(differences), Features.of(np.zeros((*differences.shape[:2], 0)) if counts is None else counts)
    )


def array(features):
    return features.rows().transpose(0, 2, 1)


def problem(number=30, decisions=4, counts=3, seed=0):
    generator = np.random.default_rng(seed)
    rows = generator.integers(3, size=(number, decisions))
    shares = (rows[:, :, None] == np.arange(counts)).mean(1)
    distances = distances_of(rows, np.abs(shares[:, None] - shares[None]))
    targets = rows @ np.array([1.0, -0.5, 0.0, 0.2]) + 0.1 * generator.normal(size=number)
    return distances, (targets - targets.mean()) / targets.std()


@pytest.mark.parametrize("counts", [0, 3])
def test_the_gradient_of_the_marginal_likelihood_is_right(counts):
    distances, targets = problem(counts=counts)
    process = GaussianProcess(4, counts)
    at = process.parameters + 0.3 * np.random.default_rng(1).normal(size=len(process.parameters))
    shares = np.linspace(0.2, 1, len(targets))
    given = lay_out(distances), targets, shares
    value = lambda parameters: process._negative_log_posterior(parameters, *given)[0]  # noqa: E731
    numeric = scipy.optimize.approx_fprime(at, value, 1e-6)
    assert process._negative_log_posterior(at, *given)[1] == pytest.approx(numeric, abs=2e-4)


def test_predictions_equal_scikit_learns_for_the_same_kernel():
    generator = np.random.default_rng(0)
    rows = generator.integers(2, size=(20, 3)).astype(float)
    targets = generator.normal(size=20)
    process = GaussianProcess(3, 0)
    process.parameters = np.log([1.7, 1e-12, 1e-12, *[0.5] * 3, *[1.0] * 3, 0.2])
    covariances = process.covariances(distances_of(rows))
    process.condition(covariances, targets)
    mean, deviation = process.predict(covariances)
    # exp(-w d) of Hamming distances is the squared exponential kernel of 0 and 1 with length scale 1 / sqrt(2 w)
    reference = GaussianProcessRegressor(ConstantKernel(1.7) * RBF(1.0), alpha=0.2 + 1e-8, optimizer=None)
    expected, spread = reference.fit(rows, targets).predict(rows, return_std=True)
    assert mean == pytest.approx(expected, abs=1e-6)
    assert deviation == pytest.approx(spread, abs=1e-4)


def test_what_is_a_genotypes_own_is_known_where_it_was_evaluated_and_uncertain_elsewhere():
    generator = np.random.default_rng(0)
    rows = generator.integers(2, size=(20, 3)).astype(float)
    evaluations, targets, own, noise = generator.integers(1, 5, size=20), generator.normal(size=20), 0.3, 0.2
    process = GaussianProcess(3, 0)
    process.parameters = np.log([1.7, 1e-12, 1e-12, *[0.5] * 3, *[1.0] * 3, own + noise])
    covariances = process.covariances(distances_of(rows))
    process.condition(covariances, targets, (own + noise / evaluations) / (own + noise))
    mean, deviation = process.predict(covariances, own, known=True)
    kernel = 1.7 * np.exp(-0.5 * (rows[:, None] != rows[None]).sum(2))
    inverse = np.linalg.inv(kernel + own * np.eye(20) + np.diag(noise / evaluations))
    joint = kernel + own * np.eye(20)
    assert mean == pytest.approx(joint @ inverse @ targets, abs=1e-6)
    assert deviation**2 == pytest.approx(np.diag(joint - joint @ inverse @ joint), abs=1e-6)
    elsewhere, uncertain = process.predict(covariances, own)  # others with the same decisions, as far as is seen
    assert elsewhere == pytest.approx(kernel @ inverse @ targets, abs=1e-6)
    assert (uncertain > deviation).all()


def test_collect_results_one_genotype_are_put_together():
    space = ToySpace()
    genotypes = [sample(space, np.random.default_rng(seed)) for seed in range(3)]
    losses = (3.0, 1.0, 2.0, 5.0, 4.0)
    trials = [
        ended(Trial(number, Proposal(genotypes[which]), 0), loss)
        for number, (which, loss) in enumerate(zip((0, 1, 0, 2, 0), losses, strict=True))
    ]
    results = collect_results(trials)
    assert results.genotypes == genotypes
    assert results.numbers == [2, 1, 3]
    assert results.evaluations.tolist() == [3, 1, 1]
    scores = normal_scores(trials)
    mine = scores[[0, 2, 4]]
    assert results.scores == pytest.approx([mine.mean(), scores[1], scores[3]])
    assert results.spread == pytest.approx(mine.var() * 3)
    assert results.repeated == 2
    assert results.noise_share(0.5) == pytest.approx((0.5 + results.spread) / (0.5 * 4))
    assert collect_results(trials[:2]).noise_share(0.5) == 0.5  # nothing was repeated: half and half


def test_what_promises_most_is_evaluated_again_where_results_are_noisy_and_only_there():
    def noisy(genotype, number):
        return toy_loss(genotype) + 0.6 * np.random.default_rng(number).normal()

    def evaluated(trials, loss, **options):
        strategy, made = Predictor(ToySpace(), seed=1, trials=trials, **options), []
        for number in range(trials):
            proposal = strategy.ask(number)
            made.append(proposal.genotype)
            strategy.tell(ended(Trial(number, proposal, 0), loss(proposal.genotype, number)))
        return made

    made = evaluated(75, noisy)
    repeated = [number for number, genotype in enumerate(made) if genotype in made[:number]]
    assert 5 <= len(repeated) <= 75 / 3
    assert min(np.diff(repeated)) >= 3
    assert np.mean([toy_loss(made[number]) for number in repeated]) < np.mean([toy_loss(one) for one in made[20:]])
    assert len(set(evaluated(40, noisy, repeat_every=0))) == 40
    exact = evaluated(50, lambda genotype, number: toy_loss(genotype))
    assert len(set(exact)) >= 50 - 5  # a few equal results settle what a likelihood can only suspect


def test_fitting_finds_which_decisions_matter():
    distances, targets = problem(120)
    process = GaussianProcess(4, 3)
    before = process._negative_log_posterior(process.parameters, lay_out(distances), targets, np.ones(120))[0]
    after = process.fit(distances, targets, 60)
    assert after < before - 5
    weights = process.parameters[3:7] + process.parameters[7:11]
    assert weights[2] < min(weights[0], weights[1])  # it has the coefficient 0, they 1 and -.5


def test_expected_improvement_is_its_closed_form_and_does_not_vanish():
    mean, deviation = np.array([0.0, 1.0, -3.0, 0.5]), np.array([1.0, 0.5, 1.0, 0.1])
    z = mean - 0.7
    z = z / deviation
    expected = deviation * (z * scipy.stats.norm.cdf(z) + scipy.stats.norm.pdf(z))
    assert np.exp(log_expected_improvement(mean, deviation, 0.7)) == pytest.approx(expected, rel=1e-6)
    far = log_expected_improvement(np.linspace(-60, -20, 41), np.ones(41), 0.0)
    assert np.isfinite(far).all()
    assert (np.diff(far) > 0).all()


def test_failures_share_the_lowest_rank():
    losses = [[1.0], [0.1, 0.1, 0.1], [2.0, 0.5], [0.2]]
    kinds = ("complete", "diverged", "complete", "out_of_memory")
    scores = normal_scores([curved(n, curve, kind) for n, (curve, kind) in enumerate(zip(losses, kinds, strict=True))])
    assert scores[2] > scores[0] > scores[1] == scores[3]
    assert np.isfinite(scores).all()


def test_scores_of_whole_trainings_are_the_normal_scores_of_their_ranks():
    losses = np.random.default_rng(0).integers(8, size=30) / 8
    trials = [curved(number, [1.0, loss], "complete") for number, loss in enumerate(losses)]
    expected = scipy.stats.norm.ppf((scipy.stats.rankdata(-losses) - 0.5) / 30)
    assert normal_scores(trials).tolist() == expected.tolist()


def test_what_was_stopped_is_ranked_by_the_losses_at_equal_epochs():
    curves = [
        ([0.9, 0.8, 0.7], "complete"),
        ([0.5, 0.3, 0.1], "complete"),
        ([0.8], "stopped"),  # better than trial 0 was then, though its loss is worse than 0's in the end
        ([0.95], "stopped"),
        ([0.6, 0.4], "stopped"),
        ([0.1, 0.2], "diverged"),
    ]
    scores = normal_scores([curved(number, *curve) for number, curve in enumerate(curves)])
    assert np.argsort(-scores).tolist() == [1, 4, 2, 0, 3, 5]


def test_the_recommendation_is_no_trial_that_was_stopped():
    strategy = Predictor(ToySpace(), seed=0, trials=40)
    for number in range(24):
        proposal = strategy.ask(number)
        loss = toy_loss(proposal.genotype) + 0.6 * np.random.default_rng(number).normal() + 2
        kind = "complete" if number % 3 == 2 else "stopped"
        strategy.tell(curved(Trial(number, proposal, 0), [loss, loss] if kind == "complete" else [loss - 2], kind))
        assert (strategy.recommend() or 2) % 3 == 2
    strategy._is_noisy = lambda *results: True
    strategy._recommended = (0, None)
    assert strategy.recommend() % 3 == 2


def test_distances_count_decisions_orders_absences_and_uses():
    space = ToySpace()
    base = {**{f"letter{i}": "b" for i in range(8)}, "depth": 1, "source": 0, "rate": 0.1}
    made = [
        space.grow(lambda choice, content={**base, **change}: content[choice.site])
        for change in ({}, {"depth": 4}, {"depth": 2}, {"letter1": "c"}, {"letter2": "c"}, {"letter0": "a"})
    ]
    encoding = Encoding(space)
    encoding.learn(made)
    distances = encoding.reference(made).compare(made)
    decisions, counts = array(distances.decisions), array(distances.counts)
    total = decisions.sum(2)
    assert total[0, 1] == 1  # the whole range of the depth
    assert total[0, 2] == pytest.approx(1 / 3)
    assert total[0, 3] == 1
    assert total[0, 5] == 2  # a letter, and the rate that no longer arises
    assert total[3, 4] == 2
    assert counts[3, 4].sum() == 0  # the same letters, elsewhere
    assert counts[0, 3].sum() == pytest.approx(2 / 8)
    assert (total == total.T).all()


def test_sites_met_later_are_absent_from_what_was_met_before():
    space = AutoencoderSpace().conditioned(None)
    encoding = Encoding(space)
    generator = np.random.default_rng(0)
    genotypes = [sample(space, generator) for _ in range(40)]
    encoding.learn(genotypes)
    rows = encoding.matrix(genotypes)
    distances = encoding.reference(genotypes).compare(genotypes)
    decisions, counts = array(distances.decisions), array(distances.counts)
    assert decisions.shape[:2] == counts.shape[:2] == (40, 40)
    assert decisions.shape[2] < rows.shape[1]  # like decisions share a feature
    assert (decisions >= 0).all()
    assert (decisions <= 1).all()
    assert (np.diagonal(decisions.sum(2)) == 0).all()


@pytest.mark.parametrize("known", [5, 60])
def test_distances_that_are_looked_up_are_those_of_each_pair(known):
    """Also of genotypes with sites that the known ones have not, which are compared by the features that there are."""
    space, generator = AutoencoderSpace().conditioned(None), np.random.default_rng(3)
    genotypes = [sample(space, generator, 0.3) for _ in range(known)]
    encoding = Encoding(space)
    encoding.learn(genotypes)
    reference, others = encoding.reference(genotypes), [sample(space, generator) for _ in range(20)]
    found = reference.compare(others)
    rows = encoding.matrix([*genotypes, *others])
    choices, places = encoding._choices, range(len(others))
    for feature, group in enumerate(encoding._groups):
        distances = array(found.decisions)[:, :, feature]
        for i in places:
            for j in range(known):
                away = 0.0
                for column in group:
                    a, b = int(rows[known + i, column]), int(rows[j, column])
                    near = choices[column].ordered and -1 not in (a, b)
                    away += abs(a - b) / (len(choices[column].values) - 1) if near else a != b
                assert distances[i, j] == pytest.approx(away / len(group), rel=1e-12)
    feature = 0
    for group in encoding._counted:
        for place in range(len(choices[group[0]].values)):
            share = (rows[:, group] == place).mean(1)
            assert (array(found.counts)[:, :, feature] == np.abs(share[known:, None] - share[None, :known])).all()
            feature += 1
    for features in (found.decisions, found.counts):
        weights = np.linspace(0.5, 2, features.count)
        decayed = features.sum(lambda away, weight: np.exp(-weight * away), weights)
        assert decayed == pytest.approx(np.exp(-weights * array(features)).sum(2), rel=1e-12)


def test_of_candidates_that_promise_the_same_the_first_is_taken(monkeypatch):
    """Whatever rounding makes of them, so that runs are resumed alike on every processor."""

    def asked(noise):
        strategy = Predictor(ToySpace(), seed=0, trials=20)
        asked_and_told(strategy, 12)
        generator = np.random.default_rng(noise)
        exact = lambda model, genotypes, margin=0.0: 1e-10 * generator.normal(size=len(genotypes))  # noqa: E731
        monkeypatch.setattr("nas.strategies.predictor.Model.improvement", exact)
        return strategy.ask(12)

    assert asked(1) == asked(2)


def test_a_decision_that_does_not_matter_is_left_alone_and_those_that_do_are_found():
    history = asked_and_told(Predictor(ToySpace(), seed=0, trials=80), 80)
    assert min(trial.losses[0] for trial in history) < 1.0
    assert np.mean([trial.losses[0] for trial in history[60:]]) < 4  # of 8 letters drawn at random 6.4 are wrong


def test_what_is_recommended_under_noise_is_better_than_the_luckiest():
    def noisy(genotype):
        return toy_loss(genotype) + 1.5 * np.random.default_rng(int(genotype.id, 16)).normal()

    recommended, luckiest = [], []
    for seed in range(2):
        strategy = Predictor(ToySpace(), seed=seed, trials=50)
        history = asked_and_told(strategy, 50, noisy)
        recommended.append(toy_loss(history[strategy.recommend()].genotype))
        luckiest.append(toy_loss(min(history, key=lambda trial: trial.losses).genotype))
    assert np.mean(recommended) <= np.mean(luckiest)


def test_more_results_than_the_model_takes_are_digested(monkeypatch):
    monkeypatch.setattr("nas.strategies.predictor._MOST", 20)
    history = asked_and_told(Predictor(ToySpace(), seed=0, trials=60), 60)
    assert min(trial.losses[0] for trial in history) < 1.5


def test_a_run_of_failures_is_survived():
    strategy = Predictor(ToySpace(), seed=0, trials=40)
    for number in range(15):
        strategy.tell(ended(Trial(number, strategy.ask(number), 0), None))
    assert strategy.recommend() is None
    for number in range(15, 30):
        proposal = strategy.ask(number)
        strategy.tell(ended(Trial(number, proposal, 0), toy_loss(proposal.genotype)))
    assert strategy.recommend() is not None


def test_it_searches_the_autoencoder_space_from_what_is_usual():
    space = AutoencoderSpace().conditioned(None)
    strategy = Predictor(space, seed=0, trials=30)
    usual = sample(space, np.random.default_rng(0), usual=1.0)

    def loss(genotype):
        return float(sum(genotype.content.get(site) != value for site, value in usual.content.items()))

    history = asked_and_told(strategy, 20, loss)
    assert history[0].genotype == usual
    for trial in history:
        space.validate(trial.genotype)


@pytest.mark.parametrize(
    ("option", "value"), [("initial", 1), ("mutants", 0), ("draws", 0), ("usual", -0.1), ("margin", -1.0)]
)
def test_impossible_options_are_refused(option, value):
    with pytest.raises(UserError, match=f"--set {option}"):
        Predictor(ToySpace(), seed=0, trials=30, **{option: value})
