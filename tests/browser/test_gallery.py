"""The gallery, what can be done with one of its images, and the tray of pinned ones."""

import re
from collections.abc import Callable

import httpx
import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Page, expect

Open = Callable[..., Page]
Rest = Callable[[Page], None]


def drawn(page: Page) -> list[int]:
    """The seeds of the gallery's images that are there."""
    script = """() => [...document.querySelectorAll('.tile')]
        .filter((tile) => tile.firstChild.naturalWidth === 28).map((tile) => tile.seed)"""
    seeds: list[int] = page.evaluate(script)
    return seeds


def copied(page: Page) -> str:
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def test_it_draws_as_one_scrolls_and_asks_nobody_else(
    open_page: Open, rest: Rest, server: str
) -> None:
    page = open_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    rest(page)
    expect(page.locator(".tile").first).to_have_text("0")
    seeds = drawn(page)
    assert seeds == list(range(len(seeds)))
    assert 24 <= len(seeds) < 120
    page.mouse.move(600, 400)
    page.mouse.wheel(0, 5000)
    expect(page.locator(".tile").nth(len(seeds)).locator("img[src]")).to_be_attached()
    assert len(asked) > 40
    assert all(url.startswith(server) for url in asked)


def test_by_mouse_an_image_is_copied_downloaded_and_pinned(open_page: Open, server: str) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    expect(page.locator(".tile img").first).to_have_css("image-rendering", "pixelated")
    expect(page.locator(".tile img").first).to_have_css("width", "112px")  # 4 x 28
    page.locator(".tile").nth(5).click()
    dialog = page.get_by_role("dialog", name="Image 5")
    dialog.get_by_role("button", name="Copy URL").click()
    expect(dialog.get_by_role("button", name="Copied")).to_be_visible()
    url = copied(page)
    assert url == f"{server}/images/fashion-mnist/2/5.png"
    with page.expect_download() as download:
        dialog.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "fashion-mnist-2-5.png"
    assert download.value.path().read_bytes() == httpx.get(url, timeout=60).content
    dialog.get_by_role("button", name="Pin").click()
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Pinned image 5")).to_be_visible()
    expect(page).to_have_url(re.compile(r"pins=5(&|$)"))
    page.get_by_role("button", name="Unpin all").click()
    expect(page.get_by_text("Pinned images gather here.")).to_be_visible()


def test_without_the_clipboard_the_url_is_copied_the_old_way(open_page: Open) -> None:
    page = open_page(permissions=["clipboard-read"])
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error()); }")
    page.locator(".tile").nth(2).click()
    page.get_by_role("button", name="Copy URL").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert copied(page).endswith("/images/fashion-mnist/2/2.png")


def test_by_keyboard_an_image_is_found_opened_pinned_and_unpinned(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("button", name="Random").focus()
    page.keyboard.press("Tab")
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    tile = page.get_by_role("button", name="Image 10", exact=True)  # nine in a row
    expect(tile).to_be_focused()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Image 10")
    expect(dialog.get_by_role("button", name="Copy URL")).to_be_focused()
    for _ in range(2):
        page.keyboard.press("Tab")
    expect(dialog.get_by_role("button", name="Pin")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("button", name="Unpin")).to_be_focused()
    page.keyboard.press("Escape")
    tile = page.get_by_role("button", name="Image 10, pinned")
    expect(tile).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("p")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Pinned image 10")).to_be_focused()
    page.keyboard.press("Delete")
    expect(page.get_by_role("button", name="Pinned image 11")).to_be_focused()


def pins(page: Page, order: str) -> None:
    """Wait until the tray, and the address, have these pins in this order."""
    expect(page).to_have_url(re.compile(f"pins={order}(&|$)"))
    labels = [f"Pinned image {seed}" for seed in order.split(",")]
    for k, label in enumerate(labels):
        expect(page.locator("#pins-list button").nth(k)).to_have_attribute("aria-label", label)


def test_by_mouse_pins_are_put_into_another_order(open_page: Open, rest: Rest) -> None:
    page = open_page("#pins=3,17,99,4")
    rest(page)
    drop = {"left": {"x": 5, "y": 20}, "right": {"x": 45, "y": 20}}

    def drag(source: str, seed: int, side: str) -> None:
        target = f"[aria-label='Pinned image {seed}']"
        page.drag_and_drop(source, target, target_position=drop[side])  # type: ignore[arg-type]

    drag("[aria-label='Pinned image 4']", 3, "left")
    pins(page, "4,3,17,99")
    drag("[aria-label='Pinned image 4']", 17, "right")
    pins(page, "3,17,4,99")
    drag("[aria-label='Pinned image 17']", 17, "right")
    drag(".tile >> nth=2", 17, "left")
    pins(page, "3,2,17,4,99")
    expect(page.locator("#pins-list [data-side]")).to_have_count(0)
    page.go_back()
    pins(page, "3,17,4,99")


def test_by_keyboard_pins_are_put_into_another_order(open_page: Open) -> None:
    page = open_page("#pins=3,17,99")
    page.wait_for_selector("body.ready")
    moved = page.get_by_role("button", name="Pinned image 99")
    moved.focus()
    for order in ("3,99,17", "99,3,17", "99,3,17"):
        page.keyboard.press("Shift+ArrowLeft")
        pins(page, order)
        expect(moved).to_be_focused()
    expect(moved).to_have_accessible_description("1 of 3")
    page.keyboard.press("Shift+ArrowRight")
    pins(page, "3,99,17")
    page.keyboard.press("Delete")
    pins(page, "3,17")


def test_it_begins_at_the_seed_that_is_told_or_at_a_random_one(open_page: Open) -> None:
    page = open_page()
    seed = page.get_by_label("From seed")
    seed.fill("4294967295")
    seed.press("Enter")
    expect(page.locator(".tile").nth(0)).to_have_text("4294967295")
    expect(page.locator(".tile").nth(1)).to_have_text("0")
    seed.fill("4294967296")
    seed.press("Enter")
    expect(seed).to_have_value("4294967295")
    page.get_by_role("button", name="Random").click()
    expect(page.locator(".tile").nth(0)).not_to_have_text("4294967295")
