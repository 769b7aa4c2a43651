"""An engine to build and run on, where there is one."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy import containers


@pytest.fixture(scope="session")
def engine() -> str:
    """The base image that this engine has."""
    if not shutil.which("docker"):
        pytest.skip("docker is not installed")
    for words in (["info"], ["compose", "version"]):
        if subprocess.run(["docker", *words], check=False, capture_output=True).returncode:
            pytest.skip(f"`docker {' '.join(words)}` fails: no engine, or no Compose")
    if not containers.there(containers.PYTHON_IMAGE):
        pytest.skip(f"{containers.PYTHON_IMAGE} is neither here nor to be pulled")
    return containers.PYTHON_IMAGE


@pytest.fixture(scope="session")
def image(engine: str, root: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The server's image, built as `docker compose build` does."""
    assert engine
    with containers.project(root, tmp_path_factory.mktemp("build")) as project:
        project.compose("build")
    return containers.IMAGE
