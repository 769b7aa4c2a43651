"""A model of images 64 wide and 96 high, from a folder of photographs to every kind of response."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image

from app.main import create_app
from app.settings import Settings
from tests import tiny_run
from tests.files import encoded
from training.__main__ import main

WIDTH, HEIGHT = 64, 96
Decode = Callable[[bytes], NDArray[np.uint8]]


@pytest.fixture(scope="module", autouse=True)
def _short_run() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        tiny_run.shorten_calibration(patch)
        tiny_run.skip_curves(patch)
        tiny_run.shorten_encoder_measures(patch)
        tiny_run.shorten_publication(patch)
        yield


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model ``tall``, which has an encoder."""
    folder = tmp_path_factory.mktemp("tall")
    random = np.random.default_rng(0)
    (folder / "pictures").mkdir()
    for number in range(24):
        pixels = random.integers(0, 256, (6, 8, 3), dtype=np.uint8).repeat(20, 0).repeat(20, 1)
        Image.fromarray(pixels).save(folder / "pictures" / f"{number}.png")
    data = [f"--dataset=folder:{folder}/pictures", f"--image-size={WIDTH}x{HEIGHT}"]
    tiny = "--epochs=1 --batch-size=12 --generator-filters=2 --discriminator-filters=2"
    on_cpu = ["--device=cpu", "--threads=1"]
    run, models = str(folder / "run"), folder / "models"
    assert main(["fit", f"--out={run}", *data, *tiny.split(), "--latent-dim=6", *on_cpu]) == 0
    assert main(["encoder", run, "--steps=2", "--batch-size=8", *on_cpu]) == 0
    assert main(["export", run, "--name=tall", "--version=1", f"--models={models}"]) == 0
    return models


@pytest.fixture(scope="module")
def client(models: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(models=models, provider="cpu"))) as client:
        yield client


def test_images_sheets_and_blends_have_the_size_of_the_card(
    client: TestClient, decode: Decode
) -> None:
    (version,) = client.get("/models/tall").json()["versions"]
    assert (version["card"]["image"]["width"], version["card"]["image"]["height"]) == (64, 96)
    assert version["card"]["training"]["options"]["image_size"] == "64x96"
    for path, rows, columns in (
        ("/images/tall/1/7.png", 1, 1),
        ("/images/tall/1/7.png?scale=2", 2, 2),
        ("/grid?rows=2&cols=3&seed=0", 2, 3),
        ("/grid?rows=2&cols=3&corners=1,2,3,4", 2, 3),
    ):
        response = client.get(path)
        assert response.status_code == 200, path
        assert decode(response.content).shape == (rows * HEIGHT, columns * WIDTH, 3), path


def test_the_images_of_a_sheet_are_those_of_its_seeds(client: TestClient, decode: Decode) -> None:
    sheet = decode(client.get("/grid?rows=2&cols=3&seed=5").content)
    tiles = sheet.reshape(2, HEIGHT, 3, WIDTH, 3).swapaxes(1, 2).reshape(6, HEIGHT, WIDTH, 3)
    for number, tile in enumerate(tiles):
        image = decode(client.get(f"/images/tall/1/{5 + number}.png").content)
        np.testing.assert_array_equal(tile, image)


def test_inference_and_openais_api_name_both_sides(client: TestClient) -> None:
    (output,) = client.get("/v2/models/tall").json()["outputs"]
    assert output["shape"] == [-1, HEIGHT, WIDTH, 3]
    latents = {"name": "latents", "datatype": "FP32", "shape": [2, 6], "data": [0.0] * 12}
    (found,) = client.post("/v2/models/tall/infer", json={"inputs": [latents]}).json()["outputs"]
    assert found["shape"] == [2, HEIGHT, WIDTH, 3]
    generations = "/v1/images/generations"
    created = client.post(generations, json={"prompt": "", "size": "128x192"}).json()
    assert created["size"] == "128x192"
    refused = client.post(generations, json={"prompt": "", "size": "192x128"})
    assert refused.status_code == 400
    assert "64x96, 128x192" in refused.json()["error"]["message"]


def test_an_upload_is_cropped_to_the_proportions_of_the_model(
    client: TestClient, decode: Decode
) -> None:
    # Only the middle of this wide picture fits: 64 of its 192 columns.
    wide = np.zeros((HEIGHT, 192, 3), np.uint8)
    wide[:, 64:128] = 255
    answers = []
    for picture in (wide, np.full((HEIGHT, WIDTH, 3), 255, np.uint8)):
        headers = {"Content-Type": "image/png"}
        response = client.post("/encode?model=tall", content=encoded(picture), headers=headers)
        assert response.status_code == 200, response.text
        answers.append(response.json()["images"][0])
    assert answers[0]["latent"] == answers[1]["latent"]
    assert decode(base64.b64decode(answers[0]["png"])).shape == (HEIGHT, WIDTH, 3)


def test_the_page_names_both_sides_of_its_picture(client: TestClient) -> None:
    page = client.get("/?model=tall&version=1&seed=7", headers={"Accept": "text/html"}).text
    sides = [f'property="og:image:{side}" content="' for side in ("width", "height")]
    width, height = (int(page.split(side)[1].split('"')[0]) for side in sides)
    assert width * HEIGHT == height * WIDTH
