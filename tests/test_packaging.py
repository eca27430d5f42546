"""What is installed is whole: files that are no modules are declared, and the version is said once."""

import tomllib
from pathlib import Path

import pytest
import yaml

import nas

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("package", ["nas", "search_spaces", "evaluators"])
def test_every_file_of_a_package_is_installed(package):
    files = {path for path in (ROOT / package).rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    declared = {
        path for glob in PROJECT["tool"]["setuptools"]["package-data"][package] for path in (ROOT / package).glob(glob)
    }
    assert {path for path in files if path.suffix != ".py"} <= declared


def test_every_folder_with_modules_is_a_package():
    """Others would not be found by setuptools."""
    for package in ("nas", "search_spaces", "evaluators"):
        for module in (ROOT / package).rglob("*.py"):
            assert (module.parent / "__init__.py").is_file(), module.parent


def test_version_and_licence_are_said_once():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert "version" not in citation
    assert citation["license"] == PROJECT["project"]["license"] == "Apache-2.0"
    assert nas.__version__ == PROJECT["project"]["version"]
