"""The gallery of sheets and the tray of pinned pictures."""

import re
from collections.abc import Callable

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
import numpy as np
from playwright.sync_api import Page, expect

from tests.browser.bitmaps import HOLD, RELEASE
from tests.browser.console import ignore_failed_requests
from tests.browser.files import TEXT
from tests.browser.pictures import pixels, served, tile, wait_for_stage, wait_for_tile

Open = Callable[..., Page]
WaitUntilIdle = Callable[[Page], None]

COLOURS = "?model=colours&version=1&seed=3"
TOP = """() => {
    const { bottom } = document.getElementById('stage').getBoundingClientRect();
    const tiles = [...document.querySelectorAll('#sheets .tile')];
    const seen = tiles.find((tile) => tile.getBoundingClientRect().top >= Math.max(0, bottom));
    return seen.recipe.seed;
}"""
"""Finds the seed of the first picture in sight."""


def test_a_screenful_is_one_request_that_is_cached(
    open_page: Open, wait_until_idle: WaitUntilIdle, server: str
) -> None:
    page = open_page(COLOURS)
    wait_until_idle(page)
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    page.reload()
    wait_until_idle(page)
    sheets = [url for url in urls if "/grid?" in url]
    assert 1 <= len(sheets) <= 3
    assert all(url.startswith(server) for url in urls)
    for seed in (0, 5):
        shown = pixels(wait_for_tile(page, seed))
        np.testing.assert_array_equal(shown, served(server, f"images/colours/1/{seed}.png"))
    page.reload()
    wait_until_idle(page)
    script = "performance.getEntriesByType('resource').filter(({name}) => name.includes('grid'))"
    sizes = page.evaluate(f"{script}.map(({{transferSize}}) => transferSize)")
    assert set(sizes) == {0}


def test_scrolling_keeps_few_pictures_in_memory(
    open_page: Open, wait_until_idle: WaitUntilIdle
) -> None:
    page = open_page(COLOURS)
    for _ in range(6):
        wait_until_idle(page)
        assert page.locator("#sheets .tile").count() <= 240
        page.evaluate("scrollBy(0, 1.5 * innerHeight)")
    wait_until_idle(page)
    tops = page.locator("#sheets .tile").evaluate_all(
        "(all) => all.map((tile) => [tile.getBoundingClientRect().top, tile.canvas.width])"
    )
    assert {width for top, width in tops if 0 < top < 700} == {32}
    assert page.locator("#sheets .sheet").first.locator(".tile").count() == 0


def test_sheets_that_were_scrolled_past_are_not_loaded(
    open_page: Open, wait_until_idle: WaitUntilIdle
) -> None:
    page = open_page(COLOURS)
    wait_until_idle(page)
    page.route("**/grid?*", lambda _: None)  # the server does not answer
    with page.expect_request("**/grid?*") as skipped:
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
    with page.expect_event("requestfailed", lambda failed: failed == skipped.value):
        page.evaluate("scrollTo(0, 0)")


def test_late_pictures_do_not_stand_for_those_of_newer_tiles(
    open_page: Open, wait_until_idle: WaitUntilIdle
) -> None:
    page = open_page(COLOURS)
    wait_until_idle(page)
    page.evaluate(HOLD)
    with page.expect_request("**/grid?*") as sent:
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.evaluate("() => begun")
    (seed,) = re.findall(r"seed=(\d+)", sent.value.url)
    tiles = page.locator(f".sheet:nth-child({int(seed) // 60 + 1}) .open")
    place = page.evaluate("scrollY")
    page.evaluate("scrollTo(0, 0)")
    expect(tiles).to_have_count(0)
    page.route("**/grid?*", lambda _: None)  # the server does not answer
    with page.expect_request(sent.value.url):
        page.evaluate(f"scrollTo(0, {place})")
    tiles.first.focus()  # so that these tiles stay
    page.evaluate(RELEASE)
    with page.expect_event("requestfailed", lambda failed: failed.url == sent.value.url):
        page.evaluate("scrollTo(0, 0)")
    with page.expect_request(sent.value.url):
        page.evaluate(f"scrollTo(0, {place})")


@pytest.mark.parametrize("width", [360, 1280])
def test_the_address_holds_the_place_in_the_gallery(
    open_page: Open, wait_until_idle: WaitUntilIdle, width: int
) -> None:
    page = open_page(f"{COLOURS}&scroll=120", viewport={"width": width, "height": 800})
    wait_until_idle(page)
    assert page.evaluate(TOP) == 120
    page.evaluate("scrollBy(0, -innerHeight / 2)")
    expect(page).not_to_have_url(re.compile("scroll=120"))
    (place,) = re.findall(r"scroll=(\d+)$", page.url)
    assert 60 < int(place) < 120
    link = page.url.partition("/?")[2]
    page = open_page(f"?{link}", viewport={"width": width, "height": 800})
    wait_until_idle(page)
    assert page.evaluate(TOP) == int(place)
    page.evaluate("scrollTo(0, 0)")
    expect(page).to_have_url(re.compile("seed=3$"))


def test_other_sheets_keep_the_place(
    open_page: Open, wait_until_idle: WaitUntilIdle, console_errors: list[str]
) -> None:
    page = open_page(f"{COLOURS}&scroll=120")
    wait_until_idle(page)
    page.set_viewport_size({"width": 700, "height": 800})
    wait_until_idle(page)
    assert page.evaluate(TOP) == 120
    refusal = {"detail": "too many"}  # until the page asks for fewer at once
    page.route("**/grid?*rows=6*", lambda route: route.fulfill(status=422, json=refusal))
    page.reload()
    wait_until_idle(page)
    assert page.evaluate(TOP) == 120
    ignore_failed_requests(console_errors)


def test_the_document_names_the_first_sheet(
    open_page: Open, wait_until_idle: WaitUntilIdle
) -> None:
    page = open_page(f"{COLOURS}&first=9")
    wait_until_idle(page)
    starts = page.evaluate(
        """performance.getEntriesByType('resource')
        .filter(({ name }) => name.includes('seed=9'))
        .map(({ initiatorType }) => initiatorType)"""
    )
    assert starts == ["link"]  # and the script takes what the link has fetched
    wait_for_tile(page, 59)


def test_a_click_sends_a_picture_to_the_stage(open_page: Open, server: str) -> None:
    page = open_page(COLOURS)
    tile(page, 5).click()
    wait_for_stage(page, served(server, "images/colours/1/5.png"))
    expect(page).to_have_url(re.compile("seed=5$"))
    page.go_back()
    wait_for_stage(page, served(server, "images/colours/1/3.png"))


def test_hovering_shows_pin_and_save(open_page: Open) -> None:
    page = open_page(COLOURS)
    wait_for_tile(page, 2)
    page.evaluate("scrollTo(0, 300)")  # the tray covers a part of the first row
    tile(page, 2).hover()
    box = page.locator("#sheets .tile").nth(2)
    box.get_by_role("button", name="Pin picture").click()
    expect(tile(page, 2)).to_have_accessible_name("Picture 2, pinned")
    with page.expect_download() as download:
        box.get_by_role("button", name="Save picture").click()
    assert download.value.suggested_filename == "colours-1-2.png"
    expect(page).to_have_url(re.compile("seed=3&pins=2$"))


def test_keyboard_moves_pins_and_shows(open_page: Open, server: str) -> None:
    page = open_page(COLOURS)
    expect(tile(page, 0)).to_have_attribute("tabindex", "0")
    columns = page.locator(".sheet").first.evaluate("(sheet) => sheet.columns")
    tile(page, 0).focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    expect(tile(page, columns + 1)).to_be_focused()
    page.keyboard.press("p")
    expect(tile(page, columns + 1)).to_have_accessible_name(re.compile("pinned$"))
    page.keyboard.press("Enter")
    wait_for_stage(page, served(server, f"images/colours/1/{columns + 1}.png"))


def test_edits_apply_to_the_gallery_on_release(
    open_page: Open, wait_until_idle: WaitUntilIdle, server: str
) -> None:
    page = open_page(f"{COLOURS}&edit=bright:2")
    wait_until_idle(page)
    np.testing.assert_array_equal(
        pixels(wait_for_tile(page, 1)), served(server, "images/colours/1/1.png")
    )
    page.get_by_label("Apply to gallery").check()
    wait_until_idle(page)
    edited = served(server, "images/colours/1/1.png?edit=bright:2")
    np.testing.assert_array_equal(pixels(wait_for_tile(page, 1)), edited)
    expect(tile(page, 1)).to_have_accessible_name("Picture 1, bright +2")


def test_the_gallery_starts_at_a_given_or_a_random_seed(open_page: Open) -> None:
    page = open_page(COLOURS)
    seed = page.get_by_label("First seed")
    seed.fill("4294967295")
    seed.press("Enter")
    expect(tile(page, 0)).to_have_accessible_name("Picture 4294967295")
    expect(tile(page, 1)).to_have_accessible_name("Picture 0")
    seed.fill("4294967296")
    seed.press("Enter")
    expect(seed).to_have_value("4294967295")
    seed.fill("12")
    page.mouse.wheel(0, 2000)
    expect(page).to_have_url(re.compile("scroll="))
    expect(seed).to_have_value("12")  # what a person types stays
    page.get_by_role("button", name="Random").click()
    expect(tile(page, 0)).not_to_have_accessible_name("Picture 4294967295")


def test_pins_are_remembered_for_each_model(open_page: Open) -> None:
    page = open_page(COLOURS)
    page.wait_for_selector("body.ready")
    page.get_by_role("button", name="Pin", exact=True).click()
    expect(page.get_by_role("button", name="Pinned picture 3")).to_be_visible()
    page.get_by_role("combobox", name="Model").select_option("fashion-mnist")
    expect(page.get_by_text("Nothing pinned yet.")).to_be_visible()
    page.get_by_role("combobox", name="Model").select_option("colours")
    expect(page.get_by_role("button", name="Pinned picture 3")).to_be_visible()
    start = page.url.partition("?")[0] + "?model=colours"
    other = page.context.new_page()
    other.goto(start + "&seed=7")
    other.get_by_role("button", name="Pin", exact=True).click()
    expect(other.get_by_role("button", name="Pinned picture 7")).to_be_visible()
    page.get_by_role("button", name="Pixels").click()  # does not store the older pins again
    page.goto(start)
    for number in (3, 7):
        expect(page.get_by_role("button", name=f"Pinned picture {number}")).to_be_visible()
    page.get_by_role("button", name="Unpin all").click()
    expect(page.get_by_text("Nothing pinned yet.")).to_be_visible()


def expect_pins(page: Page, order: str) -> None:
    """Wait until the tray and the address hold these pins in this order."""
    expect(page).to_have_url(re.compile(f"pins={order}(&|$)"))
    labels = [f"Pinned picture {seed}" for seed in order.split("~")]
    for k, label in enumerate(labels):
        expect(page.locator("#pins-list button").nth(k)).to_have_attribute("aria-label", label)


def test_mouse_reorders_pins(open_page: Open, wait_until_idle: WaitUntilIdle) -> None:
    page = open_page(f"{COLOURS}&pins=3~17~99~4")
    wait_until_idle(page)
    drop = {"left": {"x": 5, "y": 20}, "right": {"x": 45, "y": 20}}

    def drag(source: str, seed: int, side: str) -> None:
        target = f"[aria-label='Pinned picture {seed}']"
        page.drag_and_drop(source, target, target_position=drop[side])  # type: ignore[arg-type]

    drag("[aria-label='Pinned picture 4']", 3, "left")
    expect_pins(page, "4~3~17~99")
    drag("[aria-label='Pinned picture 4']", 17, "right")
    expect_pins(page, "3~17~4~99")
    page.evaluate("scrollTo(0, 0)")
    expect(tile(page, 2)).to_have_accessible_name("Picture 2")
    # By events, as a mouse at the edge of the window scrolls the page before the drag starts.
    moved = {"dataTransfer": page.evaluate_handle("new DataTransfer()")}
    target = page.locator("[aria-label='Pinned picture 17']")
    place = target.bounding_box()
    assert place
    moved |= {"clientX": place["x"] + 5, "clientY": place["y"] + 20}
    tile(page, 2).dispatch_event("dragstart", moved)
    for event in ("dragover", "drop"):
        target.dispatch_event(event, moved)
    expect_pins(page, "3~2~17~4~99")
    moved["dataTransfer"] = page.evaluate_handle(TEXT)
    for event in ("dragover", "drop"):
        target.dispatch_event(event, moved)
    expect(page.locator("#notice-message")).to_contain_text("is not a PNG")
    expect(page.locator("#pins-list [data-side]")).to_have_count(0)
    page.go_back()
    expect_pins(page, "3~17~4~99")


def test_a_drag_from_the_tray_does_not_scroll(
    open_page: Open, wait_until_idle: WaitUntilIdle
) -> None:
    page = open_page(f"{COLOURS}&pins=3~17~99")
    wait_until_idle(page)
    box = page.get_by_role("button", name="Pinned picture 99").bounding_box()
    assert box
    height = page.evaluate("innerHeight")
    page.mouse.move(box["x"] + 20, box["y"] + box["height"] - 6)
    page.mouse.down()
    for k in range(10):
        page.mouse.move(box["x"] - 4 * k, height - 10)
        page.wait_for_timeout(30)  # in which a browser would scroll
    assert page.evaluate("scrollY") == 0
    page.mouse.up()
    expect(page.locator("html")).not_to_have_class("dragging")


def test_keyboard_reorders_pins(open_page: Open) -> None:
    page = open_page(f"{COLOURS}&pins=3~17~99")
    page.wait_for_selector("body.ready")
    moved = page.get_by_role("button", name="Pinned picture 99")
    moved.focus()
    for order in ("3~99~17", "99~3~17", "99~3~17"):
        page.keyboard.press("Shift+ArrowLeft")
        expect_pins(page, order)
        expect(moved).to_be_focused()
    expect(moved).to_have_accessible_description("1 of 3")
    page.keyboard.press("Delete")
    expect_pins(page, "3~17")
    expect(page.get_by_role("button", name="Pinned picture 3")).to_be_focused()
