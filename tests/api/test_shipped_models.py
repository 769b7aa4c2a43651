"""The shipped models: every endpoint works with each, and edits do what the cards say."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from training.evaluation import features
from training.evaluation.features import AVATARS, NETWORKS

SHAPES = {"fashion-mnist": (28, 28), "digits": (28, 28), "faces": (64, 64, 3)}
PNG = {"Accept": "image/png"}
SUM = {"plus": [[3, 4, 5], [6, 7, 8]], "minus": [[0, 1, 2]]}
SEEDS = 256

Decode = Callable[[bytes], NDArray[np.uint8]]
GLASSES = AVATARS.names.index("glasses")


def test_the_cards_describe_images_data_set_and_metrics(client: TestClient) -> None:
    models = {model["name"]: model for model in client.get("/models").json()["models"]}
    assert models.keys() == SHAPES.keys()
    for name, shape in SHAPES.items():
        card = models[name]["versions"][-1]["card"]
        image = card["image"]
        assert (image["height"], image["width"], *shape[2:]) == shape
        assert NETWORKS[card["dataset"]["name"]].image_shape[0] == image["channels"]
        assert card["metrics"].keys() >= {"parity", "fd_cnn", "precision", "recall", "coverage"}


@pytest.mark.parametrize("model", SHAPES)
@pytest.mark.parametrize(
    ("method", "path", "rows", "columns"),
    [
        ("POST", "/generate?n=9&seed=3", 3, 3),
        ("GET", "/images/{model}/{version}/42.png", 1, 1),
        ("GET", "/interpolate?from=3&to=17&steps=5", 1, 5),
        ("GET", "/interpolate?seeds=3,17,99&steps=4&loop=true", 1, 9),
        ("GET", "/grid?rows=2&cols=3&seed=0", 2, 3),
        ("GET", "/grid?corners=1,2,3,4&rows=3&cols=4", 3, 4),
        ("GET", "/variations?seed=42", 3, 3),
        ("POST", "/arithmetic", 3, 3),
    ],
)
def test_every_endpoint_works_with_every_model(
    client: TestClient, decode: Decode, model: str, method: str, path: str, rows: int, columns: int
) -> None:
    version = client.get(f"/models/{model}").json()["default_version"]
    options: dict[str, Any] = {"headers": PNG}
    if "{model}" in path:
        path = path.format(model=model, version=version)
    elif path == "/arithmetic":
        options["json"] = {**SUM, "model": model}
    else:
        path += f"&model={model}"
    response = client.request(method, path, **options)
    assert response.status_code == 200
    assert response.headers["X-Model"] == f"{model}/{version}"
    height, width, *channels = SHAPES[model]
    sheet = decode(response.content)
    assert sheet.shape == (rows * height, columns * width, *channels)
    assert sheet.std() > 30


Attributes = Callable[..., NDArray[np.bool_]]


@pytest.fixture(scope="module")
def attributes(client: TestClient, decode: Decode) -> Attributes:
    """Classifies the faces of SEEDS seeds after an edit: ``(SEEDS, attributes)``."""
    classifier = features.load(AVATARS)

    def predicted(**edit: float) -> NDArray[np.bool_]:
        query = f"/generate?n={SEEDS}&seed=0&model=faces"
        sheet = decode(client.post(query, headers=PNG, json={"edit": edit}).content)
        columns = sheet.shape[1] // 64
        images = sheet.reshape(-1, 64, columns, 64, 3).transpose(0, 2, 4, 1, 3)
        images = images.reshape(-1, 3, 64, 64)[:SEEDS].copy()
        return features.extract(classifier, images, AVATARS).labels

    return predicted


@pytest.fixture(scope="module")
def unedited(attributes: Attributes) -> NDArray[np.bool_]:
    return attributes()


@pytest.mark.parametrize("name", ["glasses", "beard"])
def test_an_edit_changes_its_attribute_and_few_others(
    client: TestClient, attributes: Attributes, unedited: NDArray[np.bool_], name: str
) -> None:
    measured = client.get("/models/faces").json()["versions"][0]["attributes"][name]
    assert measured["gained"] >= 0.8
    assert measured["kept"] >= 0.75  # at strength 2
    edited = attributes(**{name: 2})
    k = AVATARS.names.index(name)
    without = ~unedited[:, k]
    assert edited[without, k].mean() == pytest.approx(measured["gained"], abs=0.1)
    same = np.delete(unedited == edited, k, axis=1)[without]
    assert same.mean() == pytest.approx(measured["kept"], abs=0.1)


def test_a_negative_strength_removes_the_attribute(
    attributes: Attributes, unedited: NDArray[np.bool_]
) -> None:
    assert attributes(glasses=-3)[:, GLASSES].mean() < unedited[:, GLASSES].mean() / 2


@pytest.mark.parametrize("model", SHAPES)
def test_truncation_reduces_the_spread_and_scale_repeats_pixels(
    client: TestClient, decode: Decode, model: str
) -> None:
    version = client.get(f"/models/{model}").json()["default_version"]

    def images(query: str) -> NDArray[np.float64]:
        path = f"/grid?rows=8&cols=8&seed=0&model={model}&version={version}&{query}"
        sheet = decode(client.get(path).content).astype(float)
        height, width, *_ = SHAPES[model]
        parts = sheet.reshape(8, height, 8, width, -1).swapaxes(1, 2)
        return parts.reshape(64, height, width, -1)

    spread = [images(f"truncation={t}").std(axis=0).mean() for t in (0.25, 0.5, 1)]
    assert spread == sorted(spread)
    path = f"/images/{model}/{version}/42.png"
    plain, larger = (decode(client.get(f"{path}?scale={k}").content) for k in (1, 8))
    np.testing.assert_array_equal(larger[3::8, 5::8], plain)


@pytest.mark.parametrize("model", SHAPES)
def test_latents_in_a_request_become_images(client: TestClient, decode: Decode, model: str) -> None:
    width = client.get(f"/models/{model}").json()["versions"][-1]["card"]["latent"]["width"]
    rows = np.random.default_rng(0).normal(size=(4, width)).tolist()
    response = client.post(f"/generate?model={model}", headers=PNG, json={"latents": rows})
    height, columns, *_ = SHAPES[model]
    assert decode(response.content).shape[:2] == (2 * height, 2 * columns)
    assert decode(response.content).std() > 30
