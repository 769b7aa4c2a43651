"""Edits over HTTP, with generators whose pixels are their latents."""

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
from PIL import Image as Pictures

from app.latent import arithmetic, interpolation, sampling
from app.latent.sampling import Latents
from app.main import create_app
from app.settings import Settings
from tests.painting import EFFECT, NAMES, PRIORS, SHAPES, VECTORS, WIDTH, publish, tiles

Decode = Callable[[bytes], NDArray[np.uint8]]

PNG, ZIP, JSON = "image/png", "application/zip", "application/json"
EDIT = {"glasses": 2, "beard": -1.5}
TEXT = "beard:-1.5,glasses:2"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A server with a grey and a colour generator that have attributes, and a plain one."""
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


def unedited(model: str, seeds: list[int]) -> Latents:
    return sampling.from_seeds(seeds, WIDTH, PRIORS[model])


def expected_images(model: str, z: Latents, strengths: dict[str, float]) -> NDArray[np.uint8]:
    """Return the images of edited latents: ``(n, height, width, channels)``."""
    moved = z + sum(strength * VECTORS[name] for name, strength in sorted(strengths.items()))
    painted = np.clip(moved.astype(np.float32) * 16 + 128, 0, 255).astype(np.uint8)
    return painted.reshape(-1, *SHAPES[model])


def generate(client: TestClient, query: str, strengths: dict[str, float]) -> list[dict[str, Any]]:
    response = client.post(f"/generate?{query}", json={"edit": strengths})
    assert response.status_code == 200, response.text
    images: list[dict[str, Any]] = response.json()["images"]
    return images


@pytest.mark.parametrize(
    "strengths",
    [{}, {"beard": 1}, EDIT, {"glasses": 5, "beard": -5}, dict.fromkeys(NAMES[:16], -0.3)],
)
def test_an_edit_adds_strengths_times_vectors_to_the_latents(
    client: TestClient, decode: Decode, model: str, strengths: dict[str, float]
) -> None:
    images = generate(client, f"model={model}&n=5&seed=42", strengths)
    assert [image["seed"] for image in images] == [42, 43, 44, 45, 46]
    found = [decode(base64.b64decode(image["png"])).reshape(SHAPES[model]) for image in images]
    expected = expected_images(model, unedited(model, [42, 43, 44, 45, 46]), strengths)
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(expected)) > 20


@pytest.mark.parametrize("strength", [2, 0.1 + 0.2, -1e-7])
def test_the_url_of_an_edited_image_returns_the_same_file(
    client: TestClient, model: str, strength: float
) -> None:
    strengths = {"glasses": strength, "beard": -1.5}
    for image in generate(client, f"model={model}&n=3", strengths):
        again = client.get(image["url"])
        assert again.content == base64.b64decode(image["png"])
        assert again.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert again.headers["X-Seed"] == str(image["seed"])


def test_the_url_is_the_same_for_equal_edits(client: TestClient) -> None:
    for strengths in (EDIT, {"beard": -1.50, "x_3": 0, "glasses": 2.0}):
        (image,) = generate(client, "n=1&seed=42", strengths)
        assert image["url"] == f"http://testserver/images/grey/1/42.png?edit={TEXT}"
    expected = client.get(image["url"]).content
    for query in (
        "glasses:2.0,beard:-1.5",
        "glasses%3A2%2Cbeard%3A-1.5",
        "beard:-1.5&edit=glasses:2",
    ):
        assert client.get(f"/images/grey/1/42.png?edit={query}").content == expected


def test_sheets_and_archives_are_edited_too(client: TestClient, decode: Decode, model: str) -> None:
    path, body = f"/generate?model={model}&n=4&seed=7", {"edit": EDIT}
    sheet = client.post(path, json=body, headers={"Accept": PNG})
    expected = expected_images(model, unedited(model, [7, 8, 9, 10]), EDIT)
    np.testing.assert_array_equal(tiles(decode(sheet.content), model), expected)
    response = client.post(path, json=body, headers={"Accept": ZIP})
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    images = generate(client, f"model={model}&n=4&seed=7", EDIT)
    assert files == {f"{one['seed']}.png": base64.b64decode(one["png"]) for one in images}


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"edit": {}}', b'{"edit": {"glasses": 0, "beard": -0.0}}']
)
def test_an_empty_edit_changes_nothing(client: TestClient, model: str, content: bytes) -> None:
    path = f"/generate?model={model}&n=3&seed=5"
    plain = client.post(path).json()
    assert plain["images"][0]["url"] == f"http://testserver/images/{model}/1/5.png"
    assert client.post(path, content=content, headers={"Content-Type": JSON}).json() == plain
    image = client.get(f"/images/{model}/1/5.png").content
    assert image == base64.b64decode(plain["images"][0]["png"])
    assert client.get(f"/images/{model}/1/5.png?edit=glasses:0,beard:-0.0").content == image


def test_a_file_records_its_edit(client: TestClient) -> None:
    path = f"/interpolate?from=1&to=2&edit={TEXT}"
    texts = {
        f"/images/grey/1/42.png?edit={TEXT}": {"model": "grey/1", "seed": "42", "edit": TEXT},
        path: {"model": "grey/1", "edit": TEXT},
    }
    for url, text in texts.items():
        with Pictures.open(io.BytesIO(client.get(url).content)) as image:
            assert image.info == text
    frame = client.get(path, headers={"Accept": JSON}).json()["frames"][0]
    with Pictures.open(io.BytesIO(base64.b64decode(frame["png"]))) as image:
        assert image.info["edit"] == TEXT


def test_every_frame_of_a_path_and_every_image_of_a_sheet_is_edited(
    client: TestClient, decode: Decode, model: str
) -> None:
    z = [unedited(model, seeds) for seeds in ([3, 17, 99], [1, 2, 3, 4], [5, 6, 7, 8, 9, 10])]
    (centre,) = unedited(model, [42])
    queries = {
        "/interpolate?seeds=3,17,99&steps=4": interpolation.path(z[0], 4),
        "/grid?corners=1,2,3,4&rows=3&cols=4": interpolation.plane(
            z[1], 3, 4, interpolation.METHOD_BY_PRIOR[PRIORS[model]]
        ),
        "/grid?rows=2&cols=3&seed=5": z[2],
        "/variations?seed=42&radius=1": arithmetic.Neighbourhood(42, 1, 3, 3).latents_around(
            centre
        ),
    }
    for query, rows in queries.items():
        response = client.get(f"{query}&model={model}&edit={TEXT}")
        found = tiles(decode(response.content), model)
        np.testing.assert_array_equal(found, expected_images(model, rows, EDIT), query)


def test_a_sum_of_latents_is_edited_once(client: TestClient, decode: Decode, model: str) -> None:
    body = {"model": model, "plus": [[1, 2], [3]], "minus": [[4], [5]], "edit": EDIT}
    response = client.post("/arithmetic", json={**body, "neighbours": 1})
    groups = [unedited(model, seeds) for seeds in ([1, 2], [3], [4], [5])]
    total = arithmetic.sum_of_means(groups[:2], groups[2:])
    found = tiles(decode(response.content), model)
    np.testing.assert_array_equal(found, expected_images(model, total, EDIT))


def test_models_list_their_attributes(client: TestClient) -> None:
    for model in client.get("/models").json()["models"]:
        (version,) = model["versions"]
        directions = version["card"].get("directions")
        if model["name"] == "plain":
            assert (version["attributes"], directions) == ({}, None)
            continue
        assert list(version["attributes"]) == NAMES
        assert version["attributes"]["beard"] == EFFECT
        assert version["attributes"]["x_3"] == {"gained": None, "kept": None}
        assert directions["protocol"] == "random"
        assert directions["attributes"]["beard"]["vector"] == VECTORS["beard"].tolist()


LISTED = "one of beard, glasses, x_0, x_1, x_10, x_11"
NOTHING = "left out: plain/1 has no attributes to edit"
STRENGTH = "a number from -5 to 5"
OBJECT = f"a JSON object of at most 16 values, each {STRENGTH}"
SEVENTEEN = dict.fromkeys(NAMES, 1)


def refused(
    client: TestClient, path: str, body: object = None, method: str = "POST"
) -> dict[str, Any]:
    content = None if body is None else json.dumps(body)
    response = client.request(method, path, content=content, headers={"Content-Type": JSON})
    assert response.status_code == 422
    assert response.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    for error in problem["errors"]:
        assert f"{error['parameter']} is " in problem["detail"]
        assert error["allowed"] in problem["detail"]
    return problem


@pytest.mark.parametrize(
    ("body", "parameter", "value", "allowed"),
    [
        ({"edit": {"hair": 1}}, "edit", "hair", LISTED),
        ({"edit": {"glasses": 1, "hair": 0}}, "edit", "hair", LISTED),
        ({"edit": {"": 1}}, "edit", "", LISTED),
        ({"edit": {"\ud800": 1}}, "edit", "'\\ud800'", LISTED),
        ({"edit": {"glasses": 5.01}}, "edit.glasses", 5.01, STRENGTH),
        ({"edit": {"glasses": -6}}, "edit.glasses", -6, STRENGTH),
        ({"edit": {"glasses": "2"}}, "edit.glasses", "2", STRENGTH),
        ({"edit": {"glasses": True}}, "edit.glasses", True, STRENGTH),
        ({"edit": {"glasses": float("nan")}}, "edit.glasses", "nan", STRENGTH),
        ({"edit": {"glasses": float("inf")}}, "edit.glasses", "inf", STRENGTH),
        ({"edit": {"glasses": None}}, "edit.glasses", None, STRENGTH),
        ({"edit": SEVENTEEN}, "edit", SEVENTEEN, OBJECT),
        ({"edit": []}, "edit", [], OBJECT),
        ({"edit": TEXT}, "edit", TEXT, OBJECT),
        ({"edit": None}, "edit", None, OBJECT),
        ({"edits": EDIT}, "edits", EDIT, "left out: it is not one of the parameters "),
        ({"seed": "1"}, "seed", "1", "an integer from -1 to 4294967295"),
        ([], "body", [], "a JSON object, sent as application/json"),
    ],
)
def test_an_error_in_the_body_names_parameter_value_and_what_is_allowed(
    client: TestClient, body: object, parameter: str, value: object, allowed: str
) -> None:
    (error,) = refused(client, "/generate?n=1", body)["errors"]
    assert (error["parameter"], error["in"], error["value"]) == (parameter, "body", value)
    assert error["allowed"].startswith(allowed)


STEPS = "1 to 16 values separated by commas, each text like glasses:2, of the form "
STEPS += "name:strength with a strength from -5 to 5"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "glasses",
        "glasses:",
        ":2",
        "glasses:x",
        "glasses:2,",
        "glasses:5.1",
        "glasses:-6",
        "glasses:nan",
        "glasses:1e1",
        "glasses:1_0",
        "Glasses:1",
        "glasses:+1",
        "glasses: 1",
        "glasses:1:2",
        "glasses:2,glasses:2",
        "glasses:2\n",
        ",".join(f"{name}:1" for name in NAMES),
    ],
)
def test_an_error_in_the_query_names_parameter_value_and_what_is_allowed(
    client: TestClient, text: str
) -> None:
    query = str(client.build_request("GET", "/", params={"edit": text}).url.query, "ascii")
    for path in (f"/images/grey/1/1.png?{query}", f"/grid?{query}"):
        (error,) = refused(client, path, method="GET")["errors"]
        assert (error["parameter"], error["in"], error["value"]) == ("edit", "query", text)
        assert error["allowed"].startswith(STEPS)


@pytest.mark.parametrize(
    "path",
    ["/images/{model}/1/1.png?", "/interpolate?from=1&to=2&", "/grid?", "/variations?seed=1&"],
)
def test_an_attribute_that_a_model_does_not_have_is_refused_by_every_route(
    client: TestClient, path: str
) -> None:
    for name, allowed in (("plain", NOTHING), ("grey", LISTED)):
        own = path.format(model=name) + ("" if "{model}" in path else f"model={name}&")
        problem = refused(client, f"{own}edit=hair:1,hat:0", method="GET")
        for error, value in zip(problem["errors"], ("hair", "hat"), strict=True):
            assert (error["parameter"], error["in"], error["value"]) == ("edit", "query", value)
            assert error["allowed"].startswith(allowed)
    for post, body in (
        ("/generate?model=plain", {}),
        ("/arithmetic", {"model": "plain", "plus": [[1]]}),
    ):
        (error,) = refused(client, post, {**body, "edit": {"glasses": 1}})["errors"]
        assert error == {"parameter": "edit", "in": "body", "value": "glasses", "allowed": NOTHING}
        assert client.post(post, json={**body, "edit": {}}).is_success


def test_an_attribute_that_occurs_twice_is_refused(client: TestClient) -> None:
    query = "/images/grey/1/1.png?edit=beard:1,beard:2"
    (error,) = refused(client, query, method="GET")["errors"]
    assert error["value"] == "beard:1,beard:2"
    assert error["allowed"].endswith("; an edit names every attribute once")


def test_a_misspelt_parameter_of_an_image_is_refused(client: TestClient) -> None:
    (error,) = refused(client, f"/images/grey/1/1.png?edits={TEXT}", method="GET")["errors"]
    allowed = "left out: it is not one of the parameters edit, attributes, class, truncation, scale"
    assert error == {"parameter": "edits", "in": "query", "value": TEXT, "allowed": allowed}


def test_an_edit_in_the_query_of_generate_is_that_in_the_body(client: TestClient) -> None:
    by_query = client.post(f"/generate?n=2&seed=5&edit={TEXT}").json()
    body = {"edit": {"beard": -1.5, "glasses": 2}}
    assert by_query == client.post("/generate?n=2&seed=5", json=body).json()
