"""Linter, formatter, type checker, lengths of modules and functions, and the top level's files."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

MOST_LINES, MOST_LINES_OF_A_FUNCTION = 500, 40


@pytest.mark.usefixtures("_no_coverage")
@pytest.mark.parametrize(
    "arguments",
    [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]],
    ids=" ".join,
)
def test_linter_formatter_and_type_checker_find_nothing(root: Path, arguments: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=root, check=False, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def sources(root: Path) -> Iterator[Path]:
    for package in ("app", "training"):
        yield from sorted((root / package).rglob("*.py"))


def test_modules_and_functions_are_short(root: Path) -> None:
    scripts = {path.name: path.read_text() for path in (root / "app" / "web").glob("*.js")}
    assert scripts
    long = [name for name, source in scripts.items() if source.count("\n") > MOST_LINES]
    for path in sources(root):
        source = path.read_text()
        if (lines := source.count("\n")) > MOST_LINES:
            long.append(f"{path.name}: {lines} lines")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > MOST_LINES_OF_A_FUNCTION:
                    long.append(f"{path.name}: {node.name} has {lines} lines")
    assert long == []


def test_the_top_level_holds_only_the_agreed_names(root: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=root, check=False, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("this is no git checkout, so git cannot list the tracked files")
    top = {line.partition("/")[0] for line in listed.stdout.splitlines()}
    agreed = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "app", "training"}
    agreed |= {"models", "tests", "Dockerfile", "docker-compose.yml", "requirements.lock"}
    assert {name for name in top if not name.startswith(".")} <= agreed
