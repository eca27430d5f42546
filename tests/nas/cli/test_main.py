"""A search at the command line, as a user meets it; in a process of its own where that matters."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from nas.session.lookup import open_run
from tests.parts.command_line import QUICK

pytestmark = pytest.mark.usefixtures("no_report")


def test_json_is_one_line_and_nothing_else(searched):
    folder, out, _ = searched
    assert out.count("\n") == 1
    document = json.loads(out)
    assert set(document) == {"run", "best", "trials", "epochs", "seconds"}
    assert document["epochs"] == {"run": 5, "asked": 5}
    assert set(document["best"]) == {"number", "genotype", "values", "test", "compared", "evaluation", "model"}
    assert document["trials"] == {"complete": 5, "stopped": 0, "failed": 0}
    assert (folder / document["best"]["model"] / "model.py").is_file()
    assert document["best"]["values"]["mse"] == min(t.metrics["mse"] for t in open_run(folder / "runs/five").ranked())
    assert set(document["best"]["test"]) >= {"mse", "psnr", "ssim"}


def test_progress_goes_to_standard_error_in_plain_lines(searched):
    _, _, err = searched
    assert "\x1b" not in err
    assert "5/5 trial 4 complete: mse" in err
    assert "latent = 16: with larger codes mse is always better" in err


def test_a_run_is_whole(searched):
    folder, _, _ = searched
    run = folder / "runs" / "five"
    files = {path.name for path in run.iterdir()}
    assert files >= {"config.yaml", "study.journal", "environment.json", "artifacts", "best", "report.html"}
    assert "trials: 5" in (run / "config.yaml").read_text()
    report = (run / "report.html").read_text()
    assert report.count("data:image/png") == 6  # of five trials, and of the best once more
    assert not [path for path in run.rglob(".*") if path.name != ".lock"]


@pytest.mark.usefixtures("only_python")
def test_more_trials_go_on_where_it_ended(ran):
    code, out, err = ran("search", "--trials", "3", "--name", "grown", "-q", *QUICK)
    assert code == 0, err
    assert out.strip() == "runs/grown/best"
    assert err == ""
    code, out, err = ran("resume", "grown", "--trials", "4", "--json")
    assert code == 0, err
    assert json.loads(out)["trials"]["complete"] == 4
    code, _, err = ran("resume", "grown", "--json")
    assert code == 0, err


@pytest.mark.usefixtures("only_python")
def test_a_config_file_repeats_a_run_and_the_command_line_wins(ran, searched, tmp_path):
    folder, _, _ = searched
    config = folder / "runs" / "five" / "config.yaml"
    code, again, err = ran("search", "--config", str(config), "--trials", "2", "--json")
    assert code == 0, err
    first = open_run(folder / "runs" / "five").trials
    second = open_run(tmp_path / json.loads(again)["run"]).trials
    assert [t.genotype for t in second] == [t.genotype for t in first[:2]]
    assert [t.metrics["mse"] for t in second] == [t.metrics["mse"] for t in first[:2]]


def test_a_search_in_which_all_fail_is_no_success(ran, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from search_spaces.autoencoder.space import AutoencoderSpace\n"
        "class Broken(AutoencoderSpace):\n"
        "    def build(self, genotype, shape):\n"
        "        raise RuntimeError('cannot be <b>built</b>')\n"
    )
    code, out, err = ran("search", "--space", "mine:Broken", "--trials", "3", "--name", "x", "--json")
    assert code == 3, err
    assert json.loads(out)["best"] is None
    assert json.loads(out)["trials"]["failed"] == 3
    assert "cannot be <b>built</b>" in err
    options = ["--space", "mine:Broken", "--trials", "30", "--max-failures", "2"]
    code, _, err = ran("search", *options, "--name", "y")
    assert code == 3
    assert "all 3 failed" in err
    code, out, _ = ran("show", "x")
    assert code == 0
    assert "RuntimeError: cannot be <b>built</b>" in out


@pytest.mark.usefixtures("only_python")
def test_more_failures_than_allowed_is_exit_code_4(ran, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from search_spaces.autoencoder.space import AutoencoderSpace\n"
        "class Brittle(AutoencoderSpace):\n"
        "    def build(self, genotype, shape):\n"
        "        if genotype.content['hidden_activation'] != 'silu':\n"
        "            raise RuntimeError('no')\n"
        "        return super().build(genotype, shape)\n"
    )
    quick = [*QUICK, "--space", "mine:Brittle", "--trials", "60", "--max-failures", "2", "-q"]
    code, out, err = ran("search", *quick, "--name", "x")
    assert code == 4, err
    assert "more than --max-failures 2" in err
    assert out.strip() == "runs/x/best"


@pytest.mark.usefixtures("only_python")
def test_an_exhausted_space_ends_the_search(ran):
    arguments = [*QUICK]
    for name, choice in (
        ("family", "plain"), ("latent", "8"), ("normalisation", "batch"), ("hidden_activation", "relu"),
        ("decoder", "mirrored"), ("loss", "bce"), ("optimiser", "adam"), ("learning_rate", "0.004"),
        ("schedule", "cosine"), ("weight_decay", "0"), ("augmentation", "none"),
    ):  # fmt: skip
        arguments += ["--pin", f"{name}={choice}"]
    arguments.remove("--restrict")
    arguments.remove("decoder_hidden_width=64")
    code, out, err = ran("search", *arguments, "--json")
    assert code == 0, err
    assert json.loads(out)["trials"]["complete"] == 4  # the numbers of stages
    assert "nothing further to propose" in err


def test_a_csv_becomes_a_model_and_the_run_is_shown_without_it(ran, tmp_path):
    generator = np.random.default_rng(0)
    rows = [",".join(map(str, [i % 2, *generator.integers(0, 255, 36)])) for i in range(60)]
    Path(tmp_path / "d.csv").write_text("\n".join(rows))
    code, out, err = ran(
        "search", "--dataset", "csv:d.csv", "--trials", "2", "--epochs", "1", "--pin", "network=convolutional",
        "--pin", "width=8", "--restrict", "decoder_width=8", "--pin", "latent=4", "-q",
    )  # fmt: skip
    assert code == 0, err
    assert (tmp_path / out.strip() / "model.onnx").is_file()
    (tmp_path / "d.csv").unlink()
    name = Path(out.strip()).parent.name
    code, out, err = ran("show", name, "--trial", "0")
    assert code == 0, err
    assert "latent 4 (undercomplete)" in out
    code, out, err = ran("export", name)
    assert code == 2
    assert "d.csv': does not exist" in err


@pytest.mark.usefixtures("only_python")
def test_own_parts_of_the_folder_one_stands_in(ran, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from search_spaces.autoencoder.space import AutoencoderSpace\nclass Mine(AutoencoderSpace): name = 'mine'\n"
    )
    search = ["search", "--space", "mine:Mine", "--evaluator", "autoencoder", "--trials", "1", "--name", "own", *QUICK]
    export = ["export", "own", "--format", "python"]
    for arguments in (search, ["show", "own", "--trial", "0"], export, ["spaces", "mine:Mine"]):
        sys.modules.pop("mine", None)  # each as if in a process of its own
        code, _, err = ran(*arguments)
        assert code == 0, err


def test_a_time_limit_too_short_for_any_trial_is_told(ran):
    code, _, err = ran("search", "--time-limit", "0.000001s", "--name", "x", *QUICK)
    assert code == 3
    assert "none had ended when --time-limit was over" in err
