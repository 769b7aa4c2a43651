"""The browser example of app/api/README.md, word for word but for the server's address."""

from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Page, expect

Open = Callable[..., Page]

ADDRESS = "http://127.0.0.1:8000"
PATH = "interpolate?from=3&to=17&steps=64&scale=4&format=json"


@pytest.fixture
def other_site(root: Path, server: str, tmp_path: Path) -> Iterator[str]:
    """The address of another site with the example as its page."""
    readme = (root / "app" / "api" / "README.md").read_text()
    (example,) = (block.partition("```")[0] for block in readme.split("```html\n")[1:])
    assert example.count(ADDRESS) == 2
    icon = '<link rel="icon" href="data:,">'  # else the browser requests /favicon.ico
    (tmp_path / "index.html").write_text(icon + example.replace(ADDRESS, server))
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as site:
        thread = Thread(target=site.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{site.server_port}"
        site.shutdown()
        thread.join()


def test_the_example_works_on_another_site(open_page: Open, other_site: str, server: str) -> None:
    page = open_page(base=other_site)
    images = page.locator("body > img")
    expect(images).to_have_count(6)
    for image in images.all():
        expect(image).to_have_js_property("naturalWidth", 112)
    expect(images.first).to_have_attribute("alt", "Image 42")
    last = httpx.get(f"{server}/{PATH}", timeout=60).json()["frames"][-1]["png"]
    expect(page.locator("#moving")).to_have_attribute("src", f"data:image/png;base64,{last}")
