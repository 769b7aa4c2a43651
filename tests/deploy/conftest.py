"""Fixtures that need a Docker engine; without one, tests that use them are skipped."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy import containers


@pytest.fixture(scope="session")
def engine() -> str:
    """The name of the base image, which the engine has or can pull."""
    if not shutil.which("docker"):
        pytest.skip("docker is not installed")
    for command in (["info"], ["compose", "version"]):
        if subprocess.run(["docker", *command], check=False, capture_output=True).returncode:
            pytest.skip(f"`docker {' '.join(command)}` fails: no engine, or no Compose")
    if not containers.available(containers.PYTHON_IMAGE):
        pytest.skip(f"{containers.PYTHON_IMAGE} is neither here nor can it be pulled")
    return containers.PYTHON_IMAGE


@pytest.fixture(scope="session")
def image(engine: str, root: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The server's image, built by `docker compose build`."""
    assert engine
    with containers.project(root, tmp_path_factory.mktemp("build")) as project:
        project.compose("build")
    return containers.IMAGE


@pytest.fixture(scope="session")
def up(
    image: str, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[containers.Project]:
    """One server, started by the README's first command. Other modules add services to it."""
    assert image
    profiles = ["monitoring", "scale"]
    with containers.project(root, tmp_path_factory.mktemp("up"), profiles=profiles) as project:
        project.call("docker compose up", "--detach", "--wait")
        yield project
