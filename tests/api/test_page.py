"""The page at ``/`` as files over HTTP; tests/browser shows what it does."""

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
MOST_BYTES = 60_000


@pytest.fixture(scope="module")
def parts(root: Path) -> dict[str, Path]:
    """The files beside the page, by name."""
    found = (root / "app" / "web").iterdir()
    return {path.name: path for path in found if path.suffix in TYPES}


def test_the_page_and_its_parts_are_served_as_they_are(
    client: TestClient, root: Path, parts: dict[str, Path]
) -> None:
    page = client.get("/")
    assert page.content == (root / "app" / "web" / "index.html").read_bytes()
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert len(parts) > 10
    for name, path in parts.items():
        answer = client.get(f"/web/{name}")
        assert answer.content == path.read_bytes()
        assert answer.headers["Content-Type"].startswith(TYPES[path.suffix])


def test_together_they_are_small(client: TestClient, parts: dict[str, Path]) -> None:
    sizes = [len(client.get(path).content) for path in ("/", *(f"/web/{name}" for name in parts))]
    assert sum(sizes) < MOST_BYTES


def test_nothing_on_the_page_comes_from_elsewhere(
    client: TestClient, parts: dict[str, Path]
) -> None:
    policy = client.get("/").headers["Content-Security-Policy"]
    sources = dict(part.split(" ", 1) for part in policy.split("; "))
    assert sources["default-src"] == "'none'"
    assert {"unsafe", "http", "*"}.isdisjoint(re.findall(r"unsafe|http|\*", policy))
    texts = [client.get("/").text, *(path.read_text() for path in parts.values())]
    addresses = {found for text in texts for found in re.findall(r"https?://[\w./]+", text)}
    assert addresses <= {"http://www.w3.org/2000/svg"}


def test_every_file_that_is_named_is_there(client: TestClient, parts: dict[str, Path]) -> None:
    named = set(re.findall(r'"web/([^"]+)"', client.get("/").text))
    for path in parts.values():
        named |= set(re.findall(r'from "\./([^"]+)"', path.read_text()))
    assert named == parts.keys()


@pytest.mark.parametrize("path", ["/", "/web/main.js"])
def test_a_copy_that_is_still_good_is_not_sent_again(client: TestClient, path: str) -> None:
    first = client.get(path, headers={"Accept-Encoding": "identity"})
    tag = first.headers["ETag"]
    assert first.headers["Cache-Control"] == "no-cache"
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = client.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == tag
    other = client.get(path, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)


def test_different_files_have_different_tags(client: TestClient, parts: dict[str, Path]) -> None:
    tags = {client.get(f"/web/{name}").headers["ETag"] for name in parts}
    assert len(tags) == len(parts)


def test_a_head_is_the_answer_without_its_body(client: TestClient) -> None:
    head, whole = client.head("/"), client.get("/")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == whole.headers["Content-Length"]
    assert head.headers["ETag"] == whole.headers["ETag"]


@pytest.mark.parametrize("name", ["other.js", "__init__.py", "..%2Fmain.py"])
def test_no_other_file_is_served(client: TestClient, name: str) -> None:
    answer = client.get(f"/web/{name}")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
