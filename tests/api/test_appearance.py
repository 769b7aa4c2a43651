"""Truncation, scale, padding and columns; the generators' pixels are their latents."""

import base64
import io
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image as Pictures

from app.latent import sampling
from app.main import create_app
from app.settings import Settings
from tests.painting import PRIORS, SHAPES, WIDTH, publish

Pixels = NDArray[np.uint8]
Decode = Callable[[bytes], Pixels]

PNG, ZIP, JSON = "image/png", "application/zip", "application/json"
SHEETS = {
    "/generate?n=6&seed=5": (2, 3),
    "/interpolate?from=1&to=2&steps=6": (1, 6),
    "/grid?seed=5&rows=2&cols=3": (2, 3),
    "/grid?corners=1,2,3,4&rows=3&cols=2": (3, 2),
    "/variations?seed=5": (3, 3),
    "/arithmetic": (3, 3),
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    models = tmp_path_factory.mktemp("models")
    for name in SHAPES:
        publish(name, models)
    app = create_app(Settings(models=models, default_model="grey", provider="cpu"))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(params=["grey", "colour"])
def model(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def request(client: TestClient, path: str, accept: str = PNG, **parameters: Any) -> Any:
    """Send a request with ``parameters`` in its query, or in its body for ``/arithmetic``."""
    headers = {"Accept": accept}
    if path == "/arithmetic":
        return client.post(
            path, json={"plus": [[1, 2], [3]], "minus": [[4]]} | parameters, headers=headers
        )
    method = "POST" if path.startswith("/generate") else "GET"
    query = "".join(f"&{name}={value}" for name, value in parameters.items())
    joint = "" if "?" in path else "?"
    return client.request(method, f"{path}{joint}{query}", headers=headers)


def images_of(model: str, rows: NDArray[np.float32]) -> Pixels:
    """Return the images of latents."""
    values = np.clip(rows * 16 + 128, 0, 255).astype(np.uint8)
    return values.reshape(-1, *SHAPES[model])


@pytest.mark.parametrize("path", SHEETS)
def test_every_sheet_is_scaled_and_padded(
    client: TestClient, decode: Decode, path: str, model: str
) -> None:
    plain = decode(request(client, path, model=model).content)
    response = request(client, path, model=model, scale=3, padding=2)
    assert response.status_code == 200, response.text
    found = decode(response.content)
    (height, width, _), (rows, cols) = SHAPES[model], SHEETS[path]
    assert found.shape[:2] == (rows * (3 * height + 2) - 2, cols * (3 * width + 2) - 2)
    for row in range(rows):
        for col in range(cols):
            top, left = row * (3 * height + 2), col * (3 * width + 2)
            image = found[top : top + 3 * height : 3, left : left + 3 * width : 3]
            part = plain[row * height : (row + 1) * height, col * width : (col + 1) * width]
            np.testing.assert_array_equal(image, part)


@pytest.mark.parametrize(
    ("path", "columns", "rows"),
    [
        ("/generate?n=6&seed=5", 2, 3),
        ("/generate?n=6&seed=5", 4, 2),
        ("/interpolate?from=1&to=2&steps=6", 3, 2),
        ("/interpolate?seeds=1,2,3&steps=4", 1, 7),
        ("/generate?n=2&seed=5", 256, 1),
    ],
)
def test_a_row_has_as_many_images_as_columns_says(
    client: TestClient, decode: Decode, path: str, columns: int, rows: int
) -> None:
    found = decode(request(client, path, columns=columns).content)
    height, width, _ = SHAPES["grey"]
    assert found.shape == (rows * height, columns * width)
    first = decode(request(client, path, columns=1).content)[:height]
    np.testing.assert_array_equal(found[:height, :width], first)


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/generate?n=2&seed=5", JSON),
        ("/generate?n=2&seed=5", ZIP),
        ("/interpolate?from=1&to=2", JSON),
        ("/variations?seed=5", JSON),
        ("/variations?seed=5", ZIP),
        ("/arithmetic", JSON),
    ],
)
def test_images_in_json_and_zip_are_scaled(
    client: TestClient, decode: Decode, path: str, media_type: str
) -> None:
    plain, larger = (
        [decode(file) for file in files(request(client, path, media_type, scale=scale), media_type)]
        for scale in (1, 2)
    )
    for before, after in zip(plain, larger, strict=True):
        np.testing.assert_array_equal(after, before.repeat(2, axis=0).repeat(2, axis=1))


def files(response: Any, media_type: str) -> list[bytes]:
    if media_type == ZIP:
        with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
            return [archive.read(name) for name in archive.namelist()]
    body = response.json()
    return [base64.b64decode(one["png"]) for one in body.get("images") or body["frames"]]


@pytest.mark.parametrize("truncation", [0.25, 0.7, 1, 1.5, 2])
def test_truncation_scales_the_latents_of_seeds(
    client: TestClient, decode: Decode, truncation: float, model: str
) -> None:
    rows = sampling.from_seeds(range(5, 11), WIDTH, PRIORS[model]) * np.float32(truncation)
    images = images_of(model, rows)
    sheet = np.concatenate([np.concatenate(list(images[k : k + 3]), axis=1) for k in (0, 3)])
    path = "/grid?seed=5&rows=2&cols=3"
    found = decode(request(client, path, model=model, truncation=truncation).content)
    np.testing.assert_array_equal(found.reshape(sheet.shape), sheet)
    alone = client.get(f"/images/{model}/1/7.png?truncation={truncation}").content
    np.testing.assert_array_equal(decode(alone).reshape(SHAPES[model]), images[2])


def test_paths_planes_and_variations_start_from_truncated_latents(
    client: TestClient, decode: Decode
) -> None:
    height, width, _ = SHAPES["grey"]
    truncated = {seed: decode(client.get(f"/images/grey/1/{seed}.png?truncation=0.5").content)
            for seed in (1, 2, 3, 4, 5)}  # fmt: skip
    path = decode(request(client, "/interpolate?from=1&to=2&steps=6", truncation=0.5).content)
    np.testing.assert_array_equal(path[:, :width], truncated[1])
    np.testing.assert_array_equal(path[:, -width:], truncated[2])
    plane = decode(request(client, "/grid?corners=1,2,3,4", truncation=0.5).content)
    np.testing.assert_array_equal(plane[-height:, -width:], truncated[4])
    around = decode(request(client, "/variations?seed=5", truncation=0.5).content)
    np.testing.assert_array_equal(around[height : 2 * height, width : 2 * width], truncated[5])
    response = request(client, "/arithmetic", plus=[[5]], minus=[], truncation=0.5)
    np.testing.assert_array_equal(decode(response.content), around)


def test_the_url_of_an_image_has_truncation_scale_and_edit(client: TestClient) -> None:
    query = "/generate?n=3&seed=5&truncation=0.7&scale=2"
    response = client.post(query, json={"edit": {"glasses": 2}})
    for image in response.json()["images"]:
        query = "edit=glasses:2&truncation=0.7&scale=2"
        assert image["url"] == f"http://testserver/images/grey/1/{image['seed']}.png?{query}"
        content = client.get(image["url"]).content
        assert content == base64.b64decode(image["png"])
        with Pictures.open(io.BytesIO(content)) as picture:
            text = {"model": "grey/1", "seed": str(image["seed"])}
            assert picture.info == {**text, "edit": "glasses:2", "truncation": "0.7", "scale": "2"}


def test_a_truncation_and_a_scale_of_one_change_nothing(client: TestClient) -> None:
    plain = client.get("/images/grey/1/5.png").content
    assert client.get("/images/grey/1/5.png?truncation=1.0&scale=1").content == plain
    response = client.post("/generate?n=1&seed=5&truncation=1&scale=1&columns=1&padding=9").json()
    assert response["images"][0]["url"] == "http://testserver/images/grey/1/5.png"


ABOVE = "a number above 0 and at most 2"
INVALID = [
    ("truncation", "0", ABOVE),
    ("truncation", "-1", ABOVE),
    ("truncation", "2.01", ABOVE),
    ("truncation", "nan", ABOVE),
    ("truncation", "inf", ABOVE),
    ("scale", "0", "an integer from 1 to 8"),
    ("scale", "9", "an integer from 1 to 8"),
    ("scale", "1.5", "an integer from 1 to 8"),
    ("padding", "-1", "an integer from 0 to 64"),
    ("padding", "65", "an integer from 0 to 64"),
]


@pytest.mark.parametrize(("name", "value", "allowed"), INVALID)
def test_an_error_in_the_query_names_parameter_value_and_what_is_allowed(
    client: TestClient, name: str, value: str, allowed: str
) -> None:
    alone = [] if name == "padding" else ["/images/grey/1/5.png"]
    for path in [*SHEETS, *alone]:
        if path == "/arithmetic":
            continue
        response = request(client, path, **{name: value})
        assert response.status_code == 422
        (problem,) = response.json()["errors"]
        assert problem == {"parameter": name, "in": "query", "value": value, "allowed": allowed}


@pytest.mark.parametrize(
    ("name", "value"),
    [("truncation", 0), ("truncation", "1"), ("scale", 9), ("scale", True), ("padding", 65)],
)
def test_an_error_in_the_body_names_parameter_and_value(
    client: TestClient, name: str, value: object
) -> None:
    (problem,) = request(client, "/arithmetic", **{name: value}).json()["errors"]
    assert (problem["parameter"], problem["in"], problem["value"]) == (name, "body", value)


@pytest.mark.parametrize(
    "path",
    ["/images/grey/1/5.png", "/grid", "/variations?seed=5", "/arithmetic"],
)
def test_routes_that_determine_the_columns_refuse_the_parameter(
    client: TestClient, path: str
) -> None:
    (problem,) = request(client, path, columns=2).json()["errors"]
    assert problem["parameter"] == "columns"
    assert problem["allowed"].startswith("left out: it is not one of the parameters")
