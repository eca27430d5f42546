"""A study that begins with what an earlier one found: which candidates come first, and what is left after a stop."""

import pytest

import nas
from nas import registry
from nas.config import RunConfig
from nas.core.errors import UserError
from nas.core.evaluator import Evaluator
from nas.core.genotype import Genotype
from nas.core.job import Train, TrainSupernet
from nas.core.trial import Measurement
from nas.session.given import Given
from nas.session.lookup import find_best_genotypes
from nas.session.restrictions import adapt_genotypes
from nas.session.resume import resume_run
from nas.session.start import start_run
from nas.testing.toys import RelaxableToySpace, ToyEvaluator, ToySpace, toy_loss, toy_supernet
from search_spaces.autoencoder.space import AutoencoderSpace
from tests.conftest import SMALL, tiny_data
from tests.parts.command_line import refused
from tests.parts.interrupting import Until


class Scoring(Evaluator):
    """The toy loss, and toy supernets."""

    metrics = ToyEvaluator.metrics
    jobs = frozenset({Train, TrainSupernet})

    def __init__(self, space, data, *, epochs, device):
        self.space = space

    def evaluate(self, trial):
        if isinstance(trial.job, TrainSupernet):
            yield from toy_supernet(trial, self.space)
        else:
            yield Measurement(1, {"loss": toy_loss(trial.genotype)})


PARTS = {"space": ToySpace(), "data": tiny_data(count=40), "evaluator": Scoring}
GIVEN = Given(space=ToySpace(), data=tiny_data(count=40), evaluator=Scoring)
OPTIONS = {"finalists": 0, "epochs": 1, "usual": False}


pytestmark = pytest.mark.usefixtures("nothing_delivered")


@pytest.fixture(scope="module")
def earlier(tmp_path_factory, nothing_delivered):
    folder = tmp_path_factory.mktemp("runs")
    return nas.search(trials=40, strategy="random", runs_dir=folder, name="earlier", **PARTS, **OPTIONS)


def genotypes(run):
    return [trial.genotype for trial in run.trials]


ALONE = sorted(set(registry.BUILT_IN["strategy"]) - {"darts", "pbt"})


@pytest.mark.parametrize("strategy", ALONE)
def test_every_strategy_begins_with_the_best_of_the_earlier_run(earlier, tmp_path, strategy):
    options = {**PARTS, **OPTIONS, "strategy": strategy, "runs_dir": tmp_path, "seed": 5}
    whole = nas.search(trials=15, name="whole", warm_start=earlier, **options)
    best = [trial.genotype for trial in earlier.ranked()[:3]]
    assert genotypes(whole)[:3] == best
    assert [t.proposal.origin for t in whole.trials[:3]] == [
        f"trial {t.number} of earlier" for t in earlier.ranked()[:3]
    ]
    assert len(set(genotypes(whole))) == 15  # nothing that came first is proposed again
    assert whole.best.metrics["loss"] <= earlier.best.metrics["loss"]


@pytest.mark.parametrize("strategy", ["evolution", "local", "neat", "predictor", "tpe"])
def test_what_was_interrupted_goes_on_with_the_same(earlier, tmp_path, strategy):
    def config(name):
        options = {"strategy": strategy, "trials": 15, "warm_start": str(earlier.path)}
        return RunConfig.checked({**OPTIONS, **options, "name": name, "runs_dir": tmp_path})

    whole = start_run(config("whole"), given=GIVEN)
    with pytest.raises(KeyboardInterrupt):
        start_run(config("cut"), given=GIVEN, progress=Until(5))
    assert genotypes(resume_run(tmp_path / "cut", given=GIVEN)) == genotypes(whole)


@pytest.mark.parametrize("strategy", ["evolution", "local", "deap-nsga2", "neat"])
def test_a_population_begins_with_what_was_found(earlier, tmp_path, strategy):
    """Children descend from what came first, as soon as the first population is full."""
    size = {} if strategy == "local" else {"set": {"population": 4}}
    options = {**PARTS, **OPTIONS, **size}
    run = nas.search(trials=20, strategy=strategy, warm_start=earlier, runs_dir=tmp_path, name=strategy, **options)
    child = run.trials[4]
    assert child.proposal.parents
    assert set(child.proposal.parents) <= {0, 1, 2, 3}


def test_members_of_a_population_that_is_trained_begin_with_what_was_found(small_run, tmp_path):
    best = small_run.ranked()[0]
    run = nas.search(
        data=tiny_data(), strategy="pbt", trials=6, epochs=3, pin=SMALL, set={"portions": 3, "population": 2},
        runs_dir=tmp_path, warm_start=small_run,
    )  # fmt: skip
    first = [trial for trial in run.trials if trial.job.number == 0]
    assert {first[0].genotype, first[1].genotype} == {run.parts.usual, best.genotype} or (
        first[0].genotype == run.parts.usual == best.genotype
    )


def test_supernets_are_trained_after_what_was_found(earlier, tmp_path):
    parts = {**PARTS, "space": RelaxableToySpace()}
    found = nas.search(trials=6, strategy="random", runs_dir=tmp_path, name="found", **parts, **OPTIONS)
    run = nas.search(trials=6, strategy="darts", warm_start=found, runs_dir=tmp_path, name="darts", **parts, **OPTIONS)
    assert genotypes(run)[0] == found.ranked()[0].genotype
    assert run.trials[1].outcome.kind == "supernet"


def test_decisions_that_are_no_longer_there_take_the_nearest_or_the_usual_value(small_run):
    space = AutoencoderSpace().shaped((1, 8, 8)).restrict({"latent": (4,), "batch_size": (16, 32)}, "--restrict")
    texts = find_best_genotypes(str(small_run.path), small_run.path.parent, 100)
    assert len(texts) == len(set(texts.values())) <= 4
    made = adapt_genotypes(texts, space)
    assert made
    for proposal in made:
        space.validate(proposal.genotype)
        assert proposal.genotype.content["latent"] == 4
        assert "latent 4" in proposal.origin
    (same,) = adapt_genotypes({"one": made[0].genotype.text, "again": made[0].genotype.text}, space)
    assert (same.genotype, same.origin) == (made[0].genotype, "one")


def test_what_cannot_be_begun_with_is_refused_in_a_line(earlier, small_run, tmp_path, capsys):
    said = refused(capsys, "search", "--warm-start", "nowhere", "--runs-dir", str(earlier.path.parent))
    assert "'nowhere'" in said
    with pytest.raises(
        UserError, match=r"--warm-start 'trial \d of .*': is of the space autoencoder; allowed: runs of"
    ):
        nas.search(trials=4, warm_start=small_run, runs_dir=tmp_path, **PARTS, **OPTIONS)
    with pytest.raises(UserError, match="--first"):
        nas.search(trials=4, first={"x": "{}"}, runs_dir=tmp_path, **PARTS, **OPTIONS)
    assert not list(tmp_path.iterdir())


def test_a_configuration_that_is_repeated_begins_with_the_same(earlier, tmp_path):
    run = nas.search(trials=10, warm_start=earlier, runs_dir=tmp_path, name="one", **PARTS, **OPTIONS)
    assert "warm-start" not in (run.path / "config.yaml").read_text()
    assert [Genotype(text) for text in nas.open_run(run.path).config.first.values()] == genotypes(run)[:2]
