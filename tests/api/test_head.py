"""HEAD is answered wherever GET is, with the same status and headers."""

import re

import pytest
from fastapi.testclient import TestClient

VARYING = {"x-request-id", "server-timing", "x-seed"}
VALUES = {
    "{model}": "fashion-mnist",
    "{name}": "fashion-mnist",
    "{version}": "2",
    "{seed}": "7",
    "{form}": "png",
    "{kind}": "not-found",
}
QUERIES = {"/interpolate": "?from=1&to=2", "/variations": "?seed=1"}
UNDOCUMENTED = ["/", "/web/main.js", "/docs", "/openapi.json", "/static-offline-docs/favicon.png"]
REFUSED = [
    "/nowhere",
    "/web/nothing.js",
    "/grid?rows=0",
    "/interpolate?from=1",
    "/models/cats",
    "/v2/models/cats",
    "/v1/models/cats",
    "/generate",
    "/v2/repository/index",
]


def documented(client: TestClient) -> list[str]:
    """The path of every documented operation with GET."""
    found = []
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        if "get" in operations:
            filled = re.sub(r"\{\w+\}", lambda name: VALUES[name[0]], path)
            found.append(filled + QUERIES.get(path, ""))
    return found


def seen(client: TestClient, method: str, path: str) -> tuple[int, dict[str, str]]:
    answer = client.request(method, path, headers={"Accept-Encoding": "gzip"})
    headers = answer.headers.items()
    return answer.status_code, {name: value for name, value in headers if name not in VARYING}


def test_head_has_the_status_and_headers_of_get(client: TestClient) -> None:
    for path in [*documented(client), *UNDOCUMENTED]:
        get, head = seen(client, "GET", path), seen(client, "HEAD", path)
        if path == "/metrics":  # this request has changed them
            get[1].pop("content-length"), head[1].pop("content-length")
        if path == "/grid":  # of random images
            get[1].pop("content-length"), head[1].pop("content-length")
        assert (path, head) == (path, get)


@pytest.mark.parametrize("path", REFUSED)
def test_head_is_refused_as_get_is(client: TestClient, path: str) -> None:
    get, head = seen(client, "GET", path), seen(client, "HEAD", path)
    assert head[0] == get[0] >= 400
    assert head[1].get("allow") == get[1].get("allow")


@pytest.mark.parametrize("path", ["/health/live", "/models", "/docs", "/", "/images/faces/1/7.png"])
def test_allow_names_head_beside_get(client: TestClient, path: str) -> None:
    answer = client.put(path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_the_metrics_count_head_by_its_own_name(client: TestClient) -> None:
    for path in ("/health/live", "/models/{name}"):
        client.head(path.replace("{name}", "faces"))
        counted = f'dcgan_requests_total{{method="HEAD",route="{path}",status="200"}}'
        assert counted in client.get("/metrics").text


def test_head_generates_no_more_than_the_start_of_a_stream(client: TestClient) -> None:
    def computed() -> float:
        lines = re.findall(r"^dcgan_images_computed_total\S* (\S+)$", metrics(), re.MULTILINE)
        return sum(map(float, lines))

    def metrics() -> str:
        return client.get("/metrics").text

    before = computed()
    answer = client.head("/interpolate?from=1&to=2&steps=256&format=ndjson")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert computed() - before < 64
