"""The configuration that ``nas init`` writes says what the data is, and every line of it is one that a search takes."""

import re

import pytest
import yaml

from nas.cli import run as nas
from nas.config import RunConfig, read_yaml
from nas.session.assembly import assemble


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["digits"], ["images of 1 x 8 x 8", "labels: 0, 1, 2"]),
        (["digits", "--space", "gan"], ["objective: [fid]", "space: gan"]),
        (["digits", "--space", "cyclegan", "--dataset-b", "inverted:digits"], ['dataset-b: "inverted:digits"']),
    ],
)
def test_it_is_taken_as_it_is_and_with_every_line_that_it_offers(tmp_path, capsys, arguments, says):
    file = tmp_path / "it's.yaml"
    assert nas(["init", *arguments, "--output", str(file)]) == 0
    assert str(file) in capsys.readouterr().out
    text = file.read_text()
    assert all(words in text for words in says)
    assemble(RunConfig.checked(read_yaml(file)))
    offered = re.sub(r"(?m)^#(?=[a-z-]+:|  [a-z_]+: \[)", "", text)
    assert set(yaml.safe_load(offered)) > set(yaml.safe_load(text))
    file.write_text(offered)
    RunConfig.checked(read_yaml(file))


def test_a_file_that_is_there_is_not_overwritten_and_bad_data_is_refused(tmp_path, capsys):
    file = tmp_path / "nas.yaml"
    file.write_text("mine")
    assert nas(["init", "--output", str(file)]) == 2
    assert file.read_text() == "mine"
    assert nas(["init", "nonsense", "--output", str(tmp_path / "other.yaml")]) == 2
    assert not (tmp_path / "other.yaml").exists()
    assert len(capsys.readouterr().err.splitlines()) == 2
