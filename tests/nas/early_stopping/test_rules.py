"""The rules of early stopping, on learning curves alone; Optuna's pruners decide alike where the definitions agree."""

import math
import statistics
from dataclasses import replace

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.pruners import HyperbandPruner, MedianPruner, SuccessiveHalvingPruner

from nas.core.errors import UserError
from nas.core.trial import Objective
from nas.early_stopping import Asha, Hyperband, Incumbent, Median, Never, Plateau
from nas.testing import EarlyStoppingContract
from nas.testing.toys import LOSS, curved

optuna.logging.set_verbosity(optuna.logging.WARNING)


class TestAsha(EarlyStoppingContract):
    def make(self, objective, epochs, seed):
        return Asha(objective, epochs=epochs, seed=seed)


class TestAshaLater(EarlyStoppingContract):
    first = 2

    def make(self, objective, epochs, seed):
        return Asha(objective, epochs=epochs, seed=seed, first=2, reduction=2)


class TestHyperband(EarlyStoppingContract):
    def make(self, objective, epochs, seed):
        return Hyperband(objective, epochs=epochs, seed=seed)


class TestMedian(EarlyStoppingContract):
    first = 2

    def make(self, objective, epochs, seed):
        return Median(objective, epochs=epochs, seed=seed)


class TestPlateau(EarlyStoppingContract):
    first = 4

    def make(self, objective, epochs, seed):
        return Plateau(objective, epochs=epochs, seed=seed)


class TestIncumbent(EarlyStoppingContract):
    def make(self, objective, epochs, seed):
        return Incumbent(objective, epochs=epochs, seed=seed)


class TestNever(EarlyStoppingContract):
    stops = False

    def make(self, objective, epochs, seed):
        return Never(objective, epochs=epochs, seed=seed)


EPOCHS = 28


def curves(seed, trials=50):
    generator = np.random.default_rng(seed)
    fall = np.cumsum(generator.exponential(0.05, (trials, EPOCHS))[:, ::-1], axis=1)[:, ::-1]
    return generator.normal(size=(trials, 1)) + fall + 0.2 * generator.normal(size=(trials, EPOCHS))


def optunas(pruner, losses, direction="minimize"):
    """How many epochs Optuna trains each trial for, one after the other, told after every epoch but the last."""
    study = optuna.create_study(direction=direction, pruner=pruner)
    sign = 1 if direction == "minimize" else -1
    lengths = []
    for row in losses:
        trial = study.ask()
        for epoch, loss in enumerate(row[:-1], 1):
            trial.report(sign * loss, epoch)
            if trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                lengths.append(epoch)
                break
        else:
            study.tell(trial, sign * row[-1])
            lengths.append(len(row))
    return lengths


def ours(rule, losses):
    """The same of a rule of ours."""
    ended = []
    for number, row in enumerate(losses):
        for epoch in range(1, len(row) + 1):
            if rule.reason_to_stop(curved(number, row[:epoch].tolist()), ended):
                ended.append(curved(number, row[:epoch].tolist(), "stopped"))
                break
        else:
            ended.append(curved(number, row.tolist(), "complete"))
    return [len(trial.curve) for trial in ended]


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize(("first", "reduction"), [(1, 3), (1, 2), (2, 4), (5, 3)])
def test_asha_decides_as_optunas_successive_halving(first, reduction, direction):
    """All but after the last epoch, where Optuna's may still prune and ours has nothing left to stop."""
    objective = Objective("loss", direction)
    for seed in range(2):
        losses = curves(seed)
        rule = Asha(objective, epochs=EPOCHS, seed=0, first=first, reduction=reduction)
        pruner = SuccessiveHalvingPruner(min_resource=first, reduction_factor=reduction)
        lengths = ours(rule, losses)
        assert lengths == optunas(pruner, losses, direction)
        assert len(set(lengths)) > 1


def test_asha_keeps_floor_n_by_eta_and_at_least_the_best():
    rule = Asha(LOSS, epochs=9, seed=0, first=1, reduction=3)
    ended = [curved(number, [float(number)], "stopped") for number in range(8)]
    for loss, goes_on in ((-1.0, True), (1.0, True), (1.5, True), (2.0, True), (2.5, False)):  # of 9: 3
        assert (rule.reason_to_stop(curved(9, [loss]), ended) is None) == goes_on
    assert rule.reason_to_stop(curved(9, [2.5]), ended) == (
        "asha: loss 2.5 after epoch 1 is not among the best 3 of the 9 that came so far (2 or less)"
    )
    assert rule.reason_to_stop(curved(9, [0.5]), ended[:1]) == (
        "asha: loss 0.5 after epoch 1 is not the best of the 2 that came so far (0 or less)"
    )
    assert rule.reason_to_stop(curved(9, [-1.0, 9.0]), ended) is None  # epoch 2 is no rung
    assert rule.reason_to_stop(curved(9, [-1.0, 9.0, 9.0]), ended) is None  # nobody came to the second rung


def test_what_diverged_is_the_worst_of_its_rungs_and_sets_no_bar():
    """Optuna compares with what a failed trial had, and not at the rung that it was on its way to."""
    rule = Asha(LOSS, epochs=28, seed=0, first=1, reduction=3)
    quick = curved(0, [0.1, 0.05], "diverged")
    assert rule.reason_to_stop(curved(1, [1.0]), [quick]) is None
    assert rule.reason_to_stop(curved(1, [1.0]), [curved(0, [0.1, 0.05], "failed")]) is not None
    good = [curved(n, [0.1 * n, 0.1, 0.1 * n], "complete") for n in range(1, 3)]
    own = curved(9, [0.15, 0.1, 0.15])
    assert rule.reason_to_stop(own, good) is not None  # the best of 3 alone goes on
    lost = [curved(n, [0.2], "diverged") for n in range(3, 6)]
    assert rule.reason_to_stop(own, [*good, *lost]) is None  # with those that were on their way it is 2 of 6
    assert rule.reason_to_stop(curved(9, [0.15] * 9), [curved(7, [0.1, 0.1, 0.1], "diverged")]) is None


def test_a_rung_between_two_measurements_is_decided_at_the_second():
    rule = Asha(LOSS, epochs=20, seed=0, first=1, reduction=3)
    others = [replace(curved(n, [1.0]), curve={2: 0.5, 4: 0.1}) for n in range(3)]
    late = replace(curved(9, [1.0]), curve={2: 0.6})
    assert "after epoch 1" in rule.reason_to_stop(late, others)
    good = replace(curved(9, [1.0]), curve={2: 0.4, 4: 0.2})
    assert "after epoch 3" in rule.reason_to_stop(good, others)


@pytest.mark.parametrize(
    ("first", "reduction", "epochs"), [(1, 3, 28), (1, 3, 27), (1, 2, 28), (2, 3, 28), (1, 3, 243)]
)
def test_hyperbands_brackets_and_their_shares_are_optunas(first, reduction, epochs):
    pruner = HyperbandPruner(min_resource=first, max_resource=epochs, reduction_factor=reduction)
    study = optuna.create_study(pruner=pruner)
    pruner._try_initialization(study)
    rule = Hyperband(LOSS, epochs=epochs, seed=0, first=first, reduction=reduction)
    exact = math.floor(round(math.log(epochs / first, reduction), 9)) + 1
    assert len(rule.shares) == exact
    if epochs != 243:  # whose logarithm Optuna rounds down: it has a bracket too few
        assert rule.shares == pruner._trial_allocation_budgets


def test_a_bracket_follows_from_the_number_and_the_seed_and_has_its_share_of_every_row():
    rule = Hyperband(LOSS, epochs=28, seed=3)
    row = sum(rule.shares)
    brackets = [rule.bracket(number) for number in range(3 * row)]
    for part in range(3):
        found = brackets[part * row : (part + 1) * row]
        assert [found.count(bracket) for bracket in range(len(rule.shares))] == rule.shares
    assert [Hyperband(LOSS, epochs=28, seed=3).bracket(number) for number in range(3 * row)] == brackets
    assert [Hyperband(LOSS, epochs=28, seed=4).bracket(number) for number in range(3 * row)] != brackets
    assert brackets[:row] != brackets[row : 2 * row]


def test_each_bracket_decides_as_optunas_successive_halving_among_its_own():
    """Optuna's hash gives trials other brackets; within one the decisions are the same."""
    losses = curves(0, 80)
    rule = Hyperband(LOSS, epochs=EPOCHS, seed=0)
    lengths = ours(rule, losses)
    for bracket in range(len(rule.shares)):
        numbers = [number for number in range(80) if rule.bracket(number) == bracket]
        pruner = SuccessiveHalvingPruner(min_resource=1, reduction_factor=3, min_early_stopping_rate=bracket)
        assert [lengths[number] for number in numbers] == optunas(pruner, losses[numbers])


@pytest.mark.parametrize(("startup", "warm_up"), [(5, 1), (1, 0), (8, 4)])
def test_median_decides_as_optunas_over_running_means(startup, warm_up):
    """Optuna takes the median of losses at an epoch, the paper that of means up to it: so it is given means."""
    for seed in range(2):
        losses = curves(seed, 25)
        rule = Median(LOSS, epochs=EPOCHS, seed=0, startup=startup, warm_up=warm_up)
        lengths = ours(rule, losses)
        pruner = MedianPruner(n_startup_trials=startup, n_warmup_steps=warm_up + 1)
        study = optuna.create_study(pruner=pruner)
        for row, length in zip(losses, lengths, strict=True):
            trial = study.ask()
            for epoch, loss in enumerate(row[: min(length, EPOCHS - 1)], 1):
                trial.report(loss, epoch)
                assert trial.should_prune() == (epoch == length)
            means = np.cumsum(row[:length]) / np.arange(1, length + 1)
            state = optuna.trial.TrialState.COMPLETE if length == EPOCHS else optuna.trial.TrialState.PRUNED
            frozen = optuna.trial.create_trial(
                state=state, value=row[-1], intermediate_values=dict(enumerate(means.tolist(), 1))
            )
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            study.add_trial(frozen)
        assert EPOCHS in lengths
        assert min(lengths) < EPOCHS


def test_the_medians_definition():
    rule = Median(LOSS, epochs=9, seed=0, startup=3)
    complete = [curved(n, [4.0 + n, 2.0, 0.0], "complete") for n in range(3)]
    median = statistics.median([(4.0 + n + 2.0) / 2 for n in range(3)])
    assert rule.reason_to_stop(curved(9, [9.0, median]), complete) is None  # strictly worse
    assert "the best loss up to epoch 2, 3.6, is worse than 3.5" in rule.reason_to_stop(curved(9, [9.0, 3.6]), complete)
    assert rule.reason_to_stop(curved(9, [3.0, 9.0]), complete) is None  # its best, not its last
    assert rule.reason_to_stop(curved(9, [9.0, 9.0]), complete[:2]) is None
    others = [curved(n, [0.0, 0.0], kind) for n, kind in ((4, "stopped"), (5, "failed"), (6, None))]
    assert rule.reason_to_stop(curved(9, [9.0, 3.4]), [*complete, *others]) is None


def test_the_incumbent_is_the_best_that_is_complete_and_the_tolerance_shrinks():
    rule = Incumbent(LOSS, epochs=3, seed=0, tolerance=0.2)
    others = [
        curved(0, [10.0, 5.0, 1.0], "complete"),
        curved(1, [1.0, 1.0, 2.0], "complete"),  # which was ahead before the end alone
        curved(2, [0.1, 0.1, 0.1], "diverged"),
    ]
    assert rule.reason_to_stop(curved(3, [11.9]), others) is None  # a fifth worse is allowed after the first of three
    assert "12.1 after epoch 1, where trial 0, the best so far, had 10" in rule.reason_to_stop(
        curved(3, [12.1]), others
    )
    assert rule.reason_to_stop(curved(3, [11.9, 5.4]), others) is None  # and a tenth after the second
    assert rule.reason_to_stop(curved(3, [1.0, 5.6]), others) is not None
    assert rule.reason_to_stop(curved(3, [1.0, 1.0, 9.0]), others) is None  # the last has no more to save
    assert rule.reason_to_stop(curved(3, [99.0]), others[2:]) is None
    late = Incumbent(LOSS, epochs=3, seed=0, first=2)
    assert late.reason_to_stop(curved(3, [99.0]), others) is None


def test_plateaus_definition():
    rule = Plateau(LOSS, epochs=20, seed=0, patience=3, min_delta=0.1)
    better = [curved(1, [0.1], "complete")]
    assert rule.reason_to_stop(curved(0, [1.0, 0.95, 0.93, 0.91]), better) == (
        "plateau: loss has not improved by 0.1 of itself since epoch 1 (1), and the best so far is 0.1"
    )
    assert rule.reason_to_stop(curved(0, [1.0, 0.95, 0.93]), better) is None
    assert rule.reason_to_stop(curved(0, [1.0, 0.95, 0.93, 0.89]), better) is None  # by more than a tenth
    assert rule.reason_to_stop(curved(0, [1.0, 1.0, 1.0, 1.0]), [curved(1, [2.0], "complete")]) is None  # the best
    assert rule.reason_to_stop(curved(0, [1.0] * 20), better) is None  # the last epoch
    assert rule.reason_to_stop(curved(0, [1.0] * 4), [curved(1, [0.1], "diverged")]) is None
    assert rule.reason_to_stop(curved(0, [-5.0, -5.2, -5.3, -5.4]), [curved(1, [-9.0])]) is not None  # a tenth is 0.5


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.floats(-5, 5), min_size=10, max_size=10), min_size=1, max_size=12), st.integers(2, 4))
def test_asha_stops_no_more_the_fewer_came_and_never_a_least_loss(rows, reduction):
    rule = Asha(LOSS, epochs=10, seed=0, reduction=reduction)
    others = [curved(number, row, "complete") for number, row in enumerate(rows)]
    least = [min(column) for column in zip(*rows, strict=True)]
    for epoch in range(1, 10):
        assert rule.reason_to_stop(curved(99, least[:epoch]), others) is None


@pytest.mark.parametrize(
    ("rule", "options", "message"),
    [
        (Asha, {"reduction": 1}, "--stop-set reduction 1"),
        (Asha, {"first": 0}, "--stop-set first 0.*allowed: 1 to 9"),
        (Asha, {"first": 10}, "--stop-set first 10.*allowed: 1 to 9, as there are 10 epochs"),
        (Hyperband, {"reduction": 0}, "--stop-set reduction 0"),
        (Hyperband, {"first": 10}, "--stop-set first 10"),
        (Median, {"startup": 0}, "--stop-set startup 0"),
        (Median, {"warm_up": -1}, "--stop-set warm_up -1"),
        (Incumbent, {"tolerance": -0.1}, "--stop-set tolerance -0.1"),
        (Incumbent, {"first": 0}, "--stop-set first 0"),
        (Plateau, {"patience": 0}, "--stop-set patience 0"),
        (Plateau, {"min_delta": 1.0}, "--stop-set min_delta 1.0"),
        (Plateau, {"min_delta": math.nan}, "--stop-set min_delta nan"),
    ],
)
def test_impossible_options_are_refused(rule, options, message):
    with pytest.raises(UserError, match=message):
        rule(LOSS, epochs=10, seed=0, **options)


@pytest.mark.parametrize("rule", [Asha, Hyperband, Incumbent, Median, Plateau, Never])
def test_of_one_epoch_nothing_is_stopped(rule):
    assert rule(LOSS, epochs=1, seed=0).reason_to_stop(curved(9, [9.0]), [curved(0, [0.0], "complete")] * 9) is None


class Remembering(Asha):
    """Compares with what it was asked about, not with what there is."""

    def __init__(self, *given, **options):
        super().__init__(*given, **options)
        self.seen = []

    def reason_to_stop(self, trial, others):
        self.seen.append(trial)
        return super().reason_to_stop(trial, self.seen[:-1])


class OrderBound(Asha):
    """Compares with the first half of the others."""

    def reason_to_stop(self, trial, others):
        return super().reason_to_stop(trial, others[: len(others) // 2])


class Harsh(Never):
    """Stops what is not far better than all, at any time."""

    def reason_to_stop(self, trial, others):
        least = min((loss for other in others for loss in other.curve.values()), default=math.inf)
        return "loss is too high" if min(trial.curve.values()) > least - 1 else None


class Late(Never):
    """Stops at the last epoch."""

    def __init__(self, objective, *, epochs, seed):
        self.epochs = epochs

    def reason_to_stop(self, trial, others):
        return "loss is done" if others and max(trial.curve) == self.epochs and others[-1].number % 2 else None


class Brittle(Never):
    """Takes it that every curve has a last loss."""

    def reason_to_stop(self, trial, others):
        return max((list(other.curve.values())[-1] for other in others), default=0) < 0 or None


@pytest.mark.parametrize(
    ("rule", "law"),
    [
        (Remembering, "test_the_same_curves_give_the_same_decision_whatever_was_asked_before_and_in_whatever_order"),
        (OrderBound, "test_the_same_curves_give_the_same_decision_whatever_was_asked_before_and_in_whatever_order"),
        (Harsh, "test_a_loss_below_all_others_so_far_goes_on"),
        (Late, "test_it_never_stops_before_its_first_epoch_nor_after_the_last"),
        (Never, "test_it_stops_some_and_not_all_and_says_why_with_the_objectives_name"),
        (Brittle, "test_failures_and_trials_that_have_only_begun_are_digested"),
    ],
)
def test_rules_that_break_a_law_are_found(rule, law):
    class Suite(EarlyStoppingContract):
        def make(self, objective, epochs, seed):
            return rule(objective, epochs=epochs, seed=seed)

    with pytest.raises((AssertionError, IndexError)):
        getattr(Suite(), law)()
