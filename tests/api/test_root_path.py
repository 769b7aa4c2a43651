"""The server behind a proxy that offers it below a path."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.errors import StartupError
from app.main import create_app
from app.settings import Settings

PREFIX = "/art/dcgan"
OPENAI = {"prompt": "", "response_format": "url", "seed": 7}


@pytest.fixture(scope="module")
def below(models: Path) -> Iterator[TestClient]:
    """A server that a proxy offers below PREFIX."""
    app = create_app(Settings(models=models, provider="cpu", root_path=f"{PREFIX}/"))
    with TestClient(app, raise_server_exceptions=False, client=("127.0.0.1", 5)) as client:
        yield client


@pytest.fixture(params=["", PREFIX], ids=["removed", "kept"])
def proxied(request: pytest.FixtureRequest) -> str:
    """What the proxy leaves of the prefix in a request."""
    return str(request.param)


def test_every_url_in_an_answer_can_be_requested(below: TestClient, proxied: str) -> None:
    answers = [
        below.post(f"{proxied}/generate?n=2&seed=7&scale=2"),
        below.post(f"{proxied}/v1/images/generations", json=OPENAI),
        below.get(f"{proxied}/models"),
        below.get(f"{proxied}/models/digits"),
    ]
    for answer in answers:
        urls = re.findall(r'"(?:url|example)":"(?:http://[^/]+)?([^"]+)"', answer.text)
        assert urls
        assert all(url.startswith(f"{PREFIX}/images/") for url in urls)
        assert below.get(urls[0]).headers["Content-Type"] == "image/png"


def test_the_documentation_finds_its_files_and_the_api(below: TestClient, proxied: str) -> None:
    page = below.get(f"{proxied}/docs").text
    links = re.findall(r'(?:href|src)="(/[^"]+)"', page)
    assert len(links) >= 3
    for link in [*links, f"{PREFIX}/openapi.json"]:
        assert link.startswith(f"{PREFIX}/")
        assert below.get(link).is_success
    assert f"'{PREFIX}/openapi.json'" in page
    document = below.get(f"{proxied}/openapi.json").json()
    assert document["servers"] == [{"url": PREFIX}]


def test_the_page_has_relative_links_only(below: TestClient, proxied: str) -> None:
    page = below.get(f"{proxied}/").text
    links = [unescape(link) for link in re.findall(r'(?:href|src)="([^"#]+)"', page)]
    assert links
    assert not any(link.startswith("/") for link in links)
    assert all(below.get(f"{PREFIX}/{link}").is_success for link in links)


def test_the_prefix_alone_leads_to_the_page(below: TestClient) -> None:
    moved = below.get(PREFIX, follow_redirects=False)
    assert (moved.status_code, moved.headers["Location"]) == (308, f"{PREFIX}/")


def test_errors_have_the_format_of_their_route(below: TestClient, proxied: str) -> None:
    assert "error" in below.get(f"{proxied}/v2/models/cats").json()
    assert "type" in below.get(f"{proxied}/v1/models/cats").json()["error"]
    problem = below.get(f"{proxied}/grid?rows=0").json()
    assert (problem["status"], problem["errors"][0]["parameter"]) == (422, "rows")


def test_routes_are_counted_without_the_prefix(below: TestClient) -> None:
    below.get(f"{PREFIX}/models")
    assert 'route="/models",status="200"' in below.get("/metrics").text


def test_the_cookie_for_the_page_is_sent_to_the_prefix_alone(models: Path) -> None:
    key = "a-key-of-16-chars"
    app = create_app(Settings(models=models, provider="cpu", api_keys=(key,), root_path=PREFIX))
    answer = TestClient(app).post("/access", headers={"X-API-Key": key})
    assert f"Path={PREFIX};" in answer.headers["Set-Cookie"]


def test_a_trusted_proxy_reports_the_prefix_that_it_has_removed(client: TestClient) -> None:
    headers = {"X-Forwarded-Prefix": "/images"}  # a route of the server, too
    trusted = TestClient(client.app, client=("127.0.0.1", 5))
    trusted.portal = client.portal
    for one, prefix in ((trusted, "/images"), (client, "")):
        (image,) = one.post("/generate?n=1&seed=7", headers=headers).json()["images"]
        assert image["url"] == f"http://testserver{prefix}/images/fashion-mnist/2/7.png"
        assert one.get("/images/fashion-mnist/2/7.png", headers=headers).is_success


def test_urls_have_the_scheme_and_host_that_a_trusted_proxy_reports(client: TestClient) -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "art.example"}
    trusted = TestClient(client.app, client=("127.0.0.1", 5))
    trusted.portal = client.portal
    for one, site in ((trusted, "https://art.example"), (client, "http://testserver")):
        answers = [
            one.post("/generate?n=1", headers=headers),
            one.post("/v1/images/generations", json=OPENAI, headers=headers),
            one.get("/models", headers=headers),
        ]
        for answer in answers:
            urls = re.findall(r'"(?:url|example)":"([^"]+)"', answer.text)
            assert urls
            assert all(url.startswith(f"{site}/images/") for url in urls)
        assert f'"og:image" content="{site}/images/' in one.get("/", headers=headers).text


def test_a_prefix_that_is_a_path_of_the_server_is_refused(models: Path, client: TestClient) -> None:
    paths = ["/docs/oauth2-redirect", "/static-offline-docs/a", "/web/page.js"]
    paths += client.get("/openapi.json").json()["paths"]
    for first in {path.split("/")[1] for path in paths if path.count("/") > 1}:
        settings = Settings(models=models, provider="cpu", root_path=f"/{first}/more")
        refused = f"root_path is '/{first}/more' but must not begin like .*/{first}"
        with pytest.raises(StartupError, match=refused):
            create_app(settings)
