"""Every request that the OpenAPI document allows, and those that it does not, to a real server."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import serving


@pytest.fixture(scope="module")
def server(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("server") / "log"
    command = [sys.executable, "-m", "app", "--access-log", "false"]
    with serving(command, root, log) as address:
        yield address


def findings(root: Path, address: str, *flags: str) -> tuple[int, str]:
    """How many cases Schemathesis tried, and what it found."""
    config = ["--config-file", "tests/contract/schemathesis.toml"]
    said = ["--no-color", "--continue-on-failure", *flags]
    ended = subprocess.run(
        ["schemathesis", *config, "run", f"{address}/openapi.json", *said],
        cwd=root,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
        check=False,
        capture_output=True,
        text=True,
    )
    passed = re.search(r"(\d+) generated, \1 passed", ended.stdout)
    told = ended.stdout + ended.stderr
    return (int(passed[1]), "") if passed and ended.returncode == 0 else (0, told)


def test_schemathesis_finds_nothing(root: Path, server: str) -> None:
    cases, found = findings(root, server, "--max-examples", "60", "--generation-deterministic")
    assert not found, found
    assert cases > 2000


@pytest.mark.slow
def test_schemathesis_finds_nothing_in_ten_thousand_cases(root: Path, server: str) -> None:
    cases, found = findings(root, server, "--max-examples", "400")
    assert not found, found
    assert cases > 10_000
