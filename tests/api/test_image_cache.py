"""``/images/…``: entity tags, the cache, concurrent requests, PNG and WebP."""

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image

from app.main import create_app
from app.settings import Settings
from tests.engines import BlockedEngine
from tests.waiting import PATIENCE

Decode = Callable[[bytes], NDArray[np.uint8]]
PATH = "/images/fashion-mnist/2/7.png"
PERMANENT = "max-age=31536000, immutable"


def application(clothes: Path, **options: Any) -> FastAPI:
    return create_app(Settings(models=clothes, provider="cpu", **options))


@pytest.fixture
def fresh(clothes: Path) -> Iterator[TestClient]:
    """A server that has not generated any image yet."""
    with TestClient(application(clothes), raise_server_exceptions=False) as client:
        yield client


def computed(client: TestClient) -> int:
    """Return how many images the server has computed."""
    app: Any = client.app
    return sum(version.batcher.counts.computed for version in app.state.services.registry)


def test_an_image_is_generated_once_and_then_cached(fresh: TestClient) -> None:
    first, second = fresh.get(PATH), fresh.get(PATH)
    assert (first.content, first.headers["ETag"]) == (second.content, second.headers["ETag"])
    assert computed(fresh) == 1
    assert first.headers["Server-Timing"].startswith("queue;dur=")
    assert second.headers["Server-Timing"] == "cache"
    for response in (first, second):
        assert response.headers["Cache-Control"] == f"public, {PERMANENT}"
        assert response.headers["X-Model"] == "fashion-mnist/2"
        assert response.headers["X-Seed"] == "7"
        assert response.headers["Vary"] == "Accept"
        assert not response.headers["ETag"].startswith("W/")


def test_another_kind_of_cpu_has_another_etag_and_gives_no_304(
    fresh: TestClient, clothes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = fresh.get(PATH)
    monkeypatch.setattr("app.runtime.providers.kind_of_cpu", lambda: "another kind")
    with TestClient(application(clothes)) as other:
        there = other.get(PATH, headers={"If-None-Match": here.headers["ETag"]})
        assert there.status_code == 200
        assert there.headers["ETag"] != here.headers["ETag"]
        assert there.headers["X-Model"] == here.headers["X-Model"]
        own = other.get(PATH, headers={"If-None-Match": there.headers["ETag"]})
        assert own.status_code == 304


def test_without_a_cache_every_request_generates_the_image(clothes: Path) -> None:
    with TestClient(application(clothes, cache_bytes=0)) as client:
        assert client.get(PATH).content == client.get(PATH).content
        assert computed(client) == 2


def test_the_cache_is_bounded(clothes: Path) -> None:
    with TestClient(application(clothes, cache_bytes=2500)) as client:
        for seed in (1, 2, 3, 4, 1):
            client.get(f"/images/fashion-mnist/2/{seed}.png")
        assert computed(client) == 5


def test_a_current_copy_of_the_client_is_neither_generated_nor_sent(fresh: TestClient) -> None:
    etag = fresh.head(PATH).headers["ETag"]
    for condition in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        for method in (fresh.get, fresh.head):
            response = method(PATH, headers={"If-None-Match": condition})
            assert (response.status_code, response.content) == (304, b"")
            assert response.headers["ETag"] == etag
            assert response.headers["Cache-Control"] == f"public, {PERMANENT}"
            assert response.headers["Vary"] == "Accept"
            assert "Content-Type" not in response.headers
    assert computed(fresh) == 0
    assert fresh.get(PATH, headers={"If-None-Match": '"other"'}).status_code == 200
    assert fresh.get(PATH).headers["ETag"] == etag


def test_an_error_has_precedence_over_if_none_match(fresh: TestClient) -> None:
    condition = {"If-None-Match": "*"}
    assert fresh.get("/images/cats/1/7.png", headers=condition).status_code == 404
    assert fresh.get(f"{PATH}?scale=9", headers=condition).status_code == 422
    assert fresh.get(PATH, headers=condition | {"Accept": "text/html"}).status_code == 406


def test_an_invalid_timeout_is_refused_even_if_the_image_is_cached(fresh: TestClient) -> None:
    for _ in range(2):
        assert fresh.get(PATH, headers={"X-Request-Timeout": "soon"}).status_code == 422
        fresh.get(PATH)


def test_head_has_the_headers_of_get_without_generating_the_image(fresh: TestClient) -> None:
    before = fresh.head(PATH)
    assert (before.status_code, before.content, computed(fresh)) == (200, b"", 0)
    assert "Content-Length" not in before.headers
    image, after = fresh.get(PATH), fresh.head(PATH)
    assert after.headers["Content-Length"] == str(len(image.content))
    named = ("ETag", "Cache-Control", "Content-Type", "X-Model", "X-Seed", "Vary")
    for response in (before, after):
        assert [response.headers[name] for name in named] == [image.headers[name] for name in named]
    assert fresh.head("/images/cats/1/7.png").status_code == 404


def test_different_images_have_different_entity_tags(client: TestClient) -> None:
    paths = [
        "/images/fashion-mnist/2/7.png",
        "/images/fashion-mnist/2/7.webp",
        "/images/fashion-mnist/2/8.png",
        "/images/digits/1/7.png?class=3",
        "/images/faces/1/7.png",
        "/images/fashion-mnist/2/7.png?truncation=0.5",
        "/images/fashion-mnist/2/7.png?scale=2",
        "/images/faces/1/7.png?edit=glasses:1",
    ]
    assert len({client.head(path).headers["ETag"] for path in paths}) == len(paths)
    same = ("truncation=1", "scale=1&truncation=1.0", "")
    assert len({client.head(f"{paths[0]}?{query}").headers["ETag"] for query in same}) == 1
    reordered = ("edit=glasses:1,beard:2.0", "edit=beard:2,glasses:1&scale=1")
    assert len({client.head(f"{paths[4]}?{query}").headers["ETag"] for query in reordered}) == 1


@pytest.mark.parametrize("path", ["/images/fashion-mnist/2/7", "/images/faces/1/7"])
@pytest.mark.parametrize("query", ["", "?scale=3&truncation=0.5"])
def test_webp_has_the_same_pixels(
    client: TestClient, decode: Decode, path: str, query: str
) -> None:
    pixels = decode(client.get(f"{path}.png{query}").content)
    response = client.get(f"{path}.webp{query}", headers={"Accept": "image/webp"})
    assert response.headers["Content-Type"] == "image/webp"
    with Image.open(io.BytesIO(response.content)) as image:
        assert image.format == "WEBP"
        found = np.asarray(image.convert("RGB"))
    expected = pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=-1)
    np.testing.assert_array_equal(found, expected)


def test_another_file_format_is_refused(client: TestClient) -> None:
    (problem,) = client.get("/images/fashion-mnist/2/7.gif").json()["errors"]
    assert problem == {
        "parameter": "form",
        "in": "path",
        "value": "gif",
        "allowed": "one of png, webp",
    }
    response = client.get("/images/fashion-mnist/2/7.webp", headers={"Accept": "image/png"})
    assert response.status_code == 406


def test_images_that_need_a_key_are_private_to_the_client(clothes: Path) -> None:
    key = "k" * 20
    with TestClient(application(clothes, api_keys=[key])) as client:
        response = client.get(PATH, headers={"X-API-Key": key})
        assert response.headers["Cache-Control"] == f"private, {PERMANENT}"


def test_concurrent_requests_share_one_generated_image(
    fresh: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = BlockedEngine(fresh, monkeypatch)
    with ThreadPoolExecutor(16) as pool:
        requests = [pool.submit(fresh.get, PATH) for _ in range(16)]
        assert engine.entered.wait(PATIENCE)
        late = fresh.get(PATH, headers={"X-Request-Timeout": "0.05"})
        engine.release.set()
        responses = [one.result(PATIENCE) for one in requests]
    assert late.status_code == 504
    assert "still being computed" in late.json()["detail"]
    assert {response.status_code for response in responses} == {200}
    assert len({response.content for response in responses}) == 1
    assert sum(engine.batches) == 1


def test_a_failure_is_reported_to_every_request_and_not_cached(
    fresh: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = BlockedEngine(fresh, monkeypatch)
    engine.failure = RuntimeError("the engine broke")
    with ThreadPoolExecutor(4) as pool:
        requests = [pool.submit(fresh.get, PATH) for _ in range(4)]
        assert engine.entered.wait(PATIENCE)
        engine.release.set()
        assert {one.result(PATIENCE).status_code for one in requests} == {500}
    engine.failure = None
    assert fresh.get(PATH).status_code == 200
