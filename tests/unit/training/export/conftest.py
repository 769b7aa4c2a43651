"""Publishes generators through the command line, and draws with what was published."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.artifact import card
from app.latent import sampling
from training.__main__ import main
from training.export.cpu_session import run_graph


@pytest.fixture(scope="session")
def version(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run's generator, published."""
    models = tmp_path_factory.mktemp("models")
    call = ["export", str(finished_run), "--name", "tiny", "--version", "3"]
    assert main([*call, "--models", str(models)]) == 0
    return models / "tiny" / "3"


@pytest.fixture
def publish(tmp_path: Path) -> Callable[..., int]:
    """Runs a command on a file, for the models folder ``tmp_path/models``."""

    def run(command: str, path: Path, *flags: object) -> int:
        models = str(tmp_path / "models")
        return main([command, str(path), "--name", "mine", "--models", models, *map(str, flags)])

    return run


@pytest.fixture
def drawn(tmp_path: Path) -> Callable[[int], NDArray[np.uint8]]:
    """Draws the first seeds with the graph that was published as version 1."""

    def draw(count: int) -> NDArray[np.uint8]:
        folder = tmp_path / "models/mine/1"
        described = card.read(folder)
        graph = card.load_graph(folder, described.variant("any"))
        return run_graph(graph, sampling.from_seeds(range(count), described.latent.width))

    return draw
