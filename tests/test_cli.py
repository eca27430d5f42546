"""The command line, as a user meets it; in a process of its own where that matters."""

import errno
import importlib
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import filelock
import numpy as np
import pytest

from nas.cli import run as nas
from nas.run import open_run
from tests.command_line import QUICK, finished


@pytest.fixture
def ran(tmp_path, monkeypatch, capsys):
    """Runs a command in an empty folder, and gives its exit code and what it wrote; imports are not paid for again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    importlib.invalidate_caches()

    def run(*arguments):
        capsys.readouterr()
        code = nas(list(arguments))
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    code, out, err = finished("search", "--trials", "5", "--name", "five", "--json", *QUICK, cwd=folder)
    assert code == 0, err
    return folder, out, err


def test_json_is_one_line_and_nothing_else(searched):
    folder, out, _ = searched
    assert out.count("\n") == 1
    document = json.loads(out)
    assert set(document) == {"run", "best", "trials", "epochs", "seconds"}
    assert document["epochs"] == {"run": 5, "asked": 5}
    assert set(document["best"]) == {"number", "genotype", "values", "test", "model"}
    assert document["trials"] == {"complete": 5, "pruned": 0, "failed": 0}
    assert (folder / document["best"]["model"] / "model.py").is_file()
    assert document["best"]["values"]["mse"] == min(t.metrics["mse"] for t in open_run(folder / "runs/five").ranked())
    assert set(document["best"]["test"]) >= {"mse", "psnr", "ssim"}


def test_progress_goes_to_standard_error_in_plain_lines(searched):
    _, _, err = searched
    assert "\x1b" not in err
    assert "5/5 trial 4 complete: mse" in err
    assert "latent = 16" in err
    assert "trivially" in err


def test_a_run_is_whole(searched):
    folder, _, _ = searched
    run = folder / "runs" / "five"
    files = {path.name for path in run.iterdir()}
    assert files >= {"config.yaml", "study.journal", "environment.json", "artifacts", "best", "report.html"}
    assert "trials: 5" in (run / "config.yaml").read_text()
    report = (run / "report.html").read_text()
    assert report.count("data:image/png") == 6
    assert not [path for path in run.rglob(".*") if path.name != ".lock"]


def test_list_show_and_export(searched, capsys, tmp_path):
    folder, _, _ = searched
    runs = ["--runs-dir", str(folder / "runs")]
    assert nas(["list", *runs]) == 0
    listed = capsys.readouterr().out
    assert "five" in listed
    assert "5/5" in listed
    assert "ended" in listed
    assert nas(["show", "five", *runs]) == 0
    assert "optuna-dashboard" in capsys.readouterr().out
    assert nas(["show", "five", "--trial", "3", "--json", *runs]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["number"], shown["outcome"], len(shown["epochs"])) == (3, "complete", 1)
    output = tmp_path / "exported"
    assert nas(["export", "five", "--trial", "2", "--format", "python", "--output", str(output), *runs]) == 0
    assert {path.name for path in output.iterdir()} == {
        "model.py", "README.md", "weights.safetensors", "samples.safetensors", "reconstructions.png",
    }  # fmt: skip


def test_more_trials_go_on_where_it_ended(ran, searched):
    code, out, err = ran("search", "--trials", "3", "--name", "grown", "-q", *QUICK)
    assert code == 0, err
    assert out.strip() == "runs/grown/best"
    assert err == ""
    code, out, err = ran("resume", "grown", "--trials", "4", "--json")
    assert code == 0, err
    assert json.loads(out)["trials"]["complete"] == 4
    code, _, err = ran("resume", "grown", "--json")
    assert code == 0, err


def test_a_config_file_repeats_a_run_and_the_command_line_wins(ran, searched, tmp_path):
    folder, _, _ = searched
    config = folder / "runs" / "five" / "config.yaml"
    code, again, err = ran("search", "--config", str(config), "--trials", "2", "--json")
    assert code == 0, err
    first = open_run(folder / "runs" / "five").trials
    second = open_run(tmp_path / json.loads(again)["run"]).trials
    assert [t.genotype for t in second] == [t.genotype for t in first[:2]]
    assert [t.metrics["mse"] for t in second] == [t.metrics["mse"] for t in first[:2]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "--strategy", "evolutoin"], "--strategy 'evolutoin': unknown, did you mean 'evolution'?"),
        (["search", "--space", "autoencodr"], "did you mean 'autoencoder'"),
        (["search", "--dataset", "mnits"], "did you mean 'mnist'"),
        (["search", "--executor", "rya"], "--executor 'rya'"),
        (["search", "--objective", "mes"], "did you mean 'mse'"),
        (["search", "--trials", "0"], "--trials 0"),
        (["search", "--trials", "x"], "--trials"),
        (["search", "--pin", "latent=17"], "latent=17"),
        (["search", "--pin", "latent"], "--pin 'latent'"),
        (["search", "--pin", "beta=4", "--pin", "family=plain"], "beta"),
        (["search", "--restrict", "width=8", "--pin", "network=fully_connected"], "width"),
        (["search", "--set", "populaton=4"], "did you mean 'population'"),
        (["search", "--set", "population=few"], "--set population 'few'"),
        (["search", "--set", "population=5", "--set", "sample=9"], "--set sample 9"),
        (["search", "--early-stopping", "ahsa"], "--early-stopping 'ahsa': unknown, did you mean 'asha'?"),
        (["search", "--early-stopping", "asha", "--stop-set", "reducton=4"], "did you mean 'reduction'"),
        (["search", "--early-stopping", "asha", "--stop-set", "reduction=few"], "--stop-set reduction 'few'"),
        (["search", "--early-stopping", "asha", "--stop-set", "reduction"], "--stop-set 'reduction'"),
        (["search", "--early-stopping", "none", "--stop-set", "first=1"], "nothing is stopped early here"),
        (["search", "--early-stopping", "asha", "--objective", "parameters"], "training does not improve parameters"),
        (["early-stopping", "ahsa"], "did you mean 'asha'"),
        (["search", "--train-size", "100000"], "--train-size 100000"),
        (["search", "--time-limit", "soon"], "--time-limit 'soon'"),
        (["search", "--name", "a/b"], "--name 'a/b'"),
        (["search", "--strateg", "random"], "--strategy"),
        (["search", "--config", "none.yaml"], "--config"),
        (["search", "--space", "no.such:Space"], "no.such:Space"),
        (["search", "--space", "nas.config:Nothing"], "Nothing"),
        (["serach"], "did you mean 'search'"),
        (["resume", "nothing"], "RUN 'nothing'"),
        (["show", "nothing"], "RUN 'nothing'"),
        (["export", "nothing"], "RUN 'nothing'"),
        (["spaces", "gna"], "unknown"),
        (["strategies", "evoluton"], "did you mean 'evolution'"),
        (["datasets", "minst"], "did you mean 'mnist'"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert nas(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    assert message in captured.err
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_exists_a_trial_that_does_not_and_an_unknown_format(searched, capsys):
    folder, _, _ = searched
    runs = ["--runs-dir", str(folder / "runs")]
    for arguments, message in (
        (["search", "--name", "five", *runs], "this run exists"),
        (["show", "five", "--trial", "99", *runs], "allowed: 0 to 4"),
        (["export", "five", "--format", "onx", *runs], "did you mean 'onnx'"),
        (["show", "fiv", *runs], "did you mean 'five'"),
    ):
        assert nas(arguments) == 2
        assert message in capsys.readouterr().err


def test_no_room_on_the_disk_is_the_users_matter(capsys, monkeypatch, tmp_path):

    from nas.study import Study

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path))

    monkeypatch.setattr(Study, "create", full)
    assert nas(["search", "--runs-dir", str(tmp_path)]) == 2
    assert "No space left" in capsys.readouterr().err


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


def test_more_failures_than_allowed_is_exit_code_4(ran, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from search_spaces.autoencoder.space import AutoencoderSpace\n"
        "class Brittle(AutoencoderSpace):\n"
        "    def build(self, genotype, shape):\n"
        "        if genotype.content['activation'] != 'silu':\n"
        "            raise RuntimeError('no')\n"
        "        return super().build(genotype, shape)\n"
    )
    quick = [*QUICK, "--space", "mine:Brittle", "--trials", "60", "--max-failures", "2", "-q"]
    code, out, err = ran("search", *quick, "--name", "x")
    assert code == 4, err
    assert "more than --max-failures 2" in err
    assert out.strip() == "runs/x/best"


def test_an_exhausted_space_ends_the_search(ran):
    arguments = [*QUICK]
    for name, choice in (
        ("family", "plain"), ("latent", "8"), ("normalisation", "batch"), ("activation", "relu"),
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


def test_help_is_quick_and_imports_nothing_heavy():
    program = (
        "import sys\nfrom nas.cli import run\nrun(['--help'])\n"
        "heavy = {'torch', 'optuna', 'ray', 'numpy', 'pydantic', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


@pytest.mark.parametrize(
    "command", ["search", "resume", "train", "list", "show", "export", "spaces", "strategies", "datasets"]
)
def test_every_command_has_help(command, capsys):
    assert nas([command, "--help"]) == 0
    assert "Usage: nas" in capsys.readouterr().out


def test_the_catalogue(capsys):
    for arguments, words in (
        (["spaces"], ["autoencoder"]),
        (["spaces", "autoencoder"], ["latent: 2, 4, 8", "encoder_cell.node1.operation0", "genotypes"]),
        (["strategies"], ["evolution", "random"]),
        (["strategies", "evolution"], ["population", "Real", "duplicates"]),
        (["datasets"], ["digits", "celeba", "npz:PATH"]),
        (["datasets", "csv:PATH"], ["label"]),
    ):
        assert nas(arguments) == 0
        out = capsys.readouterr().out
        assert all(word in out for word in words), out


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


def test_one_damaged_run_does_not_hide_the_others(searched, tmp_path, capsys):
    folder, _, _ = searched
    runs = tmp_path / "runs"
    for name in ("good", "no config", "no study", "cut"):
        shutil.copytree(folder / "runs" / "five", runs / name)
    (runs / "no config" / "config.yaml").unlink()
    (runs / "no study" / "study.journal").write_text("")
    (runs / "cut" / "study.journal").write_text('{"op_code"\n{}\n')
    (runs / "empty").mkdir()
    assert nas(["show", str(runs / "empty")]) == 2
    assert not list((runs / "empty").iterdir())
    capsys.readouterr()
    assert nas(["list", "--runs-dir", str(runs)]) == 0
    listed = capsys.readouterr()
    assert "good" in listed.out
    for name in ("no config", "no study", "cut"):
        assert f"{name}: unreadable" in listed.err
        assert nas(["show", name, "--runs-dir", str(runs)]) == 2
        assert "did you mean" not in capsys.readouterr().err


def test_an_export_replaces_nothing_that_is_not_an_export(searched, tmp_path, capsys):
    folder, _, _ = searched
    theirs = tmp_path / "hf"
    theirs.mkdir()
    for name in ("README.md", "weights.safetensors", "thesis.txt"):
        (theirs / name).write_text("mine")
    arguments = ["export", "five", "--runs-dir", str(folder / "runs"), "--format", "python", "--output"]
    assert nas([*arguments, str(theirs)]) == 2
    assert "holds something else" in capsys.readouterr().err
    assert {path.read_text() for path in theirs.iterdir()} == {"mine"}
    assert nas([*arguments, str(tmp_path / "new")]) == 0
    assert nas([*arguments, str(tmp_path / "new")]) == 0
    (tmp_path / "new" / "notes.txt").write_text("mine")
    assert nas([*arguments, str(tmp_path / "new")]) == 2


@pytest.mark.parametrize(
    "text",
    ["seed: 2024-13-45", "seed: 0b_", "[" * 3000, "pin: [a]", "trials: yes", "runs-dir: {a: b}", "strict: maybe",
     'runs-dir: "a\\0b"'],
)  # fmt: skip
def test_odd_yaml_is_refused_in_a_line(text, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(text)
    assert nas(["search", "--config", "c.yaml", "--pin", "latent=8"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "allowed:" in err
    assert "pydantic" not in err
    assert "input should" not in err


@pytest.mark.parametrize("kind", ["space", "strategy", "evaluator", "executor"])
@pytest.mark.parametrize(
    ("name", "word"),
    [
        (":X", "module:Class"),
        (".a:X", "module:Class"),
        ("json:", "module:Class"),
        ("no_such_module:X", "No module named"),
        ("json:nothing", "json has no nothing"),
        ("json:JSONDecoder", "has no"),
        ("json:dumps", "what takes the arguments"),
        ("broken_part:X", "ZeroDivisionError"),
    ],
)
def test_parts_that_are_none_are_refused_in_a_line(kind, name, word, tmp_path, capsys, monkeypatch):
    (tmp_path / "broken_part.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert nas(["search", f"--{kind}", name, "--runs-dir", str(tmp_path / "runs"), *QUICK]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert word in err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "--runs-dir", "file"],
        ["search", "--runs-dir", "file/x", *QUICK],
        ["search", "--runs-dir", "x" * 300, *QUICK],
        ["list", "--runs-dir", "x" * 300],
        ["show", "x" * 300],
        ["export", "five", "--output", "x" * 300],
        ["export", "five", "--output", "file/x"],
    ],
)
def test_places_where_nothing_can_be_are_refused_in_a_line(arguments, searched, tmp_path, capsys, monkeypatch):
    folder, _, _ = searched
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    if arguments[0] == "export":
        arguments = [*arguments, "--format", "python", "--runs-dir", str(folder / "runs")]
    assert nas(arguments) == 2
    err = capsys.readouterr().err.splitlines()
    assert err[-1].startswith("nas: ")
    assert not [line for line in err if "Traceback" in line]


def test_without_a_command_the_help_is_shown(capsys):
    assert nas([]) == 2
    assert "Commands:\n" in capsys.readouterr().err


def test_a_narrow_table_drops_columns_rather_than_digits(searched):
    from rich.console import Console

    from nas.cli.display import best_table

    folder, _, _ = searched
    run = open_run(folder / "runs" / "five")
    wide, narrow = (Console(width=width, record=True, quiet=False, file=io.StringIO()) for width in (200, 60))
    for out in (wide, narrow):
        out.print(best_table(run, run.ranked(), out))
    texts = [out.export_text() for out in (wide, narrow)]
    value = f"{run.ranked()[0].metrics['mse']:.5g}"
    assert all(value in text for text in texts)
    assert "memory MB" in texts[0]
    assert "memory MB" not in texts[1]
    assert "\u2026" not in texts[1]


def test_own_parts_of_the_folder_one_stands_in(ran, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from search_spaces.autoencoder.space import AutoencoderSpace\nclass Mine(AutoencoderSpace): name = 'mine'\n"
    )
    code, _, err = finished(
        "search", "--space", "mine:Mine", "--evaluator", "autoencoder", "--trials", "1", "--name", "own", *QUICK,
        cwd=tmp_path,
    )  # fmt: skip
    assert code == 0, err
    export = ["export", "own", "--format", "python"]
    for arguments in (["show", "own", "--trial", "0"], export, ["spaces", "mine:Mine"]):
        code, _, err = ran(*arguments)
        assert code == 0, err


def test_a_run_that_may_only_be_read_is_shown(searched, tmp_path, monkeypatch, capsys):
    folder, _, _ = searched

    def refuse(self, *arguments, **options):
        raise OSError(errno.EROFS, "Read-only file system", str(folder))

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    assert nas(["list", "--runs-dir", str(folder / "runs")]) == 0
    assert nas(["show", "five", "--runs-dir", str(folder / "runs")]) == 0
    assert "ended" in capsys.readouterr().out


def test_a_time_limit_too_short_for_any_trial_is_told(ran):
    code, _, err = ran("search", "--time-limit", "0.000001s", "--name", "x", *QUICK)
    assert code == 3
    assert "none had ended when --time-limit was over" in err
