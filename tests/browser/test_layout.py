"""Layout and accessibility: small and large windows, light and dark, motion, touch."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.pictures import served, stage, tile, wait_for_stage

Open = Callable[..., Page]
WaitUntilIdle = Callable[[Page], None]

SMALL = {"width": 320, "height": 640}
PHONE = {"width": 360, "height": 740}
SIZES = {320: SMALL, 1280: {"width": 1280, "height": 800}}
PAPER = {"light": "rgb(250, 249, 246)", "dark": "rgb(23, 22, 21)"}
VIEWS = {
    "colours": "seed=3&pins=3~17~99~7~21;edit=bright:1&start=3~17&minus=99&plus=21&edit=bright:1",
    "clothes": "seed=3&class=sneaker:0.7+bag:0.3&pins=3~17;class=bag&apply=1",
    "people": "seed=3&pins=3~17~99~7~21&start=3~17&attributes=glasses,-brown_hair",
}
"""What the address says beside the model."""
TOOLS = ("Edit", "Vary", "Blend", "Morph", "Mix", "Numbers", "Yours")
MAX_SHIFT = 0.02
BORDER_CONTRASTS = """() => {
    const levels = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const linear = (level) => ((level / 255 + 0.055) / 1.055) ** 2.4;
    const luminance = ([red, green, blue]) =>
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
    const behind = (element) => {
        const found = levels(getComputedStyle(element).backgroundColor);
        return found[3] === 0 ? behind(element.parentElement) : found;
    };
    const contrast = (one, other) => {
        const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    };
    const buttons = 'button:not(.open, .thumbnail, .primary), .chips label';
    return [...document.querySelectorAll(`${buttons}, select, input[type=number]`)]
        .filter((element) => element.offsetWidth && !element.closest('#notice'))
        .map((element) => {
            const edge = levels(getComputedStyle(element).borderTopColor);
            return contrast(edge, behind(element.parentElement));
        });
}"""


BROKEN_LABELS = """() => [...document.querySelectorAll('button, select, #tools a, h3, legend')]
    .filter((one) => one.offsetWidth && one.textContent && !one.closest('#notice'))
    .filter((one) => {
        const range = document.createRange();
        range.selectNodeContents(one);
        const tops = [...range.getClientRects()].map(({ bottom }) => bottom);
        const lineHeight = parseFloat(getComputedStyle(one).fontSize);
        if (one.tagName === 'SELECT') {
            const whole = one.cloneNode(true);
            whole.style = 'position: absolute; width: auto';
            one.after(whole);
            const { offsetWidth } = whole;
            whole.remove();
            return offsetWidth > one.offsetWidth;
        }
        return Math.max(...tops) - Math.min(...tops) > lineHeight / 2;
    })
    .map((one) => one.textContent.trim())"""
"""Labels on more than one line, or cut off."""


@pytest.mark.parametrize(
    ("model", "width", "scheme"),
    [
        ("colours", 320, "dark"),
        ("colours", 1280, "light"),
        ("clothes", 320, "light"),
        ("people", 1280, "dark"),
    ],
)
def test_every_tool_fits_its_window_and_is_accessible(
    open_page: Open,
    wait_until_idle: WaitUntilIdle,
    violations: Callable[[Page], list[str]],
    screenshots: Path,
    model: str,
    width: int,
    scheme: str,
) -> None:
    options = {"viewport": SIZES[width], "color_scheme": scheme, "reduced_motion": "reduce"}
    page = open_page(f"?model={model}&{VIEWS[model]}", **options)
    expect(page.locator("body")).to_have_css("background-color", PAPER[scheme])
    assert count_animated(page) == 0
    for tool in TOOLS:
        page.get_by_role("link", name=tool).click()
        wait_until_idle(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.querySelector('nav').scrollWidth") <= width  # all tabs
        assert violations(page) == []
        assert page.evaluate(BROKEN_LABELS) == []
        take_screenshot(page, screenshots / f"{model}-{tool}-{width}-{scheme}.png", width)
    assert min(page.evaluate(BORDER_CONTRASTS)) >= 3


def test_dialogs_are_accessible(open_page: Open, violations: Callable[[Page], list[str]]) -> None:
    page = open_page("?model=colours&seed=3", viewport=SMALL)
    page.wait_for_selector("body.ready")
    assert count_animated(page) > 0  # the browser did not ask for reduced motion
    for dialog in ("Code", "Shortcuts and help"):
        page.get_by_role("button", name=dialog, exact=True).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= SMALL["width"]
        page.get_by_role("button", name="Close").click()
        expect(page.get_by_role("dialog")).to_be_hidden()


@pytest.mark.parametrize("viewport", [PHONE, SIZES[1280], {"width": 640, "height": 400}])
def test_nothing_moves_while_the_page_loads(
    open_page: Open, wait_until_idle: WaitUntilIdle, viewport: dict[str, int]
) -> None:
    page = open_page("?model=clothes", viewport=viewport)
    wait_until_idle(page)
    shift: float = page.evaluate(
        """() => new Promise((resolve) => {
            new PerformanceObserver((list) => {
                resolve(list.getEntries().reduce((sum, { value }) => sum + value, 0));
            }).observe({ type: 'layout-shift', buffered: true });
            setTimeout(() => resolve(0), 500);
        })"""
    )
    assert shift <= MAX_SHIFT


def test_on_a_phone_the_picture_stays_above_the_sliders(open_page: Open) -> None:
    page = open_page("?model=colours&seed=3", viewport=PHONE, has_touch=True, is_mobile=True)
    slider = page.get_by_role("slider", name="Variety")
    page.evaluate("scrollTo(0, 400)")
    canvas, control = stage(page).bounding_box(), slider.bounding_box()
    assert canvas is not None
    assert control is not None
    assert canvas["y"] >= 0
    assert canvas["height"] > 200
    assert canvas["y"] + canvas["height"] <= 0.45 * PHONE["height"]
    assert control["y"] + control["height"] <= PHONE["height"]


def test_a_window_of_1280_pixels_at_200_percent_shows_the_picture(open_page: Open) -> None:
    page = open_page("?model=colours&seed=3", viewport={"width": 640, "height": 400})
    box = stage(page).bounding_box()
    assert box is not None
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= 400
    assert box["height"] >= 100


def test_the_first_link_skips_to_the_tools(open_page: Open) -> None:
    page = open_page("?model=colours&seed=3")
    page.wait_for_selector("body.ready")
    page.keyboard.press("Tab")
    link = page.get_by_role("link", name="Skip to the tools")
    expect(link).to_be_focused()
    expect(link).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#panel")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Edit")).to_be_focused()


def test_a_low_window_shows_the_picture_beside_the_sliders(open_page: Open) -> None:
    page = open_page("?model=people&seed=3&pins=4", viewport={"width": 640, "height": 360})
    page.wait_for_selector("body.ready")
    for _ in range(2):
        picture = stage(page).bounding_box()
        slider = page.get_by_role("slider", name="glasses").bounding_box()
        tray = page.locator("#pins").bounding_box()
        assert picture
        assert slider
        assert tray
        assert picture["x"] + picture["width"] < slider["x"]
        for box in (picture, slider):
            assert box["y"] >= 0
            assert box["y"] + box["height"] <= tray["y"]
        page.evaluate("scrollBy(0, 40)")


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


def test_touch_works_on_a_small_screen(
    open_page: Open, wait_until_idle: WaitUntilIdle, server: str
) -> None:
    page = open_page("?model=colours&seed=3", viewport=SMALL, has_touch=True, is_mobile=True)
    tile(page, 4).tap()
    wait_for_stage(page, served(server, "images/colours/1/4.png"))
    page.get_by_role("button", name="Pin", exact=True).tap()
    expect(page.get_by_role("button", name="Pinned picture 4")).to_be_visible()
    hold = """(open) => {
        const options = { pointerType: 'touch', bubbles: true };
        open.dispatchEvent(new PointerEvent('pointerdown', options));
    }"""
    tile(page, 5).evaluate(hold)  # a long press
    expect(tile(page, 5)).to_have_attribute("draggable", "false")  # it drags nothing
    page.locator("#sheets .tile").nth(5).get_by_role("button", name="Pin picture").tap()
    expect(page.get_by_role("button", name="Pinned picture 5")).to_be_visible()
    page.get_by_role("link", name="Blend").tap()
    wait_until_idle(page)
    pad = page.get_by_role("slider", name="Blend of the pictures")
    pad.tap(position={"x": 20, "y": 20})
    expect(pad).to_have_attribute("aria-valuenow", "7")
    expect(page).to_have_url(re.compile("latent="))
