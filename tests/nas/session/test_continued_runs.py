"""A search that is continued in a changed space: whose results count, and what is trained anew."""

import pytest

import nas
from nas.core.errors import UserError
from nas.core.evaluator import Evaluator
from nas.core.job import Train
from nas.core.metric import COST
from nas.core.trial import Measurement
from nas.session.delivery import export_model
from nas.session.lookup import open_run
from nas.testing.toys import ToyEvaluator, ToySpace, toy_loss
from tests.conftest import export_only_python, tiny_data
from tests.parts.command_line import QUICK, refused, said
from tests.parts.interrupting import Until


class Scoring(Evaluator):
    """The toy loss, of which each epoch brings the half; it remembers whom it was asked to train."""

    metrics = ToyEvaluator.metrics | COST
    jobs = frozenset({Train})
    trained: list[int] = []  # noqa: RUF012 - by all of them

    def __init__(self, space, data, *, epochs, device):
        self.epochs = epochs

    def evaluate(self, trial):
        self.trained.append(trial.number)
        for epoch in range(1, self.epochs + 1):
            yield Measurement(epoch, {"loss": toy_loss(trial.genotype) + 2.0**-epoch})


PARTS = {"space": ToySpace(), "data": tiny_data(count=40), "evaluator": Scoring}


pytestmark = pytest.mark.usefixtures("nothing_delivered")


@pytest.fixture(scope="module")
def earlier(tmp_path_factory, nothing_delivered):
    folder = tmp_path_factory.mktemp("runs")
    options = {"strategy": "random", "finalists": 0, "epochs": 2, "usual": False, "seed": 3}
    return nas.search(trials=24, runs_dir=folder, name="earlier", **PARTS, **options)


def genotypes(run):
    return [trial.genotype for trial in run.trials]


def counting(run, **values):
    """Its trials with these decisions."""
    return [t for t in run.trials if all(t.genotype.content[site] in some for site, some in values.items())]


@pytest.mark.parametrize("strategy", ["evolution", "hierarchical", "local", "neat", "deap-nsga2", "metaqnn", "tpe",
                                      "nsga2", "predictor", "random", "reinforce"])  # fmt: skip
def test_what_still_counts_is_not_trained_again_whatever_the_strategy(earlier, tmp_path, strategy):
    known = counting(earlier, letter0="abc")
    assert 4 < len(known) < 24
    Scoring.trained.clear()
    options = {"strategy": strategy, "restrict": {"letter0": ["a", "b", "c"]}, "trials": len(known) + 8}
    run = nas.extend(earlier, runs_dir=tmp_path, name="new", **PARTS, **options)
    assert Scoring.trained == list(range(len(known), len(known) + 8))
    assert genotypes(run)[: len(known)] == [trial.genotype for trial in known]
    for new, old in zip(run.trials, known, strict=False):
        assert (new.losses, new.seed, new.outcome) == (old.losses, old.seed, old.outcome)
        assert [m.metrics for m in new.measurements] == [m.metrics for m in old.measurements]
        assert new.proposal.origin == f"trial {old.number} of earlier"
    assert len(set(genotypes(run))) == len(run.trials)
    assert run.config.epochs == 2  # as in the run that is continued
    before = genotypes(run)
    resumed = nas.resume(run, trials=len(known) + 10, **PARTS)
    assert genotypes(resumed)[: len(known) + 8] == before
    assert len(Scoring.trained) == 10


def test_what_was_interrupted_goes_on_with_the_same(earlier, tmp_path):
    from nas.session.continuing import make_continued_config
    from nas.session.given import Given
    from nas.session.start import start_run

    given = Given(space=ToySpace(), data=PARTS["data"], evaluator=Scoring)
    options = {"continue_": str(earlier.path), "strategy": "evolution", "trials": 40, "runs_dir": tmp_path}
    whole = start_run(make_continued_config({**options, "name": "whole"}), given=given)
    with pytest.raises(KeyboardInterrupt):
        start_run(make_continued_config({**options, "name": "cut"}), given=given, progress=Until(5))
    assert genotypes(nas.resume(tmp_path / "cut", **PARTS)) == genotypes(whole)


def test_the_best_known_result_is_exported_from_its_copied_weights(small_run, tmp_path, monkeypatch):
    export_only_python(monkeypatch)
    run = nas.extend(small_run, data=tiny_data(), runs_dir=tmp_path, trials=5, finalists=0)
    assert run.config.known == 4
    best = run.candidate(small_run.best.number)
    assert best.metrics == small_run.best.metrics
    assert run.study.picture(best.number) == small_run.study.picture(small_run.best.number)
    assert (export_model(run, best) / "model.py").is_file()
    assert best.test() == small_run.best.test()


def test_a_widened_space_keeps_all_and_a_restriction_of_the_same_decision_is_replaced(earlier, tmp_path):
    narrow = nas.extend(earlier, runs_dir=tmp_path, name="narrow", pin={"depth": 2}, trials=12, **PARTS)
    wide = nas.extend(narrow, runs_dir=tmp_path, name="wide", restrict={"depth": [2, 3]}, trials=16, **PARTS)
    assert wide.config.known == 12
    assert wide.config.pin == {}
    assert {trial.genotype.content["depth"] for trial in wide.trials[12:]} == {2, 3}


def test_what_does_not_compare_is_refused_in_a_line_and_leaves_nothing(earlier, small_run, tmp_path, capsys):
    def refuse(match, run=earlier, **options):
        with pytest.raises(UserError, match=match):
            nas.extend(run, runs_dir=tmp_path, **{**PARTS, "trials": 50, **options})

    refuse(r"--continue .*: was searched on other data .*--warm-start", data=tiny_data(count=41))
    refuse(r"--epochs 3: results of other trainings do not compare; allowed: 2, as in earlier", epochs=3)
    refuse(r"--trials 24: 24 results of earlier count already; allowed: more than 24", trials=24)
    portions = {"run": small_run, "data": tiny_data(), "space": None, "evaluator": None, "set": {"portions": 2}}
    refuse(r"--strategy 'pbt': goes on with trainings of its own", strategy="pbt", early_stopping="none", **portions)
    refuse(r"--warm-start .*cannot be combined", warm_start=str(earlier.path))
    assert not list(tmp_path.iterdir())
    assert "'nowhere'" in refused(capsys, "search", "--continue", "nowhere", "--runs-dir", str(earlier.path.parent))


def test_the_command_continues_with_the_options_of_the_run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert said(capsys, "search", *QUICK, "--trials", "3", "--finalists", "0", "--name", "one")[0] == 0
    code, _, err = said(capsys, "search", "--continue", "one", "--name", "two", "--trials", "5")
    assert code == 0, err
    assert "3 results of an earlier run count" in err
    two = open_run(tmp_path / "runs" / "two")
    assert genotypes(two)[:3] == genotypes(open_run(tmp_path / "runs" / "one"))
    assert (two.config.pin, two.config.train_size) == (open_run(tmp_path / "runs" / "one").config.pin, 64)
    code, out, _ = said(capsys, "replay", "two:0", "--json")  # of a result that came from there
    assert (code, '"same": true' in out) == (0, True)
