"""--from: an architecture stays as it is, and how it is trained is searched."""

import json
from pathlib import Path

import pytest
import yaml

import nas
from evaluators.autoencoder.task import AutoencoderTask
from nas.cli import run as cli
from nas.config import RunConfig
from nas.core.errors import UserError
from nas.core.evaluator import Evaluator
from nas.core.genotype import Genotype
from nas.core.space import generator_for, sample
from nas.core.trial import Measurement
from nas.session.lookup import find_genotype
from nas.session.restrictions import adapt_genotypes, fix_architecture
from search_spaces.autoencoder.space import AutoencoderSpace
from tests.conftest import SMALL, tiny_data
from tests.parts.command_line import refused

SPACE = AutoencoderSpace().conditioned(None).shaped(tiny_data().shape)

pytestmark = pytest.mark.usefixtures("no_report")


class Untrained(Evaluator):
    """Nothing is trained: these tests ask what is proposed."""

    metrics = AutoencoderTask.quality

    def __init__(self, space, data, *, epochs, device):
        self.space = space

    def evaluate(self, trial):
        yield Measurement(1, {"mse": float(5 - trial.number)})


def searched(folder, **options):
    given = {"strategy": "random", "trials": 2, "name": "again"} | options
    return nas.search(data=tiny_data(), evaluator=Untrained, runs_dir=folder, **given)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return searched(tmp_path_factory.mktemp("runs"), trials=3, pin=SMALL, name="first")


def decided(genotype, about_training):
    decisions = SPACE.trace(genotype)
    return {
        d.choice.site: d.value for d in decisions if (d.choice.role == "hyperparameter") == about_training
        # arises with the loss, a hyperparameter, so that a genotype trained by bce says nothing about it
        and d.choice.site != "output"
    }  # fmt: skip


def genotype(seed=0, **fixed):
    space = SPACE.restrict({site: (value,) for site, value in fixed.items()})
    return sample(space, generator_for(seed))


def pins(genotype, **options):
    config = RunConfig.checked({"from_": "x", **options})
    return fix_architecture(config, genotype, SPACE).pin


@pytest.mark.parametrize("strategy", ["random", "evolution", "deap-nsga2"])
def test_any_strategy_then_searches_hyperparameters_only(run, tmp_path, strategy):
    begun = searched(tmp_path, strategy=strategy, trials=5, from_=run, restrict={"batch_size": [16, 32]})
    wanted = decided(run.best.genotype, False)
    assert [decided(t.genotype, False) for t in begun.trials] == [wanted] * 5
    trained = [json.dumps(decided(t.genotype, True)) for t in begun.trials]
    assert len(set(trained)) >= 4  # two may differ in the output alone
    assert {t.genotype.content["batch_size"] for t in begun.trials} <= {16, 32}


def test_the_pins_are_kept_so_that_the_config_repeats_it_without_the_other_run(run, tmp_path):
    number = run.ranked()[1].number
    first = searched(run.path.parent, from_=f"first:{number}", name="second")
    written = yaml.safe_load((first.path / "config.yaml").read_text())
    assert "from" not in written
    assert written["pin"] == {s: v for s, v in first.config.pin.items()}
    assert decided(run.candidate(number).genotype, False).items() <= written["pin"].items()
    assert first.study.notes["from"] == f"first:{number}"
    options = {name.replace("-", "_"): value for name, value in written.items()}
    del options["dataset"], options["space"], options["evaluator"]
    again = searched(tmp_path, **options)
    assert [t.genotype for t in again.trials] == [t.genotype for t in first.trials]
    assert len(nas.resume(first, trials=3, data=tiny_data(), evaluator=Untrained).trials) == 3


def test_every_way_to_name_an_architecture(run, tmp_path):
    best, third = run.best, run.candidate(2)
    assert find_genotype(str(run.path), Path("elsewhere")) == best.genotype
    assert find_genotype("first", run.path.parent) == best.genotype
    assert find_genotype("first:2", run.path.parent) == third.genotype
    assert find_genotype(f"{run.path}:2", Path("elsewhere")) == third.genotype
    file = tmp_path / "genotype.json"
    file.write_text(json.dumps(json.loads(third.genotype.text), indent=2))
    assert find_genotype(str(file), Path("elsewhere")) == third.genotype
    for name, given in {"a": third, "b": third.genotype, "c": file}.items():
        made = searched(tmp_path, from_=given, name=name, trials=1)
        assert decided(made.best.genotype, False) == decided(third.genotype, False)


def test_hyperparameters_may_be_pinned_as_well():
    given = genotype(family="plain", network="fully_connected")
    made = pins(given, pin={"learning_rate": 0.002, "latent": str(given.content["latent"])})
    assert made["learning_rate"] == 0.002
    assert decided(given, False).keys() <= made.keys()
    assert decided(given, True).keys() & made.keys() == {"learning_rate"}


def test_what_no_longer_arises_is_not_pinned():
    given = genotype(loss="mse", family="plain")
    assert "output" in pins(given)
    made = pins(given, pin={"loss": "bce"})
    assert "output" not in made
    space = SPACE.restrict({site: (value,) for site, value in made.items()})
    assert "output" not in space.choices()


def test_an_architecture_of_an_earlier_version_is_searched_with_todays_hyperparameters():
    fixed = {"family": ("variational",), "loss": ("mse",), "latent": (8,)}
    earlier = sample(SPACE.of_version(2).restrict(fixed), generator_for(1))
    made = pins(earlier)
    space = SPACE.restrict({site: (value,) for site, value in made.items()})
    assert made["output"] == earlier.content["output"]
    assert "loss" not in space.choices()
    assert len(space.choices()["likelihood"].values) == 4


def test_an_architecture_of_an_earlier_version_keeps_what_has_another_name_now():
    fixed = {"network": ("fully_connected",), "activation": ("elu",), "latent": (8,)}
    earlier = sample(SPACE.of_version(5).restrict(fixed), generator_for(1))
    assert pins(earlier)["hidden_activation"] == "elu"
    (proposal,) = adapt_genotypes({"x": earlier.text}, SPACE)
    assert proposal.genotype.version == 6
    assert proposal.genotype.content["hidden_activation"] == "elu"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pin": {"network": "convolutional"}}, "--from 'x': has network = fully_connected, which --pin excludes"),
        ({"restrict": {"sta*": [3, 4]}}, "has stages = 1, which --restrict excludes; allowed: .* stages = 3, 4"),
        ({"pin": {"hidden_width": 256}}, "has hidden_width = 64, which --pin excludes"),
    ],
)
def test_contradictions_are_refused_in_a_line(options, message):
    given = genotype(network="fully_connected", stages=1, hidden_width=64)
    with pytest.raises(UserError, match=message) as caught:
        pins(given, **options)
    assert "\n" not in str(caught.value)


def test_genotypes_of_other_spaces_are_refused():
    given = genotype()
    for wrong, why in (
        (Genotype.of("toy", 1, {}), "is of toy version 1, not autoencoder version 6"),
        (Genotype.of("autoencoder", 3, {}), "family: is not decided"),
        (Genotype.of("autoencoder", 5, {**given.content, "latent": 17}), "latent: 17 is not one of"),
    ):
        with pytest.raises(UserError, match=f"--from 'x': .*{why}.*; allowed: a genotype of the space autoencoder"):
            pins(wrong)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("frist", "--from 'frist': unknown, did you mean 'first'"),
        ("first:99", "--from 'first:99': there is no trial 99; allowed: 0 to 2"),
        ("broken.json", "--from 'broken.json': is no genotype: genotype: not JSON"),
        ("bytes.json", "--from 'bytes.json': is no genotype"),
        ("empty", "--from 'empty': is not a run"),
    ],
)
def test_what_is_no_architecture_is_refused_in_a_line(run, source, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("broken.json").write_text("{")
    Path("bytes.json").write_bytes(b"\xff\xfe\x00")
    Path("empty").mkdir()
    assert message in refused(capsys, "search", "--from", source, "--runs-dir", str(run.path.parent))


def test_on_the_command_line_and_in_yaml(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli(["show", str(run.path), "--trial", "1", "--genotype"]) == 0
    Path("genotype.json").write_text(capsys.readouterr().out)
    quick = ["--trials", "2", "--evaluator", "tests.nas.session.test_hpo_alone:Untrained", "--pin", "batch_size=32"]
    assert cli(["search", "--from", "genotype.json", "--name", "a", *quick]) == 0
    err = capsys.readouterr().err
    searched = err.partition("the architecture is genotype.json's; searched are ")[2].splitlines()[0].split(", ")
    assert {"loss", "learning_rate"} <= set(searched)
    assert not {"batch_size", "latent", "network", "hidden_width"} & set(searched)
    Path("run.yaml").write_text("from: a:0\ntrials: 1\n")
    assert cli(["search", "--config", "run.yaml", "--name", "b", *quick]) == 0
    capsys.readouterr()
    wanted = decided(run.candidate(1).genotype, False)
    for name in "ab":
        trials = nas.open_run(f"runs/{name}").trials
        assert [decided(trial.genotype, False) for trial in trials] == [wanted] * len(trials)
    assert cli(["show", "a", "--genotype"]) == 0
    assert Genotype.parse(capsys.readouterr().out) == nas.open_run("runs/a").best.genotype


def test_a_size_of_codes_that_the_data_has_not_is_refused():
    earlier = sample(SPACE.of_version(2).restrict({"latent": (4096,)}), generator_for(1))
    with pytest.raises(UserError, match="latent = 4096, which this space for this data excludes") as error:
        pins(earlier)
    assert "\n" not in str(error.value)
