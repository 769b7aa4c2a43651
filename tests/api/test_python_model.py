"""``app.load`` gives the pixels that the server sends."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

import app
from app.imaging import png

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


def _encoded(
    client: TestClient, files: dict[str, bytes], query: str
) -> tuple[list[dict[str, Any]], list[bytes]]:
    """What the server finds for the images in ``files``, and the reconstructions as PNG files."""
    parts = [("images", one) for one in files.items()]
    response = client.post(f"/encode?{query}", files=parts)
    assert response.status_code == 200, response.text
    images = response.json()["images"]
    return images, [base64.b64decode(one.pop("png")) for one in images]


@pytest.mark.parametrize(
    ("name", "version", "refine"), [("digits", "1", 0), ("digits", "1", 3), ("faces", "2", 2)]
)
def test_latents_of_images_are_those_of_the_server(
    models: Path,
    client: TestClient,
    decode: Decode,
    tmp_path: Path,
    name: str,
    version: str,
    refine: int,
) -> None:
    model = app.load(models / name / version, provider="cpu")
    photo = np.random.default_rng(0).integers(0, 256, (90, 60, 3), np.uint8)
    own = model.sample([42])[0]
    files = {"own.png": png.encode(own), "photo.png": png.encode(photo)}
    for file, content in files.items():
        (tmp_path / file).write_bytes(content)
    expected, drawn = _encoded(client, files, f"model={name}&version={version}&refine={refine}")
    path = tmp_path / "photo.png"
    found = model.encode([own, str(path)], refine=refine)
    for k, (one, sent) in enumerate(zip(expected, drawn, strict=True)):
        np.testing.assert_array_equal(found.latents[k], np.float32(one["latent"]))
        shares = np.float32([*one["probabilities"].values()])
        np.testing.assert_array_equal(found.probabilities[k], shares)
        assert found.conditions[k] == one.get("class", one.get("attributes"))
        assert (found.errors[k], found.inverted[k]) == (one["error"], one["inverted"])
        np.testing.assert_array_equal(decode(sent), _squeezed(found.pixels)[k])
    same = model.encode([png.encode(own), path, photo], refine=refine)
    np.testing.assert_array_equal(same.latents[:2], found.latents)
    np.testing.assert_array_equal(same.latents[2], found.latents[1])


def test_choices_of_the_encoder_are_those_of_the_server(
    models: Path, client: TestClient, decode: Decode
) -> None:
    digits = app.load(models / "digits", provider="cpu")
    own = 255 - digits.sample([42])[0]
    (one,), (sent,) = _encoded(
        client, {"own.png": png.encode(own)}, "model=digits&invert=false&class=7"
    )
    found = digits.encode([own[..., 0]], invert=False, classes="7")
    assert (one["inverted"], found.inverted.tolist()) == (False, [False])
    assert found.conditions == ["7"] == [one["class"]]
    np.testing.assert_array_equal(decode(sent), _squeezed(found.pixels)[0])
    assert digits.encode([own]).inverted.tolist() == [True]
