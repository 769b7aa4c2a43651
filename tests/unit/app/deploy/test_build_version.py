"""The version for the build of the package, and its check of Python."""

import ast
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import app
from app.deploy import build_version


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text())


def test_the_build_has_the_version_of_the_package(root: Path, project: dict[str, Any]) -> None:
    settings = project["tool"]["hatch"]["version"]
    assert root / settings["path"] == Path(build_version.__file__)
    assert eval(settings["expression"], vars(build_version)) == app.__version__  # noqa: S307


def test_an_old_python_is_refused_with_the_least_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 12, "final", 0))
    with pytest.raises(SystemExit) as ended:
        build_version.version()
    words = "dcgan-server needs Python 3.11 or newer, but this is Python 3.10.12"
    assert ended.value.code == words


def test_the_least_version_is_that_of_the_project(project: dict[str, Any]) -> None:
    required = ".".join(map(str, build_version.REQUIRED))
    assert project["project"]["requires-python"] == f">={required}"


def test_an_old_python_can_run_the_check() -> None:
    source = Path(build_version.__file__).read_text()
    ast.parse(source, feature_version=(3, 8))
    imported = {
        alias.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert imported <= sys.stdlib_module_names
