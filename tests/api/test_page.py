"""The page at ``/`` and its files over HTTP. Its behaviour is tested in ``tests/browser``."""

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
MAX_BYTES = 80_000
"""Of all files, compressed as browsers receive them: 0.4 s over a network with 1.6 Mbit/s."""


@pytest.fixture(scope="module")
def page_files(root: Path) -> dict[str, Path]:
    """The files that the page loads, by name."""
    found = (root / "app" / "web").iterdir()
    return {path.name: path for path in found if path.suffix in TYPES}


def test_the_page_and_its_files_are_served_unchanged(
    client: TestClient, root: Path, page_files: dict[str, Path]
) -> None:
    page = client.get("/")
    assert page.content == (root / "app" / "web" / "index.html").read_bytes()
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert len(page_files) > 10
    for name, path in page_files.items():
        answer = client.get(f"/web/{name}")
        assert answer.content == path.read_bytes()
        assert answer.headers["Content-Type"].startswith(TYPES[path.suffix])


def test_the_whole_page_is_small(client: TestClient, page_files: dict[str, Path]) -> None:
    paths = ("/", *(f"/web/{name}" for name in page_files))
    sizes = [int(client.get(path).headers["Content-Length"]) for path in paths]
    assert sum(sizes) < MAX_BYTES


def test_the_page_loads_nothing_from_other_sites(
    client: TestClient, page_files: dict[str, Path]
) -> None:
    policy = client.get("/").headers["Content-Security-Policy"]
    sources = dict(part.split(" ", 1) for part in policy.split("; "))
    assert sources["default-src"] == "'none'"
    assert {"unsafe", "http", "*"}.isdisjoint(re.findall(r"unsafe|http|\*", policy))
    texts = [client.get("/").text, *(path.read_text() for path in page_files.values())]
    addresses = {found for text in texts for found in re.findall(r"https?://[\w./]+", text)}
    assert addresses <= {"http://www.w3.org/2000/svg"}


def test_the_page_refers_to_all_of_its_files_and_no_others(
    client: TestClient, page_files: dict[str, Path]
) -> None:
    referenced = set(re.findall(r'"web/([^"]+)"', client.get("/").text))
    for path in page_files.values():
        referenced |= set(re.findall(r'(?:from|import) "\./([^"]+)"', path.read_text()))
    assert referenced == page_files.keys()


@pytest.mark.parametrize("path", ["/", "/web/main.js"])
def test_an_unchanged_file_is_not_sent_again(client: TestClient, path: str) -> None:
    first = client.get(path, headers={"Accept-Encoding": "identity"})
    etag = first.headers["ETag"]
    assert first.headers["Cache-Control"] == "no-cache"
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = client.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == etag
    other = client.get(path, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)


def test_different_files_have_different_entity_tags(
    client: TestClient, page_files: dict[str, Path]
) -> None:
    tags = {client.get(f"/web/{name}").headers["ETag"] for name in page_files}
    assert len(tags) == len(page_files)


def test_head_has_the_headers_of_get_and_no_body(client: TestClient) -> None:
    head, get = client.head("/"), client.get("/")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"]
    assert head.headers["ETag"] == get.headers["ETag"]


@pytest.mark.parametrize("name", ["other.js", "__init__.py", "..%2Fmain.py"])
def test_other_files_are_not_served(client: TestClient, name: str) -> None:
    answer = client.get(f"/web/{name}")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
