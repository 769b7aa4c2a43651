"""``/images/…``: entity tags, what is not drawn twice, and both kinds of files."""

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

Decode = Callable[[bytes], NDArray[np.uint8]]
PATH = "/images/fashion-mnist/2/7.png"
FOR_EVER = "max-age=31536000, immutable"


def application(models: Path, **told: Any) -> FastAPI:
    return create_app(Settings(models=models, provider="cpu", **told))


@pytest.fixture
def fresh(models: Path) -> Iterator[TestClient]:
    """A server that has drawn nothing yet."""
    with TestClient(application(models), raise_server_exceptions=False) as client:
        yield client


def computed(client: TestClient) -> int:
    """How many images the server has computed."""
    app: Any = client.app
    return sum(served.batcher.counts.computed for served in app.state.services.registry)


def test_an_image_is_drawn_once_and_then_kept(fresh: TestClient) -> None:
    first, second = fresh.get(PATH), fresh.get(PATH)
    assert (first.content, first.headers["ETag"]) == (second.content, second.headers["ETag"])
    assert computed(fresh) == 1
    assert first.headers["Server-Timing"].startswith("queue;dur=")
    assert second.headers["Server-Timing"] == "cache"
    for answer in (first, second):
        assert answer.headers["Cache-Control"] == f"public, {FOR_EVER}"
        assert answer.headers["X-Model"] == "fashion-mnist/2"
        assert answer.headers["X-Seed"] == "7"
        assert answer.headers["Vary"] == "Accept"
        assert not answer.headers["ETag"].startswith("W/")


def test_without_a_cache_every_request_draws(models: Path) -> None:
    with TestClient(application(models, cache_bytes=0)) as client:
        assert client.get(PATH).content == client.get(PATH).content
        assert computed(client) == 2


def test_the_cache_is_bounded(models: Path) -> None:
    with TestClient(application(models, cache_bytes=2500)) as client:
        for seed in (1, 2, 3, 4, 1):
            client.get(f"/images/fashion-mnist/2/{seed}.png")
        assert computed(client) == 5


def test_what_the_client_has_is_neither_drawn_nor_sent(fresh: TestClient) -> None:
    etag = fresh.head(PATH).headers["ETag"]
    for told in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        for ask in (fresh.get, fresh.head):
            answer = ask(PATH, headers={"If-None-Match": told})
            assert (answer.status_code, answer.content) == (304, b"")
            assert answer.headers["ETag"] == etag
            assert answer.headers["Cache-Control"] == f"public, {FOR_EVER}"
            assert answer.headers["Vary"] == "Accept"
            assert "Content-Type" not in answer.headers
    assert computed(fresh) == 0
    assert fresh.get(PATH, headers={"If-None-Match": '"other"'}).status_code == 200
    assert fresh.get(PATH).headers["ETag"] == etag


def test_an_error_goes_before_what_the_client_has(fresh: TestClient) -> None:
    told = {"If-None-Match": "*"}
    assert fresh.get("/images/cats/1/7.png", headers=told).status_code == 404
    assert fresh.get(f"{PATH}?scale=9", headers=told).status_code == 422
    assert fresh.get(PATH, headers=told | {"Accept": "text/html"}).status_code == 406


def test_a_deadline_that_is_none_is_refused_whether_anything_is_drawn_or_not(
    fresh: TestClient,
) -> None:
    for _ in range(2):
        assert fresh.get(PATH, headers={"X-Request-Timeout": "soon"}).status_code == 422
        fresh.get(PATH)


def test_head_tells_the_same_without_drawing(fresh: TestClient) -> None:
    before = fresh.head(PATH)
    assert (before.status_code, before.content, computed(fresh)) == (200, b"", 0)
    assert "Content-Length" not in before.headers
    drawn, after = fresh.get(PATH), fresh.head(PATH)
    assert after.headers["Content-Length"] == str(len(drawn.content))
    named = ("ETag", "Cache-Control", "Content-Type", "X-Model", "X-Seed", "Vary")
    for answer in (before, after):
        assert [answer.headers[name] for name in named] == [drawn.headers[name] for name in named]
    assert fresh.head("/images/cats/1/7.png").status_code == 404


def test_every_image_has_a_tag_of_its_own(client: TestClient) -> None:
    paths = [
        "/images/fashion-mnist/2/7.png",
        "/images/fashion-mnist/2/7.webp",
        "/images/fashion-mnist/2/8.png",
        "/images/fashion-mnist/1/7.png",
        "/images/faces/1/7.png",
        "/images/fashion-mnist/2/7.png?truncation=0.5",
        "/images/fashion-mnist/2/7.png?scale=2",
        "/images/faces/1/7.png?edit=glasses:1",
    ]
    assert len({client.head(path).headers["ETag"] for path in paths}) == len(paths)
    same = ("truncation=1", "scale=1&truncation=1.0", "")
    assert len({client.head(f"{paths[0]}?{query}").headers["ETag"] for query in same}) == 1
    turned = ("edit=glasses:1,beard:2.0", "edit=beard:2,glasses:1&scale=1")
    assert len({client.head(f"{paths[4]}?{query}").headers["ETag"] for query in turned}) == 1


@pytest.mark.parametrize("path", ["/images/fashion-mnist/2/7", "/images/faces/1/7"])
@pytest.mark.parametrize("query", ["", "?scale=3&truncation=0.5"])
def test_webp_has_the_same_pixels(
    client: TestClient, decode: Decode, path: str, query: str
) -> None:
    pixels = decode(client.get(f"{path}.png{query}").content)
    answer = client.get(f"{path}.webp{query}", headers={"Accept": "image/webp"})
    assert answer.headers["Content-Type"] == "image/webp"
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.format == "WEBP"
        found = np.asarray(image.convert("RGB"))
    expected = pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=-1)
    np.testing.assert_array_equal(found, expected)


def test_another_kind_of_file_is_refused(client: TestClient) -> None:
    (problem,) = client.get("/images/fashion-mnist/2/7.gif").json()["errors"]
    assert problem == {
        "parameter": "form",
        "in": "path",
        "value": "gif",
        "allowed": "one of png, webp",
    }
    answer = client.get("/images/fashion-mnist/2/7.webp", headers={"Accept": "image/png"})
    assert answer.status_code == 406


def test_where_drawing_takes_a_key_nobody_shares_it(models: Path) -> None:
    key = "k" * 20
    with TestClient(application(models, api_keys=[key])) as client:
        answer = client.get(PATH, headers={"X-API-Key": key})
        assert answer.headers["Cache-Control"] == f"private, {FOR_EVER}"


def test_concurrent_requests_share_one_generated_image(
    fresh: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = BlockedEngine(fresh, monkeypatch)
    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(fresh.get, PATH) for _ in range(16)]
        assert engine.entered.wait(60)
        late = fresh.get(PATH, headers={"X-Request-Timeout": "0.05"})
        engine.release.set()
        answers = [one.result(10) for one in asked]
    assert late.status_code == 504
    assert "still being computed" in late.json()["detail"]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert sum(engine.batches) == 1


def test_a_failure_is_reported_to_every_request_and_not_cached(
    fresh: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = BlockedEngine(fresh, monkeypatch)
    engine.failure = RuntimeError("the engine broke")
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(fresh.get, PATH) for _ in range(4)]
        assert engine.entered.wait(60)
        engine.release.set()
        assert {one.result(10).status_code for one in asked} == {500}
    engine.failure = None
    assert fresh.get(PATH).status_code == 200
