"""The parameter ``format``, on every endpoint that draws several images."""

import base64
import io
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image

from app.main import create_app
from app.settings import Settings
from tests import conditional, encoding, painting
from tests.files import encoded

Decode = Callable[[bytes], NDArray[np.uint8]]
MEDIA_TYPES = {
    "png": "image/png",
    "webp": "image/webp",
    "json": "application/json",
    "zip": "application/zip",
}
REQUESTS: dict[str, dict[str, Any]] = {
    "/generate": {"params": {"n": 4, "seed": 42, "scale": 2}},
    "/grid": {"params": {"rows": 2, "cols": 2, "seed": 42, "scale": 2}},
    "/interpolate": {"params": {"from": 1, "to": 2, "steps": 4}},
    "/variations": {"params": {"seed": 1, "rows": 2, "cols": 2}},
    "/arithmetic": {"json": {"plus": [[1]]}},
    "/encode": {"params": {}, "files": [("images", encoded(np.zeros((3, 4), np.uint8)))] * 4},
}
"""A request of each endpoint."""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    models = tmp_path_factory.mktemp("models")
    encoding.publish(models)
    settings = Settings(models=models, default_model="grey", provider="cpu")
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


def post(client: TestClient, path: str, accept: str = "*/*", **more: Any) -> httpx.Response:
    """The response to the request of an endpoint with ``more`` parameters in its query."""
    request = REQUESTS[path]
    params = request.get("params", {}) | more
    return client.post(path, **request | {"params": params}, headers={"Accept": accept})


@pytest.mark.parametrize("form", MEDIA_TYPES)
@pytest.mark.parametrize("path", REQUESTS)
def test_format_does_the_same_as_accept_and_has_precedence(
    client: TestClient, path: str, form: str
) -> None:
    by_accept = post(client, path, MEDIA_TYPES[form])
    assert by_accept.headers["Content-Type"] == MEDIA_TYPES[form]
    for accept in ("*/*", "image/png", "application/json", "text/html"):
        response = post(client, path, accept, format=form)
        assert response.status_code == 200, response.text
        assert response.headers["Content-Type"] == MEDIA_TYPES[form]
        assert response.content == by_accept.content


@pytest.mark.parametrize("path", REQUESTS)
def test_an_unknown_format_names_those_of_the_endpoint(client: TestClient, path: str) -> None:
    problem = post(client, path, format="jpeg").json()
    (error,) = problem["errors"]
    assert (problem["status"], error["parameter"]) == (422, "format")
    assert error["allowed"].startswith("one of png, ")
    assert ("urls" in error["allowed"]) == (path not in {"/arithmetic", "/encode"})


@pytest.mark.parametrize("path", [path for path in REQUESTS if path != "/interpolate"])
def test_all_formats_have_the_same_pixels(client: TestClient, path: str, decode: Decode) -> None:
    sheet = decode(post(client, path, format="png").content)
    webp = np.asarray(
        Image.open(io.BytesIO(post(client, path, format="webp").content)).convert("L")
    )
    np.testing.assert_array_equal(webp, sheet)
    listed = post(client, path, format="json").json()["images"]
    files = [base64.b64decode(one["png"]) for one in listed]
    with zipfile.ZipFile(io.BytesIO(post(client, path, format="zip").content)) as archive:
        assert [archive.read(name) for name in archive.namelist()] == files
    height, width = decode(files[0]).shape
    np.testing.assert_array_equal(sheet[:height, :width], decode(files[0]))


@pytest.mark.parametrize("path", ["/generate", "/grid"])
def test_urls_are_absolute_and_lead_to_the_images(
    client: TestClient, path: str, decode: Decode
) -> None:
    drawn = post(client, path, format="json").json()
    response = post(client, path, format="urls")
    listed = response.json()["images"]
    assert response.headers["X-Seed"] == "42"
    assert response.headers["X-Model"] == "grey/1"
    assert [one["seed"] for one in listed] == [42, 43, 44, 45]
    for one, with_file in zip(listed, drawn["images"], strict=True):
        assert one.keys() == {"seed", "url", "width", "height"}
        assert one["url"].startswith("http://testserver/images/grey/1/")
        content = client.get(one["url"]).content
        assert content == base64.b64decode(with_file["png"])
        assert decode(content).shape[:2] == (one["height"], one["width"])


def test_a_random_seed_of_urls_is_named(client: TestClient) -> None:
    response = client.post("/generate?n=2&format=urls")
    seed = response.json()["images"][0]["seed"]
    assert response.headers["X-Seed"] == str(seed)
    assert f"/{seed}.png" in response.json()["images"][0]["url"]


@pytest.mark.parametrize(
    ("path", "body", "images", "seeds"),
    [
        ("/interpolate", {"seeds": [3, 17, 99], "steps": 2}, "frames", [3, 17, 99]),
        (
            "/interpolate",
            {"from": 3, "to": 17, "to_class": "0", "steps": 3},
            "frames",
            [3, 17],
        ),
        (
            "/interpolate",
            {"points": [3, [0.5] * conditional.WIDTH, 9], "class": "0,0,boot", "steps": 4}
            | {"loop": True, "scale": 2},
            "frames",
            [3, 9],
        ),
        ("/variations", {"point": 7, "rows": 2, "class": "boot,0,0:0.5+boot:1"}, "images", [7]),
        ("/variations", {"seed": 7, "cols": 2, "rows": 1, "radius": 0}, "images", [7, 7]),
    ],
)
def test_json_has_the_url_of_each_image_of_a_seed(
    client: TestClient, decode: Decode, path: str, body: dict[str, Any], images: str, seeds: object
) -> None:
    body = {**body, "model": "shoes"}
    response = client.post(path, json={**body, "format": "json"})
    listed = response.json()[images]
    located = [one for one in listed if "url" in one]
    assert [one["seed"] for one in located] == seeds
    for one in located:
        pixels = decode(base64.b64decode(one["png"]))
        np.testing.assert_array_equal(decode(client.get(one["url"]).content), pixels)
    assert {(one["height"], one["width"]) for one in listed} == {pixels.shape[:2]}

    answer = client.post(path, json={**body, "format": "urls"})
    if len(located) < len(listed):
        others = f"{len(listed) - len(located)} of the {len(listed)} images are not those of a seed"
        assert others in answer.json()["errors"][0]["allowed"]
        return
    assert answer.headers["X-Seed"] == response.headers["X-Seed"]
    for one in listed:
        del one["png"], one["class"]
    assert answer.json() == response.json() | {images: listed}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/generate", {"latents": [[0.0] * painting.WIDTH]}),
        ("/grid", {"points": [1, [0.0] * painting.WIDTH]}),
        ("/grid", {"corners": [1, 2, 3, 4]}),
        ("/grid", {"rows": "classes", "model": "shoes", "points": [1, [0.0] * conditional.WIDTH]}),
    ],
)
def test_images_that_are_not_of_seeds_have_no_url(
    client: TestClient, path: str, body: dict[str, Any]
) -> None:
    (error,) = client.post(path, json={**body, "format": "urls"}).json()["errors"]
    assert (error["parameter"], error["in"], error["value"]) == ("format", "body", "urls")
    drawn = client.post(path, json={**body, "format": "json"}).json()["images"]
    assert any("url" not in one for one in drawn)
    assert all(one["png"] for one in drawn)


def test_the_json_of_a_sheet_tells_seeds_latents_and_classes(client: TestClient) -> None:
    latent = [0.5] * conditional.WIDTH
    body = {"points": [7, latent], "model": "shoes", "format": "json"}
    seed, given = client.post("/grid", json=body).json()["images"]
    assert (seed["seed"], "latent" in seed) == (7, False)
    assert (given["latent"], "seed" in given) == (latent, False)
    assert client.get(seed["url"]).headers["X-Class"] == seed["class"]
    assert given["class"] == "boot"


def test_a_sheet_that_is_too_wide_for_webp_is_refused(client: TestClient) -> None:
    query = "n=256&columns=256&padding=64"
    refused = client.post(f"/generate?{query}&format=webp")
    (error,) = refused.json()["errors"]
    assert (refused.status_code, error["parameter"]) == (422, "format")
    assert "no side of a WebP file has more than 16383 pixels" in error["allowed"]
    assert client.post(f"/generate?{query}&format=png").is_success


def test_a_wrong_timeout_is_refused_although_nothing_is_drawn(client: TestClient) -> None:
    response = client.post("/generate?format=urls", headers={"X-Request-Timeout": "0"})
    assert response.status_code == 422
