"""Searches in which children begin from their parents' weights."""

import numpy as np
import pytest

import nas
from nas.core.errors import UserError
from nas.core.job import TrainSupernet
from nas.core.space import sample
from nas.core.supernet import SupernetPlan
from nas.core.trial import Outcome, Proposal, Trial
from nas.session.lookup import open_run
from nas.session.option_checks import check_inheritance
from nas.session.warm_start import load_parent
from nas.strategies.evolution import Evolution
from nas.study.run import describe_inheritance
from nas.testing.toys import ToyEvaluator, ToySpace
from search_spaces.autoencoder.space import AutoencoderSpace
from tests.conftest import tiny_data
from tests.parts.autoencoders import AutoencoderEvaluator

SPACE = AutoencoderSpace().conditioned(None)
SMALL = {"width": 8, "latent": 8, "stages": 1, "cells": "edge", "batch_size": 16, "family": "plain",
         "network": "convolutional", "optimiser": "adam", "encoder_cell.nodes": 1}  # fmt: skip
TIMINGS = ("seconds", "peak_memory_mb")


def search(path, name, trials=6, **options):
    settings = {"population": 2, "sample": 2} if options.get("strategy", "evolution") == "evolution" else {}
    return nas.search(
        data=tiny_data(), trials=trials, epochs=2, name=name, runs_dir=path, pin=SMALL, set=settings,
        **({"weight_sharing": "inherit"} | options),
    )  # fmt: skip


def results(run):
    kept = [{n: v for n, v in trial.metrics.items() if n not in TIMINGS} for trial in run.trials]
    return [(trial.genotype, trial.proposal.parents) for trial in run.trials], kept


class Interrupted(AutoencoderEvaluator):
    """The user has had enough, once, in the middle of trial 4."""

    patience = 1

    def evaluate(self, trial):
        for measurement in super().evaluate(trial):
            yield measurement
            if trial.number == 4 and Interrupted.patience:
                Interrupted.patience -= 1
                raise KeyboardInterrupt


@pytest.mark.long
@pytest.mark.usefixtures("no_export")
def test_children_begin_from_their_parents_also_after_an_interruption(tmp_path):
    whole = search(tmp_path, "whole")
    children = [trial for trial in whole.trials if trial.proposal.parents]
    assert [trial.number for trial in children] == [2, 3, 4, 5]
    for trial in children:
        for measurement in trial.measurements:
            assert measurement.metrics["inherited_from"] == trial.proposal.parents[0]
            assert 0.1 < measurement.metrics["inherited"] <= 1
    assert all("inherited" not in trial.metrics for trial in whole.trials[:2])

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, "interrupted", evaluator=Interrupted)
    resumed = nas.resume(tmp_path / "interrupted", data=tiny_data(), evaluator=Interrupted)
    assert results(resumed) == results(whole)
    search(tmp_path, "short", trials=3)
    assert results(nas.resume(tmp_path / "short", trials=6, data=tiny_data())) == results(whole)

    said = describe_inheritance(children[0], "inherit")
    assert said.endswith(f"% of the parameters from trial {children[0].proposal.parents[0]}")
    assert f"inherited {said}" in " ".join((whole.path / "report.html").read_text().split())
    assert open_run(whole.path).config.weight_sharing == "inherit"


@pytest.mark.usefixtures("no_export", "no_report")
def test_without_sharing_nothing_is_inherited(tmp_path):
    run = search(tmp_path, "none", trials=3, weight_sharing="none")
    assert not any("inherited" in trial.metrics for trial in run.trials)
    assert describe_inheritance(run.trials[2], "none") == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "random"}, "--strategy 'random': --weight-sharing inherit needs parents"),
        ({"strategy": "nsga2"}, "--strategy 'nsga2': --weight-sharing inherit needs parents"),
        ({"keep_weights": 3}, "--keep-weights 3: --weight-sharing inherit begins from the weights of any trial"),
        ({"weight_sharing": "all"}, "--weight-sharing 'all' is not accepted; allowed: none, inherit"),
    ],
)
def test_what_does_not_go_with_it_is_refused_before_a_run_begins(options, message, tmp_path):
    with pytest.raises(UserError, match=f"^{message}"):
        search(tmp_path / "runs", "refused", **options)
    assert not (tmp_path / "runs").exists()


def test_evaluators_that_take_no_starts_are_refused():
    space = ToySpace()
    with pytest.raises(UserError, match=r"^--evaluator 'ToyEvaluator': --weight-sharing inherit needs one"):
        check_inheritance(Evolution(space, seed=0, trials=4), "evolution", ToyEvaluator(space), None)


# -- whose weights


@pytest.fixture
def weights(tmp_path):
    """Where trials' weights are: those of trial 0 and 1 are there."""
    for number in (0, 1):
        (tmp_path / f"{number}").write_bytes(b"tensors of %d" % number)
    return lambda number: tmp_path / str(number)


def ended(number, genotype, kind="complete"):
    return Trial(number, Proposal(genotype), 0, (), Outcome(kind), (1.0,))


def changed(genotype, **decided):
    decided = {site.replace("__", "."): value for site, value in decided.items()}
    return SPACE.grow(lambda choice: decided.get(choice.site, genotype.content.get(choice.site, choice.values[0])))


USUAL = sample(SPACE, np.random.default_rng(0), usual=1.0)


def test_of_two_parents_it_is_the_one_whose_network_is_more_alike(weights):
    near, far = (
        changed(USUAL, width=24, learning_rate=0.001, loss="bce"),
        changed(USUAL, width=64, stages=3, activation="relu"),
    )
    child = Trial(2, Proposal(USUAL, (0, 1)), 0)
    for order in ((near, far), (far, near)):
        start = load_parent(child, [ended(n, genotype) for n, genotype in enumerate(order)], weights, SPACE)
        assert start.genotype == near
        assert start.tensors == b"tensors of %d" % order.index(near)
    alike = [ended(0, changed(USUAL, width=16)), ended(1, changed(USUAL, width=8))]
    assert load_parent(child, alike, weights, SPACE).number == 0  # the first named


@pytest.mark.parametrize("kind", ["failed", "diverged", "collapsed", "out_of_memory", "supernet"])
def test_parents_that_were_not_scored_give_nothing(kind, weights):
    child = Trial(2, Proposal(USUAL, (0,)), 0)
    other = changed(USUAL, width=16)
    assert load_parent(child, [ended(0, other)], weights, SPACE) is not None
    assert load_parent(child, [ended(0, other, kind)], weights, SPACE) is None


def test_parents_without_weights_give_nothing_but_the_other_one_does(weights):
    """A trial that was stopped early has none."""
    others = [changed(USUAL, width=width) for width in (8, 16, 32)]
    trials = [ended(0, others[0]), ended(1, others[1]), ended(2, others[2], "stopped")]
    assert load_parent(Trial(3, Proposal(USUAL, (2,)), 0), trials, weights, SPACE) is None
    assert load_parent(Trial(3, Proposal(USUAL, (2, 1)), 0), trials, weights, SPACE).number == 1


def test_what_is_evaluated_again_and_supernets_begin_from_nothing(weights):
    assert load_parent(Trial(1, Proposal(USUAL, (0,)), 0), [ended(0, USUAL)], weights, SPACE) is None
    supernet = Proposal(USUAL, (0,), job=TrainSupernet(SupernetPlan(epochs=3)))
    assert load_parent(Trial(1, supernet, 0), [ended(0, changed(USUAL, width=8))], weights, SPACE) is None
