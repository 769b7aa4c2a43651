"""Every endpoint, with a shipped model: responses, errors and media types."""

import base64
import io
import time
import zipfile
from collections.abc import Callable
from http import HTTPStatus

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image

from app.latent.sampling import SEEDS
from app.registry.registry import Registry
from tests import engines

Decode = Callable[[bytes], NDArray[np.uint8]]

PNG, ZIP, JSON = "image/png", "application/zip", "application/json"


def generated(client: TestClient, query: str) -> dict[int, bytes]:
    """Return the PNG file of every seed in a JSON response of ``/generate``."""
    response = client.post(f"/generate?{query}")
    assert response.status_code == 200
    return {image["seed"]: base64.b64decode(image["png"]) for image in response.json()["images"]}


def accepting(media_type: str) -> dict[str, str]:
    return {"Accept": media_type}


def test_generate_returns_sixteen_images_by_default(client: TestClient, decode: Decode) -> None:
    response = client.post("/generate")
    body = response.json()
    assert (body["model"], body["version"]) == ("fashion-mnist", 2)
    assert len(body["images"]) == 16
    for image in body["images"]:
        assert decode(base64.b64decode(image["png"])).shape == (28, 28)
        assert image["url"] == f"http://testserver/images/fashion-mnist/2/{image['seed']}.png"
        assert client.get(image["url"]).content == base64.b64decode(image["png"])
    assert response.headers["X-Seed"] == str(body["images"][0]["seed"])
    assert response.headers["X-Model"] == "fashion-mnist/2"
    assert response.headers["Vary"] == "Accept, Accept-Encoding"


def test_requests_without_a_seed_get_different_seeds(client: TestClient) -> None:
    first, second = (next(iter(generated(client, "n=1"))) for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/generate?n=1&seed={}"),
        ("GET", "/grid?rows=1&cols=2&seed={}"),
        ("GET", "/grid?version=2&rows=1&cols=2&seed={}"),
        ("GET", "/variations?rows=1&cols=2&seed={}"),
    ],
)
def test_a_start_of_minus_one_is_a_random_seed_which_the_response_names(
    client: TestClient, method: str, path: str
) -> None:
    first, second = (client.request(method, path.format(-1), headers=accepting(PNG)) for _ in "ab")
    assert first.headers["X-Seed"] != second.headers["X-Seed"]
    assert "Cache-Control" not in first.headers
    again = client.request(method, path.format(first.headers["X-Seed"]), headers=accepting(PNG))
    assert again.content == first.content


@pytest.mark.parametrize("n", [1, 2, 16, 65, 256])
def test_a_seeded_request_has_consecutive_seeds(client: TestClient, n: int) -> None:
    assert list(generated(client, f"n={n}&seed=42")) == list(range(42, 42 + n))


def test_seeds_wrap_around(client: TestClient) -> None:
    assert list(generated(client, f"n=3&seed={SEEDS - 2}")) == [SEEDS - 2, SEEDS - 1, 0]


def test_a_seed_has_the_same_pixels_alone_in_a_batch_and_at_its_url(
    client: TestClient, decode: Decode
) -> None:
    alone = decode(generated(client, "n=1&seed=42")[42])
    in_batch = decode(generated(client, "n=16&seed=30")[42])
    at_url = decode(client.get("/images/fashion-mnist/2/42.png").content)
    sheet = decode(client.post("/generate?n=4&seed=40", headers=accepting(PNG)).content)
    np.testing.assert_array_equal(in_batch, alone)
    np.testing.assert_array_equal(at_url, alone)
    np.testing.assert_array_equal(sheet[28:, :28], alone)


def test_png_returns_the_image_itself_or_a_sheet(client: TestClient, decode: Decode) -> None:
    one = client.post("/generate?n=1&seed=42", headers=accepting(PNG))
    assert one.content == client.get("/images/fashion-mnist/2/42.png").content
    assert one.headers["X-Seed"] == "42"
    sheet = client.post("/generate?n=16&seed=42", headers=accepting(PNG))
    assert decode(sheet.content).shape == (112, 112)
    assert sheet.headers["Content-Type"] == PNG


def test_a_zip_has_a_file_for_every_seed(client: TestClient) -> None:
    response = client.post("/generate?n=3&seed=7", headers=accepting(ZIP))
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    assert files == {f"{seed}.png": png for seed, png in generated(client, "n=3&seed=7").items()}
    assert 'filename="fashion-mnist-2-7.zip"' in response.headers["Content-Disposition"]


@pytest.mark.parametrize(
    ("method", "path", "accept"),
    [
        ("POST", "/generate", JSON),
        ("POST", "/generate", PNG),
        ("POST", "/generate", ZIP),
        ("GET", "/images/fashion-mnist/2/4242.png", PNG),
        ("GET", "/interpolate?from=3&to=17", PNG),
        ("GET", "/interpolate?from=3&to=17", JSON),
        ("GET", "/interpolate?from=3&to=17", ZIP),
        ("GET", "/interpolate?from=3&to=17", "image/webp"),
        ("GET", "/interpolate?from=3&to=17", "application/x-ndjson"),
        ("GET", "/grid?seed=1", PNG),
        ("GET", "/grid?corners=1,2,3,4", PNG),
        ("GET", "/variations?seed=1", PNG),
        ("GET", "/variations?seed=1", JSON),
        ("GET", "/variations?seed=1", ZIP),
    ],
)
def test_server_timing_has_the_stages_of_every_response_with_images(
    client: TestClient, method: str, path: str, accept: str
) -> None:
    began = time.perf_counter()
    response = client.request(method, path, headers=accepting(accept))
    milliseconds = 1000 * (time.perf_counter() - began)
    stages = [part.split(";dur=") for part in response.headers["Server-Timing"].split(", ")]
    assert [name for name, _ in stages] == ["queue", "compute", "encode"]
    durations = [float(number) for _, number in stages]
    assert min(durations) >= 0
    assert 0 < sum(durations) <= milliseconds


def test_an_image_may_be_cached_permanently(client: TestClient) -> None:
    response = client.get("/images/fashion-mnist/2/42.png")
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response.content == client.get("/images/fashion-mnist/2/42.png").content


def test_a_strip_has_a_frame_per_step_and_ends_at_its_seeds(
    client: TestClient, decode: Decode
) -> None:
    strip = decode(client.get("/interpolate?from=3&to=17&steps=8").content)
    assert strip.shape == (28, 8 * 28)
    for seed, end in ((3, strip[:, :28]), (17, strip[:, -28:])):
        image = decode(client.get(f"/images/fashion-mnist/2/{seed}.png").content)
        np.testing.assert_array_equal(end, image)


def test_an_interpolation_in_json_has_the_frames_of_the_strip(
    client: TestClient, decode: Decode
) -> None:
    path = "/interpolate?from=3&to=17&steps=5"
    body = client.get(path, headers=accepting(JSON)).json()
    assert [frame["position"] for frame in body["frames"]] == [0, 0.25, 0.5, 0.75, 1]
    assert (body["seeds"], body["loop"]) == ([3, 17], False)
    frames = [decode(base64.b64decode(frame["png"])) for frame in body["frames"]]
    strip = decode(client.get(path).content)
    np.testing.assert_array_equal(np.concatenate(frames, axis=1), strip)
    assert body["method"] == "slerp"


def test_slerp_and_lerp_differ_between_the_ends(client: TestClient, decode: Decode) -> None:
    path = "/interpolate?from=3&to=17&steps=3"
    slerp, lerp = (decode(client.get(path + m).content) for m in ("", "&method=lerp"))
    np.testing.assert_array_equal(slerp[:, :28], lerp[:, :28])
    assert (slerp[:, 28:56] != lerp[:, 28:56]).any()


def test_a_grid_has_its_seeds_row_by_row(client: TestClient, decode: Decode) -> None:
    response = client.get("/grid?rows=2&cols=3&seed=5")
    grid = decode(response.content)
    assert grid.shape == (56, 84)
    image = decode(client.get("/images/fashion-mnist/2/9.png").content)
    np.testing.assert_array_equal(grid[28:, 28:56], image)
    assert response.headers["X-Seed"] == "5"
    assert decode(client.get("/grid").content).shape == (112, 112)


def test_a_file_records_its_model_and_seed(client: TestClient) -> None:
    content = client.get("/images/fashion-mnist/2/42.png").content
    with Image.open(io.BytesIO(content)) as image:
        assert image.info == {"model": "fashion-mnist/2", "seed": "42"}
    for mixed in ("/interpolate?from=1&to=2", "/grid?corners=1,2,3,4", "/variations?seed=1"):
        with Image.open(io.BytesIO(client.get(mixed).content)) as image:
            assert set(image.info) == {"model"}


def test_models_are_listed_with_their_cards(client: TestClient) -> None:
    listed = client.get("/models").json()
    assert listed["default"] == "fashion-mnist"
    model = client.get("/models/fashion-mnist").json()
    assert model in listed["models"]
    version = next(v for v in model["versions"] if v["version"] == 2)
    assert version["provider"] == "cpu"
    assert version["card"]["dataset"]["images"] == 60_000
    assert version["card"]["training"]["epochs"] >= 25


def test_readiness_reports_the_provider_that_runs(client: TestClient) -> None:
    assert client.get("/health/live").json() == {"status": "live"}
    ready = client.get("/health/ready").json()
    assert ready["status"] == "ready"
    assert (ready["model"], ready["provider"]) == ("fashion-mnist", "cpu")
    assert ready["refused"] == []


def test_the_documentation_needs_no_network(client: TestClient) -> None:
    page = client.get("/docs")
    assert "swagger-ui" in page.text
    assert "https://" not in page.text


SEED_RANGE = f"an integer from 0 to {SEEDS - 1}"
START_RANGE = f"an integer from -1 to {SEEDS - 1}"
FOUR = f"4 values separated by commas, each {SEED_RANGE}"
STOPS = f"2 to 16 values separated by commas, each {SEED_RANGE}"
SEVENTEEN = ",".join(map(str, range(17)))
IMAGE = "/images/fashion-mnist/2"
INVALID = [
    ("POST", "/generate?n=0", "n", "0", "an integer from 1 to 256"),
    ("POST", "/generate?n=257", "n", "257", "an integer from 1 to 256"),
    ("POST", "/generate?n=many", "n", "many", "an integer from 1 to 256"),
    ("POST", "/generate?n=1.5", "n", "1.5", "an integer from 1 to 256"),
    ("POST", "/generate?n=", "n", "", "an integer from 1 to 256"),
    ("POST", "/generate?seed=-2", "seed", "-2", START_RANGE),
    ("POST", f"/generate?seed={SEEDS}", "seed", str(SEEDS), START_RANGE),
    ("GET", "/grid?seed=-2", "seed", "-2", START_RANGE),
    ("GET", "/interpolate?from=-1&to=17", "from", "-1", SEED_RANGE),
    ("GET", "/interpolate?seeds=3,-1", "seeds", "3,-1", STOPS),
    ("POST", "/generate?version=0", "version", "0", "an integer from 1 to 2147483647"),
    ("POST", "/generate?version=new", "version", "new", "an integer from 1 to 2147483647"),
    ("POST", "/generate?model=../x", "model", "../x", "text like fashion-mnist, of the form ^["),
    ("POST", "/generate?sead=1", "sead", "1", "left out: it is not one of the parameters"),
    ("GET", "/interpolate?from=3&to=17&steps=1", "steps", "1", "an integer from 2 to 256"),
    ("GET", "/interpolate?from=3&to=17&steps=257", "steps", "257", "an integer from 2 to 256"),
    ("GET", "/interpolate?from=x&to=17", "from", "x", SEED_RANGE),
    ("GET", "/interpolate?from=3", "to", None, SEED_RANGE),
    ("GET", "/interpolate?from=3&to=17&method=cubic", "method", "cubic", "one of slerp, lerp"),
    ("GET", "/grid?rows=0", "rows", "0", "an integer from 1 to 256"),
    ("GET", "/grid?cols=257", "cols", "257", "an integer from 1 to 256"),
    ("GET", "/grid?rows=16&cols=17", "rows", 16, "at most 256 images in all"),
    ("GET", "/grid?corners=1,2,3", "corners", "1,2,3", FOUR),
    ("GET", "/grid?corners=1,2,3,4,5", "corners", "1,2,3,4,5", FOUR),
    ("GET", "/grid?corners=1,2,3,x", "corners", "1,2,3,x", FOUR),
    ("GET", "/grid?corners=", "corners", "", FOUR),
    ("GET", f"/grid?corners=1,{SEEDS},-1,4", "corners", f"1,{SEEDS},-1,4", FOUR),
    ("GET", "/grid?corners=1,2,3,4&seed=5", "seed", 5, "left out where corners is given"),
    ("GET", "/grid?corners=1,2,3,4&rows=1", "rows", 1, "an integer from 2 to 256 where corners"),
    ("GET", "/grid?corners=1,2,3,4&cols=1", "cols", 1, "an integer from 2 to 256 where corners"),
    ("GET", "/grid?corners=1,2,3,4&rows=16&cols=17", "rows", 16, "at most 256 images in all"),
    ("GET", "/interpolate?seeds=1", "seeds", "1", STOPS),
    ("GET", f"/interpolate?seeds={SEVENTEEN}", "seeds", SEVENTEEN, STOPS),
    ("GET", "/interpolate?seeds=1,2,", "seeds", "1,2,", STOPS),
    ("GET", "/interpolate?seeds=1,2.5", "seeds", "1,2.5", STOPS),
    ("GET", "/interpolate?seeds=1;2", "seeds", "1;2", STOPS),
    ("GET", "/interpolate?seeds=1,2&from=3", "from", 3, "left out where seeds is given"),
    ("GET", "/interpolate?seeds=1,2&to=0", "to", 0, "left out where seeds is given"),
    ("GET", "/interpolate", "from", None, SEED_RANGE),
    ("GET", "/interpolate?to=1", "from", None, SEED_RANGE),
    ("GET", "/interpolate?seeds=1,2&loop=maybe", "loop", "maybe", "true or false"),
    ("GET", "/interpolate?seeds=1,2,3&steps=130", "seeds", "1,2,3", "at most 256 images in all"),
    ("GET", "/interpolate?from=1&to=2&steps=130&loop=1", "steps", 130, "at most 256 images in all"),
    ("GET", "/variations?seed=1,2", "seed", "1,2", START_RANGE),
    ("GET", "/variations?seed=1&radius=2.1", "radius", "2.1", "a number from 0 to 2"),
    ("GET", "/variations?seed=1&radius=-1", "radius", "-1", "a number from 0 to 2"),
    ("GET", "/variations?seed=1&radius=nan", "radius", "nan", "a number from 0 to 2"),
    ("GET", "/variations?seed=1&rows=0", "rows", "0", "an integer from 1 to 256"),
    ("GET", "/variations?seed=1&rows=2&cols=129", "rows", 2, "at most 256 images in all"),
    ("GET", "/variations?seed=1&n=9", "n", "9", "left out: it is not one of the parameters"),
    ("POST", "/generate?n=256&model=faces&scale=8", "n", 256, "at most 16777216 pixels"),
    ("POST", "/generate?n=65&model=faces&scale=8", "scale", 8, "at most 16777216 pixels"),
    (
        "POST",
        "/generate?n=2&columns=256&padding=64&scale=8&model=faces",
        "padding",
        64,
        "at most 16777216",
    ),
    ("GET", "/grid?rows=16&cols=16&scale=8&padding=64", "rows", 16, "at most 16777216 pixels"),
    ("GET", "/grid?corners=1,2,3,4&rows=9&cols=9&scale=8&model=faces", "cols", 9, "at most 1677"),
    ("GET", "/variations?seed=1&rows=9&cols=9&scale=8&model=faces", "rows", 9, "at most 1677"),
    ("GET", "/interpolate?from=1&to=2&steps=256&model=faces&scale=5", "steps", 256, "at most 167"),
    ("GET", f"{IMAGE}/-1.png", "seed", "-1", SEED_RANGE),
    ("GET", f"{IMAGE}/{SEEDS}.png", "seed", str(SEEDS), SEED_RANGE),
    ("GET", f"{IMAGE}/abc.png", "seed", "abc", SEED_RANGE),
    ("GET", "/images/fashion-mnist/x/1.png", "version", "x", "an integer from 1 to 2147483647"),
]


@pytest.mark.parametrize(("method", "path", "parameter", "value", "allowed"), INVALID)
def test_an_error_names_parameter_value_and_what_is_allowed(
    client: TestClient, method: str, path: str, parameter: str, value: object, allowed: str
) -> None:
    response = client.request(method, path)
    assert response.status_code == 422
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert (problem["status"], problem["title"]) == (422, HTTPStatus(422).phrase)
    error = next(error for error in problem["errors"] if error["parameter"] == parameter)
    assert error["value"] == value
    assert error["allowed"].startswith(allowed)
    assert parameter in problem["detail"]
    assert allowed in problem["detail"]
    assert problem["instance"] == path.partition("?")[0]


def test_an_error_of_query_and_body_together_names_the_place_of_each_parameter(
    client: TestClient,
) -> None:
    response = client.post("/generate?model=faces&padding=64", json={"n": 256, "scale": 8})
    assert response.status_code == 422
    places = {error["parameter"]: error["in"] for error in response.json()["errors"]}
    assert places == {"n": "body", "scale": "body", "padding": "query"}


UNKNOWN = [
    ("POST", "/generate?model=cats", "model", "cats", "one of digits, faces, fashion-mnist"),
    ("POST", "/generate?version=99", "version", 99, "one of 2"),
    ("GET", "/images/cats/1/1.png", "model", "cats", "one of digits, faces, fashion-mnist"),
    ("GET", "/images/fashion-mnist/99/1.png", "version", 99, "one of 2"),
    (
        "GET",
        "/interpolate?from=1&to=2&model=cats",
        "model",
        "cats",
        "one of digits, faces, fashion-mnist",
    ),
    ("GET", "/grid?model=cats", "model", "cats", "one of digits, faces, fashion-mnist"),
    (
        "GET",
        "/grid?corners=1,2,3,4&model=cats",
        "model",
        "cats",
        "one of digits, faces, fashion-mnist",
    ),
    ("GET", "/variations?seed=1&version=99", "version", 99, "one of 2"),
    ("GET", "/models/cats", "name", "cats", "one of digits, faces, fashion-mnist"),
]


@pytest.mark.parametrize(("method", "path", "parameter", "value", "allowed"), UNKNOWN)
def test_an_unknown_model_or_version_is_refused_and_the_known_are_listed(
    client: TestClient, method: str, path: str, parameter: str, value: object, allowed: str
) -> None:
    response = client.request(method, path)
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    (error,) = response.json()["errors"]
    assert (error["parameter"], error["value"]) == (parameter, value)
    assert error["allowed"].startswith(allowed)
    assert error["in"] == ("query" if "?" in path else "path")


SHEETS = "image/png, image/webp"
FRAMES = "image/png, image/gif, image/webp, image/apng, application/json, application/x-ndjson"
FRAMES += ", application/zip"


@pytest.mark.parametrize(
    ("method", "path", "accept", "offered"),
    [
        ("POST", "/generate", "text/html", f"application/json, {SHEETS}, application/zip"),
        ("GET", "/interpolate?from=1&to=2", "image/avif", FRAMES),
        ("GET", "/grid", "text/html", f"{SHEETS}, application/json, application/zip"),
        ("GET", "/variations?seed=1", "a/b", f"{SHEETS}, application/json, application/zip"),
        ("GET", f"{IMAGE}/1.png", "image/webp", "image/png"),
    ],
)
def test_an_unacceptable_media_type_is_refused_and_the_offered_are_listed(
    client: TestClient, method: str, path: str, accept: str, offered: str
) -> None:
    response = client.request(method, path, headers=accepting(accept))
    assert response.status_code == 406
    (error,) = response.json()["errors"]
    assert error == {
        "parameter": "Accept",
        "in": "header",
        "value": accept,
        "allowed": f"one of {offered}",
    }


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/models/faces/", 404),
        ("POST", "/generate/", 404),
        ("GET", "/generate", 405),
        ("DELETE", "/models", 405),
    ],
)
def test_a_wrong_path_or_method_is_a_problem(
    client: TestClient, method: str, path: str, status: int
) -> None:
    response = client.request(method, path)
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert f"{method} {path}" in response.json()["detail"]
    if status == 405:
        assert response.headers["Allow"] in response.json()["detail"]


@pytest.mark.parametrize(
    ("path", "methods"),
    [("/models", "GET, HEAD"), ("/generate", "POST"), ("/images/faces/1/5.png", "GET, HEAD")],
)
def test_a_wrong_method_gets_the_allowed_methods_of_all_routes_at_the_path(
    client: TestClient, path: str, methods: str
) -> None:
    assert client.request("PUT", path).headers["Allow"] == methods


@pytest.mark.parametrize("experimental", [True, False])
def test_readiness_and_log_say_that_a_provider_is_experimental(
    client: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    experimental: bool,
) -> None:
    monkeypatch.setattr("app.runtime.providers.EXPERIMENTAL", {"cpu"} if experimental else set())
    found = client.get("/health/ready").json()["models"]
    assert {version["experimental"] for version in found} == {experimental}
    with caplog.at_level("INFO"):
        Registry("any").add(engines.version(client))
    assert ("on cpu (experimental), fp32" in caplog.text) == experimental
