"""The page at ``/`` and its files over HTTP. Its behaviour is tested in ``tests/browser``."""

import base64
import hashlib
import html
import io
import re
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image, ImageChops, ImageStat

from app.latent import sampling

TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
MAX_BYTES = 80_000
"""Of all that the page loads, compressed as browsers receive it: 0.4 s at 1.6 Mbit/s."""
LOADED = ("/", "/web/page.js", "/web/icon.svg")


@pytest.fixture(scope="module")
def page_files(root: Path) -> dict[str, Path]:
    """The files that the page is made of, by name."""
    found = (root / "app" / "web").iterdir()
    return {path.name: path for path in found if path.suffix in TYPES}


def test_the_sources_are_served_unchanged(client: TestClient, page_files: dict[str, Path]) -> None:
    assert len(page_files) > 10
    for name, path in page_files.items():
        answer = client.get(f"/web/{name}")
        assert answer.content == path.read_bytes()
        assert answer.headers["Content-Type"].startswith(TYPES[path.suffix])


def test_the_page_is_one_document_and_one_script(
    client: TestClient, page_files: dict[str, Path]
) -> None:
    page = client.get("/")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page_files["style.css"].read_text() in page.text
    assert set(re.findall(r'"web/([^"]+)"', page.text)) == {"page.js", "icon.svg"}
    script = client.get("/web/page.js").text
    for path in page_files.values():
        for name in re.findall(r"^(?:export )?function (\w+)", path.read_text(), re.MULTILINE):
            assert f"function {name}(" in script


def test_the_page_knows_the_timeout_of_the_server(client: TestClient) -> None:
    assert client.get("/").text.startswith('<!doctype html>\n<html lang="en" data-timeout="30">')


def test_the_whole_page_is_small(client: TestClient) -> None:
    sizes = [int(client.get(path).headers["Content-Length"]) for path in LOADED]
    assert sum(sizes) < MAX_BYTES


def test_the_page_loads_nothing_from_other_sites(
    client: TestClient, page_files: dict[str, Path]
) -> None:
    policy = client.get("/").headers["Content-Security-Policy"]
    sources = dict(part.split(" ", 1) for part in policy.split("; "))
    assert sources["default-src"] == "'none'"
    assert {"unsafe", "http", "*"}.isdisjoint(re.findall(r"unsafe|http|\*", policy))
    digest = hashlib.sha256(page_files["style.css"].read_bytes()).digest()
    assert sources["style-src"] == f"'sha256-{base64.b64encode(digest).decode()}'"
    texts = [client.get("/?latent=AA").text, *(path.read_text() for path in page_files.values())]
    addresses = {found for text in texts for found in re.findall(r"https?://[\w./]+", text)}
    assert addresses <= {"http://www.w3.org/2000/svg"}


def test_the_head_describes_the_picture_in_the_address(client: TestClient) -> None:
    page = client.get("/?model=faces&version=1&seed=42&edit=glasses:2&tool=vary").text
    assert "<title>faces 42 " in page
    image = "/images/faces/1/42.png?edit=glasses:2"
    assert f'<meta property="og:image" content="http://testserver{image}&amp;scale=8">' in page
    assert '<meta property="og:image:width" content="512">' in page
    assert f'<img id="stage-first" src="{image[1:]}"' in page
    assert client.get(image).status_code == 200


def latent_text(seed: int) -> str:
    """The latent of a seed of the first version of `faces`, as in the page's address."""
    latent = sampling.from_seeds([seed], 64, "normal")[0]
    return base64.urlsafe_b64encode((latent * 2048).round().astype("<i2")).decode().rstrip("=")


@pytest.mark.parametrize("options", ["", "&edit=glasses:2&truncation=0.7"])
def test_a_picture_without_a_seed_has_an_image(client: TestClient, options: str) -> None:
    text = latent_text(42)
    page = client.get(f"/?model=faces&version=1&latent={text}{options}").text
    assert "<title>faces \N{EN DASH} " in page
    (image,) = re.findall('property="og:image" content="([^"]+)"', page)
    shown = client.get(html.unescape(image).removesuffix("&scale=8"))
    expected = client.get("/images/faces/1/42.png", params=options.lstrip("&"))
    pair = [Image.open(io.BytesIO(one.content)) for one in (shown, expected)]
    assert ImageStat.Stat(ImageChops.difference(*pair)).mean < [1, 1, 1]
    assert "immutable" in shown.headers["Cache-Control"]
    assert client.get(html.unescape(image)).status_code == 200


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("model=faces&version=1&latent=AAAA", "latent is 'AAAA' but must be 64 numbers"),
        ("model=faces&version=1&latent=A", "latent is 'A' but must be"),
        ("model=faces&version=1&latent=ä", "latent"),
        ("model=faces&latent=AAAA", "version is missing but must be an integer from 1"),
        ("model=faces&version=1&latent=AAAA&z=1", "z is '1' but must be left out"),
        ("model=none&version=1&latent=AAAA", "none"),
    ],
)
def test_a_wrong_latent_is_refused(client: TestClient, query: str, named: str) -> None:
    answer = client.get(f"/web/latent.png?{query}")
    assert 400 <= answer.status_code < 500
    assert named in answer.json()["detail"]


def test_the_frames_of_a_morph_have_classes_of_their_own(client: TestClient) -> None:
    latents = sampling.from_seeds([3, 17], 64, "normal")
    classes = np.eye(10)[[1, 7]]
    frames = np.hstack([latents, classes]).tolist()
    body = {
        "model": "digits",
        "version": 1,
        "frames": frames,
        "format": "apng",
        "fps": 2,
        "scale": 2,
    }
    answer = client.post("/web/morph", json=body)
    with Image.open(io.BytesIO(answer.content)) as animation:
        assert (animation.n_frames, animation.size) == (2, (56, 56))
        for number, path in enumerate(("3.png?class=1", "17.png?class=7")):
            animation.seek(number)
            expected = Image.open(io.BytesIO(client.get(f"/images/digits/1/{path}").content))
            shown = animation.convert("L").resize((28, 28), Image.Resampling.NEAREST)
            assert ImageStat.Stat(ImageChops.difference(shown, expected)).extrema[0][1] <= 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"frames": [[0.0] * 64]}, "frames.0"),
        ({"frames": [[0.0] * 74]}, "frames"),
        ({"frames": []}, "frames"),
        ({"frames": [[0.5] * 74] * 257}, "frames"),
        ({"scale": 9}, "scale is 9 but must be an integer from 1 to 8"),
        ({"format": "png", "n": 1}, "format is 'png' but must be one of gif, webp, apng"),
        ({"version": 9}, "version"),
    ],
)
def test_wrong_frames_of_a_morph_are_refused(
    client: TestClient, change: dict[str, object], named: str
) -> None:
    body = {"model": "digits", "version": 1, "frames": [[0.5] * 74] * 2, "format": "gif", "fps": 2}
    answer = client.post("/web/morph", json=body | {"scale": 1} | change)
    assert 400 <= answer.status_code < 500
    assert named in answer.json()["detail"]


def test_the_query_of_a_morph_is_not_ignored(client: TestClient) -> None:
    answer = client.post("/web/morph?n=3", json={})
    assert answer.status_code == 422
    assert "n is '3' but must be left out: the query has no parameters" in answer.json()["detail"]


def test_the_head_links_to_the_first_sheet(client: TestClient) -> None:
    page = client.get("/?model=faces&version=1&first=60").text
    (path,) = re.findall('rel="preload" href="(grid[^"]+)"', page)
    assert client.get(html.unescape(path)).headers["Content-Type"] == "image/png"
    for depends in ("rows=1", "apply=1", "scroll=60"):
        assert 'href="grid' not in client.get(f"/?model=digits&{depends}").text


def test_faces_come_first(client: TestClient) -> None:
    assert "<title>faces 18 " in client.get("/").text
    assert "<title>digits 18 " in client.get("/?model=digits").text


@pytest.mark.parametrize(
    "query",
    [
        "latent=AAAA",
        "latent=ä",
        "model=none",
        "model=faces&version=99",
        "model=faces&version=x",
        "seed=x",
        "seed=4294967296",
        "edit=none:1",
        "edit=x",
        "class=sneaker",
        'seed="><script>',
        'class="><script>',
    ],
)
def test_an_address_without_a_picture_has_the_general_title(client: TestClient, query: str) -> None:
    page = client.get(f"/?{query}")
    assert page.status_code == 200
    assert "<title>AI pictures of things that do not exist</title>" in page.text
    assert "og:image" not in page.text
    assert "stage-first" not in page.text


def test_two_addresses_have_different_entity_tags(client: TestClient) -> None:
    one, other = client.get("/?seed=1"), client.get("/?seed=2")
    assert one.headers["ETag"] != other.headers["ETag"]
    again = client.get("/?seed=1", headers={"If-None-Match": one.headers["ETag"]})
    assert again.status_code == 304


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
