"""The README's example for a browser, word for word but for the server's address."""

import base64
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Page, expect

Open = Callable[..., Page]

ADDRESS = "http://127.0.0.1:8000"


def test_the_example_shows_images_and_plays_the_way(
    open_page: Open, server: str, root: Path
) -> None:
    readme = (root / "README.md").read_text()
    (example,) = (block.partition("```")[0] for block in readme.split("```html\n")[1:])
    assert example.count(ADDRESS) == 2
    page = open_page()
    page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
    page.route(
        "**/example",
        lambda route: route.fulfill(
            content_type="text/html", body=example.replace(ADDRESS, server)
        ),
    )
    page.goto(f"{server}/example")
    expect(page.get_by_role("img", name="Image 42", exact=True)).to_have_js_property(
        "naturalWidth", 112
    )
    images = page.locator("body > img")
    expect(images).to_have_count(6)
    for image in images.all():
        expect(image).to_have_js_property("naturalWidth", 112)
    last = httpx.get(f"{server}/interpolate?from=3&to=17&steps=64&scale=4&format=json")
    png = last.json()["frames"][-1]["png"]
    assert base64.b64decode(png).startswith(b"\x89PNG")
    expect(page.locator("#moving")).to_have_attribute("src", f"data:image/png;base64,{png}")
