"""Helpers of the browser tests: the pixels that a page shows, and those of the server."""

import io
from collections.abc import Callable

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.waiting import eventually

Pixels = NDArray[np.uint8]

_PIXELS = """(shown) => {
    const copy = new OffscreenCanvas(shown.width, shown.height);
    const context = copy.getContext('2d', { willReadFrequently: true });
    context.drawImage(shown, 0, 0);
    const { data } = context.getImageData(0, 0, copy.width, copy.height);
    return [copy.width, copy.height, ...data];
}"""


def pixels(canvas: Locator) -> Pixels:
    """The pixels of a canvas: ``(height, width, 3)``."""
    width, height, *found = canvas.evaluate(_PIXELS)
    return np.array(found, np.uint8).reshape(height, width, 4)[..., :3]


def served(server: str, path: str) -> Pixels:
    """The pixels of an image of the server: ``(height, width, 3)``."""
    return decoded(httpx.get(f"{server}/{path}", timeout=60).raise_for_status().content)


def decoded(content: bytes) -> Pixels:
    """The pixels of a file: ``(height, width, 3)``."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def stage(page: Page) -> Locator:
    """The canvas with the large picture."""
    return page.locator("#stage-picture")


def wait_for_stage(page: Page, expected: Pixels, most: int = 1) -> None:
    """Wait until the stage shows ``expected``; values may differ by at most ``most``.

    Latents that the page computes may be rounded to other numbers than the server's.
    """

    def shows() -> bool:
        shown = pixels(stage(page))
        return shown.shape == expected.shape and difference(shown, expected) <= most

    wait_for(page, shows)


def wait_for(page: Page, holds: Callable[[], object]) -> None:
    """Wait until ``holds()`` is true; meanwhile Playwright handles the events of ``page``."""
    eventually(holds, lambda: page.wait_for_timeout(25))


def difference(one: Pixels, other: Pixels) -> int:
    """The largest difference of two values."""
    return int(np.abs(one.astype(int) - other).max())


def tile(page: Page, number: int, within: str = "#sheets") -> Locator:
    """One of the buttons that send a small picture to the stage."""
    return page.locator(f"{within} .tile .open").nth(number)


def wait_for_tile(page: Page, number: int, within: str = "#sheets") -> Locator:
    """The canvas of a tile, once it has its picture."""
    canvas = page.locator(f"{within} .tile canvas").nth(number)
    expect(canvas).not_to_have_js_property("width", 1)
    return canvas
