"""Grids, paths, arithmetic and variations of a colour generator, compared with PyTorch."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from app.artifact.card import DataSet, Image, Latent, Training
from app.imaging.sheets import Pixels
from app.latent import sampling
from app.latent.arithmetic import Neighbourhood
from app.latent.sampling import Latents, Prior
from app.main import create_app
from app.settings import Settings
from training.export.publish import (
    Provenance,
    new_version_folder,
    publish,
    source_of_network,
)
from training.gan import networks
from training.gan.pixels import to_pixels
from training.image_size import ImageSize

SIZE, WIDTH = 16, 9


@pytest.fixture(scope="module", params=["normal", "uniform"])
def prior(request: pytest.FixtureRequest) -> Prior:
    prior: Prior = request.param
    return prior


@pytest.fixture(scope="module")
def generator() -> torch.nn.Module:
    """A tiny untrained colour generator, its weights scaled so that images have contrast."""
    torch.manual_seed(0)
    network = networks.generator(WIDTH, 3, ImageSize.square(SIZE), 4).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.mul_(20)
    return network


@pytest.fixture(scope="module")
def client(
    generator: torch.nn.Module, prior: Prior, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    """The application with that generator and a prior."""
    models: Path = tmp_path_factory.mktemp("models")
    provenance = Provenance(
        DataSet(name="none", licence="none", images=None),
        Training(options={}, epochs=0, steps=0, seconds=0, device="none"),
        metrics={},
    )
    latent, image = Latent(width=WIDTH, prior=prior), Image(height=SIZE, width=SIZE, channels=3)
    source = source_of_network(generator, latent, image, provenance)
    publish(source, new_version_folder(models, "tiny"))
    with TestClient(create_app(Settings(models=models, provider="cpu"))) as client:
        yield client


@pytest.fixture
def check(
    generator: torch.nn.Module, decode: Callable[[bytes], NDArray[np.uint8]]
) -> Callable[..., None]:
    """Compares a sheet with the images that PyTorch generates from its latents, row by row."""

    def checked(content: bytes, z: Latents, cols: int) -> None:
        sheet: Pixels = decode(content)
        rows = len(z) // cols
        assert sheet.shape == (rows * SIZE, cols * SIZE, 3)
        images = sheet.reshape(rows, SIZE, cols, SIZE, 3).swapaxes(1, 2)
        expected = to_pixels(generator, torch.from_numpy(z.astype(np.float32)))
        difference = np.abs(images.reshape(expected.shape).astype(int) - expected)
        assert difference.max() <= 1
        assert (difference > 0).mean() <= 0.01
        assert expected.std() > 20  # a flat grey image would match anything

    return checked


def slerp(a: Latents, b: Latents, t: float) -> Latents:
    omega = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    return (np.sin((1 - t) * omega) * a + np.sin(t * omega) * b) / np.sin(omega)


def lerp(a: Latents, b: Latents, t: float) -> Latents:
    return (1 - t) * a + t * b


def test_a_grid_between_corners_interpolates_as_the_prior_requires(
    client: TestClient, prior: Prior, check: Callable[..., None]
) -> None:
    between = slerp if prior == "normal" else lerp
    a, b, c, d = sampling.from_seeds([1, 2, 3, 4], WIDTH, prior).astype(np.float64)
    z = [
        between(between(a, c, row / 3), between(b, d, row / 3), col / 4)
        for row in range(4)
        for col in range(5)
    ]
    response = client.get("/grid?corners=1,2,3,4&rows=4&cols=5")
    check(response.content, np.stack(z), 5)


def test_a_closed_path_through_three_seeds(
    client: TestClient, prior: Prior, check: Callable[..., None]
) -> None:
    stops = sampling.from_seeds([3, 17, 99, 3], WIDTH, prior).astype(np.float64)
    z = [lerp(stops[k // 4], stops[k // 4 + 1], k % 4 / 4) for k in range(12)]
    response = client.get("/interpolate?seeds=3,17,99&steps=5&loop=true&method=lerp")
    check(response.content, np.stack(z), 12)


@pytest.mark.parametrize("radius", [0.25, 2])
def test_arithmetic_and_its_neighbours(
    client: TestClient, prior: Prior, check: Callable[..., None], radius: float
) -> None:
    groups = sampling.from_seeds(range(9), WIDTH, prior).reshape(3, 3, WIDTH).mean(axis=1)
    result = groups[0] - groups[1] + groups[2]
    noise = sampling.noise(0, 8, WIDTH)
    z = result + radius * np.concatenate([noise[:4], np.zeros((1, WIDTH)), noise[4:]])
    body = {"plus": [[0, 1, 2], [6, 7, 8]], "minus": [[3, 4, 5]], "radius": radius}
    response = client.post("/arithmetic", json={**body, "model": "tiny", "version": 1})
    assert response.headers["X-Model"] == "tiny/1"
    check(response.content, z, 3)


def test_variations(client: TestClient, prior: Prior, check: Callable[..., None]) -> None:
    (centre,) = sampling.from_seeds([42], WIDTH, prior)
    response = client.get("/variations?seed=42&rows=4&cols=3&radius=1")
    check(response.content, Neighbourhood(42, 1, 4, 3).latents_around(centre), 3)
