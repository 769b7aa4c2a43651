"""Layout and accessibility: small and large windows, light and dark, motion, touch."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from PIL import Image
from playwright.sync_api import Page, expect

Open = Callable[..., Page]
WaitUntilIdle = Callable[[Page], None]

SMALL = {"width": 320, "height": 640}
SIZES = {320: SMALL, 1280: {"width": 1280, "height": 800}}
PAPER = {"light": "rgb(250, 249, 246)", "dark": "rgb(23, 22, 21)"}
VIEWS = {
    "colours": "pins=3,17,99,7,21&start=3,17&minus=99&plus=21&edit=bright:1",
    "clothes": "class=sneaker:0.7+bag:0.3&pins=3,17:bag,99:coat,7&start=3,17:bag&plus=7",
    "people": "pins=3,17,99,7,21&start=3,17&attributes=glasses,-brown_hair",
}
"""What the address says beside the model."""
PANELS = {
    "gallery": "Gallery",
    "morph": "Morph",
    "blend": "Blend",
    "variations": "Variations",
    "arithmetic": "Arithmetic",
}
"""The names of panels in the address, and their tabs."""
LEVEL_AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@pytest.fixture
def violations() -> Callable[[Page], list[str]]:
    """Returns a function that lists violations of WCAG level AA found by axe-core."""
    reason = "axe-playwright-python is not installed; it is in the extra dev"
    axe: Any = pytest.importorskip("axe_playwright_python.sync_playwright", reason=reason)
    options = {"runOnly": {"type": "tag", "values": LEVEL_AA}, "resultTypes": ["violations"]}

    def found(page: Page) -> list[str]:
        violated = axe.Axe().run(page, options=options).response["violations"]
        return [
            json.dumps([one["id"], [node["html"] for node in one["nodes"]]]) for one in violated
        ]

    return found


@pytest.mark.parametrize(
    ("model", "width", "scheme"),
    [
        ("colours", 320, "dark"),
        ("colours", 1280, "light"),
        ("clothes", 320, "light"),
        ("people", 1280, "dark"),
    ],
)
def test_every_panel_fits_its_window_and_is_accessible(
    open_page: Open,
    wait_until_idle: WaitUntilIdle,
    violations: Callable[[Page], list[str]],
    screenshots: Path,
    model: str,
    width: int,
    scheme: str,
) -> None:
    options = {"viewport": SIZES[width], "color_scheme": scheme, "reduced_motion": "reduce"}
    page = open_page(f"#model={model}&{VIEWS[model]}", **options)
    expect(page.locator("body")).to_have_css("background-color", PAPER[scheme])
    assert count_animated(page) == 0
    for panel, tab in PANELS.items():
        page.get_by_role("link", name=tab).click()
        wait_until_idle(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.querySelector('nav').scrollWidth") <= width  # all tabs
        assert violations(page) == []
        take_screenshot(page, screenshots / f"{model}-{panel}-{width}-{scheme}.png", width)
    page.locator("#pins-list button").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations(page) == []
    take_screenshot(page, screenshots / f"{model}-dialog-{width}-{scheme}.png", width)


@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1280, "light")])
def test_a_row_for_each_class_fits_its_window_and_is_accessible(
    open_page: Open,
    wait_until_idle: WaitUntilIdle,
    violations: Callable[[Page], list[str]],
    screenshots: Path,
    width: int,
    scheme: str,
) -> None:
    options = {"viewport": SIZES[width], "color_scheme": scheme}
    page = open_page("#model=clothes&rows=classes&seed=4294967290", **options)
    wait_until_idle(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []
    take_screenshot(page, screenshots / f"rows-{width}-{scheme}.png", width)
    box = page.locator("#rows .tile").last.bounding_box()
    assert box is not None
    assert box["width"] >= 44  # to be hit by a finger


def take_screenshot(page: Page, path: Path, width: int) -> None:
    """Save a screenshot; it must be as wide as the window and not blank."""
    page.screenshot(path=path)
    with Image.open(path) as image:
        assert image.width == width
        assert len(image.convert("L").getcolors() or []) > 20


def count_animated(page: Page) -> int:
    """The number of elements with a transition or an animation."""
    found: int = page.evaluate(
        """() => [...document.querySelectorAll('*')].filter((element) => {
            const { transitionDuration, animationDuration } = getComputedStyle(element);
            return transitionDuration !== '0s' || animationDuration !== '0s';
        }).length"""
    )
    return found


def test_panels_without_pins_are_accessible(
    open_page: Open, violations: Callable[[Page], list[str]]
) -> None:
    page = open_page()
    assert count_animated(page) > 0  # the browser did not ask for reduced motion
    for tab in PANELS.values():
        page.get_by_role("link", name=tab).click()
        assert violations(page) == []


def test_touch_works_on_a_small_screen(open_page: Open, wait_until_idle: WaitUntilIdle) -> None:
    page = open_page(viewport=SMALL, has_touch=True, is_mobile=True)
    for number in range(4):
        page.locator(".tile").nth(number).tap()
        page.get_by_role("button", name="Pin", exact=True).tap()
        page.get_by_role("button", name="Close").tap()
    page.get_by_role("link", name="Blend").tap()
    wait_until_idle(page)
    pad = page.get_by_role("slider", name="Position of the blend")
    pad.tap(position={"x": 20, "y": 20})
    expect(pad).to_have_attribute("aria-valuenow", "8")
