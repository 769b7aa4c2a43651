"""``GET /variations`` and ``POST /arithmetic``, with a shipped model."""

import base64
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from app.latent.sampling import SEEDS
from tests.sheets import tiles

Pixels = NDArray[np.uint8]
Decode = Callable[[bytes], Pixels]

PNG, ZIP, JSON = "image/png", "application/zip", "application/json"
SUM = {"plus": [[3, 4, 5], [6, 7, 8]], "minus": [[0, 1, 2]]}


def accepting(media_type: str) -> dict[str, str]:
    return {"Accept": media_type}


def pngs(images: Sequence[dict[str, Any]]) -> list[bytes]:
    return [base64.b64decode(image["png"]) for image in images]


@pytest.mark.parametrize(
    ("rows", "cols", "place"),
    [(3, 3, (1, 1)), (1, 1, (0, 0)), (5, 3, (2, 1)), (2, 2, (0, 0)), (4, 1, (1, 0))],
)
def test_the_image_of_the_seed_is_in_the_middle(
    client: TestClient,
    decode: Decode,
    image: Callable[[int], Pixels],
    rows: int,
    cols: int,
    place: tuple[int, int],
) -> None:
    path = f"/variations?seed=42&rows={rows}&cols={cols}&radius=1"
    response = client.get(path)
    assert (response.headers["X-Seed"], response.headers["X-Model"]) == ("42", "fashion-mnist/2")
    assert response.headers["Content-Type"] == PNG
    sheet = tiles(decode(response.content))
    assert sheet.shape[:2] == (rows, cols)
    np.testing.assert_array_equal(sheet[place], image(42))
    assert len({tile.tobytes() for row in sheet for tile in row}) == rows * cols
    assert client.get(path).content == response.content


def test_by_default_nine_variations_of_radius_a_quarter(client: TestClient) -> None:
    expected = client.get("/variations?seed=42&rows=3&cols=3&radius=0.25").content
    assert client.get("/variations?seed=42").content == expected


def test_a_larger_radius_gives_more_different_neighbours(
    client: TestClient, decode: Decode, image: Callable[[int], Pixels]
) -> None:
    differences = []
    for radius in (0, 0.25, 2):
        response = client.get(f"/variations?seed=42&radius={radius}")
        difference = np.abs(tiles(decode(response.content)).astype(int) - image(42))
        differences.append(difference.mean())
    assert differences[0] == 0 < differences[1] < differences[2]


@pytest.fixture(params=["variations", "arithmetic"])
def send(request: pytest.FixtureRequest, client: TestClient) -> Callable[[str], httpx.Response]:
    """Requests nine images in a media type from either endpoint."""
    if request.param == "variations":
        return lambda accept: client.get("/variations?seed=3", headers=accepting(accept))
    return lambda accept: client.post("/arithmetic", json=SUM, headers=accepting(accept))


def test_json_has_the_images_of_the_sheet_and_its_layout(
    send: Callable[[str], httpx.Response], decode: Decode
) -> None:
    sheet = tiles(decode(send(PNG).content)).reshape(9, 28, 28)
    response = send(JSON)
    assert response.headers["X-Seed"] == "3"
    assert "Accept" in response.headers["Vary"].split(", ")
    body = response.json()
    np.testing.assert_array_equal([decode(png) for png in pngs(body.pop("images"))], sheet)
    assert body == {
        "model": "fashion-mnist",
        "version": 2,
        "seed": 3,
        "radius": 0.25,
        "rows": 3,
        "cols": 3,
        "middle": 4,
    }


def test_zip_has_a_file_for_every_image_in_order(send: Callable[[str], httpx.Response]) -> None:
    response = send(ZIP)
    assert 'filename="fashion-mnist-2-3.zip"' in response.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"00{k}.png" for k in range(9)]
        files = [archive.read(name) for name in archive.namelist()]
    assert files == pngs(send(JSON).json()["images"])
    assert send(ZIP).content == response.content


def result(client: TestClient, body: dict[str, Any]) -> bytes:
    """Return the image of a sum without its neighbours."""
    response = client.post("/arithmetic", json={**body, "neighbours": 1})
    assert response.status_code == 200, response.text
    return response.content


def test_the_sum_of_one_seed_is_its_image_and_its_variations(
    client: TestClient, decode: Decode, image: Callable[[int], Pixels]
) -> None:
    sums = [{"plus": [[42]]}, {"plus": [[42, 42, 42]]}, {"plus": [[42], [7]], "minus": [[7]]}]
    for body in sums:
        np.testing.assert_array_equal(decode(result(client, body)), image(42))
    variations = client.get("/variations?seed=42").content
    assert client.post("/arithmetic", json={"plus": [[42]]}).content == variations


def test_the_result_is_in_the_middle_and_always_the_same(
    client: TestClient, decode: Decode
) -> None:
    response = client.post("/arithmetic", json=SUM)
    assert (response.headers["X-Seed"], response.headers["X-Model"]) == ("3", "fashion-mnist/2")
    assert response.headers["Content-Type"] == PNG
    sheet = tiles(decode(response.content))
    assert sheet.shape[:2] == (3, 3)
    np.testing.assert_array_equal(sheet[1, 1], decode(result(client, SUM)))
    assert len({tile.tobytes() for row in sheet for tile in row}) == 9
    named = {"neighbours": 9, "radius": 0.25, "model": "fashion-mnist", "version": 2}
    assert client.post("/arithmetic", json={**SUM, **named}).content == response.content


def test_the_order_of_groups_does_not_matter_but_their_sign_does(client: TestClient) -> None:
    reordered = {"plus": SUM["plus"][::-1], "minus": SUM["minus"]}
    swapped = {"plus": [SUM["minus"][0], SUM["plus"][1]], "minus": [SUM["plus"][0]]}
    assert result(client, reordered) == result(client, SUM) != result(client, swapped)


@pytest.mark.parametrize("side", [1, 3, 5, 7, 9, 11, 13, 15])
def test_the_sheet_is_square(client: TestClient, decode: Decode, side: int) -> None:
    response = client.post("/arithmetic", json={**SUM, "neighbours": side**2})
    assert tiles(decode(response.content)).shape[:2] == (side, side)


def test_the_largest_valid_body_is_accepted(client: TestClient) -> None:
    group = list(range(SEEDS - 16, SEEDS))
    body = {"plus": [group] * 8, "minus": [group] * 8, "neighbours": 225, "radius": 2}
    assert client.post("/arithmetic", json=body).status_code == 200
    assert client.post("/arithmetic", json={"plus": [[1]], "minus": []}).status_code == 200


def test_an_integer_may_be_written_as_a_float(client: TestClient) -> None:
    exact = {"plus": [[3, 4], [5]], "version": 2, "neighbours": 9, "scale": 2}
    floats = {"plus": [[3.0, 4e0], [5.0]], "version": 2.0, "neighbours": 9.0, "scale": 20e-1}
    responses = [client.post("/arithmetic", json=body) for body in (exact, floats)]
    assert [response.status_code for response in responses] == [200, 200]
    assert responses[0].content == responses[1].content


SEED = f"an integer from 0 to {SEEDS - 1}"
GROUP = f"a list of 1 to 16 values, each {SEED}"
PLUS, MINUS = (f"a list of {few} to 8 values, each {GROUP}" for few in (1, 0))
SQUARES = "one of 1, 9, 25, 49, 81, 121, 169, 225"
INVALID = [
    ({}, "plus", None, PLUS),
    ({"plus": []}, "plus", [], PLUS),
    ({"plus": {}}, "plus", {}, PLUS),
    ({"plus": [[1]] * 9}, "plus", [[1]] * 9, PLUS),
    ({"plus": [[]]}, "plus.0", [], GROUP),
    ({"plus": [[1], list(range(17))]}, "plus.1", list(range(17)), GROUP),
    ({"plus": [3]}, "plus.0", 3, GROUP),
    ({"plus": [[1, -1]]}, "plus.0.1", -1, SEED),
    ({"plus": [[SEEDS]]}, "plus.0.0", SEEDS, SEED),
    ({"plus": [["3"]]}, "plus.0.0", "3", SEED),
    ({"plus": [[True]]}, "plus.0.0", True, SEED),
    ({"plus": [[1.5]]}, "plus.0.0", 1.5, SEED),
    ({"plus": [[1]], "minus": [[1]] * 9}, "minus", [[1]] * 9, MINUS),
    ({"plus": [[1]], "minus": [[1], [2, "x"]]}, "minus.1.1", "x", SEED),
    ({"plus": [[1]], "neighbours": 8}, "neighbours", 8, SQUARES),
    ({"plus": [[1]], "neighbours": 16}, "neighbours", 16, SQUARES),
    ({"plus": [[1]], "neighbours": 289}, "neighbours", 289, SQUARES),
    ({"plus": [[1]], "neighbours": True}, "neighbours", True, SQUARES),
    ({"plus": [[1]], "radius": 2.01}, "radius", 2.01, "a number from 0 to 2"),
    ({"plus": [[1]], "radius": "1"}, "radius", "1", "a number from 0 to 2"),
    ({"plus": [[1]], "radius": float("nan")}, "radius", "nan", "a number from 0 to 2"),
    ({"plus": [[1]], "radius": float("inf")}, "radius", "inf", "a number from 0 to 2"),
    ({"plus": [[1]], "version": 0}, "version", 0, "an integer from 1 to 2147483647"),
    (
        {"plus": [[1]], "model": "../x"},
        "model",
        "../x",
        "text like fashion-mnist, of the form ^[a-z0-9]",
    ),
    (
        {"plus": [[1]], "model": "\ud800"},
        "model",
        "'\\ud800'",
        "text like fashion-mnist, of the form ^[a-z0-9]",
    ),
    (
        {"plus": [[1]], "times": 2},
        "times",
        2,
        "left out: it is not one of the parameters model, version",
    ),
    ([SUM], "body", [SUM], "a JSON object, sent as application/json"),
]


@pytest.mark.parametrize(("body", "parameter", "value", "allowed"), INVALID)
def test_an_error_in_the_body_names_parameter_value_and_what_is_allowed(
    client: TestClient, body: object, parameter: str, value: object, allowed: str
) -> None:
    headers = {"Content-Type": JSON}
    response = client.post("/arithmetic", content=json.dumps(body), headers=headers)
    assert response.status_code == 422
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    (error,) = problem["errors"]
    assert (error["parameter"], error["in"]) == (parameter, "body")
    assert error["value"] == value
    assert error["allowed"].startswith(allowed)
    assert f"{parameter} is " in problem["detail"]
    assert allowed in problem["detail"]
    assert problem["instance"] == "/arithmetic"


def test_at_most_16_errors_are_listed(client: TestClient) -> None:
    problem = client.post("/arithmetic", json={"plus": [[-1, 1, -2]]}).json()
    assert [error["parameter"] for error in problem["errors"]] == ["plus.0.0", "plus.0.2"]
    unknown = {f"a{k}": k for k in range(1000)}
    assert len(client.post("/arithmetic", json=unknown).json()["errors"]) == 16


@pytest.mark.parametrize(
    ("content", "media_type", "value"),
    [
        (b"", JSON, None),
        (b"{", JSON, "{"),
        (b'{"plus": [[1],]}', JSON, '{"plus": [[1],]}'),
        (b'{"plus": [[1]]}', "application/x-www-form-urlencoded", '{"plus": [[1]]}'),
        (b"\x89PNG", PNG, "�PNG"),
    ],
    ids=["empty", "incomplete", "trailing comma", "curl without a header", "an image"],
)
def test_a_body_that_is_not_a_json_object_is_refused(
    client: TestClient, content: bytes, media_type: str, value: str | None
) -> None:
    response = client.post("/arithmetic", content=content, headers={"Content-Type": media_type})
    assert response.status_code == 422
    allowed = "a JSON object, sent as application/json"
    error = {"parameter": "body", "in": "body", "value": value, "allowed": allowed}
    assert response.json()["errors"] == [error]


@pytest.mark.parametrize(
    "content",
    [b"\xff", b'{"plus": ' + b"[" * 60_000, b'{"plus": [[' + b"9" * 5000 + b"]]}"],
    ids=["not UTF-8", "deep nesting", "huge number"],
)
@pytest.mark.parametrize("path", ["/arithmetic", "/generate"])
def test_a_body_that_cannot_be_parsed_is_a_problem(
    client: TestClient, path: str, content: bytes
) -> None:
    response = client.post(path, content=content, headers={"Content-Type": JSON})
    assert response.status_code == 422
    allowed = "a JSON object, sent as application/json"
    assert response.json()["detail"] == f"body cannot be read but must be {allowed}"
    error = {"parameter": "body", "in": "body", "value": None, "allowed": allowed}
    assert response.json()["errors"] == [error]


def test_a_body_that_is_too_long_is_413(client: TestClient) -> None:
    headers = {"Content-Type": JSON}
    most = 2**16 + 256 * 64 * 32  # of 256 latents
    longest = json.dumps(SUM).encode().ljust(most)
    assert client.post("/arithmetic", content=longest, headers=headers).is_success
    response = client.post("/arithmetic", content=longest + b" ", headers=headers)
    assert response.status_code == 413
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["detail"] == f"the body is longer than {most} bytes"


@pytest.mark.parametrize("depth", [10, 300, 450])
def test_a_deeply_nested_list_is_abbreviated(client: TestClient, depth: int) -> None:
    content = '{"plus": ' + "[" * depth + "]" * depth + "}"
    response = client.post("/arithmetic", content=content, headers={"Content-Type": JSON})
    assert response.status_code == 422
    assert response.json()["errors"][0]["parameter"] == "plus.0.0"
    assert len(response.content) < 1000


def test_sums_in_the_query_and_unknown_models_are_refused(client: TestClient) -> None:
    (error,) = client.post("/arithmetic?plus=1", json=SUM).json()["errors"]
    assert (error["parameter"], error["in"]) == ("plus", "query")
    assert error["allowed"] == "sent in the body, not in the query"
    for name, value, allowed in (
        ("model", "cats", "one of digits, faces, fashion-mnist"),
        ("version", 99, "one of 2"),
    ):
        response = client.post("/arithmetic", json={**SUM, name: value})
        assert response.status_code == 404
        (error,) = response.json()["errors"]
        assert (error["parameter"], error["in"], error["value"]) == (name, "body", value)
        assert allowed in error["allowed"]


def test_an_unacceptable_media_type_is_406(client: TestClient) -> None:
    response = client.post("/arithmetic", json=SUM, headers=accepting("text/html"))
    assert response.status_code == 406
    allowed = "one of image/png, image/webp, application/json, application/zip"
    assert response.json()["errors"][0]["allowed"] == allowed
