"""Seeds and latents in the body of ``POST /generate``; the generators' pixels are their latents."""

import base64
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from app.latent import sampling
from app.main import create_app
from app.middleware.body_limit import LONGEST
from app.settings import Settings
from tests.painting import SHAPES, VECTORS, WIDTH, publish

Decode = Callable[[bytes], NDArray[np.uint8]]
PNG, ZIP, JSON = "image/png", "application/zip", "application/json"
SEEDS = [99, 3, 17, 3]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    models = tmp_path_factory.mktemp("models")
    for name in SHAPES:
        publish(name, models)
    app = create_app(Settings(models=models, default_model="grey", provider="cpu"))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def generate(client: TestClient, query: str = "", accept: str = JSON, **body: Any) -> Any:
    return client.post(f"/generate?{query}", json=body, headers={"Accept": accept})


def images_of(rows: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the images of latents."""
    values = np.clip(rows.astype(np.float32) * 16 + 128, 0, 255).astype(np.uint8)
    return values.reshape(-1, *SHAPES["grey"][:2])


def decoded(response: Any, decode: Decode) -> list[NDArray[np.uint8]]:
    """Decode the images of a JSON response."""
    return [decode(base64.b64decode(image["png"])) for image in response.json()["images"]]


def test_images_are_in_the_order_of_the_seeds(client: TestClient, decode: Decode) -> None:
    response = generate(client, seeds=SEEDS)
    assert [image["seed"] for image in response.json()["images"]] == SEEDS
    assert response.headers["X-Seed"] == "99"
    expected = images_of(sampling.from_seeds(SEEDS, WIDTH))
    np.testing.assert_array_equal(decoded(response, decode), expected)
    for image in response.json()["images"]:
        assert client.get(image["url"]).content == base64.b64decode(image["png"])


def test_a_sheet_has_an_image_for_every_seed(client: TestClient, decode: Decode) -> None:
    sheet = decode(generate(client, "columns=4", PNG, seeds=SEEDS).content)
    images = images_of(sampling.from_seeds(SEEDS, WIDTH))
    np.testing.assert_array_equal(sheet, np.concatenate(list(images), axis=1))
    alone = generate(client, accept=PNG, seeds=[17])
    assert alone.content == client.get("/images/grey/1/17.png").content
    same = generate(client, accept=PNG, seeds=[5, 6, 7, 8]).content
    assert same == client.post("/generate?n=4&seed=5", headers={"Accept": PNG}).content


def test_a_zip_has_a_file_for_every_seed(client: TestClient) -> None:
    content = generate(client, accept=ZIP, seeds=SEEDS).content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["99.png", "3.png", "17.png"]


def test_latents_are_used_as_they_are(client: TestClient, decode: Decode) -> None:
    rows = np.random.default_rng(0).normal(size=(5, WIDTH)) * 3
    response = generate(client, latents=rows.tolist())
    np.testing.assert_array_equal(decoded(response, decode), images_of(rows))
    found = [image["latent"] for image in response.json()["images"]]
    np.testing.assert_array_equal(found, rows.astype(np.float32))
    assert set(response.json()["images"][0]) == {"latent", "width", "height", "png"}
    assert "X-Seed" not in response.headers
    assert response.headers["X-Model"] == "grey/1"


def test_latents_of_seeds_give_the_images_of_seeds(client: TestClient, decode: Decode) -> None:
    rows = sampling.from_seeds(SEEDS, WIDTH).tolist()
    for edit in ({}, {"glasses": 2}):
        by_seeds, by_rows = (
            decoded(generate(client, "scale=2", edit=edit, **one), decode)
            for one in ({"seeds": SEEDS}, {"latents": rows})
        )
        np.testing.assert_array_equal(by_seeds, by_rows)
    moved = np.array(rows) + 2 * VECTORS["glasses"]
    np.testing.assert_array_equal(by_rows[0][::2, ::2], images_of(moved)[0])


def test_files_of_latents_are_numbered_and_record_no_seed(client: TestClient) -> None:
    response = generate(client, accept=ZIP, latents=[[0] * WIDTH, [1.5] * WIDTH])
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.namelist() == ["000.png", "001.png"]
        assert b"seed" not in archive.read("000.png")
    assert 'filename="grey-1-latents.zip"' in response.headers["Content-Disposition"]
    assert b"seed" not in generate(client, accept=PNG, latents=[[0] * WIDTH]).content


def test_the_longest_valid_body_is_read_and_a_longer_one_is_refused(client: TestClient) -> None:
    number = -1.2345678901234567e-123
    longest = json.dumps({"latents": [[number] * WIDTH] * 256})
    assert len(longest) > LONGEST
    headers = {"Content-Type": JSON}
    response = client.post("/generate", content=longest, headers=headers)
    assert len(response.json()["images"]) == 256
    bound = LONGEST + 256 * WIDTH * 32
    bounds = {"/generate": bound, "/arithmetic": bound, "/v2/repository/index": LONGEST}
    for path, most in bounds.items():
        refused = client.post(path, content=longest.ljust(most + 1), headers=headers)
        assert refused.status_code == 413
        assert str(most) in refused.text


EITHER = {"model": "grey", "version": 1, "n": 3, "seed": 42, "scale": 2, "padding": 1}
EITHER |= {"columns": 2, "truncation": 0.5}


@pytest.mark.parametrize("accept", [PNG, JSON, ZIP])
def test_parameters_in_the_body_do_the_same_as_in_the_query(
    client: TestClient, accept: str
) -> None:
    headers = {"Accept": accept}
    by_query = client.post("/generate", params=EITHER, headers=headers)
    by_body = client.post("/generate", json=EITHER, headers=headers)
    assert by_body.status_code == 200
    assert by_body.content == by_query.content
    for name in EITHER:
        rest = {other: value for other, value in EITHER.items() if other != name}
        mixed = client.post("/generate", params={name: EITHER[name]}, json=rest, headers=headers)
        assert mixed.content == by_query.content


@pytest.mark.parametrize("name", EITHER)
def test_a_parameter_in_query_and_body_is_refused(client: TestClient, name: str) -> None:
    one = {name: EITHER[name]}
    response = client.post("/generate", params=one, json=one)
    assert response.status_code == 422
    (problem,) = response.json()["errors"]
    assert (problem["parameter"], problem["in"]) == (name, "query")
    assert problem["value"] == EITHER[name]
    assert problem["allowed"].endswith("in the query or in the body, not in both")


def test_a_body_without_a_seed_or_with_minus_one_has_a_random_seed(client: TestClient) -> None:
    bodies: list[dict[str, int]] = [{}, {"seed": -1}, {"seed": -1}]
    seeds = {generate(client, n=1, **body).headers["X-Seed"] for body in bodies}
    assert len(seeds) == 3


@pytest.mark.parametrize(
    ("query", "body", "status", "places"),
    [
        ("", {"n": 257}, 422, {"n": "body"}),
        ("", {"n": "4"}, 422, {"n": "body"}),
        ("", {"seed": -2}, 422, {"seed": "body"}),
        ("", {"model": "cats"}, 404, {"model": "body"}),
        ("model=grey", {"version": 9}, 404, {"version": "body"}),
        ("version=9", {"model": "grey"}, 404, {"version": "query"}),
        ("version=9", {"version": None}, 422, {"version": "body"}),
        ("", {"seeds": [1], "seed": 1}, 422, {"seed": "body"}),
        ("seed=1", {"seeds": [1]}, 422, {"seed": "query"}),
        ("", {"latents": [[0] * WIDTH], "truncation": 0.5}, 422, {"truncation": "body"}),
    ],
)
def test_an_error_names_the_place_of_each_parameter(
    client: TestClient, query: str, body: dict[str, Any], status: int, places: dict[str, str]
) -> None:
    response = generate(client, query, **body)
    assert response.status_code == status
    found = {one["parameter"]: one["in"] for one in response.json()["errors"]}
    assert places.items() <= found.items()
    assert all(place == ("body" if name in body else "query") for name, place in found.items())


NUMBER = "a number from -100 to 100"
LEFT_OUT = "left out where {} is given"
INVALID = [
    ("", {"seeds": []}, "seeds", "a list of 1 to 256 values, each an integer"),
    ("", {"seeds": [1] * 257}, "seeds", "a list of 1 to 256 values, each an integer"),
    ("", {"seeds": [1, -1]}, "seeds.1", "an integer from 0 to 4294967295"),
    ("", {"seeds": ["1"]}, "seeds.0", "an integer from 0 to 4294967295"),
    ("", {"latents": []}, "latents", "a list of 1 to 256 values, each a list of 1 to 4096"),
    ("", {"latents": [[0.0] * WIDTH] * 257}, "latents", "a list of 1 to 256 values"),
    ("", {"latents": [[]]}, "latents.0", "a list of 1 to 4096 values, each a number"),
    ("", {"latents": [[0] * WIDTH, [100.5] * WIDTH]}, "latents.1.0", NUMBER),
    ("", {"latents": [[0] * WIDTH, ["0"] * WIDTH]}, "latents.1.0", NUMBER),
    ("", {"latents": [[None] * WIDTH]}, "latents.0.0", NUMBER),
    ("", {"latents": [[0] * WIDTH, [0] * 3]}, "latents.1", f"a list of {WIDTH} numbers"),
    ("", {"latents": [[0] * WIDTH], "seeds": [1]}, "seeds", LEFT_OUT.format("latents")),
    ("n=3", {"latents": [[0] * WIDTH]}, "n", LEFT_OUT.format("latents")),
    ("truncation=0.5", {"latents": [[0] * WIDTH]}, "truncation", LEFT_OUT.format("latents")),
    ("n=1", {"seeds": [1]}, "n", LEFT_OUT.format("seeds")),
    ("seed=1", {"seeds": [1]}, "seed", LEFT_OUT.format("seeds")),
]


@pytest.mark.parametrize(("query", "body", "parameter", "allowed"), INVALID)
def test_an_error_names_the_parameter_and_what_is_allowed(
    client: TestClient, query: str, body: dict[str, Any], parameter: str, allowed: str
) -> None:
    response = generate(client, query, **body)
    assert response.status_code == 422
    (problem,) = response.json()["errors"]
    assert problem["parameter"] == parameter
    assert problem["allowed"].startswith(allowed)
    assert problem["in"] == ("query" if query else "body")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused(client: TestClient, number: str) -> None:
    content = f'{{"latents": [[{",".join([number] * WIDTH)}]]}}'
    response = client.post("/generate", content=content, headers={"Content-Type": JSON})
    assert response.status_code == 422
    assert response.json()["errors"][0]["allowed"] == NUMBER


def test_the_setting_max_images_bounds_seeds_and_latents(tmp_path: Any) -> None:
    publish("grey", tmp_path)
    app = create_app(Settings(models=tmp_path, provider="cpu", max_images=16))
    with TestClient(app) as client:
        for body in ({"seeds": [1] * 17}, {"latents": [[0] * WIDTH] * 17}):
            (problem,) = generate(client, **body).json()["errors"]
            assert problem["allowed"] == "at most 16 images in all"
