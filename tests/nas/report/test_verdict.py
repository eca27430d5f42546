"""Whether a search has paid is said of what was measured: beside the usual genotype, else that this one has won."""

from types import SimpleNamespace

import pytest

from nas.core.trial import Objective
from nas.report.verdict import judge


def judged(own, usual=None, found=None, pca=0.2, **further):
    compared = {"baselines": {"PCA": {"mse": pca}}, "usual": None, **further}
    if usual is not None:
        compared["usual"] = {"test": {"mse": usual}, "seconds": 10.0, "number": 1}
    if found is not None:
        compared |= {"found": found, "trained": 0.5}
    run = SimpleNamespace(compared=compared, tested={"mse": own})
    best = SimpleNamespace(number=3, metrics={"seconds": 10.0})
    return judge(SimpleNamespace(run=run, objective=Objective("mse", "minimize"), best=best))


@pytest.mark.parametrize(
    ("own", "usual", "sentence"),
    [
        (0.1, 0.125, "Yes: its mse is 20% lower than that of the usual genotype and 50% lower than that of PCA."),
        (0.15, 0.125, "In part: its mse is 20% higher than that of the usual genotype and 25% lower than that of PCA."),
        (0.25, 0.125, "No: its mse is 100% higher than that of the usual genotype and 25% higher than that of PCA."),
    ],
)
def test_the_answer_follows_from_the_scores(own, usual, sentence):
    assert judged(own, usual, found=0.8).sentence == sentence


def test_where_the_usual_genotype_has_won_the_architecture_has_not_paid():
    verdict = judged(0.1, found=1.0)
    assert verdict.sentence == (
        "Not by its architecture: the usual one has won, trained in full. Its mse is 50% lower than that of PCA."
    )
    assert "Trained as it is now it has 50% of the mse that it had as a candidate." in verdict.notes
    assert judged(0.1).sentence == "Yes: its mse is 50% lower than that of PCA."


def test_where_the_winner_was_regularised_that_is_said_and_that_its_architecture_is_usual():
    verdict = judged(0.1, 0.125, found=1.0, changed={"weight_decay": [0.0, 0.1]})
    assert verdict.sentence.startswith("Yes: its mse is 20% lower than that of the usual genotype")
    assert "In the finals it was regularised, as it learnt its data by heart: weight decay 0.0 → 0.1." in verdict.notes
    assert "Its architecture is the usual one: what has paid is how it was trained in the finals." in verdict.notes
