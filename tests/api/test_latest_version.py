"""``latest`` in place of a version: the default version, whose images may change."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from tests.painting import SHAPES, publish


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    models = tmp_path_factory.mktemp("models")
    for name in SHAPES:
        publish(name, models)
    with TestClient(create_app(Settings(models=models, provider="cpu"))) as client:
        yield client


@pytest.mark.parametrize("form", ["png", "webp"])
def test_its_images_are_those_of_the_default_version_without_a_redirect(
    client: TestClient, form: str
) -> None:
    latest = client.get(f"/images/grey/latest/7.{form}?scale=2", follow_redirects=False)
    exact = client.get(f"/images/grey/1/7.{form}?scale=2")
    assert latest.content == exact.content
    assert latest.headers["ETag"] == exact.headers["ETag"]
    assert latest.headers["X-Model"] == "grey/1"
    assert latest.headers["Cache-Control"] == "no-cache"
    assert "immutable" in exact.headers["Cache-Control"]


def test_a_copy_is_revalidated(client: TestClient) -> None:
    etag = client.get("/images/grey/latest/7.png").headers["ETag"]
    for method in ("GET", "HEAD"):
        headers = {"If-None-Match": etag}
        response = client.request(method, "/images/grey/latest/7.png", headers=headers)
        assert (response.status_code, response.headers["Cache-Control"]) == (304, "no-cache")


def test_it_is_private_where_a_key_is_needed(tmp_path: Path) -> None:
    key = "a-key-of-16-chars"
    publish("grey", tmp_path)
    app = create_app(Settings(models=tmp_path, provider="cpu", api_keys=(key,)))
    with TestClient(app) as closed:
        found = closed.get("/images/grey/latest/7.png", headers={"X-API-Key": key})
    assert found.headers["Cache-Control"] == "private, no-cache"


def test_every_endpoint_takes_it_in_the_query_or_in_the_body(client: TestClient) -> None:
    sheet = client.get("/grid?model=grey&version=latest&seed=1")
    exact = client.get("/grid?model=grey&version=1&seed=1")
    assert sheet.content == exact.content
    assert "immutable" in exact.headers["Cache-Control"]
    assert "Cache-Control" not in sheet.headers
    body = {"model": "grey", "version": "latest", "seed": 1, "n": 2}
    by_body = client.post("/generate", json=body)
    assert by_body.json()["version"] == 1
    assert client.post("/generate", params=body).content == by_body.content
    assert "/images/grey/1/" in by_body.json()["images"][0]["url"]


@pytest.mark.parametrize("path", ["/images/grey/newest/7.png", "/grid?version=newest"])
def test_any_other_word_is_refused(client: TestClient, path: str) -> None:
    (error,) = client.get(path).json()["errors"]
    assert error["parameter"] == "version"
    assert error["allowed"].endswith(', or "latest"')


def test_it_in_query_and_body_is_named(client: TestClient) -> None:
    (error,) = client.post("/grid?version=latest", json={"version": 1}).json()["errors"]
    assert (error["parameter"], error["value"]) == ("version", "latest")
