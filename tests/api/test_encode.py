"""``POST /encode``, with encoders that undo their generators."""

import asyncio
import base64
import random
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from starlette.types import Message

from app.auth.rate_limit import BURST
from app.batching.jobs import Claim
from app.latent.refinement import CANDIDATES
from app.main import create_app
from app.runtime.arrays import GraphInputs
from app.runtime.image_encoder import ImageEncoder
from app.settings import Settings
from tests import conditional, encoding, painting
from tests.files import encoded, hostile
from tests.waiting import PATIENCE, eventually

Pixels = NDArray[np.uint8]
Decode = Callable[[bytes], Pixels]

PNG, JSON = "image/png", "application/json"
KINDS = {PNG: "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP", "image/gif": "GIF"}
RATE = 0.05
KEY = "a-key-of-a-client"
SHRUNK = (16 / 255) ** 2 / ((16 / 255) ** 2 + 0.07**2)
FORM_PART = b'--a\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n'


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("models")
    encoding.publish(models)
    return models


@pytest.fixture(scope="module")
def client(published: Path) -> Iterator[TestClient]:
    settings = Settings(models=published, default_model="grey", provider="cpu")
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


def send(
    client: TestClient, content: bytes, query: str = "", media_type: str = PNG, **headers: str
) -> httpx.Response:
    """Encode one image, sent as the whole body."""
    headers |= {"Content-Type": media_type}
    return client.post(f"/encode?{query}", content=content, headers=headers)


def form(client: TestClient, *files: bytes, query: str = "", **headers: str) -> httpx.Response:
    """Encode several images, sent as the files of a form."""
    parts = [("images", (f"{k}.png", file)) for k, file in enumerate(files)]
    return client.post(f"/encode?{query}", files=parts, headers=headers)


def images(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["images"]
    return found


def error(response: httpx.Response, status: int = 422) -> dict[str, Any]:
    """The only refused parameter."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    (found,) = response.json()["errors"]
    assert isinstance(found, dict)
    return found


def pixels(model: str, seed: int = 0) -> Pixels:
    """Random pixels in the shape of the images of a model."""
    return np.random.default_rng(seed).integers(0, 256, painting.SHAPES[model], dtype=np.uint8)


def latent(image: Pixels) -> list[float]:
    return [(float(value) - 128) / 16 for value in image.reshape(-1)]


@pytest.mark.parametrize("model", ["grey", "colour"])
def test_the_latent_of_an_image_draws_it_again(
    client: TestClient, decode: Decode, model: str
) -> None:
    image = pixels(model)
    response = send(client, encoded(image.squeeze()), f"model={model}&invert=false")
    assert response.headers["X-Model"] == f"{model}/1"
    assert "X-Seed" not in response.headers
    assert response.json()["model"] == model
    (found,) = images(response)
    assert found.keys() == {"latent", "inverted", "error", "png"}
    assert found["latent"] == latent(image)
    assert (found["inverted"], found["error"]) == (False, 0)
    drawn = base64.b64decode(found["png"])
    np.testing.assert_array_equal(decode(drawn).reshape(image.shape), image)
    again = client.post(f"/generate?model={model}", json={"latents": [found["latent"]]})
    assert again.json()["images"][0]["png"] == found["png"]


def test_the_error_is_the_mean_squared_difference(client: TestClient) -> None:
    models = client.app.state.services.registry  # type: ignore[attr-defined]
    background = models.find("colour").encoder.images.background
    assert all(120 < value < 136 for value in background)  # the pixel of a latent of 0 is 128
    image = np.full(painting.SHAPES["colour"], 255, np.uint8)
    (found,) = images(send(client, encoded(image), "model=colour"))
    assert found["latent"] == [7.9375] * 12
    assert found["error"] == 0
    image[0, 0] = 0, 0, 51
    (inverted,) = images(send(client, encoded(image), "model=colour&invert=true"))
    assert inverted["inverted"]
    assert inverted["latent"] == latent(255 - image)


def test_an_image_that_cannot_be_drawn_has_an_error(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        ImageEncoder, "__call__", lambda _, rows: np.zeros((len(rows["images"]), 12), np.float32)
    )
    image = np.full((3, 4), 128 + 51, np.uint8)
    image[0, 0] = 128
    (found,) = images(send(client, encoded(image), "invert=false"))
    assert found["latent"] == [0.0] * 12
    assert found["error"] == pytest.approx(11 / 12 * (51 / 255) ** 2, abs=1e-6)


def test_a_form_has_several_images(client: TestClient, decode: Decode) -> None:
    several = [pixels("grey", seed) for seed in range(5)]
    files = [encoded(image.squeeze()) for image in several]
    found = images(form(client, *files, query="invert=false"))
    assert [one["latent"] for one in found] == [latent(image) for image in several]
    alone = [images(send(client, file, "invert=false"))[0] for file in files]
    assert found == alone
    response = form(client, *files, query="invert=false", Accept=PNG)
    assert response.headers["Content-Type"] == PNG
    tiles = painting.tiles(decode(response.content).reshape(6, 12, 1), "grey")
    np.testing.assert_array_equal(tiles[:5], several)


def test_accept_png_returns_the_reconstruction_alone(client: TestClient, decode: Decode) -> None:
    response = send(client, encoded(pixels("grey").squeeze()), "invert=false", Accept=PNG)
    np.testing.assert_array_equal(decode(response.content), pixels("grey").squeeze())
    assert "Accept" in response.headers["Vary"]
    refused = send(client, b"", Accept="text/html")
    assert refused.status_code == 406


@pytest.mark.parametrize("media_type", KINDS)
def test_every_format_is_read_whatever_its_media_type_says(
    client: TestClient, media_type: str
) -> None:
    image = np.full((3, 4), 99, np.uint8)
    content = encoded(image, KINDS[media_type])
    for declared in (media_type, f"{PNG}; charset=binary"):
        (found,) = images(send(client, content, "invert=false", declared))
        assert found["latent"] == latent(image)


@pytest.mark.parametrize(
    ("model", "parameter", "names"),
    [("shoes", "class", conditional.CLASSES), ("people", "attributes", conditional.ATTRIBUTES)],
)
def test_classes_and_attributes_are_found(
    client: TestClient, model: str, parameter: str, names: dict[str, Any]
) -> None:
    for seed in range(20):
        path = f"/images/{model}/1/{seed}.png"
        original = client.get(path)
        response = send(client, original.content, f"model={model}&invert=false")
        assert response.headers[f"X-{parameter}"] == original.headers[f"X-{parameter}"]
        (found,) = images(response)
        assert [*found["probabilities"]] == [*names]
        assert set(found["probabilities"].values()) <= {0, 1}
        if parameter == "class":
            assert found["probabilities"][found["class"]] == 1
        else:
            assert found["attributes"] == found["probabilities"]
        assert found["error"] == 0
        body = {"latents": [found["latent"]], parameter: found[parameter]}
        again = client.post(f"/generate?model={model}", json=body).json()["images"][0]
        assert again["png"] == found["png"]


def test_a_request_may_name_the_class(client: TestClient) -> None:
    boot, other = (client.get(f"/images/shoes/1/{seed}.png?class=boot") for seed in (1, 2))
    query = "model=shoes&invert=false&class=sneaker,t-shirt"
    found = images(form(client, boot.content, other.content, query=query))
    assert [one["class"] for one in found] == ["sneaker", "t-shirt"]
    assert [one["probabilities"]["boot"] for one in found] == [1, 1]
    assert found[0]["error"] == pytest.approx(2 * (conditional.FULL / 255) ** 2 / 12, abs=1e-5)
    too_many = form(client, boot.content, query=query)
    assert error(too_many)["parameter"] == "class"
    unknown = send(client, boot.content, "model=grey&class=sneaker")
    assert error(unknown)["parameter"] == "class"


def test_a_model_without_an_encoder_says_how_one_is_made(client: TestClient) -> None:
    refused = send(client, b"", "model=plain")
    problem = error(refused, 404)
    assert (problem["parameter"], problem["value"]) == ("model", "plain/1")
    assert "colour/1, grey/1, people/1, shoes/1" in problem["allowed"]
    assert "python -m training encoder models/plain/1" in problem["allowed"]
    assert error(send(client, b"", "model=cats"), 404)["parameter"] == "model"


def test_where_no_model_has_an_encoder_the_error_says_so(tmp_path: Path) -> None:
    painting.publish("plain", tmp_path)
    with TestClient(create_app(Settings(models=tmp_path, provider="cpu"))) as client:
        assert "none is served" in error(send(client, b""), 404)["allowed"]


# Refinement.


@pytest.fixture
def _blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders find zeros for every image."""

    def zeros(_: ImageEncoder, rows: GraphInputs) -> NDArray[np.float32]:
        return np.zeros((len(rows["images"]), 12), np.float32)

    monkeypatch.setattr(ImageEncoder, "__call__", zeros)


@pytest.mark.usefixtures("_blind")
@pytest.mark.parametrize("model", ["grey", "shoes"])
def test_refine_brings_the_latent_nearer_to_the_image(client: TestClient, model: str) -> None:
    """The first four pixels of "shoes" are its condition, which no step changes.

    A pixel is 128 + 16 × its number of the latent. The squared errors of the pixels, from 0 to 1,
    plus 0.07² times the squared latent are least where each number is SHRUNK times its exact value.
    """
    values = np.random.default_rng(0).integers(100, 156, (2, 12))
    values[:, :4] = [conditional.FULL, 0, 0, 0] if model == "shoes" else values[:, :4]
    files = [encoded(one.astype(np.uint8).reshape(3, 4)) for one in values]
    query = f"model={model}&invert=false{'&class=boot' if model == 'shoes' else ''}"
    before = images(form(client, *files, query=query))
    errors = [[one["error"] for one in before]]
    for steps in (1, 3, 100):
        found = images(form(client, *files, query=f"{query}&refine={steps}"))
        errors.append([one["error"] for one in found])
    assert (np.diff(errors, axis=0) <= 0).all()
    np.testing.assert_array_less(errors[-1], 0.5 * np.array(errors[0]))
    for one, target in zip(found, values, strict=True):
        exact = (target[-len(one["latent"]) :] - 128) / 16
        np.testing.assert_allclose(one["latent"], SHRUNK * exact, atol=0.1)
        body = {"latents": [one["latent"]]} | ({"class": "boot"} if model == "shoes" else {})
        again = client.post(f"/generate?model={model}", json=body).json()["images"][0]
        assert again["png"] == one["png"]
    refined = form(client, *files, query=f"{query}&refine=100", Accept=PNG)
    assert refined.content != form(client, *files, query=query, Accept=PNG).content


@pytest.mark.usefixtures("_blind")
def test_a_server_for_few_images_refines_in_smaller_batches(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.api.encoding.MAX_DIRECTIONS", 5)
    settings = Settings(
        models=published, default_model="grey", provider="cpu", max_images=16, max_queue=16
    )
    image = encoded(np.random.default_rng(0).integers(100, 156, (3, 4), dtype=np.uint8))
    with TestClient(create_app(settings)) as client:
        (before,), (after,) = (
            images(send(client, image, f"invert=false&refine={steps}")) for steps in (0, 20)
        )
    assert after["error"] < 0.5 * before["error"]


def test_an_image_that_is_met_already_needs_no_step(client: TestClient) -> None:
    image = encoded(pixels("grey").squeeze())
    exact, refined = (send(client, image, f"invert=false&refine={steps}") for steps in (0, 100))
    assert refined.json() == exact.json()


@pytest.mark.parametrize("refine", ["-1", "101", "1.5", "x"])
def test_steps_are_bounded(client: TestClient, refine: str) -> None:
    problem = error(send(client, encoded(pixels("grey").squeeze()), f"refine={refine}"))
    assert (problem["parameter"], problem["allowed"]) == ("refine", "an integer from 0 to 100")


# Uploads that are refused.


@pytest.mark.usefixtures("_undecodable")
@pytest.mark.parametrize("name", hostile())
def test_hostile_files_are_refused_with_their_reason_and_not_decoded(
    client: TestClient, name: str
) -> None:
    content, reason = hostile()[name]
    problem = error(send(client, content))
    assert (problem["parameter"], problem["in"]) == ("body", "body")
    assert reason in problem["value"]
    good = encoded(pixels("grey").squeeze())
    problem = error(form(client, good, content))
    assert problem["parameter"] == "images.1"
    assert reason in problem["value"]


def test_a_damaged_image_is_refused(client: TestClient) -> None:
    damaged = bytearray(encoded(pixels("grey").squeeze()))
    damaged[45:50] = b"xxxxx"
    problem = error(send(client, bytes(damaged)))
    assert problem["value"] == "a damaged PNG file"


@pytest.mark.parametrize(
    "media_type", ["image/svg+xml", JSON, "text/plain", "application/octet-stream", ""]
)
def test_other_media_types_are_refused(client: TestClient, media_type: str) -> None:
    response = send(client, encoded(pixels("grey").squeeze()), media_type=media_type)
    problem = error(response, 415)
    assert (problem["parameter"], problem["in"]) == ("Content-Type", "header")
    assert problem["value"] == (media_type or None)
    assert problem["allowed"].startswith("one of multipart/form-data, image/png, image/jpeg")


@pytest.mark.parametrize(
    ("parts", "parameter", "allowed"),
    [
        (
            [("picture", ("a.png", b"x"))],
            "picture",
            "left out: only parts called images are allowed",
        ),
        ([("images", ("a.png", b"x")), ("model", (None, b"x"))], "model", "left out"),
        ([("images", (None, b"text"))], "images", "a file: a part with a filename"),
        ([("images", (None, 2000 * b"x"))], "images", "a file: a part with a filename"),
        ([("images", (f"{k}.png", b"x")) for k in range(17)], "body", "a form with 1 to 16 files"),
    ],
)
def test_a_form_has_files_called_images_and_nothing_else(
    client: TestClient, parts: list[Any], parameter: str, allowed: str
) -> None:
    problem = error(client.post("/encode", files=parts))
    assert (problem["parameter"], problem["in"]) == (parameter, "body")
    assert problem["allowed"].startswith(allowed)


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"x", "multipart/form-data"),
        (b"", "multipart/form-data; boundary=a"),
        (b"--a--\r\n", "multipart/form-data; boundary=a"),
        (b"x" * 99, "multipart/form-data; boundary=a"),
        (FORM_PART + b"x", "multipart/form-data; boundary=a"),
        (
            b"--a\r\nContent-Type: image/png\r\n\r\nx\r\n--a--\r\n",
            "multipart/form-data; boundary=a",
        ),
    ],
)
def test_a_form_that_is_no_form_is_refused(
    client: TestClient, content: bytes, media_type: str
) -> None:
    assert error(send(client, content, media_type=media_type))["in"] == "body"


def test_a_body_of_more_than_16_mib_is_refused(client: TestClient) -> None:
    image = encoded(pixels("grey").squeeze())
    allowed = image + bytes(2**24 - len(image))
    assert send(client, allowed, "invert=false").status_code == 200
    refused = send(client, allowed + b"\0")
    assert refused.status_code == 413
    assert refused.json()["detail"] == "the body is longer than 16777216 bytes"

    def pieces() -> Iterator[bytes]:
        for _ in range(17):
            yield bytes(2**20)

    headers = {"Content-Type": PNG}
    assert client.post("/encode", content=pieces(), headers=headers).status_code == 413


@pytest.mark.parametrize("query", ["invert=maybe", "refined=1", "class=", "version=0"])
def test_parameters_are_checked(client: TestClient, query: str) -> None:
    image = encoded(pixels("grey").squeeze())
    assert error(send(client, image, query))["in"] == "query"


def test_random_bytes_are_never_a_failure(client: TestClient) -> None:
    assert send_random_bytes(client, 150) > 147


@pytest.mark.slow
def test_ten_thousand_bodies_of_random_bytes_are_never_a_failure(client: TestClient) -> None:
    assert send_random_bytes(client, 10_000) > 9_900


def send_random_bytes(client: TestClient, count: int) -> int:
    """Send bodies that begin like an image, a form or nothing, and go on at random.

    The number of those that are refused with 422: all but a few, as a WebP file without loss may go
    on with almost any bytes. Any other status than this one and 200 fails.
    """
    source = random.Random(0)  # noqa: S311
    starts = [encoded(pixels("grey").squeeze(), kind)[:40] for kind in KINDS.values()]
    starts += [b"", b"--a\r\n", FORM_PART, *(FORM_PART + start for start in starts)]
    media_types = [*KINDS, "multipart/form-data; boundary=a"]
    refused = 0
    for _ in range(count):
        start = source.choice(starts)
        body = start[: source.randrange(len(start) + 1)] + source.randbytes(source.randrange(300))
        body += source.choice([b"", b"\r\n--a--\r\n"])
        response = send(client, body, media_type=source.choice(media_types))
        assert response.status_code in {200, 422}, body
        refused += response.headers["Content-Type"] == "application/problem+json"
    return refused


# Uploads are not kept.


def test_uploads_are_neither_stored_nor_logged(
    client: TestClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a file is created")

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    caplog.set_level("DEBUG", "app")
    image = encoded(pixels("grey").squeeze())
    large = image + 2**22 * b"secret"[:1]
    assert images(form(client, large, large, query="invert=false"))
    send(client, b"secret bytes")
    lines = [record.getMessage() for record in caplog.records if "/encode" in record.getMessage()]
    assert len(lines) == 2
    assert " 200 route=/encode " in lines[0]
    assert "images=2 model=grey/1" in lines[0]
    assert not any("secret" in record.getMessage() for record in caplog.records)
    services = client.app.state.services  # type: ignore[attr-defined]
    assert services.upload_memory.in_use == 0


def test_metrics_count_encoded_images(client: TestClient) -> None:
    def counts() -> dict[str, float]:
        lines = client.get("/metrics").text.splitlines()
        found = dict(line.rsplit(" ", 1) for line in lines if 'model="colour"' in line)
        labels = '{model="colour",version="1"}'
        names = ("encoded", "computed")
        return {name: float(found[f"dcgan_images_{name}_total{labels}"]) for name in names}

    before = counts()
    form(client, *[encoded(pixels("colour"))] * 3, query="model=colour")
    after = counts()
    assert {name: after[name] - before[name] for name in after} == {"encoded": 3, "computed": 3}
    timing = form(client, encoded(pixels("colour")), query="model=colour").headers["Server-Timing"]
    assert [part.partition(";")[0] for part in timing.split(", ")] == ["queue", "compute", "encode"]


# Limits.


@pytest.fixture
def limited(published: Path) -> Iterator[TestClient]:
    settings = Settings(models=published, default_model="grey", provider="cpu", rate=RATE)
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.mark.parametrize(
    ("count", "size", "cost"), [(5, (3, 4), 5), (2, (2048, 1024), 6), (1, (1024, 1023), 1)]
)
def test_the_rate_counts_uploads_and_their_megapixels(
    limited: TestClient, count: int, size: tuple[int, int], cost: int
) -> None:
    image = encoded(np.full(size, 128, np.uint8))
    assert form(limited, *[image] * count).status_code == 200
    refused = form(limited, image)
    assert refused.status_code == 429
    assert RATE * (int(refused.headers["Retry-After"]) + BURST) == pytest.approx(cost)


@pytest.mark.usefixtures("_blind")
def test_the_rate_counts_the_images_of_each_step(limited: TestClient) -> None:
    image = encoded(pixels("grey").squeeze())
    assert send(limited, image, "invert=false&refine=1").status_code == 200
    refused = send(limited, image)
    cost = RATE * (int(refused.headers["Retry-After"]) + BURST)
    assert cost == pytest.approx(1 + 12 + CANDIDATES)


def test_a_refused_upload_costs_as_much_as_an_image(limited: TestClient) -> None:
    assert send(limited, b"no image").status_code == 422
    refused = send(limited, b"no image")
    assert RATE * (int(refused.headers["Retry-After"]) + BURST) == pytest.approx(1)


def test_a_key_is_needed_before_the_body_is_read(published: Path) -> None:
    settings = Settings(models=published, default_model="grey", api_keys=(KEY,), provider="cpu")
    with TestClient(create_app(settings)) as client:
        assert send(client, bytes(2**25)).status_code == 401
        image = encoded(pixels("grey").squeeze())
        response = send(client, image, **{"X-API-Key": KEY})
        assert response.status_code == 200
        assert response.headers["Cache-Control"] == "private"


@pytest.fixture
def blocked(published: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """A server whose encoder is busy until the end of the test, with room for 16 more images."""
    entered, release = threading.Event(), threading.Event()
    compute = ImageEncoder.__call__

    def wait(encoder: ImageEncoder, rows: GraphInputs) -> NDArray[np.float32]:
        entered.set()
        assert release.wait(PATIENCE)
        return compute(encoder, rows)

    settings = Settings(
        models=published, default_model="grey", provider="cpu", max_images=16, max_queue=16
    )
    with TestClient(create_app(settings)) as client:
        monkeypatch.setattr(ImageEncoder, "__call__", wait)
        encoder = client.app.state.services.registry.find("grey").encoder  # type: ignore[attr-defined]
        rows = {"images": pixels("grey")[None]}
        assert client.portal
        first = client.portal.start_task_soon(encoder.batcher.submit, rows, Claim("another"))
        assert entered.wait(PATIENCE)
        try:
            yield client
        finally:
            release.set()
            first.result(PATIENCE)


def test_a_deadline_that_passes_in_the_queue_is_504(blocked: TestClient) -> None:
    image = encoded(pixels("grey").squeeze())
    response = send(blocked, image, **{"X-Request-Timeout": "0.05"})
    assert response.status_code == 504
    assert "1 of 1 images were still in the queue" in response.json()["detail"]


def test_a_full_queue_refuses_uploads_unread_and_drawing_goes_on(blocked: TestClient) -> None:
    image = encoded(pixels("grey").squeeze())
    encoder = blocked.app.state.services.registry.find("grey").encoder  # type: ignore[attr-defined]
    rows = {"images": np.stack([pixels("grey")] * 15)}
    assert blocked.portal
    others = blocked.portal.start_task_soon(encoder.batcher.submit, rows, Claim("another"))
    eventually(lambda: encoder.batcher.waiting == 15)
    assert 'dcgan_queue_images{model="grey",version="1"} 15.0' in blocked.get("/metrics").text
    refused = form(blocked, image, image)
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) >= 1
    assert send(blocked, b"not read").status_code == 503
    assert send(blocked, b"read", "version=1").status_code == 422
    assert blocked.post("/generate").status_code == 200
    others.cancel()
    eventually(lambda: send(blocked, b"read").status_code == 422)


def test_uploads_that_exceed_the_memory_together_are_refused(published: Path) -> None:
    settings = Settings(models=published, default_model="grey", provider="cpu", encode_bytes=2**20)
    image = encoded(pixels("grey").squeeze())
    with TestClient(create_app(settings)) as client:
        memory = client.app.state.services.upload_memory  # type: ignore[attr-defined]
        assert send(client, image + bytes(2**21), "invert=false").status_code == 200  # alone
        with memory.upload() as other:
            other.add(2**20 - len(image))
            assert send(client, image, "invert=false").status_code == 200
            refused = send(client, image + b"\0", "invert=false")
        assert refused.status_code == 503
        assert refused.headers["Retry-After"] == "1"
        assert memory.in_use == 0


def test_a_client_that_disconnects_while_it_sends_leaves_no_memory_in_use(
    published: Path,
) -> None:
    app = create_app(Settings(models=published, default_model="grey", provider="cpu"))
    scope = {"type": "http", "method": "POST", "path": "/encode", "query_string": b""}
    scope |= {"headers": [(b"content-type", b"image/png")], "client": ("test", 1)}
    received = iter([{"type": "http.request", "body": b"x" * 99, "more_body": True}])
    sent: list[Message] = []

    async def receive() -> Message:
        return next(received, {"type": "http.disconnect"})

    async def send(message: Message) -> None:
        sent.append(message)

    async def scenario() -> None:
        async with app.router.lifespan_context(app):
            await app(scope, receive, send)

    asyncio.run(scenario())
    assert sent[0]["status"] == 499
    assert app.state.services.upload_memory.in_use == 0


def test_the_numbers_of_an_encoder_are_made_finite(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = np.float32([[np.nan, np.inf, -np.inf, 1e9, *[0.5] * 8]])
    monkeypatch.setattr(ImageEncoder, "__call__", lambda *_: numbers)
    (found,) = images(send(client, encoded(pixels("grey").squeeze())))
    assert found["latent"] == [0, 100, -100, 100, *[0.5] * 8]
