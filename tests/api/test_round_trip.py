"""From training to an HTTP response: the server's images equal PyTorch's."""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from app.imaging.sheets import Pixels
from app.latent import sampling
from app.main import create_app
from app.settings import Settings
from tests import tiny_run
from training.__main__ import main
from training.gan.gan import Gan
from training.gan.pixels import to_pixels
from training.loop.checkpoint import load
from training.run.journal import Run

SIZE, COUNT = 16, 48
TINY = ["--generator-filters", "4", "--discriminator-filters", "4", "--latent-dim", "9"]


def write_idx(path: Path, values: Pixels) -> None:
    header = struct.pack(f">4B{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    path.write_bytes(header + values.tobytes())


@pytest.fixture(scope="module", autouse=True)
def _short_run() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        tiny_run.shorten_calibration(patch)
        tiny_run.shorten_publication(patch)
        tiny_run.skip_curves(patch)
        yield


@pytest.fixture(scope="module", params=["normal", "uniform"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny run, trained by the command line."""
    folder = tmp_path_factory.mktemp("run")
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (COUNT, SIZE, SIZE), dtype=np.uint8)
    write_idx(folder / "train-images-idx3-ubyte", pixels)
    write_idx(folder / "train-labels-idx1-ubyte", np.zeros(COUNT, np.uint8))
    flags = ["--data-dir", str(folder), "--epochs", "2", "--batch-size", "16", "--device", "cpu"]
    flags += ["--threads", "1"]
    flags += ["--prior", request.param, "--conditional", "none", *TINY]
    assert main(["fit", "--out", str(folder / "run"), *flags]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def served(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    models = tmp_path_factory.mktemp("models")
    names = ["--name", "tiny", "--version", "3", "--models", str(models)]
    assert main(["export", str(run), *names]) == 0
    with TestClient(create_app(Settings(models=models, provider="cpu"))) as client:
        yield client


@pytest.fixture(scope="module")
def generator(run: Path) -> torch.nn.Module:
    journal = Run(run)
    gan = Gan(journal.config(), journal.data().shape, torch.device("cpu"))
    gan.load_state_dict(load(journal.checkpoint))
    return gan.averaged_generator()


def test_the_served_card_describes_the_run(served: TestClient) -> None:
    (version,) = served.get("/models/tiny").json()["versions"]
    card = version["card"]
    assert (version["version"], card["training"]["epochs"]) == (3, 2)
    assert card["training"]["steps"] == 2 * COUNT // 16
    assert card["dataset"]["images"] == COUNT
    assert card["image"] == {
        "height": SIZE,
        "width": SIZE,
        "channels": 1,
        "layout": "nhwc",
        "dtype": "uint8",
    }
    assert card["metrics"]["parity"]["value"] <= 0.001


def test_served_pixels_equal_pytorchs(
    served: TestClient,
    run: Path,
    generator: torch.nn.Module,
    decode: Callable[[bytes], NDArray[np.uint8]],
) -> None:
    config = Run(run).config()
    z = sampling.from_seeds(range(64), config.latent_dim, config.prior)
    expected = to_pixels(generator, torch.from_numpy(z))
    grid = decode(served.get("/grid?rows=8&cols=8&seed=0").content)
    images = grid.reshape(8, SIZE, 8, SIZE).swapaxes(1, 2).reshape(64, SIZE, SIZE, 1)
    difference = np.abs(images.astype(int) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 0.001
    assert len({image.tobytes() for image in images}) == 64
