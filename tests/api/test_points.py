"""Bodies in which a point is a seed or a latent, for generators whose pixels are their latents."""

import base64
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from app.latent import interpolation, sampling
from app.latent.sampling import SEEDS, Latents
from app.main import create_app
from app.settings import Settings
from tests import conditional, encoding, painting
from tests.files import encoded

Pixels = NDArray[np.uint8]
Decode = Callable[[bytes], Pixels]
WIDTH = painting.WIDTH
PNG, JSON, ZIP = "image/png", "application/json", "application/zip"
LATENT = [0.5, -1.0, *[0.25] * (WIDTH - 2)]
OTHER = [-0.5, 2.0, *[0.0] * (WIDTH - 2)]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    models = tmp_path_factory.mktemp("models")
    encoding.publish(models)
    settings = Settings(models=models, default_model="grey", provider="cpu", max_images=64)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


def latents(*seeds: int) -> Latents:
    return sampling.from_seeds(seeds, WIDTH)


def post(client: TestClient, path: str, accept: str = PNG, /, **body: Any) -> httpx.Response:
    response = client.post(path, json=body, headers={"Accept": accept})
    assert response.status_code == 200, response.text
    return response


def drawn(rows: Any, model: str = "grey") -> Pixels:
    """The images of latents, computed by hand."""
    values = (128 + 16 * np.asarray(rows, np.float32)).clip(0, 255)
    return values.astype(np.uint8).reshape(-1, *painting.SHAPES[model])


def tiles(response: httpx.Response, decode: Decode) -> Pixels:
    sheet = decode(response.content)
    return painting.tiles(sheet.reshape(*sheet.shape[:2], 1), "grey")


SAME = [
    ("/interpolate?seeds=3,17,99&steps=4", {"points": [3, 17, 99], "steps": 4}),
    (
        "/interpolate?from=1&to=2&loop=true&format=gif",
        {"points": [1, 2], "loop": True, "format": "gif"},
    ),
    (
        "/interpolate?from=1&to=2&easing=ease-in&format=json",
        {"points": [1, 2], "easing": "ease-in", "format": "json"},
    ),
    ("/interpolate?from=1&to=2&format=ndjson", {"points": [1, 2], "format": "ndjson"}),
    (
        "/interpolate?from=1&to=2&method=lerp&format=zip",
        {"points": [1, 2], "method": "lerp", "format": "zip"},
    ),
    (
        "/interpolate?from=1&to=2&columns=3&scale=2&edit=glasses:2&truncation=0.5",
        {"points": [1, 2], "columns": 3, "scale": 2, "edit": {"glasses": 2}, "truncation": 0.5},
    ),
    (
        "/interpolate?seeds=1,2,3&model=shoes&class=boot,sneaker,0",
        {"points": [1, 2, 3], "model": "shoes", "class": "boot,sneaker,0"},
    ),
    (
        "/variations?seed=42&radius=1&rows=2&cols=5&padding=3",
        {"point": 42, "radius": 1, "rows": 2, "cols": 5, "padding": 3},
    ),
    (
        "/variations?seed=42&model=people&attributes=glasses",
        {"point": 42, "model": "people", "attributes": {"glasses": 1}},
    ),
    ("/grid?corners=1,2,3,4", {"corners": [1, 2, 3, 4]}),
    (
        "/grid?corners=1,2,3,4&rows=2&cols=5&model=colour",
        {"corners": [1, 2, 3, 4], "rows": 2, "cols": 5, "model": "colour"},
    ),
    (
        "/grid?seed=5&cols=3&rows=classes&model=shoes",
        {"points": [5, 6, 7], "rows": "classes", "model": "shoes"},
    ),
    (
        "/grid?seed=5&cols=3&rows=classes&model=shoes&class=boot,0",
        {"points": [5, 6, 7], "rows": "classes", "model": "shoes", "class": "boot,0"},
    ),
    (
        "/grid?seed=5&cols=3&rows=attributes&model=people",
        {"points": [5, 6, 7], "rows": "attributes", "model": "people"},
    ),
]


@pytest.mark.parametrize(("url", "body"), SAME, ids=[url for url, _ in SAME])
def test_seeds_in_a_body_give_the_bytes_of_seeds_in_a_query(
    client: TestClient, url: str, body: dict[str, Any]
) -> None:
    expected = client.get(url)
    assert expected.status_code == 200, expected.text
    found = client.post(url.partition("?")[0], json=body)
    assert found.content == expected.content
    for name in ("X-Seed", "X-Model", "X-Class", "X-Attributes", "Content-Type"):
        assert found.headers.get(name) == expected.headers.get(name)


def test_points_row_by_row_are_the_images_of_their_seeds(
    client: TestClient, decode: Decode
) -> None:
    sheet = post(client, "/grid", points=[5, 6, 7, 8, 9, 10], cols=3)
    expected = client.get("/grid?seed=5&rows=2&cols=3").content
    np.testing.assert_array_equal(decode(sheet.content), decode(expected))
    partly = tiles(post(client, "/grid", points=[5, LATENT, 7]), decode)
    assert len(partly) == 4  # four columns
    np.testing.assert_array_equal(partly[:3], drawn([*latents(5), LATENT, *latents(7)]))
    np.testing.assert_array_equal(partly[3], 0)


def test_a_path_leads_through_latents(client: TestClient, decode: Decode) -> None:
    response = post(client, "/interpolate", points=[LATENT, 7, OTHER], steps=5)
    assert response.headers["X-Seed"] == "7"
    stops = np.float32([LATENT, latents(7)[0], OTHER])
    frames = tiles(response, decode)
    np.testing.assert_array_equal(frames, drawn(interpolation.path(stops, 5)))
    given = {"points": [LATENT, 7, OTHER], "steps": 5}
    body = post(client, "/interpolate", JSON, **given).json()
    assert "seeds" not in body
    images = [decode(base64.b64decode(frame["png"])) for frame in body["frames"]]
    np.testing.assert_array_equal(np.stack(images)[..., None], frames)
    lines = post(client, "/interpolate", "application/x-ndjson", **given).text.splitlines()
    assert [json.loads(line)["png"] for line in lines] == [one["png"] for one in body["frames"]]
    for accept in ("image/gif", "image/webp", "image/apng", ZIP):
        assert post(client, "/interpolate", accept, **given).content


def test_without_a_seed_the_response_names_none(client: TestClient) -> None:
    for path, body in (
        ("/interpolate", {"points": [LATENT, OTHER]}),
        ("/variations", {"point": LATENT}),
        ("/grid", {"points": [LATENT]}),
        ("/grid", {"corners": [LATENT] * 4}),
        ("/arithmetic", {"plus": [[LATENT]]}),
    ):
        response = post(client, path, **body)
        assert "X-Seed" not in response.headers
    archive = post(client, "/variations", ZIP, point=LATENT)
    assert 'filename="grey-1-latents.zip"' in archive.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(archive.content)) as file:
        assert len(file.namelist()) == 9
    named = post(client, "/interpolate", ZIP, points=[LATENT, 5])
    assert 'filename="grey-1-5.zip"' in named.headers["Content-Disposition"]


def test_a_latent_is_surrounded_by_its_neighbours(client: TestClient, decode: Decode) -> None:
    images = tiles(post(client, "/variations", point=LATENT, radius=0.5), decode)
    np.testing.assert_array_equal(images[4], drawn([LATENT])[0])
    noise = 0.5 * sampling.noise(0, 8, WIDTH)
    np.testing.assert_array_equal(images[:4], drawn((LATENT + noise[:4]).astype(np.float32)))
    body = post(client, "/variations", JSON, point=LATENT).json()
    assert (body["seed"], body["middle"], len(body["images"])) == (0, 4, 9)


def test_a_sum_may_have_latents(client: TestClient, decode: Decode) -> None:
    body = {"plus": [[LATENT, 3], [OTHER]], "minus": [[5]], "neighbours": 1}
    response = post(client, "/arithmetic", **body)
    assert response.headers["X-Seed"] == "3"
    three, five = latents(3, 5).astype(np.float64)
    expected = (np.array(LATENT) + three) / 2 + OTHER - five
    np.testing.assert_array_equal(tiles(response, decode), drawn(expected.astype(np.float32)))
    own = post(client, "/arithmetic", plus=[latents(42).tolist()], neighbours=1)
    np.testing.assert_array_equal(tiles(own, decode)[0], drawn(latents(42))[0])


def test_truncation_applies_to_seeds_and_an_edit_to_all_points(
    client: TestClient, decode: Decode
) -> None:
    body = {"points": [5, LATENT], "truncation": 0.5, "edit": {"glasses": 1.5}, "cols": 2}
    images = tiles(post(client, "/grid", **body), decode)
    step = 1.5 * painting.VECTORS["glasses"]
    rows = np.stack([latents(5)[0] * np.float32(0.5), np.float32(LATENT)])
    np.testing.assert_array_equal(images, drawn((rows + step).astype(np.float32)))


def test_a_latent_has_the_most_frequent_class_unless_the_request_names_one(
    client: TestClient,
) -> None:
    latent = [0.0] * conditional.WIDTH
    body = {"model": "shoes", "points": [latent, latent]}
    frames = post(client, "/interpolate", JSON, **body).json()["frames"]
    assert {frame["class"] for frame in frames} == {"boot"}
    body["class"] = "sneaker,t-shirt"
    frames = post(client, "/interpolate", JSON, **body).json()["frames"]
    assert (frames[0]["class"], frames[-1]["class"]) == ("sneaker", "t-shirt")
    seed = next(
        k for k in range(99) if client.get(f"/images/shoes/1/{k}.png").headers["X-Class"] == "0"
    )
    body = {"model": "shoes", "points": [latent, seed]}
    frames = post(client, "/interpolate", JSON, **body).json()["frames"]
    assert (frames[0]["class"], frames[-1]["class"]) == ("boot", "0")
    found = post(client, "/variations", model="people", point=latent, attributes={"glasses": 1})
    assert found.headers["X-Attributes"] == "glasses,-blond,brown,smile"
    summed = post(client, "/arithmetic", model="shoes", plus=[[latent], [latent]])
    assert summed.headers["X-Class"] == "boot"


def test_an_uploaded_image_becomes_another(client: TestClient, decode: Decode) -> None:
    """An image is encoded, and the path from it leads to the image of a seed."""
    image = np.random.default_rng(0).integers(0, 256, (3, 4), dtype=np.uint8)
    headers = {"Content-Type": PNG}
    answer = client.post("/encode?invert=false", content=encoded(image), headers=headers)
    (latent,) = (one["latent"] for one in answer.json()["images"])
    frames = tiles(post(client, "/interpolate", points=[latent, 7], steps=3), decode)
    np.testing.assert_array_equal(frames[0, ..., 0], image)
    np.testing.assert_array_equal(frames[2], drawn(latents(7))[0])


SEED = f"an integer from 0 to {SEEDS - 1}"
POINT = f"{SEED}, or a list of 1 to 4096 values, each a number from -100 to 100"
WIDE = f"a list of {WIDTH} numbers for grey/1"
INVALID: list[tuple[str, dict[str, Any], str, str]] = [
    ("/variations", {"point": -1}, "point", f"{POINT}; it is neither"),
    ("/variations", {"point": True}, "point", POINT),
    ("/variations", {"point": "1"}, "point", POINT),
    ("/variations", {"point": 1.5}, "point", POINT),
    ("/variations", {"point": []}, "point", f"{POINT}; List should have at least 1 item"),
    ("/variations", {"point": [0, "x"]}, "point", f"{POINT}; number 1: Input should be a valid"),
    ("/variations", {"point": [0, 101]}, "point", f"{POINT}; number 1: Input should be less"),
    ("/variations", {"point": [0.0]}, "point", WIDE),
    ("/variations", {"point": 1, "seed": 1}, "seed", "left out where point is given"),
    ("/variations", {"point": 1, "n": 1}, "n", "left out: it is not one of the parameters "),
    ("/variations", {"point": 1, "rows": 65}, "rows", "at most 64 images in all"),
    ("/variations", {"point": 1, "edit": {"hat": 1}}, "edit", "one of beard, glasses"),
    ("/variations", {"point": 1, "class": "boot"}, "class", "left out: grey/1 has no classes"),
    ("/interpolate", {}, "from", f"{SEED}, or seeds given instead of from and to"),
    ("/interpolate", {"points": [1, 2], "seeds": [1, 2]}, "seeds", "left out where points"),
    ("/interpolate", {"points": [1, 2], "from": 1}, "from", "left out where points is given"),
    ("/interpolate", {"points": []}, "points", f"a list of 2 to 16 values, each {POINT}"),
    ("/interpolate", {"points": [1]}, "points", "a list of 2 to 16 values"),
    ("/interpolate", {"points": [1] * 17}, "points", "a list of 2 to 16 values"),
    ("/interpolate", {"points": [1, [2]]}, "points.1", WIDE),
    ("/interpolate", {"points": [1, [[2]]]}, "points.1", POINT),
    ("/interpolate", {"points": [1, 2], "from_class": "boot"}, "from_class", "left out"),
    ("/interpolate", {"points": [1, 2], "loop": "true"}, "loop", "true or false"),
    ("/interpolate", {"points": [1, 2], "steps": 65}, "points", "at most 64 images in all"),
    ("/grid", {"points": []}, "points", "a list of 1 to 256 values"),
    ("/grid", {"points": [1] * 65}, "points", "at most 64 images in all"),
    ("/grid", {"points": [1], "corners": [1, 2, 3, 4]}, "points", "left out where corners"),
    ("/grid", {"points": [1], "seeds": [1]}, "seeds", "left out where points is given"),
    ("/grid", {"seeds": [1], "seed": 1}, "seed", "left out where seeds is given"),
    ("/grid", {"rows": 65}, "rows", "at most 64 images in all"),
    ("/grid", {"points": [1], "rows": 2}, "rows", "left out where points is given"),
    ("/grid", {"corners": [1, 2, 3]}, "corners", "a list of 4 values"),
    ("/grid", {"corners": [1, 2, 3, [0]]}, "corners.3", WIDE),
    ("/grid", {"corners": [1, 2, 3, 4], "rows": 1}, "rows", "an integer from 2 to 256"),
    ("/grid", {"corners": [1, 2, 3, 4], "cols": 33}, "rows", "at most 64 images in all"),
    ("/grid", {"corners": [1, 2, 3, 4], "rows": "classes"}, "corners", "left out where rows="),
    ("/grid", {"points": [1], "rows": "classes"}, "rows", "as grey/1 has no classes to choose"),
    (
        "/grid",
        {"points": [[0] * 8], "rows": "classes", "cols": 2, "model": "shoes"},
        "cols",
        "left out where rows=classes and points are given: each of points has a column",
    ),
    ("/arithmetic", {"plus": [[1], [2, [0]]]}, "plus.1.1", WIDE),
    ("/arithmetic", {"plus": [[1]], "minus": [[[0]]]}, "minus.0.0", WIDE),
    ("/arithmetic", {"plus": [[[]]]}, "plus.0.0", POINT),
]


@pytest.mark.parametrize(("path", "body", "parameter", "allowed"), INVALID)
def test_an_error_names_the_parameter_and_what_is_allowed(
    client: TestClient, path: str, body: dict[str, Any], parameter: str, allowed: str
) -> None:
    response = client.post(path, json=body)
    assert response.status_code == 422
    error = response.json()["errors"][0]
    assert (error["parameter"], error["in"]) == (parameter, "body")
    assert allowed in error["allowed"]


def test_the_longest_body_is_read_and_a_longer_one_is_refused(client: TestClient) -> None:
    latent = [-0.12345678901234567] * WIDTH
    group = [latent] * 16
    body = json.dumps({"plus": [group] * 8, "minus": [group] * 8})
    most = 2**16 + 256 * WIDTH * 32
    headers = {"Content-Type": JSON}
    for length, status in ((most, 200), (most + 1, 413)):
        response = client.post("/arithmetic", content=body.ljust(length), headers=headers)
        assert response.status_code == status
