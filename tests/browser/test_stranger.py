"""A stranger makes, edits, morphs, shares and saves a face: by mouse, by keyboard and by touch."""

import re
from collections.abc import Callable

import httpx
import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browser.pictures import served, tile, wait_for_stage, wait_for_tile
from tests.waiting import PATIENCE

Open = Callable[..., Page]
Press = Callable[[Locator], object]

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
SHARE = "() => { navigator.share = async ({ url }) => { window.shared = url; }; }"
WAYS: dict[str, tuple[Press, dict[str, object]]] = {
    "mouse": (lambda control: control.click(), {}),
    "keyboard": (lambda control: control.press("Enter"), {}),
    "touch": (lambda control: control.tap(), PHONE),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_stranger_needs_no_instructions(open_page: Open, server: str, way: str) -> None:
    press, window = WAYS[way]
    page = open_page("?model=people&seed=1", permissions=["clipboard-read"], **window)

    def button(name: str) -> Locator:
        return page.get_by_role("button", name=name, exact=True)

    urls = (f"{server}/images/people/1/{seed}.png" for seed in range(8))
    found = (httpx.get(url, timeout=PATIENCE).headers for url in urls)
    seed = next(k for k, one in enumerate(found) if "-glasses" in one["X-Attributes"])
    wait_for_tile(page, seed)
    press(tile(page, seed))
    wait_for_stage(page, served(server, f"images/people/1/{seed}.png"))
    slider = page.get_by_role("slider", name="glasses")
    if way == "keyboard":
        slider.press("End")
    else:
        box = slider.bounding_box()
        assert box
        right = {"x": box["width"] - 2, "y": box["height"] / 2}
        if way == "mouse":
            slider.click(position=right)
        else:
            slider.tap(position=right)
    wait_for_stage(page, served(server, f"images/people/1/{seed}.png?attributes=glasses"))
    press(button("Pin"))
    press(button("Shuffle"))
    expect(page).not_to_have_url(re.compile(f"seed={seed}&"))
    press(button("Pin"))
    with page.expect_download() as picture:
        press(button("Save"))
    assert re.fullmatch(r"people-1-\d+-attributes-glasses.png", picture.value.suggested_filename)
    press(page.get_by_role("link", name="Morph"))
    expect(page.locator("#morph")).to_have_attribute("aria-busy", "false")
    press(button("Play"))
    press(button("Pause"))
    expect(page).to_have_url(re.compile("&tool=morph"))
    with page.expect_download() as morph:
        press(button("Save GIF"))
    with Image.open(morph.value.path()) as animation:
        assert animation.n_frames == 48
    if way == "touch":
        page.evaluate(SHARE)
        press(button("Share"))
        shared = page.evaluate("window.shared")
    else:
        press(button("Share"))
        expect(button("Link copied")).to_be_visible()
        shared = page.evaluate("navigator.clipboard.readText()")
    assert shared == page.url
