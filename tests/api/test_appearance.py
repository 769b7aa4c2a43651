"""Truncation, scale, padding and columns, with generators whose pixels are their latents."""

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


def asked(client: TestClient, path: str, accept: str = PNG, **told: Any) -> Any:
    """The answer of a path of SHEETS, or another, with parameters where they belong."""
    headers = {"Accept": accept}
    if path == "/arithmetic":
        return client.post(
            path, json={"plus": [[1, 2], [3]], "minus": [[4]]} | told, headers=headers
        )
    method = "POST" if path.startswith("/generate") else "GET"
    query = "".join(f"&{name}={value}" for name, value in told.items())
    joint = "" if "?" in path else "?"
    return client.request(method, f"{path}{joint}{query}", headers=headers)


def painted(model: str, rows: NDArray[np.float32]) -> Pixels:
    """What the generator must make of latents."""
    values = np.clip(rows * 16 + 128, 0, 255).astype(np.uint8)
    return values.reshape(-1, *SHAPES[model])


@pytest.mark.parametrize("path", SHEETS)
def test_every_sheet_is_scaled_and_padded(
    client: TestClient, decode: Decode, path: str, model: str
) -> None:
    plain = decode(asked(client, path, model=model).content)
    answer = asked(client, path, model=model, scale=3, padding=2)
    assert answer.status_code == 200, answer.text
    found = decode(answer.content)
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
def test_columns_break_a_row_where_they_are_told(
    client: TestClient, decode: Decode, path: str, columns: int, rows: int
) -> None:
    found = decode(asked(client, path, columns=columns).content)
    height, width, _ = SHAPES["grey"]
    assert found.shape == (rows * height, columns * width)
    first = decode(asked(client, path, columns=1).content)[:height]
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
def test_every_single_image_is_scaled(
    client: TestClient, decode: Decode, path: str, media_type: str
) -> None:
    plain, larger = (
        [decode(file) for file in files(asked(client, path, media_type, scale=scale), media_type)]
        for scale in (1, 2)
    )
    for before, after in zip(plain, larger, strict=True):
        np.testing.assert_array_equal(after, before.repeat(2, axis=0).repeat(2, axis=1))


def files(answer: Any, media_type: str) -> list[bytes]:
    if media_type == ZIP:
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            return [archive.read(name) for name in archive.namelist()]
    body = answer.json()
    return [base64.b64decode(one["png"]) for one in body.get("images") or body["frames"]]


@pytest.mark.parametrize("truncation", [0.25, 0.7, 1, 1.5, 2])
def test_truncation_scales_the_latents_of_seeds(
    client: TestClient, decode: Decode, truncation: float, model: str
) -> None:
    rows = sampling.from_seeds(range(5, 11), WIDTH, PRIORS[model]) * np.float32(truncation)
    images = painted(model, rows)
    sheet = np.concatenate([np.concatenate(list(images[k : k + 3]), axis=1) for k in (0, 3)])
    path = "/grid?seed=5&rows=2&cols=3"
    found = decode(asked(client, path, model=model, truncation=truncation).content)
    np.testing.assert_array_equal(found.reshape(sheet.shape), sheet)
    alone = client.get(f"/images/{model}/1/7.png?truncation={truncation}").content
    np.testing.assert_array_equal(decode(alone).reshape(SHAPES[model]), images[2])


def test_everything_between_and_around_seeds_starts_from_truncated_ones(
    client: TestClient, decode: Decode
) -> None:
    height, width, _ = SHAPES["grey"]
    near = {seed: decode(client.get(f"/images/grey/1/{seed}.png?truncation=0.5").content)
            for seed in (1, 2, 3, 4, 5)}  # fmt: skip
    way = decode(asked(client, "/interpolate?from=1&to=2&steps=6", truncation=0.5).content)
    np.testing.assert_array_equal(way[:, :width], near[1])
    np.testing.assert_array_equal(way[:, -width:], near[2])
    plane = decode(asked(client, "/grid?corners=1,2,3,4", truncation=0.5).content)
    np.testing.assert_array_equal(plane[-height:, -width:], near[4])
    around = decode(asked(client, "/variations?seed=5", truncation=0.5).content)
    np.testing.assert_array_equal(around[height : 2 * height, width : 2 * width], near[5])
    answer = asked(client, "/arithmetic", plus=[[5]], minus=[], truncation=0.5)
    np.testing.assert_array_equal(decode(answer.content), around)


def test_an_answer_tells_where_its_very_images_are(client: TestClient) -> None:
    query = "/generate?n=3&seed=5&truncation=0.7&scale=2"
    answer = client.post(query, json={"edit": {"glasses": 2}})
    for image in answer.json()["images"]:
        query = "edit=glasses:2&truncation=0.7&scale=2"
        assert image["url"] == f"/images/grey/1/{image['seed']}.png?{query}"
        content = client.get(image["url"]).content
        assert content == base64.b64decode(image["png"])
        with Pictures.open(io.BytesIO(content)) as picture:
            told = {"model": "grey/1", "seed": str(image["seed"])}
            assert picture.info == {**told, "edit": "glasses:2", "truncation": "0.7", "scale": "2"}


def test_a_truncation_and_a_scale_of_one_are_as_good_as_none(client: TestClient) -> None:
    plain = client.get("/images/grey/1/5.png").content
    assert client.get("/images/grey/1/5.png?truncation=1.0&scale=1").content == plain
    answer = client.post("/generate?n=1&seed=5&truncation=1&scale=1&columns=1&padding=9").json()
    assert answer["images"][0]["url"] == "/images/grey/1/5.png"


ABOVE = "a number above 0 and at most 2"
BAD = [
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


@pytest.mark.parametrize(("name", "value", "allowed"), BAD)
def test_what_is_not_allowed_is_named(
    client: TestClient, name: str, value: str, allowed: str
) -> None:
    alone = [] if name == "padding" else ["/images/grey/1/5.png"]
    for path in [*SHEETS, *alone]:
        if path == "/arithmetic":
            continue
        answer = asked(client, path, **{name: value})
        assert answer.status_code == 422
        (problem,) = answer.json()["errors"]
        assert problem == {"parameter": name, "in": "query", "value": value, "allowed": allowed}


@pytest.mark.parametrize(
    ("name", "value"),
    [("truncation", 0), ("truncation", "1"), ("scale", 9), ("scale", True), ("padding", 65)],
)
def test_nor_in_a_body(client: TestClient, name: str, value: object) -> None:
    (problem,) = asked(client, "/arithmetic", **{name: value}).json()["errors"]
    assert (problem["parameter"], problem["in"], problem["value"]) == (name, "body", value)


@pytest.mark.parametrize(
    "path",
    ["/images/grey/1/5.png", "/grid", "/variations?seed=5", "/arithmetic"],
)
def test_columns_are_only_told_where_there_are_no_rows(client: TestClient, path: str) -> None:
    (problem,) = asked(client, path, columns=2).json()["errors"]
    assert problem["parameter"] == "columns"
    assert problem["allowed"].startswith("left out: the parameters here are")
