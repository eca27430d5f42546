"""What the command line refuses: in one line, with exit code 2, and nothing is left."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from nas.cli import run as nas
from tests.parts.command_line import SHORT, refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "--strategy", "evolutoin"], "--strategy 'evolutoin': unknown, did you mean 'evolution'?"),
        (["search", "--space", "autoencodr"], "did you mean 'autoencoder'"),
        (["search", "--dataset", "mnits"], "did you mean 'mnist'"),
        (["search", "--executor", "rya"], "--executor 'rya'"),
        (["search", "--objective", "mes"], "did you mean 'mse'"),
        (["search", "--objective", "kl"], "codes that ignore the image have the least"),
        (["search", "--space", "gan", "--objective", "density"], "is best at a value of its own"),
        (["search", "--space", "gan", "--objective", "sample_deviation"], "pure noise deviates most"),
        (["search", "--space", "gan", "--objective", "epoch_fid"], "not of the weights that are kept"),
        (["search", "--trials", "0"], "--trials 0"),
        (["search", "--trials", "x"], "--trials"),
        (["search", "--pin", "latent=17"], "latent=17"),
        (["search", "--pin", "latent"], "--pin 'latent'"),
        (["search", "--pin", "latnet=8"], "did you mean 'latent'?; allowed: latent, latent_layers and"),
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
        (["evaluate", "nothing"], "RUN 'nothing'"),
        (["evaluate", "nothing", "--bound-samples", "0"], "--bound-samples"),
        (["search", "--normal", "10"], "--normal '10': unknown"),
        (["search", "--labelled", "0"], "--labelled 0.0 is not accepted; allowed: a number above 0, 1 at most"),
        (["search", "--labelled", "0.1", "--space", "gan"], "--labelled 0.1: all labels are seen there"),
        (["search", "--labelled", "0.1", "--pin", "family=conditional"], "no more than 10% of the labels may be seen"),
        (["search", "--normal", "0,1,2,3,4,5,6,7,8,9"], "nothing would be left of digits to be an anomaly"),
        (["search", "--space", "cyclegan", "--dataset-b", "inverted:digits", "--normal", "0"], "--normal '0'"),
        (["spaces", "gna"], "unknown"),
        (
            ["spaces", "autoencoder", "--shape", "3x"],
            "allowed: D of vectors or CxT of sequences or CxHxW of images",
        ),
        (["spaces", "gan", "--shape", "15"], "--shape '15' is not accepted; allowed: CxHxW of images"),
        (["strategies", "evoluton"], "did you mean 'evolution'"),
        (["datasets", "minst"], "did you mean 'mnist'"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []


def assert_not_imported(modules, program, cwd):
    """Run a program in a process of its own, after which none of these modules may have been imported."""
    program = (
        f"import sys\nfrom nas.cli import run\n{program}\nsys.exit(str({modules!r} & set(sys.modules) or '') or 0)"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=cwd, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_what_a_run_ends_with_is_not_imported_to_refuse_bad_input(tmp_path):
    """Figures, templates and exporters take seconds to import."""
    program = (
        "for option, value in (('trials', 'x'), ('strategy', 'evolutoin'), ('set', 'populaton=4')):\n"
        "    assert run(['search', f'--{option}', value]) == 2\n"
        "assert 'nas.session.start' in sys.modules"
    )
    heavy = {"torch", "matplotlib", "jinja2", "onnx", "nas.export.folder", "nas.report.html"}
    assert_not_imported(heavy, program, tmp_path)


def test_what_an_autoencoder_search_does_not_use_is_not_imported(tmp_path):
    """What its export imports is the exporter's affair, and what judges the best is imported at the end."""
    program = (
        "from nas.session import execution\n"
        "execution.export_model = lambda *given: None\n"
        "assert run('search --trials 1 --epochs 1 --finalists 0 --no-evaluate'.split()) == 0"
    )
    heavy = {"torchmetrics", "torchvision", "sklearn", "scipy", "ray", "onnx", "onnxscript"}
    assert_not_imported(heavy, program, tmp_path)


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
    from nas.study.study import Study

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path))

    monkeypatch.setattr(Study, "create", full)
    assert nas(["search", "--runs-dir", str(tmp_path)]) == 2
    assert "No space left" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    ["seed: 2024-13-45", "seed: 0b_", "[" * 3000, "pin: [a]", "trials: yes", "runs-dir: {a: b}", "strict: maybe",
     'runs-dir: "a\\0b"'],
)  # fmt: skip
def test_odd_yaml_is_refused_in_a_line(text, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(text)
    err = refused(capsys, "search", "--config", "c.yaml", "--pin", "latent=8")
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
    assert word in refused(capsys, "search", f"--{kind}", name, "--runs-dir", str(tmp_path / "runs"), *SHORT)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "--runs-dir", "file"],
        ["search", "--runs-dir", "file/x", *SHORT],
        ["search", "--runs-dir", "x" * 300, *SHORT],
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
