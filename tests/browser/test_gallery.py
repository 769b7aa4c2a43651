"""The gallery, the dialog of one picture, and the tray of pinned pictures."""

import re
from collections.abc import Callable

import httpx
import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Page, expect

Open = Callable[..., Page]
WaitUntilIdle = Callable[[Page], None]


def loaded(page: Page) -> list[int]:
    """The seeds of the gallery's tiles whose image has loaded."""
    script = """() => [...document.querySelectorAll('.tile')]
        .filter((tile) => tile.firstChild.naturalWidth === 28).map((tile) => tile.seed)"""
    seeds: list[int] = page.evaluate(script)
    return seeds


def clipboard(page: Page) -> str:
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def test_images_load_on_scrolling_and_come_from_the_server_only(
    open_page: Open, wait_until_idle: WaitUntilIdle, server: str
) -> None:
    page = open_page()
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    page.reload()
    wait_until_idle(page)
    expect(page.locator(".tile").first).to_have_text("0")
    seeds = loaded(page)
    assert seeds == list(range(len(seeds)))
    assert 24 <= len(seeds) < 120
    page.mouse.move(600, 400)
    page.mouse.wheel(0, 5000)
    expect(page.locator(".tile").nth(len(seeds)).locator("img[src]")).to_be_attached()
    assert len(urls) > 40
    assert all(url.startswith(server) for url in urls)


def test_mouse_copies_downloads_and_pins(open_page: Open, server: str) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    expect(page.locator(".tile img").first).to_have_css("image-rendering", "pixelated")
    expect(page.locator(".tile img").first).to_have_css("width", "112px")  # 4 x 28
    page.locator(".tile").nth(5).click()
    dialog = page.get_by_role("dialog", name="Picture 5")
    dialog.get_by_role("button", name="Copy URL").click()
    expect(dialog.get_by_role("button", name="Copied")).to_be_visible()
    url = clipboard(page)
    assert url == f"{server}/images/fashion-mnist/2/5.png"
    with page.expect_download() as download:
        dialog.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "fashion-mnist-2-5.png"
    assert download.value.path().read_bytes() == httpx.get(url, timeout=60).content
    dialog.get_by_role("button", name="Pin").click()
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Pinned picture 5")).to_be_visible()
    expect(page).to_have_url(re.compile(r"pins=5(&|$)"))
    page.get_by_role("button", name="Unpin all").click()
    expect(page.get_by_text("Nothing pinned yet.")).to_be_visible()


def test_the_url_is_copied_without_the_clipboard_api(open_page: Open) -> None:
    page = open_page(permissions=["clipboard-read"])
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error()); }")
    page.locator(".tile").nth(2).click()
    page.get_by_role("button", name="Copy URL").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert clipboard(page).endswith("/images/fashion-mnist/2/2.png")


def test_keyboard_opens_pins_and_unpins(open_page: Open) -> None:
    page = open_page()
    page.wait_for_selector("body.ready")
    page.get_by_role("button", name="Random").focus()
    page.keyboard.press("Tab")
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    tile = page.get_by_role("button", name="Picture 10", exact=True)  # nine in a row
    expect(tile).to_be_focused()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Picture 10")
    expect(dialog.get_by_role("button", name="Copy URL")).to_be_focused()
    for _ in range(2):
        page.keyboard.press("Tab")
    expect(dialog.get_by_role("button", name="Pin")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("button", name="Unpin")).to_be_focused()
    page.keyboard.press("Escape")
    tile = page.get_by_role("button", name="Picture 10, pinned")
    expect(tile).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("p")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Pinned picture 10")).to_be_focused()
    page.keyboard.press("Delete")
    expect(page.get_by_role("button", name="Pinned picture 11")).to_be_focused()


def expect_pins(page: Page, order: str) -> None:
    """Wait until the tray and the address hold these pins in this order."""
    expect(page).to_have_url(re.compile(f"pins={order}(&|$)"))
    labels = [f"Pinned picture {seed}" for seed in order.split(",")]
    for k, label in enumerate(labels):
        expect(page.locator("#pins-list button").nth(k)).to_have_attribute("aria-label", label)


def test_mouse_reorders_pins(open_page: Open, wait_until_idle: WaitUntilIdle) -> None:
    page = open_page("#pins=3,17,99,4")
    wait_until_idle(page)
    drop = {"left": {"x": 5, "y": 20}, "right": {"x": 45, "y": 20}}

    def drag(source: str, seed: int, side: str) -> None:
        target = f"[aria-label='Pinned picture {seed}']"
        page.drag_and_drop(source, target, target_position=drop[side])  # type: ignore[arg-type]

    drag("[aria-label='Pinned picture 4']", 3, "left")
    expect_pins(page, "4,3,17,99")
    drag("[aria-label='Pinned picture 4']", 17, "right")
    expect_pins(page, "3,17,4,99")
    drag("[aria-label='Pinned picture 17']", 17, "right")
    drag(".tile >> nth=2", 17, "left")
    expect_pins(page, "3,2,17,4,99")
    expect(page.locator("#pins-list [data-side]")).to_have_count(0)
    page.go_back()
    expect_pins(page, "3,17,4,99")


def test_keyboard_reorders_pins(open_page: Open) -> None:
    page = open_page("#pins=3,17,99")
    page.wait_for_selector("body.ready")
    moved = page.get_by_role("button", name="Pinned picture 99")
    moved.focus()
    for order in ("3,99,17", "99,3,17", "99,3,17"):
        page.keyboard.press("Shift+ArrowLeft")
        expect_pins(page, order)
        expect(moved).to_be_focused()
    expect(moved).to_have_accessible_description("1 of 3")
    page.keyboard.press("Shift+ArrowRight")
    expect_pins(page, "3,99,17")
    page.keyboard.press("Delete")
    expect_pins(page, "3,17")


def test_the_gallery_starts_at_a_given_or_a_random_seed(open_page: Open) -> None:
    page = open_page()
    seed = page.get_by_label("First seed")
    seed.fill("4294967295")
    seed.press("Enter")
    expect(page.locator(".tile").nth(0)).to_have_text("4294967295")
    expect(page.locator(".tile").nth(1)).to_have_text("0")
    seed.fill("4294967296")
    seed.press("Enter")
    expect(seed).to_have_value("4294967295")
    page.get_by_role("button", name="Random").click()
    expect(page.locator(".tile").nth(0)).not_to_have_text("4294967295")
