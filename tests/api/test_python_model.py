"""``app.load`` gives the pixels that the server sends."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

import app

Decode = Callable[[bytes], NDArray[np.uint8]]


@pytest.fixture(scope="module", params=["digits", "faces", "fashion-mnist"])
def model(models: Path, request: pytest.FixtureRequest) -> app.Model:
    return app.load(models / request.param, provider="cpu")


def test_images_are_those_of_the_server(
    model: app.Model, client: TestClient, decode: Decode
) -> None:
    seeds, card = [0, 42, 2**32 - 1], model.card
    path, squeezed = f"/images/{card.name}/{card.version}", _squeezed(model.sample(seeds))
    for seed, pixels in zip(seeds, squeezed, strict=True):
        np.testing.assert_array_equal(decode(client.get(f"{path}/{seed}.png").content), pixels)
    whole = client.post(f"/generate?model={card.name}&n=70&seed=9", headers={"Accept": "image/png"})
    height, width = card.image.height, card.image.width
    sheet = decode(whole.content)
    for k, pixels in enumerate(_squeezed(model.sample(range(9, 79)))):
        top, left = height * (k // 9), width * (k % 9)
        np.testing.assert_array_equal(sheet[top : top + height, left : left + width], pixels)


def test_classes_are_those_of_the_server(models: Path, client: TestClient, decode: Decode) -> None:
    digits = app.load(models / "digits", provider="cpu")
    named, query = "7:0.7+1:0.3", "7:0.7%2B1:0.3"
    sent = client.get(f"/images/digits/1/42.png?class={query}&truncation=0.7").content
    pixels = digits.sample([42], classes=named, truncation=0.7)
    np.testing.assert_array_equal(decode(sent), _squeezed(pixels)[0])


def test_edits_are_those_of_the_server(models: Path, client: TestClient, decode: Decode) -> None:
    faces = app.load(models / "faces" / "1", provider="cpu")
    sent = client.get("/images/faces/1/42.png?edit=glasses:2,beard:-1.5").content
    np.testing.assert_array_equal(decode(sent), faces.edit([42], {"beard": -1.5, "glasses": 2})[0])


def test_paths_are_those_of_the_server(
    model: app.Model, client: TestClient, decode: Decode
) -> None:
    query = f"model={model.card.name}&seeds=3,17,99&steps=6&loop=true&easing=ease-in"
    strip = decode(client.get(f"/interpolate?{query}").content)
    frames = model.interpolate([3, 17, 99], 6, loop=True, easing="ease-in")
    np.testing.assert_array_equal(strip, np.concatenate([*_squeezed(frames)], axis=1))


def _squeezed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey images without their axis of channels, as they are decoded."""
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels
