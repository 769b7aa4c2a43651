"""Requests that the OpenAPI document allows, and invalid ones, sent to a real server."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import serving

KEY = "a-key-for-every-operation"


@pytest.fixture(scope="module")
def server(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("server") / "log"
    keys = ["--api-keys", KEY, "--admin-keys", KEY]
    command = [sys.executable, "-m", "app", "--access-log", "false", *keys]
    with pytest.MonkeyPatch.context() as patch:
        # Neither the server nor Schemathesis has its coverage measured, which slows them down.
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        with serving(command, root, log) as address:
            yield address


@pytest.fixture
def config(root: Path, tmp_path: Path) -> Path:
    """The configuration of Schemathesis, with an API key."""
    text = (root / "tests" / "process" / "schemathesis.toml").read_text()
    path = tmp_path / "schemathesis.toml"
    path.write_text(f'{text}\n[auth.openapi.header]\napi_key = "{KEY}"\n')
    return path


def findings(root: Path, config: Path, address: str, *flags: str) -> tuple[int, str]:
    """The number of cases, and the output of Schemathesis if any failed."""
    command = Path(sys.executable).with_name("schemathesis")
    arguments = [f"{address}/openapi.json", "--no-color", "--continue-on-failure", *flags]
    ended = subprocess.run(
        [command, "--config-file", config, "run", *arguments],
        cwd=root,
        check=False,
        capture_output=True,
        text=True,
    )
    passed = re.search(r"(\d+) generated, \1 passed", ended.stdout)
    if passed and ended.returncode == 0:
        return int(passed[1]), ""
    return 0, ended.stdout + ended.stderr


def test_schemathesis_finds_nothing(root: Path, config: Path, server: str) -> None:
    cases, found = findings(
        root, config, server, "--max-examples", "5", "--generation-deterministic"
    )
    assert not found, found
    assert cases > 1000


@pytest.mark.slow
def test_schemathesis_finds_nothing_in_ten_thousand_cases(
    root: Path, config: Path, server: str
) -> None:
    cases, found = findings(root, config, server, "--max-examples", "450")
    assert not found, found
    assert cases > 10_000
